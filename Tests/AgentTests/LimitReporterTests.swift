import Policies
import Probes
import Testing

@testable import Agent

@Suite struct LimitReporterTests {
    private let policies: [Policy]

    init() throws {
        policies = try PolicySet(events: ["openat"], scopes: [], limits: ["rate=5/s", "cgroup=1/s"]).policies
    }

    private func look(
        _ reporter: inout LimitReporter, _ costs: [Sensor.LimitSubject: UInt64], at: UInt64,
        isLast: Bool = false
    ) -> [String] {
        reporter.update(costs, since: at - 1, now: at, isLast: isLast, policies: policies).map {
            "\($0.limit) \($0.group) \($0.isHolding) from \($0.from): \($0.count)"
        }
    }

    @Test func aLimitBeginsAndEnds() {
        var reporter = LimitReporter()
        let all = Sensor.LimitSubject(policy: 0)
        let group = Sensor.LimitSubject(policy: 0, group: 77)
        #expect(look(&reporter, [:], at: 10) == [])
        #expect(look(&reporter, [all: 5], at: 11) == ["rate=5/s 0 true from 10: 5"])
        #expect(look(&reporter, [all: 9], at: 12) == [])
        #expect(
            look(&reporter, [all: 9, group: 1], at: 13) == [
                "rate=5/s 0 false from 10: 9", "cgroup=1/s 77 true from 12: 1",
            ])
        #expect(look(&reporter, [all: 9, group: 1], at: 14) == ["cgroup=1/s 77 false from 12: 1"])
        #expect(look(&reporter, [all: 9, group: 1], at: 15) == [])
        // Another time, of which the first counts no more.
        #expect(look(&reporter, [all: 12, group: 1], at: 16) == ["rate=5/s 0 true from 15: 3"])
        #expect(
            look(&reporter, [all: 15, group: 1], at: 17, isLast: true) == ["rate=5/s 0 false from 15: 6"])
    }

    @Test func theEndEndsAll() {
        var reporter = LimitReporter()
        let all = Sensor.LimitSubject(policy: 0)
        #expect(
            look(&reporter, [all: 5], at: 11, isLast: true)
                == ["rate=5/s 0 true from 10: 5", "rate=5/s 0 false from 10: 5"])
        #expect(look(&reporter, [all: 5], at: 12, isLast: true) == [])
    }

    @Test func aGroupThatIsForgottenEnds() {
        var reporter = LimitReporter()
        let group = Sensor.LimitSubject(policy: 0, group: 7)
        #expect(look(&reporter, [group: 5], at: 11).count == 1)
        #expect(look(&reporter, [:], at: 12) == ["cgroup=1/s 7 false from 10: 5"])
        #expect(look(&reporter, [group: 2], at: 13) == ["cgroup=1/s 7 true from 12: 2"])
    }

    @Test func policiesThatAreNoMoreAreNoMatter() {
        var reporter = LimitReporter()
        #expect(look(&reporter, [.init(policy: 5): 5, .init(policy: -1): 1], at: 11, isLast: true) == [])
    }
}
