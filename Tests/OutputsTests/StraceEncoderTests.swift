import CContract
import Catalog
import Events
import TestSupport
import Testing

@testable import Outputs

/// System calls as strace writes them: which arguments there are, and in which words.
@Suite struct StraceEncoderTests {
    private static func line(_ name: String, _ values: [UInt64], _ blobs: [Int: [UInt8]] = [:]) throws
        -> String
    {
        let event = try #require(Catalog.builtIn[name])
        var record = sampleRecord(event.id, systemCall: 0)
        record.values = values
        record.blobs = blobs.sorted { $0.key < $1.key }.map { .init(field: UInt8($0.key), bytes: $0.value) }
        var encoder = StraceEncoder(clock: Clock(bootOffset: newYear))
        let line = text(straceLine(record.build(), &encoder))
        let start = "[pid 1234] "
        #expect(line.hasPrefix(start) && line.hasSuffix("\n"))
        return String(line.dropFirst(start.count).dropLast())
    }

    /// Little-endian bytes of numbers.
    private static func bytes<T: FixedWidthInteger>(_ numbers: T...) -> [UInt8] {
        numbers.flatMap { number in
            (0..<T.bitWidth / 8).map { UInt8(truncatingIfNeeded: number >> T(8 * $0)) }
        }
    }

    // MARK: Arguments that depend on one of them

    @Test(
        arguments: [
            ("fcntl", [3, 1, 99, 1], "fcntl(3, F_GETFD) = 0x1 (flags FD_CLOEXEC)"),
            ("fcntl", [3, 1, 99, 0], "fcntl(3, F_GETFD) = 0"),
            ("fcntl", [3, 3, 99, 0x402], "fcntl(3, F_GETFL) = 0x402 (flags O_RDWR|O_APPEND)"),
            ("fcntl", [3, 2, 1, 0], "fcntl(3, F_SETFD, FD_CLOEXEC) = 0"),
            ("fcntl", [3, 4, 0x800, 0], "fcntl(3, F_SETFL, O_RDONLY|O_NONBLOCK) = 0"),
            ("fcntl", [3, 0, 10, 10], "fcntl(3, F_DUPFD, 10) = 10"),
            ("fcntl", [3, 6, 0x7fff_0000_1000, 0], "fcntl(3, F_SETLK, 0x7fff00001000) = 0"),
            ("fcntl", [3, 9999, 0, 0], "fcntl(3, 0x270f, NULL) = 0"),
            ("futex", [0x1000, 129, 1, 5, 6, 7, 1], "futex(0x1000, FUTEX_WAKE|FUTEX_PRIVATE_FLAG, 1) = 1"),
            ("futex", [0x1000, 0, 2, 0, 6, 7, 0], "futex(0x1000, FUTEX_WAIT, 2, NULL) = 0"),
            (
                "clone", [0x120_0011, 0, 5, 0x6000, 7, 9],
                "clone(child_stack=NULL, "
                    + "flags=CLONE_CHILD_CLEARTID|CLONE_CHILD_SETTID|SIGCHLD, child_tidptr=0x6000) = 9"
            ),
            (
                "clone", [0x18_0011, 0x1000, 0x5000, 6, 0, 9],
                "clone(child_stack=0x1000, "
                    + "flags=CLONE_SETTLS|CLONE_PARENT_SETTID|SIGCHLD, parent_tid=0x5000, tls=NULL) = 9"
            ),
            ("clone", [17, 0, 5, 6, 7, 9], "clone(child_stack=NULL, flags=SIGCHLD) = 9"),
            ("personality", [0xffff_ffff, 0], "personality(0xffffffff) = 0 (PER_LINUX)"),
            (
                "personality", [8, 0x40000],
                "personality(PER_LINUX32) = 0x40000 (PER_LINUX|ADDR_NO_RANDOMIZE)"
            ),
            ("prctl", [23, 21, 1, 2, 3, 1], "prctl(PR_CAPBSET_READ, CAP_SYS_ADMIN) = 1"),
            ("prctl", [38, 1, 0, 0, 0, 0], "prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) = 0"),
            ("prctl", [9999, 16, 0, 0, 0, 0], "prctl(0x270f, 0x10, 0, 0, 0) = 0"),
            ("socket", [2, 1, 6, 3], "socket(AF_INET, SOCK_STREAM, IPPROTO_TCP) = 3"),
            ("socket", [16, 3, 15, 3], "socket(AF_NETLINK, SOCK_RAW, NETLINK_KOBJECT_UEVENT) = 3"),
            ("socket", [1, 1, 6, 3], "socket(AF_UNIX, SOCK_STREAM, 6) = 3"),
        ] as [(String, [UInt64], String)])
    func argumentsThatDependOnACommand(_ name: String, _ values: [UInt64], _ line: String) throws {
        let shown = try Self.line(name, values).replacing(
            "FUTEX_WAKE_PRIVATE", with: "FUTEX_WAKE|FUTEX_PRIVATE_FLAG")
        #expect(shown == line)
    }

    @Test func optionsOfSockets() throws {
        let one = Self.bytes(Int32(1))
        #expect(
            try Self.line("setsockopt", [3, 1, 2, 0x1000, 4, 0], [3: one])
                == "setsockopt(3, SOL_SOCKET, SO_REUSEADDR, [1], 4) = 0")
        #expect(
            try Self.line("setsockopt", [3, 6, 1, 0x1000, 4, 0], [3: one])
                == "setsockopt(3, SOL_TCP, TCP_NODELAY, [1], 4) = 0")
        // Another length is another thing than a number.
        #expect(
            try Self.line("setsockopt", [3, 1, 25, 0x1000, 3, 0], [3: Array("lo\0".utf8)])
                == #"setsockopt(3, SOL_SOCKET, SO_BINDTODEVICE, "lo\0", 3) = 0"#)
    }

    // MARK: Structures

    @Test func membersOfStructuresInStructures() throws {
        let times = Self.bytes(Int64(1), 2, 3, 4)
        #expect(
            try Self.line("timerfd_settime", [3, 0, 0x1000, 0, 0], [2: times])
                == "timerfd_settime(3, 0, {it_interval={tv_sec=1, tv_nsec=2}, it_value={tv_sec=3, tv_nsec=4}}, NULL) = 0"
        )
    }

    @Test func handlersOfSignals() throws {
        #expect(
            try Self.line("rt_sigaction", [15, 0x1000, 0, 8, 0], [1: Self.bytes(UInt64(1), 0, 0, 1)])
                == "rt_sigaction(SIGTERM, {sa_handler=SIG_IGN, sa_mask=[HUP], sa_flags=0}, NULL, 8) = 0")
        #expect(
            try Self.line(
                "rt_sigaction", [15, 0x1000, 0, 8, 0],
                [1: Self.bytes(UInt64(0x5000), 0x400_0000, 0x6000, 0x8000_0000)])
                == "rt_sigaction(SIGTERM, {sa_handler=0x5000, sa_mask=[RTMIN], sa_flags=SA_RESTORER, "
                + "sa_restorer=0x6000}, NULL, 8) = 0")
    }

    @Test func limits() throws {
        #expect(
            try Self.line("prlimit64", [0, 3, 0, 0x1000, 0], [3: Self.bytes(UInt64(8_388_608), .max)])
                == "prlimit64(0, RLIMIT_STACK, NULL, {rlim_cur=8192*1024, rlim_max=RLIM64_INFINITY}) = 0")
    }

    @Test func arraysOfNumbersAndOfNothing() throws {
        #expect(
            try Self.line("getgroups", [4, 0x1000, 2], [1: Self.bytes(UInt32(0), 27)])
                == "getgroups(4, [0, 27]) = 2")
        #expect(
            try Self.line("epoll_wait", [4, 0x1000, 8, 0, 0]) == "epoll_wait(4, [], 8, 0) = 0")
        #expect(try Self.line("read", [4, 0x1000, 8, 0]) == #"read(4, "", 8) = 0"#)
        #expect(
            try Self.line("read", [4, 0x1000, 8, UInt64(bitPattern: -9)])
                == "read(4, 0x1000, 8) = -1 EBADF (Bad file descriptor)")
    }

    // MARK: Numbers and addresses

    @Test func addressesOfNetlink() throws {
        let address = Self.bytes(UInt16(16), 0) + Self.bytes(UInt32(77), 0x10)
        #expect(
            try Self.line("bind", [3, 0x1000, 12, 0], [1: address])
                == "bind(3, {sa_family=AF_NETLINK, nl_pid=77, nl_groups=0x000010}, 12) = 0")
        #expect(
            try Self.line("bind", [3, 0x1000, 8, 0], [1: Array(address.prefix(8))])
                == "bind(3, {sa_family=AF_NETLINK, sa_data=\"\\0\\0M\\0\\0\\0\"}, 8) = 0")
    }

    @Test(
        arguments: [
            (
                "mmap", [0, 4096, 1, 2, 3, 0x26000, 0x7f00_0000_0000],
                "mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, 3, 0x26000) = 0x7f0000000000"
            ),
            (
                "mmap", [0, 4096, 1, 0x22, .max, 0, UInt64(bitPattern: -12)],
                "mmap(NULL, 4096, PROT_READ, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = -1 ENOMEM (Cannot allocate memory)"
            ),
            ("umask", [0o77, 0o22], "umask(077) = 022"),
            ("ioctl", [1, 0x5401, 0x7fff_0000, 0], "ioctl(1, TCGETS, 0x7fff0000) = 0"),
        ] as [(String, [UInt64], String)])
    func numbersAreReadable(_ name: String, _ values: [UInt64], _ line: String) throws {
        #expect(try Self.line(name, values) == line)
    }
}
