import CContract
import Catalog
import Events
import Expressions
import Policies
import TestSupport

extension RecordBuilder {
    private struct NoRecord: Error {}

    func view<Result>(_ body: (borrowing EventView) throws -> Result) throws -> Result {
        let bytes = build()
        guard let view = unsafe EventView(bytes.span.bytes) else { throw NoRecord() }
        return try body(view)
    }
}

extension PolicyPlan {
    /// Policies that take a record: what the kernel says, and what is left of them when user space was asked too.
    func outcome(
        _ record: RecordBuilder, _ event: EventDefinition, _ kernel: inout KernelFilter,
        _ context: EvaluationContext
    ) throws -> (kernel: UInt64, whole: UInt64) {
        let which = filters.events[event.index] ?? apus_tests()
        let decided = kernel.decide(record, event, which, policies: events[event.index] ?? 0)
        return try record.view { view in
            var policies = decided
            for left in remainders[event.index] ?? [] {
                guard let rest = left.rest, rest.evaluate(view, context) != .yes else { continue }
                policies &= ~(1 << UInt64(left.policy))
            }
            return (decided, policies)
        }
    }

    /// The same for a record that is too long for the kernel's filters.
    func outcomeOfUndecided(
        _ record: RecordBuilder, _ event: EventDefinition, _ context: EvaluationContext
    ) throws -> UInt64 {
        try record.view { view in
            var policies = events[event.index] ?? 0
            for left in remainders[event.index] ?? [] {
                let isYes =
                    (left.whole?.evaluate(view, context) ?? .yes) == .yes
                    && left.scope.allSatisfy { $0.matches(view) }
                if !isYes { policies &= ~(1 << UInt64(left.policy)) }
            }
            return policies
        }
    }
}
