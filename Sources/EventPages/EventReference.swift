public import Catalog

/// What is said of events beside the catalogue: hand-written notes, events that belong together, records as examples,
/// and which kernel gives which event.
public struct EventReference: Sendable {
    public let catalog: Catalog
    /// `Docs/kernel-matrix.md`.
    let matrix: KernelMatrix
    /// What each set holds, by its name.
    let sets: [String: String]
    /// Security notes, by the event's name.
    let notes: [String: String]
    /// Events that are named together by hand, by the event's name, as they are written.
    let named: [String: [String]]
    let examples: [String: EventExample]
    /// How alike events are.
    let kinship: Kinship

    /// That of this binary. Made once, and only for those who ask: nothing that traces does.
    public static let builtIn = EventReference(
        catalog: .builtIn,
        texts: Dictionary(uniqueKeysWithValues: embeddedTexts.map { ($0.name, $0.text.description) }))

    /// - Parameter texts: `notes` and `examples` of `Catalog/reference`, and `kernel-matrix.md`, by name. What is
    ///   no line of these is left out; a test reads the committed ones with ``faults``.
    init(catalog: Catalog, texts: [String: String]) {
        self.catalog = catalog
        matrix = KernelMatrix(texts["kernel-matrix.md"] ?? "")
        let lines = ReferenceLine.all(in: texts["notes"] ?? "")
        var sets: [String: String] = [:]
        var notes: [String: String] = [:]
        var named: [String: [String]] = [:]
        for line in lines {
            switch line.kind {
            case "set": for name in line.names { sets[name] = line.text }
            case "note": for name in line.names { notes[name] = line.text }
            case "related":
                // All that are named belong together; those behind the colon only with those before it.
                let others = line.text.split(separator: " ").map(String.init)
                for name in line.names {
                    named[name, default: []] += others + line.names.filter { $0 != name }
                }
                for name in others { named[name, default: []] += line.names }
            default: break
            }
        }
        self.sets = sets
        self.notes = notes
        self.named = named
        var examples: [String: EventExample] = [:]
        for line in (texts["examples"] ?? "").split(separator: "\n") {
            EventExample.add(line, to: &examples)
        }
        self.examples = examples
        kinship = Kinship(catalog)
    }

    /// What a security engineer should know of an event, in one or two sentences.
    public func note(on event: EventDefinition) -> String? { notes[event.name].map(PageText.unmarked) }

    /// A record that a test made this kernel or another give.
    public func example(of event: EventDefinition) -> EventExample? { examples[event.name] }

    /// Events that one looks at together with this one, the nearest first, at most eight.
    public func related(to event: EventDefinition) -> [String] {
        var found: [String] = []
        for name in (named[event.name] ?? []) + kinship.relatives(of: event)
        where name != event.name && !found.contains(name) && found.count < 8 {
            found.append(name)
        }
        return found
    }
}

/// One line of `Catalog/reference/notes`: `KIND NAME...: TEXT`, with further lines that are indented.
struct ReferenceLine {
    let kind: String
    let names: [String]
    let text: String

    static let kinds = ["set", "note", "related"]

    /// Lines of a kind that there is not are kept, so that a test can name them.
    static func all(in text: String) -> [ReferenceLine] {
        var joined: [String] = []
        for line in text.split(separator: "\n") where !line.hasPrefix("#") {
            if line.hasPrefix(" "), let last = joined.popLast() {
                joined.append(last + " " + line.drop { $0 == " " })
            } else {
                joined.append(String(line))
            }
        }
        return joined.map { line in
            let colon = line.firstIndex(of: ":") ?? line.endIndex
            let words = line[..<colon].split(separator: " ").map(String.init)
            return ReferenceLine(
                kind: words.first ?? "", names: Array(words.dropFirst()),
                text: String(line[colon...].dropFirst().drop { $0 == " " }))
        }
    }
}

/// A record of an event, as tests saw it.
public struct EventExample: Sendable {
    /// In words: of a system call as `--format strace` writes it, of others as in a table.
    public internal(set) var line: String?
    /// Its `data` in JSON.
    public internal(set) var data: String?

    /// Reads a line of `Catalog/reference/examples`: `NAME line TEXT` or `NAME data JSON`.
    static func add(_ line: Substring, to examples: inout [String: EventExample]) {
        let parts = line.split(separator: " ", maxSplits: 2)
        guard parts.count == 3, !line.hasPrefix("#") else { return }
        var example = examples[String(parts[0])] ?? EventExample()
        if parts[1] == "line" { example.line = String(parts[2]) }
        if parts[1] == "data" { example.data = String(parts[2]) }
        examples[String(parts[0])] = example
    }
}
