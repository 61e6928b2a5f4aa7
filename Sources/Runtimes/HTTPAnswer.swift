/// Reads an answer of HTTP/1.1 (RFC 9112) as it comes: enough for one request on a connection of its own. All is
/// bounded, and what is ambiguous is refused.
struct HTTPAnswer {
    enum Failure: Error, Equatable {
        case malformed
        case tooLong
    }

    private enum State {
        case head
        case body(left: Int)
        /// At the line that tells the size of the next piece.
        case size
        case piece(left: Int)
        case pieceEnd
        /// Fields behind the last piece.
        case trailer
        case untilEnd
        case done
    }

    static let headLimit = 64 << 10
    static let lineLimit = 1024

    private let limit: Int
    private var state = State.head
    private var waiting: [UInt8] = []
    private var at = 0
    private var trailerBytes = 0

    private(set) var status = 0
    private(set) var body: [UInt8] = []
    /// All is there.
    var isWhole: Bool { if case .done = state { true } else { false } }

    /// - Parameter limit: bytes of the body.
    init(limit: Int) { self.limit = limit }

    /// Takes bytes in. What is behind the end of the answer is left.
    mutating func feed(_ bytes: [UInt8]) throws(Failure) {
        waiting += bytes
        while try step() {}
        waiting.removeFirst(at)
        at = 0
    }

    /// The other side has closed: an answer without a length is whole then, any other is not.
    mutating func end() throws(Failure) {
        switch state {
        case .untilEnd: state = .done
        case .done: break
        default: throw .malformed
        }
    }

    /// False when more bytes are needed, or none.
    private mutating func step() throws(Failure) -> Bool {
        switch state {
        case .head: return try head()
        case .body(let left):
            let taken = try take(left)
            state = left == taken ? .done : .body(left: left - taken)
            return left == taken
        case .untilEnd:
            _ = try take(waiting.count - at)
            return false
        case .size:
            guard let line = try line() else { return false }
            // `;` begins extensions.
            let digits = line.prefix { $0 != UInt8(ascii: ";") && $0 != 0x20 && $0 != 0x09 }
            guard !digits.isEmpty, digits.count <= 8,
                let size = Int(String(decoding: digits, as: UTF8.self), radix: 16), size >= 0,
                Self.isHexadecimal(digits)
            else { throw .malformed }
            state = size == 0 ? .trailer : .piece(left: size)
            return true
        case .piece(let left):
            let taken = try take(left)
            state = left == taken ? .pieceEnd : .piece(left: left - taken)
            return left == taken
        case .pieceEnd:
            guard let line = try line() else { return false }
            guard line.isEmpty else { throw .malformed }
            state = .size
            return true
        case .trailer:
            guard let line = try line() else { return false }
            trailerBytes += line.count + 2
            guard trailerBytes <= Self.headLimit else { throw .tooLong }
            if line.isEmpty { state = .done }
            return true
        case .done: return false
        }
    }

    private static func isHexadecimal(_ digits: ArraySlice<UInt8>) -> Bool {
        digits.allSatisfy {
            ($0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9"))
                || ($0 | 0x20 >= UInt8(ascii: "a") && $0 | 0x20 <= UInt8(ascii: "f"))
        }
    }

    private mutating func take(_ wanted: Int) throws(Failure) -> Int {
        let count = min(wanted, waiting.count - at)
        guard body.count + count <= limit else { throw .tooLong }
        body += waiting[at..<at + count]
        at += count
        return count
    }

    /// A line without its end; nil while it is not whole.
    private mutating func line() throws(Failure) -> ArraySlice<UInt8>? {
        guard let end = waiting[at...].firstIndex(of: 0x0a) else {
            guard waiting.count - at <= Self.lineLimit else { throw .tooLong }
            return nil
        }
        guard end - at <= Self.lineLimit else { throw .tooLong }
        var line = waiting[at..<end]
        guard line.last == 0x0d else { throw .malformed }
        line.removeLast()
        at = end + 1
        return line
    }

    /// The first line and the fields.
    private mutating func head() throws(Failure) -> Bool {
        let rest = waiting[at...]
        var end = rest.startIndex
        // Searched again from its beginning with each piece; it is short.
        while true {
            guard let newline = rest[end...].firstIndex(of: 0x0a) else {
                guard rest.count <= Self.headLimit else { throw .tooLong }
                return false
            }
            guard newline - at <= Self.headLimit else { throw .tooLong }
            let isEmpty = rest[end..<newline].elementsEqual([0x0d])
            end = newline + 1
            if isEmpty { break }
        }
        let lines = rest[..<end].split(separator: 0x0a)
        at = end
        guard let first = lines.first else { throw .malformed }
        let words = first.split(separator: 0x20, maxSplits: 2, omittingEmptySubsequences: false)
        guard words.count >= 2,
            words[0].elementsEqual("HTTP/1.1".utf8) || words[0].elementsEqual("HTTP/1.0".utf8),
            words[1].prefix(3).count == 3, words[1].prefix(3).allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }),
            words[1].dropFirst(3).allSatisfy({ $0 == 0x0d }), let status = Int(Self.text(words[1].prefix(3))),
            status >= 200
        else { throw .malformed }
        self.status = status

        var length: Int?
        var isChunked = false
        for line in lines.dropFirst() where line.count > 1 {
            guard line.last == 0x0d, let colon = line.firstIndex(of: UInt8(ascii: ":")),
                colon > line.startIndex
            else {
                throw .malformed
            }
            let name = Self.text(line[..<colon]).lowercased()
            let value = Self.text(line[(colon + 1)...].dropLast().drop { $0 == 0x20 || $0 == 0x09 })
            switch name {
            case "content-length":
                guard !value.isEmpty, value.utf8.count <= 12,
                    value.utf8.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }),
                    let number = Int(value), length == nil || length == number
                else { throw .malformed }
                length = number
            case "transfer-encoding":
                guard !isChunked, value.lowercased() == "chunked" else { throw .malformed }
                isChunked = true
            default: break
            }
        }
        guard !(isChunked && length != nil) else { throw .malformed }
        if let length {
            guard length <= limit else { throw .tooLong }
            state = .body(left: length)
        } else {
            state = isChunked ? .size : .untilEnd
        }
        if status == 204 || status == 304 { state = .done }
        return true
    }

    private static func text(_ bytes: ArraySlice<UInt8>) -> String { String(decoding: bytes, as: UTF8.self) }
}
