internal import State

/// Asks services of gRPC on a Unix socket, one call on a connection of its own. It blocks its thread.
struct GRPCClient {
    let path: String
    /// Of all calls for one container, in nanoseconds.
    let timeout: UInt64

    static let answerLimit = 4 << 20
    /// `NOT_FOUND` (gRPC's status codes).
    private static let notFound = 5
    private static let denied = 7

    private enum Trouble: Error {
        case socket(UnixSocket.Failure)
        case answer(HTTP2Exchange.Failure)
    }

    /// - Parameters:
    ///   - namespace: of containerd.
    ///   - read: takes what is wanted out of the message of the answer.
    /// - Returns: nil where nobody listens, or the service does not know what is asked for.
    func call<Result>(
        _ method: String, namespace: String? = nil, _ message: [UInt8], deadline: UInt64,
        _ read: (Protobuf) throws(Protobuf.Failure) -> Result?
    ) throws(RuntimeError) -> Result? {
        var exchange = HTTP2Exchange(
            path: method, namespace: namespace, message: message, limit: Self.answerLimit)
        do throws(Trouble) {
            try run(&exchange, deadline)
        } catch {
            switch error {
            case .socket(.absent): return nil
            case .socket(.timedOut):
                throw RuntimeError(
                    "\(path) did not answer within \(timeout / 1_000_000) ms; containers stay without names until it "
                        + "answers again")
            case .socket(.tooLongPath):
                throw RuntimeError("\(path) is no path of a socket; it must have 1 to 107 bytes")
            case .socket(.failed(let number)):
                throw RuntimeError(
                    "\(path) cannot be asked (\(errorText(number))); see whether who listens there is well and Apus "
                        + "may write to the socket")
            case .answer(.malformed):
                throw RuntimeError("\(path) gave no whole answer of gRPC; see who listens there")
            case .answer(.tooLong):
                throw RuntimeError(
                    "\(path) gave an answer longer than \(Self.answerLimit >> 20) MiB; see who listens there")
            case .answer(.ended(let code)):
                throw RuntimeError("\(path) ended the call with HTTP/2's error \(code); see its log")
            }
        }
        if exchange.callStatus == Self.notFound { return nil }
        guard exchange.status == 200, exchange.callStatus == 0 else {
            let status = exchange.callStatus.map { "gRPC's status \($0)" } ?? "status \(exchange.status ?? 0)"
            let advice = exchange.callStatus == Self.denied ? "let Apus ask it" : "see its log"
            throw RuntimeError("\(path) answered a call of \(method) with \(status); \(advice)")
        }
        do {
            return try read(Protobuf(try exchange.message()))
        } catch {
            throw RuntimeError("\(path) gave an answer that cannot be understood; see who listens there")
        }
    }

    private func run(_ exchange: inout HTTP2Exchange, _ deadline: UInt64) throws(Trouble) {
        var failure: HTTP2Exchange.Failure?
        do throws(UnixSocket.Failure) {
            let socket = try UnixSocket(path, deadline: deadline)
            while !exchange.isWhole, failure == nil {
                if !exchange.toSend.isEmpty {
                    try socket.write(exchange.toSend)
                    exchange.toSend = []
                }
                let bytes = try socket.read()
                do throws(HTTP2Exchange.Failure) {
                    guard !bytes.isEmpty else { throw .malformed }
                    try exchange.feed(bytes)
                } catch {
                    failure = error
                }
            }
        } catch {
            throw .socket(error)
        }
        if let failure { throw .answer(failure) }
    }
}
