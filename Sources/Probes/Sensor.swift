internal import CContract
internal import CLibbpf
internal import CSystem
public import Catalog
internal import Glibc
public import Policies

/// How system calls are hooked.
public enum SystemCallHooks: String, CaseIterable, Sendable {
    /// Single hooks for a few system calls, one pair for many.
    case auto
    /// Each system call's own tracepoints: other calls pay little, 32-bit callers are not seen.
    case each
    /// One pair of tracepoints that all system calls pass.
    case all
}

/// A hierarchy of control groups of version 1, which one controller at least is bound to.
public struct LegacyControlGroups: Equatable, Sendable {
    /// Those by which groups can be looked up.
    public enum Controller: String, CaseIterable, Sendable {
        case pids, memory, cpu

        var number: apus_legacy_controller {
            switch self {
            case .pids: APUS_LEGACY_PIDS
            case .memory: APUS_LEGACY_MEMORY
            case .cpu: APUS_LEGACY_CPU
            }
        }
    }

    public var controller: Controller
    /// The kernel's number of the hierarchy, of `/proc/PID/cgroup`.
    public var hierarchy: UInt32

    public init(controller: Controller, hierarchy: UInt32) {
        self.controller = controller
        self.hierarchy = hierarchy
    }
}

/// What to attach and load.
public struct SensorRequest: Sendable {
    /// Wanted events by dense index, with the policies that want each.
    public var events: [Int: UInt64] = [:]
    public var scope = ScopePlan()
    /// What the kernel decides of the policies' filters.
    public var filters = FilterTables()
    /// Rate limits by number of the policy.
    public var limits: [Int: [RateLimit.Subject: RateLimit]] = [:]
    /// Whether another plan may take over while this runs, which costs each event a little.
    public var isChangeable = false
    public var hooks: SystemCallHooks = .auto
    public var functionHooks: FunctionHooks = .auto
    /// Whether sched_process_exec carries the environment.
    public var wantsEnvironment = false
    /// Arguments of all processes, for the process tree.
    public var wantsArguments = false
    /// The hierarchy of version 1 whose groups events carry, where version 2 is not mounted.
    public var legacyControlGroups: LegacyControlGroups?
    public var targets = PointerTargets()
    /// Whether events carry paths of kernel objects, which is what they cost most for.
    public var wantsPaths = true
    /// Bytes of each bulk ring, and of the lifecycle ring; powers of two of pages. Nil for what suits
    /// the number of CPUs.
    public var ringBytes: Int?
    public var lifecycleRingBytes = 4 << 20
    /// Bulk rings, a power of two up to 64. Nil for one for each CPU.
    public var ringCount: Int?
    public init() {}
}

/// The kernel side while it runs: programs, hooks, rings and counters. When this ends everything is
/// detached, also when the process is killed, since nothing is pinned.
public final class Sensor {
    public let rings: RingSet
    /// Whether system calls have single hooks.
    public let usesSingleHooks: Bool

    /// Events that this kernel does not give after all, by dense index, with the reason.
    public private(set) var absent: [Int: String]
    public let timings: Timings

    /// The kernel's programs ask what the scopes say of containers.
    public let hasContainerScopes: Bool

    let loaded: LoadedPrograms
    private let hooks: AttachedHooks
    private var plan: SensorPlan
    /// Number of the plan that judges.
    private var planNumber: UInt32 = 0
    private let catalog: Catalog
    var object: BPFObject { _read { yield loaded.object } }

    /// How long the parts of starting took, in milliseconds.
    public struct Timings: Sendable {
        public let programs: Int
        public let load: Double
        public let attach: Double
    }

    public init(_ request: SensorRequest, features: Features, catalog: Catalog = .builtIn) throws(ProbeError)
    {
        apus_raise_memlock()
        var plan = try SensorPlan(request, Self.calls(request, catalog), features, catalog)
        let table = SystemCallTable(catalog, request.targets)
        while true {
            do {
                let start = Self.milliseconds()
                let loaded = try LoadedPrograms(plan.programs, multiPrograms: plan.multiPrograms) {
                    object throws(ProbeError) in
                    try Self.prepare(object, request, absent: Set(plan.absent.keys), features, catalog)
                }
                let end = Self.milliseconds()
                let rings: [Ring]
                do {
                    try PlanMaps.writeTargets(request, table, to: loaded.object, catalog)
                    try PlanMaps.write(request, table, to: loaded.object, number: 0, catalog)
                    rings = try Self.fill(loaded.object, request)
                } catch {
                    throw LoadError.other(error)
                }
                let hooks = AttachedHooks(loaded)
                try hooks.attach(plan)
                timings = Timings(
                    programs: plan.programs.count, load: end - start, attach: Self.milliseconds() - end)
                self.loaded = loaded
                self.hooks = hooks
                self.rings = RingSet(rings)
                break
            } catch {
                try Self.replace(&plan, error)
            }
        }
        self.plan = plan
        self.catalog = catalog
        hasContainerScopes = Self.asksForContainers(request)
        usesSingleHooks = plan.usesSingleHooks
        absent = plan.absent
    }

    // MARK: Changing policies while events flow

    /// Other policies, whose programs are loaded and attached and which do not judge yet.
    public struct Change {
        /// Number of the plan, which records will carry.
        public let number: UInt32
        fileprivate let plan: SensorPlan
        public var absent: [Int: String] { plan.absent }
    }

    /// Number that the next plan will have.
    public var nextPlanNumber: UInt32 { planNumber &+ 1 }

    /// Prepares a change, which takes as long as loading programs does; another thread may drain the rings meanwhile.
    /// When this throws, nothing has changed.
    /// - Parameter request: its sizes and kinds of hooks are those of the first request.
    public func prepareChange(to request: SensorRequest, features: Features) throws(ProbeError) -> Change {
        let number = nextPlanNumber
        var plan = try SensorPlan(request, Self.calls(request, catalog), features, catalog, after: self.plan)
        let table = SystemCallTable(catalog, request.targets)
        while true {
            do {
                try loaded.add(plan.programs, multiPrograms: plan.multiPrograms) {
                    object throws(ProbeError) in
                    try Self.prepare(object, request, absent: [], features, catalog)
                }
                do throws(ProbeError) {
                    try PlanMaps.write(request, table, to: loaded.object, number: number, catalog)
                } catch {
                    throw LoadError.other(error)
                }
                // The new hooks find nothing that the present plan wants, until the new one judges.
                try hooks.attach(plan)
                return Change(number: number, plan: plan)
            } catch {
                do throws(ProbeError) {
                    try Self.replace(&plan, error)
                } catch {
                    hooks.detach(except: self.plan)
                    throw error
                }
            }
        }
    }

    /// Has the new policies judge: what happens before is judged by the old ones, what happens later by the new ones,
    /// and nothing is lost or seen twice. Takes microseconds.
    public func commit(_ change: Change) throws(ProbeError) {
        try loaded.object.setVariable("current_plan", to: change.number)
        plan = change.plan
        planNumber = change.number
        absent = change.absent
    }

    /// After a change: detaches the hooks that nobody needs any more. Another thread may drain the rings meanwhile.
    public func settle(_ change: Change) throws(ProbeError) {
        try awaitPrograms()
        hooks.detach(except: change.plan)
    }

    /// Waits until every program that runs now has ended.
    private func awaitPrograms() throws(ProbeError) {
        // An update of a map of maps does (maybe_wait_bpf_programs, kernel/bpf/syscall.c), and changes nothing here.
        try BPFMap.update(object.mapDescriptor("bulk"), UInt32(0), rings.firstBulkDescriptor)
    }

    private static func calls(_ request: SensorRequest, _ catalog: Catalog) -> [EventDefinition] {
        request.events.keys.sorted().map { catalog.events[$0] }.filter {
            if case .systemCall = $0.source { true } else { false }
        }
    }

    /// Goes on without a program that the kernel refused, or gives up.
    private static func replace(_ plan: inout SensorPlan, _ error: any Error) throws(ProbeError) {
        switch error as? LoadError {
        case .program(let program, let reason):
            guard plan.replace(program, reason: reason) else { throw ProbeError("\(program): \(reason)") }
        case .other(let error): throw error
        case nil: throw ProbeError("\(error)")
        }
    }

    private static func milliseconds() -> Double {
        var now = timespec()
        unsafe clock_gettime(CLOCK_MONOTONIC, &now)
        return Double(now.tv_sec) * 1000 + Double(now.tv_nsec) / 1e6
    }

    // MARK: Setting up

    static let processors = max(1, Int(libbpf_num_possible_cpus()))

    /// Bulk rings: as many as CPUs, rounded up to a power of two.
    private static func ringCount(_ request: SensorRequest) -> Int {
        if let count = request.ringCount { return count }
        var count = 1
        while count < min(processors, 64) { count *= 2 }
        return count
    }

    /// Sets sizes and constants of an object that is not loaded yet.
    static func prepare(
        _ object: borrowing BPFObject, _ request: SensorRequest, absent: Set<Int>, _ features: Features,
        _ catalog: Catalog
    ) throws(ProbeError) {
        try object.setEntries("scratches", processors * Int(APUS_SCRATCHES))
        try object.setEntries("lifecycle", request.lifecycleRingBytes)
        try object.omit(features[.taskStorage].isPresent ? "stash_table" : "stashes")
        try object.setConstant("self_pid", to: UInt32(getpid()))
        try object.setConstant("self_pid_ns", to: PIDNamespace.own)
        try object.setConstant("has_rdonly_cast", to: features.types?.hasReadOnlyCast ?? false)
        try object.setConstant("has_group_dead", to: features.types?.hasGroupDead ?? false)
        try object.setConstant("ring_mask", to: UInt32(ringCount(request) - 1))
        let hasLimits = request.isChangeable || !request.limits.isEmpty
        let sheds = sheds(request, catalog)
        try object.setConstant(
            "legacy_controller", to: request.legacyControlGroups?.controller.number.rawValue ?? 0)
        try object.setConstant("group_hierarchy", to: request.legacyControlGroups?.hierarchy ?? 0)
        try object.setConstant("has_containers", to: asksForContainers(request))
        try object.setConstant("has_limits", to: hasLimits)
        try object.setConstant("sheds", to: sheds)
        try object.setConstant("tight_above", to: UInt64(ringBytes(request) / 8 * 7))
        try object.setConstant("want_arguments", to: request.wantsArguments)
        try object.setConstant("want_environment", to: request.wantsEnvironment)
        try object.setConstant("want_paths", to: request.wantsPaths)
        try object.setConstant("want_fd_paths", to: request.targets.descriptors)
        try object.setConstant("want_times", to: request.targets.entryTimes)
        try PlanMaps.prepare(object, request, absent: absent, catalog)
    }

    private static func asksForContainers(_ request: SensorRequest) -> Bool {
        request.isChangeable || request.scope.containers.used != 0
    }

    /// Whether events of the class bulk may have to give way to others.
    private static func sheds(_ request: SensorRequest, _ catalog: Catalog) -> Bool {
        let hooked = request.events.keys.map { catalog.events[$0] }.filter { $0.source != .agent }
        return request.isChangeable || (hooked.contains(where: \.isBulk) && !hooked.allSatisfy(\.isBulk))
    }

    /// Makes the rings of a loaded object.
    private static func fill(
        _ object: borrowing BPFObject, _ request: SensorRequest
    ) throws(ProbeError) -> [Ring] {
        let ringCount = ringCount(request)
        let ringBytes = ringBytes(request)
        var rings = [try Ring(duplicate(object.mapDescriptor("lifecycle")), size: request.lifecycleRingBytes)]
        var bulk: [Int32] = []
        for _ in 0..<ringCount {
            let descriptor = unsafe bpf_map_create(
                BPF_MAP_TYPE_RINGBUF, "bulk", 0, 0, UInt32(clamping: ringBytes), nil)
            guard descriptor >= 0 else {
                throw ProbeError(
                    "the kernel refuses a ring buffer of \(ringBytes) bytes (\(BPFObject.errnoText(-descriptor))); it must be a power of two of at least 4096"
                )
            }
            bulk.append(descriptor)
            rings.append(try Ring(OwnedDescriptor(descriptor), size: ringBytes))
        }
        try BPFMap.updateAll(object.mapDescriptor("bulk"), bulk)
        return rings
    }

    /// 16 MiB hold 60 ms of the fastest flood, and longer than that a busy machine keeps the reader
    /// from its CPU at times. All rings together stay below 128 MiB, none below 2.
    private static func ringBytes(_ request: SensorRequest) -> Int {
        request.ringBytes ?? max(2 << 20, min(16 << 20, (128 << 20) / ringCount(request)))
    }

    /// Ends emission: when this returns no program writes to the rings any more, though those that are
    /// attached still run. What is in the rings can still be read.
    public func silence() {
        hooks.detachEssential(plan)
        guard let bulk = try? object.mapDescriptor("bulk") else { return }
        for index in 0..<UInt32(rings.bulkCount) {
            var key = index
            // Returns when no program uses the ring any more (maybe_wait_bpf_programs, kernel/bpf/syscall.c).
            unsafe _ = bpf_map_delete_elem(bulk, &key)
        }
    }

    /// Detaches all hooks, in the background where the kernel takes its time.
    public func detach() { hooks.detachAll() }

    // MARK: Scope while running

    /// Takes a process into the tree scope of the given policies. The children that it makes from now
    /// on follow by themselves.
    /// - Parameter isPending: nothing of it is traced before its first execve.
    public func addToTree(
        pid: UInt32, equals: UInt64, mentioned: UInt64, isPending: Bool = false, plan: UInt32 = 0
    ) throws(ProbeError) {
        var key = pid
        var value = apus_process()
        unsafe _ = bpf_map_lookup_elem(try object.mapDescriptor("scope_processes"), &key, &value)
        let marks = apus_scope_marks(equals: equals, mentioned: mentioned)
        if plan % UInt32(APUS_PLANS) == 0 { value.tree.0 = marks } else { value.tree.1 = marks }
        value.pending = isPending ? 1 : 0
        try BPFMap.update(object.mapDescriptor("scope_processes"), pid, value)
    }

    /// Tells which policies of a plan take the program that a process runs. Its later children run the same.
    public func setPrograms(pid: UInt32, policies: UInt64, plan: UInt32) throws(ProbeError) {
        var key = pid
        var value = apus_process()
        let descriptor = try object.mapDescriptor("scope_processes")
        unsafe _ = bpf_map_lookup_elem(descriptor, &key, &value)
        if plan % UInt32(APUS_PLANS) == 0 { value.programs.0 = policies } else { value.programs.1 = policies }
        value.knows_program = 1
        try BPFMap.update(descriptor, pid, value)
    }

    /// Takes back what the plan before the last said of processes, whose place another plan is to have.
    public func forgetProcesses(plan: UInt32) throws(ProbeError) {
        let descriptor = try object.mapDescriptor("scope_processes")
        // Again until nothing is found: a child that is made meanwhile has what its parent had.
        for _ in 0..<10 {
            var isClear = true
            for key in try BPFMap.keys(descriptor, size: 4) {
                var value = apus_process()
                guard unsafe bpf_map_lookup_elem(descriptor, key, &value) == 0 else { continue }
                let isFirst = plan % UInt32(APUS_PLANS) == 0
                let tree = isFirst ? value.tree.0 : value.tree.1
                let follows = isFirst ? value.follows.0 : value.follows.1
                if tree.equals | tree.mentioned | follows == 0 { continue }
                isClear = false
                if isFirst {
                    (value.tree.0, value.follows.0) = (apus_scope_marks(), 0)
                } else {
                    (value.tree.1, value.follows.1) = (apus_scope_marks(), 0)
                }
                // Not of one that ended meanwhile.
                unsafe _ = bpf_map_update_elem(descriptor, key, &value, UInt64(BPF_EXIST))
            }
            if isClear { return }
        }
    }

    /// The processes that are in any tree, and what a plan says of them.
    public func processesInTrees(plan: UInt32) throws(ProbeError) -> [UInt32: (
        equals: UInt64, mentioned: UInt64
    )] {
        let descriptor = try object.mapDescriptor("scope_processes")
        var processes: [UInt32: (equals: UInt64, mentioned: UInt64)] = [:]
        for key in try BPFMap.keys(descriptor, size: 4) {
            var value = apus_process()
            guard unsafe bpf_map_lookup_elem(descriptor, key, &value) == 0 else { continue }
            let pid = key.reversed().reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
            let marks = plan % UInt32(APUS_PLANS) == 0 ? value.tree.0 : value.tree.1
            processes[pid] = (marks.equals, marks.mentioned)
        }
        return processes
    }

    private static func duplicate(_ descriptor: Int32) throws(ProbeError) -> OwnedDescriptor {
        let copy = dup(descriptor)
        guard copy >= 0 else { throw ProbeError("no more descriptors: raise the limit of open files") }
        return OwnedDescriptor(copy)
    }
}
