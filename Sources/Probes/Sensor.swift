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

/// What to attach and load.
public struct SensorRequest: Sendable {
    /// Wanted events by dense index, with the policies that want each.
    public var events: [Int: UInt64] = [:]
    public var scope = ScopePlan()
    public var hooks: SystemCallHooks = .auto
    /// Whether sched_process_exec carries the environment.
    public var wantsEnvironment = false
    /// Bytes of each bulk ring, and of the lifecycle ring; powers of two of pages. Nil for what suits
    /// the number of CPUs.
    public var ringBytes: Int?
    public var lifecycleRingBytes = 4 << 20
    public init() {}
}

/// The kernel side while it runs: programs, hooks, rings and counters. When this ends everything is
/// detached, also when the process is killed, since nothing is pinned.
public final class Sensor {
    public let rings: RingSet
    /// Whether system calls have single hooks.
    public let usesSingleHooks: Bool

    // Torn down in this order: hooks first, so that nothing writes any more.
    private var links: [Box<Link>] = []
    private var tracepoints: [Box<OwnedDescriptor>] = []
    private let object: BPFObject
    private let programs: Set<String>

    private static let singleHookLimit = 16

    public init(_ request: SensorRequest, features: Features, catalog: Catalog = .builtIn) throws(ProbeError)
    {
        let chosen = request.events.sorted { $0.key < $1.key }
        let calls = chosen.compactMap { index, policies in
            if case .systemCall = catalog.events[index].source {
                (catalog.events[index], policies)
            } else {
                nil
            }
        }
        let plan = try Self.plan(request, calls.map(\.0), features, catalog)
        usesSingleHooks = plan.single
        programs = plan.programs
        object = try BPFObject()
        apus_raise_memlock()

        let processors = max(1, Int(libbpf_num_possible_cpus()))
        var ringCount = 1
        while ringCount < min(processors, 64) { ringCount *= 2 }
        let ringBytes = request.ringBytes ?? Self.ringBytes(ringCount)
        try object.setEntries("scratches", processors)
        try object.setEntries("lifecycle", request.lifecycleRingBytes)
        try object.setConstant("self_pid", to: UInt32(getpid()))
        try object.setConstant("self_pid_ns", to: PIDNamespace.own)
        try object.setConstant("has_rdonly_cast", to: features.types?.hasReadOnlyCast ?? false)
        try object.setConstant("has_group_dead", to: features.types?.hasGroupDead ?? false)
        try object.setConstant("ring_mask", to: UInt32(ringCount - 1))
        try object.setConstant("want_environment", to: request.wantsEnvironment)
        try object.setConstant("tree_used", to: request.scope.used[ScopeKey.tree.index] != 0)
        for (index, policies) in chosen {
            if case .hook = catalog.events[index].source {
                try object.setConstant("wanted", to: policies, at: index)
            }
        }
        try object.setConstant("scope", to: Self.constants(request.scope))
        try object.load(programs: plan.programs)

        for (slot, row) in SystemCallTable.rows(calls) {
            try Self.update(object.mapDescriptor("syscalls"), slot, row)
        }
        for (key, values) in request.scope.values {
            guard values.count <= 1024 else {
                throw ProbeError(
                    "the scope key \(key.rawValue) has \(values.count) values; the kernel's table takes 1024")
            }
            for (value, marks) in values { try Self.add(value, marks, key, object) }
        }
        var rings: [Ring] = []
        rings.append(
            try Ring(
                Self.duplicate(object.mapDescriptor("lifecycle")), size: request.lifecycleRingBytes))
        for index in 0..<ringCount {
            let descriptor = unsafe bpf_map_create(
                BPF_MAP_TYPE_RINGBUF, "bulk", 0, 0, UInt32(clamping: ringBytes), nil)
            guard descriptor >= 0 else {
                throw ProbeError(
                    "the kernel refuses a ring buffer of \(ringBytes) bytes (\(BPFObject.errnoText(-descriptor))); it must be a power of two of at least 4096"
                )
            }
            try Self.update(object.mapDescriptor("bulk"), UInt32(index), descriptor)
            rings.append(try Ring(OwnedDescriptor(descriptor), size: ringBytes))
        }
        self.rings = RingSet(rings)
        try attach(plan)
    }

    /// Detaches all hooks. What is in the rings can still be read.
    public func detach() {
        links.removeAll()
        tracepoints.removeAll()
    }

    // MARK: Scope while running

    /// Takes a process into the tree scope of the given policies. The children that it makes from now
    /// on follow by themselves.
    /// - Parameter isPending: nothing of it is traced before its first execve.
    public func addToTree(pid: UInt32, equals: UInt64, mentioned: UInt64, isPending: Bool = false)
        throws(ProbeError)
    {
        var value = apus_tree_value()
        value.equals = equals
        value.mentioned = mentioned
        value.pending = isPending ? 1 : 0
        try Self.update(object.mapDescriptor("scope_tree"), pid, value)
    }

    // MARK: Counters

    /// What became of one event's records, over all CPUs.
    public struct Counts: Sendable {
        public var emitted: UInt64 = 0
        public var lost: UInt64 = 0
        public var filtered: UInt64 = 0
        public var unspilled: UInt64 = 0
    }

    /// By dense index of the event.
    public func counts() throws(ProbeError) -> [Int: Counts] {
        var counts: [Int: Counts] = [:]
        for index in 0..<Catalog.builtIn.events.count {
            let sum = try sum(UInt32(index))
            if sum.emitted | sum.lost | sum.filtered | sum.unspilled != 0 { counts[index] = sum }
        }
        return counts
    }

    private func sum(_ index: UInt32) throws(ProbeError) -> Counts {
        let descriptor = try object.mapDescriptor("counters")
        var values = [apus_counters](
            repeating: apus_counters(), count: max(1, Int(libbpf_num_possible_cpus())))
        var key = index
        let status = unsafe values.withUnsafeMutableBytes {
            unsafe bpf_map_lookup_elem(descriptor, &key, $0.baseAddress)
        }
        guard status == 0 else {
            throw ProbeError("the counters cannot be read: \(BPFObject.errnoText(-status))")
        }
        var sum = Counts()
        for value in values {
            sum.emitted &+= value.emitted
            sum.lost &+= value.lost
            sum.filtered &+= value.filtered
            sum.unspilled &+= value.unspilled
        }
        return sum
    }

    /// Children of traced processes that are not traced, as the table of the tree scope was full.
    public func processesOutsideTreeTable() throws(ProbeError) -> UInt64 {
        try sum(UInt32(APUS_COUNTER_TREE_FULL)).lost
    }

    /// How often the kernel refused to run a program of ours because one was running on that CPU.
    /// What those runs would have emitted is in no other counter.
    public func refusedRuns() -> UInt64 {
        var refused: UInt64 = 0
        for name in programs {
            guard let descriptor = try? object.program(name) else { continue }
            var information = bpf_prog_info()
            var length = UInt32(MemoryLayout<bpf_prog_info>.size)
            if unsafe bpf_obj_get_info_by_fd(descriptor, &information, &length) == 0 {
                refused &+= information.recursion_misses
            }
        }
        return refused
    }

    // MARK: What to attach

    /// 16 MiB hold 60 ms of the fastest flood, and longer than that a busy machine keeps the reader
    /// from its CPU at times. All rings together stay below 128 MiB, none below 2.
    private static func ringBytes(_ count: Int) -> Int { max(2 << 20, min(16 << 20, (128 << 20) / count)) }

    private struct Plan {
        var programs: Set<String> = ["sched_process_fork", "sched_process_exec", "sched_process_exit"]
        /// Programs attached where their section says.
        var attached: [String] = ["sched_process_fork", "sched_process_exec", "sched_process_exit"]
        var single = false
        /// For single hooks: name in the kernel's definition, and whether entry is hooked too.
        var calls: [(name: String, needsEntry: Bool)] = []
    }

    private static func plan(
        _ request: SensorRequest, _ calls: [EventDefinition], _ features: Features, _ catalog: Catalog
    ) throws(ProbeError) -> Plan {
        var plan = Plan()
        if request.scope.used[ScopeKey.tree.index] != 0 {
            plan.programs.insert("sched_process_free")
            plan.attached.append("sched_process_free")
        }
        for index in request.events.keys {
            guard case .hook = catalog.events[index].source else { continue }
            let name = catalog.events[index].name
            let program = name == "sys_enter" || name == "sys_exit" ? "event_\(name)" : name
            if plan.programs.insert(program).inserted { plan.attached.append(program) }
        }
        if let exec = catalog["sched_process_exec"], request.events[exec.index] != nil,
            plan.programs.insert("task_rename").inserted
        {
            plan.attached.append("task_rename")
        }
        guard !calls.isEmpty else { return plan }
        let needsEntry = calls.contains { SystemCallTable.needsEntry($0) }
        let hasCompatOnly = calls.contains {
            if case .systemCall(nil, _, _) = $0.source { true } else { false }
        }
        switch request.hooks {
        case .each:
            guard !hasCompatOnly else {
                throw ProbeError(
                    "hooks on single system calls do not see 32-bit callers; leave out --hooks each")
            }
            plan.single = true
        case .all: break
        case .auto:
            plan.single = calls.count <= singleHookLimit && !hasCompatOnly && canHookSingly(calls, features)
        }
        if plan.single {
            plan.calls = calls.map { (KernelTypes.definitionName($0.name), SystemCallTable.needsEntry($0)) }
            if needsEntry { plan.programs.insert("one_syscall_enter") }
            plan.programs.insert("one_syscall_exit")
        } else {
            plan.programs.insert("all_syscalls_exit")
            plan.attached.append("all_syscalls_exit")
            if needsEntry {
                plan.programs.insert("all_syscalls_enter")
                plan.attached.append("all_syscalls_enter")
            }
        }
        return plan
    }

    private static func canHookSingly(_ calls: [EventDefinition], _ features: Features) -> Bool {
        guard let definitions = features.definitions else { return false }
        return calls.allSatisfy { definitions.contains(KernelTypes.definitionName($0.name)) }
    }

    private func attach(_ plan: Plan) throws(ProbeError) {
        for name in plan.attached { links.append(Box(try object.attach(name))) }
        guard plan.single else { return }
        let tracefs = try Tracefs()
        // Exits first: an entry without its exit would keep what it read.
        for isExit in [true, false] {
            for call in plan.calls where isExit || call.needsEntry {
                let program = try object.program(isExit ? "one_syscall_exit" : "one_syscall_enter")
                let id = try tracefs.tracepointID(call.name, isExit: isExit)
                let descriptor = apus_attach_tracepoint(program, id)
                guard descriptor >= 0 else {
                    throw ProbeError(
                        "the tracepoint of \(call.name) cannot be attached: \(BPFObject.errnoText(-descriptor))"
                    )
                }
                tracepoints.append(Box(OwnedDescriptor(descriptor)))
            }
        }
    }

    // MARK: Maps

    private static func constants(_ scope: ScopePlan) -> apus_scope_plan {
        var constants = apus_scope_plan()
        unsafe withUnsafeMutableBytes(of: &constants.used) { unsafe $0.copyBytes(from: scope.used.bytes) }
        unsafe withUnsafeMutableBytes(of: &constants.otherwise) {
            unsafe $0.copyBytes(from: scope.otherwise.bytes)
        }
        for (which, key) in [ScopeKey.pid, .uid].enumerated() {
            for (policy, range) in scope.ranges[key] ?? [:] {
                unsafe withUnsafeMutableBytes(of: &constants.ranged) {
                    unsafe $0.bindMemory(to: UInt64.self)[which] |= 1 << UInt64(policy)
                }
                unsafe withUnsafeMutableBytes(of: &constants.ranges) {
                    unsafe $0.bindMemory(to: apus_range.self)[which * Int(APUS_MAX_POLICIES) + policy] =
                        apus_range(min: range.lowerBound, max: range.upperBound)
                }
            }
        }
        return constants
    }

    private static func add(
        _ value: ScopeValue, _ marks: ScopePlan.Marks, _ key: ScopeKey, _ object: borrowing BPFObject
    ) throws(ProbeError) {
        let element = apus_scope_value(equals: marks.equals, mentioned: marks.mentioned)
        switch (key, value) {
        case (.tree, _): break  // the agent adds the tree's processes
        case (.cgroup, .number(let id)): try update(object.mapDescriptor("scope_cgroup"), id, element)
        case (_, .number(let number)):
            try update(
                object.mapDescriptor("scope_\(key.rawValue)"), UInt32(truncatingIfNeeded: number), element)
        case (_, .name(let bytes)):
            var padded = bytes
            let length = key == .comm ? Int(APUS_COMM_BYTES) : Int(APUS_UTS_BYTES)
            padded += repeatElement(0, count: max(0, length - bytes.count))
            let descriptor = try object.mapDescriptor("scope_\(key.rawValue)")
            var element = element
            let status = unsafe bpf_map_update_elem(descriptor, padded, &element, 0)
            guard status == 0 else {
                throw ProbeError("the scope cannot be set: \(BPFObject.errnoText(-status))")
            }
        }
    }

    private static func update<Key: BitwiseCopyable, Value: BitwiseCopyable>(
        _ descriptor: Int32, _ key: Key, _ value: Value
    ) throws(ProbeError) {
        var key = key
        var value = value
        let status = unsafe bpf_map_update_elem(descriptor, &key, &value, 0)
        guard status == 0 else {
            throw ProbeError("a map cannot be written: \(BPFObject.errnoText(-status))")
        }
    }

    private static func duplicate(_ descriptor: Int32) throws(ProbeError) -> OwnedDescriptor {
        let copy = dup(descriptor)
        guard copy >= 0 else { throw ProbeError("no more descriptors: raise the limit of open files") }
        return OwnedDescriptor(copy)
    }
}

extension [UInt64] {
    fileprivate var bytes: [UInt8] { unsafe withUnsafeBytes { unsafe Array<UInt8>($0) } }
}
