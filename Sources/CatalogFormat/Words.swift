// Words of a line. All of it goes by bytes, as the catalogue is read at each start, and characters of Swift take ten times
// as long.

/// Splits at an ASCII character.
func cut(
    _ text: Substring, at separator: Unicode.Scalar, maxSplits: Int = .max, keepsEmpty: Bool = false
) -> [Substring] {
    let wanted = UInt8(truncatingIfNeeded: separator.value)
    var parts: [Substring] = []
    var start = 0
    let bytes = text.utf8.span
    for at in bytes.indices where bytes[at] == wanted && parts.count < maxSplits {
        if keepsEmpty || at > start { parts.append(part(of: text, start, at)) }
        start = at + 1
    }
    if keepsEmpty || bytes.count > start { parts.append(part(of: text, start, bytes.count)) }
    return parts
}

/// Splits at commas outside braces.
func splitArguments(_ text: Substring) -> [Substring] {
    var parts: [Substring] = []
    var start = 0
    var depth = 0
    let bytes = text.utf8.span
    for at in bytes.indices {
        switch bytes[at] {
        case UInt8(ascii: "{"): depth += 1
        case UInt8(ascii: "}"): depth -= 1
        case UInt8(ascii: ",") where depth == 0:
            parts.append(part(of: text, start, at))
            start = at + 1
        default: break
        }
    }
    parts.append(part(of: text, start, bytes.count))
    return parts
}

/// By offsets of bytes.
private func part(of text: Substring, _ start: Int, _ end: Int) -> Substring {
    let first = text.utf8.index(text.startIndex, offsetBy: start)
    return Substring(text.utf8[first..<text.utf8.index(first, offsetBy: end - start)])
}

/// Words by comma; none of `-`.
func list(_ text: Substring) -> [String] {
    text == "-" ? [] : cut(text, at: ",").map { String(trimmed($0)) }
}

/// What stands behind a word that a line begins with; nil where it begins with another.
func after(_ prefix: StaticString, _ text: Substring) -> Substring? {
    let count = prefix.utf8CodeUnitCount
    let bytes = text.utf8.span
    guard bytes.count >= count else { return nil }
    for at in 0..<count where unsafe bytes[at] != prefix.utf8Start[at] { return nil }
    return trimmed(part(of: text, count, bytes.count))
}

/// Both sides of the first such ASCII character; nil where there is none.
func halves(_ text: Substring, at separator: Unicode.Scalar) -> (Substring, Substring)? {
    guard let index = text.utf8.firstIndex(of: UInt8(truncatingIfNeeded: separator.value)) else { return nil }
    return (trimmed(text[..<index]), trimmed(text[text.utf8.index(after: index)...]))
}

/// Without blanks at its ends.
func trimmed(_ text: Substring) -> Substring {
    func isBlank(_ byte: UInt8) -> Bool { byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") }
    let bytes = text.utf8.span
    var (start, end) = (0, bytes.count)
    while start < end, isBlank(bytes[start]) { start += 1 }
    while end > start, isBlank(bytes[end - 1]) { end -= 1 }
    return start == 0 && end == bytes.count ? text : part(of: text, start, end)
}
