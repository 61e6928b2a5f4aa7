/// What `Docs/kernel-matrix.md` says. `Tests/VM/run --write` makes it, `Tests/VM/matrix.py` knows its form.
struct KernelMatrix: Sendable {
    /// `5.10`, `6.1`, ...
    private(set) var kernels: [String] = []
    /// By the event's name, in the order of ``kernels``: how it is hooked, or the sign for no and why.
    private(set) var cells: [String: [String]] = [:]
    /// System calls that a kernel lacks.
    private(set) var lacking: [String: Set<String>] = [:]

    init(_ text: String) {
        var notes: [Substring: Substring] = [:]
        var columns: [(place: Int, title: String)] = []
        var rows: [(name: String, cells: [Substring])] = []
        for line in text.split(separator: "\n") {
            if line.hasPrefix("| ") {
                let fields = line.dropFirst(2).dropLast(2).split(separator: " | ").map(Self.trimmed)
                guard let name = fields.first, name != "---" else { continue }
                if name == "event" {
                    // The host is that of whoever made the table, and says nothing to others.
                    columns = fields.enumerated().dropFirst().filter { !$0.element.hasPrefix("host") }
                        .map { (place: $0.offset, title: String($0.element)) }
                } else {
                    rows.append((String(name), fields))
                }
            } else if let dot = line.firstIndex(of: "."), line[..<dot].allSatisfy(\.isNumber) {
                notes[line[..<dot]] = Self.trimmed(line[line.index(after: dot)...])
            } else if line.hasPrefix("* "), let colon = line.firstIndex(of: ":") {
                // The kernels' versions stand in the same form further up, and are written over.
                let names = line[line.index(after: colon)...].split(separator: ",").map(Self.trimmed)
                lacking[String(line[..<colon].dropFirst(2))] = Set(names.map(String.init))
            }
        }
        kernels = columns.map(\.title)
        for row in rows {
            cells[row.name] = columns.map { column in
                row.cells.indices.contains(column.place)
                    ? Self.withReason(row.cells[column.place], notes) : "?"
            }
        }
    }

    /// `given [2]` with what stands in the second note.
    private static func withReason(_ cell: Substring, _ notes: [Substring: Substring]) -> String {
        guard cell.hasSuffix("]"), let bracket = cell.lastIndex(of: "["),
            let note = notes[cell[cell.index(after: bracket)...].dropLast()]
        else { return String(cell) }
        return "\(trimmed(cell[..<bracket])): \(note)"
    }

    private static func trimmed(_ text: Substring) -> Substring {
        var text = text.drop { $0 == " " }
        while text.last == " " { text = text.dropLast() }
        return text
    }
}
