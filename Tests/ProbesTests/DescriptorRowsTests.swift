import CContract
import Testing

@testable import Catalog
@testable import Probes

/// What the rows of system calls say of descriptors.
@Suite struct DescriptorRowsTests {
    private static func row(_ name: String, _ change: (inout PointerTargets) -> Void) throws
        -> apus_syscall_row
    {
        var targets = PointerTargets()
        change(&targets)
        let call = try #require(Catalog.builtIn[name])
        let rows = SystemCallTable(Catalog.builtIn, targets).rows([(call, 1)])
        return try #require(rows.first).row
    }

    private static func flags(_ row: apus_syscall_row) -> (entry: Bool, exit: Bool) {
        (row.flags & UInt8(APUS_ROW_NEEDS_ENTRY) != 0, row.flags & UInt8(APUS_ROW_READS_AT_EXIT) != 0)
    }

    private static let result: UInt8 = 1 << 6

    @Test(
        arguments: [
            ("read", 1, 0, true, false), ("dup2", 3 | result, 0, true, true),
            ("openat", 1 | result, 1, true, true), ("epoll_ctl", 5, 0, true, false),
            ("mmap", 16, 0, true, false), ("renameat2", 5, 5, true, false),
            ("epoll_create1", result, 0, false, true), ("umask", 0, 0, false, false),
            // By the case for all other commands.
            ("fcntl", 1, 0, true, true),
        ] as [(String, UInt8, UInt8, Bool, Bool)])
    func aCall(_ name: String, _ descriptors: UInt8, _ directories: UInt8, _ entry: Bool, _ exit: Bool) throws
    {
        let row = try Self.row(name) { $0.descriptors = true }
        #expect((row.descriptors, row.directories) == (descriptors, directories))
        #expect(Self.flags(row) == (entry, exit))
        #expect(row.pairs == 0)
        let call = try #require(Catalog.builtIn[name])
        var targets = PointerTargets()
        targets.descriptors = true
        #expect(SystemCallTable.needsEntry(call, targets) == entry)
    }

    @Test func nothingWithoutTheOption() throws {
        for name in ["read", "dup2", "openat", "pipe2", "fcntl", "epoll_create1"] {
            for structures in [false, true] {
                let row = try Self.row(name) { $0.structures = structures }
                #expect((row.descriptors, row.directories, row.pairs) == (0, 0, 0), "\(name)")
            }
        }
        let read = try Self.row("read") { _ in }
        #expect(Self.flags(read) == (false, false))
        #expect(read.flags & UInt8(APUS_ROW_HAS_FORMS) == 0)
    }

    @Test func pairs() throws {
        #expect(try Self.row("pipe2") { $0.descriptors = true }.pairs == 1)
        #expect(try Self.row("socketpair") { $0.descriptors = true }.pairs == 8)
    }

    /// Forms say what are descriptors, also where nothing is read by them; then readers are as the row has them.
    @Test func forms() throws {
        var targets = PointerTargets()
        targets.descriptors = true
        let fcntl = try #require(Catalog.builtIn["fcntl"])
        let row = try Self.row("fcntl") { $0.descriptors = true }
        #expect(row.flags & UInt8(APUS_ROW_HAS_FORMS) != 0)
        #expect(row.reads == (0, 0, 0, 0))
        guard case .systemCall(let number?, _, _) = fcntl.source else { return }
        let forms = SystemCallTable(Catalog.builtIn, targets).forms(Catalog.builtIn)
        func form(_ command: UInt32) throws -> apus_form {
            try #require(forms.first { $0.key.slot == UInt32(number) && $0.key.value == command }).form
        }
        #expect(try form(0).descriptors == 1 | Self.result)  // F_DUPFD
        #expect(try form(1).descriptors == 1)  // F_GETFD
        #expect(try form(1027).descriptors == 5)  // F_DUPFD_QUERY
        #expect(forms.count < Int(APUS_MAX_FORMS))
        // A ring that is registered is no descriptor.
        let enter = try #require(Catalog.builtIn["io_uring_enter"])
        guard case .systemCall(let slot?, _, _) = enter.source else { return }
        let rings = forms.filter { $0.key.slot == UInt32(slot) }
        #expect(rings.count == 6)
        for (key, form) in rings { #expect(form.descriptors == (key.value & 0x10 == 0 ? 1 : 0)) }
    }

    /// Where structures have descriptors; where nobody asks for them, those that lead nowhere have no number.
    @Test func structures() throws {
        var targets = PointerTargets()
        targets.structures = true
        func row(_ call: String, _ field: String) throws -> apus_structure? {
            let field = try #require(Catalog.builtIn[call]?.fields.first { $0.name == field })
            let all = SystemCallTable(Catalog.builtIn, targets).structures
            let number = Int(all.number(of: try #require(field.structure)))
            return number == 0 ? nil : all.rows[number - 1]
        }
        #expect(try row("poll", "fds") == nil)
        #expect(try row("select", "readfds") == nil)
        #expect(try row("sendmsg", "msg")?.held_count == 0)
        targets.descriptors = true
        let polled = try #require(try row("poll", "fds"))
        #expect((polled.size, polled.count, polled.held_count, polled.held.0) == (8, 0, 1, 0))
        #expect(try row("select", "readfds")?.held_count == UInt8(APUS_HELD_BITS))
        #expect(try row("mount_setattr", "uattr")?.held.0 == 24)
        let message = try #require(try row("sendmsg", "msg"))
        #expect((message.count, message.held_count) == (3, 0))
        let control = message.follows.2.reader.structure
        let all = SystemCallTable(Catalog.builtIn, targets).structures.rows
        #expect(all[Int(control) - 1].held_count == UInt8(APUS_HELD_MESSAGES))
        // Of 32-bit callers too, whose structure is the same.
        let poll = try #require(Catalog.builtIn["poll"])
        for (_, row) in SystemCallTable(Catalog.builtIn, targets).rows([(poll, 1)]) {
            #expect(row.readers.0.structure != 0)
        }
    }

    @Test func sizesAreThoseOfTheKernelsPrograms() {
        #expect(MemoryLayout<apus_descriptor>.size == 40)
        #expect(MemoryLayout<apus_syscall_row>.size == 88)
        #expect(MemoryLayout<apus_structure>.size == 80)
    }
}
