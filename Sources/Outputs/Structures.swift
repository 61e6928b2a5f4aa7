internal import Catalog
internal import Events

extension ByteBuffer {
    /// A number or a truth as people read it; nothing for another type. At most 20 bytes; the room is the caller's.
    mutating func append(plain value: UInt64, _ type: FieldType, _ clock: Clock) {
        switch type {
        case .int32: append(decimal: Int64(Int32(truncatingIfNeeded: value)))
        case .uint32: append(decimal: UInt64(UInt32(truncatingIfNeeded: value)))
        case .uint16: append(decimal: UInt64(UInt16(truncatingIfNeeded: value)))
        case .int64: append(decimal: Int64(bitPattern: value))
        case .uint64: append(decimal: value)
        case .time: append(decimal: value &+ clock.bootOffset)
        case .bool: append(value != 0 ? "true" : "false")
        case .pointer, .string, .stringArray, .int32Pair, .timespec, .socketAddress, .bytes, .uint64Array,
            .credentials:
            return
        }
    }
}

/// Values that are neither a number nor a text.
extension ByteBuffer {
    /// `[3, 4]`, of at least eight bytes. The room is the caller's.
    mutating func append(int32Pair bytes: RawSpan, separator: StaticString) {
        append("[")
        append(decimal: Int64(unsafe bytes.unsafeLoadUnaligned(fromByteOffset: 0, as: Int32.self)))
        append(separator)
        append(decimal: Int64(unsafe bytes.unsafeLoadUnaligned(fromByteOffset: 4, as: Int32.self)))
        append("]")
    }

    /// `[0x1, 0x2]`, of all whole numbers of 64 bits. The room is the caller's.
    mutating func append(hexadecimals bytes: RawSpan, separator: StaticString) {
        append("[")
        for at in stride(from: 0, to: bytes.byteCount & ~7, by: 8) {
            if at > 0 { append(separator) }
            append(hexadecimal: unsafe bytes.unsafeLoadUnaligned(fromByteOffset: at, as: UInt64.self))
        }
        append("]")
    }

    /// Bytes as a value of their own in JSON: `{"bytes":"YWJj"}`. The room is the caller's.
    mutating func append(jsonBytes bytes: RawSpan) {
        append("{\"bytes\":\"")
        append(base64: bytes)
        append("\"}")
    }

    /// RFC 4648, with padding. The room is the caller's.
    mutating func append(base64 bytes: RawSpan) {
        var at = 0
        while at < bytes.byteCount {
            var bits: UInt32 = 0
            let present = min(3, bytes.byteCount - at)
            for place in 0..<present {
                bits |=
                    UInt32(unsafe bytes.unsafeLoad(fromByteOffset: at + place, as: UInt8.self))
                    << UInt32(16 - 8 * place)
            }
            for place in 0..<4 {
                append(
                    place <= present
                        ? Self.base64Letter(bits >> UInt32(18 - 6 * place) & 63) : UInt8(ascii: "="))
            }
            at += 3
        }
    }

    private static func base64Letter(_ value: UInt32) -> UInt8 {
        switch UInt8(value) {
        case let value where value < 26: UInt8(ascii: "A") + value
        case let value where value < 52: UInt8(ascii: "a") + value - 26
        case let value where value < 62: UInt8(ascii: "0") + value - 52
        case 62: UInt8(ascii: "+")
        default: UInt8(ascii: "/")
        }
    }

    /// The members of a JSON object, capabilities as lists of their names. The room is the caller's.
    mutating func append(json credentials: Credentials) {
        credentials.forEachID { index, id in
            append(index == 0 ? "\"" : ",\"")
            append(Credentials.idNames[index])
            append("\":")
            append(decimal: UInt64(id))
        }
        credentials.forEachSet { index, set in
            append(",\"")
            append(Credentials.capabilityNames[index])
            append("\":[")
            var isFirst = true
            for number in 0..<64 where set >> UInt64(number) & 1 == 1 {
                guard let name = Credentials.name(ofCapability: number) else { continue }
                append(isFirst ? "\"" : ",\"")
                append(name)
                append("\"")
                isFirst = false
            }
            append("]")
        }
    }

    /// For people: ids, and capabilities as bits. At most 640 bytes; the room is the caller's.
    mutating func append(words credentials: Credentials) {
        append("[")
        credentials.forEachID { index, id in
            if index > 0 { append(" ") }
            append(Credentials.idNames[index])
            append("=")
            append(decimal: UInt64(id))
        }
        credentials.forEachSet { index, set in
            append(" ")
            append(Credentials.capabilityNames[index])
            append("=")
            append(hexadecimal: set)
        }
        append("]")
    }
}

extension Credentials {
    /// Room for them in JSON: all names of five sets are 4 KiB.
    static let jsonRoom = 6144
}
