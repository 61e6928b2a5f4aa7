internal import CContract
internal import CLibbpf
internal import Catalog

/// Why a record did not come into a ring. In the order of `enum apus_loss_cause`.
public enum LossCause: Int, CaseIterable, Sendable {
    /// The ring had no room.
    case ringFull
    /// There was nowhere to put it together.
    case noScratch
    /// The ring was nearly full, and events of its class give way to others.
    case shed
    /// Its policies were over their limits.
    case rateLimit

    /// As the stream has it.
    public var name: String {
        switch self {
        case .ringFull: "ring_full"
        case .noScratch: "no_scratch"
        case .shed: "shed"
        case .rateLimit: "over_limit"
        }
    }
}

/// What became of one event's records, over all CPUs.
public struct EventCounts: Sendable, Equatable {
    /// Submitted to a ring, those for the state stores among them.
    public var emitted: UInt64 = 0
    /// Outside all policies' scopes, or not what their filters want.
    public var filtered: UInt64 = 0
    /// Emitted, but without long inputs.
    public var unspilled: UInt64 = 0
    /// For the state stores only, and lost.
    public var stateLost: UInt64 = 0
    /// That a policy asked for, by cause.
    public var lost = [UInt64](repeating: 0, count: LossCause.allCases.count)

    public init() {}

    public var lostTotal: UInt64 { lost.reduce(0, &+) }
    public var isZero: Bool { emitted | filtered | unspilled | stateLost | lostTotal == 0 }
}

/// What policies asked for and did not get, up to a moment. Everything only grows.
public struct Losses: Sendable {
    /// A policy by its number in a plan.
    public struct PolicyKey: Hashable, Sendable {
        public var plan: UInt32
        public var policy: Int
        public init(plan: UInt32, policy: Int) {
            self.plan = plan
            self.policy = policy
        }
    }

    public struct Process: Hashable, Sendable {
        /// As the initial pid namespace sees it.
        public var pid: UInt32
        /// Nanoseconds since boot.
        public var start: UInt64
        public init(pid: UInt32, start: UInt64) {
            self.pid = pid
            self.start = start
        }
    }

    /// By dense index of the event, and there by cause.
    public var events: [Int: [UInt64]] = [:]
    public var policies: [PolicyKey: UInt64] = [:]
    /// Of the processes that lost something last.
    public var processes: [Process: UInt64] = [:]
    /// When the first was lost since the last time this was asked, and the last; ns since boot, 0 for never.
    public var first: UInt64 = 0
    public var last: UInt64 = 0

    public init() {}
}

extension Sensor {
    /// By dense index of the event.
    public func counts() throws(ProbeError) -> [Int: EventCounts] {
        var counts: [Int: EventCounts] = [:]
        for index in 0..<Catalog.builtIn.events.count {
            let sum = try sum(UInt32(index))
            if !sum.isZero { counts[index] = sum }
        }
        return counts
    }

    private func sum(_ index: UInt32) throws(ProbeError) -> EventCounts {
        let values: [apus_counters] = try perProcessor("counters", index, none: apus_counters())
        var sum = EventCounts()
        for value in values {
            sum.emitted &+= value.emitted
            sum.filtered &+= value.filtered
            sum.unspilled &+= value.unspilled
            sum.stateLost &+= value.state_lost
            let lost = value.lost
            for (cause, count) in [lost.0, lost.1, lost.2, lost.3].enumerated() { sum.lost[cause] &+= count }
        }
        return sum
    }

    /// The values that each processor has of a key.
    private func perProcessor<Key: BitwiseCopyable, Value: BitwiseCopyable>(
        _ map: String, _ key: Key, none: Value
    ) throws(ProbeError) -> [Value] {
        let descriptor = try object.mapDescriptor(map)
        var values = [Value](repeating: none, count: Self.processors)
        var key = key
        let status = unsafe values.withUnsafeMutableBytes {
            unsafe bpf_map_lookup_elem(descriptor, &key, $0.baseAddress)
        }
        guard status == 0 else {
            throw ProbeError("the counters cannot be read: \(BPFObject.errnoText(-status))")
        }
        return values
    }

    /// Children of traced processes that are not traced, as the table of the tree scope was full.
    public func processesOutsideTreeTable() throws(ProbeError) -> UInt64 {
        try sum(UInt32(APUS_COUNTER_TREE_FULL)).lostTotal
    }

    /// Control groups that scopes of containers do not know: there was no room for them.
    public func groupsOutsideContainerTable() throws(ProbeError) -> UInt64 {
        try sum(UInt32(APUS_COUNTER_CONTAINERS_FULL)).lostTotal
    }

    /// Returns of kernel functions whose entry was not kept: too many were in progress.
    public func unpairedReturns() throws(ProbeError) -> UInt64 {
        try sum(UInt32(APUS_COUNTER_UNPAIRED)).lostTotal
    }

    /// How often the kernel refused to run a program of ours because one was running on that CPU, by program.
    /// What those runs would have emitted is in no other counter.
    public func refusedRuns() -> [String: UInt64] { loaded.refusedRuns() }

    // MARK: Losses

    /// How many records were lost that a policy asked for: one look-up, for those who want to know whether
    /// ``losses()`` has news.
    public func lostTotal() throws(ProbeError) -> UInt64 { try total(0).count }

    private func total(_ row: UInt32) throws(ProbeError) -> apus_loss_total {
        var row = row
        var total = apus_loss_total()
        let status = unsafe bpf_map_lookup_elem(try object.mapDescriptor("loss_totals"), &row, &total)
        guard status == 0 else {
            throw ProbeError("the counters cannot be read: \(BPFObject.errnoText(-status))")
        }
        return total
    }

    /// What was lost up to now. What is lost meanwhile may be in some of the numbers only.
    public func losses() throws(ProbeError) -> Losses {
        var losses = Losses()
        losses.first = try total(1).time
        try BPFMap.update(object.mapDescriptor("loss_totals"), UInt32(1), apus_loss_total())
        losses.last = try total(0).time
        for (index, counts) in try counts() where counts.lostTotal > 0 { losses.events[index] = counts.lost }
        for (key, _) in try keys("loss_policies", limit: APUS_LOSS_KEYS, apus_loss_key()) {
            // What goes meanwhile is of policies that are no more.
            guard let values = try? perProcessor("loss_policies", key, none: UInt64(0)) else { continue }
            let policy = Losses.PolicyKey(plan: key.plan, policy: Int(key.policy))
            losses.policies[policy, default: 0] &+= values.reduce(0, &+)
        }
        let descriptor = try object.mapDescriptor("losers")
        for (key, bytes) in try keys("losers", limit: APUS_LOSERS, apus_loser()) {
            var count: UInt64 = 0
            guard unsafe bpf_map_lookup_elem(descriptor, bytes, &count) == 0 else { continue }
            losses.processes[Losses.Process(pid: key.pid, start: key.start)] = count
        }
        return losses
    }

    /// Gives the room back that the losses of a plan took which judges no more.
    public func forgetLosses(ofPlansBefore plan: UInt32) throws(ProbeError) {
        let descriptor = try object.mapDescriptor("loss_policies")
        for (key, bytes) in try keys("loss_policies", limit: APUS_LOSS_KEYS, apus_loss_key())
        where key.plan < plan {
            unsafe _ = bpf_map_delete_elem(descriptor, bytes)
        }
    }

    /// The different keys of a table, of which some come and go meanwhile: then the kernel begins again.
    func keys<Key: BitwiseCopyable>(
        _ map: String, limit: Int32, _ none: Key
    ) throws(ProbeError) -> [(key: Key, bytes: [UInt8])] {
        let descriptor = try object.mapDescriptor(map)
        var found: Set<[UInt8]> = []
        var next = [UInt8](repeating: 0, count: MemoryLayout<Key>.size)
        var status = unsafe bpf_map_get_next_key(descriptor, nil, &next)
        for _ in 0..<2 * limit where status == 0 {
            found.insert(next)
            let last = next
            status = unsafe bpf_map_get_next_key(descriptor, last, &next)
        }
        return found.map { bytes in
            var key = none
            unsafe withUnsafeMutableBytes(of: &key) { unsafe $0.copyBytes(from: bytes) }
            return (key, bytes)
        }
    }
}
