/// Network addresses as text, byte by byte, for whoever has room for it. Nothing allocates.
public enum AddressText {
    /// `127.0.0.1`
    public static func ipv4(_ address: UInt32, _ append: (UInt8) -> Void) {
        for place in 0..<4 as Range<UInt32> {
            let part = UInt8(truncatingIfNeeded: address >> (24 - place * 8))
            if place > 0 { append(UInt8(ascii: ".")) }
            if part >= 100 { append(digit(part / 100)) }
            if part >= 10 { append(digit(part / 10 % 10)) }
            append(digit(part % 10))
        }
    }

    /// 16 bytes by RFC 5952: lower case, no leading zeros, the longest run of zeros as `::`. Nothing of fewer.
    public static func ipv6(_ bytes: RawSpan, _ append: (UInt8) -> Void) {
        guard bytes.byteCount == 16 else { return }
        var groups: [8 of UInt16] = .init(repeating: 0)
        var zeros = 0..<0
        var start = 0
        for index in 0..<8 {
            groups[index] = UInt16(
                bigEndian: unsafe bytes.unsafeLoadUnaligned(fromByteOffset: index * 2, as: UInt16.self))
            if groups[index] != 0 {
                start = index + 1
            } else if index + 1 - start > max(1, zeros.count) {
                zeros = start..<index + 1
            }
        }
        let isMapped = groups[5] == 0xffff && zeros == 0..<5
        var index = 0
        while index < 8 {
            if isMapped && index == 6 {
                append(UInt8(ascii: ":"))
                return ipv4(UInt32(groups[6]) << 16 | UInt32(groups[7]), append)
            }
            if index == zeros.lowerBound, !zeros.isEmpty {
                append(UInt8(ascii: ":"))
                append(UInt8(ascii: ":"))
                index = zeros.upperBound
                continue
            }
            if index > 0, index != zeros.upperBound || zeros.isEmpty { append(UInt8(ascii: ":")) }
            for place in stride(from: max(0, 12 - groups[index].leadingZeroBitCount & ~3), through: 0, by: -4)
            {
                append(digit(UInt8(groups[index] >> UInt16(place) & 15)))
            }
            index += 1
        }
    }

    private static func digit(_ value: UInt8) -> UInt8 {
        value < 10 ? UInt8(ascii: "0") + value : UInt8(ascii: "a") + value - 10
    }
}
