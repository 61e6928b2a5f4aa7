internal import Catalog
internal import Events
internal import Expressions
internal import Glibc
internal import Outputs
internal import Policies
internal import Probes
internal import Runtimes
internal import State

/// Keeps the store of containers, and tells the kernel which control groups are whose. For the pipeline's thread.
///
/// Of a group that is new the kernel lets everything through that policies with scopes of containers might want, until
/// it is told what the group is; those records are asked again here.
///
/// What happens in a new container is held back until a runtime has told its names, or for half a second, and what comes
/// behind it too. Where runtimes do not answer, the wait halves each time.
final class ContainerWatch {
    let store = ContainerStore()
    private let names: ContainerNames
    /// Nil where no control groups are mounted.
    private let hierarchy: ControlGroupHierarchy?
    private let bundles = OCIBundles()
    /// Containers whose names are waited for, by group, and until when (ns since boot).
    private var awaited: [UInt64: UInt64] = [:]
    /// What is to be told of containers, once their names are no longer waited for.
    private var untold: [Telling] = []
    /// Names that did not come in time since one did.
    private var misses: UInt64 = 0
    /// What the scopes of the plans say that judge, or will: the last two.
    private var plans: [(number: UInt32, scope: ScopePlan.Containers)] = []
    /// Groups that are new, and when the kernel was told what they are.
    private var settled: [UInt64: UInt64] = [:]
    private let makeFields: (id: Int, path: Int, hierarchy: Int)

    private static let settledLimit = 4096
    private static let longestWait: UInt64 = 500_000_000

    init(_ catalog: Catalog, _ runtimes: RuntimeRequest, _ hierarchy: ControlGroupHierarchy?) {
        self.hierarchy = hierarchy
        self.names = ContainerNames(files: bundles, sockets: runtimes.sockets)
        let names = catalog["cgroup_mkdir"]?.fields.map(\.name) ?? []
        let place = { (name: String) in names.firstIndex(of: name) ?? 0 }
        makeFields = (place("cgroup_id"), place("cgroup_path"), place("hierarchy_id"))
    }

    /// Something that an event of our own tells.
    struct Telling {
        enum What { case existed, created, removed }
        let what: What
        let container: Container
        /// Of the policies that want it, those that are told, if this plan is still the one that judges.
        var policies: UInt64 = .max
        var plan: UInt32 = 0
    }

    // MARK: What happens

    /// Takes in what is there already. After the hooks are attached, so that nothing falls between.
    func start(_ sensor: Sensor, _ scope: ScopePlan.Containers) {
        plans = [(0, scope)]
        guard let mount = hierarchy?.mount else { return }
        let now = Clock.sinceBoot()
        _ = ControlGroupWalk().run(mount) { group, path in
            store.existing(group, path: path, at: now)
            if store.container(group: group, at: now) == nil {
                _ = adopt(group, path, isNew: false, at: now)
            }
            if store.container(group: group, at: now) != nil { tell(sensor, group, at: now) }
        }
        // Files are read at once, so that what is told of these containers at start has their names. Who has no file
        // that tells all is asked for, as the new ones are.
        for container in store.containers {
            if let details = try? bundles.details(of: container.identity), details.isComplete {
                store.set(details, for: container.group)
            }
            tellLater(Telling(what: .existed, container: container))
        }
    }

    /// Takes in a record of a control group that was made or removed, or of a program that was executed.
    func take(_ event: EventView, _ sensor: Sensor) {
        switch event.event {
        case .cgroup_mkdir:
            guard let group = trackedGroup(event), let path = event.blob(makeFields.path) else { return }
            let bytes = unsafe path.bytes.withUnsafeBytes { unsafe Array($0.prefix { $0 != 0 }) }
            var container = store.created(group, path: bytes, at: event.time)
            if container == nil, store.container(group: group, at: event.time) == nil {
                container = adopt(group, bytes, isNew: true, maker: event.name, at: event.time)
                if container == nil { waiting[group] = bytes }
            }
            settle(sensor, group, at: event.time)
            if let container { tellLater(telling(.created, container, event)) }
        case .cgroup_rmdir:
            guard let group = trackedGroup(event) else { return }
            waiting[group] = nil
            guard let container = store.removed(group, at: event.time) else { return }
            // Its files went with it.
            if container.identity.runtime == .unknown, awaited[group] != nil {
                takeAnswer((group, nil, true))
            }
            untold.append(telling(.removed, container, event))
        case .sched_process_exec:
            // A runtime may write of a container only after it made the group.
            if let path = waiting.removeValue(forKey: event.cgroup),
                let container = adopt(event.cgroup, path, isNew: true, at: event.time)
            {
                settle(sensor, event.cgroup, at: event.time)
                tellLater(Telling(what: .created, container: container))
            }
            _ = store.started(event.cgroup, at: event.time)
        default: return
        }
    }

    /// Who makes a container is not in it: scopes of containers are for the container. One that only an execution tells
    /// has no group's making to judge by.
    private func telling(_ what: Telling.What, _ container: Container, _ event: EventView) -> Telling {
        let scope = plans.last { $0.number == event.plan }?.scope
        return Telling(
            what: what, container: container, policies: event.policies | (scope?.used ?? .max),
            plan: event.plan)
    }

    /// Of the policies that the kernel says take a record, those whose scopes do.
    @inline(__always)
    func policies(of event: EventView, _ scope: ScopePlan.Containers) -> UInt64 {
        guard scope.used & event.policies != 0, let told = settled[event.cgroup], event.time <= told else {
            return event.policies
        }
        let container = store.container(group: event.cgroup, at: event.time)
        return scope.taking(
            event.policies,
            container.map { ($0.identity.id, $0.state != .existed, $0.state != .created) })
    }

    /// Tells the kernel what the scopes of a plan that will judge say of the containers.
    func prepare(_ sensor: Sensor, _ scope: ScopePlan.Containers, plan: UInt32) {
        plans = plans.suffix(1) + [(plan, scope)]
        let now = Clock.sinceBoot()
        for container in store.containers {
            for group in store.groups(of: container) { tell(sensor, group, at: now) }
        }
    }

    // MARK: Names

    /// Tells of a container once its names are known, or were waited for.
    private func tellLater(_ telling: Telling) {
        untold.append(telling)
        let container = telling.container
        let wait = misses < 16 ? Self.longestWait >> misses : 0
        guard container.details?.image.isEmpty ?? true, wait > 0, container.identity.runtime.isAsked else {
            return
        }
        awaited[container.group] = Clock.sinceBoot() + wait
    }

    /// Names of some container are waited for.
    var isWaiting: Bool { !awaited.isEmpty }

    /// A record belongs to a container whose names are waited for.
    @inline(__always)
    func isAwaited(_ event: EventView) -> Bool {
        if awaited.isEmpty { return false }
        return store.container(group: event.cgroup, at: event.time).map { awaited[$0.group] != nil } ?? false
    }

    /// Waits for no names that were not told yet.
    func stopWaiting() { awaited = [:] }

    /// Asks for the names of containers that are new, and takes in what was answered. Waits for nobody.
    /// - Returns: what can be told now.
    func exchangeNames() -> ArraySlice<Telling> {
        names.ask(store.takePending(limit: 64))
        for answer in names.answers() { takeAnswer(answer) }
        if !awaited.isEmpty {
            let now = Clock.sinceBoot()
            for (group, until) in awaited where until < now {
                awaited[group] = nil
                misses += 1
            }
        }
        // In their order.
        let told = untold.prefix { awaited[$0.container.group] == nil }
        untold.removeFirst(told.count)
        return told
    }

    private func takeAnswer(_ answer: ContainerNames.Answer) {
        let group = answer.group
        var details = answer.details
        if details == nil, let container = store.container(group: group), container.details == nil,
            container.identity.runtime == .unknown
        {
            // Who uses runc by itself calls containers by their ids.
            details = ContainerDetails()
            details?.name = container.identity.id
        }
        store.set(details, for: group)
        guard answer.isFinal else { return }
        guard awaited.removeValue(forKey: group) != nil else { return }
        misses = details == nil ? misses + 1 : 0
    }

    func end() { names.end() }

    // MARK: What is shown

    /// Another number where something else is shown of an event's container; 0 for none.
    @inline(__always)
    func stamp(of event: EventView) -> UInt64 {
        guard let container = store.container(group: event.cgroup, at: event.time) else { return 0 }
        return container.group << 20 | UInt64(container.revision & 0xfffff) | 1 << 63
    }

    func shown(group: UInt64, at time: UInt64) -> ShownContainer? {
        store.container(group: group, at: time).map { ShownContainer($0) }
    }

    /// Of the image of an event's container; empty where it is not known, and on the host.
    func imageDigest(of event: EventView) -> String {
        store.container(group: event.cgroup, at: event.time)?.details?.imageDigest ?? ""
    }

    /// What filters see of an event's container.
    func workload(of event: EventView) -> Workload {
        var workload = Workload()
        guard let container = store.container(group: event.cgroup, at: event.time) else { return workload }
        workload.isContainer = true
        workload.containerID = Array(container.identity.id.utf8)
        workload.podUID = Array((container.identity.podUID ?? "").utf8)
        guard let details = container.details else { return workload }
        workload.containerImage = Array(details.image.utf8)
        workload.containerName = Array(details.name.utf8)
        workload.containerImageDigest = Array(details.imageDigest.utf8)
        guard let pod = details.pod else { return workload }
        workload.podName = Array(pod.name.utf8)
        workload.podNamespace = Array(pod.namespace.utf8)
        if !pod.uid.isEmpty { workload.podUID = Array(pod.uid.utf8) }
        workload.isPodSandbox = pod.isSandbox
        return workload
    }

    // MARK: Recognising

    /// New groups whose paths tell nothing, until something is executed in them.
    private var waiting: [UInt64: [UInt8]] = [:] {
        didSet { if waiting.count > Self.settledLimit { waiting.removeAll() } }
    }

    /// The group that an event tells of, if it is in our hierarchy.
    private func trackedGroup(_ event: EventView) -> UInt64? {
        guard event.value(makeFields.hierarchy) == UInt64(hierarchy?.legacy?.hierarchy ?? 0) else {
            return nil
        }
        return event.value(makeFields.id)
    }

    /// Takes a group for a container's that a runtime keeps files of: they are in memory, root's own, and few. Or that a
    /// runtime made: where we come late its files may be gone already, and who may make groups could name them like
    /// any container's too.
    private func adopt(
        _ group: UInt64, _ path: [UInt8], isNew: Bool, maker: RawSpan? = nil, at time: UInt64
    ) -> Container? {
        guard let candidate = ControlGroupPath.candidate(path) else { return nil }
        var identity = bundles.identity(named: candidate.id, namespace: candidate.namespace)
        if identity == nil, let maker, Self.runtimes.contains(ProcessName(maker)),
            !bundles.isNamespace(candidate.id)
        {
            identity = ContainerIdentity(runtime: .unknown, id: candidate.id)
        }
        guard let identity else { return nil }
        return store.adopt(group, as: identity, path: path, isNew: isNew, at: time)
    }

    private static let runtimes: Set<ProcessName> = [
        ProcessName(Array("runc".utf8)), ProcessName(Array("crun".utf8)),
    ]

    // MARK: The kernel

    private func settle(_ sensor: Sensor, _ group: UInt64, at time: UInt64) {
        tell(sensor, group, at: time)
        settled[group] = Clock.sinceBoot()
        guard settled.count > Self.settledLimit else { return }
        let old = Clock.sinceBoot() &- 10_000_000_000
        settled = settled.filter { $0.value > old }
        if settled.count > Self.settledLimit { settled.removeAll() }
    }

    private func tell(_ sensor: Sensor, _ group: UInt64, at time: UInt64) {
        guard sensor.hasContainerScopes else { return }
        guard let container = store.container(group: group, at: time) else {
            try? sensor.setNoContainer(group: group)
            return
        }
        for (number, scope) in plans {
            let names = scope.naming(container.identity.id)
            try? sensor.setContainer(
                group: group, isNew: container.state != .existed,
                Sensor.ContainerMarks(included: names.included, excluded: names.excluded), plan: number)
        }
    }
}
