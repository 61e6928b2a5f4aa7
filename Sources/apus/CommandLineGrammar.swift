internal import Catalog
internal import Glibc

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
        for word in words.prefix(while: { $0 != "--" }) where word.unicodeScalars.contains("\u{fffd}") {
            throw UsageError("'\(word)' is not UTF-8; only the words of a command may be anything")
        }
        var rest = words
        while let word = rest.popFirst() {
            if word == "--" {
                arguments.command = Self.bytes(ofLast: rest.count)
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

    /// The last words of the command line as they were given.
    private static func bytes(ofLast count: Int) -> [[UInt8]] {
        let total = Int(CommandLine.argc)
        return (max(0, total - count)..<total).map { index in
            guard let word = unsafe CommandLine.unsafeArgv[index] else { return [] }
            return unsafe Array(UnsafeRawBufferPointer(start: word, count: strlen(word)))
        }
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
    /// Words behind `--`, as the bytes they are: a command's arguments need not be text.
    var command: [[UInt8]] = []
    var hasSeparator = false

    func last(_ option: String) -> String? { values[option]?.last }

    /// The value of an option that is one of a few words; nil where it was not given.
    func choice<Choice: RawRepresentable<String> & CaseIterable>(
        _ option: String, _: Choice.Type
    ) throws -> Choice? {
        guard let text = last(option) else { return nil }
        if let choice = Choice(rawValue: text) { return choice }
        let words = Choice.allCases.map(\.rawValue)
        let known = words.dropLast().joined(separator: ", ") + " or " + (words.last ?? "")
        throw UsageError("--\(option) is \(known), not '\(text)'")
    }
}
