public import Catalog

/// Which events one policy wants, from `--events` items: `openat,close`, `-close`, `open*`, `tag=fs,net`.
public struct EventSelection: Sendable {
    /// Dense indexes of the chosen events, ascending.
    public private(set) var events: [Int]
    /// Of them, those asked for by name: an event that this kernel cannot give is then an error.
    public private(set) var named: Set<Int>

    /// - Parameter items: each may be a list; nothing chosen means the set `default` and what a
    ///   person expects to see first.
    public init(_ items: [String], in catalog: Catalog = .builtIn) throws(PolicyError) {
        var chosen: Set<Int> = []
        var removed: Set<Int> = []
        var named: Set<Int> = []
        for item in items {
            // Behind `tag=` the words are sets, up to one that names or removes an event.
            var isTags = false
            var removesTags = false
            for word in item.split(separator: ",", omittingEmptySubsequences: false) {
                var isRemoval = word.hasPrefix("-")
                var name = isRemoval ? word.dropFirst() : word
                if name.hasPrefix("tag=") {
                    isTags = true
                    removesTags = isRemoval
                    name = name.dropFirst("tag=".count)
                } else if isRemoval {
                    isTags = false
                } else if isTags {
                    isRemoval = removesTags
                }
                let members =
                    try isTags ? Self.members(String(name), catalog) : Self.events(String(name), catalog)
                if isRemoval {
                    removed.formUnion(members)
                } else {
                    chosen.formUnion(members)
                    if !isTags && !name.hasSuffix("*") { named.formUnion(members) }
                }
            }
        }
        if chosen.isEmpty { chosen = try Self.standard(catalog) }
        chosen.subtract(removed)
        guard !chosen.isEmpty else {
            throw PolicyError("no event is left: every chosen one was removed again")
        }
        events = chosen.sorted()
        self.named = named.intersection(chosen)
    }

    /// Takes events out that cannot be given.
    public mutating func remove(_ indexes: [Int]) {
        events.removeAll { indexes.contains($0) }
        named.subtract(indexes)
    }

    /// What is traced when nothing was said: the set `default`, and executions and exits.
    private static func standard(_ catalog: Catalog) throws(PolicyError) -> Set<Int> {
        var chosen = Set(try members("default", catalog))
        for name in ["sched_process_exec", "sched_process_exit"] {
            if let event = catalog[name] { chosen.insert(event.index) }
        }
        return chosen
    }

    private static func members(_ tag: String, _ catalog: Catalog) throws(PolicyError) -> [Int] {
        let events = catalog.events.filter { $0.sets.contains(tag) }
        if events.isEmpty {
            let near = tag.isEmpty ? [] : Catalog.nearest(to: tag, among: catalog.sets)
            let known = "`apus events list` shows them"
            throw PolicyError("unknown set '\(printable(tag))'; \(near.isEmpty ? known : question(near))")
        }
        return events.map(\.index)
    }

    private static func events(_ name: String, _ catalog: Catalog) throws(PolicyError) -> [Int] {
        if let event = catalog[name] { return [event.index] }
        if name.hasSuffix("*") {
            let prefix = name.dropLast()
            let events = catalog.events.filter { $0.name.hasPrefix(prefix) }
            if !events.isEmpty && !prefix.contains("*") { return events.map(\.index) }
            throw PolicyError(
                "no event's name starts with '\(printable(String(prefix)))'; `apus events list` shows all")
        }
        if name.isEmpty { throw PolicyError("an event name is empty in the list") }
        if catalog.sets.contains(name) {
            throw PolicyError("'\(name)' is a set of events, not an event; write tag=\(name)")
        }
        let near = Catalog.nearest(to: name, among: catalog.events.map(\.name))
        let hint = near.isEmpty ? "`apus events list` shows all" : question(near)
        throw PolicyError("unknown event '\(printable(name))'; \(hint)")
    }

    private static func question(_ names: [String]) -> String {
        "did you mean \(names.joined(separator: ", "))?"
    }
}
