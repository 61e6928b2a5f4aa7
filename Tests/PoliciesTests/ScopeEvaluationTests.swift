import Policies
import TestSupport
import Testing

/// Holds the plan, read by the formula of the kernel programs, against the words of the rule.
@Suite struct ScopeEvaluationTests {
    /// One key of one policy as the test drew it, apart from what the sources make of its text.
    struct Drawn {
        var included: Set<String> = []
        var excluded: Set<String> = []
        var least: UInt32?
        var greatest: UInt32?

        func items(_ key: ScopeKey) -> [String] {
            var items: [String] = []
            if !included.isEmpty { items.append("\(key)=\(included.joined(separator: ","))") }
            if !excluded.isEmpty { items.append("\(key)!=\(excluded.joined(separator: ","))") }
            if let least { items.append("\(key)>=\(least)") }
            if let greatest { items.append("\(key)<=\(greatest)") }
            return items
        }

        /// `=` wins, then `!=`, then the range; then what only excludes matches. A thread that
        /// does not lead its process is known by two numbers, each of which may be meant.
        func matches(_ values: [String]) -> Bool {
            if values.contains(where: included.contains) { return true }
            if values.contains(where: excluded.contains) { return false }
            if least != nil || greatest != nil {
                return values.compactMap { UInt32($0) }.contains {
                    $0 >= least ?? 0 && $0 <= greatest ?? .max
                }
            }
            return included.isEmpty
        }
    }

    /// What a task is by each key.
    typealias Task = [ScopeKey: [String]]

    private static let texts = ["cat", "dog", "cow", "owl", "fox"]

    @Test func thePlanMeansWhatTheRuleSays() throws {
        var random = SplitMix64(seed: 4)
        var matched = 0
        var refused = 0
        for _ in 0..<3000 {
            let policies = (0..<1 + random.below(8)).map { _ in Self.policy(&random) }
            var plan = ScopePlan()
            for (number, policy) in policies.enumerated() {
                var scope = Scope()
                for (key, drawn) in policy {
                    for item in drawn.items(key) { try scope.add(item) }
                }
                plan.add(scope, policy: number)
            }
            for _ in 0..<10 {
                let task = Self.task(&random)
                let result = Self.inScope(plan, task, 1 << UInt64(policies.count) - 1)
                for (number, policy) in policies.enumerated() {
                    let expected = policy.allSatisfy { $1.matches(task[$0] ?? []) }
                    let isIn = result >> UInt64(number) & 1 == 1
                    #expect(isIn == expected, "\(policy) of \(task)")
                    if isIn { matched += 1 } else { refused += 1 }
                }
            }
        }
        // That the draw tries both.
        #expect(matched > 10_000)
        #expect(refused > 10_000)
    }

    // MARK: The draw

    private static func value(_ key: ScopeKey, _ random: inout SplitMix64) -> String {
        switch key {
        case .comm, .uts: texts[random.below(texts.count)]
        default: String(random.below(8))
        }
    }

    private static func policy(_ random: inout SplitMix64) -> [ScopeKey: Drawn] {
        var policy: [ScopeKey: Drawn] = [:]
        for key in ScopeKey.allCases where random.below(4) == 0 {
            var drawn = Drawn()
            if random.below(2) == 0 {
                for _ in 0..<random.below(3) { drawn.included.insert(value(key, &random)) }
            }
            for _ in 0..<random.below(3) { drawn.excluded.insert(value(key, &random)) }
            if key == .pid || key == .uid {
                let bounds = [UInt32(random.below(8)), UInt32(random.below(8))].sorted()
                if random.below(3) == 0 { drawn.least = bounds[0] }
                if random.below(3) == 0 { drawn.greatest = bounds[1] }
            }
            if !drawn.items(key).isEmpty { policy[key] = drawn }
        }
        return policy
    }

    private static func task(_ random: inout SplitMix64) -> Task {
        var task: Task = [:]
        for key in ScopeKey.allCases { task[key] = [value(key, &random)] }
        // The process, and a thread that may be another number.
        if random.below(2) == 0 { task[.pid]?.append(value(.pid, &random)) }
        return task
    }

    // MARK: The formula of Kernel/lib/scope.h

    private static func inRanges(_ plan: ScopePlan, _ key: ScopeKey, _ text: String) -> UInt64 {
        guard let value = UInt32(text), let ranges = plan.ranges[key] else { return 0 }
        return ranges.reduce(0) { $1.value.contains(value) ? $0 | 1 << UInt64($1.key) : $0 }
    }

    private static func allowed(
        _ plan: ScopePlan, _ key: ScopeKey, _ marks: ScopePlan.Marks?, _ inRange: UInt64
    ) -> UInt64 {
        let equals = marks?.equals ?? 0
        let mentioned = marks?.mentioned ?? 0
        return equals | (~mentioned & (plan.otherwise[key.index] | inRange))
            | ~plan.used[key.index]
    }

    private static func inScope(_ plan: ScopePlan, _ task: Task, _ wanted: UInt64) -> UInt64 {
        var policies = wanted
        for key in ScopeKey.allCases where plan.used[key.index] != 0 {
            var both = ScopePlan.Marks()
            var inRange: UInt64 = 0
            for text in task[key] ?? [] {
                let value = UInt64(text).map(ScopeValue.number) ?? .name(Array(text.utf8))
                let marks = plan.values[key]?[value] ?? ScopePlan.Marks()
                both.equals |= marks.equals
                both.mentioned |= marks.mentioned
                inRange |= inRanges(plan, key, text)
            }
            policies &= allowed(plan, key, both, inRange)
        }
        return policies
    }
}
