import Catalog
import Testing

@Suite struct ParserTests {
    struct Bad: CustomTestStringConvertible, Sendable {
        let text: String
        /// Counted from 1 in `text`.
        var line = 1
        let message: String
        var testDescription: String { text.replacing("\n", with: " / ") }
    }

    private static let types =
        "int32, uint32, int64, uint64, uint16, bool, pointer, string, string[], bytes, uint64[], "
        + "credentials, sockaddr, int32[2], timespec, time"

    private static let noTable = "is no name of a table: a small letter, then those, digits and _"

    private static func arguments(_ text: String, _ message: String) -> Bad {
        Bad(text: "call | 1 | 2 | 3 | syscalls | \(text) | About.", message: message)
    }

    static let rows = [
        Bad(
            text: "call | 1 | 2 | 3 | syscalls | -",
            message: "a system call is 7 columns separated by '|', this line has 6"),
        Bad(
            text: "call | 1 | 2 | 3 | syscalls | - | One | two.",
            message: "a system call is 7 columns separated by '|', this line has 8"),
        Bad(
            text: "hook tp_btf:sys_enter",
            message: "a system call is 7 columns separated by '|', this line has 1"),
        Bad(text: "call | 1 | 2 | x | syscalls | - | About.", message: "'x' is no event id"),
        Bad(text: "call | 1 | 2 | -1 | syscalls | - | About.", message: "'-1' is no event id"),
        Bad(text: "call | 1 | 2 | | syscalls | - | About.", message: "'' is no event id"),
        Bad(
            text: "call | 512 | 2 | 3 | syscalls | - | About.",
            message: "'512' is no system call number below 512; write - where there is none"),
        Bad(
            text: "call | 1 | -2 | 3 | syscalls | - | About.",
            message: "'-2' is no system call number below 512; write - where there is none"),
        Bad(
            text: "call | one | 2 | 3 | syscalls | - | About.",
            message: "'one' is no system call number below 512; write - where there is none"),
        Bad(
            text: "call (sometimes) | 1 | 2 | 3 | syscalls | - | About.",
            message:
                "'sometimes' is no trait; there are no-return, returns-twice, replaces-memory, int-result"),
        arguments(
            "a: int32, b: int32, c: int32, d: int32, e: int32, f: int32, g: int32",
            "a system call has at most 6 arguments"),
        arguments("fd: int32 = mode", "the result of a row is 'fd' or nothing; forms have others"),
        arguments("fd: int32 = 1", "'1' \(noTable)"),
        arguments("fd int32", "'fd int32' lacks ': type'"),
        arguments("fd: int32,", "'' lacks ': type'"),
        arguments("fd: int33", "'int33' is no type; there are \(types)"),
        arguments("fd:", "'' is no type; there are \(types)"),
        arguments("a: int33<flags>", "'int33' is no type; there are \(types)"),
        arguments("a: <flags>", "'' is no type; there are \(types)"),
        arguments("a: int32<flags", "'int32<flags' lacks a closing '>'"),
        arguments("a: int32<flags>>", "'flags>' \(noTable)"),
        arguments("a: int32<flags> x", "'int32<flags> x' lacks a closing '>'"),
        arguments("a: int32<>", "'' \(noTable)"),
        arguments("a: int32<Flags>{opt}", "'Flags' \(noTable)"),
        arguments("a: uint64<_flags>", "'_flags' \(noTable)"),
        arguments("a: uint16<open flags>", "'open flags' \(noTable)"),
        arguments("a: int64<käse>", "'käse' \(noTable)"),
        arguments("a: string<flags>", "'string<flags>' names a table, and only integers have one"),
        arguments(
            "a: pointer<flags>{in}",
            "there is no structure 'flags'; write 'struct flags BYTES' and its members"),
        arguments(
            "a: pointer{in,count=b}, b: int32",
            "'a: pointer{in,count=b}' counts structures, and names none: pointer<NAME>"),
        arguments("a: bool<flags>", "'bool<flags>' names a table, and only integers have one"),
        arguments("a: int32[2]<flags>", "'int32[2]<flags>' names a table, and only integers have one"),
        arguments(
            "buf: pointer",
            "'buf: pointer' must say what is behind the pointer: in, out, inout or opaque"),
        arguments(
            "buf: pointer{opt}",
            "'buf: pointer{opt}' must say what is behind the pointer: in, out, inout or opaque"),
        arguments("buf: pointer{in", "'pointer{in' lacks a closing '}'"),
        arguments(
            "buf: pointer{into}",
            "'into' is no option; there are in, out, out-interrupted, inout, opaque, opt, len=, count=, "
                + "bits=, room=, whole=, and of uint64 int and uint"),
        arguments(
            "size: int64{uint}",
            "'uint' is no option; there are in, out, out-interrupted, inout, opaque, opt, len=, count=, "
                + "bits=, room=, whole=, and of uint64 int and uint"),
        arguments(
            "buf: pointer{out,len=ret,room=*size}, size: pointer{inout}",
            "room= and whole= name an argument, or ret"),
        arguments(
            "buf: pointer{in,len=count}",
            "len= names 'count', which is no argument of this call"),
        arguments(
            "buf: pointer{in,len=*size}, count: int32",
            "len= names 'size', which is no argument of this call"),
    ]

    private static func entry(_ line: String, _ message: String) -> Bad {
        Bad(
            text: "event thing 9 proc\nhook tp_btf:b\nabout A thing.\n\(line)", line: 4,
            message: message)
    }

    static let entries = [
        Bad(
            text:
                "event thing 9 proc\nhook tp_btf:b\nfield b: string AGENT | added\nfield a: int32 K | meaning",
            line: 4, message: "fields that the agent adds come last; put this one before 'b'"),
        Bad(text: "event thing", message: "an event starts with 'event NAME ID [SETS]'"),
        Bad(text: "event thing one", message: "an event starts with 'event NAME ID [SETS]'"),
        Bad(text: "event thing -1", message: "an event starts with 'event NAME ID [SETS]'"),
        entry("filed a: int32 K | meaning", "expected hook, or, class bulk, about or field"),
        entry("call | 1 | 2 | 3 | syscalls | - | About.", "expected hook, or, class bulk, about or field"),
        entry("field a: int32 K", "a field is 'field NAME: TYPE TAGS | meaning'"),
        entry("field a int32 K | meaning", "a field is 'field NAME: TYPE TAGS | meaning'"),
        entry("field a: | meaning", "this field has no type"),
        entry("field a: int33 K | meaning", "'int33' is no type; there are \(types)"),
        entry("field a: int32<flags K | meaning", "'int32<flags' lacks a closing '>'"),
        entry("field a: int32<9> K | meaning", "'9' \(noTable)"),
        entry("field a: time<flags> K | meaning", "'time<flags>' names a table, and only integers have one"),
        entry(
            "field a: int32 Q | meaning",
            "'Q' is no provenance tag; there are K, U, TOCTOU, OPT and AGENT"),
        entry("field a: int32 | meaning", "say where the field is read: K, U or AGENT"),
        entry("field a: int32 OPT | meaning", "say where the field is read: K, U or AGENT"),
    ]

    @Test(arguments: rows + entries) func faultsHaveAPlaceAndASentence(_ bad: Bad) throws {
        let good = "# A comment.\n\nfine | 9 | - | 8 | syscalls | - | Fine.\n"
        let error = try #require(throws: CatalogError.self) {
            try CatalogParser.parse([("good.events", good[...]), ("bad.events", "\n\n" + bad.text)])
        }
        #expect(error.message == bad.message)
        #expect(error.file == "bad.events")
        #expect(error.line == bad.line + 2)
        #expect(error.description == "bad.events:\(bad.line + 2): error: \(bad.message)")
    }

    @Test(arguments: [
        (lines: ["hook tp_btf:b", "field a: int32 K | x"], extraFields: 0),
        (lines: ["about A thing."], extraFields: 0),
        (lines: ["about A thing.", "hook tp_btf:b optional"], extraFields: 0),
        (lines: ["about A thing.", "hook tp_btf:b", "hook agent"], extraFields: 0),
        (lines: ["about A thing.", "hook agent", "hook tp_btf:b optional"], extraFields: 0),
        (lines: ["hook agent"], extraFields: 1),
        (lines: ["hook tp_btf:b", "about A thing."], extraFields: 65),
    ])
    func incompleteEntriesAreReportedWhereTheyStand(_ some: [String], _ extraFields: Int) throws {
        let fields = (0..<extraFields).map { "field f\($0): int32 K | x" }
        let text = (["event thing 9"] + some + fields).map { $0 + "\n" }.joined()
        let lines = 1...1 + some.count + extraFields
        let next = "\n# The next one.\n\nevent other 10\nhook tp_btf:b\nabout Another.\n"
        let error = try #require(throws: CatalogError.self) {
            try CatalogParser.parse([("bad.events", "\(text)\(next)"), ("more.events", "")])
        }
        #expect(error.file == "bad.events")
        #expect(lines.contains(error.line), "line \(error.line) is none of the entry's")
        #expect(
            error.message
                == "event thing needs a hook that is not optional, or `hook agent` and no other, "
                + "an about line, and at most 64 fields")
    }

    @Test(arguments: [
        ("one | 2 | 2 | 3 | syscalls | - | Again.", "an event named 'one' stands already at a.events:1"),
        ("two | 2 | 2 | 1 | syscalls | - | Another.", "one has the id 1 already"),
    ])
    func duplicatesAreReportedWhereTheyStand(_ row: String, _ message: String) throws {
        let text = "one | 1 | 1 | 1 | syscalls | - | First.\n\(row)\n"
        let more = "\nthree | 3 | 3 | 5 | syscalls | - | Third.\n"
        let error = try #require(throws: CatalogError.self) {
            try CatalogParser.parse([("a.events", text[...]), ("b.events", more[...])])
        }
        #expect(error.message == message)
        #expect(error.file == "a.events")
        #expect(error.line == 2)
    }

    @Test func rowsMeanWhatTheySay() throws {
        let text = """
            # A comment | with | bars.
              second (no-return) | - | 7 | 20 | - | - | Second.
            \tfirst|4|5|10|syscalls, fs|\
            a:int32{opt},b:string,c:string{out,len=ret},d:pointer{inout,len=*a,opt},\
            e:timespec{out-interrupted,opt},f:pointer{opaque}|First.
            """
        let events = try CatalogParser.parse([("a.events", text[...])])
        try #require(events.map(\.name) == ["first", "second"])
        let (first, second) = (events[0], events[1])
        #expect(events.map(\.index) == [0, 1])
        #expect(second.source == .systemCall(number: nil, compatNumber: 7, trait: .noReturn))
        #expect(second.sets == [])
        #expect(second.fields.map(\.name) == ["returnValue"])
        #expect(first.source == .systemCall(number: 4, compatNumber: 5, trait: nil))
        #expect(first.sets == ["syscalls", "fs"])
        #expect(first.about == "First.")
        #expect(first.fields.map(\.name) == ["a", "b", "c", "d", "e", "f", "returnValue"])
        #expect(
            first.fields.map(\.type)
                == [.int32, .string, .string, .pointer, .timespec, .pointer, .int64])
        #expect(
            first.fields.map(\.direction)
                == [nil, .in, .out, .inout, .outInterrupted, .opaque, nil])
        #expect(
            first.fields.map(\.length) == [nil, nil, .returnValue, .pointedBy(0), nil, nil, nil])
        #expect(
            first.fields.map(\.provenance) == [
                [.kernel, .optional], [.user, .raceable], .user, [.kernel, .optional],
                [.user, .optional], .kernel, .kernel,
            ])
        #expect(
            first.fields.map(\.targetProvenance)
                == [nil, nil, nil, [.user, .raceable, .optional], nil, nil, nil])
    }

    @Test func rowsSayHowMuchRoomThereIs() throws {
        let row = """
            one | 1 | 1 | 1 | - | a: string{out,len=ret,room=d}, b: string{out,len=ret,whole=d}, \
            c: pointer{out,room=ret}, d: uint64 | A call.
            """
        let fields = try #require(try CatalogParser.parse([("rows", row[...])]).first).fields
        #expect(fields.map(\.room?.argument) == [3, 3, nil, nil, nil])
        #expect(fields.map(\.room?.isAllOrNothing) == [false, true, false, nil, nil])
    }

    @Test func rowsSayWhatIsReturned() throws {
        let rows = """
            one | 1 | 1 | 1 | syscalls | a: string{out,len=ret}, b: int32<fd> = fd | A call.
            two | 2 | 2 | 2 | syscalls | - = fd | Another.
            three | 3 | 3 | 3 | syscalls | a: int32 | A third.
            """
        let events = try CatalogParser.parse([("rows", rows[...])])
        #expect(events.map(\.result) == ["fd", "fd", nil])
        #expect(events.map(\.fields.count) == [3, 1, 2])
        #expect(events[0].fields[0].length == .returnValue)
    }

    @Test func numbersHaveTables() throws {
        let row =
            "call | 1 | 1 | 1 | syscalls | a: int32<flags>, b:uint32<b_2>{opt},c: uint16<a>,d: pointer{in,opt},"
            + " e: int64<x9>, f: uint64 | A call."
        let entry =
            "event thing 9\nhook agent\nabout A.\nfield a: uint64<flags> K OPT | a\nfield b: bool K | b"
        let events = try CatalogParser.parse([("rows", row[...]), ("entries", entry[...])])
        try #require(events.map(\.name) == ["thing", "call"])
        #expect(events[0].fields.map(\.symbols) == ["flags", nil])
        #expect(events[0].fields.map(\.type) == [.uint64, .bool])
        #expect(events[0].fields.map(\.isOptional) == [true, false])
        #expect(events[1].fields.map(\.symbols) == ["flags", "b_2", "a", nil, "x9", nil, "errno"])
        #expect(
            events[1].fields.map(\.type) == [.int32, .uint32, .uint16, .pointer, .int64, .uint64, .int64])
        #expect(events[1].fields.map(\.isOptional) == [false, true, false, true, false, false, false])
    }

    @Test func entriesMeanWhatTheySay() throws {
        let text = """
            event thing 900 proc, default
            hook tp_btf:first
            hook entry:second(file, int) optional
            about A thing happened.
            # A comment.
            field a: string U TOCTOU OPT | the first
            field b: time K | the | second
            """
        let row = "call | 1 | 1 | 1 | syscalls | - | A call."
        let events = try CatalogParser.parse([("rows", row[...]), ("entries", text[...])])
        try #require(events.map(\.name) == ["thing", "call"])
        let thing = events[0]
        #expect(thing.id.rawValue == 900)
        #expect(thing.sets == ["proc", "default"])
        #expect(
            HookTests.lines(thing)
                == ["tp_btf:first() by thing", "entry:second(struct file *, a number) by thing optional"])
        #expect(thing.about == "A thing happened.")
        #expect(thing.fields.map(\.type) == [.string, .time])
        #expect(thing.fields.map(\.provenance) == [[.user, .raceable, .optional], .kernel])
        #expect(thing.fields.map(\.isOptional) == [true, false])
        #expect(thing.fields.map(\.about) == ["the first", "the | second"])
        #expect(thing.fields[0].provenance.tags == ["U", "TOCTOU", "OPT"])
    }
}
