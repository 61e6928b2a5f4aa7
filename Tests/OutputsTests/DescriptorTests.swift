import CContract
import Catalog
import Events
import TestSupport
import Testing

@testable import Outputs

/// What descriptors are open on, in all outputs.
@Suite struct DescriptorTests {
    private static let pipes: UInt32 = 0x5049_5045
    private static let sockets: UInt32 = 0x534f_434b
    private static let anonymous: UInt32 = 0x0904_1934
    private static let nowhere = UInt32(APUS_DESCRIPTOR_NOWHERE)
    private static let deleted = UInt32(APUS_DESCRIPTOR_DELETED)

    /// One of a record, as the kernel's programs write it.
    private struct Descriptor {
        var number: Int32 = 3
        var inode: UInt64 = 7
        var peer: UInt64 = 0
        var fileSystem: UInt32 = 0xef53
        var flags: UInt32 = 0
        var family: UInt16 = 0
        var socketProtocol: UInt16 = 0
        var port: UInt32 = 0
        var name: [UInt8]?
        var isTruncated = false
        var local: [UInt8]?
        var remote: [UInt8]?

        init(_ name: String? = nil) { self.name = name.map { Array($0.utf8) } }

        init(socket name: String, _ family: UInt16) {
            self.init(name)
            (fileSystem, flags, self.family) = (sockets, nowhere, family)
        }

        init(_ fileSystem: UInt32, _ name: String) {
            self.init(name)
            (self.fileSystem, flags) = (fileSystem, nowhere)
        }

        init(number: Int32, _ name: String) {
            self.init(name)
            self.number = number
        }

        /// - Parameter isHeld: Its number stands in what the field points at.
        func blobs(_ field: UInt8, isHeld: Bool = false) -> [RecordBuilder.Blob] {
            let told = apus_descriptor(
                inode: inode, peer: peer, number: number, file_system: fileSystem, flags: flags,
                family: family, protocol: socketProtocol, port: port, reserved: 0)
            var blobs: [RecordBuilder.Blob] = [
                .init(
                    field: field, bytes: unsafe withUnsafeBytes(of: told) { unsafe Array($0) },
                    flags: UInt8(APUS_BLOB_DESCRIPTOR), count: isHeld ? 0 : 1)
            ]
            for (part, bytes) in [name, local, remote].enumerated() {
                guard let bytes else { continue }
                let flags = isTruncated && part == 0 ? UInt8(APUS_BLOB_TRUNCATED) : 0
                blobs.append(
                    .init(field: field, bytes: bytes, flags: flags | 1 << 4, count: UInt16(part)))
            }
            return blobs
        }
    }

    private static func record(
        _ name: String, _ values: [UInt64], _ blobs: [RecordBuilder.Blob]
    ) throws -> [UInt8] {
        let event = try #require(Catalog.builtIn[name])
        var record = sampleRecord(event.id, systemCall: 0)
        (record.values, record.blobs) = (values, blobs)
        return record.build()
    }

    private static func strace(_ record: [UInt8], shows: Bool = true) -> String {
        var encoder = StraceEncoder(clock: Clock(bootOffset: newYear), showsDescriptors: shows)
        return String(text(straceLine(record, &encoder)).dropFirst("[pid 1234] ".count).dropLast())
    }

    private static func table(_ record: [UInt8], shows: Bool = true) -> String {
        var encoder = TableEncoder(clock: Clock(bootOffset: newYear), columns: 0, showsDescriptors: shows)
        return text(tableLine(record, &encoder))
    }

    private static func json(_ record: [UInt8], shows: Bool = true, isDecoded: Bool = false) -> String {
        var encoder = EventEncoder(
            clock: Clock(bootOffset: newYear), policyNames: [], executable: { _, _, _ in [] },
            isDecoded: isDecoded, showsDescriptors: shows)
        let line = text(jsonLine(record, &encoder))
        return line.firstRange(of: "\"data\":").map { String(line[$0.upperBound...].dropLast(2)) } ?? line
    }

    /// `close` of one.
    private static func close(_ descriptor: Descriptor) throws -> [UInt8] {
        try record("close", [UInt64(bitPattern: Int64(descriptor.number)), 0], descriptor.blobs(0))
    }

    // MARK: Kinds of files

    private static func ipv4(_ port: UInt16) -> [UInt8] {
        [2, 0, UInt8(port >> 8), UInt8(port & 255), 127, 0, 0, 1] + [UInt8](repeating: 0, count: 8)
    }

    private static func ipv6(_ port: UInt16) -> [UInt8] {
        [10, 0, UInt8(port >> 8), UInt8(port & 255), 0, 0, 0, 0] + [UInt8](repeating: 0, count: 15) + [1]
            + [0, 0, 0, 0]
    }

    private static func with(_ descriptor: Descriptor, _ change: (inout Descriptor) -> Void) -> Descriptor {
        var changed = descriptor
        change(&changed)
        return changed
    }

    private static let kinds: [(Descriptor, String)] = [
        (Descriptor("/etc/passwd"), "</etc/passwd>"),
        (Descriptor("/"), "</>"),
        (with(Descriptor("/tmp/x")) { $0.flags = deleted }, "</tmp/x>(deleted)"),
        (Descriptor(0x0102_1994, "memfd:m"), "</memfd:m>(deleted)"),
        (Descriptor(pipes, ""), "<pipe:[7]>"),
        (Descriptor(anonymous, "[eventpoll]"), "<anon_inode:[eventpoll]>"),
        (Descriptor(0x6e73_6673, "mnt"), "<mnt:[7]>"),
        (Descriptor(0x5049_4446, ""), "<anon_inode:[pidfd]>"),
        (Descriptor(socket: "TCP", 2), "<TCP:[7]>"),
        (Descriptor(socket: "", 17), "<socket:[7]>"),
        (Descriptor(socket: "PACKET", 17), "<PACKET:[7]>"),
        (
            with(Descriptor(socket: "TCP", 2)) { ($0.local, $0.remote) = (ipv4(80), ipv4(0)) },
            "<TCP:[127.0.0.1:80]>"
        ),
        (
            with(Descriptor(socket: "UDP", 2)) { ($0.local, $0.remote) = (ipv4(80), ipv4(53)) },
            "<UDP:[127.0.0.1:80->127.0.0.1:53]>"
        ),
        (
            with(Descriptor(socket: "TCPv6", 10)) { ($0.local, $0.remote) = (ipv6(80), ipv6(4711)) },
            "<TCPv6:[[::1]:80->[::1]:4711]>"
        ),
        (
            with(Descriptor(socket: "TCP", 2)) { ($0.local, $0.remote) = (ipv4(0), ipv4(0)) }, "<TCP:[7]>"
        ),
        // What stands in place of a port is the number of the protocol.
        (
            with(Descriptor(socket: "RAW", 2)) { ($0.local, $0.remote) = (ipv4(1), ipv4(0)) }, "<RAW:[7]>"
        ),
        (Descriptor(socket: "UNIX-STREAM", 1), "<UNIX-STREAM:[7]>"),
        (with(Descriptor(socket: "UNIX", 1)) { $0.peer = 8 }, "<UNIX:[7->8]>"),
        (
            with(Descriptor(socket: "UNIX", 1)) {
                ($0.peer, $0.local) = (8, [1, 0] + Array("/run/x\0".utf8))
            }, #"<UNIX:[7->8,"/run/x"]>"#
        ),
        (
            with(Descriptor(socket: "UNIX", 1)) { $0.local = [1, 0, 0] + Array("x".utf8) },
            #"<UNIX:[7,@"x"]>"#
        ),
        (with(Descriptor(socket: "UNIX", 1)) { $0.local = [1, 0] }, "<UNIX:[7]>"),
        (Descriptor(socket: "NETLINK", 16), "<NETLINK:[7]>"),
        (with(Descriptor(socket: "NETLINK", 16)) { $0.port = 4711 }, "<NETLINK:[ROUTE:4711]>"),
        (
            with(Descriptor(socket: "NETLINK", 16)) { ($0.port, $0.socketProtocol) = (1, 31) },
            "<NETLINK:[31:1]>"
        ),
        // Its name found no room.
        (Descriptor(), ""),
    ]

    @Test(arguments: kinds.indices)
    func aKindOfFile(_ index: Int) throws {
        let (descriptor, wanted) = Self.kinds[index]
        let record = try Self.close(descriptor)
        #expect(Self.strace(record) == "close(3\(wanted)) = 0")
        #expect(Self.table(record).contains("fd: 3\(wanted), returnValue: 0"))
        var inJSON = wanted.replacing("\"", with: "\\\"").replacing("(deleted)", with: " (deleted)")
        if let first = inJSON.firstIndex(of: "<"), let last = inJSON.lastIndex(of: ">") {
            inJSON.remove(at: last)
            inJSON.replaceSubrange(first...first, with: "=")
        }
        let shown = Self.json(record)
        #expect(
            shown == #"[{"name":"fd","str":"3\#(inJSON)"},{"name":"returnValue","int64":"0"}]"#, "\(shown)")
    }

    @Test func oddNames() throws {
        let odd = Descriptor("/a<b>\"\\\n\u{1}1é\u{202e}")
        let record = try Self.close(odd)
        #expect(Self.strace(record) == #"close(3</a\74b\76\"\\\n\0011\303\251\342\200\256>) = 0"#)
        #expect(Self.table(record).contains(#"fd: 3</a\x3cb\x3e"\\n\x011é\#u{fffd}>, "#))
        #expect(Self.json(record).contains(#""str":"3=/a<b>\"\\\n\u00011é"#))
    }

    @Test func longNames() throws {
        var long = Descriptor("/long")
        long.isTruncated = true
        #expect(Self.strace(try Self.close(long)) == "close(3</long...>) = 0")
        #expect(Self.table(try Self.close(long)).contains("fd: 3</long…>,"))
        // One that is too deep lacks its beginning.
        var deep = Descriptor("…/deep")
        deep.isTruncated = true
        #expect(Self.strace(try Self.close(deep)) == "close(3<.../deep>) = 0")
        #expect(Self.table(try Self.close(deep)).contains("fd: 3<…/deep>,"))
        #expect(Self.json(try Self.close(deep)).contains(#""str":"3=…/deep""#))
        #expect(Self.strace(try Self.close(Descriptor("…/deep"))).contains(#"3<\342\200\246/deep>"#))
    }

    // MARK: Where they stand

    @Test func directories() throws {
        var current = Descriptor("/root")
        current.number = -100
        let path = RecordBuilder.Blob(field: 1, bytes: Array("x".utf8))
        var opened = Descriptor("/root/x")
        opened.number = 5
        let values = [UInt64(bitPattern: -100), 0x1000, 0, 0, 5]
        let record = try Self.record("openat", values, [path] + current.blobs(0) + opened.blobs(4))
        #expect(
            Self.strace(record) == #"openat(AT_FDCWD</root>, "x", O_RDONLY) = 5</root/x>"#)
        #expect(Self.table(record).contains("dirfd: AT_FDCWD</root>, pathname: x, "))
        #expect(Self.table(record).contains("returnValue: 5</root/x>\n"))
        for isDecoded in [false, true] {
            let shown = Self.json(record, isDecoded: isDecoded)
            #expect(shown.hasPrefix(#"[{"name":"dirfd","str":"-100=/root"},{"name":"pathname","str":"x"},"#))
            #expect(shown.hasSuffix(#"{"name":"returnValue","str":"5=/root/x"}]"#))
        }
    }

    /// Where strace shows a current directory that is gone, the words are inside.
    @Test func aDirectoryThatIsGone() throws {
        var current = Descriptor("/x")
        (current.number, current.flags) = (-100, Self.deleted)
        let record = try Self.record(
            "mkdirat", [UInt64(bitPattern: -100), 0x1000, 0o700, 0],
            [.init(field: 1, bytes: Array("y".utf8))] + current.blobs(0))
        #expect(Self.strace(record) == #"mkdirat(AT_FDCWD</x (deleted)>, "y", 0700) = 0"#)
        #expect(Self.table(record).contains("dirfd: AT_FDCWD</x (deleted)>, "))
        #expect(Self.json(record).hasPrefix(#"[{"name":"dirfd","str":"-100=/x (deleted)"},"#))
    }

    @Test func onesThatAreNotOpen() throws {
        let record = try Self.record("close", [UInt64(bitPattern: -1), UInt64(bitPattern: -9)], [])
        #expect(Self.strace(record) == "close(-1) = -1 EBADF (Bad file descriptor)")
        #expect(Self.table(record).contains("fd: -1, returnValue: -EBADF\n"))
        #expect(Self.json(record) == #"[{"name":"fd","int32":-1},{"name":"returnValue","int64":"-9"}]"#)
    }

    /// Two of which the first is open.
    @Test func pairs() throws {
        let numbers = RecordBuilder.Blob(field: 0, bytes: [3, 0, 0, 0, 4, 0, 0, 0])
        let record = try Self.record(
            "pipe2", [0x1000, 0, 0], [numbers] + Descriptor(Self.pipes, "").blobs(0, isHeld: true))
        #expect(Self.strace(record) == "pipe2([3<pipe:[7]>, 4], 0) = 0")
        #expect(Self.table(record).contains("pipefd: [3<pipe:[7]> 4], "))
        #expect(
            Self.json(record).hasPrefix(#"[{"name":"pipefd","str_array":{"value":["3=pipe:[7]","4"]}},"#))
        #expect(Self.json(record, shows: false).contains(#""int32_array":{"value":[3,4]}"#))
    }

    /// The memory with the numbers was changed between the two readings.
    @Test func aPairThatChanged() throws {
        let numbers = RecordBuilder.Blob(field: 0, bytes: [9, 0, 0, 0, 4, 0, 0, 0])
        let record = try Self.record(
            "pipe2", [0x1000, 0, 0], [numbers] + Descriptor(Self.pipes, "").blobs(0, isHeld: true))
        #expect(Self.strace(record) == "pipe2([9, 4], 0) = 0")
    }

    // MARK: In structures

    private static func bytes<Number: FixedWidthInteger>(_ numbers: [Number]) -> [UInt8] {
        numbers.flatMap { number in unsafe withUnsafeBytes(of: number.littleEndian) { unsafe Array($0) } }
    }

    /// Two open ones and two that are not, of which the second is none at all.
    private static func poll(_ more: [RecordBuilder.Blob] = []) throws -> [UInt8] {
        let polled: (Int16) -> [UInt8] = { revents in
            [3, 4, 77, -1].flatMap { bytes([Int32($0)]) + bytes([1, $0 == 3 ? revents : 0]) }
        }
        return try record(
            "poll", [0x1000, 4, 0, 1],
            [.init(field: 0, bytes: polled(0))] + Descriptor("/etc/passwd").blobs(0, isHeld: true)
                + with(Descriptor(pipes, "")) { $0.number = 4 }.blobs(0, isHeld: true) + more
                + [.init(field: 0, bytes: polled(1), flags: UInt8(APUS_BLOB_RESULT))])
    }

    /// What a call was given has them, and in its result strace has the numbers alone.
    @Test func polledOnes() throws {
        let record = try Self.poll()
        #expect(
            Self.strace(record) == """
                poll([{fd=3</etc/passwd>, events=POLLIN}, {fd=4<pipe:[7]>, events=POLLIN}, \
                {fd=77, events=POLLIN}, {fd=-1}], 4, 0) = 1 ([{fd=3, revents=POLLIN}])
                """)
        #expect(Self.table(record).contains("fds: [{fd=3</etc/passwd>, events=POLLIN, revents=POLLIN}, "))
        let shown = Self.json(record, isDecoded: true)
        for wanted in [
            #"[{"fd":"3=/etc/passwd","events":"POLLIN","revents":"POLLIN"},{"fd":"4=pipe:[7]","#,
            #"{"fd":77,"events""#, #"{"fd":-1,"events""#,
        ] { #expect(shown.contains(wanted), "\(shown)") }
    }

    /// What stands behind the mark was not told; a negative one is none.
    @Test func tooManyOfThem() throws {
        let mark = UInt8(APUS_BLOB_DESCRIPTOR | APUS_BLOB_TRUNCATED)
        let record = try Self.poll([.init(field: 0, bytes: [], flags: mark, count: 0)])
        #expect(
            Self.strace(record)
                .contains("{fd=4<pipe:[7]>, events=POLLIN}, {fd=77<...>, events=POLLIN}, {fd=-1}]"))
        let shown = Self.json(record, isDecoded: true)
        #expect(shown.contains(#"{"fd":"77=…","#) && shown.contains(#"{"fd":-1,"#), "\(shown)")
        // A field before the one with the mark has all of its.
        let other = try Self.poll([.init(field: 1, bytes: [], flags: mark, count: 0)])
        #expect(Self.strace(other) == Self.strace(try Self.poll()))
    }

    @Test func setsOfThem() throws {
        let readable = RecordBuilder.Blob(field: 1, bytes: [0b0011_1000])
        let left = RecordBuilder.Blob(field: 1, bytes: [0b0000_1000], flags: UInt8(APUS_BLOB_RESULT))
        let record = try Self.record(
            "select", [6, 0x1000, 0, 0, 0, 1],
            [readable] + Descriptor("/a").blobs(1, isHeld: true)
                + Descriptor(number: 5, "/b").blobs(1, isHeld: true)
                + [left])
        #expect(Self.strace(record) == "select(6, [3</a> 4 5</b>], NULL, NULL, NULL) = 1 (in [3])")
        #expect(Self.table(record).contains("readfds: [3</a>], "))
        #expect(Self.json(record, isDecoded: true).contains(#"{"name":"readfds","struct":["3=/a"]}"#))
    }

    /// Two of a message, behind another kind of control message with the same numbers.
    @Test func thoseOfMessages() throws {
        func message(_ kind: Int32, _ numbers: [Int32]) -> [UInt8] {
            Self.bytes([UInt64(16 + 4 * numbers.count)]) + Self.bytes([1, kind]) + Self.bytes(numbers)
        }
        let control = message(2, [3, 5, 0]) + [0, 0, 0, 0] + message(1, [3, 5, 6])
        let head = Self.bytes([0, 0, 0, 0, 0x2000, UInt64(control.count), 0] as [UInt64])
        let record = try Self.record(
            "sendmsg", [4, 0x1000, 0, 1],
            [
                .init(field: 1, bytes: head),
                .init(field: 1, bytes: control, flags: 1 << 4, count: 32),
            ] + Descriptor("/a").blobs(1, isHeld: true) + Descriptor(number: 5, "/b").blobs(1, isHeld: true))
        #expect(Self.strace(record).contains("cmsg_data={pid=3, uid=5, gid=0}}"))
        #expect(Self.strace(record).contains("cmsg_type=SCM_RIGHTS, cmsg_data=[3</a>, 5</b>, 6]}]"))
        #expect(
            Self.json(record, isDecoded: true)
                .contains(#""cmsg_type":"SCM_RIGHTS","cmsg_data":["3=/a","5=/b",6]}"#))
    }

    /// Of 64 bits, and one that is left out where it is 0.
    @Test func wideAndMissingOnes() throws {
        let wide = try Self.record(
            "mount_setattr", [3, 0, 0, 0x1000, 32, 0],
            [.init(field: 3, bytes: Self.bytes([0, 0, 0, 3] as [UInt64]))]
                + Descriptor("/a").blobs(3, isHeld: true))
        #expect(Self.strace(wide).contains("userns_fd=3</a>}"))
        #expect(Self.json(wide, isDecoded: true).contains(#""userns_fd":"3=/a""#))
        let closed = try Self.record(
            "mount_setattr", [3, 0, 0, 0x1000, 32, 0],
            [.init(field: 3, bytes: Self.bytes([0, 0, 0, 3] as [UInt64]))])
        #expect(Self.json(closed, isDecoded: true).contains(#""userns_fd":"3""#))
        let ring = try Self.record(
            "io_uring_setup", [1, 0x1000, 5],
            [.init(field: 1, bytes: [UInt8](repeating: 0, count: 120))]
                + Descriptor(number: 0, "/a").blobs(1, isHeld: true))
        #expect(!Self.strace(ring).contains("wq_fd"))
        #expect(Self.json(ring, isDecoded: true).contains(#""wq_fd":0,"#))
    }

    // MARK: Where nobody asked, and broken ones

    @Test func nothingIsShownUnasked() throws {
        let record = try Self.close(Descriptor("/etc/passwd"))
        #expect(Self.strace(record, shows: false) == "close(3) = 0")
        #expect(Self.table(record, shows: false).contains("fd: 3, returnValue: 0"))
        #expect(
            Self.json(record, shows: false)
                == #"[{"name":"fd","int32":3},{"name":"returnValue","int64":"0"}]"#)
    }

    /// It is no blob of the field's own: a buffer of that field is still found, before and behind it.
    @Test func otherBlobsOfTheField() throws {
        let text = RecordBuilder.Blob(field: 0, bytes: Array("/x".utf8))
        for blobs in [[text] + Descriptor("/y").blobs(0), Descriptor("/y").blobs(0) + [text]] {
            let record = try Self.record("chdir", [0x1000, 0], blobs)
            #expect(Self.strace(record) == #"chdir("/x") = 0"#)
        }
    }

    @Test func tooShortOnes() throws {
        var blobs = Descriptor("/etc/passwd").blobs(0)
        blobs[0].bytes.removeLast()
        #expect(Self.strace(try Self.record("close", [3, 0], blobs)) == "close(3) = 0")
        // A name of another field, or of another level, is none of this one.
        blobs = Descriptor("/etc/passwd").blobs(0)
        blobs[1].flags = 0x20
        #expect(Self.strace(try Self.record("close", [3, 0], blobs)) == "close(3) = 0")
    }
}
