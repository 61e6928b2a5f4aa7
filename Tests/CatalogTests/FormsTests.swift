import Catalog
import Symbols
import Testing

/// Forms of calls whose arguments depend on one of them.
@Suite struct FormsTests {
    /// Those of the catalogue, and those within their cases.
    static let all: [(call: String, forms: CallForms)] = Catalog.builtIn.events.flatMap { event in
        guard let forms = event.forms else { return [(call: String, forms: CallForms)]() }
        return [(event.name, forms)] + forms.cases.compactMap { $0.further.map { (event.name, $0) } }
    }

    /// Arguments as they are in forms.
    static let arguments = all.flatMap { call, forms in
        forms.cases.flatMap { one in
            one.arguments.map { (place: "\(call) \(one.names).\($0.field.name)", field: $0.field) }
        }
    }

    // MARK: Mistakes

    struct Bad: CustomTestStringConvertible, Sendable {
        let text: String
        /// Counted from 1 in `text`.
        let line: Int
        let message: String
        var testDescription: String { text.replacing("\n", with: " / ") }
    }

    private static func form(_ text: String, _ message: String) -> Bad {
        Bad(text: "form \(text)\ncase A : fd", line: 1, message: message)
    }

    private static func one(_ text: String, _ message: String, line: Int = 2) -> Bad {
        Bad(text: "form call by cmd<t>\n\(text)", line: line, message: message)
    }

    private static let head = "a form is 'form CALL... by ARGUMENT<TABLE>', and '& MASK' behind it"
    private static let shape = "a case is 'NAME... : ARGUMENT, ARGUMENT...'"
    private static let inner = "what decides further is 'by ARGUMENT<TABLE>', and '& MASK' behind it"
    private static let noTable = "is no name of a table: a small letter, then those, digits and _"
    private static let noConstant = "is neither the name of a constant nor a number of 32 bits"

    static let mistakes = [
        form("call", head), form("call cmd<t>", head), form("by cmd<t>", head), form("call by", head),
        form("call by cmd<t> &", head), form("call by cmd<t> & 1 2", head), form("call by cmd<t> | 1", head),
        form("call by cmd", "'cmd' must say whose names the cases have: cmd<TABLE>"),
        form("call by cmd<t", "'cmd<t' lacks a closing '>'"), form("call by cmd<T>", "'T' \(noTable)"),
        form("call by cmd<t> & 0", "'0' is no mask of 32 bits"),
        form("call by cmd<t> & x", "'x' is no mask of 32 bits"),
        form("call by cmd<t> & 0x100000000", "'0x100000000' is no mask of 32 bits"),
        form("call nothing by cmd<t>", "there is no system call 'nothing'"),
        form("thing by cmd<t>", "there is no system call 'thing'"),
        form("call call by cmd<t>", "'call' has forms already"),
        form("call by command<t>", "'command' is no argument of call"),
        form("call by returnValue<t>", "'returnValue' is no argument of call"),
        form("call by name<t>", "'name' of call is no number, so it cannot decide"),
        form("call by buf<t>", "'buf' of call is no number, so it cannot decide"),
        Bad(text: "form call by cmd<t>", line: 1, message: "there is no case of call by 'cmd'"),
        Bad(text: "case A : fd", line: 1, message: "'case' needs a form line above it"),
        Bad(
            text: "form call by cmd<t>\ncase A : fd\nother | 2 | 2 | 4 | syscalls | - | Other.\ncase B : fd",
            line: 4,
            message: "'case' needs a form line above it"),
        Bad(
            text: "event other 9\nhook tp_btf:b\ncase A : fd", line: 3,
            message: "'case' needs a form line above it"),
        Bad(text: "when A : fd", line: 1, message: "'when' needs a case line above it"),
        one("when A : fd", "'when' needs a case line above it"),

        one("case A", shape), one("case A :", shape), one("case : fd", shape), one("case A fd", shape),
        one("case by cmd<t> : fd", "a case has 1 to 256 names"),
        one("case \(String(repeating: "A ", count: 257)): fd", "a case has 1 to 256 names"),
        one("case A * : fd", "'*' \(noConstant)"), one("case A-B : fd", "'A-B' \(noConstant)"),
        one("case 0x100000000 : fd", "'0x100000000' \(noConstant)"),
        one("case 1A : fd", "'1A' \(noConstant)"),
        one("case A A : fd", "'A' has a case already"),
        one("case A : fd\ncase B A : fd", "'A' has a case already", line: 3),
        one("case * : fd\ncase * : fd", "'*' has a case already", line: 3),
        one("case A : fd, x", "'x' is no argument of call"),
        one("case A : returnValue", "'returnValue' is no argument of call"),
        one("case A : fd,", "'' is no argument of call"),
        one("case A : cmd, fd", "call has 'fd' not behind 'cmd'"),
        one("case A : fd, fd", "call has 'fd' not behind 'fd'"),
        one("case A : fd:", "'' is no type; there are \(types)"),
        one("case A : arg: int33", "'int33' is no type; there are \(types)"),
        one("case A : arg: string<t>", "'string<t>' names a table, and only integers have one"),
        one(
            "case A : arg: pointer<s>",
            "'arg: pointer<s>' must say what is behind the pointer: in, out, inout or opaque"
        ),
        one("case A : arg: pointer<s>{in", "'pointer<s>{in' lacks a closing '}'"),
        one("case A : arg: pointer<s>{in,len=x}", "len= names 'x', which is no argument of this call"),
        one(
            "case A : arg: pointer<nothing>{in}",
            "there is no structure 'nothing'; write 'struct nothing BYTES' and its members"),
        one("case A : fd =", "'' \(noTable)"), one("case A : fd = T", "'T' \(noTable)"),
        one("case A : fd = a b", "'a b' \(noTable)"),

        one("case A by : fd", inner), one("case A by fd<t> & : fd", inner),
        one("case A by fd : fd", "'fd' must say whose names the cases have: fd<TABLE>"),
        one("case A by fd<t> : fd", "there is no case of call by 'fd'"),
        one("case A by x<t> : fd\nwhen B : fd", "'x' is no argument of call"),
        one("case A by fd<t> : fd\nwhen B : x", "'x' is no argument of call", line: 3),
        one("case A by fd<t> : fd\nwhen B : fd\nwhen B : fd", "'B' has a case already", line: 4),
        one(
            "case A : fd\nwhen B : fd",
            "the case above does not say what decides further: by ARGUMENT<TABLE>", line: 3),
        one(
            (0...512).map { "case A\($0) : fd" }.joined(separator: "\n"), "a form has at most 512 cases",
            line: 514),
        one(
            "case A by fd<t> : fd\n" + (0...128).map { "when A\($0) : fd" }.joined(separator: "\n"),
            "a case has at most 128 lines 'when'", line: 131),
    ]

    private static let types =
        "int32, uint32, int64, uint64, uint16, bool, pointer, string, string[], bytes, uint64[], "
        + "credentials, sockaddr, int32[2], timespec, time"

    private static let call = """
        call | 1 | 2 | 3 | syscalls | fd: int32, cmd: int32<t>, arg: uint64, name: string, buf: pointer<s>{out} | Call.
        struct s 4
        member -: int32 0
        event thing 8
        hook agent
        about A thing.
        field cmd: int32 K | a command

        """

    @Test(arguments: mistakes) func mistakesHaveAPlaceAndASentence(_ bad: Bad) throws {
        let error = try #require(throws: CatalogError.self) {
            try CatalogParser.parse([("bad.events", bad.text[...]), ("good.events", Self.call[...])])
        }
        #expect(error.description == "bad.events:\(bad.line): error: \(bad.message)")
    }

    // MARK: What is right

    @Test func formsMeanWhatTheySay() throws {
        let text = """
            form call by cmd<commands> & 0x7f
            # A comment.
            case A 0x10 B_2 : fd, cmd, arg: pointer<s>{inout,opt} = bits
            case 17:fd,arg:int32<flags>,name
            case C by fd<places> & 3 : fd, arg: string, buf: pointer<s>{in,count=fd}
            when X : fd
            when * : fd, arg
            case * : buf
            """
        let events = try CatalogParser.parse([("forms.events", text[...]), ("call.events", Self.call[...])])
        try #require(events.map(\.name) == ["thing", "call"])
        #expect(events[0].forms == nil)
        let forms = try #require(events[1].forms)
        #expect((forms.selector, forms.table, forms.mask) == (1, "commands", 0x7f))
        #expect(forms.cases.map(\.names) == [["A", "0x10", "B_2"], ["17"], ["C"], []])
        #expect(forms.cases.map(\.result) == ["bits", nil, nil, nil])
        #expect(forms.cases.map { $0.arguments.map(\.index) } == [[0, 1, 2], [0, 2, 3], [0, 2, 4], [4]])
        #expect(forms.cases.map { $0.further != nil } == [false, false, true, false])

        let pointer = forms.cases[0].arguments[2].field
        #expect((pointer.name, pointer.type, pointer.direction) == ("arg", .pointer, .inout))
        #expect(pointer.structure?.name == "s")
        #expect(pointer.isOptional)
        let number = forms.cases[1].arguments[1].field
        #expect((number.name, number.type, number.symbols) == ("arg", .int32, "flags"))
        // As in the row, with what it leads to.
        #expect(forms.cases[0].arguments[1].field.symbols == "t")
        #expect(forms.cases[3].arguments[0].field.structure?.name == "s")
        #expect(forms.cases[3].arguments[0].field.direction == .out)
        let counted = forms.cases[2].arguments[2].field
        #expect(counted.isArray)
        #expect(counted.length == .argument(0))
        #expect(forms.cases[2].arguments[1].field.direction == .in)

        let further = try #require(forms.cases[2].further)
        #expect((further.selector, further.table, further.mask) == (0, "places", 3))
        #expect(further.cases.map(\.names) == [["X"], []])
        #expect(further.cases.map { $0.arguments.map(\.index) } == [[0], [0, 2]])
        // The row itself is as it was.
        #expect(events[1].fields.map(\.type) == [.int32, .int32, .uint64, .string, .pointer, .int64])
    }

    @Test func severalCallsShareAForm() throws {
        let other = "other | 4 | 5 | 6 | - | a: string, cmd: uint32, fd: int32 | Other.\n"
        let form = "form call other by cmd<t>\ncase A : cmd, fd"
        // It has the arguments in another order.
        let error = try #require(throws: CatalogError.self) {
            try CatalogParser.parse([("f", form[...]), ("c", (other + Self.call)[...])])
        }
        #expect(error.description == "f:2: error: call has 'fd' not behind 'cmd'")
        let right = form.replacing("cmd, fd", with: "fd")
        let events = try CatalogParser.parse([("f", right[...]), ("c", (other + Self.call)[...])])
        let forms = events.compactMap(\.forms)
        #expect(forms.map(\.selector) == [1, 1])
        #expect(forms.map { $0.cases.map { $0.arguments.map(\.index) } } == [[[0]], [[2]]])
    }

    @Test(arguments: [
        ("0", UInt32(0)), ("21505", 21505), ("0x5401", 0x5401), ("0xffffffff", .max), ("4294967295", .max),
        ("4294967296", nil), ("0x", nil), ("0x1g", nil), ("F_GETFD", nil), ("-1", nil), ("", nil),
    ])
    func numbersOfCases(_ text: String, _ number: UInt32?) { #expect(CallForms.number(text) == number) }

    // MARK: The catalogue's

    /// Each name is in the table of its form, and no two have one value.
    @Test func namesOfCasesAreInTheirTables() throws {
        #expect(Self.all.count > 8)
        for (call, forms) in Self.all {
            // Where all cases are numbers there is none.
            let table = SymbolTable.named(forms.table)
            #expect(table != nil || forms.table == "hex", "\(call) names \(forms.table)")
            var names: [UInt32: String] = [:]
            for name in forms.cases.flatMap(\.names) {
                let value =
                    CallForms.number(name)
                    ?? table?.value(ofName: name).map { UInt32(truncatingIfNeeded: $0) }
                let number = try #require(value, "\(call): \(name) is not in \(forms.table)")
                #expect(number & ~forms.mask == 0, "\(call): \(name) is never compared whole")
                #expect(names[number] == nil, "\(call): \(name) is \(names[number] ?? "")")
                names[number] = name
            }
        }
    }

    /// What is read is decided by the case, so what is said below it must not need more.
    @Test func whatIsShownFurtherIsRead() {
        for (call, forms) in Self.all {
            for one in forms.cases {
                let read = Dictionary(uniqueKeysWithValues: one.arguments.map { ($0.index, $0.field) })
                for (index, field) in one.further?.cases.flatMap(\.arguments) ?? [] {
                    guard field.type == .pointer || field.type == .string else { continue }
                    let outer = read[index]
                    let place: Comment = "\(call) \(one.names): \(field.name)"
                    #expect(outer?.type == field.type, place)
                    #expect(outer?.direction == field.direction, place)
                    #expect(outer?.length == field.length, place)
                    #expect((field.structure?.size ?? 0) <= (outer?.structure?.size ?? 0), place)
                }
            }
        }
    }

    /// A number that is shown as what the call's row has there would be shown wrong by those who know the row alone.
    @Test(arguments: [
        ("fcntl", "F_SETLK", "arg", "flock"), ("fcntl64", "F_OFD_GETLK", "arg", "flock_found"),
        ("fcntl", "F_SETOWN_EX", "arg", "f_owner_ex"), ("prctl", "PR_GET_PDEATHSIG", "arg2", "signal_number"),
    ])
    func structuresOfForms(_ call: String, _ name: String, _ argument: String, _ structure: String) throws {
        let forms = try #require(Catalog.builtIn[call]?.forms)
        let one = try #require(forms.cases.first { $0.names.contains(name) })
        #expect(one.arguments.first { $0.field.name == argument }?.field.structure?.name == structure)
    }
}
