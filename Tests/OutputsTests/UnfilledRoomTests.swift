import CContract
import Catalog
import TestSupport
import Testing

@testable import Outputs

/// Of room that a call did not fill no format shows what was in it before.
@Suite struct UnfilledRoomTests {
    struct Shown {
        let json: String
        let table: String
        let strace: String
    }

    private static func shown(
        _ name: String, _ values: [UInt64], _ blobs: [RecordBuilder.Blob]
    ) throws -> Shown {
        let event = try #require(Catalog.builtIn[name])
        var record = sampleRecord(event.id, systemCall: 0)
        record.values = values
        record.blobs = blobs
        let clock = Clock(bootOffset: newYear)
        var json = EventEncoder(
            clock: clock, policyNames: [], executable: { _, _, _ in [] }, isDecoded: true, showsPayload: true)
        var table = TableEncoder(clock: clock, columns: 0)
        var strace = StraceEncoder(clock: clock)
        let built = record.build()
        return Shown(
            json: text(jsonLine(built, &json)), table: text(tableLine(built, &table)),
            strace: text(straceLine(built, &strace)))
    }

    private static func bytes(_ numbers: Int32...) -> [UInt8] {
        numbers.flatMap { number in (0..<4).map { UInt8(truncatingIfNeeded: number >> (8 * $0)) } }
    }

    private static func failed(_ error: Int64) -> UInt64 { UInt64(bitPattern: -error) }
    private static let old = [UInt8](repeating: 0x5a, count: 144)

    /// A message that did not come left its room as it was.
    @Test func messages() throws {
        let head = Self.bytes(0, 0, 16, 0) + Self.old.prefix(40)
        let shown = try Self.shown(
            "recvmsg", [3, 0x1000, 0, Self.failed(11)], [.init(field: 1, bytes: head)])
        #expect(shown.strace.contains("recvmsg(3, {msg_namelen=16}, 0) = -1 EAGAIN"))
        #expect(shown.table.contains("msg: {msg_namelen=16}, flags"))
        #expect(shown.json.contains(#"{"name":"msg","struct":{"msg_namelen":16}}"#))
    }

    /// Of a structure that is given and filled, what was given.
    @Test func results() throws {
        let name = Array("eth0".utf8) + [UInt8](repeating: 0, count: 12)
        let given = RecordBuilder.Blob(field: 2, bytes: name + Self.old.prefix(24))
        var shown = try Self.shown("ioctl", [3, 0x8921, 0x1000, Self.failed(19)], [given])
        #expect(shown.strace.contains(#"ioctl(3, SIOCGIFMTU, {ifr_name="eth0"}) = -1 ENODEV"#))
        #expect(shown.table.contains(#"arg: {ifr_name="eth0"}, returnValue"#))
        #expect(shown.json.contains(#""struct":{"ifr_name":"eth0"}}"#))
        let left = RecordBuilder.Blob(
            field: 2, bytes: name + Self.bytes(1500) + Self.old.prefix(20), flags: UInt8(APUS_BLOB_RESULT))
        shown = try Self.shown("ioctl", [3, 0x8921, 0x1000, 0], [given, left])
        #expect(shown.strace.contains(#"{ifr_name="eth0", ifr_mtu=1500}) = 0"#))
        #expect(shown.table.contains(#"arg: {ifr_name="eth0", ifr_mtu=1500}"#))
        #expect(shown.json.contains(#""struct":{"ifr_name":"eth0","ifr_mtu":1500}}"#))
    }

    /// `waitid` returns 0 where no child had ended, too.
    @Test(arguments: [
        (options: UInt64(5), signal: Int32?.some(0), isShown: false), (5, 17, true), (5, nil, false),
        (4, nil, true),
    ])
    func timesOfChildren(_ options: UInt64, _ signal: Int32?, _ isShown: Bool) throws {
        var blobs = [RecordBuilder.Blob(field: 4, bytes: Self.old)]
        if let signal {
            blobs.append(
                .init(field: 2, bytes: Self.bytes(signal, 0, 1, 0) + [UInt8](repeating: 0, count: 112)))
        }
        let address: UInt64 = signal == nil ? 0 : 0x1000
        let shown = try Self.shown("waitid", [0, 0, address, options, 0x2000, 0], blobs)
        #expect(shown.strace.contains("ru_maxrss") == isShown)
        #expect(shown.strace.hasSuffix(", 0x2000) = 0\n") == !isShown)
        #expect(shown.table.contains("ru_maxrss") == isShown)
        #expect(shown.table.contains("rusage: 0x2000") == !isShown)
        #expect(shown.json.contains("ru_maxrss") == isShown)
        #expect(shown.json.contains(#"{"name":"rusage","pointer":"8192"}"#) == !isShown)
    }

    /// How much room there was and how much there would have to be.
    @Test func lengths() throws {
        let result = UInt8(APUS_BLOB_RESULT)
        for (room, length, words) in [(2, 16, "[2 => 16]"), (16, 16, "[16]")] as [(Int32, Int32, String)] {
            let shown = try Self.shown(
                "getsockname", [3, 0x1000, 0x2000, 0],
                [
                    .init(field: 2, bytes: Self.bytes(room)), .init(field: 1, bytes: [2, 0]),
                    .init(field: 2, bytes: Self.bytes(length), flags: result),
                ])
            #expect(shown.strace.hasSuffix("getsockname(3, {sa_family=AF_INET}, \(words)) = 0\n"))
        }
    }

    /// One that says how long it is.
    @Test func structuresWithSizes() throws {
        for (size, last) in [(64, "config1"), (0, "config1"), (72, "config2"), (20, "config")]
            as [(Int32, String)]
        {
            let attributes = Self.bytes(0, size) + [UInt8](repeating: 0, count: 56) + Self.old.prefix(64)
            let shown = try Self.shown(
                "perf_event_open", [0x1000, 0, 0, 0, 0, 3], [.init(field: 0, bytes: attributes)])
            let (words, json) = size == 72 ? ("0x5a5a5a5a5a5a5a5a", "0x5a5a5a5a5a5a5a5a") : ("0", "0x0")
            #expect(shown.strace.contains("\(last)=\(words)}, 0"))
            #expect(shown.table.contains("\(last)=\(words)}, "))
            #expect(shown.json.contains("\"\(last)\":\"\(json)\"}}"))
        }
    }

    /// A 32-bit caller's has another layout.
    @Test func structuresOf32Bits() throws {
        var record = sampleRecord(try #require(Catalog.builtIn["getsockopt"]).id, systemCall: 0)
        record.header.flags = UInt8(APUS_RECORD_COMPAT)
        record.values = [3, 1, 20, 0x1000, 0x2000, 0]
        record.blobs = [.init(field: 3, bytes: Self.bytes(1, 2)), .init(field: 4, bytes: Self.bytes(8))]
        var strace = StraceEncoder(clock: Clock(bootOffset: newYear))
        #expect(text(straceLine(record.build(), &strace)).contains("SO_RCVTIMEO_OLD, 0x1000, [8]) = 0"))
    }

    @Test func listsWithoutRoom() throws {
        #expect(
            try Self.shown("flistxattr", [3, 0x1000, 0, 0], []).strace.contains(
                "flistxattr(3, 0x1000, 0) = 0"))
        #expect(
            try Self.shown("flistxattr", [3, 0x1000, 9, 0], []).strace.contains(#"flistxattr(3, "", 9) = 0"#))
        #expect(try Self.shown("getgroups", [0, 0x1000, 0], []).strace.contains("getgroups(0, []) = 0"))
    }
}
