import CContract
import Catalog
import Events
import TestSupport
import Testing

@testable import Outputs

/// The table of calls in strace's form.
@Suite struct CallSummaryTests {
    private struct Recorded {
        var event: EventID
        var values: [UInt64]
        /// How long it took; nil where nobody knows.
        var nanoseconds: UInt64?
    }

    private func rows(_ calls: [Recorded]) throws -> [String] {
        var summary = CallSummary(.builtIn)
        for call in calls {
            var record = sampleRecord(call.event, systemCall: 0)
            record.values = call.values
            if let nanoseconds = call.nanoseconds {
                record.header.flags |= UInt8(APUS_RECORD_TIMED)
                record.values.append(record.header.time - nanoseconds)
            }
            try add(record.build(), call.event, &summary)
        }
        var buffer = ByteBuffer(capacity: 16)
        summary.append(to: &buffer)
        let text = unsafe buffer.withBytes { unsafe String(decoding: $0, as: UTF8.self) }
        #expect(text.hasSuffix("\n"))
        return text.split(separator: "\n").map(String.init)
    }

    private func add(_ bytes: [UInt8], _ id: EventID, _ summary: inout CallSummary) throws {
        let index = try #require(Catalog.builtIn.index(of: id))
        guard let event = unsafe EventView(bytes.span.bytes) else {
            Issue.record("a whole record was refused")
            return
        }
        summary.add(event, index: index)
    }

    private func close(_ nanoseconds: UInt64?, failing: Bool = false) -> Recorded {
        Recorded(
            event: .close, values: [3, failing ? UInt64(bitPattern: -9) : 0], nanoseconds: nanoseconds)
    }

    @Test func callsErrorsAndTimes() throws {
        let calls =
            (1...99).map { close(UInt64($0) * 1000, failing: $0 % 33 == 0) } + [close(1_000_000)]
            + [Recorded(event: .getppid, values: [1], nanoseconds: 50_000)]
        #expect(
            try rows(calls) == [
                "% time     seconds  usecs/call   p50 usecs   p99 usecs   max usecs     calls    errors syscall",
                "------ ----------- ----------- ----------- ----------- ----------- --------- --------- ----------------",
                " 99.17    0.005950        59.5        49.7        99.3      1000.0       100         3 close",
                "  0.83    0.000050        50.0        49.7        49.7        50.0         1           getppid",
                "------ ----------- ----------- ----------- ----------- ----------- --------- --------- ----------------",
                "100.00    0.006000        59.4        49.7        99.3      1000.0       101         3 total",
            ])
    }

    @Test func aCallWhoseEntryNobodySawHasNoTime() throws {
        #expect(
            try rows([close(nil), close(nil, failing: true)]).dropFirst(2).first
                == "  0.00    0.000000                                                         2         1 close"
        )
        #expect(
            try rows([close(nil), close(2000)]).dropFirst(2).first
                == "100.00    0.000002         2.0         2.0         2.0         2.0         2           close"
        )
    }

    @Test func sortedByTimeThenCallsThenNames() throws {
        let zero: UInt64 = 0
        let lines = try rows([
            Recorded(event: .getuid, values: [zero], nanoseconds: 5), close(nil),
            Recorded(event: .getppid, values: [zero], nanoseconds: 7),
            Recorded(event: .brk, values: [zero, zero], nanoseconds: nil),
            Recorded(event: .dup, values: [zero, zero], nanoseconds: nil),
            Recorded(event: .dup, values: [zero, zero], nanoseconds: nil),
        ])
        let names = lines.dropFirst(2).dropLast(2).compactMap {
            $0.split(separator: " ").last.map(String.init)
        }
        #expect(names == ["getppid", "getuid", "dup", "brk", "close"])
    }

    /// As strace counts: what never returns, and what is no call, is none.
    @Test func endsAndOtherEventsAreNotCounted() throws {
        let lines = try rows([
            Recorded(event: .exit_group, values: [0, 0], nanoseconds: nil),
            Recorded(event: .exit, values: [0, 0], nanoseconds: nil),
            Recorded(event: .sched_process_exit, values: [0, 0, 1], nanoseconds: nil),
            Recorded(event: .rt_sigreturn, values: [UInt64(bitPattern: -4)], nanoseconds: nil),
        ])
        #expect(lines.count == 5)
        #expect(lines[2].hasSuffix("        1           rt_sigreturn"))
    }

    @Test func ofNothingThereIsATable() throws {
        let lines = try rows([])
        #expect(lines.count == 4)
        #expect(lines[3].hasSuffix("        0           total"))
    }

    @Test func hostileTimesAreWrittenToo() throws {
        var record = sampleRecord(.close, systemCall: 3)
        record.header.time = .max
        record.header.flags = UInt8(APUS_RECORD_TIMED)
        record.values = [3, 0, 0]
        var summary = CallSummary(.builtIn)
        for _ in 0..<3 { try add(record.build(), .close, &summary) }
        var buffer = ByteBuffer(capacity: 16)
        summary.append(to: &buffer)
        let text = unsafe buffer.withBytes { unsafe String(decoding: $0, as: UTF8.self) }
        #expect(text.contains("18446744073.709552"))
    }
}
