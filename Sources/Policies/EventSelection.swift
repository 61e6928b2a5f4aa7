public import Catalog
internal import Expressions

/// Which events one policy wants, from `--events` items: `openat,close`, `-close`, `open*`, `tag=fs,net`.
public struct EventSelection: Sendable {
    /// Dense indexes of the chosen events, ascending.
    public private(set) var events: [Int]
    /// Of them, those asked for by name: an event that this kernel cannot give is then an error.
    public private(set) var named: Set<Int>
    /// Events that were taken out, chosen or not.
    public let removed: Set<Int>

    /// - Parameter items: each may be a list; nothing chosen means the set `default` and what a
    ///   person expects to see first.
    public init(_ items: [String], in catalog: Catalog = .builtIn) throws(PolicyError) {
        var chosen: Set<Int> = []
        var removed: Set<Int> = []
        var named: Set<Int> = []
        var words: [EventWord] = []
        for item in items { words += try EventWord.parse(item, in: catalog) }
        for word in words {
            if word.isRemoval {
                removed.formUnion(word.events)
            } else {
                chosen.formUnion(word.events)
                if word.isName { named.formUnion(word.events) }
            }
        }
        if chosen.isEmpty { chosen = try Self.standard(catalog) }
        chosen.subtract(removed)
        guard !chosen.isEmpty else {
            throw PolicyError("no event is left: every chosen one was removed again")
        }
        events = chosen.sorted()
        self.named = named.intersection(chosen)
        self.removed = removed
    }

    /// Takes events out that cannot be given.
    public mutating func remove(_ indexes: [Int]) {
        events.removeAll { indexes.contains($0) }
        named.subtract(indexes)
    }

    /// What is traced when nothing was said: the set `default`, and executions and exits.
    private static func standard(_ catalog: Catalog) throws(PolicyError) -> Set<Int> {
        var chosen = Set(try EventWord.members("default", catalog))
        for name in ["sched_process_exec", "sched_process_exit"] {
            if let event = catalog[name] { chosen.insert(event.index) }
        }
        return chosen
    }
}

/// One word of a list that chooses events, and what it stands for.
struct EventWord {
    /// Dense indexes. At least one.
    let events: [Int]
    let isRemoval: Bool
    /// It is the event's own name, not that of a set or a prefix.
    let isName: Bool

    /// - Parameter takesSets: whether the bare name of a set is one, and spaces do not count, as in policies.
    static func parse(
        _ list: String, in catalog: Catalog, takesSets: Bool = false
    ) throws(PolicyError) -> [EventWord] {
        var words: [EventWord] = []
        // Behind `tag=` the words are sets, up to one that names or removes an event.
        var isTags = false
        var removesTags = false
        var seen: Set<String> = []
        for part in list.split(separator: ",", omittingEmptySubsequences: false) {
            let word = takesSets ? trimmed(String(part)) : String(part)
            var isRemoval = word.hasPrefix("-")
            var name = isRemoval ? word.dropFirst() : word[...]
            if name.hasPrefix("tag=") {
                isTags = true
                removesTags = isRemoval
                name = name.dropFirst("tag=".count)
            } else if isRemoval {
                isTags = false
            } else if isTags {
                isRemoval = removesTags
            }
            let text = String(name)
            let isSet = isTags || takesSets && catalog[text] == nil && catalog.sets.contains(text)
            let isName = !isSet && !text.hasSuffix("*")
            // A long list of large sets would cost much and say no more.
            guard isName || seen.insert("\(isRemoval) \(isSet) \(text)").inserted else { continue }
            let events = try isSet ? members(text, catalog) : events(text, catalog, takesSets)
            words.append(EventWord(events: events, isRemoval: isRemoval, isName: isName))
        }
        return words
    }

    fileprivate static func members(_ tag: String, _ catalog: Catalog) throws(PolicyError) -> [Int] {
        let events = catalog.events.filter { $0.sets.contains(tag) }
        if events.isEmpty {
            let known = "`apus events list` shows them"
            throw PolicyError(
                "unknown set '\(printable(tag))'; \(question(tag, among: catalog.sets) ?? known)")
        }
        return events.map(\.index)
    }

    private static func events(
        _ name: String, _ catalog: Catalog, _ takesSets: Bool
    ) throws(PolicyError) -> [Int] {
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
        let names = catalog.events.map(\.name) + (takesSets ? catalog.sets : [])
        let hint = question(name, among: names) ?? "`apus events list` shows all"
        throw PolicyError("unknown event '\(printable(name))'; \(hint)")
    }
}
