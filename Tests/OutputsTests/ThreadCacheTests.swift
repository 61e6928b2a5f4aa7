import CContract
import Catalog
import Events
import TestSupport
import Testing

@testable import Outputs

/// What is written of a thread is kept, and must not outlive a change of the thread.
@Suite struct ThreadCacheTests {
    /// Answers for executables, and counts how often it was asked.
    private final class Executables {
        var path = "/usr/bin/first"
        var asked: [UInt32] = []
    }

    private let executables = Executables()

    private func encoder() -> EventEncoder {
        let executables = executables
        return EventEncoder(clock: Clock(bootOffset: newYear), policyNames: ["default"]) {
            process, _, _ in
            executables.asked.append(process)
            return Array(executables.path.utf8)
        }
    }

    private func record() -> RecordBuilder {
        var record = sampleRecord(.close, systemCall: 3)
        record.values = [3, 0]
        return record
    }

    @Test func theSameThreadIsWrittenOnce() {
        var encoder = encoder()
        let first = text(jsonLine(record().build(), &encoder))
        var second = record()
        second.values = [4, 0]
        let expected = first.replacing(#""fd","int32":3"#, with: #""fd","int32":4"#)
        #expect(text(jsonLine(second.build(), &encoder)) == expected)
        #expect(executables.asked == [1234])
    }

    @Test func everyChangeShows() {
        let changes: [(String, String, (inout RecordBuilder) -> Void)] = [
            (#""name":"cat""#, #""name":"dog""#, { $0.setName(Array("dog".utf8)) }),
            (#""real_user":{"id":0}"#, #""real_user":{"id":1000}"#, { $0.header.uid = 1000 }),
            (#""tid":1234,"s"#, #""tid":7,"s"#, { $0.header.tid = 7 }),
            (#""pid":1234,"real"#, #""pid":7,"real"#, { $0.header.pid = 7 }),
            (#""pid":1000}]"#, #""pid":7}]"#, { $0.header.ppid = 7 }),
            (
                #"[{"unique_id":907831694,"host_pid":1000,"#,
                #"[{"unique_id":\#(entityID(number: 2, start: 50_000_000_000)),"host_pid":2,"#,
                { $0.header.host_ppid = 2 }
            ),
            (
                #"05.600000001Z","name":"cat","unique_id":2183183527"#,
                #"05.65Z","name":"cat","unique_id":2183183527"#,
                { $0.header.thread_start = 97_445_650_000_000 }
            ),
            (
                #"{"unique_id":907831694"#, #"{"unique_id":\#(entityID(number: 1000, start: 0))"#,
                { $0.header.parent_start = 0 }
            ),
            (
                #""},"unique_id":2183183527"#,
                #""},"unique_id":\#(entityID(number: 1234, start: 0))"#,
                { $0.header.process_start = 0 }
            ),
        ]
        for (old, new, change) in changes {
            var encoder = encoder()
            let before = text(jsonLine(record().build(), &encoder))
            var other = record()
            change(&other)
            #expect(before.contains(old))
            #expect(text(jsonLine(other.build(), &encoder)) == before.replacing(old, with: new))
            #expect(text(jsonLine(record().build(), &encoder)) == before)
        }
    }

    @Test func anExecutionIsForgotten() {
        var encoder = encoder()
        let before = text(jsonLine(record().build(), &encoder))
        executables.path = "/usr/bin/second"
        #expect(text(jsonLine(record().build(), &encoder)) == before)
        encoder.forget(process: 1234, isParent: false)
        let after = text(jsonLine(record().build(), &encoder))
        #expect(after == before.replacing("/usr/bin/first", with: "/usr/bin/second"))
        encoder.forget(process: .max, isParent: false)
        encoder.forget(process: 0, isParent: false)
        #expect(text(jsonLine(record().build(), &encoder)) == after)
        #expect(executables.asked == [1234, 1234])
    }

    @Test func threadsThatShareASlotDoNotMix() {
        var encoder = encoder()
        var lines: [[UInt8]] = []
        let threads = (0..<6).map { UInt32(1234 + $0 * 2048) }
        for _ in 0..<2 {
            for thread in threads {
                var record = record()
                record.header.host_tid = thread
                lines.append(jsonLine(record.build(), &encoder))
                #expect(text(lines.last ?? []).contains(#""host_tid":\#(thread),"#))
            }
        }
        #expect(lines[..<6] == lines[6...])
    }

    /// All that identifies this thread is zero, as in a slot that nothing was written to.
    @Test func aThreadOfZeros() throws {
        var encoder = encoder()
        var record = RecordBuilder(values: [3, 0])
        record.header.event = EventID.close.rawValue
        record.header.syscall = -1
        let parsed = try JSONValue(parsing: jsonLine(record.build(), &encoder))
        #expect(parsed["workload"]?["process"]?["host_pid"] == .number(0))
        #expect(parsed["workload"]?["process"]?["thread"]?["name"] == .string(""))
    }

    @Test func policiesFollowTheRecord() {
        var encoder = EventEncoder(
            clock: Clock(bootOffset: newYear), policyNames: ["a", "b\""],
            executable: { _, _, _ in [] })
        for (policies, expected) in [
            (0, #""name":"close","workload""#),
            (1, #""name":"close","policies":{"matched":["a"]},"workload""#),
            (3, #""name":"close","policies":{"matched":["a","b\""]},"workload""#),
            (2, #""name":"close","policies":{"matched":["b\""]},"workload""#),
            (1 << 63, #""name":"close","workload""#),
            (1, #""name":"close","policies":{"matched":["a"]},"workload""#),
        ] as [(UInt64, String)] {
            var record = record()
            record.header.policies = policies
            let line = text(jsonLine(record.build(), &encoder))
            #expect(line.contains(expected), "\(policies): \(line)")
        }
    }
}
