public import State

/// Where what is known of containers by name can be asked for. One thread asks, never that of the events.
public protocol ContainerSource: Sendable {
    /// What the source knows of a container; nil where it does not know it.
    /// - Throws: where the source could not be asked, one sentence that says what to do.
    func details(of container: ContainerIdentity) throws(RuntimeError) -> ContainerDetails?
}

/// Why a runtime could not be asked.
public struct RuntimeError: Error, CustomStringConvertible, Sendable {
    public let description: String
    public init(_ description: String) { self.description = description }
}
