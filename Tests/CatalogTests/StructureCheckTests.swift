import Foundation
import Testing

/// `Scripts/check-structures` with a header made up for it.
@Suite struct StructureCheckTests {
    private static let header = """
        struct inner { long first; unsigned short second; };
        struct __attribute__((packed)) made {
            unsigned int a; unsigned long long b; short c[2]; char name[10]; void *address; struct inner inner;
        };
        struct same { unsigned int a; int b; unsigned long long c; char name[8]; };
        struct bits { unsigned int a; unsigned int b : 4; unsigned int c : 28; unsigned char name[8]; unsigned int d : 1; };
        """

    /// What it says of a catalogue, without the file's name, and its status.
    private static func check(_ structures: String) throws -> [String] {
        let folder = FileManager.default.temporaryDirectory.appending(path: "structures-\(UUID())")
        defer { try? FileManager.default.removeItem(at: folder) }
        let headers = folder.appending(path: "linux")
        try FileManager.default.createDirectory(at: headers, withIntermediateDirectories: true)
        try Data(header.utf8).write(to: headers.appending(path: "made.h"))
        try Data("int broken(;\n".utf8).write(to: headers.appending(path: "broken.h"))
        let file = folder.appending(path: "a.events")
        try Data(structures.utf8).write(to: file)
        let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().path
        let process = Process()
        let errors = Pipe()
        process.executableURL = URL(filePath: "\(root)/Scripts/check-structures")
        process.arguments = ["--structures", file.path, "--headers", folder.path]
        process.standardError = errors
        try process.run()
        let text = String(decoding: errors.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        let lines = text.replacing("\(file.path):", with: "").split(separator: "\n").map(String.init)
        #expect(process.terminationStatus == (lines.isEmpty ? 0 : 1), "\(text)")
        return lines
    }

    @Test func whatIsRight() throws {
        let structures = """
            struct made 50 = struct made linux/made.h
            member a: uint32<flags> 0
            member wide: hex64 4 = b
            member c[0]: int16 12
            member c[1]: uint16 14 = c[1] signed
            member name: text10 16
            member address?: pointer<same>{count=a} 26
            member inner.first: int64 34
            member second: uint16 42 = inner.second

            struct same 24 any = struct same linux/made.h
            member a: uint32 0
            member b: int32 4
            member c: address 8
            struct pair 48 any = struct same[2] linux/made.h
            member last.name: text8 40 = [1].name
            struct beginning 8 any = start of struct same linux/made.h
            member b: int32 4
            struct int 4 any = int
            member -: int32 0
            # Nobody has it.
            struct nothing 12 = none
            member a: int64 3
            struct leading 24 any = struct same linux/made.h
            member text: string 8 = c
            struct bits 20 any = struct bits linux/made.h
            member flags: uint32<flags> 4 = between a name
            member name: text8 8
            member more: hex32 16 = between name
            struct numbers 8 any = unsigned int[2]
            member first: uint32 0 = [0]
            member second: uint32 4 = [1]
            # A set has no members in C.
            struct set 128 any = none
            member -: set 0
            """
        #expect(try Self.check(structures) == [])
    }

    /// A structure of a line and its members, and what is said of them.
    @Test(arguments: [
        (
            "struct same 20 any", "",
            "1: same has 20 bytes, and struct same of linux/made.h has 24 on x86-64 and i386"
        ),
        ("struct same 28", "", "1: same has 28 bytes, and struct same of linux/made.h has 24 on x86-64"),
        (
            "struct same 24", "member a: uint32 4",
            "2: same.a is at 4, and that of struct same of linux/made.h at 0 on x86-64"
        ),
        (
            "struct same 24", "member c: uint32 8",
            "2: same.c takes 4 bytes, and that of struct same of linux/made.h 8 on x86-64"
        ),
        (
            "struct same 24 any", "member a: int32 0",
            "2: same.a is int32, and that of struct same of linux/made.h is unsigned on x86-64 and i386"
        ),
        (
            "struct same 24", "member b: uint32 4",
            "2: same.b is uint32, and that of struct same of linux/made.h is signed on x86-64"
        ),
        (
            "struct same 24", "member b: int32 4 = b signed",
            "2: same.b is signed itself, so the word signed says nothing on x86-64"
        ),
        (
            "struct same 24", "member b: int32 4 = b unsigned",
            "2: same.b is int32, and that of struct same of linux/made.h is signed too, not unsigned on x86-64"
        ),
        (
            "struct same 24", "member a: hex32 0 = a signed",
            "2: same.a is no number with a sign, so the word signed says nothing on x86-64"
        ),
        (
            "struct same 24", "member c: text8 8",
            "2: same.c is text8, and that of struct same of linux/made.h is no such type on x86-64"
        ),
        (
            "struct same 24", "member name: uint64 16",
            "2: same.name is uint64, and that of struct same of linux/made.h is no such type on x86-64"
        ),
        (
            "struct same 24", "member b: pointer{len=a} 4",
            "2: same.b takes 8 bytes, and that of struct same of linux/made.h 4 on x86-64"
        ),
        (
            "struct same 24", "member name: sockaddr{len=a} 16",
            "2: same.name is sockaddr, and that of struct same of linux/made.h is no such type on x86-64"
        ),
        (
            "struct same 24", "member -: set 0 = a",
            "2: same takes 24 bytes, and that of struct same of linux/made.h 4 on x86-64"
        ),
        (
            "struct same 24", "member x: uint32 0 = between a c",
            "2: same.x is at 0, and that of struct same of linux/made.h at 4 on x86-64"
        ),
        (
            "struct same 24", "member x: uint64 4 = between a c",
            "2: same.x takes 8 bytes, and that of struct same of linux/made.h 4 on x86-64"
        ),
        (
            "struct same 24 any", "member d: uint64 16",
            "2: the compiler says: no member named 'd' in 'same' on x86-64 and i386"
        ),
    ])
    func differences(_ structure: String, _ member: String, _ message: String) throws {
        #expect(try Self.check("\(structure) = struct same linux/made.h\n\(member)") == [message])
    }

    @Test func differencesOfOneMachine() throws {
        let structures = """
            struct inner 16 any = struct inner linux/made.h
            member first: int64 0
            member second: uint16 8
            """
        #expect(
            try Self.check(structures) == [
                "1: inner has 16 bytes, and struct inner of linux/made.h has 8 on i386",
                "2: inner.first takes 8 bytes, and that of struct inner of linux/made.h 4 on i386",
                "3: inner.second is at 8, and that of struct inner of linux/made.h at 4 on i386",
            ])
    }

    @Test(arguments: [
        ("struct a 8", "1: say what a is in C: `= TYPE HEADER…`, or `= none` and why above it"),
        ("struct a 8 = none", "1: no header has a: a comment above must say where it was looked up"),
        (
            "# No.\nstruct a 8 = none\nmember x: int32 0 = y",
            "3: a is nothing in C, so it has no members there"
        ),
        (
            "struct a 8 = struct same linux/gone.h",
            "1: there is no kernel header linux/gone.h under /usr/include"
        ),
        ("struct a 8 = struct same sys/stat.h", "1: there is no kernel header sys/stat.h under /usr/include"),
        (
            "struct a 8 = struct same; linux/made.h",
            "1: `struct same; linux/made.h` is not written as `TYPE HEADER…` is"
        ),
        (
            "struct a 24 = struct same linux/made.h\nmember x: int32 0 = y z",
            "2: `y z` is no member of a structure in C"
        ),
        (
            "struct a 24 = struct same linux/made.h\nmember x: int32 0 = between a b c",
            "2: `between a b c` is not written as `between CMEMBER [NEXT]` is"
        ),
        (
            "struct a 24 = struct same linux/made.h\nmember x: int32 0 = between",
            "2: `between` is not written as `between CMEMBER [NEXT]` is"
        ),
        (
            "struct a 24 = struct same linux/made.h\nmember x: int32 0 = y;",
            "2: `y;` is no member of a structure in C"
        ),
        (
            "member x: int32 0",
            "1: a member is `member NAME: TYPE OFFSET [if …] [= CMEMBER]`, below its structure"
        ),
        // Several are read of an array, and each must be whole.
        (
            "struct epoll_event 4 = start of struct same linux/made.h",
            "1: epoll_event is only a start, and Catalog/syscalls/files.events has several of it"
        ),
    ])
    func mistakes(_ structures: String, _ message: String) throws {
        let said = try Self.check(structures).map { $0.replacing(#/\.events:\d+/#, with: ".events") }
        #expect(said == [message])
    }

    @Test func aTypeThatIsNotThere() throws {
        let said = try Self.check("struct a 4 any = struct a linux/made.h\nmember x: int32 0")
        #expect(
            said == [
                "1: the compiler says: field has incomplete type 'struct a' on x86-64 and i386"
            ])
    }

    @Test func aHeaderThatDoesNotCompile() throws {
        let said = try Self.check("struct a 4 = struct a linux/broken.h\nmember x: int32 0")
        #expect(said.count == 1)
        #expect(said.first?.hasPrefix("1: the compiler says: ") == true, "\(said)")
        #expect(said.first?.contains("linux/broken.h:1") == true, "\(said)")
    }
}
