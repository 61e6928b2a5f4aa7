internal import CContract
internal import CLibbpf
internal import Policies

/// The rate limits of a plan, as the kernel's maps hold them.
enum LimitMaps {
    /// Writes the limits of a plan where those of the plan before the last were; nothing is used up of them.
    static func write(
        _ limits: [Int: [RateLimit.Subject: RateLimit]], to object: borrowing BPFObject, number: UInt32
    ) throws(ProbeError) {
        let slot = number % UInt32(APUS_PLANS)
        var limited: UInt64 = 0
        for policy in 0..<Int(APUS_MAX_POLICIES) {
            let row = row(number, policy)
            let ofPolicy = limits[policy] ?? [:]
            if !ofPolicy.isEmpty { limited |= 1 << UInt64(policy) }
            try BPFMap.update(
                object.mapDescriptor("limits"), row,
                apus_limits(policy: limit(ofPolicy[.rate]), cgroup: limit(ofPolicy[.cgroup])))
            try BPFMap.update(object.mapDescriptor("buckets"), row, apus_bucket())
        }
        try object.setVariable("limited_policies", to: limited, at: Int(slot))
    }

    static func row(_ plan: UInt32, _ policy: Int) -> UInt32 {
        plan % UInt32(APUS_PLANS) * UInt32(APUS_MAX_POLICIES) + UInt32(policy)
    }

    private static func limit(_ limit: RateLimit?) -> apus_limit {
        apus_limit(interval: limit?.interval ?? 0, burst: limit?.burst ?? 0)
    }
}

extension Sensor {
    /// What a rate limit is for: a policy of a plan, or a control group of it.
    public struct LimitSubject: Hashable, Sendable {
        public var policy: Int
        /// Nil for the limit of all.
        public var group: UInt64?
        public init(policy: Int, group: UInt64? = nil) {
            self.policy = policy
            self.group = group
        }
    }

    /// How many events the rate limits of a plan have cost so far; only those that cost any.
    /// - Parameter policies: numbers of those that have limits.
    public func limited(plan: UInt32, policies: [Int]) throws(ProbeError) -> [LimitSubject: UInt64] {
        guard !policies.isEmpty else { return [:] }
        var refused: [LimitSubject: UInt64] = [:]
        var descriptor = try object.mapDescriptor("buckets")
        for policy in policies {
            var row = LimitMaps.row(plan, policy)
            var bucket = apus_bucket()
            if unsafe bpf_map_lookup_elem(descriptor, &row, &bucket) == 0, bucket.refused > 0 {
                refused[LimitSubject(policy: policy)] = bucket.refused
            }
        }
        descriptor = try object.mapDescriptor("group_buckets")
        for (key, bytes) in try keys("group_buckets", limit: APUS_LIMITED_GROUPS, apus_group_key())
        where key.plan == plan {
            var bucket = apus_bucket()
            if unsafe bpf_map_lookup_elem(descriptor, bytes, &bucket) == 0, bucket.refused > 0 {
                refused[LimitSubject(policy: Int(key.policy), group: key.cgroup)] = bucket.refused
            }
        }
        return refused
    }
}
