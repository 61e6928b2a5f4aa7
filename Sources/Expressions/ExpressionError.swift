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

/// Text from outside for a message: control characters shown, and not more than a line of it.
func printable(_ text: some StringProtocol) -> String {
    let limit = 100
    var shown = ""
    for (count, scalar) in text.unicodeScalars.enumerated() {
        if count == limit { return shown + "…" }
        if scalar.value < 32 || (127..<160).contains(scalar.value) {
            shown += "\\x" + String(scalar.value + 256, radix: 16).dropFirst()
        } else {
            shown.unicodeScalars.append(scalar)
        }
    }
    return shown
}
