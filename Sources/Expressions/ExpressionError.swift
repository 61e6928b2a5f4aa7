/// What is wrong with a filter or an expression, in a sentence.
public struct ExpressionError: Error, CustomStringConvertible, Sendable, Hashable {
    public let description: String
    /// Where in the text, in UTF-8 bytes from its start; 0 where there is no text.
    public let offset: Int

    public init(_ description: String, at offset: Int = 0) {
        self.description = description
        self.offset = offset
    }
}

/// Text from outside for messages: control characters, and what turns the direction of writing, are shown as
/// escapes; what is long is cut.
public func printable(_ text: some StringProtocol) -> String {
    var shown = ""
    for (place, scalar) in text.unicodeScalars.enumerated() {
        if place == 200 { return shown + "…" }
        switch scalar.value {
        case 0..<32, 127..<160: shown += "\\x" + String(scalar.value + 256, radix: 16).dropFirst()
        case 0x200e, 0x200f, 0x2028...0x202e, 0x2066...0x2069, 0xfeff:
            shown += "\\u{" + String(scalar.value, radix: 16) + "}"
        default: shown.unicodeScalars.append(scalar)
        }
    }
    return shown
}
