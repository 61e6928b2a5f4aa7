/// Reads field blocks of HTTP/2 (HPACK, RFC 7541), with the table that they build up on a connection. The fields that
/// we send need none of it but literals.
struct HPACK {
    enum Failure: Error, Equatable {
        case malformed
        case tooLong
    }

    struct Field: Equatable {
        var name: [UInt8]
        var value: [UInt8]
        /// As section 4.1 counts it.
        var size: Int { name.count + value.count + 32 }
    }

    /// Bytes of all fields of a block.
    static let blockLimit = 64 << 10
    /// What a table may take, if nothing else was agreed; and we agree to nothing else.
    static let tableLimit = 4096

    private var table: [Field] = []
    private var tableSize = 0
    private var capacity = tableLimit

    /// The fields of a whole block.
    mutating func decode(_ block: [UInt8]) throws(Failure) -> [Field] {
        var reader = Reader(block)
        var fields: [Field] = []
        var bytes = 0
        while let first = reader.peek {
            var field: Field?
            switch first {
            case 0x80...: field = try entry(try reader.integer(bits: 7))
            case 0x40...:
                let literal = try self.literal(&reader, bits: 6)
                insert(literal)
                field = literal
            case 0x20...:
                // A change of the table's size comes before all fields.
                let size = try reader.integer(bits: 5)
                guard fields.isEmpty, size <= Self.tableLimit else { throw .malformed }
                capacity = size
                evict(to: capacity)
            default: field = try literal(&reader, bits: 4)
            }
            guard let field else { continue }
            bytes += field.size
            guard bytes <= Self.blockLimit else { throw .tooLong }
            fields.append(field)
        }
        return fields
    }

    private func literal(_ reader: inout Reader, bits: Int) throws(Failure) -> Field {
        let index = try reader.integer(bits: bits)
        let name = index == 0 ? try reader.string() : try entry(index).name
        return Field(name: name, value: try reader.string())
    }

    private func entry(_ index: Int) throws(Failure) -> Field {
        guard index > 0 else { throw .malformed }
        if index <= Self.fixed.count {
            let entry = Self.fixed[index - 1]
            return Field(name: Array(entry.0.utf8), value: Array(entry.1.utf8))
        }
        let place = index - Self.fixed.count - 1
        guard place < table.count else { throw .malformed }
        return table[place]
    }

    private mutating func insert(_ field: Field) {
        guard field.size <= capacity else { return evict(to: 0) }
        evict(to: capacity - field.size)
        table.insert(field, at: 0)
        tableSize += field.size
    }

    private mutating func evict(to size: Int) {
        while tableSize > size, let last = table.popLast() { tableSize -= last.size }
    }

    /// A field that is never put into a table (section 6.2.3), without Huffman's code.
    static func literal(_ name: String, _ value: String) -> [UInt8] {
        [0x10] + string(name) + string(value)
    }

    private static func string(_ text: String) -> [UInt8] {
        let bytes = Array(text.utf8)
        guard bytes.count >= 127 else { return [UInt8(bytes.count)] + bytes }
        var length: [UInt8] = [127]
        var rest = bytes.count - 127
        while rest >= 128 {
            length.append(UInt8(rest & 127) | 128)
            rest >>= 7
        }
        return length + [UInt8(rest)] + bytes
    }

    /// Section 5.
    private struct Reader {
        private let bytes: [UInt8]
        private var at = 0

        init(_ bytes: [UInt8]) { self.bytes = bytes }

        var peek: UInt8? { at < bytes.count ? bytes[at] : nil }

        mutating func integer(bits: Int) throws(Failure) -> Int {
            guard at < bytes.count else { throw .malformed }
            let mask = 1 << bits - 1
            var value = Int(bytes[at]) & mask
            at += 1
            guard value == mask else { return value }
            // Four further bytes are more than any limit here.
            for shift in stride(from: 0, through: 21, by: 7) {
                guard at < bytes.count else { throw .malformed }
                let byte = Int(bytes[at])
                at += 1
                value += (byte & 127) << shift
                if byte < 128 { return value }
            }
            throw .malformed
        }

        mutating func string() throws(Failure) -> [UInt8] {
            guard let first = peek else { throw .malformed }
            let length = try integer(bits: 7)
            guard length <= bytes.count - at else { throw .malformed }
            let text = bytes[at..<at + length]
            at += length
            return first >= 128 ? try Huffman.decode(text) : Array(text)
        }
    }

    /// Appendix A.
    private static let fixed: [(String, String)] = [
        (":authority", ""), (":method", "GET"), (":method", "POST"), (":path", "/"), (":path", "/index.html"),
        (":scheme", "http"), (":scheme", "https"), (":status", "200"), (":status", "204"), (":status", "206"),
        (":status", "304"), (":status", "400"), (":status", "404"), (":status", "500"),
        ("accept-charset", ""),
        ("accept-encoding", "gzip, deflate"), ("accept-language", ""), ("accept-ranges", ""), ("accept", ""),
        ("access-control-allow-origin", ""), ("age", ""), ("allow", ""), ("authorization", ""),
        ("cache-control", ""), ("content-disposition", ""), ("content-encoding", ""),
        ("content-language", ""),
        ("content-length", ""), ("content-location", ""), ("content-range", ""), ("content-type", ""),
        ("cookie", ""), ("date", ""), ("etag", ""), ("expect", ""), ("expires", ""), ("from", ""),
        ("host", ""),
        ("if-match", ""), ("if-modified-since", ""), ("if-none-match", ""), ("if-range", ""),
        ("if-unmodified-since", ""), ("last-modified", ""), ("link", ""), ("location", ""),
        ("max-forwards", ""),
        ("proxy-authenticate", ""), ("proxy-authorization", ""), ("range", ""), ("referer", ""),
        ("refresh", ""),
        ("retry-after", ""), ("server", ""), ("set-cookie", ""), ("strict-transport-security", ""),
        ("transfer-encoding", ""), ("user-agent", ""), ("vary", ""), ("via", ""), ("www-authenticate", ""),
    ]
}

/// Huffman's code of HPACK. It is canonical: codes of one length count up in the order of the symbols, so that the
/// lengths say all.
enum Huffman {
    /// Symbols of each length (RFC 7541, appendix B); 256 is the end, which no text holds.
    static let symbols: [(length: Int, symbols: [Int])] = [
        (5, [48, 49, 50, 97, 99, 101, 105, 111, 115, 116]),
        (
            6,
            [
                32, 37, 45, 46, 47, 51, 52, 53, 54, 55, 56, 57, 61, 65, 95, 98, 100, 102, 103, 104, 108, 109,
                110, 112,
                114, 117,
            ]
        ),
        (7, [58] + Array(66...87) + [89, 106, 107, 113, 118, 119, 120, 121, 122]),
        (8, [38, 42, 44, 59, 88, 90]), (10, [33, 34, 40, 41, 63]), (11, [39, 43, 124]), (12, [35, 62]),
        (13, [0, 36, 64, 91, 93, 126]), (14, [94, 125]), (15, [60, 96, 123]), (19, [92, 195, 208]),
        (20, [128, 130, 131, 162, 184, 194, 224, 226]),
        (21, [153, 161, 167, 172, 176, 177, 179, 209, 216, 217, 227, 229, 230]),
        (
            22,
            [
                129, 132, 133, 134, 136, 146, 154, 156, 160, 163, 164, 169, 170, 173, 178, 181, 185, 186, 187,
                189, 190,
                196, 198, 228, 232, 233,
            ]
        ),
        (
            23,
            [
                1, 135, 137, 138, 139, 140, 141, 143, 147, 149, 150, 151, 152, 155, 157, 158, 165, 166, 168,
                174, 175,
                180, 182, 183, 188, 191, 197, 231, 239,
            ]
        ),
        (24, [9, 142, 144, 145, 148, 159, 171, 206, 215, 225, 236, 237]), (25, [199, 207, 234, 235]),
        (26, [192, 193, 200, 201, 202, 205, 210, 213, 218, 219, 238, 240, 242, 243, 255]),
        (
            27,
            [203, 204, 211, 212, 214, 221, 222, 223, 241, 244, 245, 246, 247, 248, 250, 251, 252, 253, 254]
        ),
        (28, Array(2...8) + [11, 12] + Array(14...21) + Array(23...31) + [127, 220, 249]),
        (30, [10, 13, 22, 256]),
    ]

    static func decode(_ bytes: ArraySlice<UInt8>) throws(HPACK.Failure) -> [UInt8] {
        var text: [UInt8] = []
        // What was read of a code, the first code of the length it is compared with, and where that length is.
        var (code, length) = (0, 0)
        var (first, row) = (0, 0)
        var rowLength = symbols[0].length
        for byte in bytes {
            for bit in stride(from: 7, through: 0, by: -1) {
                code = code << 1 | Int(byte >> UInt8(bit)) & 1
                length += 1
                guard length == rowLength else { continue }
                if code - first < symbols[row].symbols.count {
                    let symbol = symbols[row].symbols[code - first]
                    guard symbol < 256 else { throw .malformed }
                    text.append(UInt8(symbol))
                    (code, length, first, row) = (0, 0, 0, 0)
                } else {
                    guard row + 1 < symbols.count else { throw .malformed }
                    first = (first + symbols[row].symbols.count) << (symbols[row + 1].length - rowLength)
                    row += 1
                }
                rowLength = symbols[row].length
            }
        }
        // What is left is the beginning of the end's code, all ones, and less than a byte (section 5.2).
        guard length < 8, code == 1 << length - 1 else { throw .malformed }
        return text
    }
}
