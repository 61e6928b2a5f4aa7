import Foundation
import Testing

/// `Scripts/generate-symbols` with headers made up for it.
@Suite struct GeneratorTests {
    private static let headers = [
        "asm/first.h": """
        #include <linux/included.h>
        #include <sys/stat.h>
        #define A_NONE 0
        #define A_ONE (1 << 0)
        #define A_ALSO_ONE 0x1 /* the same */
        #define A_TOP (1 << 31)
        #define A_MODE_X 0x10
        #define A_MODE_Y 0x20
        #define A_BOTH (A_ONE | A_TWO)
        #define A_TWO 2
        #define A_GONE 4
        #undef A_GONE
        #define A_TEXT "text"
        #define A_FUNCTION(x) (x)
        #define A_EMPTY
        #define A_TYPE struct a
        #define A_OPEN (
        #define A_UNKNOWN sizeof(struct nobody)
        #define A_FRACTION 1.5
        #ifndef A_HIDDEN
        #else
        #define A_IN_ELSE 64
        #endif
        struct a { enum a_kind { E_MINUS = -2, E_NEXT, E_BIG = 0x80000000ULL + (1, 2),
        #define E_NEXT E_NEXT
            E_AFTER } kind; };
        """,
        // Cannot be included beside the first, and needs what the C library has.
        "linux/second.h": """
        struct a { int other; };
        struct second { size_t size; struct timespec time; };
        #define B_SIZE sizeof(struct second)
        #define A_TWO 2
        #define A_NONE 7
        """,
        "linux/included.h": "enum { A_INCLUDED = 8 };\n",
        // Leaves a struct to those who include it.
        "linux/third.h": """
        #define D_SIZE _IOR('d', 1, struct second)
        #define D_ONE 1
        """,
        "linux/broken.h": "#define C_ONE 1\nint broken(;\n",
    ]

    @Test func flags() throws {
        let tables = """
            # Comments may stand anywhere.
            table a flags asm/first.h  # here
            field 0x30 A_MODE_*
            names A_* -A_BO*
            names A_BOTH
            prefer A_ALSO_ONE
            value A_HIGH 0x4000000000000000
            """
        #expect(
            try Self.run(tables).output == """
                table a flags
                field 0x30
                  0x10 A_MODE_X
                  0x20 A_MODE_Y
                names
                  0x3 A_BOTH
                  0x1 A_ALSO_ONE
                  0x2 A_TWO
                  0x8 A_INCLUDED
                  0x80000000 A_TOP
                  0x4000000000000000 A_HIGH
                  0x0 A_NONE
                  0x1 A_ONE, not printed
                  A_TEXT is left out, as it is no integer constant
                  A_EMPTY is left out, as it is no integer constant
                  A_TYPE is left out, as it is no integer constant
                  A_OPEN is left out, as it is no integer constant
                  A_UNKNOWN is left out, as it is no integer constant
                  A_FRACTION is left out, as it is no integer constant

                """)
    }

    @Test func enumerations() throws {
        let tables = """
            table e enum asm/first.h
            names E_* A_ONE A_ALSO_ONE
            value E_OLD 077
            table b enum linux/second.h
            names B_SIZE
            table f flags asm/first.h
            field 0x1f00 table g
            names A_TOP
            field 0xff table b
            table g flags
            value G_ONE 0x100
            """
        #expect(
            try Self.run(tables).output == """
                table e enum
                  0x1 A_ONE
                  0x3f E_OLD
                  0x80000002 E_BIG
                  0x80000003 E_AFTER
                  0xfffffffffffffffe E_MINUS
                  0xffffffffffffffff E_NEXT
                  0x1 A_ALSO_ONE, not printed
                table b enum
                  0x18 B_SIZE
                table f flags
                field 0x1f00 table g
                names
                  0x80000000 A_TOP
                field 0xff table b
                table g flags
                  0x100 G_ONE

                """)
    }

    /// Lines behind the first, where the fault is, and what it is.
    @Test(arguments: [
        ("names A_TWO A_NOTHING", 2, "there is no A_NOTHING in asm/first.h"),
        ("names A_TWO -A_NOTHING", 2, "there is no A_NOTHING in asm/first.h"),
        ("names A_TEXT", 2, "A_TEXT is no integer constant in asm/first.h"),
        ("names Z_*", 1, "a has no names; `value` gives what the headers lack"),
        ("names S_IFMT", 2, "there is no S_IFMT in asm/first.h"),
        ("names A_TWO A?", 2, "A? is no name of a constant"),
        ("prefer A_TWO", 2, "a has no A_TWO to prefer"),
        ("value A_TWO 3", 2, "A_TWO is 0x2 in asm/first.h and 0x3 in a line `value`"),
        ("value A 08", 2, "08 is no number (0x1f, 037, 31 or -1)"),
        ("value A 0x10000000000000000", 2, "0x10000000000000000 has more than 64 bits"),
        ("field 1 A_TWO", 2, "A_TWO has bits outside of 0x1"),
        ("field 2 A_TWO\nnames A_BOTH", 3, "A_BOTH has bits of a field of a"),
        ("field 3 A_*\nfield 2 A_TWO", 3, "the field 2 has bits of another field of a"),
        ("value A_FIVE 5\nvalue A_FIVE 5", 3, "A_FIVE already has a value at line 2"),
        ("field 0 A_NONE", 2, "the mask of a field has at least one bit, and no sign"),
        ("field 1 table nobody", 2, "there is no table nobody"),
        ("field 1 table a", 2, "the table a leads back to itself"),
        ("table a enum asm/first.h", 2, "the table a is also at line 1"),
        ("table b enum linux/nowhere.h", 2, "there is no kernel header linux/nowhere.h under /usr/include"),
        ("table b enum ../linux/fs.h", 2, "there is no kernel header ../linux/fs.h under /usr/include"),
        (
            "table B enum", 2,
            "a table is `table NAME KIND HEADER…`, its name in small letters, its kind enum or flags"
        ),
        (
            "nothing A", 2,
            "`nothing A` is none of table, names, prefer, value and field as they are written"
        ),
    ]) func faults(_ lines: String, _ place: Int, _ fault: String) throws {
        let run = try Self.run("table a flags asm/first.h\n\(lines)\n")
        #expect(run.errors == "generate-symbols: tables:\(place): \(fault)\n")
        #expect(run.status == 1 && run.output.isEmpty)
    }

    @Test func headersThatNeedOthers() throws {
        let alone = try Self.run("table a enum linux/third.h\nnames D_*\n")
        #expect(
            alone.output == """
                table a enum
                  0x1 D_ONE
                  D_SIZE is left out, as it is no integer constant

                """)
        let together = try Self.run("table a enum linux/third.h linux/second.h\nnames D_*\n")
        #expect(together.output == "table a enum\n  0x1 D_ONE\n  0x80186401 D_SIZE\n")
        // All three cannot be included in one file.
        let tooMany = try Self.run("table a enum linux/third.h linux/second.h asm/first.h\nnames D_*\n")
        #expect(tooMany.output == alone.output)
    }

    @Test func headersThatDisagree() throws {
        let run = try Self.run("table a enum asm/first.h linux/second.h\nnames A_*\n")
        let fault = "A_NONE is 0x0 in asm/first.h and 0x7 in linux/second.h"
        #expect(run.errors == "generate-symbols: tables:1: \(fault)\n")
        let others = try Self.run("table a enum asm/first.h linux/second.h\nnames A_* -A_NONE B_SIZE\n")
        #expect(others.status == 0 && others.output.contains("0x18 B_SIZE"), "\(others.errors)")
        let broken = try Self.run("table a enum linux/broken.h\nnames C_ONE\n")
        #expect(broken.errors.hasPrefix("generate-symbols: linux/broken.h cannot be compiled: "))
    }

    @Test func enumsHaveNoFields() throws {
        let run = try Self.run("table a enum asm/first.h\nfield 1 A_ONE\n")
        #expect(run.errors.hasSuffix(":2: a is an enum, and only flags have fields\n"))
    }

    /// The file is the same for headers of the same series, and has the same values for those of another.
    @Test func comparing() throws {
        let place = try Place("table a flags asm/first.h\nnames A_ONE A_TWO\n", Self.headers)
        try place.write("linux/version.h", Self.version(6, 1, 5))
        #expect(try place.run().status == 0)
        let written = try place.read("symbols.c")
        #expect(
            written.contains("/* Headers: 6.1.5 */\n") && written.contains("{ 0x2, 5, 5 }, /* A_TWO */\n"))
        #expect(try place.run("--check") == Run(status: 0, output: "", errors: ""))

        try place.write("linux/version.h", Self.version(6, 1, 7))
        #expect(try place.run("--check").status == 0)
        try place.write("symbols.c", written.replacing("{ 0x2,", with: "{ 0x3,"))
        #expect(
            try place.run("--check").errors.contains(
                "out of date at A_TWO of a; run Scripts/generate-symbols"))
        try place.write("symbols.c", written.replacing("A_ONE", with: "A_OLD"))
        #expect(try place.run("--check").errors.contains("(headers 6.1.5) is out of date; run "))

        try place.write("linux/version.h", Self.version(6, 12, 0))
        #expect(try place.run("--check").status == 0)
        try place.write("symbols.c", written.replacing("{ 0x2,", with: "{ 0x3,"))
        #expect(
            try place.run("--check").errors.contains(
                "out of date at A_TWO of a; run Scripts/generate-symbols"))
        try place.write("tables", "table b flags asm/first.h\nnames A_ONE A_TWO\n")
        #expect(try place.run("--check").status == 1)
        #expect(try place.read("symbols.c") == written.replacing("{ 0x2,", with: "{ 0x3,"))
    }

    private static func version(_ major: Int, _ minor: Int, _ point: Int) -> String {
        """
        #define LINUX_VERSION_MAJOR \(major)
        #define LINUX_VERSION_PATCHLEVEL \(minor)
        #define LINUX_VERSION_SUBLEVEL \(point)

        """
    }

    private static func run(_ tables: String) throws -> Run {
        let place = try Place(tables, headers)
        var run = try place.run("--print")
        run.errors = run.errors.replacing("\(place.folder.path)/", with: "")
        return run
    }
}

private struct Run: Equatable {
    var status: Int32
    var output: String
    var errors: String
}

/// A folder with headers, tables and what is made of them, for as long as this lives.
private final class Place {
    let folder = FileManager.default.temporaryDirectory.appending(path: "symbols-\(UUID())")

    init(_ tables: String, _ headers: [String: String]) throws {
        for (path, text) in headers { try write(path, text) }
        try write("tables", tables)
    }

    deinit { try? FileManager.default.removeItem(at: folder) }

    func write(_ path: String, _ text: String) throws {
        let file = folder.appending(path: path)
        try FileManager.default.createDirectory(
            at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
        try Data(text.utf8).write(to: file)
    }

    func read(_ path: String) throws -> String {
        String(decoding: try Data(contentsOf: folder.appending(path: path)), as: UTF8.self)
    }

    func run(_ arguments: String...) throws -> Run {
        let process = Process()
        let (output, errors) = (Pipe(), Pipe())
        process.executableURL = URL(filePath: "\(packageFolder)/Scripts/generate-symbols")
        process.arguments =
            ["--tables", "\(folder.path)/tables", "--headers", folder.path]
            + ["--output", "\(folder.path)/symbols.c"] + arguments
        process.standardOutput = output
        process.standardError = errors
        try process.run()
        let written = output.fileHandleForReading.readDataToEndOfFile()
        let told = errors.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return Run(
            status: process.terminationStatus, output: String(decoding: written, as: UTF8.self),
            errors: String(decoding: told, as: UTF8.self))
    }
}
