public import State

/// Several sources that are asked together: each for what those before it did not tell. Who took long and told nothing is
/// left alone for a while, so that one runtime that hangs does not cost all containers their names. For one thread.
public struct RuntimeSockets {
    private struct Entry {
        let source: any ContainerSource
        /// Not asked before; ns of `CLOCK_MONOTONIC`.
        var rests: UInt64 = 0
        var rest: UInt64 = RuntimeSockets.shortestRest
    }

    private var entries: [Entry]
    private let now: @Sendable () -> UInt64

    /// What an answer may take before who gives none has to rest. A healthy one takes a few milliseconds.
    private static let patience: UInt64 = 250_000_000
    /// Doubled each time, up to the longest.
    private static let shortestRest: UInt64 = 1_000_000_000
    private static let longestRest: UInt64 = 30_000_000_000

    /// - Parameter sources: in the order in which they are asked.
    public init(_ sources: [any ContainerSource]) { self.init(sources, now: UnixSocket.now) }

    init(_ sources: [any ContainerSource], now: @escaping @Sendable () -> UInt64) {
        entries = sources.map { Entry(source: $0) }
        self.now = now
    }

    /// Adds to what is known of a container what the sources tell, until nothing is missing.
    /// - Returns: nil where nothing is known, and nobody knows it.
    public mutating func details(
        of container: ContainerIdentity, known: ContainerDetails? = nil
    ) -> ContainerDetails? {
        var known = known
        for index in entries.indices {
            if known?.isComplete ?? false { break }
            let start = now()
            guard entries[index].rests <= start else { continue }
            do {
                guard let told = try entries[index].source.details(of: container) else { continue }
                entries[index].rest = Self.shortestRest
                if known == nil { known = told } else { known?.fill(from: told) }
            } catch {
                // One that cannot be asked is like one that does not know it: others may.
                let end = now()
                guard end &- start >= Self.patience else { continue }
                entries[index].rests = end &+ entries[index].rest
                entries[index].rest = min(Self.longestRest, entries[index].rest * 2)
            }
        }
        return known
    }
}
