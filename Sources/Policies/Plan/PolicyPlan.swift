public import Catalog
public import Expressions

/// What becomes of a set of policies: what the kernel decides of it, and what is left to user space.
public struct PolicyPlan: Sendable {
    public let policies: [Policy]
    /// Wanted events by dense index, with the policies that want each.
    public private(set) var events: [Int: UInt64] = [:]
    public private(set) var scope = ScopePlan()
    public private(set) var filters: FilterTables
    /// By dense index of the event: what has to be asked of its records.
    public private(set) var remainders: [Int: [Remainder]] = [:]

    /// By dense index of the event: the tests that the kernel's tables have no room or no way for.
    public private(set) var refusals: [Int: [FilterTables.Refusal]] = [:]

    /// By dense index of an event: policies that did not ask for it, but for another that the agent makes of it.
    public private(set) var implied: [Int: UInt64] = [:]

    /// What the agent makes of a record of the kernel's, whose scope decides on it.
    private static let sources = [("container_create", "cgroup_mkdir"), ("container_remove", "cgroup_rmdir")]

    /// What one policy wants of one event's records beside what the kernel decides.
    public struct Remainder: Sendable {
        public let policy: Int
        /// Nil where the kernel decides everything.
        public let rest: CompiledExpression?
        /// Everything, for records that were too long for the kernel's filters.
        public let whole: CompiledExpression?
        /// What the scope says besides, for the same.
        public let scope: [FieldTest]
        /// Why something is left, for people.
        public let reason: String?
    }

    /// - Parameters:
    ///   - number: of the plan; the kernel has room for two at a time.
    ///   - processStart: of Apus, in nanoseconds since boot: who is older is not `new`.
    ///   - unavailable: events that this kernel does not give.
    public init(
        _ set: PolicySet, number: UInt32 = 0, processStart: UInt64 = 0, without unavailable: Set<Int> = [],
        room: FilterRoom = FilterRoom(), catalog: Catalog = .builtIn
    ) throws(PolicyError) {
        policies = set.policies
        filters = FilterTables(slot: Int(number % 2), room: room)
        var tests: [Int: [(policy: Int, test: FieldTest)]] = [:]
        var parts: [Int: [Part]] = [:]
        for (number, policy) in set.policies.enumerated() {
            let ofScope = try Self.tests(of: policy.scope)
            scope.add(policy.scope, policy: number)
            for (event, rule) in policy.rules where !unavailable.contains(event) {
                events[event, default: 0] |= 1 << UInt64(number)
                let (decided, rest) = rule.expression?.split() ?? ([], nil)
                for test in ofScope + decided { tests[event, default: []].append((number, test)) }
                guard rule.expression != nil || !ofScope.isEmpty else { continue }
                parts[event, default: []].append(
                    Part(policy: number, whole: rule.expression, rest: rest, scope: ofScope))
            }
        }
        for (made, source) in Self.sources {
            guard let made = catalog[made]?.index, let source = catalog[source]?.index,
                !unavailable.contains(source)
            else { continue }
            for number in set.policies.indices {
                let bit: UInt64 = 1 << UInt64(number)
                guard events[made, default: 0] & ~events[source, default: 0] & bit != 0 else { continue }
                events[source, default: 0] |= bit
                implied[source, default: 0] |= bit
                for test in try Self.tests(of: set.policies[number].scope) {
                    tests[source, default: []].append((number, test))
                }
            }
        }
        scope.since = processStart
        if let exec = catalog["sched_process_exec"],
            let path = exec.fields.firstIndex(where: { $0.name == "pathname" }),
            !filters.add(&scope.programs, pathOf: path)
        {
            throw PolicyError(
                "the scopes name programs in more than 8 mount namespaces, or too many; leave some out")
        }
        for event in events.keys.sorted() {
            let refused = filters.add(catalog.events[event], tests[event] ?? [])
            if !refused.isEmpty { refusals[event] = refused }
            for part in parts[event] ?? [] {
                let mine = refused.filter { $0.policy == part.policy }.map(\.test)
                do throws(ExpressionError) {
                    remainders[event, default: []].append(try part.remainder(refused: mine))
                } catch {
                    throw PolicyError(error.description)
                }
            }
        }
    }

    private struct Part {
        var policy: Int
        var whole: Expression?
        var rest: Expression?
        var scope: [FieldTest]

        func remainder(refused: [FieldTest]) throws(ExpressionError) -> Remainder {
            let isRefused = !refused.isEmpty
            var left: [Expression] = []
            // What the kernel does not take is asked again with the rest: the answer is the same.
            if let own = isRefused ? whole : rest { left.append(own) }
            for test in refused where scope.contains(test) {
                guard case .strings(let patterns, let isNegated) = test.condition,
                    case .identity(let field) = test.subject
                else { continue }
                let match = Expression.matches(FieldReference(field), patterns)
                left.append(isNegated ? .not(match) : match)
            }
            var reason: String?
            if isRefused {
                reason = "the kernel's tables have no room or no way for it"
            } else if rest != nil {
                reason = "the kernel cannot read or compare it"
            }
            var restCompiled: CompiledExpression?
            var wholeCompiled: CompiledExpression?
            if !left.isEmpty { restCompiled = try CompiledExpression(.all(left)) }
            if let whole { wholeCompiled = try CompiledExpression(whole) }
            return Remainder(
                policy: policy, rest: restCompiled, whole: wholeCompiled, scope: scope, reason: reason)
        }
    }

    /// What a scope says beside what the kernel's scope maps hold: patterns of names.
    private static func tests(of scope: Scope) throws(PolicyError) -> [FieldTest] {
        var tests: [FieldTest] = []
        if let uts = scope.restrictions[.uts], !(uts.includedPatterns.isEmpty && uts.excludedPatterns.isEmpty)
        {
            throw PolicyError("a scope's uts takes whole names, without *; records do not carry it")
        }
        if let comm = scope.restrictions[.comm],
            !(comm.includedPatterns.isEmpty && comm.excludedPatterns.isEmpty)
        {
            let isNegated = comm.included.isEmpty && comm.includedPatterns.isEmpty
            var patterns = isNegated ? comm.excludedPatterns : comm.includedPatterns
            for case .name(let name) in isNegated ? comm.excluded : comm.included {
                patterns.insert(StringPattern(.exact, name))
            }
            tests.append(FieldTest(.identity(.processName), .strings(patterns, isNegated: isNegated)))
        }
        return tests
    }
}
