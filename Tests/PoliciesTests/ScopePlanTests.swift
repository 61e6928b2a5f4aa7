import Policies
import Testing

@Suite struct ScopePlanTests {
    private func plan(_ policies: [String]...) throws -> ScopePlan {
        var plan = ScopePlan()
        for (number, items) in policies.enumerated() {
            var scope = Scope()
            for item in items { try scope.add(item) }
            plan.add(scope, policy: number)
        }
        return plan
    }

    private func marks(_ equals: UInt64, _ mentioned: UInt64) -> ScopePlan.Marks {
        var marks = ScopePlan.Marks()
        (marks.equals, marks.mentioned) = (equals, mentioned)
        return marks
    }

    @Test func keysAreNumberedAsInTheContract() {
        let names = ["pid", "uid", "comm", "mntns", "pidns", "uts", "cgroup", "tree"]
        #expect(ScopeKey.allCases.map(\.rawValue) == names)
        #expect(ScopeKey.allCases.map(\.index) == Array(0..<8))
    }

    @Test func noScopeRestrictsNothing() throws {
        let plan = try plan([], [])
        #expect(plan.used == [UInt64](repeating: 0, count: 8))
        #expect(plan.otherwise == plan.used)
        #expect(plan.values.isEmpty)
        #expect(plan.ranges.isEmpty)
    }

    @Test func everyPolicyHasItsBit() throws {
        let plan = try plan(
            ["pid=1,2"], ["pid!=1"], [], ["pid>10", "pid<20"], ["pid!=2", "pid>5"],
            ["pid=1", "pid!=1,3", "uid!=0"])
        #expect(plan.used == [0b111011, 0b100000, 0, 0, 0, 0, 0, 0])
        // With a value named by `=`, or a range, what nobody mentions does not match by itself.
        #expect(plan.otherwise == [0b000010, 0b100000, 0, 0, 0, 0, 0, 0])
        #expect(
            plan.values[.pid] == [
                .number(1): marks(0b100001, 0b100011), .number(2): marks(0b000001, 0b010001),
                .number(3): marks(0, 0b100000),
            ])
        #expect(plan.values[.uid] == [.number(0): marks(0, 0b100000)])
        #expect(plan.values[.comm] == nil)
        #expect(plan.ranges == [.pid: [3: 11...19, 4: 6...UInt32.max]])
    }

    @Test func textsAndTheLastPolicy() throws {
        var plan = ScopePlan()
        var scope = Scope()
        try scope.add("comm=cat,dog")
        try scope.add("uts!=host")
        scope.include(.tree, .number(42))
        plan.add(scope, policy: 63)
        let bit: UInt64 = 1 << 63
        #expect(plan.used == [0, 0, bit, 0, 0, bit, 0, bit])
        #expect(plan.otherwise == [0, 0, 0, 0, 0, bit, 0, 0])
        #expect(
            plan.values[.comm] == [
                .name(Array("cat".utf8)): marks(bit, bit),
                .name(Array("dog".utf8)): marks(bit, bit),
            ])
        #expect(plan.values[.uts] == [.name(Array("host".utf8)): marks(0, bit)])
        #expect(plan.values[.tree] == [.number(42): marks(bit, bit)])
    }
}
