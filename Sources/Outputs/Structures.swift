internal import Events

/// Values that are neither a number nor a text.
extension ByteBuffer {
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
