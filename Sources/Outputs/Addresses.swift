internal import Events

/// Network addresses and times as text.
extension ByteBuffer {
    /// `127.0.0.1`
    mutating func append(ipv4 address: UInt32) { AddressText.ipv4(address) { append($0) } }

    /// 16 bytes by RFC 5952.
    mutating func append(ipv6 bytes: RawSpan) { AddressText.ipv6(bytes) { append($0) } }
}

extension Timespec {
    /// As a decimal number of seconds. Exact where the nanoseconds are valid; a caller's nonsense
    /// (UTIME_NOW and UTIME_OMIT among it) is added up as floating point.
    func append(to buffer: inout ByteBuffer) {
        guard isTime else {
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
