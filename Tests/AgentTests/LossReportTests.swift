import Catalog
import Events
import Probes
import TestSupport
import Testing

@testable import Agent

@Suite struct LossReportTests {
    private let catalog = Catalog.builtIn
    private let getppid = Catalog.builtIn["getppid"]?.index ?? -1
    private let openat = Catalog.builtIn["openat"]?.index ?? -1

    private func compared(
        _ old: Losses, _ new: Losses, lookedAt: UInt64 = 1000, now: UInt64 = 2000, plan: UInt32 = 0
    ) -> LossReport? {
        LossReport(from: old, to: new, lookedAt: lookedAt, now: now, plan: plan, catalog: catalog) {
            $0.plan == 9 ? nil : "p\($0.policy)"
        }
    }

    private func texts(_ rows: [LossReport.Row]) -> [String] { rows.map(\.text) }

    @Test func nothingNewIsNoReport() {
        #expect(compared(Losses(), Losses()) == nil)
        var losses = Losses()
        losses.events[getppid] = [3, 0, 0, 1]
        losses.processes[.init(pid: 1, start: 1)] = 4
        #expect(compared(losses, losses) == nil)
        #expect(compared(Losses(), losses)?.count == 4)
    }

    @Test func onlyWhatIsNewCounts() throws {
        var old = Losses()
        old.events = [getppid: [10, 0, 2, 0]]
        old.policies = [.init(plan: 0, policy: 0): 12]
        old.processes = [.init(pid: 7, start: 70): 12, .init(pid: 8, start: 80): 3]
        var new = old
        new.events = [getppid: [15, 0, 2, 0], openat: [0, 1, 0, 0]]
        new.policies = [.init(plan: 0, policy: 0): 17, .init(plan: 0, policy: 63): 1]
        // A number that is in use again is another process; one that was forgotten began anew.
        new.processes = [
            .init(pid: 7, start: 70): 16, .init(pid: 7, start: 71): 1, .init(pid: 8, start: 80): 1,
        ]
        let report = try #require(compared(old, new))
        #expect(report.count == 6)
        #expect(texts(report.events) == ["getppid=5", "openat=1"])
        #expect(texts(report.causes) == ["ring_full=5", "no_scratch=1"])
        #expect(texts(report.policies) == ["p0=5", "p63=1"])
        #expect(texts(report.processes) == ["7=5", "8=1"])
        #expect(report.policyBits == 0x8000_0000_0000_0001)
    }

    @Test func policiesOfOtherPlansAreNamedOnly() throws {
        var new = Losses()
        new.events = [getppid: [3, 0, 0, 0]]
        new.policies = [
            .init(plan: 1, policy: 2): 1, .init(plan: 2, policy: 3): 1, .init(plan: 9, policy: 4): 1,
        ]
        let report = try #require(compared(Losses(), new, plan: 2))
        #expect(texts(report.policies) == ["p2=1", "p3=1"])
        #expect(report.policyBits == 1 << 3)
    }

    /// Nanoseconds of the first and the last, and what is said of them.
    @Test(arguments: [
        (1200 as UInt64, 1800 as UInt64, 1200 as UInt64, 1800 as UInt64),
        (0, 1800, 1000, 1800), (900, 1800, 1000, 1800), (2500, 1800, 1000, 1800), (1500, 2500, 1500, 2000),
        (1500, 1400, 1500, 1500), (0, 0, 1000, 1000),
    ])
    func theTimeIsBetweenTheLooks(first: UInt64, last: UInt64, from: UInt64, to: UInt64) throws {
        var new = Losses()
        new.events = [getppid: [1, 0, 0, 0]]
        new.first = first
        new.last = last
        let report = try #require(compared(Losses(), new))
        #expect((report.from, report.to) == (from, to))
    }

    @Test func longListsEndWithTheOthers() throws {
        var new = Losses()
        for number in 1...40 { new.processes[.init(pid: UInt32(number), start: 1)] = UInt64(number) }
        new.events = [getppid: [820, 0, 0, 0]]
        let report = try #require(compared(Losses(), new))
        #expect(report.processes.count == LossReport.rowLimit)
        #expect(report.processes.first?.text == "40=40")
        #expect(report.processes.reduce(0) { $0 + $1.count } == 820)
        #expect(report.processes.last?.name == "others")
    }

    /// Over any looks, whatever lies between them, the reports say together what was lost.
    @Test func reportsAddUp() {
        var random = SplitMix64(seed: 18)
        for _ in 0..<200 {
            var losses = Losses()
            var seen = Losses()
            var told: UInt64 = 0
            var byCause: [String: UInt64] = [:]
            for _ in 0..<20 {
                for _ in 0..<random.below(4) {
                    let index = random.below(catalog.events.count)
                    losses.events[index, default: [0, 0, 0, 0]][random.below(4)] += UInt64(random.below(1000))
                }
                guard let report = compared(seen, losses) else { continue }
                told += report.count
                for row in report.causes { byCause[row.name, default: 0] += row.count }
                #expect(report.events.reduce(0) { $0 + $1.count } == report.count)
                seen = losses
            }
            if let last = compared(seen, losses) { told += last.count }
            #expect(told == losses.events.values.joined().reduce(0, +))
            for cause in LossCause.allCases {
                let count = losses.events.values.reduce(0) { $0 + $1[cause.rawValue] }
                #expect(byCause[cause.name, default: 0] <= count)
            }
        }
    }

    @Test func theRecordIsOneThatViewsRead() throws {
        var new = Losses()
        new.events = [getppid: [5, 0, 1, 0]]
        new.policies = [.init(plan: 3, policy: 1): 6]
        new.processes = [.init(pid: 42, start: 1): 6]
        new.first = 1100
        new.last = 1900
        let report = try #require(compared(Losses(), new, plan: 3))
        let record = AgentEvents.record(of: report, policies: 2, plan: 3)
        guard let event = unsafe EventView(record.span.bytes) else {
            Issue.record("no view")
            return
        }
        let definition = try #require(catalog["lost_events"])
        #expect(event.event == definition.id)
        #expect(event.policies == 2 && event.plan == 3 && event.isUndecided)
        #expect(definition.fields.map(\.name).prefix(3) == ["from", "to", "count"])
        #expect((0..<3).map { event.value($0) } == [1100, 1900, 6])
        var lists: [[String]] = []
        for field in 3..<definition.fields.count {
            #expect(definition.fields[field].type == .stringArray)
            guard let blob = event.blob(field) else { continue }
            var texts: [String] = []
            blob.forEachString { string in
                texts.append(
                    String(
                        decoding: (0..<string.byteCount).map {
                            unsafe string.unsafeLoad(fromByteOffset: $0, as: UInt8.self)
                        }, as: UTF8.self))
            }
            lists.append(texts)
        }
        #expect(lists == [["getppid=6"], ["ring_full=5", "shed=1"], ["p1=6"], ["42=6"]])
    }
}
