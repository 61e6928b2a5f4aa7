internal import Catalog
internal import Probes

/// What was lost between two looks.
struct LossReport: Equatable {
    /// So many of this, as the stream has it: `getppid=100`.
    struct Row: Equatable {
        var name: String
        var count: UInt64
        var text: String { "\(name)=\(count)" }
    }

    /// Nanoseconds since boot.
    var from: UInt64
    var to: UInt64
    var count: UInt64
    /// Most first, as all that follows.
    var events: [Row]
    var causes: [Row]
    var policies: [Row]
    /// By their numbers on the host.
    var processes: [Row]
    /// Of the plan that was asked for, the policies that lost something; 0 where that is not known.
    var policyBits: UInt64

    /// Rows of a list: a record has to end somewhere.
    static let rowLimit = 16

    /// - Parameters:
    ///   - plan: the one whose policies ``policyBits`` are.
    ///   - policyName: gives the name of a policy; nil for one of a plan that is forgotten.
    /// - Returns: nil where nothing was lost.
    init?(
        from old: Losses, to new: Losses, lookedAt: UInt64, now: UInt64, plan: UInt32, catalog: Catalog,
        policyName: (Losses.PolicyKey) -> String?
    ) {
        var events: [String: UInt64] = [:]
        var causes: [String: UInt64] = [:]
        for (index, counts) in new.events {
            let before = old.events[index] ?? []
            for (cause, count) in zip(LossCause.allCases, counts) {
                let earlier = cause.rawValue < before.count ? before[cause.rawValue] : 0
                guard count > earlier else { continue }
                events[catalog.events[index].name, default: 0] += count - earlier
                causes[cause.name, default: 0] += count - earlier
            }
        }
        count = events.values.reduce(0, &+)
        guard count > 0 else { return nil }
        self.events = Self.rows(events)
        self.causes = Self.rows(causes)
        // What came while the losers were told may be missing in one of the two.
        from = new.first > lookedAt && new.first <= now ? new.first : lookedAt
        to = max(from, min(new.last, now))
        var policies: [String: UInt64] = [:]
        policyBits = 0
        for (key, count) in new.policies {
            let earlier = old.policies[key] ?? 0
            guard count > earlier, let name = policyName(key) else { continue }
            policies[name, default: 0] += count - earlier
            if key.plan == plan, key.policy < 64 { policyBits |= 1 << UInt64(key.policy) }
        }
        self.policies = Self.rows(policies)
        var processes: [String: UInt64] = [:]
        for (process, count) in new.processes {
            // One that was forgotten in between and came again begins anew.
            let earlier = old.processes[process] ?? 0
            if count != earlier {
                processes["\(process.pid)", default: 0] &+= count > earlier ? count - earlier : count
            }
        }
        self.processes = Self.rows(processes)
    }

    /// The largest counts; those that find no place are one row together.
    private static func rows(_ counts: [String: UInt64]) -> [Row] {
        let all = counts.map { Row(name: $0.key, count: $0.value) }.sorted {
            $0.count == $1.count ? $0.name < $1.name : $0.count > $1.count
        }
        guard all.count > rowLimit else { return all }
        let others = all[(rowLimit - 1)...].reduce(0) { $0 &+ $1.count }
        return all[..<(rowLimit - 1)] + [Row(name: "others", count: others)]
    }
}

/// Looks now and then whether something was lost, for the stream.
struct LossReporter {
    private let catalog: Catalog
    private var seen = Losses()
    private var seenTotal: UInt64 = 0
    /// When it looked last, ns since boot.
    private var lookedAt: UInt64
    private var plan: UInt32 = 0

    /// A record a second is enough to see when losses began and ended.
    private static let interval: UInt64 = 1_000_000_000

    init(_ catalog: Catalog, now: UInt64) {
        self.catalog = catalog
        lookedAt = now
    }

    /// What was lost since the last report.
    /// - Parameters:
    ///   - isLast: looks though it is not time yet.
    ///   - plan: number of the plan whose policies are to be told.
    mutating func look(
        _ sensor: Sensor, now: UInt64, isLast: Bool = false, plan: UInt32,
        policyName: (Losses.PolicyKey) -> String?
    ) -> LossReport? {
        guard isLast || now >= lookedAt + Self.interval else { return nil }
        defer { lookedAt = now }
        guard let total = try? sensor.lostTotal(), total != seenTotal, let losses = try? sensor.losses()
        else { return nil }
        seenTotal = total
        let report = LossReport(
            from: seen, to: losses, lookedAt: lookedAt, now: now, plan: plan, catalog: catalog,
            policyName: policyName)
        seen = losses
        if plan != self.plan {
            // The plan before the present one may still have calls in progress.
            if plan > 1 { try? sensor.forgetLosses(ofPlansBefore: plan - 1) }
            self.plan = plan
        }
        return report
    }
}
