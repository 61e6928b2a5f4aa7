/// Sets of capabilities as capset(2) has them: two words for each set (include/uapi/linux/capability.h).
enum CapabilityText {
    /// The most that ``ByteBuffer/append(capabilities:)`` writes.
    static let room = 3 * (64 * 40) + 64

    fileprivate static let names = NumberWords("capability", width: 32)
}

extension ByteBuffer {
    /// `{effective=1<<CAP_CHOWN|1<<CAP_KILL, permitted=0, inheritable=0}`, of 24 bytes, or of 12 with a word of each. The room
    /// is the caller's.
    mutating func append(capabilities bytes: RawSpan) {
        let sets: [3 of StaticString] = ["{effective=", ", permitted=", ", inheritable="]
        for set in sets.indices {
            append(sets[set])
            guard bytes.byteCount >= 12 else { continue }
            let low = unsafe bytes.unsafeLoadUnaligned(fromByteOffset: 4 * set, as: UInt32.self)
            let high =
                bytes.byteCount < 24
                ? 0 : unsafe bytes.unsafeLoadUnaligned(fromByteOffset: 12 + 4 * set, as: UInt32.self)
            if low != 0 || high == 0 { append(capabilities: low, from: 0) }
            if high != 0 {
                if low != 0 { append("|") }
                append(capabilities: high, from: 32)
            }
        }
        append("}")
    }

    /// The bits of one word, of which the lowest is `first`; what has no name at the end.
    private mutating func append(capabilities word: UInt32, from first: UInt64) {
        guard word != 0 else { return append("0") }
        var (rest, unnamed, isFirst) = (word, UInt32(0), true)
        while rest != 0 {
            let bit = rest.trailingZeroBitCount
            rest &= rest - 1
            let start = count
            append(isFirst ? "1<<" : "|1<<")
            if append(nameOf: first + UInt64(bit), by: CapabilityText.names) {
                isFirst = false
            } else {
                truncate(to: start)
                unnamed |= 1 << UInt32(bit)
            }
        }
        if unnamed != 0 {
            if !isFirst { append("|") }
            append(hexadecimal: UInt64(unnamed))
        }
    }
}
