internal import Catalog
internal import Events

/// Room for one printed number, address or path, without the heap. What does not fit is cut.
struct PrintedText {
    private var bytes: [256 of UInt8] = .init(repeating: 0)
    private(set) var count = 0

    var span: RawSpan {
        @_lifetime(borrow self) get { unsafe bytes.span.bytes.extracting(first: count) }
    }

    mutating func append(_ byte: UInt8) {
        guard count < 256 else { return }
        bytes[count] = byte
        count += 1
    }

    mutating func append(_ text: StaticString) {
        for at in 0..<text.utf8CodeUnitCount { unsafe append(text.utf8Start[at]) }
    }

    mutating func append(_ text: RawSpan) {
        for at in 0..<text.byteCount { unsafe append(text.unsafeLoad(fromByteOffset: at, as: UInt8.self)) }
    }

    mutating func append(decimal value: UInt64) {
        let start = count
        var rest = value
        repeat {
            append(UInt8(ascii: "0") + UInt8(rest % 10))
            rest /= 10
        } while rest > 0
        reverse(from: start)
    }

    mutating func append(decimal value: Int64) {
        if value < 0 { append(UInt8(ascii: "-")) }
        append(decimal: value.magnitude)
    }

    mutating func append(hexadecimal value: UInt64) {
        append("0x")
        let start = count
        var rest = value
        repeat {
            let digit = UInt8(rest & 15)
            append(digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "a") + digit - 10)
            rest >>= 4
        } while rest > 0
        reverse(from: start)
    }

    private mutating func reverse(from start: Int) {
        var (low, high) = (start, count - 1)
        while low < high {
            (bytes[low], bytes[high]) = (bytes[high], bytes[low])
            low += 1
            high -= 1
        }
    }

    mutating func append(ipv4 address: UInt32) { AddressText.ipv4(address) { append($0) } }

    mutating func append(ipv6 address: RawSpan) { AddressText.ipv6(address) { append($0) } }
}

extension PatternSet {
    /// Whether a pattern matches what is printed of a field; the table is at ``Expression/matches(_:_:)``.
    func matches(_ field: FieldReference, in event: EventView, _ context: borrowing EvaluationContext)
        -> Truth
    {
        switch field.type {
        case .string, .bytes:
            guard let text = field.text(in: event, context) else { return .unknown }
            return Truth(matches(text))
        case .bool:
            guard let value = field.bits(in: event, context) else { return .unknown }
            return Truth(matches { $0.append(value == 0 ? "false" : "true") })
        case .int32, .int64:
            guard let value = field.bits(in: event, context) else { return .unknown }
            return Truth(matches { $0.append(decimal: Int64(bitPattern: value)) })
        case .uint16, .uint32, .uint64, .time:
            guard let value = field.bits(in: event, context) else { return .unknown }
            return Truth(matches { $0.append(decimal: value) })
        case .pointer:
            guard let value = field.bits(in: event, context) else { return .unknown }
            return Truth(matches(pointer: value))
        case .stringArray, .uint64Array, .credentials, .socketAddress, .int32Pair, .timespec:
            guard case .data(let index) = field.subject, let blob = event.blob(index) else { return .unknown }
            return matches(blob, field.type)
        }
    }

    @inline(__always)
    private func matches(_ print: (inout PrintedText) -> Void) -> Bool {
        var text = PrintedText()
        print(&text)
        return matches(text.span)
    }

    private func matches(pointer value: UInt64) -> Bool {
        matches { $0.append(decimal: value) } || matches { $0.append(hexadecimal: value) }
    }

    private func matches(_ blob: BlobView, _ type: FieldType) -> Truth {
        let bytes = blob.bytes
        switch type {
        case .stringArray:
            var isFound = false
            blob.forEachString { if !isFound { isFound = matches($0) } }
            return Truth(isFound)
        case .uint64Array:
            for at in stride(from: 0, to: bytes.byteCount & ~7, by: 8)
            where matches(pointer: unsafe bytes.unsafeLoadUnaligned(fromByteOffset: at, as: UInt64.self)) {
                return .yes
            }
            return .no
        case .int32Pair:
            guard bytes.byteCount >= 8 else { return .unknown }
            for at in stride(from: 0, to: 8, by: 4) {
                let value = unsafe bytes.unsafeLoadUnaligned(fromByteOffset: at, as: Int32.self)
                if matches({ $0.append(decimal: Int64(value)) }) { return .yes }
            }
            return .no
        case .timespec: return matches(timespec: bytes)
        case .socketAddress:
            guard let address = SocketAddress(bytes) else { return .unknown }
            return matches(address)
        case .credentials:
            guard let credentials = Credentials(bytes) else { return .unknown }
            return Truth(matches(credentials))
        case .int32, .uint32, .int64, .uint64, .uint16, .bool, .pointer, .string, .bytes, .time:
            return .unknown
        }
    }

    /// What is no time is unknown.
    private func matches(timespec bytes: RawSpan) -> Truth {
        guard let time = Timespec(bytes), time.isTime else { return .unknown }
        var nanoseconds = time.nanoseconds
        var text = PrintedText()
        text.append(decimal: time.seconds)
        if nanoseconds > 0 { text.append(".") }
        var scale: Int64 = 100_000_000
        while nanoseconds > 0 {
            text.append(UInt8(ascii: "0") + UInt8(nanoseconds / scale))
            nanoseconds %= scale
            scale /= 10
        }
        return Truth(matches(text.span))
    }

    /// A family without an address that is printed matches nothing.
    private func matches(_ address: borrowing SocketAddress) -> Truth {
        var text = PrintedText()
        switch address {
        case .ipv4(let bits, let port):
            text.append(ipv4: bits)
            if matches(text.span) { return .yes }
            text.append(":")
            text.append(decimal: UInt64(port))
            return Truth(matches(text.span))
        case .ipv6(let bytes, let port, _, _):
            text.append(ipv6: bytes)
            if matches(text.span) { return .yes }
            text = PrintedText()
            text.append("[")
            text.append(ipv6: bytes)
            text.append("]:")
            text.append(decimal: UInt64(port))
            return Truth(matches(text.span))
        case .unix(let path, let isAbstract):
            if isAbstract { text.append("@") }
            // struct sockaddr_un has 108 bytes for it.
            text.append(path)
            return Truth(matches(text.span))
        case .other: return .no
        }
    }

    private func matches(_ credentials: Credentials) -> Bool {
        var isFound = false
        credentials.forEachID { index, id in
            if isFound { return }
            isFound = matches {
                $0.append(Credentials.idNames[index])
                $0.append("=")
                $0.append(decimal: UInt64(id))
            }
        }
        credentials.forEachSet { index, set in
            if isFound { return }
            isFound = matches {
                $0.append(Credentials.capabilityNames[index])
                $0.append("=")
                $0.append(hexadecimal: set)
            }
        }
        return isFound
    }
}
