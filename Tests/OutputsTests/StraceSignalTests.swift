import CContract
import Catalog
import Events
import TestSupport
import Testing

@testable import Outputs

/// Signals in strace's form, and how long calls took.
@Suite struct StraceSignalTests {
    /// A record with these fields; all others do not apply.
    private func record(_ fields: [String: UInt64]) throws -> RecordBuilder {
        let event = try #require(Catalog.builtIn["signal_deliver"])
        var record = sampleRecord(event.id, systemCall: -1)
        record.values = event.fields.map { fields[$0.name] ?? 0xdead_dead_dead_dead }
        var absent: UInt64 = 0
        for (index, field) in event.fields.enumerated() where fields[field.name] == nil {
            absent |= 1 << UInt64(index)
        }
        record.values.append(absent)
        record.header.flags = UInt8(APUS_RECORD_ABSENT)
        return record
    }

    private func line(_ fields: [String: UInt64]) throws -> String {
        var encoder = StraceEncoder(clock: Clock(bootOffset: newYear))
        return text(straceLine(try record(fields).build(), &encoder))
    }

    private static func negative(_ number: Int64) -> UInt64 { UInt64(bitPattern: number) }

    @Test(
        arguments: [
            (
                ["sig": 10, "code": 0, "error": 0, "sender_pid": 4711, "sender_uid": 4_294_967_295],
                "SIGUSR1 {si_signo=SIGUSR1, si_code=SI_USER, si_pid=4711, si_uid=4294967295}"
            ),
            (
                [
                    "sig": 35, "code": negative(-1), "error": 0, "sender_pid": 1, "sender_uid": 0,
                    "value": 0xffff_ffff,
                ],
                "SIGRT_3 {si_signo=SIGRT_3, si_code=SI_QUEUE, si_pid=1, si_uid=0, si_int=-1, si_ptr=0xffffffff}"
            ),
            (
                ["sig": 35, "code": negative(-1), "error": 0, "sender_pid": 1, "sender_uid": 0, "value": 0],
                "SIGRT_3 {si_signo=SIGRT_3, si_code=SI_QUEUE, si_pid=1, si_uid=0}"
            ),
            (
                ["sig": 14, "code": negative(-2), "error": 0, "timer": 3, "overrun": 2, "value": 0],
                "SIGALRM {si_signo=SIGALRM, si_code=SI_TIMER, si_timerid=3, si_overrun=2, si_int=0, si_ptr=NULL}"
            ),
            (
                [
                    "sig": 17, "code": 1, "error": 0, "sender_pid": 9, "sender_uid": 0, "status": 9,
                    "user_time": 0, "system_time": 6,
                ],
                "SIGCHLD {si_signo=SIGCHLD, si_code=CLD_EXITED, si_pid=9, si_uid=0, si_status=9, si_utime=0, si_stime=6}"
            ),
            (
                [
                    "sig": 17, "code": 2, "error": 0, "sender_pid": 9, "sender_uid": 0, "status": 9,
                    "user_time": 0, "system_time": 6,
                ],
                "SIGCHLD {si_signo=SIGCHLD, si_code=CLD_KILLED, si_pid=9, si_uid=0, si_status=SIGKILL, si_utime=0, si_stime=6}"
            ),
            (
                ["sig": 11, "code": 1, "error": 0, "address": 0],
                "SIGSEGV {si_signo=SIGSEGV, si_code=SEGV_MAPERR, si_addr=NULL}"
            ),
            (
                ["sig": 11, "code": 128, "error": 0],
                "SIGSEGV {si_signo=SIGSEGV, si_code=SI_KERNEL, si_addr=NULL}"
            ),
            (
                ["sig": 7, "code": 2, "error": 5, "address": 0x1000],
                "SIGBUS {si_signo=SIGBUS, si_code=BUS_ADRERR, si_errno=EIO, si_addr=0x1000}"
            ),
            (
                ["sig": 8, "code": 99, "error": 0, "address": 0x1000],
                "SIGFPE {si_signo=SIGFPE, si_code=0x63, si_addr=0x1000}"
            ),
            (
                ["sig": 29, "code": 1, "error": 0, "band": 65, "fd": 3],
                "SIGIO {si_signo=SIGIO, si_code=POLL_IN, si_band=65, si_fd=3}"
            ),
            (
                [
                    "sig": 31, "code": 1, "error": 0, "call_address": 0x1000, "syscall": 110,
                    "arch": 0xc000_003e,
                ],
                "SIGSYS {si_signo=SIGSYS, si_code=SYS_SECCOMP, si_call_addr=0x1000, si_syscall=__NR_getppid, si_arch=AUDIT_ARCH_X86_64}"
            ),
            (
                [
                    "sig": 31, "code": 1, "error": 0, "call_address": 0, "syscall": negative(-2), "arch": 7,
                ],
                "SIGSYS {si_signo=SIGSYS, si_code=SYS_SECCOMP, si_call_addr=NULL, si_syscall=0xfffffffe, si_arch=0x7}"
            ),
            (["sig": 15], "SIGTERM {si_signo=SIGTERM}"),
            (["sig": 9, "code": 0, "error": 0], "SIGKILL {si_signo=SIGKILL, si_code=SI_USER}"),
            (
                ["sig": negative(-1), "code": negative(-77), "error": 0],
                "-1 {si_signo=-1, si_code=0xffffffb3}"
            ),
        ] as [([String: UInt64], String)])
    func signals(_ fields: [String: UInt64], _ words: String) throws {
        #expect(try line(fields) == "[pid 1234] --- \(words) ---\n")
    }

    /// strace does not see how SIGKILL is taken, but the end.
    @Test func aKillOfWhichNothingIsKnownHasNoLine() throws {
        #expect(try line(["sig": 9]).isEmpty)
    }

    @Test func allFieldsAtOnceHaveRoom() throws {
        let event = try #require(Catalog.builtIn["signal_deliver"])
        for value in [UInt64.max, 1 << 63, 31, 0] {
            let fields = Dictionary(uniqueKeysWithValues: event.fields.map { ($0.name, value) })
            let line = try line(fields)
            #expect(line.utf8.count < StraceSignal.room)
            #expect(line.contains("si_arch="))
        }
    }

    /// In the other forms a field that does not apply is one without a value.
    @Test func whatDoesNotApplyIsNull() throws {
        let bytes = try record(["sig": 10, "code": 0, "error": 0, "sender_pid": 5, "sender_uid": 0]).build()
        var json = EventEncoder(
            clock: Clock(bootOffset: newYear), policyNames: [], executable: { _, _, _ in [] })
        let line = text(jsonLine(bytes, &json))
        #expect(line.contains("{\"name\":\"sender_pid\",\"int32\":5}"))
        #expect(line.contains("{\"name\":\"address\"}"))
        #expect(line.contains("{\"name\":\"arch\"}]}"))
        var table = TableEncoder(clock: Clock(bootOffset: newYear), columns: 0)
        let row = text(tableLine(bytes, &table))
        #expect(row.contains("sender_pid: 5,") && row.contains("address: -,"))
        #expect(!row.contains("dead"))
    }

    // MARK: Durations

    private func close(took nanoseconds: UInt64?, showing: Bool) -> String {
        var record = sampleRecord(.close, systemCall: 3)
        record.values = [3, 0]
        if let nanoseconds {
            record.header.flags = UInt8(APUS_RECORD_TIMED)
            record.values.append(record.header.time - nanoseconds)
        }
        var encoder = StraceEncoder(clock: Clock(bootOffset: newYear), showsDurations: showing)
        return text(straceLine(record.build(), &encoder))
    }

    @Test(
        arguments: [
            (0, "0.000000"), (499, "0.000000"), (500, "0.000001"), (12_345, "0.000012"),
            (999_999_500, "1.000000"), (61_020_304_000, "61.020304"),
        ] as [(UInt64, String)])
    func durations(_ nanoseconds: UInt64, _ shown: String) {
        #expect(close(took: nanoseconds, showing: true) == "[pid 1234] close(3) = 0 <\(shown)>\n")
        #expect(close(took: nanoseconds, showing: false) == "[pid 1234] close(3) = 0\n")
    }

    @Test func whoseEntryNobodySawHasNone() {
        #expect(close(took: nil, showing: true) == "[pid 1234] close(3) = 0\n")
    }
}
