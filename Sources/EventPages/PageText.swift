/// A text that is printed for a terminal and as Markdown, and says the same in both.
///
/// Strings in it may have two marks, those of Markdown: `code`, and [text](address), which on a terminal is the text.
public struct PageText: Sendable {
    enum Block: Sendable {
        case paragraph(String)
        /// Names, each with what there is to say.
        case facts([(name: String, text: String)])
        case list([String])
        /// Rows of a table; the first cell of each is code. Markdown has the header, a terminal has not.
        case table(header: [String], rows: [[String]])
        /// Lines that stay as they are.
        case verbatim([String], language: String)
    }

    struct Section: Sendable {
        /// Empty for what stands right below the title.
        let title: String
        var blocks: [Block]
    }

    let title: String
    /// Behind the title on a terminal.
    let remark: String
    var sections: [Section] = []

    init(_ title: String, remark: String = "") {
        self.title = title
        self.remark = remark
    }

    mutating func add(_ title: String = "", _ blocks: [Block]) {
        if !blocks.isEmpty { sections.append(Section(title: title, blocks: blocks)) }
    }

    /// Columns of a line.
    public static let width = 100

    // MARK: Terminal

    /// For a terminal, lines of 100 columns where words can be parted.
    public var terminal: String {
        var text = remark.isEmpty ? "\(title)\n" : "\(title)  (\(remark))\n"
        for section in sections {
            if !section.title.isEmpty { text += "\n\(section.title):\n" }
            let indent = section.title.isEmpty ? 0 : 2
            for (place, block) in section.blocks.enumerated() {
                if place > 0 { text += "\n" }
                text += Self.terminal(block, indent: indent)
            }
        }
        return text
    }

    private static func terminal(_ block: Block, indent: Int) -> String {
        let space = String(repeating: " ", count: indent)
        switch block {
        case .paragraph(let text): return space + wrapped(unmarked(text), indent: indent) + "\n"
        case .facts(let facts):
            let column = indent + (facts.map(\.name.count).max() ?? 0) + 3
            return facts.map { fact in
                let name = padded(space + fact.name + ":", to: column)
                return name + wrapped(unmarked(fact.text), indent: column) + "\n"
            }.joined()
        case .list(let items):
            return items.map { space + wrapped(unmarked($0), indent: indent + 2) + "\n" }.joined()
        case .verbatim(let lines, _): return lines.map { space + $0 + "\n" }.joined()
        case .table(let header, let rows):
            let plain = rows.map { $0.map(unmarked) }
            let widths = header.indices.map { column in plain.map { $0[column].count }.max() ?? 0 }
            return plain.map { row in
                var line = space
                var column = indent
                for (place, cell) in row.enumerated() {
                    if place == row.count - 1 {
                        // Where little room is left, words are not parted.
                        line += column < width / 2 ? wrapped(cell, indent: column) : cell
                    } else {
                        column += widths[place] + 2
                        line = padded(line + cell, to: line.count + widths[place] + 2)
                    }
                }
                while line.hasSuffix(" ") { line.removeLast() }
                return line + "\n"
            }.joined()
        }
    }

    private static func padded(_ text: String, to width: Int) -> String {
        text + String(repeating: " ", count: max(0, width - text.count))
    }

    /// Breaks lines between words; further ones are indented, as the first is by the caller.
    public static func wrapped(_ text: String, indent: Int, width: Int = width) -> String {
        var lines = [""]
        for word in text.split(separator: " ", omittingEmptySubsequences: true) {
            let last = lines[lines.count - 1]
            if last.isEmpty {
                lines[lines.count - 1] = String(word)
            } else if indent + last.count + 1 + word.count > width {
                lines.append(String(word))
            } else {
                lines[lines.count - 1] += " " + word
            }
        }
        return lines.joined(separator: "\n" + String(repeating: " ", count: indent))
    }

    /// Without marks.
    static func unmarked(_ text: String) -> String {
        var plain = ""
        var rest = text[...]
        while let mark = rest.firstIndex(where: { $0 == "`" || $0 == "[" }) {
            plain += rest[..<mark]
            let isCode = rest[mark] == "`"
            rest = rest[rest.index(after: mark)...]
            if isCode { continue }
            // A bracket that begins no link is one.
            guard let end = rest.firstIndex(of: "]"), rest[rest.index(after: end)...].hasPrefix("("),
                let close = rest[end...].firstIndex(of: ")")
            else {
                plain += "["
                continue
            }
            plain += rest[..<end].filter { $0 != "`" }
            rest = rest[rest.index(after: close)...]
        }
        return plain + rest
    }

    // MARK: Markdown

    public var markdown: String {
        var text = "# \(title)\n"
        for section in sections {
            if !section.title.isEmpty { text += "\n## \(section.title)\n" }
            for block in section.blocks { text += "\n" + Self.markdown(block) }
        }
        return text
    }

    private static func markdown(_ block: Block) -> String {
        switch block {
        case .paragraph(let text): return escaped(text) + "\n"
        case .facts(let facts): return facts.map { "* \($0.name): \(escaped($0.text))\n" }.joined()
        case .list(let items): return items.map { "* \(escaped($0))\n" }.joined()
        case .verbatim(let lines, let language):
            return "```\(language)\n" + lines.map { $0 + "\n" }.joined() + "```\n"
        case .table(let header, let rows):
            let lines = [header, header.map { _ in "---" }] + rows.map { $0.map(cell) }
            return lines.map { "| " + $0.joined(separator: " | ") + " |\n" }.joined()
        }
    }

    private static func cell(_ text: String) -> String {
        escaped(text).split(separator: "|", omittingEmptySubsequences: false).joined(separator: "\\|")
    }

    /// What Markdown would take for a mark, outside code. Underscores within words are none to it.
    private static func escaped(_ text: String) -> String {
        var isCode = false
        var escaped = ""
        for character in text {
            if character == "`" { isCode.toggle() }
            if !isCode && "*<".contains(character) { escaped += "\\" }
            escaped.append(character)
        }
        return escaped
    }
}
