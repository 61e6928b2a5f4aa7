import CContract
import Catalog
import Events
import TestSupport
import Testing

@testable import Outputs

/// Whole lines in strace's form.
@Suite struct StraceLineTests {
    private func line(_ record: RecordBuilder) -> String {
        var encoder = StraceEncoder(clock: Clock(bootOffset: newYear))
        return text(straceLine(record.build(), &encoder))
    }

    private func openat(_ flags: UInt64, mode: UInt64, result: Int64, path: String = "/etc/passwd")
        -> RecordBuilder
    {
        var record = sampleRecord(.openat, systemCall: 257)
        record.values = [UInt64(bitPattern: -100), 0x7ffc_0000_1000, flags, mode, UInt64(bitPattern: result)]
        record.blobs = [.init(field: 1, bytes: Array(path.utf8))]
        return record
    }

    @Test func aCall() {
        #expect(
            line(openat(0x80000, mode: 0, result: 3))
                == "[pid 1234] openat(AT_FDCWD, \"/etc/passwd\", O_RDONLY|O_CLOEXEC) = 3\n")
        #expect(
            line(openat(0o102, mode: 0o644, result: -13))
                == "[pid 1234] openat(AT_FDCWD, \"/etc/passwd\", O_RDWR|O_CREAT, 0644) = -1 EACCES (Permission denied)\n"
        )
    }

    @Test func restartsAndCallsThatDoNotReturn() {
        var read = sampleRecord(.read, systemCall: 0)
        read.values = [0, 0x1000, 10, UInt64(bitPattern: -512)]
        #expect(
            line(read)
                == "[pid 1234] read(0, 0x1000, 10) = ? ERESTARTSYS (To be restarted if SA_RESTART is set)\n")
        var exit = sampleRecord(.exit_group, systemCall: 231)
        exit.values = [7, 0]
        #expect(line(exit) == "[pid 1234] exit_group(7) = ?\n")
    }

    @Test func theEndOfAProcess() {
        var exit = sampleRecord(.sched_process_exit, systemCall: -1)
        exit.values = [7, 0, 1]
        #expect(line(exit) == "[pid 1234] +++ exited with 7 +++\n")
        exit.values = [0, 9, 1]
        #expect(line(exit) == "[pid 1234] +++ killed by SIGKILL +++\n")
    }

    @Test func textIsEscaped() {
        #expect(
            line(openat(0, mode: 0, result: 3, path: "a\"\\\n\t\u{1}2\u{1}8\u{1b}[ü"))
                == "[pid 1234] openat(AT_FDCWD, \"a\\\"\\\\\\n\\t\\0012\\18\\33[\\303\\274\", O_RDONLY) = 3\n"
        )
    }

    @Test func buffersAreShownByTheirContents() {
        var write = sampleRecord(.write, systemCall: 1)
        write.values = [1, 0x1000, 100, 100]
        write.blobs = [.init(field: 1, bytes: Array("hello".utf8), flags: 1)]
        #expect(line(write) == "[pid 1234] write(1, \"hello\"..., 100) = 100\n")
        write.values[1] = 0
        write.blobs = []
        #expect(line(write) == "[pid 1234] write(1, NULL, 100) = 100\n")
    }
}
