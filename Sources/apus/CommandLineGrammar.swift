internal import Catalog

/// One option of a command. Parsing, help and completions all come from this.
struct Option: Sendable {
    let name: String
    let short: Character?
    /// What its value is called; nil for a switch.
    let value: String?
    let about: String
    /// Values that a shell may offer.
    var choices: [String] = []

    init(
        _ name: String, _ short: Character? = nil, value: String? = nil, choices: [String] = [],
        _ about: String
    ) {
        self.name = name
        self.short = short
        self.value = value
        self.choices = choices
        self.about = about
    }
}

/// One command, as `trace` or `events list`.
struct Command: Sendable {
    let name: String
    let about: String
    var options: [Option] = []
    /// What may follow the options, for the usage line.
    var operands = ""
    var details = ""
    let run: @Sendable (Arguments) throws -> Int32

    func parse(_ words: ArraySlice<String>) throws -> Arguments {
        var arguments = Arguments()
        var rest = words
        while let word = rest.popFirst() {
            if word == "--" {
                arguments.command = Array(rest)
                arguments.hasSeparator = true
                break
            }
            guard word.hasPrefix("-"), word != "-" else {
                arguments.operands.append(word)
                continue
            }
            let parts = word.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(
                String.init)
            guard
                let option = options.first(where: {
                    "--\($0.name)" == parts[0] || $0.short.map { "-\($0)" } == parts[0]
                })
            else { throw unknown(parts[0]) }
            guard let valueName = option.value else {
                guard parts.count == 1 else { throw UsageError("--\(option.name) takes no value") }
                arguments.switches.insert(option.name)
                continue
            }
            if parts.count == 2, word.hasPrefix("--") {
                arguments.values[option.name, default: []].append(parts[1])
            } else if parts.count == 1, let value = rest.popFirst() {
                arguments.values[option.name, default: []].append(value)
            } else {
                throw UsageError("\(parts[0]) needs a value: \(parts[0]) \(valueName)")
            }
        }
        return arguments
    }

    private func unknown(_ word: String) -> UsageError {
        let near = Catalog.nearest(to: word, among: options.map { "--\($0.name)" })
        let hint =
            near.isEmpty ? "`apus help \(name)` shows all" : "did you mean \(near.joined(separator: ", "))?"
        return UsageError("unknown option '\(word)' for apus \(name); \(hint)")
    }
}

struct Arguments {
    var values: [String: [String]] = [:]
    var switches: Set<String> = []
    var operands: [String] = []
    /// Words behind `--`.
    var command: [String] = []
    var hasSeparator = false

    func last(_ option: String) -> String? { values[option]?.last }
}
