/// Why tracing did not begin or did not end well, and the status to exit with.
public struct AgentError: Error, CustomStringConvertible, Sendable {
    public let description: String
    /// 1: failure while running; 2: wrong use; 126, 127: the command cannot be executed, does not exist.
    public let status: Int32

    public init(_ description: String, status: Int32 = 1) {
        self.description = description
        self.status = status
    }
}
