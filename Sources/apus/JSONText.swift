/// A JSON document for the commands that describe; events have a writer of their own.
indirect enum JSONText {
    case text(String)
    case number(Int)
    case bool(Bool)
    case list([JSONText])
    case object([(String, JSONText)])

    var line: String {
        switch self {
        case .text(let text): quoted(text)
        case .number(let number): String(number)
        case .bool(let bool): bool ? "true" : "false"
        case .list(let list): "[" + list.map(\.line).joined(separator: ",") + "]"
        case .object(let members):
            "{" + members.map { "\(quoted($0.0)):\($0.1.line)" }.joined(separator: ",") + "}"
        }
    }

    private func quoted(_ text: String) -> String {
        var quoted = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": quoted += "\\\""
            case "\\": quoted += "\\\\"
            case "\n": quoted += "\\n"
            case _
            where scalar.value < 32 || (127..<160).contains(scalar.value)
                || (0x2028...0x202e).contains(scalar.value):
                quoted += "\\u" + String(String(scalar.value + 0x10000, radix: 16).dropFirst())
            default: quoted.unicodeScalars.append(scalar)
            }
        }
        return quoted + "\""
    }
}
