/// Messages of Protocol Buffers as bytes: only what is asked for here, texts and messages in them.
struct Protobuf {
    enum Failure: Error, Equatable { case malformed }

    /// Fields of a message that are looked at.
    static let fieldLimit = 20_000

    private let bytes: ArraySlice<UInt8>

    init(_ bytes: [UInt8]) { self.bytes = bytes[...] }
    private init(_ bytes: ArraySlice<UInt8>) { self.bytes = bytes }

    /// Calls the body with the number and the content of each field that has a length; the others are passed over.
    private func forEach(_ body: (Int, ArraySlice<UInt8>) -> Void) throws(Failure) {
        var at = bytes.startIndex
        var count = 0
        while at < bytes.endIndex {
            count += 1
            guard count <= Self.fieldLimit else { throw .malformed }
            let tag = try varint(&at)
            let number = Int(truncatingIfNeeded: tag >> 3)
            guard number > 0, number < 1 << 29 else { throw .malformed }
            switch tag & 7 {
            case 0: _ = try varint(&at)
            case 1: try skip(8, &at)
            case 2:
                let length = try varint(&at)
                guard length <= UInt64(bytes.endIndex - at) else { throw .malformed }
                let end = at + Int(length)
                body(number, bytes[at..<end])
                at = end
            case 5: try skip(4, &at)
            default: throw .malformed
            }
        }
    }

    private func skip(_ count: Int, _ at: inout Int) throws(Failure) {
        guard bytes.endIndex - at >= count else { throw .malformed }
        at += count
    }

    private func varint(_ at: inout Int) throws(Failure) -> UInt64 {
        var value: UInt64 = 0
        for shift in stride(from: 0 as UInt64, through: 63, by: 7) {
            guard at < bytes.endIndex else { throw .malformed }
            let byte = bytes[at]
            at += 1
            value |= UInt64(byte & 127) << shift
            if byte < 128 { return value }
        }
        throw .malformed
    }

    /// Of several the last, as the format says.
    private func last(_ wanted: Int) throws(Failure) -> ArraySlice<UInt8>? {
        var found: ArraySlice<UInt8>?
        try forEach { number, content in if number == wanted { found = content } }
        return found
    }

    func message(_ number: Int) throws(Failure) -> Protobuf? { try last(number).map { Protobuf($0) } }

    /// The messages of a repeated field, the first `limit`.
    func messages(_ number: Int, limit: Int) throws(Failure) -> [Protobuf] {
        var found: [Protobuf] = []
        try forEach { at, content in if at == number, found.count < limit { found.append(Protobuf(content)) }
        }
        return found
    }

    /// Text at most as long as ``ContainerDetails`` takes it; nil where it is missing or empty.
    func text(_ number: Int) throws(Failure) -> String? {
        guard let found = try last(number), !found.isEmpty else { return nil }
        return String(decoding: found.prefix(4096), as: UTF8.self)
    }

    /// A `map<string, string>`: messages of a key and a value. What is beyond the limits is left out.
    func map(_ number: Int, limit: Int, byteLimit: Int) throws(Failure) -> [String: String] {
        var map: [String: String] = [:]
        var entries: [ArraySlice<UInt8>] = []
        var bytes = 0
        try forEach { found, content in
            bytes += found == number ? content.count : 0
            if found == number, entries.count < limit, bytes <= byteLimit { entries.append(content) }
        }
        for entry in entries {
            let entry = Protobuf(entry)
            map[try entry.text(1) ?? ""] = try entry.text(2) ?? ""
        }
        return map
    }

    /// A message with one text.
    static func message(_ number: Int, _ text: String) -> [UInt8] {
        let bytes = Array(text.utf8)
        return varint(UInt64(number) << 3 | 2) + varint(UInt64(bytes.count)) + bytes
    }

    private static func varint(_ value: UInt64) -> [UInt8] {
        var bytes: [UInt8] = []
        var rest = value
        while rest >= 128 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 128)
            rest >>= 7
        }
        return bytes + [UInt8(truncatingIfNeeded: rest)]
    }
}
