import CContract
import Catalog
import Events
import Expressions
import TestSupport
import Testing

@testable import Policies

/// The kernel's decision and user space's on events that really happened, by random policies whose filters are made of
/// what was recorded: so they match as often as not.
@Suite struct RecordedTests {
    private let context = EvaluationContext(hostName: Array("box".utf8))
    private let events: [RecordedEvent]
    private let byEvent: [Int: [RecordedEvent]]

    init() throws {
        events = try RecordedEvent.load()
        byEvent = Dictionary(grouping: events, by: \.event.index)
    }

    /// The file is worth the test: many events, and values of each type, and such as are missing.
    @Test func manyThingsWereRecorded() {
        #expect(events.count >= 400 && byEvent.count >= 150, "\(events.count) \(byEvent.count)")
        var present: Set<FieldType> = []
        var missing: Set<FieldType> = []
        for recorded in events {
            for (field, texts) in zip(recorded.event.fields, recorded.texts) {
                if texts.isEmpty { missing.insert(field.type) } else { present.insert(field.type) }
            }
        }
        #expect(present == Set(FieldType.allCases), "\(Set(FieldType.allCases).subtracting(present))")
        #expect(missing.isSuperset(of: [.string, .stringArray, .socketAddress, .timespec]), "\(missing)")
        for prefix in ["security_", "vfs_", "sched_", "socket_", "io_uring_"] {
            #expect(byEvent.values.contains { $0[0].event.name.hasPrefix(prefix) }, "\(prefix)")
        }
        #expect(events.contains { $0.record.header.flags & UInt8(APUS_RECORD_COMPAT) != 0 })
        #expect(Set(events.map(\.record.header.uid)).count > 2)
    }

    /// Small tables leave more to user space, and the answer is the same.
    @Test(arguments: [FilterRoom(), FilterRoom(tests: 60, bounds: 200, states: 2500, hits: 120)])
    func kernelAndRemainderAreTheWhole(room: FilterRoom) throws {
        var random = SplitMix64(seed: 20_261_122_08 + UInt64(room.tests))
        var kernel = KernelFilter(room: room)
        var outcomes: [Int: (yes: Int, no: Int)] = [:]
        var (dropped, droppedLater, rows) = (0, 0, [UInt8: Int]())
        let all = byEvent.keys.sorted().shuffled(using: &random)
        for (round, start) in stride(from: 0, to: all.count, by: 10).enumerated() {
            let chosen = all[start..<min(start + 10, all.count)]
            var policies: [Policy] = []
            for number in 0..<(round % 3 == 0 ? 16 + random.below(49) : 64) {
                var policy = Policy(name: "p\(number)", position: nil, scope: Scope())
                for index in chosen where random.below(3) > 0 {
                    var rule = Policy.Rule()
                    if random.below(20) > 0 {
                        rule.expression = RecordedFilters(byEvent[index] ?? []).expression(&random)
                    }
                    policy.rules[index] = rule
                }
                policies.append(policy)
            }
            let plan = try PolicyPlan(PolicySet(policies: policies), number: UInt32(round), room: room)
            kernel.load(plan.filters)
            for row in plan.filters.tests { rows[row.kind, default: 0] += 1 }
            for index in chosen {
                let rules = try policies.enumerated().compactMap { number, policy in
                    try policy.rules[index].map {
                        (
                            bit: UInt64(1) << UInt64(number), expression: $0.expression,
                            compiled: try $0.expression.map { try CompiledExpression($0) }
                        )
                    }
                }
                for recorded in byEvent[index] ?? [] {
                    let expected = try recorded.record.view { view in
                        rules.reduce(UInt64(0)) { policies, rule in
                            let isYes = rule.compiled.map { $0.evaluate(view, context) == .yes } ?? true
                            return isYes ? policies | rule.bit : policies
                        }
                    }
                    let found = try plan.outcome(recorded.record, recorded.event, &kernel, context)
                    func about(_ policies: UInt64) -> String {
                        let wrong = rules.filter { $0.bit & policies != 0 }.map {
                            "\($0.bit.trailingZeroBitCount): \($0.expression ?? .always)"
                        }
                        return "\(recorded.event.name) \(recorded.texts) \(wrong)"
                    }
                    let lost = expected & ~found.kernel
                    #expect(lost == 0, "the kernel drops what user space takes: \(about(lost))")
                    #expect(found.whole == expected, "\(about(found.whole ^ expected))")
                    #expect(
                        try plan.outcomeOfUndecided(recorded.record, recorded.event, context) == expected)
                    let asked = rules.filter { $0.expression != nil }.reduce(0) { $0 | $1.bit }
                    outcomes[index, default: (0, 0)].yes += (expected & asked).nonzeroBitCount
                    outcomes[index, default: (0, 0)].no += (asked & ~expected).nonzeroBitCount
                    dropped += (asked & ~found.kernel).nonzeroBitCount
                    droppedLater += (found.kernel & ~found.whole).nonzeroBitCount
                }
            }
        }
        // Or the comparison showed nothing.
        #expect(outcomes.count == byEvent.count)
        let oneSided = outcomes.filter { $0.value.yes == 0 || $0.value.no == 0 }.keys
        #expect(oneSided.count <= outcomes.count / 50, "\(oneSided.map { Catalog.builtIn.events[$0].name })")
        let (yes, no) = outcomes.values.reduce((0, 0)) { ($0.0 + $1.yes, $0.1 + $1.no) }
        #expect(yes > 5000 && no > 5000, "\(yes) \(no)")
        #expect(dropped > 2000 && droppedLater > 2000, "\(dropped) \(droppedLater)")
        for kind in [APUS_TEST_NUMBER, APUS_TEST_BITS, APUS_TEST_STRING] {
            #expect(rows[UInt8(kind.rawValue), default: 0] > 100, "\(kind) \(rows)")
        }
    }
}
