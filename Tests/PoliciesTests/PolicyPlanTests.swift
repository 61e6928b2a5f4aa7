import CContract
import Catalog
import Events
import Expressions
import TestSupport
import Testing

@testable import Policies

/// What the kernel decides of policies and what is left to user space, together.
@Suite struct PolicyPlanTests {
    private let context = EvaluationContext(
        hostName: Array("box".utf8), bootOffset: 1_700_000_000_000_000_000)

    private func evaluate(_ expression: Expression, _ record: RecordBuilder) throws -> Bool {
        let compiled = try CompiledExpression(expression)
        return try record.view { compiled.evaluate($0, context) == .yes }
    }

    // MARK: Random policies

    private func filter(
        _ event: EventDefinition, _ record: RecordBuilder, _ random: inout SplitMix64
    ) -> String {
        let operations = ["=", "!=", "<", ">", "<=", ">="]
        let operation = operations[random.below(operations.count)]
        let sign = ["=", "!="][random.below(2)]
        if random.below(3) == 0 || event.fields.isEmpty {
            switch random.below(6) {
            case 0: return "comm" + sign + patterns(&random)
            case 1: return "uid" + operation + "\(record.header.uid)"
            case 2: return "cgroupId" + operation + "\(record.header.cgroup_id)"
            case 3: return "hostPid" + sign + "\(record.header.host_pid),\(random.below(4))"
            case 4: return "hostName" + sign + ["box", "*ox", "other"][random.below(3)]
            default: return "processorId" + operation + "\(random.below(4))"
            }
        }
        let index = random.below(event.fields.count)
        let name = "data." + event.fields[index].name
        let value = index < record.values.count ? record.values[index] : 0
        switch event.fields[index].type {
        case .bool: return name + ["", "=true", "!=true", "=false"][random.below(4)]
        case .string, .stringArray, .bytes, .credentials, .socketAddress, .timespec:
            return name + sign + patterns(&random)
        case .int32, .uint32, .int64, .uint64, .uint16, .pointer, .time, .uint64Array, .int32Pair:
            let texts = [
                "\(value)", "\(Int32(truncatingIfNeeded: value))", "\(Int64(bitPattern: value))", "1*", "2",
                "\(UInt16(truncatingIfNeeded: value))",
            ]
            return name + operation + texts[random.below(texts.count)]
        }
    }

    private func patterns(_ random: inout SplitMix64) -> String {
        (0..<1 + random.below(3)).map { _ in
            let text = (0..<random.below(3)).map { _ in ["a", "b"][random.below(2)] }.joined()
            return (random.below(3) == 0 ? "*" : "") + text + (random.below(3) == 0 ? "*" : "")
        }.joined(separator: ",")
    }

    private func name(_ random: inout SplitMix64) -> [UInt8] {
        (0..<random.below(4)).map { _ in [0x61, 0x62][random.below(2)] }
    }

    /// Small tables leave more to user space, and the answer is the same.
    @Test(arguments: [FilterRoom(), FilterRoom(tests: 40, bounds: 60, states: 2000, hits: 40)])
    func kernelAndRemainderAreTheWhole(room: FilterRoom) throws {
        var random = SplitMix64(seed: 2_026_112_201)
        let catalog = Catalog.builtIn
        var kernel = KernelFilter(room: room)
        var (taken, left, rests, tests, scopes) = (0, 0, 0, 0, 0)
        for round in 0..<60 {
            var wanted: [EventDefinition] = []
            while wanted.count < 4 {
                let event = catalog.events[random.below(catalog.events.count)]
                if !wanted.contains(where: { $0.index == event.index }) { wanted.append(event) }
            }
            let models = wanted.map { RandomTests.record($0, &random) }
            var policies: [Policy] = []
            for number in 0..<1 + random.below(64) {
                var scope = Scope()
                if random.below(8) == 0 {
                    try scope.add(
                        ["comm=a*", "comm=*b,a", "comm!=a*,b", "comm=*b*", "comm!=*ab*,a"][random.below(5)])
                    scopes += 1
                }
                var policy = Policy(name: "p\(number)", position: nil, scope: scope)
                for (event, model) in zip(wanted, models) where random.below(4) > 0 {
                    var rule = Policy.Rule()
                    var filters: [Filter] = []
                    for _ in 0..<random.below(4) {
                        do {
                            filters.append(try Filter.parse(filter(event, model, &random), event: event))
                        } catch {
                            continue
                        }
                    }
                    if !filters.isEmpty { rule.expression = Filter.combine(filters) }
                    policy.rules[event.index] = rule
                }
                policies.append(policy)
            }
            let plan = try PolicyPlan(PolicySet(policies: policies), number: UInt32(round), room: room)
            #expect(plan.filters.first.tests == (round % 2) * room.tests)
            kernel.load(plan.filters)
            tests += plan.filters.tests.count
            for (event, model) in zip(wanted, models) {
                rests += plan.remainders[event.index]?.count { $0.rest != nil } ?? 0
                for turn in 0..<6 {
                    var record = turn == 0 ? model : RandomTests.record(event, &random)
                    record.setName(name(&random))
                    for index in record.blobs.indices
                    where event.fields[Int(record.blobs[index].field)].type == .string {
                        record.blobs[index].bytes = name(&random)
                    }
                    var expected: UInt64 = 0
                    for (number, policy) in policies.enumerated() {
                        guard let rule = policy.rules[event.index] else { continue }
                        guard try rule.expression.map({ try evaluate($0, record) }) ?? true else { continue }
                        guard try isInScope(record, policy.scope) else { continue }
                        expected |= 1 << UInt64(number)
                    }
                    let found = try plan.outcome(record, event, &kernel, context).whole
                    #expect(found == expected, "\(round) \(event.name) \(record) \(policies.map(\.rules))")
                    #expect(try plan.outcomeOfUndecided(record, event, context) == expected)
                    taken += found.nonzeroBitCount
                    left += policies.count - found.nonzeroBitCount
                }
            }
        }
        #expect(taken > 3000 && left > 3000, "\(taken) \(left)")
        #expect(rests > 500 && tests > 400, "\(rests) \(tests)")
        #expect(scopes > 100, "\(scopes)")
    }

    /// Plainly, what a scope's patterns of names say.
    private func isInScope(_ record: RecordBuilder, _ scope: Scope) throws -> Bool {
        guard let comm = scope.restrictions[.comm] else { return true }
        let name = try record.view { view in
            (0..<view.name.byteCount).map { unsafe view.name.unsafeLoad(fromByteOffset: $0, as: UInt8.self) }
        }
        func fits(_ values: Set<ScopeValue>, _ patterns: Set<StringPattern>) -> Bool {
            values.contains(.name(name)) || patterns.contains { $0.matches(name) }
        }
        if fits(comm.included, comm.includedPatterns) { return true }
        return comm.included.isEmpty && comm.includedPatterns.isEmpty
            && !fits(comm.excluded, comm.excludedPatterns)
    }

    // MARK: What is where

    private func plan(_ events: [String], _ scopes: [String] = [], number: UInt32 = 0) throws -> PolicyPlan {
        try PolicyPlan(try PolicySet(events: events, scopes: scopes), number: number)
    }

    @Test(
        arguments: [
            (["openat"], 0, false), (["openat.data.pathname=/etc/*"], 1, false),
            (["openat.data.pathname=*etc*"], 0, true),
            (["openat.data.pathname=/a*", "openat.data.pathname=*b*"], 0, true),
            (["openat.data.pathname=/a*,/b,*c", "openat.retval<0", "openat.scope.uid=0"], 3, false),
            (["openat.retval<0", "openat.scope.hostName=box"], 1, true),
            (["openat.scope.comm=a*", "openat.scope.processName!=b"], 1, false),
            (["openat.scope.container"], 0, true),
        ] as [([String], Int, Bool)])
    func whoDecides(_ events: [String], _ tests: Int, _ hasRest: Bool) throws {
        let plan = try plan(events)
        let openat = try #require(Catalog.builtIn["openat"]).index
        #expect(plan.events == [openat: 1])
        #expect(plan.filters.tests.count == tests)
        #expect(Int(plan.filters.events[openat]?.all ?? 0) == tests)
        let left = plan.remainders[openat] ?? []
        #expect(left.contains { $0.rest != nil } == hasRest)
        #expect(left.allSatisfy { ($0.rest == nil) == ($0.reason == nil) && $0.whole != nil })
        #expect(left.count == (tests > 0 || hasRest ? 1 : 0))
    }

    @Test func slotsFollowEachOther() throws {
        for number in [0, 1, 2, 3, UInt32.max] {
            let plan = try plan(["close.retval<0"], number: number)
            #expect(plan.filters.first.tests == (number % 2 == 0 ? 0 : plan.filters.room.tests))
            #expect(plan.filters.tests.first?.first == UInt32(plan.filters.first.bounds))
        }
    }

    @Test func eventsThatThisKernelLacksHaveNoTests() throws {
        let catalog = Catalog.builtIn
        let (openat, close) = (try #require(catalog["openat"]), try #require(catalog["close"]))
        let set = try PolicySet(events: ["openat.retval<0", "close.retval<0"], scopes: ["comm=a*"])
        let plan = try PolicyPlan(set, without: [openat.index])
        #expect(plan.events == [close.index: 1])
        #expect(plan.filters.tests.count == 2 && plan.filters.events[openat.index] == nil)
        #expect(Array(plan.remainders.keys) == [close.index])
    }

    @Test func patternsOfScopes() throws {
        let plan = try plan(["close"], ["comm=a*,bc", "uid=0"])
        let close = try #require(Catalog.builtIn["close"]).index
        #expect(plan.scope.used == ScopeKey.allCases.map { $0 == .uid ? 1 : 0 })
        #expect(plan.filters.tests.count == 1 && plan.remainders[close]?.first?.scope.count == 1)
        #expect(plan.remainders[close]?.first?.rest == nil)
        let error = #expect(throws: PolicyError.self) { try self.plan(["close"], ["uts=a*"]) }
        #expect(error?.description == "a scope's uts takes whole names, without *; records do not carry it")
        // What the kernel cannot do user space does, and the others' patterns stay with the kernel.
        let contains = try self.plan(["close", "openat.scope.comm=b*"], ["comm=*a*"])
        #expect(contains.filters.tests.count == 1)
        #expect(contains.remainders[close]?.first?.rest != nil)
        #expect(contains.remainders[close]?.first?.scope.count == 1)
    }
}
