import CContract
import Catalog
import Events
import TestSupport
import Testing

@testable import Outputs

@Suite struct TableEncoderTests {
    private func line(_ record: RecordBuilder, columns: Int = 0) -> String {
        var encoder = TableEncoder(clock: Clock(bootOffset: newYear), columns: columns)
        return text(tableLine(record.build(), &encoder))
    }

    /// Without the time, whose zone is that of the machine, and the end of the line.
    private func rest(_ record: RecordBuilder) -> String {
        String(line(record).dropFirst(17).dropLast())
    }

    /// What calls return is an address, permissions or flags for some.
    @Test(arguments: [
        ("brk", [0x1000, 0x2000], "returnValue: 0x2000"),
        ("brk", [0x1000, UInt64(bitPattern: -12)], "returnValue: -ENOMEM"),
        ("umask", [0o77, 0o22], "mask: 077, returnValue: 022"),
        ("fcntl", [3, 3, 0, 0x402], "returnValue: 0x402 (flags O_RDWR|O_APPEND)"),
        ("fcntl", [3, 1, 0, 0], "returnValue: 0"), ("read", [3, 0x1000, 9, 9], "count: 9, returnValue: 9"),
    ])
    func results(_ name: String, _ values: [UInt64], _ end: String) throws {
        var record = sampleRecord(try #require(Catalog.builtIn[name]).id, systemCall: 0)
        record.values = values
        #expect(rest(record).hasSuffix(end), "\(rest(record))")
    }

    @Test func columns() {
        var record = sampleRecord(.openat, systemCall: 257)
        record.header.uid = 1000
        record.header.host_tid = 1235
        record.values = [UInt64(bitPattern: -100), 0x7ffc_0000_1000, 0x80000, 0, 3]
        record.blobs = [.init(field: 1, bytes: Array("/etc/hostname".utf8))]
        #expect(
            rest(record)
                == "1000   cat              1234    1235    openat                    "
                + "dirfd: AT_FDCWD, pathname: /etc/hostname, flags: O_RDONLY|O_CLOEXEC, mode: 000, returnValue: 3"
        )
        let time = line(record).prefix(17)
        #expect(time.wholeMatch(of: #/\d\d:\d\d:\d\d\.678901  /#) != nil, "\(time)")
        #expect(line(record).hasSuffix("\n"))
    }

    @Test func theHeaderStandsOverItsColumns() {
        var encoder = TableEncoder(clock: Clock(bootOffset: newYear), columns: 0)
        var buffer = ByteBuffer(capacity: 16)
        encoder.encodeHeader(into: &buffer)
        let header = unsafe buffer.withBytes { unsafe Array($0) }
        #expect(
            text(header)
                == "TIME             UID    COMM             PID     TID     "
                + "EVENT                     ARGS\n")
        let record = sampleRecord(.close, systemCall: 3)
        let words = line(record).split(separator: " ", omittingEmptySubsequences: true)
        #expect(words[1...5] == ["0", "cat", "1234", "1234", "close"])
    }

    @Test func valuesOfAllTypes() {
        var connect = sampleRecord(.connect, systemCall: 42)
        connect.values = [3, 0x7ffc_0000_1000, 16, UInt64(bitPattern: -115)]
        let addresses: [([UInt8], String)] = [
            ([2, 0, 0x1f, 0x90, 127, 0, 0, 1], "127.0.0.1:8080"),
            ([10, 0, 1, 0xbb, 0, 0, 0, 0] + [UInt8](repeating: 0, count: 15) + [1], "[::1]:443"),
            ([1, 0] + Array("/run/x\0".utf8), "/run/x"), ([1, 0, 0, 0x61], "@a"),
            ([16, 0], "AF_NETLINK"),
        ]
        for (bytes, expected) in addresses {
            connect.blobs = [.init(field: 1, bytes: bytes)]
            let arguments = "sockfd: 3, addr: \(expected), addrlen: 16, returnValue: -EINPROGRESS"
            #expect(rest(connect).hasSuffix(arguments))
        }
        connect.blobs = []
        #expect(rest(connect).hasSuffix("addr: 0x7ffc00001000, addrlen: 16, returnValue: -EINPROGRESS"))
        connect.values[1] = 0
        #expect(rest(connect).hasSuffix("addr: -, addrlen: 16, returnValue: -EINPROGRESS"))

        var execve = sampleRecord(.execve, systemCall: 59)
        execve.values = [1, 2, 3, 0]
        execve.blobs = [
            .init(field: 0, bytes: Array("/bin/ca".utf8), flags: 1),
            .init(field: 1, bytes: Array("cat\0\0-n\0".utf8), count: 3),
            .init(field: 2, bytes: Array("A=1\0".utf8), flags: 1, count: 1),
        ]
        let arguments = "pathname: /bin/ca…, argv: [cat  -n], envp: [A=1]…, returnValue: 0"
        #expect(rest(execve).hasSuffix(arguments))

        var pipe = sampleRecord(.pipe2, systemCall: 293)
        pipe.values = [1, 0, 0]
        pipe.blobs = [.init(field: 0, bytes: [3, 0, 0, 0, 4, 0, 0, 0])]
        #expect(rest(pipe).hasSuffix("pipefd: [3 4], flags: 0, returnValue: 0"))

        var exit = sampleRecord(.sched_process_exit, systemCall: -1)
        exit.values = [0, 9]
        #expect(rest(exit).hasSuffix("exit_code: 0, signal_code: SIGKILL, process_group_exit: -"))
    }

    @Test func controlCharactersAreShown() {
        var record = sampleRecord(.openat, systemCall: 257)
        record.values = [0, 1, 0, 0, 0]
        record.blobs = [.init(field: 1, bytes: Array("a\u{1b}[2J\n\u{202e}".utf8))]
        record.setName([0x1b, 0x61])
        #expect(rest(record).hasPrefix(#"0      \x1ba            1234    "#))
        #expect(rest(record).contains(#"pathname: a\x1b[2J\n"# + "\u{fffd}, "))
    }

    @Test(arguments: [999_999, 1_000_000, 4_294_967_295] as [UInt32])
    func longUserNumbersStandApart(_ user: UInt32) {
        var record = sampleRecord(.close, systemCall: 3)
        record.values = [3, 0]
        record.header.uid = user
        record.header.host_pid = 4_194_304
        record.header.host_tid = 4_194_304
        record.setName(Array("fifteen-letters".utf8))
        let words = rest(record).split(separator: " ")
        #expect(
            words.prefix(5)
                == ["\(user)", "fifteen-letters", "4194304", "4194304", "close"])
    }

    // MARK: Widths

    /// What a terminal shows: without the sequences of colours.
    private func shown(_ line: String) -> String {
        line.replacing(#/\u{1b}\[[0-9;]*m/#, with: "")
    }

    @Test func longLinesAreCut() {
        var record = sampleRecord(.openat, systemCall: 257)
        record.values = [0, 1, 0, 0, 0]
        record.blobs = [.init(field: 1, bytes: Array(String(repeating: "ä", count: 500).utf8))]
        for columns in 110...140 {
            let line = shown(line(record, columns: columns))
            #expect(line.unicodeScalars.count == columns + 1)
            #expect(line.hasSuffix("ä…\n"))
        }
        record.blobs = []
        let short = shown(line(record, columns: 200))
        #expect(short == line(record))
        #expect(shown(line(record, columns: short.count - 1)) == short)
        #expect(shown(line(record, columns: short.count - 2)) == short.dropLast(3) + "…\n")
    }

    @Test(arguments: [
        [UInt8](repeating: 0x1b, count: 15), Array("fifteen-letters".utf8),
        [UInt8](repeating: 0xff, count: 16), Array("日本語日本".utf8), [],
    ]) func namesOfThreadsDoNotWidenTheLine(_ name: [UInt8]) {
        var record = sampleRecord(.openat, systemCall: 257)
        record.values = [0, 1, 0, 0, 0]
        record.blobs = [.init(field: 1, bytes: [UInt8](repeating: 0x61, count: 500))]
        record.setName(name)
        record.header.uid = .max
        (record.header.host_pid, record.header.host_tid) = (.max, .max)
        for columns in [140, 200] {
            let line = shown(line(record, columns: columns))
            #expect(line.unicodeScalars.count <= columns + 1, "\(line)")
        }
    }

    @Test func colours() {
        let record = sampleRecord(.close, systemCall: 3)
        let plain = line(record)
        #expect(!plain.contains("\u{1b}"))
        #expect(shown(line(record, columns: 500)) == plain)
    }
}
