/// Text from traced processes, made safe for what it is printed into.
extension ByteBuffer {
    /// Room that ``append(jsonString:)`` may take for so many bytes: `\u0000` is six for one.
    static func jsonRoom(_ bytes: Int) -> Int { bytes * 6 + 2 }

    /// Appends a quoted JSON string. Control characters are escaped; what is no UTF-8 becomes U+FFFD.
    @inline(__always)
    mutating func append(jsonString bytes: RawSpan) {
        append(UInt8(ascii: "\""))
        append(jsonText: bytes)
        append(UInt8(ascii: "\""))
    }

    /// The same without its quotes.
    @inline(__always)
    mutating func append(jsonText bytes: RawSpan) {
        if Self.isPlain(bytes) { append(bytes) } else { appendEscaped(bytes) }
    }

    /// Whether all bytes are printable ASCII without `"` and `\`, by eight at a time.
    @inline(__always)
    private static func isPlain(_ bytes: RawSpan) -> Bool {
        let ones: UInt64 = 0x0101_0101_0101_0101
        let highs: UInt64 = 0x8080_8080_8080_8080
        var at = 0
        let count = bytes.byteCount
        while at &+ 8 <= count {
            let word = unsafe bytes.unsafeLoadUnaligned(fromByteOffset: at, as: UInt64.self)
            let quotes = word ^ (ones &* 0x22)
            let slashes = word ^ (ones &* 0x5c)
            let deletes = word ^ (ones &* 0x7f)
            // The usual test for a zero byte, and for a byte below 0x20 or above 0x7f.
            let bad =
                (quotes &- ones) & ~quotes | (slashes &- ones) & ~slashes | (deletes &- ones) & ~deletes
                | (word &- ones &* 0x20) & ~word | word
            if bad & highs != 0 { return false }
            at &+= 8
        }
        while at < count {
            let byte = unsafe bytes.unsafeLoad(fromByteOffset: at, as: UInt8.self)
            if byte < 0x20 || byte >= 0x7f || byte == 0x22 || byte == 0x5c { return false }
            at &+= 1
        }
        return true
    }

    @inline(never)
    private mutating func appendEscaped(_ bytes: RawSpan) {
        forEachScalar(in: bytes) { buffer, scalar, piece in
            switch scalar {
            case 0x22: buffer.append("\\\"")
            case 0x5c: buffer.append("\\\\")
            case 0x0a: buffer.append("\\n")
            case 0x0d: buffer.append("\\r")
            case 0x09: buffer.append("\\t")
            case 0..<0x20, 0x7f..<0xa0, 0x2028, 0x2029:
                buffer.append("\\u")
                buffer.append(UInt64(scalar), hexadecimalDigits: 4)
            default: buffer.append(piece)
            }
        }
    }

    /// Appends text for a terminal: control characters as `\x1b`, what is no UTF-8 as U+FFFD.
    /// - Parameter escapesAngles: It stands in angle brackets: those in it are escaped too.
    mutating func append(visible bytes: RawSpan, escapesAngles: Bool = false) {
        reserve(bytes.byteCount * 6)
        forEachScalar(in: bytes) { buffer, scalar, piece in
            switch scalar {
            case 0x0a: buffer.append("\\n")
            case 0x09: buffer.append("\\t")
            case 0..<0x20, 0x7f..<0xa0,
                0x3c where escapesAngles,
                0x3e where escapesAngles:
                buffer.append("\\x")
                buffer.append(UInt64(scalar), hexadecimalDigits: 2)
            // Marks that turn or hide what stands around them.
            case 0x200b...0x200f, 0x202a...0x202e, 0x2066...0x2069, 0xfeff: buffer.append("\u{fffd}")
            default: buffer.append(piece)
            }
        }
    }

    private mutating func forEachScalar(
        in bytes: RawSpan, _ body: (inout ByteBuffer, UInt32, RawSpan) -> Void
    ) {
        var at = 0
        while at < bytes.byteCount {
            let (scalar, length) = Self.scalar(in: bytes, at: at)
            if let scalar {
                body(&self, scalar, bytes.extracting(at..<at + length))
            } else {
                append("\u{fffd}")
            }
            at += length
        }
    }

    /// One scalar of UTF-8 by the table of RFC 3629, or nil and the length of what is wrong.
    private static func scalar(in bytes: RawSpan, at: Int) -> (UInt32?, Int) {
        func byte(_ offset: Int) -> UInt32? {
            at + offset < bytes.byteCount
                ? UInt32(unsafe bytes.unsafeLoad(fromByteOffset: at + offset, as: UInt8.self)) : nil
        }
        guard let first = byte(0) else { return (nil, 1) }
        if first < 0x80 { return (first, 1) }
        let length: Int
        var low: UInt32 = 0x80
        var high: UInt32 = 0xbf
        switch first {
        case 0xc2...0xdf: length = 2
        case 0xe0: (length, low) = (3, 0xa0)
        case 0xed: (length, high) = (3, 0x9f)
        case 0xe1...0xef: length = 3
        case 0xf0: (length, low) = (4, 0x90)
        case 0xf4: (length, high) = (4, 0x8f)
        case 0xf1...0xf3: length = 4
        default: return (nil, 1)
        }
        var scalar = first & (0x7f >> UInt32(length))
        for offset in 1..<length {
            guard let next = byte(offset), next >= low, next <= high else { return (nil, offset) }
            scalar = scalar << 6 | next & 0x3f
            (low, high) = (0x80, 0xbf)
        }
        return (scalar, length)
    }
}
