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

    // MARK: Messages

    private static let loopback: [UInt8] = [2, 0, 0, 53, 127, 0, 0, 1, 1, 2, 3, 4, 5, 6, 7, 8]
    private static let name = #"{sa_family=AF_INET, sin_port=htons(53), sin_addr=inet_addr("127.0.0.1")}"#

    /// A message that was received: what was behind the room of its name is older.
    private static func received(room: UInt64?, _ blob: [UInt8] = loopback, isDecoded: Bool = false) throws
        -> String
    {
        let given = room.map { [Self.blob(1, bytes(0x1000, $0, 0, 0, 0, 0, 0))] } ?? []
        let left = [
            Self.blob(1, bytes(0x1000, 16, 0, 0, 0, 0, 0), isResult),
            Self.blob(1, blob, level: 1, at: 0, isResult),
        ]
        let values: [UInt64] = [3, 0x9000, 0, 5]
        guard isDecoded else { return try line("recvmsg", values, given + left) }
        var encoder = json()
        return text(jsonLine(try record("recvmsg", values, given + left), &encoder))
    }

    @Test(
        arguments: [
            (16, "\(name), msg_namelen=16,"), (128, "\(name), msg_namelen=128 => 16,"),
            (nil, "\(name), msg_namelen=16,"),
            (4, #"{sa_family=AF_INET, sa_data="\0005"}, msg_namelen=4 => 16,"#),
            (2, "{sa_family=AF_INET}, msg_namelen=2 => 16,"), (1, "0x1000, msg_namelen=1 => 16,"),
            (0, "0x1000, msg_namelen=0 => 16,"), (0xffff_ffff, "0x1000, msg_namelen=-1 => 16,"),
        ] as [(UInt64?, String)])
    func roomOfNames(_ room: UInt64?, _ shown: String) throws {
        let line = try Self.received(room: room)
        #expect(line.contains("{msg_name=\(shown)"), "\(line)")
    }

    @Test func roomOfNamesInJSON() throws {
        #expect(try Self.received(room: 16, isDecoded: true).contains(#""sin_addr":"127.0.0.1""#))
        for room in [0, 1, 4] as [UInt64] {
            let line = try Self.received(room: room, isDecoded: true)
            #expect(!line.contains("127.0.0.1") && line.contains(#""msg_namelen":16"#), "\(line)")
        }
    }

    /// Of what is sent only how much of it is the call's; what it was given may change meanwhile.
    @Test func whatWasSent() throws {
        let head = { (iov: UInt64, length: UInt64) in Self.bytes(0, 0, iov, 1, 0, 0, 0, length) }
        let given = [
            Self.blob(1, head(0x10, 77) + head(0x20, 77)),
            Self.blob(1, Self.bytes(0x1000, 3), level: 1, at: 16),
            Self.blob(1, Array("one".utf8), level: 2, at: 0),
        ]
        let left = Self.blob(1, head(0x30, 2), Self.isResult)
        let line = try Self.line("sendmmsg", [3, 0x9000, 2, 0, 1], given + [left])
        #expect(
            line.contains(
                "iov_base=\"one\", iov_len=3}], msg_iovlen=1, msg_controllen=0, msg_flags=0}, msg_len=2}, {msg_hdr="
            ),
            "\(line)")
        #expect(line.contains("msg_iov=0x20, ") && line.hasSuffix("msg_flags=0}}], 2, 0) = 1\n"), "\(line)")
        let failed = try Self.line("sendmmsg", [3, 0x9000, 2, 0, UInt64(bitPattern: -9)], given)
        #expect(failed.contains("iov_base=\"one\"") && !failed.contains("msg_len"), "\(failed)")
        // Read again, as not all of it was in memory before.
        let late = Self.blob(1, head(0x10, 9) + head(0x20, 9), Self.isResult | UInt8(APUS_BLOB_AT_EXIT))
        for blobs in [given + [late], [late]] {
            let line = try Self.line("sendmmsg", [3, 0x9000, 2, 0, UInt64(bitPattern: -14)], blobs)
            #expect(line.contains("msg_hdr=") && !line.contains("msg_len"), "\(line)")
        }
        #expect(try Self.line("sendmmsg", [3, 0x9000, 2, 0, 2], given + [late]).contains("msg_len=9}]"))
        var encoder = Self.json()
        let json = text(
            jsonLine(try Self.record("sendmmsg", [3, 0x9000, 2, 0, 1], given + [left]), &encoder))
        #expect(json.contains(#""msg_len":2},{"#) && !json.contains("77") && json.contains("b25l"), "\(json)")
    }

    /// Nothing is known of messages that did not come.
    @Test func whatWasNotReceived() throws {
        let given = [Self.blob(1, Self.bytes(0x1000, 16, 0x10, 1, 0, 0, 0, 9))]
        let failed = UInt64(bitPattern: -11)
        #expect(
            try Self.line("recvmmsg", [3, 0x9000, 1, 0, 0, failed], given).contains(
                "recvmmsg(3, 0x9000, 1, 0, NULL)"))
        #expect(
            try Self.line("recvmmsg", [3, 0x9000, 1, 0, 0, 0], given).contains("recvmmsg(3, [], 1, 0, NULL)"))
        var encoder = Self.json()
        let json = text(jsonLine(try Self.record("recvmmsg", [3, 0x9000, 1, 0, 0, 0], given), &encoder))
        #expect(json.contains(#"{"name":"msgvec","pointer":"36864"}"#), "\(json)")
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
