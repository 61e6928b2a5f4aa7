import CContract
import Testing

@testable import Catalog
@testable import Probes

/// What the rows of system calls say of the room that callers gave.
@Suite struct RoomTests {
    private static func row(_ name: String, _ targets: PointerTargets = PointerTargets()) throws
        -> apus_syscall_row
    {
        let call = try #require(Catalog.builtIn[name])
        let row = try #require(SystemCallTable(Catalog.builtIn, targets).rows([(call, 1)]).first).row
        #expect((row.flags & UInt8(APUS_ROW_NEEDS_ENTRY) != 0) == SystemCallTable.needsEntry(call, targets))
        return row
    }

    private static let all = PointerTargets(structures: true, payload: 16)

    @Test func ofArguments() throws {
        let result = UInt8(APUS_LENGTH_RETURN_VALUE.rawValue)
        #expect(try Self.row("listxattr").readers.1.length == result | 3 << 4)
        #expect(try Self.row("syslog").readers.1.length == result | 3 << 4 | UInt8(APUS_ROOM_ALL_OR_NOTHING))
        #expect(try Self.row("getxattr", Self.all).readers.2.length == result | 4 << 4)
        #expect(try Self.row("read", Self.all).readers.1.length == result)
        // None where the call returns 0.
        #expect(try Self.row("wait4", Self.all).readers.1.length == UInt8(APUS_LENGTH_ONE.rawValue) | 7 << 4)
    }

    @Test func registersOf32BitCallers() throws {
        for (name, joins, swaps) in [
            ("pread64", 8, false), ("fallocate", 12, false), ("clone", 0, true), ("read", 0, false),
        ] {
            let call = try #require(Catalog.builtIn[name])
            let rows = SystemCallTable(Catalog.builtIn, PointerTargets()).rows([(call, 1)]).map(\.row)
            try #require(rows.count == 2)
            #expect(rows.map { Int($0.joins) } == [0, joins])
            #expect(rows.map { $0.flags & UInt8(APUS_ROW_SWAPS) != 0 } == [false, swaps])
        }
    }

    /// Of which arguments only 32 bits count: as the catalogue says, and of numbers of 32 bits those that count what is read.
    @Test(arguments: [
        ("ioctl", 2, 0), ("personality", 1, 0), ("sched_getaffinity", 2, 0), ("readlink", 4, 4),
        ("semop", 4, 0), ("bind", 4, 0), ("read", 0, 0), ("openat", 0, 0), ("setsockopt", 16, 0),
    ])
    func halvesOfRegisters(_ name: String, _ halves: UInt8, _ signs: UInt8) throws {
        let row = try Self.row(name)
        #expect(row.halves == halves && row.signs == signs)
    }

    /// Where the call changes what says it, it is kept when the call is entered.
    @Test(arguments: [
        ("accept", 3), ("getsockname", 3), ("recvfrom", 6), ("getsockopt", 0), ("bind", 0), ("read", 0),
    ])
    func behindPointers(_ name: String, _ room: UInt8) throws {
        let row = try Self.row(name)
        #expect(row.room == room)
        #expect((row.flags & UInt8(APUS_ROW_NEEDS_ENTRY) != 0) == (room != 0 || name == "bind"))
        #expect(try Self.row("getsockopt", Self.all).room == 5)
    }
}
