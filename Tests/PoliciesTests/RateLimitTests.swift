import Catalog
import TestSupport
import Testing

@testable import Policies

@Suite struct RateLimitTests {
    @Test(arguments: [
        ("rate=1000/s", RateLimit.Subject.rate, 1_000_000 as UInt64, 1_000_000_000 as UInt64),
        ("rate=1000/s burst=5000", .rate, 1_000_000, 5_000_000_000),
        ("cgroup=500/s", .cgroup, 2_000_000, 1_000_000_000),
        ("  cgroup=1/m\tburst=3 ", .cgroup, 60_000_000_000, 180_000_000_000),
        ("rate=1/h", .rate, 3_600_000_000_000, 3_600_000_000_000),
        ("rate=1000000000/s", .rate, 1, 1_000_000_000),
        ("rate=3/s", .rate, 333_333_333, 999_999_999),
    ])
    func whatIsWritten(text: String, subject: RateLimit.Subject, interval: UInt64, burst: UInt64) throws {
        let limit = try RateLimit(text)
        #expect(limit.subject == subject)
        #expect((limit.interval, limit.burst) == (interval, burst))
    }

    @Test(arguments: [
        ("", "has no number"), ("rate", "has no number"), ("100/s", "has no number"),
        ("pid=1/s", "of neither"),
        ("rate=1", "per s, m or h"), ("rate=1/d", "per s, m or h"), ("rate=1/s/s", "per s, m or h"),
        ("rate=0/s", "from 1 to"), ("rate=-1/s", "from 1 to"), ("rate=+1/s", "from 1 to"),
        ("rate=/s", "from 1 to"),
        ("rate=1000000001/s", "from 1 to"), ("rate=99999999999999999999/s", "from 1 to"),
        ("rate=1/s burst=0", "from 1 to"), ("rate=1/s 5", "more than a burst"),
        ("rate=1/s burst=1 burst=2", "more than a burst"), ("rate=1/h burst=1000000000", "too large a burst"),
    ])
    func whatIsNone(text: String, gist: String) throws {
        let error = try #require(throws: PolicyError.self) { try RateLimit(text) }
        #expect(error.description.contains(gist) && error.description.contains("; write rate="), "\(error)")
    }

    @Test func oneOfEachSubject() throws {
        let set = try PolicySet(events: ["openat"], scopes: [], limits: ["rate=5/s", "cgroup=1/s"])
        #expect(set.policies[0].limits[.rate]?.text == "rate=5/s")
        #expect(set.policies[0].limits.count == 2)
        let error = try #require(throws: PolicyError.self) {
            try PolicySet(events: ["openat"], scopes: [], limits: ["rate=5/s", "rate=6/s"])
        }
        #expect(error.description.contains("'rate=6/s'") && error.description.contains("'rate=5/s' already"))
    }

    @Test func documentsSayWhereALimitIsWrong() {
        let text =
            "type: policy\nname: a\nscope: [global]\nrules:\n  - event: openat\nlimits:\n  - rate=1/s\n  - rate=x/s\n"
        let read = PolicyDocument.parse(Array(text.utf8), file: "a.yaml")
        let checked = PolicySet.check(read.documents, host: .init(), catalog: .builtIn)
        #expect(checked.diagnostics.map { $0.position?.line } == [8])
        #expect(checked.policies.first?.limits[.rate]?.text == "rate=1/s")
    }

    @Test func whatIsTakenOutIsNotTold() throws {
        for (events, count) in [
            (["openat"], 0), (["openat,-lost_events"], 1), (["openat", "-rate_*", "-openat2"], 1),
        ] {
            let set = try PolicySet(events: events, scopes: [])
            #expect(set.policies[0].unreported.count == count, "\(events)")
        }
    }

    @Test func anything() {
        var random = SplitMix64(seed: 5)
        let parts = [
            "rate=", "cgroup=", "=", "1", "20", "0", "9999999999", "/s", "/m", "/h", " burst=", "/", "\t",
            "ä", "\u{1b}",
        ]
        var good = 0
        for _ in 0..<20000 {
            let text = (0..<random.below(6)).map { _ in parts[random.below(parts.count)] }.joined()
            guard let limit = try? RateLimit(text) else { continue }
            good += 1
            #expect(limit.interval > 0 && limit.burst >= limit.interval, "\(text)")
        }
        #expect(good > 5)
    }
}
