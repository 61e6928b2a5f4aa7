internal import Catalog
internal import Events
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
final class ContainerWatch {
    let store = ContainerStore()
    private let names = ContainerNames()
    private let bundles = OCIBundles()
    /// Groups that are new, and when the kernel was told what they are.
    private var settled: [UInt64: UInt64] = [:]
    private let makeFields: (id: Int, path: Int, hierarchy: Int)

    private static let settledLimit = 4096

    init(_ catalog: Catalog) {
        let names = catalog["cgroup_mkdir"]?.fields.map(\.name) ?? []
        let place = { (name: String) in names.firstIndex(of: name) ?? 0 }
        makeFields = (place("cgroup_id"), place("cgroup_path"), place("hierarchy_id"))
    }

    /// What became of a container with a record.
    enum Change {
        case made(Container)
        case removed(Container)
    }

    // MARK: What happens

    /// Takes in what is there already. After the hooks are attached, so that nothing falls between.
    func start(_ sensor: Sensor, _ scope: ScopePlan.Containers) {
        guard let mount = ControlGroupMount.unified() else { return }
        let now = Clock.sinceBoot()
        _ = ControlGroupWalk().run(mount) { group, path in
            store.existing(group, path: path, at: now)
            if store.container(group: group, at: now) == nil {
                _ = adopt(group, path, isNew: false, at: now)
            }
            if store.container(group: group, at: now) != nil { tell(sensor, group, scope, plan: 0, at: now) }
        }
        // Files are read at once, so that what is told of these containers at start has their names.
        for container in store.containers {
            guard let details = try? bundles.details(of: container.identity) else { continue }
            store.set(details, for: container.group)
        }
    }

    /// Takes in a record of a control group that was made or removed, or of a program that was executed.
    func take(_ event: EventView, _ sensor: Sensor, _ scope: ScopePlan.Containers, plan: UInt32) -> Change? {
        switch event.event {
        case .cgroup_mkdir:
            guard let group = unifiedGroup(event), let path = event.blob(makeFields.path) else { return nil }
            let bytes = unsafe path.bytes.withUnsafeBytes { unsafe Array($0.prefix { $0 != 0 }) }
            var container = store.created(group, path: bytes, at: event.time)
            if container == nil, store.container(group: group, at: event.time) == nil {
                container = adopt(group, bytes, isNew: true, at: event.time)
                if container == nil { waiting[group] = bytes }
            }
            settle(sensor, group, scope, plan: plan, at: event.time)
            return container.map(Change.made)
        case .cgroup_rmdir:
            guard let group = unifiedGroup(event) else { return nil }
            waiting[group] = nil
            return store.removed(group, at: event.time).map(Change.removed)
        case .sched_process_exec:
            var made: Container?
            // A runtime may write of a container only after it made the group.
            if let path = waiting.removeValue(forKey: event.cgroup) {
                made = adopt(event.cgroup, path, isNew: true, at: event.time)
                if made != nil { settle(sensor, event.cgroup, scope, plan: plan, at: event.time) }
            }
            _ = store.started(event.cgroup, at: event.time)
            return made.map(Change.made)
        default: return nil
        }
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
        let now = Clock.sinceBoot()
        for container in store.containers {
            for group in store.groups(of: container) {
                tell(sensor, group, scope, plan: plan, at: now)
            }
        }
    }

    // MARK: Names

    /// Asks for the names of containers that are new, and takes in what was answered. Waits for nobody.
    func exchangeNames() {
        names.ask(store.takePending(limit: 64))
        for answer in names.answers() { store.set(answer.details, for: answer.group) }
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
        store.container(group: group, at: time).map(Self.shown)
    }

    private static func shown(_ container: Container) -> ShownContainer {
        var shown = ShownContainer()
        shown.id = container.identity.id
        shown.isStarted = container.state != .created
        shown.podUID = container.identity.podUID ?? ""
        guard let details = container.details else { return shown }
        shown.name = details.name
        shown.image = details.image
        shown.imageDigest = details.imageDigest
        if let pod = details.pod {
            shown.podName = pod.name
            shown.podNamespace = pod.namespace
            if !pod.uid.isEmpty { shown.podUID = pod.uid }
            shown.podLabels = pod.labels.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
        }
        return shown
    }

    // MARK: Recognising

    /// New groups whose paths tell nothing, until something is executed in them.
    private var waiting: [UInt64: [UInt8]] = [:] {
        didSet { if waiting.count > Self.settledLimit { waiting.removeAll() } }
    }

    private func unifiedGroup(_ event: EventView) -> UInt64? {
        guard event.value(makeFields.hierarchy) == 0 else { return nil }
        return event.value(makeFields.id)
    }

    /// Takes a group for a container's that a runtime keeps files of: they are in memory, root's own, and few.
    private func adopt(_ group: UInt64, _ path: [UInt8], isNew: Bool, at time: UInt64) -> Container? {
        guard let candidate = ControlGroupPath.candidate(path),
            let identity = bundles.identity(named: candidate.id, namespace: candidate.namespace)
        else { return nil }
        return store.adopt(group, as: identity, path: path, isNew: isNew, at: time)
    }

    // MARK: The kernel

    private func settle(
        _ sensor: Sensor, _ group: UInt64, _ scope: ScopePlan.Containers, plan: UInt32, at time: UInt64
    ) {
        tell(sensor, group, scope, plan: plan, at: time)
        settled[group] = Clock.sinceBoot()
        guard settled.count > Self.settledLimit else { return }
        let old = Clock.sinceBoot() &- 10_000_000_000
        settled = settled.filter { $0.value > old }
        if settled.count > Self.settledLimit { settled.removeAll() }
    }

    private func tell(
        _ sensor: Sensor, _ group: UInt64, _ scope: ScopePlan.Containers, plan: UInt32, at time: UInt64
    ) {
        guard sensor.hasContainerScopes else { return }
        guard let container = store.container(group: group, at: time) else {
            try? sensor.setNoContainer(group: group)
            return
        }
        let names = scope.naming(container.identity.id)
        try? sensor.setContainer(
            group: group, isNew: container.state != .existed,
            Sensor.ContainerMarks(included: names.included, excluded: names.excluded), plan: plan)
    }
}
