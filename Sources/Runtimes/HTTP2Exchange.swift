/// One unary call of gRPC over HTTP/2 (RFC 9113): what to send first, and what to send on what comes, until the answer
/// is whole. It knows nothing of sockets.
struct HTTP2Exchange {
    enum Failure: Error, Equatable {
        case malformed
        case tooLong
        /// The other side ended the call or the connection, with its reason.
        case ended(code: UInt32)
    }

    private enum Frame {
        static let data: UInt8 = 0
        static let headers: UInt8 = 1
        static let priority: UInt8 = 2
        static let reset: UInt8 = 3
        static let settings: UInt8 = 4
        static let push: UInt8 = 5
        static let ping: UInt8 = 6
        static let goAway: UInt8 = 7
        static let windowUpdate: UInt8 = 8
        static let continuation: UInt8 = 9
    }

    private enum Flag {
        static let endStream: UInt8 = 1
        static let acknowledge: UInt8 = 1
        static let endHeaders: UInt8 = 4
        static let padded: UInt8 = 8
        static let priority: UInt8 = 0x20
    }

    /// The largest frame that the other side may send, as we asked for nothing else.
    static let frameLimit = 16384
    /// Frames in all. An answer of the size that is taken has far fewer; a flood of empty ones has more.
    static let frameCountLimit = 20_000
    private static let stream: UInt32 = 1

    private let limit: Int
    private var waiting: [UInt8] = []
    private var fields = HPACK()
    /// A block of fields that goes on in further frames, and whether the stream ends with it.
    private var block: [UInt8]?
    private var blockEndsStream = false
    private var hasSettings = false
    private var frames = 0

    /// What is to be sent, and is taken by who sends it.
    var toSend: [UInt8]
    private(set) var status: Int?
    /// Of gRPC: 0 is success.
    private(set) var callStatus: Int?
    private(set) var callMessage = ""
    private(set) var isWhole = false
    private var body: [UInt8] = []

    /// - Parameters:
    ///   - path: `/PACKAGE.SERVICE/METHOD`.
    ///   - limit: bytes of the answer; below 16 MiB.
    init(path: String, namespace: String?, message: [UInt8], limit: Int) {
        self.limit = limit
        toSend = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8)
        // No pushes, and room for the whole answer, so that no windows need to be moved: a setting for the stream, an
        // update for the connection, which begins with 65,535.
        let window = UInt32(clamping: limit + 1024)
        toSend += Self.frame(
            Frame.settings, 0, 0, [0, 2] + Self.number(0) + [0, 4] + Self.number(window + 65535))
        toSend += Self.frame(Frame.windowUpdate, 0, 0, Self.number(window))
        var block: [UInt8] = []
        for (name, value) in [
            (":method", "POST"), (":scheme", "http"), (":path", path), (":authority", "localhost"),
            ("te", "trailers"), ("content-type", "application/grpc"), ("user-agent", "apus"),
        ] {
            block += HPACK.literal(name, value)
        }
        if let namespace { block += HPACK.literal("containerd-namespace", namespace) }
        toSend += Self.frame(Frame.headers, Flag.endHeaders, Self.stream, block)
        // Not compressed, and its length.
        let content = [0] + Self.number(UInt32(clamping: message.count)) + message
        toSend += Self.frame(Frame.data, Flag.endStream, Self.stream, content)
    }

    /// The answer's message, once it is whole and the call succeeded.
    func message() throws(Failure) -> [UInt8] {
        guard body.count >= 5, body[0] == 0 else { throw .malformed }
        guard Int(Self.number(body[1..<5])) == body.count - 5 else { throw .malformed }
        return Array(body[5...])
    }

    private static func number(_ value: UInt32) -> [UInt8] {
        (0..<4).map { UInt8(truncatingIfNeeded: value >> UInt32(24 - $0 * 8)) }
    }

    private static func number(_ bytes: ArraySlice<UInt8>) -> UInt32 {
        bytes.reduce(0) { $0 << 8 | UInt32($1) }
    }

    private static func frame(_ kind: UInt8, _ flags: UInt8, _ stream: UInt32, _ content: [UInt8]) -> [UInt8]
    {
        number(UInt32(clamping: content.count)).dropFirst() + [kind, flags] + number(stream) + content
    }

    /// Takes in what came.
    mutating func feed(_ bytes: [UInt8]) throws(Failure) {
        waiting += bytes
        var at = 0
        while !isWhole, waiting.count - at >= 9 {
            let length = Int(Self.number(waiting[at..<at + 3]))
            guard length <= Self.frameLimit else { throw .tooLong }
            guard waiting.count - at - 9 >= length else { break }
            let (kind, flags) = (waiting[at + 3], waiting[at + 4])
            let stream = Self.number(waiting[at + 5..<at + 9]) & 0x7fff_ffff
            let content = waiting[at + 9..<at + 9 + length]
            at += 9 + length
            frames += 1
            guard frames <= Self.frameCountLimit else { throw .tooLong }
            try take(kind, flags, stream, content)
        }
        waiting.removeFirst(at)
    }

    private mutating func take(
        _ kind: UInt8, _ flags: UInt8, _ stream: UInt32, _ content: ArraySlice<UInt8>
    ) throws(Failure) {
        // Settings come first, and nothing comes between the pieces of a block.
        guard hasSettings || (kind == Frame.settings && flags & Flag.acknowledge == 0) else {
            throw .malformed
        }
        guard block == nil || kind == Frame.continuation else { throw .malformed }
        switch kind {
        case Frame.settings:
            guard stream == 0, content.count % 6 == 0 else { throw .malformed }
            hasSettings = true
            if flags & Flag.acknowledge == 0 { toSend += Self.frame(Frame.settings, Flag.acknowledge, 0, []) }
        case Frame.ping:
            guard stream == 0, content.count == 8 else { throw .malformed }
            if flags & Flag.acknowledge == 0 {
                toSend += Self.frame(Frame.ping, Flag.acknowledge, 0, Array(content))
            }
        case Frame.goAway:
            guard stream == 0, content.count >= 8 else { throw .malformed }
            let last = Self.number(content.prefix(4)) & 0x7fff_ffff
            // What was begun before may still end.
            if last < Self.stream { throw .ended(code: Self.number(content.dropFirst(4).prefix(4))) }
        case Frame.reset:
            guard stream == Self.stream, content.count == 4 else { throw .malformed }
            throw .ended(code: Self.number(content))
        case Frame.headers:
            guard stream == Self.stream else { throw .malformed }
            var part = try unpadded(content, flags)
            if flags & Flag.priority != 0 {
                guard part.count >= 5 else { throw .malformed }
                part = part.dropFirst(5)
            }
            blockEndsStream = flags & Flag.endStream != 0
            try take(block: Array(part), isLast: flags & Flag.endHeaders != 0)
        case Frame.continuation:
            guard stream == Self.stream, let block else { throw .malformed }
            guard block.count + content.count <= HPACK.blockLimit else { throw .tooLong }
            try take(block: block + content, isLast: flags & Flag.endHeaders != 0)
        case Frame.data:
            guard stream == Self.stream, status != nil else { throw .malformed }
            let part = try unpadded(content, flags)
            guard body.count + part.count <= limit else { throw .tooLong }
            body += part
            if flags & Flag.endStream != 0 { isWhole = true }
        case Frame.push: throw .malformed
        // Of priorities, windows of what we send, and unknown kinds nothing follows here.
        default: break
        }
    }

    private func unpadded(_ content: ArraySlice<UInt8>, _ flags: UInt8) throws(Failure) -> ArraySlice<UInt8> {
        guard flags & Flag.padded != 0 else { return content }
        guard let padding = content.first, Int(padding) < content.count else { throw .malformed }
        return content.dropFirst().dropLast(Int(padding))
    }

    private mutating func take(block part: [UInt8], isLast: Bool) throws(Failure) {
        guard isLast else {
            block = part
            return
        }
        block = nil
        let decoded: [HPACK.Field]
        do throws(HPACK.Failure) {
            decoded = try fields.decode(part)
        } catch {
            throw error == .tooLong ? .tooLong : .malformed
        }
        for field in decoded {
            let value = String(decoding: field.value, as: UTF8.self)
            switch String(decoding: field.name, as: UTF8.self) {
            case ":status": status = Int(value)
            case "grpc-status": callStatus = Int(value)
            case "grpc-message": callMessage = value
            default: break
            }
        }
        guard status != nil else { throw .malformed }
        if blockEndsStream { isWhole = true }
    }
}
