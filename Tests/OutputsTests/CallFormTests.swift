import Catalog
import Events
import Foundation
import Symbols
import TestSupport
import Testing

@testable import Outputs

/// Calls whose arguments depend on one of them, in each kind of output.
@Suite struct CallFormTests {
    struct Call: CustomTestStringConvertible, Sendable {
        let name: String
        let values: [UInt64]
        let blobs: [Int: [UInt8]]
        let line: String
        var testDescription: String { line }

        init(_ name: String, _ values: [UInt64], _ blobs: [Int: [UInt8]], _ line: String) {
            (self.name, self.values, self.blobs, self.line) = (name, values, blobs, line)
        }

        /// Nothing was read.
        init(_ name: String, _ values: [UInt64], _ line: String) { self.init(name, values, [:], line) }

        func record() throws -> [UInt8] {
            let event = try #require(Catalog.builtIn[name])
            var record = sampleRecord(event.id, systemCall: -1)
            record.values = values
            record.blobs = blobs.sorted { $0.key < $1.key }.map {
                .init(field: UInt8($0.key), bytes: $0.value)
            }
            return record.build()
        }
    }

    /// Little-endian bytes of numbers.
    private static func bytes<T: FixedWidthInteger>(_ numbers: T...) -> [UInt8] {
        numbers.flatMap { number in
            (0..<T.bitWidth / 8).map { UInt8(truncatingIfNeeded: number >> T(8 * $0)) }
        }
    }

    private static let address: UInt64 = 0x7fff_0000_1000
    private static func failed(_ number: Int64) -> UInt64 { UInt64(bitPattern: -number) }

    /// 32 bytes of `struct flock` (include/uapi/asm-generic/fcntl.h).
    private static func lock(_ type: Int16, _ start: Int64, _ length: Int64, pid: Int32) -> [UInt8] {
        bytes(type, 0) + [1, 2, 3, 4] + bytes(start, length) + bytes(pid, 99)
    }

    // MARK: strace's form

    static let files = [
        Call(
            "fcntl", [3, 6, address, 0], [2: lock(1, 0, 0, pid: 7)],
            "fcntl(3, F_SETLK, {l_type=F_WRLCK, l_whence=SEEK_SET, l_start=0, l_len=0}) = 0"),
        Call(
            "fcntl", [3, 38, address, failed(9)], [2: lock(0, -5, 10, pid: 7)],
            "fcntl(3, F_OFD_SETLKW, {l_type=F_RDLCK, l_whence=SEEK_SET, l_start=-5, l_len=10}) = -1 EBADF (Bad file descriptor)"
        ),
        Call(
            "fcntl", [3, 5, address, 0], [2: lock(2, 1, 2, pid: 4711)],
            "fcntl(3, F_GETLK, {l_type=F_UNLCK, l_whence=SEEK_SET, l_start=1, l_len=2, l_pid=4711}) = 0"),
        // What was not read is an address.
        Call("fcntl", [3, 6, address, 0], "fcntl(3, F_SETLK, 0x7fff00001000) = 0"),
        Call("fcntl", [3, 5, 0, failed(14)], "fcntl(3, F_GETLK, NULL) = -1 EFAULT (Bad address)"),
        Call(
            "fcntl", [3, 15, address, 0], [2: bytes(Int32(2), 42)],
            "fcntl(3, F_SETOWN_EX, {type=F_OWNER_PGRP, pid=42}) = 0"),
        Call(
            "fcntl", [3, 17, address, 0], [2: bytes(UInt32(1000), 0)],
            "fcntl(3, F_GETOWNER_UIDS, {uid=1000, euid=0}) = 0"),
        Call("fcntl", [3, 8, 0xffff_ffd6, 0], "fcntl(3, F_SETOWN, -42) = 0"),
        Call("fcntl", [3, 0x402, 0x8000_0004, 0], "fcntl(3, F_NOTIFY, DN_CREATE|DN_MULTISHOT) = 0"),
        Call("fcntl", [3, 0x401, 99, 2], "fcntl(3, F_GETLEASE) = 0x2 (F_UNLCK)"),
        Call("fcntl", [3, 11, 99, 10], "fcntl(3, F_GETSIG) = 10 (SIGUSR1)"),
        Call("fcntl", [3, 11, 99, 0], "fcntl(3, F_GETSIG) = 0"),
        Call("fcntl", [3, 1034, 99, 6], "fcntl(3, F_GET_SEALS) = 0x6 (seals F_SEAL_SHRINK|F_SEAL_GROW)"),
        Call(
            "fcntl", [3, 1030, 0xffff_ffff_ffff_ffff, failed(22)],
            "fcntl(3, F_DUPFD_CLOEXEC, -1) = -1 EINVAL (Invalid argument)"),
        Call(
            "fcntl", [3, 1036, address, 0], [2: bytes(UInt64(2))],
            "fcntl(3, F_SET_RW_HINT, [RWH_WRITE_LIFE_SHORT]) = 0"),
        // The kernel looks at 32 bits.
        Call("fcntl", [3, 0xdead_0000_0001, 99, 1], "fcntl(3, F_GETFD) = 0x1 (flags FD_CLOEXEC)"),
    ]

    static let futexes = [
        Call(
            "futex", [0x1000, 129, 0xffff_ffff, 5, 6, 7, 1],
            "futex(0x1000, FUTEX_WAKE_PRIVATE, 4294967295) = 1"),
        Call(
            "futex", [0x1000, 0x189, 2, address, 6, 0xffff_ffff, failed(110)], [3: bytes(Int64(5), 6)],
            "futex(0x1000, FUTEX_WAIT_BITSET_PRIVATE|FUTEX_CLOCK_REALTIME, 2, {tv_sec=5, tv_nsec=6}, FUTEX_BITSET_MATCH_ANY) = -1 ETIMEDOUT (Connection timed out)"
        ),
        // The number is in the place of the time.
        Call(
            "futex", [0x1000, 4, 1, 0x7fff_ffff, 0x2000, 9, 2],
            "futex(0x1000, FUTEX_CMP_REQUEUE, 1, 2147483647, 0x2000, 9) = 2"),
        Call(
            "futex", [0x1000, 3, 1, 1 << 32 | 5, 0x2000, 9, 2],
            "futex(0x1000, FUTEX_REQUEUE, 1, 5, 0x2000) = 2"),
        Call(
            "futex", [0x1000, 5, 1, 1, 0x2000, 0x0400_0001, 2],
            "futex(0x1000, FUTEX_WAKE_OP, 1, 1, 0x2000, FUTEX_OP_SET<<28|0<<12|FUTEX_OP_CMP_GT<<24|0x1) = 2"),
        Call(
            "futex", [0x1000, 5, 1, 1, 0x2000, 0xffff_ffff, 2],
            "futex(0x1000, FUTEX_WAKE_OP, 1, 1, 0x2000, FUTEX_OP_OPARG_SHIFT<<28|0x7<<28|0xfff<<12|0xf<<24|0xfff) = 2"
        ),
        Call("futex", [0x1000, 7, 1, 2, 3, 4, 0], "futex(0x1000, FUTEX_UNLOCK_PI) = 0"),
        Call(
            "futex", [0x1000, 99, 1, 2, 3, 4, failed(38)],
            "futex(0x1000, 0x63, 1, 0x2, 0x3, 0x4) = -1 ENOSYS (Function not implemented)"),
    ]

    static let processes = [
        Call(
            "prctl", [15, address, 7, 8, 9, 0], [1: Array("work\0".utf8)], #"prctl(PR_SET_NAME, "work") = 0"#),
        Call(
            "prctl", [16, address, 7, 8, 9, 0], [1: Array("work\0".utf8)], #"prctl(PR_GET_NAME, "work") = 0"#),
        Call(
            "prctl", [15, address, 7, 8, 9, failed(14)],
            "prctl(PR_SET_NAME, 0x7fff00001000) = -1 EFAULT (Bad address)"),
        Call(
            "prctl", [2, address, 7, 8, 9, 0], [1: bytes(Int32(15))], "prctl(PR_GET_PDEATHSIG, [SIGTERM]) = 0"
        ),
        Call(
            "prctl", [37, address, 7, 8, 9, 0], [1: bytes(UInt32(1))],
            "prctl(PR_GET_CHILD_SUBREAPER, [1]) = 0"),
        Call("prctl", [3, 7, 8, 9, 10, 1], "prctl(PR_GET_DUMPABLE) = 1 (SUID_DUMP_USER)"),
        Call("prctl", [27, 7, 8, 9, 10, 0], "prctl(PR_GET_SECUREBITS) = 0"),
        Call("prctl", [29, 50000, 8, 9, 10, 0], "prctl(PR_SET_TIMERSLACK, 50000) = 0"),
        Call("prctl", [0x59616d61, .max, 8, 9, 10, 0], "prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY) = 0"),
        // What the third is depends on the second.
        Call(
            "prctl", [47, 2, 21, 0, 0, 0],
            "prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_SYS_ADMIN, 0, 0) = 0"),
        Call("prctl", [47, 4, 0, 0, 0, 0], "prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) = 0"),
        Call("prctl", [22, 1, 5, 6, 7, 0], "prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) = 0"),
        Call(
            "prctl", [0x53564d41, 0, address, 4096, address, 0], [4: Array("heap\0".utf8)],
            #"prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, 0x7fff00001000, 4096, "heap") = 0"#),
        Call(
            "prctl", [0x53564d41, 0, address, 4096, 0, 0],
            "prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, 0x7fff00001000, 4096, NULL) = 0"),
        Call("prctl", [42, 0, 1, 0, 0, 0], "prctl(PR_GET_THP_DISABLE, 0, 0x1, 0, 0) = 0"),
        Call(
            "arch_prctl", [0x1003, address, 0], [1: bytes(UInt64(0x1000))],
            "arch_prctl(ARCH_GET_FS, [0x1000]) = 0"),
        Call("arch_prctl", [0x1002, address, 0], "arch_prctl(ARCH_SET_FS, 0x7fff00001000) = 0"),
    ]

    static let sockets = [
        Call(
            "setsockopt", [3, 1, 13, address, 8, 0], [3: bytes(Int32(1), 5)],
            "setsockopt(3, SOL_SOCKET, SO_LINGER, {l_onoff=1, l_linger=5}, 8) = 0"),
        Call(
            "setsockopt", [3, 1, 20, address, 16, 0], [3: bytes(Int64(5), 7)],
            "setsockopt(3, SOL_SOCKET, SO_RCVTIMEO_OLD, {tv_sec=5, tv_usec=7}, 16) = 0"),
        Call(
            "setsockopt", [3, 1, 2, address, 4, 0], [3: bytes(Int32(1))],
            "setsockopt(3, SOL_SOCKET, SO_REUSEADDR, [1], 4) = 0"),
        Call(
            "getsockopt", [3, 1, 4, address, address, 0], [3: bytes(Int32(111)), 4: bytes(Int32(4))],
            "getsockopt(3, SOL_SOCKET, SO_ERROR, [ECONNREFUSED], [4]) = 0"),
        Call(
            "getsockopt", [3, 1, 4, address, address, 0], [3: bytes(Int32(0)), 4: bytes(Int32(4))],
            "getsockopt(3, SOL_SOCKET, SO_ERROR, [0], [4]) = 0"),
        Call(
            "getsockopt", [3, 1, 17, address, address, 0], [3: bytes(Int32(7), 0, -1), 4: bytes(Int32(12))],
            "getsockopt(3, SOL_SOCKET, SO_PEERCRED, {pid=7, uid=0, gid=4294967295}, [12]) = 0"),
        Call(
            "socketpair", [1, 1, 0, address, 0], [3: bytes(Int32(3), 4)],
            "socketpair(AF_UNIX, SOCK_STREAM, 0, [3, 4]) = 0"),
        Call(
            "socketpair", [2, 1, 6, address, failed(95)],
            "socketpair(AF_INET, SOCK_STREAM, IPPROTO_TCP, 0x7fff00001000) = -1 EOPNOTSUPP (Operation not supported)"
        ),
    ]

    @Test(arguments: files + futexes + processes + sockets) func straceShowsTheForm(_ call: Call) throws {
        var encoder = StraceEncoder(clock: Clock(bootOffset: newYear))
        let record = try call.record()
        #expect(text(straceLine(record, &encoder)) == "[pid 1234] \(call.line)\n")
        // Forms are kept, so one must not stay for the next.
        _ = straceLine(try Call(call.name, [1, 0, 0, 0, 0, 0, 0], "").record(), &encoder)
        #expect(text(straceLine(record, &encoder)) == "[pid 1234] \(call.line)\n")
    }

    // MARK: JSON

    /// The arguments in JSON.
    private static func json(_ call: Call, isDecoded: Bool) throws -> String {
        var encoder = EventEncoder(
            clock: Clock(bootOffset: newYear), policyNames: [], executable: { _, _, _ in [] },
            isDecoded: isDecoded)
        let line = jsonLine(try call.record(), &encoder)
        _ = try JSONSerialization.jsonObject(with: Data(line))
        return text(line).split(separator: "\"data\":").last.map(String.init) ?? ""
    }

    @Test(arguments: [
        (
            files[0],
            #"[{"name":"fd","int32":3},{"name":"cmd","str":"F_SETLK"},{"name":"arg","struct":"#
                + #"{"l_type":"F_WRLCK","l_whence":"SEEK_SET","l_start":"0","l_len":"0"}},"#
                + #"{"name":"returnValue","int64":"0"}]}"#
        ),
        (
            processes[0],
            #"[{"name":"option","str":"PR_SET_NAME"},{"name":"arg2","str":"work"},{"name":"arg3","u_int64":"7"},"#
                + #"{"name":"arg4","u_int64":"8"},{"name":"arg5","u_int64":"9"},{"name":"returnValue","int64":"0"}]}"#
        ),
        (sockets[3], #"{"name":"optname","str":"SO_ERROR"},{"name":"optval","struct":"ECONNREFUSED"},"#),
        (futexes[1], #"{"name":"timeout","timespec":{"value":5.000000006}},"#),
        (futexes[1], #"{"name":"val3","str":"FUTEX_BITSET_MATCH_ANY"}"#),
        // Nothing was read.
        (files[3], #"{"name":"arg","u_int64":"140733193392128"}"#),
        (processes[2], #"{"name":"arg2","u_int64":"140733193392128"}"#),
        // A number where the row has a time: the row's type could not say it.
        (futexes[2], #"{"name":"timeout","u_int32":2147483647}"#),
        // Types are those of the row, also where a form reads fewer bits.
        (files[7], #"{"name":"arg","u_int64":"4294967254"}"#),
    ])
    func jsonHasWhatAFormLeadsTo(_ call: Call, _ shown: String) throws {
        let data = try Self.json(call, isDecoded: true)
        #expect(data.contains(shown), "\(data)")
    }

    @Test func rawJSONKnowsNoForms() throws {
        let address = #""u_int64":"140733193392128"}"#
        let lock = try Self.json(Self.files[0], isDecoded: false)
        #expect(lock.contains(#"{"name":"cmd","int32":6},{"name":"arg",\#(address)"#), "\(lock)")
        let name = try Self.json(Self.processes[0], isDecoded: false)
        #expect(name.contains(#"{"name":"arg2",\#(address)"#), "\(name)")
    }

    // MARK: Tables

    @Test(arguments: [
        (
            files[0],
            "cmd: F_SETLK, arg: {l_type=F_WRLCK, l_whence=SEEK_SET, l_start=0, l_len=0}, returnValue: 0"
        ),
        (files[3], "cmd: F_SETLK, arg: 0x7fff00001000, returnValue: 0"),
        (processes[0], "option: PR_SET_NAME, arg2: work, arg3: 7, arg4: 8, arg5: 9, returnValue: 0"),
        (
            processes[2],
            "option: PR_SET_NAME, arg2: 0x7fff00001000, arg3: 7, arg4: 8, arg5: 9, returnValue: -EFAULT"
        ),
        (futexes[6], "futex_op: FUTEX_UNLOCK_PI, val: 1, timeout: 0x2, uaddr2: 0x3, val3: 4, returnValue: 0"),
        (
            sockets[0],
            "level: SOL_SOCKET, optname: SO_LINGER, optval: {l_onoff=1, l_linger=5}, optlen: 8, returnValue: 0"
        ),
    ])
    func tablesHaveAllArguments(_ call: Call, _ shown: String) throws {
        var encoder = TableEncoder(clock: Clock(bootOffset: newYear), columns: 0)
        let line = text(tableLine(try call.record(), &encoder))
        #expect(line.contains(shown), "\(line)")
    }

    // MARK: Any bytes

    /// Each form of each call with any values and any bytes behind them; in a process of its own.
    @Test func formsOfAnyBytes() async {
        await #expect(processExitsWith: .success) {
            var random = SplitMix64(seed: 83)
            var json = EventEncoder(
                clock: Clock(bootOffset: newYear), policyNames: [], executable: { _, _, _ in [] },
                isDecoded: true,
                showsPayload: true)
            var table = TableEncoder(clock: Clock(bootOffset: newYear), columns: 0)
            var strace = StraceEncoder(clock: Clock(bootOffset: newYear))
            var count = 0
            for event in Catalog.builtIn.events {
                guard let forms = event.forms else { continue }
                for (number, inner) in CallFormTests.values(of: forms) {
                    count += 1
                    var record = sampleRecord(event.id, systemCall: -1)
                    record.values = event.fields.map { _ in random.number() }
                    if let inner { record.values[inner.selector] = inner.value }
                    record.values[forms.selector] = UInt64(number) | random.number() << 32
                    for field in event.fields.indices where random.below(4) > 0 {
                        record.blobs.append(
                            .init(
                                field: UInt8(field), bytes: random.bytes(random.below(160)),
                                flags: UInt8(random.below(4)), count: UInt16(random.below(9))))
                    }
                    let built = record.build()
                    let line = jsonLine(built, &json)
                    #expect(throws: Never.self, "\(text(line))") {
                        _ = try JSONSerialization.jsonObject(with: Data(line))
                    }
                    #expect(tableLine(built, &table).last == 0x0a)
                    let call = straceLine(built, &strace)
                    #expect(!call.dropLast().contains { $0 < 0x20 || $0 >= 0x7f }, "\(text(call))")
                }
            }
            #expect(count > 1000)
        }
    }

    /// The values that choose each form, several times.
    private static func values(
        of forms: CallForms
    ) -> [(number: UInt32, inner: (selector: Int, value: UInt64)?)] {
        let table = SymbolTable.named(forms.table)
        return forms.cases.flatMap { one in
            let values = one.names.map {
                CallForms.number($0) ?? UInt32(truncatingIfNeeded: table?.value(ofName: $0) ?? 0)
            }
            let further = one.further.map { inner in
                Self.values(of: inner).map { (inner.selector, UInt64($0.number)) }
            }
            return (values.isEmpty ? [0x7654_3210] : values).flatMap { number in
                (0..<8).map { _ in (number, nil) } + (further ?? []).map { (number, $0) }
            }
        }
    }
}
