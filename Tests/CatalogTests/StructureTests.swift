import Catalog
import Testing

/// Structures that pointers of system calls lead to. Whether they are those of the kernel,
/// `Scripts/check-structures` asks the compiler.
@Suite struct StructureTests {
    struct Bad: CustomTestStringConvertible, Sendable {
        let text: String
        /// Counted from 1 in `text`.
        var line = 1
        let message: String
        var testDescription: String { text.replacing("\n", with: " / ") }
    }

    // MARK: Mistakes

    private static func structure(_ text: String) -> Bad {
        Bad(
            text: text,
            message:
                "a structure is 'struct NAME BYTES' with at most 4096 bytes, or 'struct NAME BYTES any'")
    }

    private static func member(_ text: String, _ message: String) -> Bad {
        Bad(text: "struct a 8 any = struct a linux/a.h\n\(text)", line: 2, message: message)
    }

    private static func type(_ type: String) -> Bad {
        member(
            "member x: \(type) 0",
            "'\(type)' is no type of a member; there are int, uint, hex, octal and device with 8, 16, 32 or 64, "
                + "textBYTES, address, signals, wait-status, set, pointer, string and sockaddr")
    }

    private static func arguments(_ text: String, _ message: String) -> Bad {
        Bad(text: "call | 1 | 2 | 3 | syscalls | \(text) | About.", message: message)
    }

    /// What is found when all structures are known.
    private static func resolved(_ type: String, _ message: String) -> Bad {
        Bad(
            text: "struct a 24\nmember small: uint8 0\nmember long: uint64 8\nmember p: \(type) 16", line: 1,
            message: message)
    }

    private static let descriptors =
        "descriptors are int32 or int64, and a structure has at most 4"
    private static let form = "a member is 'member NAME: TYPE OFFSET'"
    private static let condition =
        "behind the offset stands nothing, or 'if MEMBER FLAG|FLAG', or 'if no MEMBER'"
    private static let inside = form + ", and all of it lies in the 8 bytes of a"
    private static let noTable = "is no name of a table: a small letter, then those, digits and _"
    private static let tooMany = (0...64).map { "member m\($0): uint8 0" }.joined(separator: "\n")

    static let mistakes = [
        structure("struct a"), structure("struct a x"), structure("struct a 0"), structure("struct a -1"),
        structure("struct a 4097"), structure("struct a 99999999999999999999"), structure("struct a 8 all"),
        structure("struct a 8 any any"), structure("struct a = int"), structure("struct a 8 int linux/a.h"),
        Bad(
            text: "struct a 4\nmember -: int32 0\nstruct a 4", line: 3,
            message: "a structure named 'a' stands already somewhere else"),
        Bad(text: "member x: int32 0", message: "'member' needs a struct line above it"),
        Bad(
            text: "struct a 4\nevent thing 9\nhook tp_btf:b\nmember x: int32 0", line: 4,
            message: "'member' needs a struct line above it"),

        member("member x", form), member("member x:", form), member("member x: int32", form),
        member("member x int32 0", form), member("member x: int32 0 0", form),
        member("member x: int32 = 0", form), member("member x: int32<open flags> 0", form),
        type("int"), type("int33"), type("int0"), type("int-8"), type("i8nt"), type("long"), type("text"),
        type("text0"), type("text4097"), type("address64"), type("hex128"), type("8"),
        type("uint99999999999999999999"),
        member("member x: int32 x", inside), member("member x: int32 -1", inside),
        member("member x: int32 5", inside), member("member x: uint64 1", inside),
        member("member x: text9 0", inside), member("member x: address 9223372036854775807", inside),
        member("member x: uint64 9223372036854775808", inside),
        member("member x: device64<flags> 0", "'x' names a table, and only numbers have one"),
        member("member x: octal32<mode> 0", "'x' names a table, and only numbers have one"),
        member("member x: int16<fd> 0", descriptors), member("member x: uint32<fd> 0", descriptors),
        Bad(
            text: "struct a 20 any\n"
                + (0...4).map { "member m\($0): int32<fd> \(4 * $0)" }.joined(separator: "\n"),
            line: 6, message: descriptors),
        member("member x: text4<flags> 0", "'x' names a table, and only numbers have one"),
        member("member x: int32<Flags> 0", "'Flags' \(noTable)"),
        member("member x: int32<flags 0", "'int32<flags' lacks a closing '>'"),
        member("member x: int32 0\nmember x: int32 4", "a has a member 'x' already").at(3),
        member("member x?: int32 0\nmember x: int32 4", "a has a member 'x' already").at(3),
        member("member -: int32 0\nmember x: int32 4", "'-' is all of a, so it has no other member").at(3),
        member("member x: int32 0\nmember -: int32 4", "'-' is all of a, so it has no other member").at(3),
        member(tooMany, "a has more than 64 members").at(66),
        member("member x: int32 0 if", condition), member("member x: int32 0 if y", condition),
        member("member x: int32 0 if no y z", condition),
        member("member x: int32 0 if no y", "'y' is no number above 'x' that says whether it is shown"),
        member("member x: int32 0 if x A", "'x' is no number above 'x' that says whether it is shown"),
        member(
            "member x: int32 0\nmember y: int32 4 if x A",
            "'x' is no number above 'y' that says whether it is shown"
        ).at(3),

        member("member x: int32{len=4} 0", "only pointers have options, and numbers 'room' or 'left'"),
        member("member x: uint64{room} 0", "'room' is for numbers of 32 bits"),
        member("member x: pointer{left} 0", "'left' is for numbers of 32 bits"),
        member(
            "member x: pointer{all} 0", "'all' is no option of a member; there are len=, count= and filled"),
        member("member x: pointer{len=4 0", "'pointer{len=4' lacks a closing '}'"),
        member(
            "member x: string{len} 0", "'len' is no option of a member; there are len=, count= and filled"),
        member("member x: pointer 1", inside), member("member x: pointer{len=4", form),
        resolved("pointer{len=b}", "'p' of a names 'b', which is no number there that can say it"),
        resolved("pointer{len=small}", "'p' of a names 'small', which is no number there that can say it"),
        resolved("pointer{filled=long}", "'p' of a names 'long', which is no number there that can say it"),
        resolved("pointer<b>", "there is no structure 'b'; write 'struct b BYTES' and its members"),
        resolved("pointer<a>", "a has pointers, and is itself behind 2 of them"),
        resolved(
            "pointer 0\nmember q: pointer 0\nmember r: pointer 0\nmember s: string 0\nmember t: sockaddr",
            "a has more than 4 pointers"),

        arguments("a: pointer<b>{in,bits=*b}, b: int32", "bits= names an argument"),
        arguments("a: pointer<b>{in}", "there is no structure 'b'; write 'struct b BYTES' and its members"),
        arguments("a: pointer<B>{in}", "'B' \(noTable)"), arguments("a: pointer<>{in}", "'' \(noTable)"),
        arguments("a: pointer<b{in}", "'pointer<b' lacks a closing '>'"),
        arguments(
            "a: pointer<b>",
            "'a: pointer<b>' must say what is behind the pointer: in, out, inout or opaque"),
        arguments(
            "a: pointer{in,count=b}, b: int32",
            "'a: pointer{in,count=b}' counts structures, and names none: pointer<NAME>"),
        arguments(
            "a: string{in,count=b}, b: int32",
            "'a: string{in,count=b}' counts structures, and names none: pointer<NAME>"),
        arguments(
            "a: int32<b>{count=b}, b: int32",
            "'a: int32<b>{count=b}' counts structures, and names none: pointer<NAME>"),
        arguments(
            "a: pointer<b>{in,count=c}, b: int32", "len= names 'c', which is no argument of this call"),
        Bad(
            text: "event thing 9\nhook tp_btf:b\nfield a: pointer<b> K | a", line: 3,
            message: "only arguments point at structures"),
    ]

    @Test(arguments: mistakes) func mistakesHaveAPlaceAndASentence(_ bad: Bad) throws {
        let good = "struct good 4\nmember -: int32 0\n"
        let text = "fine | 9 | - | 8 | syscalls | - | Fine.\n\n" + bad.text
        let files =
            bad.text.hasPrefix("member")
            ? [("bad.events", text)] : [("good.events", good), ("bad.events", text)]
        let error = try #require(throws: CatalogError.self) {
            try CatalogParser.parse(files.map { ($0.0, $0.1[...]) })
        }
        #expect(error.description == "bad.events:\(bad.line + 2): error: \(bad.message)")
    }

    // MARK: What is right

    @Test func structuresMeanWhatTheySay() throws {
        let call = """
            call | 1 | 1 | 1 | - | a: pointer<pair>{in,opt},b:pointer<one>{out,count=ret},\
            c: pointer<pair>{inout,len=d},d: uint64<flags>,e: pointer<one>{in,count=*d},f:pointer{out}|A call.
            """
        let structures = """
            struct pair 24 any = struct pair[2] linux/pair.h
            # A comment.
            member it.first[0]:  int16<flags_1> 2 = first unsigned
              member second?: text8 4

            member third!: wait-status 12 =
            member fourth?!: signals 16
            struct one 8 = none
            member -: address 0
            """
        // It does not matter which comes first.
        for files in [[call, structures], [structures, call]] {
            let events = try CatalogParser.parse(files.map { ("a.events", $0[...]) })
            try #require(events.map(\.name) == ["call"])
            let fields = events[0].fields
            #expect(fields.map(\.structure?.name) == ["pair", "one", "pair", nil, "one", nil, nil])
            #expect(fields.map(\.isArray) == [false, true, false, false, true, false, false])
            #expect(fields.map(\.symbols) == [nil, nil, nil, "flags", nil, nil, "errno"])
            #expect(
                fields.map(\.length) == [nil, .returnValue, .argument(3), nil, .pointedBy(3), nil, nil])
            let pair = try #require(fields[0].structure)
            #expect(pair.size == 24)
            #expect(pair.isSameForAll)
            #expect(pair.members.map(\.name) == ["it.first[0]", "second", "third", "fourth"])
            #expect(pair.members.map(\.type) == [.signed(bytes: 2), .text(bytes: 8), .waitStatus, .signals])
            #expect(pair.members.map(\.symbols) == ["flags_1", nil, nil, nil])
            #expect(pair.members.map(\.offset) == [2, 4, 12, 16])
            #expect(pair.members.map(\.isShownIfSet) == [false, true, false, true])
            #expect(pair.members.map(\.isOfSuccess) == [false, false, true, true])
            let one = try #require(fields[1].structure)
            #expect(one.size == 8)
            #expect(!one.isSameForAll)
            #expect(one.members.map(\.name) == [""])
            #expect(one.members.map(\.type) == [.address])
        }
    }

    @Test(arguments: [
        ("int8", MemberType.signed(bytes: 1), 1), ("int64", .signed(bytes: 8), 8),
        ("uint16", .unsigned(bytes: 2), 2), ("hex32", .hexadecimal(bytes: 4), 4),
        ("octal16", .octal(bytes: 2), 2), ("device64", .device(bytes: 8), 8), ("address", .address, 8),
        ("text65", .text(bytes: 65), 65), ("text4096", .text(bytes: 4096), 4096), ("signals", .signals, 8),
        ("wait-status", .waitStatus, 4),
    ])
    func typesOfMembers(_ spelling: String, _ type: MemberType, _ size: Int) throws {
        let text =
            "struct a \(size)\nmember x: \(spelling) 0\ncall | 1 | 1 | 1 | - | a: pointer<a>{in} | A call."
        let events = try CatalogParser.parse([("a.events", text[...])])
        let member = try #require(events.first?.fields.first?.structure?.members.first)
        #expect(member.type == type)
        #expect(member.type.size == size)
    }

    // MARK: The catalogue

    /// Those that some argument points at, each once.
    private static let structures =
        (Catalog.builtIn.events.flatMap(\.fields) + FormsTests.arguments.map(\.field)).compactMap(\.structure)
        .reduce(into: [String: StructureDefinition]()) { $0[$1.name] = $1 }

    @Test func whatIsThereIsUsedAndWhatIsUsedIsThere() throws {
        var written: [String] = []
        var named: Set<String> = []
        for file in try PackageFile.all() where file.path.hasSuffix(".events") {
            for line in file.code.split(separator: "\n") where !line.hasPrefix("#") {
                if let found = line.firstMatch(of: #/^struct (\w+)/#) { written.append(String(found.1)) }
                // By arguments, by those of forms, and by members of other structures.
                for found in line.matches(of: #/pointer<(\w+)>/#) { named.insert(String(found.1)) }
            }
        }
        #expect(written.count > 30)
        #expect(Set(written).count == written.count)
        #expect(named.subtracting(written).isEmpty)
        #expect(Set(written).subtracting(named).isEmpty)
        #expect(Set(Self.structures.keys).isSubset(of: named))
    }

    @Test func onlyPointersOfCallsLeadToStructures() {
        let fields = Catalog.builtIn.events.flatMap { event in
            event.fields.map { (place: "\(event.name).\($0.name)", field: $0) }
        }
        for (place, field) in fields + FormsTests.arguments {
            if field.isArray { #expect(field.structure != nil && field.length != nil, "\(place)") }
            guard field.structure != nil else { continue }
            #expect(field.type == .pointer, "\(place)")
            #expect(field.direction != .opaque, "\(place) is read through, so it is not opaque")
            #expect(field.symbols == nil, "\(place)")
        }
    }

    @Test func membersLieInsideAndApart() {
        for structure in Self.structures.values {
            #expect(!structure.members.isEmpty, "\(structure.name)")
            var taken = [String?](repeating: nil, count: structure.size)
            for member in structure.members {
                let range = member.offset..<member.offset + member.type.size
                guard member.offset >= 0, range.upperBound <= structure.size else {
                    Issue.record("\(structure.name).\(member.name) lies outside")
                    continue
                }
                for place in range {
                    let other = taken[place] ?? member.name
                    #expect(other == member.name, "\(structure.name).\(member.name) overlaps \(other)")
                    taken[place] = member.name
                }
            }
        }
    }

    /// They are keys of JSON as they are.
    @Test func namesOfMembersNeedNoEscapes() {
        for structure in Self.structures.values {
            let names = structure.members.map(\.name)
            #expect(Set(names).count == names.count, "\(structure.name)")
            if names == [""] { continue }
            for name in names {
                let isPlain = name.wholeMatch(of: #/[a-z]\w*(\[\d+\]|\.\w+)*/#) != nil
                #expect(isPlain, "\(structure.name).\(name)")
            }
        }
    }

    @Test(arguments: [
        ("newfstatat.statbuf", "stat", 144), ("epoll_wait.events", "epoll_event", 12),
        ("poll.fds", "pollfd", 8), ("wait4.wstatus", "wait_status", 4), ("wait4.rusage", "rusage", 144),
        ("rt_sigprocmask.set", "sigset", 8), ("uname.buf", "utsname", 390), ("readv.iov", "iovec", 16),
        ("perf_event_open.attr", "perf_event_attr", 128),
        ("clone3.cl_args", "clone_args", 88), ("setitimer.new_value", "itimerval", 32),
    ])
    func anArgumentLeadsToIts(_ place: String, _ name: String, _ size: Int) {
        let parts = place.split(separator: ".")
        let field = Catalog.builtIn[String(parts[0])]?.fields.first { $0.name == parts[1] }
        #expect(field?.structure?.name == name)
        #expect(field?.structure?.size == size)
    }
}

extension StructureTests.Bad {
    fileprivate func at(_ line: Int) -> Self { Self(text: text, line: line, message: message) }
}
