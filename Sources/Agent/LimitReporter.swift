internal import Policies
internal import Probes

/// A rate limit that began to hold, or ended.
struct LimitReport: Equatable {
    /// The policy's number.
    var number: Int
    var policy: String
    /// As it was written.
    var limit: String
    /// 0 for a limit of all.
    var group: UInt64
    var isHolding: Bool
    /// When it was seen to hold, ns since boot.
    var from: UInt64
    /// Events that it has cost since then.
    var count: UInt64
}

/// Looks now and then which rate limits hold: one that has cost events since the last look. It ends with the first look
/// between which and the one before it cost none.
struct LimitReporter {
    private struct State {
        /// Cost before it began to hold, and when that was; nil while it does not.
        var start: (count: UInt64, time: UInt64)?
        var count: UInt64
    }

    private var states: [Sensor.LimitSubject: State] = [:]
    private var lookedAt: UInt64 = 0
    private var plan: UInt32 = 0

    private static let interval: UInt64 = 1_000_000_000

    /// What began or ended since the last look.
    /// - Parameters:
    ///   - isLast: looks though it is not time yet, and ends all that holds.
    ///   - policies: of the plan.
    mutating func look(
        _ sensor: Sensor, now: UInt64, isLast: Bool, plan: UInt32, policies: [Policy]
    ) -> [LimitReport] {
        guard isLast || now >= lookedAt + Self.interval else { return [] }
        let since = lookedAt == 0 ? now : lookedAt
        lookedAt = now
        // What another plan has cost was told, or is in the summary.
        if plan != self.plan { states = [:] }
        self.plan = plan
        let limited = policies.indices.filter { !policies[$0].limits.isEmpty }
        guard !limited.isEmpty, let costs = try? sensor.limited(plan: plan, policies: limited) else {
            return []
        }
        return update(costs, since: since, now: now, isLast: isLast, policies: policies)
    }

    mutating func update(
        _ costs: [Sensor.LimitSubject: UInt64], since: UInt64, now: UInt64, isLast: Bool, policies: [Policy]
    ) -> [LimitReport] {
        var reports: [LimitReport] = []
        func report(
            _ subject: Sensor.LimitSubject, _ start: (count: UInt64, time: UInt64), _ count: UInt64,
            _ holds: Bool
        ) {
            let policy = policies[subject.policy]
            reports.append(
                LimitReport(
                    number: subject.policy, policy: policy.name,
                    limit: policy.limits[subject.group == nil ? .rate : .cgroup]?.text ?? "",
                    group: subject.group ?? 0, isHolding: holds, from: start.time, count: count &- start.count
                ))
        }
        for (subject, count) in costs where policies.indices.contains(subject.policy) {
            var state = states[subject] ?? State(count: 0)
            // A group that was forgotten in between began anew.
            if count < state.count { state.count = 0 }
            if count > state.count && state.start == nil {
                state.start = (state.count, since)
                report(subject, (state.count, since), count, true)
            } else if count == state.count, let start = state.start {
                state.start = nil
                report(subject, start, count, false)
            }
            state.count = count
            states[subject] = state
        }
        // Groups that the kernel forgot, and at the end all.
        for (subject, state) in states where isLast || costs[subject] == nil {
            guard let start = state.start, policies.indices.contains(subject.policy) else { continue }
            states[subject]?.start = nil
            report(subject, start, state.count, false)
        }
        for subject in Array(states.keys) where costs[subject] == nil { states[subject] = nil }
        return reports.sorted {
            ($0.number, $0.group, $0.isHolding ? 0 : 1) < ($1.number, $1.group, $1.isHolding ? 0 : 1)
        }
    }
}
