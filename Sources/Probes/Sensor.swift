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
    public var functionHooks: FunctionHooks = .auto
    /// Whether sched_process_exec carries the environment.
    public var wantsEnvironment = false
    /// Whether events carry paths of kernel objects, which is what they cost most for.
    public var wantsPaths = true
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

    /// Events that this kernel does not give after all, by dense index, with the reason.
    public let absent: [Int: String]
    public let timings: Timings

    private let loaded: LoadedPrograms
    private var object: BPFObject { _read { yield loaded.object } }

    /// How long the parts of starting took, in milliseconds.
    public struct Timings: Sendable {
        public let programs: Int
        public let load: Double
        public let attach: Double
    }

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
        apus_raise_memlock()
        var plan = try SensorPlan(request, calls.map(\.0), features, catalog)
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
                    rings = try Self.fill(loaded.object, request, calls)
                } catch {
                    throw LoadError.other(error)
                }
                try loaded.attach(plan)
                timings = Timings(
                    programs: plan.programs.count, load: end - start, attach: Self.milliseconds() - end)
                self.loaded = loaded
                self.rings = RingSet(rings)
                break
            } catch LoadError.program(let program, let reason) {
                guard plan.replace(program, reason: reason) else {
                    throw ProbeError("\(program): \(reason)")
                }
            } catch LoadError.other(let error) {
                throw error
            } catch {
                throw ProbeError("\(error)")
            }
        }
        usesSingleHooks = plan.usesSingleHooks
        absent = plan.absent
    }

    private static func milliseconds() -> Double {
        var now = timespec()
        unsafe clock_gettime(CLOCK_MONOTONIC, &now)
        return Double(now.tv_sec) * 1000 + Double(now.tv_nsec) / 1e6
    }

    // MARK: Setting up

    private static let processors = max(1, Int(libbpf_num_possible_cpus()))
    /// A power of two.
    private static let ringCount = {
        var count = 1
        while count < min(processors, 64) { count *= 2 }
        return count
    }()

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
        try object.setConstant("ring_mask", to: UInt32(ringCount - 1))
        try object.setConstant("want_environment", to: request.wantsEnvironment)
        try object.setConstant("want_paths", to: request.wantsPaths)
        for (index, policies) in request.events where !absent.contains(index) {
            if case .hooks = catalog.events[index].source {
                try object.setConstant("wanted", to: policies, at: index)
            }
        }
        try object.setConstant("scope", to: constants(request.scope))
        try object.setConstant("has_scope", to: request.scope.used.contains { $0 != 0 })
    }

    /// Fills the maps of a loaded object, and makes its rings.
    private static func fill(
        _ object: borrowing BPFObject, _ request: SensorRequest, _ calls: [(EventDefinition, UInt64)]
    ) throws(ProbeError) -> [Ring] {
        for (slot, row) in SystemCallTable.rows(calls) {
            try update(object.mapDescriptor("syscalls"), slot, row)
        }
        for (key, values) in request.scope.values {
            guard values.count <= 1024 else {
                throw ProbeError(
                    "the scope key \(key.rawValue) has \(values.count) values; the kernel's table takes 1024")
            }
            for (value, marks) in values { try add(value, marks, key, object) }
        }
        let ringBytes = request.ringBytes ?? ringBytes(ringCount)
        var rings = [try Ring(duplicate(object.mapDescriptor("lifecycle")), size: request.lifecycleRingBytes)]
        for index in 0..<ringCount {
            let descriptor = unsafe bpf_map_create(
                BPF_MAP_TYPE_RINGBUF, "bulk", 0, 0, UInt32(clamping: ringBytes), nil)
            guard descriptor >= 0 else {
                throw ProbeError(
                    "the kernel refuses a ring buffer of \(ringBytes) bytes (\(BPFObject.errnoText(-descriptor))); it must be a power of two of at least 4096"
                )
            }
            try update(object.mapDescriptor("bulk"), UInt32(index), descriptor)
            rings.append(try Ring(OwnedDescriptor(descriptor), size: ringBytes))
        }
        return rings
    }

    /// 16 MiB hold 60 ms of the fastest flood, and longer than that a busy machine keeps the reader
    /// from its CPU at times. All rings together stay below 128 MiB, none below 2.
    private static func ringBytes(_ count: Int) -> Int { max(2 << 20, min(16 << 20, (128 << 20) / count)) }

    /// Ends emission: when this returns no program writes to the rings any more, though those that are
    /// attached still run. What is in the rings can still be read.
    public func silence() {
        loaded.detachEssential()
        guard let bulk = try? object.mapDescriptor("bulk") else { return }
        for index in 0..<UInt32(Self.ringCount) {
            var key = index
            // Returns when no program uses the ring any more (maybe_wait_bpf_programs, kernel/bpf/syscall.c).
            unsafe _ = bpf_map_delete_elem(bulk, &key)
        }
    }

    /// Detaches all hooks, in the background where the kernel takes its time.
    public func detach() { loaded.detach() }

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

    /// Returns of kernel functions whose entry was not kept: too many were in progress.
    public func unpairedReturns() throws(ProbeError) -> UInt64 {
        try sum(UInt32(APUS_COUNTER_UNPAIRED)).lost
    }

    /// How often the kernel refused to run a program of ours because one was running on that CPU.
    /// What those runs would have emitted is in no other counter.
    public func refusedRuns() -> UInt64 { loaded.refusedRuns() }

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
