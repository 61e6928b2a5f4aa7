import CContract
import Catalog
import Events
import TestSupport
import Testing

@testable import Outputs

/// Whole lines, byte for byte: names and order of the keys are what readers depend on.
@Suite struct GoldenLineTests {
    private func line(_ record: RecordBuilder, executable: String = "/usr/bin/cat") -> String {
        var encoder = EventEncoder(
            clock: Clock(bootOffset: newYear), policyNames: ["default"],
            executable: { _, _, _ in Array(executable.utf8) })
        return text(jsonLine(record.build(), &encoder))
    }

    private static let head = #"{"timestamp":"2026-01-02T03:04:05.678901234Z","id":"#
    private static let policies = #","policies":{"matched":["default"]},"#
    private static let process =
        #""workload":{"process":{"executable":{"path":"/usr/bin/cat"},"unique_id":2183183527,"#
        + #""host_pid":1234,"pid":1234,"real_user":{"id":0},"thread":{"start_time":"#
        + #""2026-01-02T03:04:05.600000001Z","name":"cat","unique_id":2183183527,"#
        + #""host_tid":1234,"tid":1234,"syscall":""#
    private static let ancestors =
        #"},"ancestors":[{"unique_id":907831694,"host_pid":1000,"pid":1000}]}},"data":["#

    @Test func openat() {
        var record = sampleRecord(.openat, systemCall: 257)
        record.values = [UInt64(bitPattern: -100), 0x7ffc_0000_1000, 0x80000, 0, 3]
        record.blobs = [.init(field: 1, bytes: Array("/etc/hostname".utf8))]
        #expect(
            line(record) == Self.head + #"258,"name":"openat""# + Self.policies + Self.process
                + #"openat""# + Self.ancestors
                + #"{"name":"dirfd","int32":-100},{"name":"pathname","str":"/etc/hostname"},"#
                + #"{"name":"flags","int32":524288},{"name":"mode","u_int32":0},"#
                + #"{"name":"returnValue","int64":"3"}]}"# + "\n")
    }

    @Test func epollWait() {
        var record = sampleRecord(.epoll_pwait, systemCall: 281)
        record.values = [
            4, 0x7ffc_0000_1000, 64, UInt64(bitPattern: -1), 0, 8, UInt64(bitPattern: -4),
        ]
        #expect(
            line(record) == Self.head + #"282,"name":"epoll_pwait""# + Self.policies + Self.process
                + #"epoll_pwait""# + Self.ancestors
                + #"{"name":"epfd","int32":4},{"name":"events","pointer":"140720308490240"},"#
                + #"{"name":"maxevents","int32":64},{"name":"timeout","int32":-1},"#
                + #"{"name":"sigmask","pointer":"0"},{"name":"sigsetsize","u_int64":"8"},"#
                + #"{"name":"returnValue","int64":"-4"}]}"# + "\n")
    }

    @Test func connect() {
        var record = sampleRecord(.connect, systemCall: 42)
        record.values = [3, 0x7ffc_0000_1000, 16, UInt64(bitPattern: -115)]
        record.blobs = [
            .init(field: 1, bytes: [2, 0, 0x1f, 0x90, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0])
        ]
        #expect(
            line(record) == Self.head + #"43,"name":"connect""# + Self.policies + Self.process
                + #"connect""# + Self.ancestors
                + #"{"name":"sockfd","int32":3},{"name":"addr","sockaddr":"#
                + #"{"sa_family":"AF_INET","sin_addr":"127.0.0.1","sin_port":8080}},"#
                + #"{"name":"addrlen","int32":16},{"name":"returnValue","int64":"-115"}]}"# + "\n")
    }

    @Test func connectToOtherFamilies() {
        let ipv6: [UInt8] =
            [10, 0, 0x01, 0xbb, 0, 0, 0, 7, 0x20, 0x01, 0x0d, 0xb8]
            + [UInt8](
                repeating: 0, count: 11) + [1, 2, 0, 0, 0]
        let cases: [([UInt8], String)] = [
            (
                ipv6,
                #"{"sa_family":"AF_INET6","sin6_addr":"2001:db8::1","sin6_port":443,"#
                    + #""sin6_flowinfo":7,"sin6_scopeid":2}"#
            ),
            ([1, 0] + Array("/run/x\0".utf8), #"{"sa_family":"AF_UNIX","sun_path":"/run/x"}"#),
            ([1, 0, 0] + Array("bus".utf8), #"{"sa_family":"AF_UNIX","sun_path":"@bus"}"#),
            ([1, 0], #"{"sa_family":"AF_UNIX","sun_path":""}"#),
            ([16, 0, 0, 0], #"{"sa_family":"AF_NETLINK"}"#),
            ([0x63, 0], #"{"sa_family":"AF_99"}"#),
            ([2, 0, 0], #"{"sa_family":"AF_INET"}"#),
        ]
        for (bytes, expected) in cases {
            var record = sampleRecord(.connect, systemCall: 42)
            record.values = [3, 0x7ffc_0000_1000, 16, 0]
            record.blobs = [.init(field: 1, bytes: bytes)]
            #expect(line(record).contains(#"{"name":"addr","sockaddr":"# + expected + "},"))
        }
    }

    @Test func execution() {
        var record = sampleRecord(.sched_process_exec, systemCall: 59)
        record.values = [
            0, 0, 2049, 1_835_009, 1_700_000_000_000_000_000, 0o100755, 0, 2049, 1_835_010,
            1_700_000_000_000_000_001, 0, 0, 0o20000, 0, 0, 0, 0, 0, 0x1ff_ffff_ffff, 1,
        ]
        record.blobs = [
            .init(field: 0, bytes: Array("cat".utf8)),
            .init(field: 1, bytes: Array("/usr/bin/cat".utf8)),
            .init(field: 6, bytes: Array("/usr/lib64/ld-linux-x86-64.so.2".utf8)),
            .init(field: 10, bytes: Array("cat\0-n\0\0a \"b\"\0".utf8), count: 4),
            .init(field: 11, bytes: Array("/usr/bin/cat".utf8)),
            .init(field: 13, bytes: Array("/dev/pts/0".utf8)),
            .init(field: 15, bytes: Array("bash".utf8)),
            .init(field: 17, bytes: Array("/root".utf8)),
        ]
        #expect(
            line(record) == Self.head + #"1015,"name":"sched_process_exec""# + Self.policies
                + Self.process + #"execve""# + Self.ancestors
                + #"{"name":"cmdpath","str":"cat"},{"name":"pathname","str":"/usr/bin/cat"},"#
                + #"{"name":"dev","u_int32":2049},{"name":"inode","u_int64":"1835009"},"#
                + #"{"name":"ctime","u_int64":"1700000000000000000"},"#
                + #"{"name":"inode_mode","u_int32":33261},"#
                + #"{"name":"interpreter_pathname","str":"/usr/lib64/ld-linux-x86-64.so.2"},"#
                + #"{"name":"interpreter_dev","u_int32":2049},"#
                + #"{"name":"interpreter_inode","u_int64":"1835010"},"#
                + #"{"name":"interpreter_ctime","u_int64":"1700000000000000001"},"#
                + #"{"name":"argv","str_array":{"value":["cat","-n","","a \"b\""]}},"#
                + #"{"name":"interp","str":"/usr/bin/cat"},{"name":"stdin_type","u_int32":8192},"#
                + #"{"name":"stdin_path","str":"/dev/pts/0"},"#
                + #"{"name":"invoked_from_kernel","bool":false},"#
                + #"{"name":"prev_comm","str":"bash"},{"name":"env"},"#
                + #"{"name":"pwd","str":"/root"},{"name":"capabilities","u_int64":"2199023255551"},"#
                + #"{"name":"links","u_int32":1}]}"#
                + "\n")
    }

    @Test func structuresOfPairsAndTimes() {
        var pipe = sampleRecord(.pipe2, systemCall: 293)
        pipe.values = [0x7ffc_0000_1000, 0, 0]
        pipe.blobs = [.init(field: 0, bytes: [3, 0, 0, 0, 0xff, 0xff, 0xff, 0xff])]
        #expect(line(pipe).contains(#"[{"name":"pipefd","int32_array":{"value":[3,-1]}},"#))

        let times: [([UInt8], String)] = [
            (Self.words(1, 500_000_000), "1.5"), (Self.words(1, 0), "1"),
            (Self.words(0, 1), "0.000000001"),
            (Self.words(7, 120_000_000), "7.12"), (Self.words(0, 999_999_999), "0.999999999"),
            (Self.words(-1, 0), "-1.0"), ([2, 0, 0, 0, 0x80, 0xb2, 0xe6, 0x0e], "2.25"),
        ]
        for (bytes, expected) in times {
            var sleep = sampleRecord(.nanosleep, systemCall: 35)
            sleep.values = [0x7ffc_0000_1000, 0, 0]
            sleep.blobs = [.init(field: 0, bytes: bytes)]
            #expect(
                line(sleep).contains(
                    #"[{"name":"req","timespec":{"value":\#(expected)}},{"name":"rem"},"#),
                "\(expected)")
        }
    }

    @Test func magicWrite() {
        var record = sampleRecord(.magic_write, systemCall: 1)
        record.values = [0, 0, 2049, 1_835_009, 6]
        record.blobs = [
            .init(field: 0, bytes: Array("/tmp/a".utf8)),
            .init(field: 1, bytes: [0x7f, 0x45, 0x4c, 0x46, 0, 0xff]),
        ]
        #expect(
            line(record) == Self.head + #"1027,"name":"magic_write""# + Self.policies + Self.process
                + #"write""# + Self.ancestors
                + #"{"name":"pathname","str":"/tmp/a"},{"name":"bytes","bytes":"f0VMRgD/"},"#
                + #"{"name":"dev","u_int32":2049},{"name":"inode","u_int64":"1835009"},"#
                + #"{"name":"returnValue","int64":"6"}]}"# + "\n")
    }

    @Test func securityBPFProg() {
        var record = sampleRecord(.security_bpf_prog, systemCall: 321)
        record.values = [2, 0, 0, 77, 1]
        record.blobs = [
            .init(field: 1, bytes: Array("probe".utf8)),
            .init(field: 2, bytes: Self.words(1 << 14, 0) + Self.words(-1, 1)),
        ]
        #expect(
            line(record) == Self.head + #"1078,"name":"security_bpf_prog""# + Self.policies + Self.process
                + #"bpf""# + Self.ancestors
                + #"{"name":"type","int32":2},{"name":"name","str":"probe"},"#
                + #"{"name":"helpers","u_int64_array":{"value":["16384","0","18446744073709551615","1"]}},"#
                + #"{"name":"id","u_int32":77},{"name":"load","bool":true}]}"# + "\n")
    }

    @Test func commitCreds() {
        var record = sampleRecord(.commit_creds, systemCall: 105)
        record.values = [0, 0]
        let ids: [UInt32] = [1000, 1001, 1002, 1003, 0, 1, 2, .max, 4_026_531_837, 16]
        let low = ids.flatMap { id in (0..<4).map { UInt8(truncatingIfNeeded: id >> ($0 * 8)) } }
        record.blobs = [
            .init(
                field: 0,
                bytes: low + Self.words(0, 1 << 1) + Self.words(1, 1 << 40 | 1 << 39) + Self.words(6, 0)),
            .init(
                field: 1,
                bytes: [UInt8](repeating: 0, count: 40) + Self.words(0, 1 << 41 | 1 << 63)
                    + [UInt8](repeating: 0, count: 24)),
        ]
        #expect(
            line(record) == Self.head + #"1025,"name":"commit_creds""# + Self.policies + Self.process
                + #"setuid""# + Self.ancestors
                + #"{"name":"old_cred","credentials":{"uid":1000,"gid":1001,"suid":1002,"sgid":1003,"#
                + #""euid":0,"egid":1,"fsuid":2,"fsgid":4294967295,"user_namespace":4026531837,"#
                + #""secure_bits":16,"cap_inheritable":[],"cap_permitted":["DAC_OVERRIDE"],"#
                + #""cap_effective":["CAP_CHOWN"],"cap_bounding":["CAP_BPF","CAP_CHECKPOINT_RESTORE"],"#
                + #""cap_ambient":["DAC_OVERRIDE","CAP_DAC_READ_SEARCH"]}},"#
                + #"{"name":"new_cred","credentials":{"uid":0,"gid":0,"suid":0,"sgid":0,"euid":0,"egid":0,"#
                + #""fsuid":0,"fsgid":0,"user_namespace":0,"secure_bits":0,"cap_inheritable":[],"#
                + #""cap_permitted":[],"cap_effective":[],"cap_bounding":[],"cap_ambient":[]}}]}"# + "\n")
    }

    @Test func whatIsMissingLeavesTheName() {
        var record = sampleRecord(.openat, systemCall: 257)
        record.values = [5, 0]
        #expect(
            line(record).hasSuffix(
                #""data":[{"name":"dirfd","int32":5},{"name":"pathname"},{"name":"flags"},"#
                    + #"{"name":"mode"},{"name":"returnValue"}]}"# + "\n"))
    }

    @Test func processesInAnotherNamespaceAndWithoutAParent() {
        var record = sampleRecord(.sched_process_exit, systemCall: -1)
        record.values = [0, 9, 1]
        record.header.policies = 0
        record.header.host_tid = 1235
        record.header.thread_start = 97_445_650_000_000
        (record.header.tid, record.header.pid, record.header.host_ppid) = (8, 7, 0)
        record.header.uid = 4_294_967_295
        record.header.time = 97_445_000_000_000
        #expect(
            line(record, executable: "")
                == #"{"timestamp":"2026-01-02T03:04:05Z","id":1016,"name":"sched_process_exit","#
                + #""workload":{"process":{"unique_id":2183183527,"host_pid":1234,"pid":7,"#
                + #""real_user":{"id":4294967295},"thread":{"start_time":"#
                + #""2026-01-02T03:04:05.65Z","name":"cat","unique_id":2326858991,"#
                + #""host_tid":1235,"tid":8}}},"data":[{"name":"exit_code","int32":0},"#
                + #"{"name":"signal_code","int32":9},{"name":"process_group_exit","bool":true}]}"#
                + "\n")
    }

    @Test func timesAreDatesInNanoseconds() throws {
        let definition = try #require(Catalog.builtIn["sched_process_fork"])
        let field = try #require(definition.fields.firstIndex { $0.name == "start_time" })
        var record = sampleRecord(.sched_process_fork, systemCall: 56)
        record.values = definition.fields.map { _ in 1_000_000_007 }
        #expect(
            line(record).contains(
                #"{"name":"start_time","u_int64":"1767225601000000007"}"#), "\(field)")
    }

    @Test func callsOfCompatProcessesAreNamedByTheirOwnTable() {
        var record = sampleRecord(.openat, systemCall: 295)
        record.header.flags = 1
        #expect(line(record).contains(#""tid":1234,"syscall":"openat","compat":true},"ancestors""#))
        // The bit of x32 is no part of the number.
        record.header.flags = 0
        record.header.syscall = 257 | 0x4000_0000
        #expect(line(record).contains(#""tid":1234,"syscall":"openat"},"ancestors""#))
        for number in [-1, 511, 512, Int32.max, Int32.min] as [Int32] {
            record.header.syscall = number
            #expect(line(record).contains(#""tid":1234},"ancestors""#), "\(number)")
        }
    }

    private static func words(_ first: Int64, _ second: Int64) -> [UInt8] {
        [first, second].flatMap { word in
            (0..<8).map { UInt8(truncatingIfNeeded: word >> ($0 * 8)) }
        }
    }
}
