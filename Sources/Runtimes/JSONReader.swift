/// A JSON text (RFC 8259), checked whole when it is taken in, and read where values are asked for. Text comes from
/// runtimes, and in it from whoever makes images: it may be anything. What is not exactly JSON is refused: broken
/// UTF-8, half surrogate pairs, control characters in strings, anything behind the value.
public struct JSONReader: Sendable {
    public enum Failure: Error, Equatable, CustomStringConvertible, Sendable {
        case tooLong
        case tooDeep
        case tooManyValues
        /// At a byte, counted from 0.
        case malformed(at: Int)

        public var description: String {
            switch self {
            case .tooLong: "it is longer than \(JSONReader.byteLimit >> 20) MiB"
            case .tooDeep: "it is nested deeper than \(JSONReader.depthLimit)"
            case .tooManyValues: "it holds more than \(JSONReader.valueLimit) values"
            case .malformed(let place): "it is no JSON at byte \(place)"
            }
        }
    }

    public static let byteLimit = 4 << 20
    public static let depthLimit = 64
    /// Names of members count as values.
    public static let valueLimit = 200_000

    enum Kind: UInt8 { case null, no, yes, number, string, escapedString, array, object }

    /// A value, or the name of a member. Those inside an array or object follow it.
    struct Node {
        var kind: Kind
        /// In the text; of strings without the quotes.
        var start: Int32
        var end: Int32
        /// The node behind all that is inside.
        var next: Int32 = 0
    }

    let bytes: [UInt8]
    let nodes: [Node]

    public init(_ bytes: [UInt8]) throws(Failure) {
        guard bytes.count <= Self.byteLimit else { throw .tooLong }
        guard (try? UTF8Span(validating: bytes.span)) != nil else {
            throw .malformed(at: Self.firstBroken(bytes))
        }
        var parser = JSONParser(bytes)
        try parser.text()
        self.bytes = bytes
        nodes = parser.nodes
    }

    /// The whole.
    public var root: Value { Value(reader: self, index: 0) }

    /// Where UTF-8 ends to be it; only asked once it is broken.
    private static func firstBroken(_ bytes: [UInt8]) -> Int {
        do throws(UTF8.ValidationError) {
            _ = try UTF8Span(validating: bytes.span)
            return bytes.count
        } catch {
            return error.byteOffsets.lowerBound
        }
    }

    /// One value in the text.
    public struct Value: Sendable {
        let reader: JSONReader
        let index: Int

        private var node: Node { reader.nodes[index] }

        /// The text of a string; nil of anything else.
        public var string: String? {
            switch node.kind {
            case .string: String(decoding: reader.bytes[Int(node.start)..<Int(node.end)], as: UTF8.self)
            case .escapedString: JSONParser.unescape(reader.bytes[Int(node.start)..<Int(node.end)])
            default: nil
            }
        }

        /// A number without fraction and exponent that fits.
        public var integer: Int? {
            guard node.kind == .number else { return nil }
            return Int(String(decoding: reader.bytes[Int(node.start)..<Int(node.end)], as: UTF8.self))
        }

        public var bool: Bool? { node.kind == .yes ? true : node.kind == .no ? false : nil }
        public var isNull: Bool { node.kind == .null }
        public var isObject: Bool { node.kind == .object }
        public var isArray: Bool { node.kind == .array }

        /// The member of an object. Of several of one name the last, as runtimes read it (Go's encoding/json).
        public subscript(_ name: String) -> Value? {
            var found: Value?
            forEachMember { key, value in
                if key.string == name { found = value }
                return true
            }
            return found
        }

        /// The elements of an array; empty of anything else.
        public var elements: [Value] {
            guard node.kind == .array else { return [] }
            var values: [Value] = []
            var at = index + 1
            while at < Int(node.next) {
                values.append(Value(reader: reader, index: at))
                at = Int(reader.nodes[at].next)
            }
            return values
        }

        /// Calls the body with each member of an object: its name as a value, and its value. False ends it.
        public func forEachMember(_ body: (Value, Value) -> Bool) {
            guard node.kind == .object else { return }
            var at = index + 1
            while at + 1 < Int(node.next) {
                let value = Value(reader: reader, index: at + 1)
                guard body(Value(reader: reader, index: at), value) else { return }
                at = Int(reader.nodes[at + 1].next)
            }
        }
    }
}

/// Recursive descent; the depth is bounded.
struct JSONParser {
    private let bytes: [UInt8]
    private var at = 0
    private(set) var nodes: [JSONReader.Node] = []

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    /// 0 at the end, which is no character of JSON.
    private var current: UInt8 { at < bytes.count ? bytes[at] : 0 }

    private var fault: JSONReader.Failure { .malformed(at: at) }

    mutating func text() throws(JSONReader.Failure) {
        skipBlanks()
        try value(depth: 0)
        guard at == bytes.count else { throw fault }
    }

    private mutating func skipBlanks() {
        while current == 0x20 || current == 0x0a || current == 0x0d || current == 0x09 { at += 1 }
    }

    private mutating func append(_ kind: JSONReader.Kind, _ start: Int, _ end: Int) throws(JSONReader.Failure)
    {
        guard nodes.count < JSONReader.valueLimit else { throw .tooManyValues }
        nodes.append(
            JSONReader.Node(kind: kind, start: Int32(start), end: Int32(end), next: Int32(nodes.count + 1)))
    }

    /// One value and the blanks behind it.
    private mutating func value(depth: Int) throws(JSONReader.Failure) {
        switch current {
        case UInt8(ascii: "\""): try string()
        case UInt8(ascii: "{"): try object(depth: depth)
        case UInt8(ascii: "["): try array(depth: depth)
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): try number()
        case UInt8(ascii: "t"): try word("true", .yes)
        case UInt8(ascii: "f"): try word("false", .no)
        case UInt8(ascii: "n"): try word("null", .null)
        default: throw fault
        }
        skipBlanks()
    }

    private mutating func word(_ word: String, _ kind: JSONReader.Kind) throws(JSONReader.Failure) {
        let start = at
        for byte in word.utf8 {
            guard current == byte else { throw fault }
            at += 1
        }
        try append(kind, start, at)
    }

    private mutating func array(depth: Int) throws(JSONReader.Failure) {
        guard depth < JSONReader.depthLimit else { throw .tooDeep }
        let node = nodes.count
        try append(.array, at, at)
        at += 1
        skipBlanks()
        if current != UInt8(ascii: "]") {
            while true {
                try value(depth: depth + 1)
                guard current == UInt8(ascii: ",") else { break }
                at += 1
                skipBlanks()
            }
        }
        try end(node, UInt8(ascii: "]"))
    }

    private mutating func object(depth: Int) throws(JSONReader.Failure) {
        guard depth < JSONReader.depthLimit else { throw .tooDeep }
        let node = nodes.count
        try append(.object, at, at)
        at += 1
        skipBlanks()
        if current != UInt8(ascii: "}") {
            while true {
                guard current == UInt8(ascii: "\"") else { throw fault }
                try string()
                skipBlanks()
                guard current == UInt8(ascii: ":") else { throw fault }
                at += 1
                skipBlanks()
                try value(depth: depth + 1)
                guard current == UInt8(ascii: ",") else { break }
                at += 1
                skipBlanks()
            }
        }
        try end(node, UInt8(ascii: "}"))
    }

    private mutating func end(_ node: Int, _ byte: UInt8) throws(JSONReader.Failure) {
        guard current == byte else { throw fault }
        at += 1
        nodes[node].end = Int32(at)
        nodes[node].next = Int32(nodes.count)
    }

    private mutating func digits() throws(JSONReader.Failure) {
        let start = at
        while current >= UInt8(ascii: "0") && current <= UInt8(ascii: "9") { at += 1 }
        guard at > start else { throw fault }
    }

    private mutating func number() throws(JSONReader.Failure) {
        let start = at
        if current == UInt8(ascii: "-") { at += 1 }
        if current == UInt8(ascii: "0") { at += 1 } else { try digits() }
        if current == UInt8(ascii: ".") {
            at += 1
            try digits()
        }
        if current == UInt8(ascii: "e") || current == UInt8(ascii: "E") {
            at += 1
            if current == UInt8(ascii: "+") || current == UInt8(ascii: "-") { at += 1 }
            try digits()
        }
        try append(.number, start, at)
    }

    private mutating func string() throws(JSONReader.Failure) {
        at += 1
        let start = at
        var isEscaped = false
        while current != UInt8(ascii: "\"") {
            guard current >= 0x20 else { throw fault }
            if current == UInt8(ascii: "\\") {
                isEscaped = true
                try escape()
            } else {
                at += 1
            }
        }
        try append(isEscaped ? .escapedString : .string, start, at)
        at += 1
    }

    private mutating func escape() throws(JSONReader.Failure) {
        at += 1
        switch current {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"), UInt8(ascii: "b"), UInt8(ascii: "f"),
            UInt8(ascii: "n"), UInt8(ascii: "r"), UInt8(ascii: "t"):
            at += 1
        case UInt8(ascii: "u"):
            let first = try unit()
            if first & 0xfc00 == 0xd800 {
                guard current == UInt8(ascii: "\\") else { throw fault }
                at += 1
                guard current == UInt8(ascii: "u"), try unit() & 0xfc00 == 0xdc00 else { throw fault }
            } else if first & 0xfc00 == 0xdc00 {
                throw fault
            }
        default: throw fault
        }
    }

    /// The four digits behind a `u`.
    private mutating func unit() throws(JSONReader.Failure) -> UInt32 {
        at += 1
        var unit: UInt32 = 0
        for _ in 0..<4 {
            guard let digit = Self.digit(current) else { throw fault }
            unit = unit << 4 | digit
            at += 1
        }
        return unit
    }

    private static func digit(_ byte: UInt8) -> UInt32? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt32(byte - UInt8(ascii: "0"))
        case UInt8(ascii: "a")...UInt8(ascii: "f"): UInt32(byte - UInt8(ascii: "a")) + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): UInt32(byte - UInt8(ascii: "A")) + 10
        default: nil
        }
    }

    /// What a string with escapes says. It was checked before.
    static func unescape(_ text: ArraySlice<UInt8>) -> String {
        var scalars = ""
        var plain: [UInt8] = []
        var at = text.startIndex
        func unit() -> UInt32 {
            let unit = text[at...].prefix(4).reduce(0) { $0 << 4 | (digit($1) ?? 0) }
            at = min(at + 4, text.endIndex)
            return unit
        }
        while at < text.endIndex {
            let byte = text[at]
            at += 1
            guard byte == UInt8(ascii: "\\"), at < text.endIndex else {
                plain.append(byte)
                continue
            }
            let kind = text[at]
            at += 1
            switch kind {
            case UInt8(ascii: "b"): plain.append(0x08)
            case UInt8(ascii: "f"): plain.append(0x0c)
            case UInt8(ascii: "n"): plain.append(0x0a)
            case UInt8(ascii: "r"): plain.append(0x0d)
            case UInt8(ascii: "t"): plain.append(0x09)
            case UInt8(ascii: "u"):
                var code = unit()
                if code & 0xfc00 == 0xd800 {
                    at = min(at + 2, text.endIndex)
                    code = 0x10000 + (code & 0x3ff) << 10 + unit() & 0x3ff
                }
                scalars += String(decoding: plain, as: UTF8.self)
                plain = []
                scalars.unicodeScalars.append(Unicode.Scalar(code) ?? "\u{fffd}")
            default: plain.append(kind)
            }
        }
        return scalars + String(decoding: plain, as: UTF8.self)
    }
}
