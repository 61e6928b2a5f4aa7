/// The containers of the host by control group. Fed by the walk at start, by the making and removing of control
/// groups, and by runtimes' answers. For one thread.
///
/// All ids are of one hierarchy, the one whose ids records carry (version 2 where it is mounted): those of others are the same numbers.
///
/// What is removed stays for a while, by the time of events, as records of other CPUs come later. All is bounded, and
/// what goes before its time is counted: see ``ContainerStore/Limits``.
public final class ContainerStore {
    public struct Limits: Sendable {
        /// Control groups, of all containers.
        public var groups = 16384
        /// Control groups of one container; its oldest but the root go. So nobody who makes groups in a container costs
        /// others theirs.
        public var groupsOfOne = 512
        /// Paths, names and details, about.
        public var bytes = 16 << 20
        /// Details of one container. If there are more, it goes without its labels.
        public var detailBytes = 64 << 10
        /// How long what was removed is known, in nanoseconds.
        public var keep: UInt64 = 30_000_000_000
        public init() {}
    }

    private struct Group {
        let container: Container
        var removed: UInt64?
    }

    private let limits: Limits
    private var groups: [UInt64: Group] = [:]
    /// By the path of the root: an id alone may be claimed by another container's group.
    private var byRoot: [[UInt8]: Container] = [:]
    /// Removed groups in the order of their removal; those before `expired` are done.
    private var removals: [(time: UInt64, group: UInt64)] = []
    private var expired = 0
    private var pending: [Container] = []
    private var bytes = 0
    /// There are containers whose path does not tell it.
    private var hasAdopted = false

    /// The last answer. Records of one container come in rows, and most are of none.
    private var lastGroup: UInt64 = 0
    private var last: Group?
    private var hasLast = false

    /// Containers, removed ones too, that were forgotten before their time.
    public private(set) var evictions: UInt64 = 0
    /// Control groups inside containers forgotten before their time.
    public private(set) var groupEvictions: UInt64 = 0
    /// Containers whose labels were left out.
    public private(set) var cutDetails: UInt64 = 0

    public init(limits: Limits = Limits()) { self.limits = limits }

    // MARK: What happens to control groups

    /// Takes in a control group that was there already. A group comes before those in it.
    /// - Parameter time: nanoseconds since boot, as everywhere here.
    public func existing(_ group: UInt64, path: [UInt8], at time: UInt64) {
        guard let match = ControlGroupPath.recognise(path) ?? inAdopted(path) else { return }
        _ = add(group, path, match, state: .existed, time)
    }

    /// Takes in a control group that was made.
    /// - Returns: the container, if the group is its root; nil for groups inside a container and outside of all.
    public func created(_ group: UInt64, path: [UInt8], at time: UInt64) -> Container? {
        expire(at: time)
        guard let match = ControlGroupPath.recognise(path) ?? inAdopted(path) else {
            // The number is used again: what it was is over.
            if groups[group] != nil { drop(group) }
            return nil
        }
        return add(group, path, match, state: .created, time)
    }

    /// Takes in a control group whose path tells nothing, but of which somebody knows that it is a container's root: see
    /// ``ControlGroupPath/candidate(_:)-([UInt8])``. Groups made inside it later are it too.
    /// - Returns: the container, if it is new.
    public func adopt(
        _ group: UInt64, as identity: ContainerIdentity, path: [UInt8], isNew: Bool, at time: UInt64
    ) -> Container? {
        let match = ControlGroupPath.Match(
            identity: identity, outer: nil, level: 1, component: 0,
            rootLength: path.count)
        hasAdopted = true
        return add(group, path, match, state: isNew ? .created : .existed, time)
    }

    /// The adopted container that a path leads into.
    private func inAdopted(_ path: [UInt8]) -> ControlGroupPath.Match? {
        guard hasAdopted, path.count <= ControlGroupPath.limit else { return nil }
        for end in path.indices.dropFirst() where path[end] == UInt8(ascii: "/") {
            if let match = adopted(Array(path[..<end])) { return match }
        }
        return adopted(path)
    }

    private func adopted(_ root: [UInt8]) -> ControlGroupPath.Match? {
        guard let container = byRoot[root] else { return nil }
        return ControlGroupPath.Match(
            identity: container.identity, outer: container.outer, level: 1, component: 0,
            rootLength: root.count)
    }

    /// Takes in that a control group was removed.
    /// - Returns: the container, if the group was its root.
    public func removed(_ group: UInt64, at time: UInt64) -> Container? {
        expire(at: time)
        guard let known = groups[group], known.removed == nil else { return nil }
        hasLast = false
        groups[group]?.removed = time
        removals.append((time, group))
        compact()
        let container = known.container
        guard container.hasRoot, container.group == group else { return nil }
        container.removed = time
        container.revision &+= 1
        // Another one may come with the same path.
        if byRoot[container.path] === container { byRoot[container.path] = nil }
        return container
    }

    /// Takes in that something was executed in a control group.
    /// - Returns: the container, if it was the first since it was created.
    public func started(_ group: UInt64, at time: UInt64) -> Container? {
        guard let container = container(group: group, at: time), container.state == .created else {
            return nil
        }
        container.state = .started
        container.revision &+= 1
        return container
    }

    // MARK: Look-ups

    /// The container of a control group at a time; nil where there is none. Fast, and allocates nothing.
    @inline(__always)
    public func container(group: UInt64, at time: UInt64) -> Container? {
        if !hasLast || lastGroup != group {
            last = groups[group]
            lastGroup = group
            hasLast = true
        }
        guard let last else { return nil }
        if let removed = last.removed, time > removed, time - removed > limits.keep { return nil }
        return last.container
    }

    /// The control groups of a container that was not removed, by its id, by at least 12 characters that an id begins
    /// with, or by its name. Twelve, because it is what runtimes print, and with fewer a container that comes later
    /// would often be meant too.
    /// - Returns: nothing where no container is meant, or where a prefix means several. A name may mean several: then
    ///   the groups of all.
    public func resolve(_ word: String) -> [UInt64] {
        guard !word.isEmpty else { return [] }
        let living = byRoot.values.filter { $0.removed == nil }
        for exact in [living.filter { $0.identity.id == word }, living.filter { $0.details?.name == word }] {
            if !exact.isEmpty { return exact.flatMap(livingGroups).sorted() }
        }
        guard word.utf8.count >= 12 else { return [] }
        let begun = living.filter { $0.identity.id.hasPrefix(word) }
        guard Set(begun.map(\.identity.id)).count == 1 else { return [] }
        return begun.flatMap(livingGroups).sorted()
    }

    /// The containers that were not removed, the oldest first.
    public var containers: [Container] {
        byRoot.values.filter { $0.removed == nil }.sorted { ($0.seen, $0.group) < ($1.seen, $1.group) }
    }

    /// The container of a control group, whenever that was; nil where none is known.
    public func container(group: UInt64) -> Container? { groups[group]?.container }

    /// Control groups that are known, also of removed containers.
    public var groupCount: Int { groups.count }
    /// Bytes counted against the limit.
    public var byteCount: Int { bytes }

    /// The control groups of one container that were not removed: to be preferred to its id where the container is at
    /// hand, as another one's group may claim the same id.
    public func groups(of container: Container) -> [UInt64] { livingGroups(of: container).sorted() }

    private func livingGroups(of container: Container) -> [UInt64] {
        container.groups.filter { groups[$0]?.container === container && groups[$0]?.removed == nil }
    }

    // MARK: Details

    /// Takes containers for which no runtime was asked yet, the oldest first; from now on they are asked for. Also those
    /// that were removed a moment ago: a runtime may still know them.
    public func takePending(limit: Int) -> [(group: UInt64, identity: ContainerIdentity)] {
        var taken: [(UInt64, ContainerIdentity)] = []
        var used = 0
        while used < pending.count, taken.count < limit {
            let container = pending[used]
            used += 1
            guard container.asking == .notYet, groups[container.group]?.container === container else {
                continue
            }
            container.asking = .asked
            taken.append((container.group, container.identity))
        }
        pending.removeFirst(used)
        return taken
    }

    /// Takes in what a runtime told.
    /// - Parameter details: nil where no runtime knows the container.
    /// - Returns: the container, unless it is forgotten meanwhile.
    @discardableResult
    public func set(_ details: ContainerDetails?, for group: UInt64) -> Container? {
        guard let container = groups[group]?.container else { return nil }
        container.asking = .answered
        guard var details else { return container }
        if details.byteCount > limits.detailBytes {
            details.labels = [:]
            details.pod?.labels = [:]
            cutDetails += 1
        }
        guard details.byteCount <= limits.detailBytes else { return container }
        let old = container.details?.byteCount ?? 0
        container.details = details
        container.revision &+= 1
        let growth = details.byteCount - old
        container.bytes += growth
        bytes += growth
        makeRoom(keeping: container)
        return container
    }

    // MARK: Keeping and forgetting

    /// What a control group costs in the tables.
    private static let groupBytes = 64
    private static let containerBytes = 512

    /// - Returns: the container, if the group is its root and was not known to be.
    private func add(
        _ group: UInt64, _ path: [UInt8], _ match: ControlGroupPath.Match, state: Container.State,
        _ time: UInt64
    ) -> Container? {
        let isRoot = match.rootLength == path.count
        let root = isRoot ? path : Array(path[..<match.rootLength])
        let known = byRoot[root]
        if let old = groups[group] {
            // The walk and the events may tell the same.
            if old.removed == nil, old.container === known, !isRoot || old.container.hasRoot { return nil }
            if old.removed != nil || old.container !== known { drop(group) }
        }
        hasLast = false
        if let known, byRoot[root] === known, !(isRoot && known.hasRoot && known.group != group) {
            append(group, to: known)
            guard isRoot, !known.hasRoot else { return nil }
            known.group = group
            known.hasRoot = true
            known.revision &+= 1
            makeRoom(keeping: known)
            return known
        }
        // A root with a new number: the end of the old one was not seen.
        if let known { forget(known) }
        let container = Container(
            group: group, identity: match.identity, outer: match.outer, path: root, seen: time, state: state,
            hasRoot: isRoot)
        container.bytes = Self.containerBytes + root.count
        bytes += container.bytes
        byRoot[root] = container
        append(group, to: container)
        pending.append(container)
        compact()
        makeRoom(keeping: container)
        return isRoot ? container : nil
    }

    private func append(_ group: UInt64, to container: Container) {
        if groups.updateValue(Group(container: container), forKey: group)?.container === container { return }
        container.groups.append(group)
        bytes += Self.groupBytes
        if container.groups.count > limits.groupsOfOne {
            let oldest = container.groups.first { $0 != container.group && $0 != group }
            if let oldest {
                if groups[oldest]?.removed == nil { groupEvictions += 1 }
                drop(oldest)
            }
        }
        makeRoom(keeping: container)
    }

    /// Forgets a control group; with the root the container.
    private func drop(_ group: UInt64) {
        guard let container = groups[group]?.container else { return }
        if container.group == group, container.hasRoot || container.groups.count == 1 {
            return forget(container)
        }
        hasLast = false
        groups[group] = nil
        container.groups.removeAll { $0 == group }
        bytes -= Self.groupBytes
        // Its root was never seen, and another group inside speaks for it.
        if container.group == group, let next = container.groups.first { container.group = next }
    }

    private func forget(_ container: Container) {
        hasLast = false
        last = nil
        for group in container.groups where groups[group]?.container === container {
            groups[group] = nil
            bytes -= Self.groupBytes
        }
        container.groups = []
        if byRoot[container.path] === container { byRoot[container.path] = nil }
        bytes -= container.bytes
        container.bytes = 0
    }

    /// Forgets what was removed longer ago than is kept.
    private func expire(at time: UInt64) {
        while expired < removals.count {
            let (removed, group) = removals[expired]
            guard time > removed, time - removed > limits.keep else { break }
            expired += 1
            // The number may have been used again.
            if groups[group]?.removed == removed { drop(group) }
        }
        if expired > 1024, expired * 2 > removals.count {
            removals.removeFirst(expired)
            expired = 0
        }
    }

    /// Takes out of the lists what is no longer in the tables, so that they are not longer than these for long.
    private func compact() {
        let limit = limits.groups * 2 + 16
        if removals.count - expired > limit {
            removals.removeFirst(expired)
            expired = 0
            removals.removeAll { groups[$0.group]?.removed != $0.time }
        }
        if pending.count > limit { pending.removeAll { groups[$0.group]?.container !== $0 } }
    }

    /// Forgets an eighth of what the limits allow once they are passed: what was removed first, then what never
    /// started, then what is oldest.
    private func makeRoom(keeping kept: Container) {
        guard groups.count > limits.groups || bytes > limits.bytes else { return }
        var all: Set<ObjectIdentifier> = []
        var candidates: [Container] = []
        for group in groups.values where group.container !== kept {
            if all.insert(ObjectIdentifier(group.container)).inserted { candidates.append(group.container) }
        }
        let rank = { (container: Container) in
            container.removed != nil ? 0 : container.state == .created ? 1 : 2
        }
        candidates.sort {
            (rank($0), $0.removed ?? $0.seen, $0.group) < (rank($1), $1.removed ?? $1.seen, $1.group)
        }
        for container in candidates {
            guard groups.count > limits.groups * 7 / 8 || bytes > limits.bytes / 8 * 7 else { break }
            evictions += 1
            forget(container)
        }
        pending.removeAll { groups[$0.group]?.container !== $0 }
    }
}
