internal import Catalog
internal import Events
internal import Expressions
internal import Glibc
internal import Outputs
internal import Policies

/// Decides what the kernel left of the policies' filters. Nothing allocates.
struct Judge {
    /// By dense index of the event; empty where the kernel decides all.
    private let remainders: [[PolicyPlan.Remainder]]
    /// Policies that want each event, by dense index.
    let events: [Int: UInt64]
    /// Of them, those that want it for another event that is made of it.
    let implied: [Int: UInt64]
    /// What the scopes say of containers.
    let containers: ScopePlan.Containers
    private var context: EvaluationContext
    /// By dense index: some filter looks at the container.
    private let needsWorkload: [Bool]
    /// Of the container that ``context`` tells of.
    private var stamp: UInt64?

    init(_ plan: PolicyPlan, events: Int, bootOffset: UInt64) {
        var remainders = [[PolicyPlan.Remainder]](repeating: [], count: events)
        for (event, left) in plan.remainders { remainders[event] = left }
        self.remainders = remainders
        needsWorkload = remainders.map { left in
            left.contains { ($0.rest?.needsWorkload ?? false) || ($0.whole?.needsWorkload ?? false) }
        }
        self.events = plan.events
        implied = plan.implied
        containers = plan.scope.containers
        var name = [CChar](repeating: 0, count: 256)
        unsafe _ = gethostname(&name, name.count - 1)
        context = EvaluationContext(
            hostName: name.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), bootOffset: bootOffset)
    }

    /// Of the policies that the kernel says take a record, those that do.
    /// - Parameters:
    ///   - stamp: of the record's container: another where something else is known of it.
    ///   - workload: what is known; asked for where a filter looks at it and the stamp is another than before.
    mutating func policies(
        of event: EventView, index: Int, container stamp: UInt64, workload: () -> Workload
    ) -> UInt64 {
        var policies = event.policies
        if remainders[index].isEmpty { return policies }
        if needsWorkload[index], stamp != self.stamp {
            context.workload = workload()
            self.stamp = stamp
        }
        for left in remainders[index] where policies >> UInt64(left.policy) & 1 == 1 {
            if event.isUndecided {
                if left.whole?.evaluate(event, context) ?? .yes == .yes,
                    left.scope.allSatisfy({ $0.matches(event) })
                {
                    continue
                }
            } else if left.rest?.evaluate(event, context) ?? .yes == .yes {
                continue
            }
            policies &= ~(1 << UInt64(left.policy))
        }
        return policies
    }
}

/// The judges of the plans whose records may still come: the last three, as of one that judged for a moment none
/// may have come yet when the next takes over.
struct Judges {
    private var current: Entry
    private var others: [Entry] = []
    /// Dense indexes of all events that were ever wanted.
    private(set) var wanted: Set<Int>

    private struct Entry {
        let number: UInt32
        var judge: Judge
        let names: [String]
        let policies: [Policy]

        init(_ plan: PolicyPlan, number: UInt32, _ catalog: Catalog, _ clock: Clock) {
            self.number = number
            judge = Judge(plan, events: catalog.events.count, bootOffset: clock.bootOffset)
            names = plan.policies.map(\.name)
            policies = plan.policies
        }
    }

    init(_ plan: PolicyPlan, _ catalog: Catalog, _ clock: Clock) {
        current = Entry(plan, number: 0, catalog, clock)
        wanted = Set(plan.events.keys)
    }

    /// A plan that will judge; records say when it does.
    mutating func add(_ plan: PolicyPlan, number: UInt32, _ catalog: Catalog, _ clock: Clock) {
        if others.count == 2 { others.remove(at: others[0].number < others[1].number ? 0 : 1) }
        others.append(Entry(plan, number: number, catalog, clock))
        wanted.formUnion(plan.events.keys)
    }

    /// Number of the plan whose records came last.
    var shown: UInt32 { current.number }
    /// Of its policies.
    var names: [String] { current.names }

    /// Its policies.
    var policies: [Policy] { current.policies }

    /// Those of its policies that are told an event of ours, though they did not ask for it.
    func policies(told index: Int) -> UInt64 {
        current.policies.enumerated().reduce(0) {
            $1.element.unreported.contains(index) ? $0 : $0 | 1 << UInt64($1.offset)
        }
    }

    /// The name of a policy of one of these plans.
    func name(_ policy: Int, ofPlan number: UInt32) -> String? {
        guard let plan = ([current] + others).first(where: { $0.number == number }),
            plan.names.indices.contains(policy)
        else { return nil }
        return plan.names[policy]
    }

    /// Those that want an event for another that is made of it only.
    func policies(implying index: Int) -> UInt64 { current.judge.implied[index] ?? 0 }

    /// What the scopes of the plan that judges say of containers.
    var containers: ScopePlan.Containers { current.judge.containers }

    /// Those that want an event, whatever is in it.
    func policies(wanting index: Int) -> UInt64 { current.judge.events[index] ?? 0 }

    mutating func show(_ plan: UInt32) {
        guard let place = others.firstIndex(where: { $0.number == plan }) else { return }
        swap(&current, &others[place])
    }

    mutating func policies(
        of event: EventView, index: Int, container stamp: UInt64, workload: () -> Workload
    ) -> UInt64 {
        current.judge.policies(of: event, index: index, container: stamp, workload: workload)
    }
}
