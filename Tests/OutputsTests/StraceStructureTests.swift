import CContract
import Catalog
import Events
import TestSupport
import Testing

@testable import Outputs

/// What strace's form says of structures that their members alone do not tell, and of numbers in them.
@Suite struct StraceStructureTests {
    private static func line(_ name: String, _ values: [UInt64], _ blobs: [RecordBuilder.Blob] = []) throws
        -> String
    {
        let event = try #require(Catalog.builtIn[name])
        var record = sampleRecord(event.id, systemCall: 0)
        record.values = values
        record.blobs = blobs
        var encoder = StraceEncoder(clock: Clock(bootOffset: newYear))
        return String(text(straceLine(record.build(), &encoder)).dropFirst("[pid 1234] ".count).dropLast())
    }

    static func bytes<T: FixedWidthInteger>(_ numbers: T...) -> [UInt8] {
        numbers.flatMap { number in (0..<T.bitWidth / 8).map { UInt8(truncatingIfNeeded: number >> (8 * $0)) }
        }
    }

    private static func failed(_ error: Int64) -> UInt64 { UInt64(bitPattern: -error) }

    // MARK: Signals

    @Test(
        arguments: [
            (bytes(Int32(10), 0, 0, 0, 7, 8), "{si_signo=SIGUSR1, si_code=SI_USER, si_pid=7, si_uid=8}"),
            (
                bytes(Int32(10), 0, -1, 0, 7, 8, 77, 0),
                "{si_signo=SIGUSR1, si_code=SI_QUEUE, si_pid=7, si_uid=8, si_int=77, si_ptr=0x4d}"
            ),
            (
                bytes(Int32(14), 0, -2, 0, 3, 1, 0, 0),
                "{si_signo=SIGALRM, si_code=SI_TIMER, si_timerid=3, si_overrun=1, si_int=0, si_ptr=NULL}"
            ),
            (
                bytes(Int32(17), 0, 1, 0, 7, 8, 5, 0, 1, 0, 2, 0),
                "{si_signo=SIGCHLD, si_code=CLD_EXITED, si_pid=7, si_uid=8, si_status=5, si_utime=1, si_stime=2}"
            ),
            (
                bytes(Int32(17), 0, 2, 0, 7, 8, 15, 0, 1, 0, 2, 0),
                "{si_signo=SIGCHLD, si_code=CLD_KILLED, si_pid=7, si_uid=8, si_status=SIGTERM, si_utime=1, si_stime=2}"
            ),
            (
                bytes(Int32(11), 0, 1, 0, 0x1000, 0),
                "{si_signo=SIGSEGV, si_code=SEGV_MAPERR, si_addr=0x1000}"
            ),
            (
                bytes(Int32(29), 2, 1, 0, 65, 0, 4),
                "{si_signo=SIGIO, si_code=POLL_IN, si_errno=ENOENT, si_band=65, si_fd=4}"
            ),
            (bytes(Int32(0), 0, 0), "{}"),
        ])
    func informationOfSignals(_ bytes: [UInt8], _ words: String) throws {
        let padded = bytes + [UInt8](repeating: 0, count: 48 - bytes.count)
        let line = try Self.line(
            "rt_sigtimedwait", [0, 0x1000, 0, 8, 10], [.init(field: 1, bytes: padded)])
        #expect(line == "rt_sigtimedwait(NULL, \(words), NULL, 8) = 10 (SIGUSR1)")
    }

    @Test func eventsOfTimers() throws {
        func line(_ value: UInt64, _ way: Int32) throws -> String {
            let event = Self.bytes(value) + Self.bytes(Int32(10), way, 99) + [UInt8](repeating: 0, count: 44)
            return try Self.line("mq_notify", [3, 0x1000, 0], [.init(field: 1, bytes: event)])
        }
        #expect(try line(0, 0) == "mq_notify(3, {sigev_signo=SIGUSR1, sigev_notify=SIGEV_SIGNAL}) = 0")
        #expect(
            try line(42, 4)
                == "mq_notify(3, {sigev_value={sival_int=42, sival_ptr=0x2a}, sigev_signo=SIGUSR1, "
                + "sigev_notify=SIGEV_THREAD_ID, sigev_notify_thread_id=99}) = 0")
    }

    // MARK: Beside messages

    private static func messages(_ bytes: [UInt8], _ style: StructureStyle, isCut: Bool = false) -> String {
        var record = RecordBuilder()
        record.blobs = [.init(field: 0, bytes: bytes, flags: isCut ? UInt8(APUS_BLOB_TRUNCATED) : 0)]
        let built = record.build()
        return text(
            written(65536) {
                guard let event = unsafe EventView(built.span.bytes), let blob = event.blob(0) else { return }
                ControlMessages.shared.append(
                    blob, of: event, size: bytes.count, style, after: 64, to: &$0)
            })
    }

    @Test func controlMessages() {
        let rights = Self.bytes(UInt64(24)) + Self.bytes(Int32(1), 1, 3, 4)
        let credentials = Self.bytes(UInt64(28)) + Self.bytes(Int32(1), 2, 7, 0, -1, 0)
        let time = Self.bytes(UInt64(32)) + Self.bytes(Int32(1), 29) + Self.bytes(Int64(5), 6)
        #expect(
            Self.messages(rights + credentials + time, .words)
                == "[{cmsg_len=24, cmsg_level=SOL_SOCKET, cmsg_type=SCM_RIGHTS, cmsg_data=[3, 4]}, "
                + "{cmsg_len=28, cmsg_level=SOL_SOCKET, cmsg_type=SCM_CREDENTIALS, "
                + "cmsg_data={pid=7, uid=0, gid=4294967295}}, {cmsg_len=32, cmsg_level=SOL_SOCKET, "
                + "cmsg_type=SO_TIMESTAMP_OLD, cmsg_data={tv_sec=5, tv_usec=6}}]")
        #expect(
            Self.messages(rights, .json)
                == #"[{"cmsg_len":"24","cmsg_level":"SOL_SOCKET","cmsg_type":"SCM_RIGHTS","cmsg_data":[3,4]}]"#
        )
        #expect(
            Self.messages(
                Self.bytes(UInt64(18)) + Self.bytes(Int32(99), 98) + [1, 0xff], .words, isCut: true)
                == #"[{cmsg_len=18, cmsg_level=0x63, cmsg_type=0x62, cmsg_data="\x01\xff"}, ...]"#)
        // One that says too little or too much is the last.
        for length in [0, 15, 25, UInt64.max] {
            let shown = Self.messages(Self.bytes(length) + Array(rights.dropFirst(8)) + rights, .words)
            #expect(shown.hasPrefix("[{cmsg_len=\(length), "))
            #expect(shown.split(separator: "{").count == (length == 25 ? 3 : 2))
        }
        #expect(Self.messages([1, 2, 3], .words) == "[]")
    }

    @Test func anyControlMessages() async {
        await #expect(processExitsWith: .success) {
            var random = SplitMix64(seed: 91)
            for _ in 0..<2000 {
                var bytes = random.bytes(random.below(257))
                for at in stride(from: 0, to: bytes.count & ~7, by: 8) where random.below(2) == 0 {
                    for place in 0..<8 { bytes[at + place] = place == 0 ? UInt8(random.below(48)) : 0 }
                }
                for style in [StructureStyle.words, .json] {
                    let shown = StraceStructureTests.messages(bytes, style)
                    #expect(shown.hasPrefix("[") && shown.hasSuffix("]"))
                    #expect(shown.utf8.count <= ControlMessages.room(256))
                }
            }
        }
    }

    // MARK: Sets and filters

    @Test func capabilities() throws {
        let words = Self.bytes(UInt32(3), 0, 0, 0x180, 1, 0)
        let line = { (version: UInt32, words: [UInt8]) in
            let header = RecordBuilder.Blob(field: 0, bytes: Self.bytes(version, 0))
            return try Self.line("capset", [0x1000, 0x2000, 0], [header, .init(field: 1, bytes: words)])
        }
        for (version, name) in [(0x2007_1026, 2), (0x2008_0522, 3)] as [(UInt32, Int)] {
            #expect(
                try line(version, words)
                    == "capset({version=_LINUX_CAPABILITY_VERSION_\(name), pid=0}, {effective=1<<CAP_CHOWN|"
                    + "1<<CAP_DAC_OVERRIDE|1<<CAP_BPF|1<<CAP_CHECKPOINT_RESTORE, "
                    + "permitted=1<<CAP_MAC_OVERRIDE, inheritable=0}) = 0")
        }
        let unknown = Self.bytes(UInt32(0), 0, 0, 0x8000_0000, 0, 0)
        #expect(
            try line(0x2008_0522, unknown).hasSuffix(
                ", {effective=0x80000000, permitted=0, inheritable=0}) = 0"))
        // The first version has half of it; what no version has is not read.
        #expect(
            try line(0x1998_0330, words).hasSuffix(
                ", {effective=1<<CAP_CHOWN|1<<CAP_DAC_OVERRIDE, permitted=0, inheritable=0}) = 0"))
        #expect(try line(7, words) == "capset({version=0x7, pid=0}, 0x2000) = 0")
        #expect(
            try Self.line("capset", [0, 0x2000, 0], [.init(field: 1, bytes: words)])
                == "capset(NULL, 0x2000) = 0")
    }

    /// Numbers that the kernel takes for unsigned.
    @Test(
        arguments: [
            ("chown", [0, 3_000_000_000, 0xffff_ffff, 0], "chown(NULL, 3000000000, -1) = 0"),
            ("setuid", [0xffff_ffff_b2d0_5e00, 0], "setuid(3000000000) = 0"),
            ("getdents64", [0xffff_ffff, 0, 1, 0], "getdents64(-1, NULL, 1) = 0"),
        ] as [(String, [UInt64], String)])
    func numbersWithoutSigns(_ name: String, _ values: [UInt64], _ line: String) throws {
        #expect(try Self.line(name, values) == line)
    }

    /// As much of an option as was read, of which there was more than any value has.
    @Test func optionsThatAreTooLong() throws {
        let blob = RecordBuilder.Blob(
            field: 3, bytes: [UInt8](repeating: 97, count: 128), flags: UInt8(APUS_BLOB_TRUNCATED))
        #expect(
            try Self.line("setsockopt", [3, 0, 4, 0x1000, 500, 0], [blob])
                == "setsockopt(3, SOL_IP, IP_OPTIONS, \"\(String(repeating: "a", count: 128))\"..., 500) = 0")
    }

    @Test(
        arguments: [
            (0x0000_000c_0000_0020, "BPF_STMT(BPF_LD|BPF_W|BPF_ABS, 0xc)"),
            (0x0000_0800_0100_0015, "BPF_JUMP(BPF_JMP|BPF_K|BPF_JEQ, 0x800, 0, 0x1)"),
            (0x0005_0001_0000_0006, "BPF_STMT(BPF_RET|BPF_K, 0x50001)"), (0x16, "BPF_STMT(BPF_RET|BPF_A, 0)"),
            (0x0c, "BPF_STMT(BPF_ALU|BPF_X|BPF_ADD, 0)"), (0x07, "BPF_STMT(BPF_MISC|BPF_TAX, 0)"),
            (0x3_0000_0003, "BPF_STMT(BPF_STX, 0x3)"), (0xb1, "BPF_STMT(BPF_LDX|BPF_B|BPF_MSH, 0)"),
            (0xff00, "BPF_STMT(BPF_LD|BPF_W|BPF_IMM|0xff00, 0)"),
        ] as [(UInt64, String)])
    func instructions(_ instruction: UInt64, _ words: String) {
        #expect(text(written(512) { $0.append(instruction: instruction, isOfSeccomp: false) }) == words)
    }

    @Test func actionsOfFilters() {
        func action(_ value: UInt64) -> String {
            text(written(512) { $0.append(instruction: value << 32 | 6, isOfSeccomp: true) })
        }
        #expect(action(0x7fff_0000) == "BPF_STMT(BPF_RET|BPF_K, SECCOMP_RET_ALLOW)")
        #expect(action(0x0005_0001) == "BPF_STMT(BPF_RET|BPF_K, SECCOMP_RET_ERRNO|0x1)")
    }

    @Test func nodes() throws {
        func line(_ nodes: UInt64...) throws -> String {
            let set = nodes.flatMap { Self.bytes($0) }
            return try Self.line(
                "set_mempolicy", [2, 0x1000, UInt64(64 * nodes.count), 0], [.init(field: 1, bytes: set)])
        }
        #expect(try line(1) == "set_mempolicy(MPOL_BIND, [0x00000000000001], 64) = 0")
        #expect(
            try line(0, .max) == "set_mempolicy(MPOL_BIND, [0000000000000000, 0xffffffffffffffff], 128) = 0")
    }

    // MARK: Addresses and numbers

    @Test(
        arguments: [
            ([1, 0], "{sa_family=AF_UNIX}"),
            ([1, 0, 0, 97, 0, 98], #"{sa_family=AF_UNIX, sun_path=@"a\0b"}"#),
            ([0, 0, 1, 2], #"{sa_family=AF_UNSPEC, sa_data="\1\2"}"#),
            ([99, 0, 97], #"{sa_family=0x63 /* AF_??? */, sa_data="a"}"#),
            ([2, 0, 0, 5], #"{sa_family=AF_INET, sa_data="\0\5"}"#),
            (
                [17, 0, 8, 0] + bytes(Int32(2)) + [1, 0, 4, 2, 0xaa, 0xb, 0, 0, 0, 0, 0, 0],
                "{sa_family=AF_PACKET, sll_protocol=htons(ETH_P_IP), sll_ifindex=2, sll_hatype=ARPHRD_ETHER, "
                    + "sll_pkttype=PACKET_OUTGOING, sll_halen=2, sll_addr=[0xaa, 0xb]}"
            ),
            (
                [40, 0, 0, 0] + bytes(UInt32(0x4d2), 2, 0),
                "{sa_family=AF_VSOCK, svm_cid=VMADDR_CID_HOST, svm_port=0x4d2, svm_flags=0}"
            ),
        ] as [([UInt8], String)])
    func addressesOfSockets(_ bytes: [UInt8], _ words: String) throws {
        let count = UInt64(bytes.count)
        #expect(
            try Self.line("bind", [3, 0x1000, count, 0], [.init(field: 1, bytes: bytes)])
                == "bind(3, \(words), \(count)) = 0")
    }

    @Test(
        arguments: [
            (
                "ioctl", [3, 0xc004_5678, 0x10, 0],
                "ioctl(3, _IOC(_IOC_READ|_IOC_WRITE, 0x56, 0x78, 0x4), 0x10) = 0"
            ),
            ("ioctl", [3, 0, 0, 0], "ioctl(3, _IOC(_IOC_NONE, 0, 0, 0), 0) = 0"),
            (
                "ioprio_set", [1, 0, 0x4004, 0],
                "ioprio_set(IOPRIO_WHO_PROCESS, 0, IOPRIO_PRIO_VALUE(IOPRIO_CLASS_BE, 4)) = 0"
            ),
            ("msgget", [0, 0o1600, 3], "msgget(IPC_PRIVATE, IPC_CREAT|0600) = 3"),
            ("msgget", [0, 0o2000, 3], "msgget(IPC_PRIVATE, IPC_EXCL|000) = 3"),
            ("kill", [1, 99, 0], "kill(1, 99) = 0"), ("kcmp", [1, 2, 1, 8, 9, 0], "kcmp(1, 2, KCMP_VM) = 0"),
            ("mknod", [0, 0o10644, 5, 0], "mknod(NULL, S_IFIFO|0644) = 0"),
            ("mknod", [0, 0o20600, 0x103, 0], "mknod(NULL, S_IFCHR|0600, makedev(0x1, 0x3)) = 0"),
            ("mkdir", [0, 0o120020, 0], "mkdir(NULL, 0120020) = 0"),
            ("pwritev", [3, 0, 0, .max, 0, 0], "pwritev(3, NULL, 0, -1) = 0"),
            ("fchownat", [3, 0, .max, 4_000_000_000, 0, 0], "fchownat(3, NULL, -1, 4000000000, 0) = 0"),
            ("close_range", [3, 4, 4, 0], "close_range(3, 4, CLOSE_RANGE_CLOEXEC) = 0"),
            ("poll", [0x1000, 0, 0, 0], "poll([], 0, 0) = 0 (Timeout)"),
            ("write", [3, 0x1000, 0, 0], #"write(3, "", 0) = 0"#),
            ("socket", [17, 3, 0x300, 3], "socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL)) = 3"),
        ] as [(String, [UInt64], String)])
    func numbers(_ call: String, _ values: [UInt64], _ line: String) throws {
        #expect(try Self.line(call, values) == line)
    }

    /// A place in a file that the call moved.
    @Test func places() throws {
        let blobs: [RecordBuilder.Blob] = [
            .init(field: 2, bytes: Self.bytes(Int64(2))),
            .init(field: 2, bytes: Self.bytes(Int64(7)), flags: UInt8(APUS_BLOB_RESULT)),
        ]
        #expect(
            try Self.line("sendfile", [3, 4, 0x1000, 5, 5], blobs) == "sendfile(3, 4, [2] => [7], 5) = 5")
        let moved = blobs.map { RecordBuilder.Blob(field: 1, bytes: $0.bytes, flags: $0.flags) }
        #expect(
            try Self.line("splice", [3, 0x1000, 4, 0, 5, 0, 5], moved) == "splice(3, [2], 4, NULL, 5, 0) = 5")
    }
}
