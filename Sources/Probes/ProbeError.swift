/// What went wrong between us and the kernel, in a sentence that says what to do.
public struct ProbeError: Error, CustomStringConvertible, Sendable {
    public let description: String
    public init(_ description: String) { self.description = description }
}
