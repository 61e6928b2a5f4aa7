import CContract
import Catalog
import Events
import TestSupport
import Testing

@testable import Outputs

/// What pointers in structures led to.
@Suite struct PointerMemberTests {
    private static let isResult = UInt8(APUS_BLOB_RESULT)

    /// Little-endian bytes of numbers.
    private static func bytes(_ numbers: UInt64...) -> [UInt8] {
        numbers.flatMap { number in (0..<8).map { UInt8(truncatingIfNeeded: number >> UInt64(8 * $0)) } }
    }

    private static func blob(
        _ field: Int, _ bytes: [UInt8], level: Int = 0, at offset: Int = 1, _ flags: UInt8 = 0
    ) -> RecordBuilder.Blob {
        .init(
            field: UInt8(field), bytes: bytes, flags: flags | UInt8(level << APUS_BLOB_LEVEL_SHIFT),
            count: UInt16(offset))
    }

    private static func record(
        _ name: String, _ values: [UInt64], _ blobs: [RecordBuilder.Blob]
    ) throws -> [UInt8] {
        var record = sampleRecord(try #require(Catalog.builtIn[name]).id, systemCall: 0)
        record.values = values
        record.blobs = blobs
        return record.build()
    }

    private static func line(
        _ name: String, _ values: [UInt64], _ blobs: [RecordBuilder.Blob]
    ) throws -> String {
        var encoder = StraceEncoder(clock: Clock(bootOffset: newYear))
        return text(straceLine(try record(name, values, blobs), &encoder))
    }

    private static func json() -> EventEncoder {
        EventEncoder(
            clock: Clock(bootOffset: newYear), policyNames: ["default"], executable: { _, _, _ in [] },
            isDecoded: true)
    }

    private static let buffers = bytes(0x1000, 3, 0x2000, 8, 0, 0)

    @Test func buffersWithTheirContents() throws {
        let blobs = [
            Self.blob(1, Self.buffers), Self.blob(1, Array("abc".utf8), level: 1, at: 0),
            Self.blob(1, Array("d\n".utf8), level: 1, at: 16, UInt8(APUS_BLOB_TRUNCATED)),
        ]
        #expect(
            try Self.line("writev", [1, 0x9000, 3, 11], blobs)
                == """
                [pid 1234] writev(1, [{iov_base="abc", iov_len=3}, {iov_base="d\\n"..., iov_len=8}, \
                {iov_base=NULL, iov_len=0}], 3) = 11

                """)
    }

    @Test func jsonHasThemAsBytes() throws {
        let blobs = [Self.blob(1, Self.buffers), Self.blob(1, Array("abc".utf8), level: 1, at: 0)]
        var encoder = Self.json()
        let line = text(jsonLine(try Self.record("writev", [1, 0x9000, 3, 11], blobs), &encoder))
        #expect(
            line.contains(
                """
                "struct":[{"iov_base":{"bytes":"YWJj"},"iov_len":"3"},{"iov_base":"0x2000","iov_len":"8"},\
                {"iov_base":"0x0","iov_len":"0"}]
                """), "\(line)")
    }

    /// What an array of structures led to belongs to the element whose pointer it was.
    @Test func twoLevels() throws {
        let head = { (iov: UInt64) in Self.bytes(0, 0, iov, 1, 0, 0, 0, 3) }
        let blobs = [
            Self.blob(1, head(0x10) + head(0x20)),
            Self.blob(1, Self.bytes(0x1000, 3), level: 1, at: 16),
            Self.blob(1, Array("one".utf8), level: 2, at: 0),
            Self.blob(1, Self.bytes(0x2000, 3), level: 1, at: 64 + 16),
            Self.blob(1, Array("two".utf8), level: 2, at: 0),
        ]
        let line = try Self.line("sendmmsg", [3, 0x9000, 2, 0, 2], blobs)
        let first = try #require(line.firstRange(of: "msg_iov=[{iov_base=\"one\", iov_len=3}]"))
        let second = try #require(line.firstRange(of: "msg_iov=[{iov_base=\"two\", iov_len=3}]"))
        #expect(first.upperBound < second.lowerBound)
    }

    /// What is read twice is shown as it was read last.
    @Test func whatTheCallLeft() throws {
        let given = Self.blob(1, Self.bytes(0x1000, 8))
        let left = [
            Self.blob(1, Self.bytes(0x1000, 8), Self.isResult),
            Self.blob(1, Array("new".utf8), level: 1, at: 0, Self.isResult),
        ]
        #expect(try Self.line("readv", [3, 0x9000, 1, 3], [given] + left).contains("iov_base=\"new\""))
        #expect(
            try Self.line("readv", [3, 0x9000, 1, UInt64(bitPattern: -5)], [given]).contains(
                "iov_base=0x1000"))
    }

    // MARK: Calls that wait

    @Test func polledDescriptors() throws {
        let polled = { (revents: [UInt16]) in
            revents.enumerated().flatMap { index, revents in
                Self.bytes(UInt64(index + 3) | 0x5 << 32 | UInt64(revents) << 48)
            }
        }
        let blobs = [Self.blob(0, polled([8, 8])), Self.blob(0, polled([0, 4]), Self.isResult)]
        #expect(
            try Self.line("poll", [0x9000, 2, 100, 1], blobs)
                == """
                [pid 1234] poll([{fd=3, events=POLLIN|POLLOUT}, {fd=4, events=POLLIN|POLLOUT}], 2, 100) = 1 \
                ([{fd=4, revents=POLLOUT}])

                """)
        #expect(try Self.line("poll", [0x9000, 2, 100, 0], blobs).hasSuffix(", 2, 100) = 0 (Timeout)\n"))
        let failed = try Self.line("poll", [0x9000, 2, 100, UInt64(bitPattern: -4)], [blobs[0]])
        #expect(failed.hasSuffix(", 2, 100) = -1 EINTR (Interrupted system call)\n"))
    }

    @Test func selectedDescriptors() throws {
        let blobs = [
            Self.blob(1, [0b1001_1000]), Self.blob(2, [0b1000]), Self.blob(4, Self.bytes(1, 5)),
            Self.blob(1, [0b1_0000], Self.isResult), Self.blob(2, [0], Self.isResult),
            Self.blob(4, Self.bytes(0, 7), Self.isResult),
        ]
        // Bit 7 lies behind the number of descriptors.
        #expect(
            try Self.line("select", [7, 0x9000, 0x9100, 0, 0x9200, 1], blobs)
                == """
                [pid 1234] select(7, [3 4], [3], NULL, {tv_sec=1, tv_usec=5}) = 1 (in [4], left {tv_sec=0, tv_usec=7})

                """)
    }

    /// Any blobs in any order, of any level: no trap, and no memory behind the record.
    @Test func anyBlobs() throws {
        var random = SplitMix64(seed: 6)
        let calls = ["writev", "readv", "sendmsg", "recvmsg", "sendmmsg", "recvmmsg", "poll", "select"]
        var encoder = StraceEncoder(clock: Clock(bootOffset: newYear))
        var json = Self.json()
        var shown = 0
        for _ in 0..<4000 {
            let blobs = (0..<random.below(12)).map { _ in
                Self.blob(
                    random.below(3),
                    (0..<random.below(200)).map { _ in UInt8(truncatingIfNeeded: random.next()) },
                    level: random.below(4), at: [0, 0, 16, 16, 32, 80, 65535][random.below(7)],
                    UInt8(random.below(8)))
            }
            let record = try Self.record(
                calls[random.below(calls.count)], [3, 0x9000, 2, 0, 2, 0], blobs)
            shown += straceLine(record, &encoder).count + jsonLine(record, &json).count
        }
        #expect(shown > 4000 * 100)
    }
}
