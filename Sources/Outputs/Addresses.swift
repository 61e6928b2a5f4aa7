/// Network addresses and times as text.
extension ByteBuffer {
    /// `127.0.0.1`
    mutating func append(ipv4 address: UInt32) {
        for shift in [24, 16, 8, 0] as [UInt32] {
            append(decimal: UInt64(address >> shift & 255))
            if shift > 0 { append(UInt8(ascii: ".")) }
        }
    }

    /// 16 bytes by RFC 5952: lower case, no leading zeros, the longest run of zeros as `::`.
    mutating func append(ipv6 bytes: RawSpan) {
        guard bytes.byteCount == 16 else { return }
        let group = { (index: Int, bytes: RawSpan) in
            UInt16(bigEndian: unsafe bytes.unsafeLoadUnaligned(fromByteOffset: index * 2, as: UInt16.self))
        }
        if (0..<5).allSatisfy({ group($0, bytes) == 0 }), group(5, bytes) == 0xffff {
            append("::ffff:")
            return append(ipv4: UInt32(group(6, bytes)) << 16 | UInt32(group(7, bytes)))
        }
        var longest = 0..<0
        var start = 0
        while start < 8 {
            var end = start
            while end < 8, group(end, bytes) == 0 { end += 1 }
            if end - start > longest.count, end - start > 1 { longest = start..<end }
            start = max(end, start + 1)
        }
        var index = 0
        while index < 8 {
            if !longest.isEmpty, index == longest.lowerBound {
                append("::")
                index = longest.upperBound
                continue
            }
            if index > 0, index != longest.upperBound || longest.isEmpty { append(UInt8(ascii: ":")) }
            let value = group(index, bytes)
            let digits = max(1, (19 - value.leadingZeroBitCount) / 4)
            for place in stride(from: digits - 1, through: 0, by: -1) {
                let digit = UInt8(truncatingIfNeeded: value >> UInt16(place * 4) & 15)
                append(digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "a") + digit - 10)
            }
            index += 1
        }
    }
}

/// Seconds and nanoseconds as the kernel takes and gives them.
struct Timespec {
    let seconds: Int64
    let nanoseconds: Int64

    /// 16 bytes, or 8 of a 32-bit caller.
    init?(_ bytes: RawSpan) {
        switch bytes.byteCount {
        case 16...:
            seconds = unsafe bytes.unsafeLoadUnaligned(fromByteOffset: 0, as: Int64.self)
            nanoseconds = unsafe bytes.unsafeLoadUnaligned(fromByteOffset: 8, as: Int64.self)
        case 8:
            seconds = Int64(unsafe bytes.unsafeLoadUnaligned(fromByteOffset: 0, as: Int32.self))
            nanoseconds = Int64(unsafe bytes.unsafeLoadUnaligned(fromByteOffset: 4, as: Int32.self))
        default: return nil
        }
    }

    /// As a decimal number of seconds. Exact where the nanoseconds are valid; a caller's nonsense
    /// (UTIME_NOW and UTIME_OMIT among it) is added up as floating point.
    func append(to buffer: inout ByteBuffer) {
        guard seconds >= 0, (0..<1_000_000_000).contains(nanoseconds) else {
            return buffer.append("\(Double(seconds) + Double(nanoseconds) / 1e9)")
        }
        buffer.append(decimal: seconds)
        guard nanoseconds > 0 else { return }
        buffer.append(UInt8(ascii: "."))
        let start = buffer.count
        var scale: Int64 = 100_000_000
        while scale > 0 {
            buffer.append(UInt8(ascii: "0") + UInt8(nanoseconds / scale % 10))
            scale /= 10
        }
        buffer.dropTrailingZeros(downTo: start + 1)
    }
}
