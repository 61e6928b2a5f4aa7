import CContract
import Catalog
import Events
import Foundation
import TestSupport
import Testing

@testable import Outputs

/// What the pointers of system calls lead to, in words and as JSON.
@Suite struct StructureTests {
    /// Those of the catalogue, in an order that does not change.
    private static let all = Catalog.builtIn.events.flatMap { event in
        let forms = event.forms?.cases.flatMap { [$0] + ($0.further?.cases ?? []) } ?? []
        return (event.fields + forms.flatMap { $0.arguments.map(\.field) }).compactMap(\.structure)
    }
    .reduce(into: [String: StructureDefinition]()) { $0[$1.name] = $1 }.values
    .sorted { $0.name < $1.name }

    private static func named(_ name: String) throws -> StructureDefinition {
        try #require(all.first { $0.name == name }, "no argument leads to \(name)")
    }

    /// What is written of bytes that a record has, with as much room behind it as encoders ask for.
    private static func shown(
        _ bytes: [UInt8], as layout: StructureLayout, isArray: Bool = false, isTruncated: Bool = false,
        _ style: StructureStyle
    ) -> [UInt8] {
        var record = sampleRecord(.sched_process_exit, systemCall: 0)
        record.values = [1]
        record.blobs = [
            .init(field: 0, bytes: bytes, flags: isTruncated ? UInt8(APUS_BLOB_TRUNCATED) : 0)
        ]
        let built = record.build()
        guard let event = unsafe EventView(built.span.bytes), let blob = event.blob(0) else { return [] }
        var buffer = ByteBuffer(capacity: 16)
        buffer.append(blob, of: event, as: layout, isArray: isArray, style, after: 512 + 8 * built.count)
        return unsafe buffer.withBytes { unsafe Array($0) }
    }

    private static func shown(
        _ bytes: [UInt8], as name: String, isArray: Bool = false, isTruncated: Bool = false,
        _ style: StructureStyle = .words
    ) throws -> String {
        let layout = StructureLayout(try named(name))
        return text(shown(bytes, as: layout, isArray: isArray, isTruncated: isTruncated, style))
    }

    /// Little-endian bytes of numbers.
    private static func bytes<T: FixedWidthInteger>(_ numbers: T...) -> [UInt8] {
        numbers.flatMap { number in (0..<T.bitWidth / 8).map { UInt8(truncatingIfNeeded: number >> (8 * $0)) }
        }
    }

    // MARK: Any bytes

    /// Lengths around those of one and several structures, and more than are printed.
    private static func lengths(_ size: Int, _ random: inout SplitMix64) -> [Int] {
        let few = [0, 1, size - 1, size, size + 1, 2 * size - 1, 2 * size, 3 * size]
        let many = [64 * size, 64 * size + size / 2, 65 * size].filter { $0 <= 4096 }
        return few + many + (0..<8).map { _ in random.below(2 * size + 2) }
    }

    /// Random bytes are never small numbers; zeros and ones among them make some.
    private static func anyBytes(_ count: Int, _ random: inout SplitMix64) -> [UInt8] {
        switch random.below(6) {
        case 0: return [UInt8](repeating: 0, count: count)
        case 1: return [UInt8](repeating: 0xff, count: count)
        case 2, 3: return (0..<count).map { _ in random.below(4) == 0 ? UInt8(random.below(256)) : 0 }
        default: return random.bytes(count)
        }
    }

    private static func forAnyBytes(
        seed: UInt64,
        _ body: (StructureDefinition, StructureLayout, _ bytes: [UInt8], _ isArray: Bool, _ isTruncated: Bool)
            ->
            Void
    ) {
        var random = SplitMix64(seed: seed)
        for definition in all where definition.members.first?.type != .set {
            let layout = StructureLayout(definition)
            for length in lengths(definition.size, &random) {
                for isArray in [false, true] {
                    body(definition, layout, anyBytes(length, &random), isArray, random.below(2) == 0)
                }
            }
        }
    }

    /// As many bits as there are, and no more than the structure or the call's argument has.
    @Test func setsOfAnyBytes() throws {
        var random = SplitMix64(seed: 84)
        let sets = Self.all.filter { $0.members.first?.type == .set }
        #expect(sets.map(\.name).contains("fd_set"))
        for definition in sets {
            let layout = StructureLayout(definition)
            for length in Self.lengths(definition.size, &random) {
                let bytes = Self.anyBytes(length, &random)
                let wanted = (0..<8 * min(length, definition.size)).filter {
                    bytes[$0 / 8] >> ($0 % 8) & 1 == 1
                }
                let words = Self.shown(bytes, as: layout, .words)
                // Nodes are told in words.
                if layout.way != .words {
                    #expect(text(words) == "[\(wanted.map(String.init).joined(separator: " "))]")
                }
                #expect(words.count <= layout.room + 16)
                let json = Self.shown(bytes, as: layout, isArray: true, .json)
                #expect(text(json) == "[\(wanted.map(String.init).joined(separator: ","))]")
            }
        }
    }

    /// Whether what opens outside of texts closes, and nothing else does.
    private static func isBalanced(_ words: [UInt8]) -> Bool {
        var (open, isText, isEscaped): ([UInt8], Bool, Bool) = ([], false, false)
        for byte in words {
            if isText {
                if byte == UInt8(ascii: "\""), !isEscaped { isText = false }
                isEscaped = byte == UInt8(ascii: "\\") && !isEscaped
                continue
            }
            switch byte {
            case UInt8(ascii: "\""): isText = true
            case UInt8(ascii: "("), UInt8(ascii: "["), UInt8(ascii: "{"): open.append(byte)
            case UInt8(ascii: ")"): if open.popLast() != UInt8(ascii: "(") { return false }
            case UInt8(ascii: "]"): if open.popLast() != UInt8(ascii: "[") { return false }
            case UInt8(ascii: "}"): if open.popLast() != UInt8(ascii: "{") { return false }
            default: break
            }
        }
        return open.isEmpty && !isText
    }

    @Test func wordsOfAnyBytes() async {
        await #expect(processExitsWith: .success) {
            StructureTests.forAnyBytes(seed: 81) { definition, layout, bytes, isArray, isTruncated in
                let words = StructureTests.shown(
                    bytes, as: layout, isArray: isArray, isTruncated: isTruncated, .words)
                let place: Comment = "\(definition.name) \(bytes.count) \(isArray): \(text(words))"
                #expect(!words.isEmpty, place)
                #expect(words.allSatisfy { (0x20..<0x7f).contains($0) }, place)
                #expect(StructureTests.isBalanced(words), place)
                let shown = text(words)
                if isArray {
                    #expect(shown.hasPrefix("[") && shown.hasSuffix("]"), place)
                    let isCut = isTruncated || bytes.count / definition.size > 64
                    #expect(shown.hasSuffix("...]") == isCut, place)
                } else {
                    if ![.seccompFilter, .socketFilter, .fileTimes].contains(layout.way), !layout.isValue {
                        #expect(shown.hasPrefix("{") && shown.hasSuffix("}"), place)
                    }
                    if bytes.count <= definition.size { #expect(words.count <= layout.room + 16, place) }
                }
            }
        }
    }

    @Test func jsonOfAnyBytes() async {
        await #expect(processExitsWith: .success) {
            StructureTests.forAnyBytes(seed: 82) { definition, layout, bytes, isArray, isTruncated in
                let json = StructureTests.shown(
                    bytes, as: layout, isArray: isArray, isTruncated: isTruncated, .json)
                let place: Comment = "\(definition.name) \(bytes.count) \(isArray): \(text(json))"
                if !isArray, bytes.count <= definition.size {
                    #expect(json.count <= layout.room + 16, place)
                }
                guard
                    let any = try? JSONSerialization.jsonObject(with: Data(json), options: .fragmentsAllowed)
                else {
                    Issue.record(place)
                    return
                }
                guard isArray else { return StructureTests.compare(any, bytes, 0, definition, place) }
                let elements = any as? [Any] ?? []
                #expect(elements.count == min(64, bytes.count / definition.size), place)
                for (index, element) in elements.enumerated() {
                    StructureTests.compare(element, bytes, index * definition.size, definition, place)
                }
            }
        }
    }

    /// An object has the members that are all there.
    private static func compare(
        _ any: Any, _ bytes: [UInt8], _ start: Int, _ definition: StructureDefinition, _ place: Comment
    ) {
        let end = unsafe StructureLayout(definition).end(in: bytes.span.bytes, from: start)
        // The call has not returned.
        let there = definition.members.filter {
            start + $0.offset + $0.type.size <= end && $0.change != .left
        }
        if definition.members.first?.name == "" {
            // One that may be of another size than its structure is not told.
            let isWhole = definition.members[0].type.size == definition.size
            // Of a text as much is told as there is.
            let isText = if case .text = definition.members[0].type { start == 0 } else { false }
            if isWhole { #expect((any is NSNull) == (there.isEmpty && !isText), place) }
            if isWhole, let member = there.first { compare(any, bytes, start, member, place) }
            return
        }
        let object = any as? [String: Any] ?? ["no object": 0]
        #expect(Set(object.keys) == Set(there.map(\.name)), place)
        for member in there { compare(object[member.name] ?? NSNull(), bytes, start, member, place) }
    }

    /// Only what is plain: the number itself, hexadecimal, texts and how many signals there are.
    private static func compare(
        _ any: Any, _ bytes: [UInt8], _ start: Int, _ member: StructureMember, _ place: Comment
    ) {
        let own = bytes[(start + member.offset)...].prefix(member.type.size)
        let bits = own.reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        let unused = UInt64(64 - 8 * min(8, member.type.size))
        let isNamed = member.symbols.map { SymbolTables.has($0) } ?? false
        switch member.type {
        case .signed where !isNamed, .unsigned where !isNamed:
            let isSigned = if case .signed = member.type { true } else { false }
            let number = isSigned ? "\(Int64(bitPattern: bits << unused) >> Int64(unused))" : "\(bits)"
            if member.type.size == 8 {
                #expect(any as? String == number, place)
            } else {
                #expect((any as? NSNumber)?.stringValue == number, place)
            }
        case .signed, .unsigned: #expect((any as? String)?.isEmpty == false, place)
        case .hexadecimal where !isNamed, .address where !isNamed:
            #expect(any as? String == "0x" + String(bits, radix: 16), place)
        case .hexadecimal, .address: #expect((any as? String)?.isEmpty == false, place)
        case .set: #expect(any is [NSNumber], place)
        // Of these records nothing stands behind a pointer.
        case .pointer: #expect(any as? String == "0x" + String(bits, radix: 16), place)
        case .octal, .device, .waitStatus: #expect(any is NSNumber || any is String, place)
        case .signals:
            let names = any as? [String] ?? [""]
            #expect(Set(names).count == bits.nonzeroBitCount, place)
            #expect(names.count == bits.nonzeroBitCount, place)
            #expect(names.allSatisfy { $0.hasPrefix("SIG") }, place)
        case .text:
            let plain = own.prefix { $0 != 0 }
            let shown = any as? String
            #expect(shown != nil, place)
            if plain.allSatisfy({ $0 < 0x80 }) {
                #expect(shown == String(decoding: plain, as: UTF8.self), place)
            }
        }
    }

    /// No address of the record is told where there are no bytes, and nothing of what lies behind it.
    @Test func theBytesBehindAreNotRead() throws {
        #expect(try Self.shown([], as: "timeval") == "{}")
        #expect(try Self.shown([], as: "timeval", .json) == "{}")
        #expect(try Self.shown(Self.bytes(7) + [1, 2, 3, 4, 5, 6, 7], as: "timeval") == "{tv_sec=7}")
        #expect(try Self.shown([], as: "int", .json) == "null")
        #expect(try Self.shown([1, 2, 3], as: "int", .json) == "null")
        #expect(try Self.shown([1, 2, 3, 4, 5, 6, 7], as: "sigset", .json) == "null")
        #expect(try Self.shown([], as: "epoll_event", isArray: true) == "[]")
        #expect(try Self.shown([], as: "epoll_event", isArray: true, .json) == "[]")
        #expect(try Self.shown([], as: "epoll_event", isArray: true, isTruncated: true) == "[...]")
        #expect(try Self.shown([], as: "epoll_event", isArray: true, isTruncated: true, .json) == "[]")
    }

    // MARK: Known ones

    @Test func times() throws {
        let time = Self.bytes(1_700_000_000, 250_000)
        #expect(try Self.shown(time, as: "timeval") == "{tv_sec=1700000000, tv_usec=250000}")
        #expect(
            try Self.shown(time, as: "timeval", .json) == #"{"tv_sec":"1700000000","tv_usec":"250000"}"#)
        let early = Self.bytes(-1, Int.min)
        #expect(try Self.shown(early, as: "timeval") == "{tv_sec=-1, tv_usec=-9223372036854775808}")
        #expect(
            try Self.shown(early, as: "timeval", .json)
                == #"{"tv_sec":"-1","tv_usec":"-9223372036854775808"}"#)
    }

    /// 144 bytes of `struct stat` (arch/x86/include/uapi/asm/stat.h).
    private static let stat =
        bytes(UInt64(0x801), 131, 2) + bytes(UInt32(0o104755), 1000, 100, 0) + bytes(UInt64(0x10203))
        + bytes(Int64(5), 4096, 8) + bytes(Int64(-2), 7, 1_700_000_000, 250, 1_700_000_001, 0, 0, 0, 0)

    @Test func stat() throws {
        #expect(Self.stat.count == 144)
        let words = try Self.shown(Self.stat, as: "stat")
        #expect(
            words.hasPrefix(
                "{st_dev=makedev(0x8, 0x1), st_ino=131, st_mode=S_IFREG|S_ISUID|0755, st_nlink=2, "))
        for part in [
            "st_uid=1000, st_gid=100", "st_blksize=4096", "st_blocks=8", "st_rdev=makedev(0x102, 0x3)",
            "st_atime=-2", "st_mtime=1700000000", "st_ctime=1700000001", "st_mtime_nsec=250",
        ] {
            #expect(words.contains(part), "\(part) in \(words)")
        }
        // A device has no size.
        #expect(!words.contains("st_size"))
        var file = Self.stat
        for at in 40..<48 { file[at] = 0 }
        #expect(try Self.shown(file, as: "stat").contains("st_blocks=8, st_size=5, st_atime=-2"))
        let json = try JSONSerialization.jsonObject(
            with: Data(Self.shown(Self.stat, as: StructureLayout(Self.named("stat")), .json)))
        let expected: [String: Any] = [
            "st_dev": 0x801, "st_ino": "131", "st_mode": 0o104755, "st_nlink": "2", "st_uid": 1000,
            "st_gid": 100, "st_rdev": 0x10203, "st_size": "5", "st_blksize": "4096", "st_blocks": "8",
            "st_atime": "-2", "st_atime_nsec": "7", "st_mtime": "1700000000", "st_mtime_nsec": "250",
            "st_ctime": "1700000001", "st_ctime_nsec": "0",
        ]
        #expect((json as? NSDictionary) == expected as NSDictionary, "\(json)")
    }

    /// People are shown what the flags ask for, and programs all.
    @Test func membersOnCondition() throws {
        var arguments = Self.bytes(UInt64(0x1000), 7, 8, 9, 17) + [UInt8](repeating: 0, count: 48)
        #expect(
            try Self.shown(arguments, as: "clone_args")
                == "{flags=CLONE_PIDFD, pidfd=0x7, exit_signal=SIGCHLD, stack=NULL, stack_size=0}")
        #expect(try Self.shown(arguments, as: "clone_args", .json).contains(#""parent_tid":"0x9","#))
        arguments[2] = 0x20
        #expect(try Self.shown(arguments, as: "clone_args").contains("pidfd=0x7, child_tid=0x8, exit_signal"))
        let extended = Self.bytes(UInt32(0x20)) + [UInt8](repeating: 0, count: 252)
        let words = try Self.shown(extended, as: "statx")
        #expect(words.contains("stx_atime={tv_sec=0, tv_nsec=0}, stx_rdev_major"))
        #expect(!words.contains("stx_mtime") && !words.contains("stx_btime"))
    }

    @Test func conditionsNameFlags() {
        for definition in Self.all {
            for member in definition.members where member.condition != nil {
                let condition = StructureLayout.Condition(member.condition, definition.members)
                #expect(condition.map { $0.bits != 0 } == true, "\(definition.name).\(member.name)")
                if case .anyOf(let names, _) = member.condition {
                    #expect(names.count == condition.map(\.bits.nonzeroBitCount))
                }
            }
        }
    }

    @Test func timesOfFiles() throws {
        let times = Self.bytes(Int64(5), 6, -7, 8)
        #expect(try Self.shown(times, as: "file_times") == "[{tv_sec=5, tv_usec=6}, {tv_sec=-7, tv_usec=8}]")
        let now = Self.bytes(Int64(5), 0x3fff_ffff, 7, 0x3fff_fffe)
        #expect(try Self.shown(now, as: "file_times_nsec") == "[UTIME_NOW, UTIME_OMIT]")
        #expect(
            try Self.shown(times, as: "file_times", .json)
                == #"{"atime.tv_sec":"5","atime.tv_usec":"6","mtime.tv_sec":"-7","mtime.tv_usec":"8"}"#)
    }

    @Test func eventsOfEpoll() throws {
        let events =
            Self.bytes(UInt32(1)) + Self.bytes(UInt64(5)) + Self.bytes(UInt32(0x8000_2011))
            + Self.bytes(UInt64.max)
        let words = try Self.shown(events, as: "epoll_event", isArray: true)
        #expect(
            words
                == "[{events=EPOLLIN, data={u32=5, u64=5}}, {events=EPOLLIN|EPOLLHUP|EPOLLRDHUP|EPOLLET, "
                + "data={u32=4294967295, u64=18446744073709551615}}]")
        let json = try Self.shown(events, as: "epoll_event", isArray: true, .json)
        #expect(
            json == #"[{"events":"EPOLLIN","data":"0x5"},"#
                + #"{"events":"EPOLLIN|EPOLLHUP|EPOLLRDHUP|EPOLLET","data":"0xffffffffffffffff"}]"#)
        // There were more, and of the next there are some bytes.
        let more = events + [1, 0, 0, 0]
        #expect(try Self.shown(more, as: "epoll_event", isArray: true) == words)
        #expect(
            try Self.shown(more, as: "epoll_event", isArray: true, isTruncated: true)
                == words.dropLast() + ", ...]")
        #expect(
            try Self.shown(more, as: "epoll_event", isArray: true, isTruncated: true, .json) == json)
        let many = [UInt8](repeating: 0, count: 65 * 12)
        let shown = try Self.shown(many, as: "epoll_event", isArray: true)
        #expect(shown.components(separatedBy: "{events=").count == 65)
        #expect(shown.hasSuffix("}, ...]"))
    }

    /// 16 bits are 16 bits, also where the structure has them with a sign.
    @Test func polledDescriptors() throws {
        let bytes = Self.bytes(Int32(-1)) + Self.bytes(UInt16(0x8001), 0x10)
        #expect(
            try Self.shown(bytes, as: "pollfd") == "{fd=-1}")
        #expect(
            try Self.shown(Self.bytes(Int32(3)) + bytes.dropFirst(4), as: "pollfd")
                == "{fd=3, events=POLLIN|0x8000, revents=POLLHUP}")
        #expect(
            try Self.shown(bytes, as: "pollfd", .json)
                == #"{"fd":-1,"events":"POLLIN|0x8000","revents":"POLLHUP"}"#)
    }

    @Test(arguments: [
        (UInt64(0), "[]", "[]"),
        (0x4002, "[INT TERM]", #"["SIGINT","SIGTERM"]"#),
        (0x1_0000_0001, "[HUP RT_1]", #"["SIGHUP","SIGRT_1"]"#),
        (0x8000_0000_0000_0000, "[RT_32]", #"["SIGRT_32"]"#),
    ])
    func setsOfSignals(_ set: UInt64, _ words: String, _ json: String) throws {
        #expect(try Self.shown(Self.bytes(set), as: "sigset") == words)
        #expect(try Self.shown(Self.bytes(set), as: "sigset", .json) == json)
    }

    @Test func setsOfMostSignalsAreWrittenByTheOthers() throws {
        #expect(try Self.shown(Self.bytes(UInt64.max), as: "sigset") == "~[]")
        let most = ~UInt64(1 << 8 | 1 << 18)
        #expect(try Self.shown(Self.bytes(most), as: "sigset") == "~[KILL STOP]")
        let json = try Self.shown(Self.bytes(most), as: "sigset", .json)
        #expect(json.split(separator: ",").count == 62)
        #expect(!json.contains("SIGKILL") && !json.contains("SIGSTOP") && json.contains("\"SIGTERM\""))
    }

    @Test(arguments: [
        (Int32(0), "WIFEXITED(s) && WEXITSTATUS(s) == 0"), (0x100, "WIFEXITED(s) && WEXITSTATUS(s) == 1"),
        (0xff00, "WIFEXITED(s) && WEXITSTATUS(s) == 255"), (9, "WIFSIGNALED(s) && WTERMSIG(s) == SIGKILL"),
        (0x8b, "WIFSIGNALED(s) && WTERMSIG(s) == SIGSEGV && WCOREDUMP(s)"),
        (0x137f, "WIFSTOPPED(s) && WSTOPSIG(s) == SIGSTOP"), (0xffff, "WIFCONTINUED(s)"),
    ])
    func statesOfChildren(_ status: Int32, _ words: String) throws {
        #expect(try Self.shown(Self.bytes(status), as: "wait_status") == "[{\(words)}]")
        #expect(try Self.shown(Self.bytes(status), as: "wait_status", .json) == "\(status)")
    }

    @Test func singleValues() throws {
        #expect(try Self.shown(Self.bytes(Int32(-5)), as: "int") == "[-5]")
        #expect(try Self.shown(Self.bytes(Int32(-5)), as: "int", .json) == "-5")
        #expect(try Self.shown(Self.bytes(Int32(-5)), as: "uint", .json) == "4294967291")
        #expect(try Self.shown(Self.bytes(Int64.min), as: "long", .json) == #""-9223372036854775808""#)
        let groups = Self.bytes(UInt32(0), 4, 1000)
        #expect(try Self.shown(groups, as: "uint", isArray: true, .json) == "[0,4,1000]")
        #expect(try Self.shown(groups, as: "uint", isArray: true) == "[0, 4, 1000]")
    }

    @Test func texts() throws {
        let names = ["Linux", "a\"b\\", "", String(repeating: "x", count: 65), "k\u{e4}se", "(none)"]
        let bytes = names.flatMap { Array(($0.utf8 + [UInt8](repeating: 0, count: 65)).prefix(65)) }
        let words = try Self.shown(bytes, as: "utsname")
        for part in [
            #"{sysname="Linux", "#, #"nodename="a\"b\\", "#, #"release="", "#, #"version="xxx"#,
            #"machine="k\303\244se", "#, #"domainname="(none)"}"#,
        ] {
            #expect(words.contains(part), "\(part) in \(words)")
        }
        let json = try JSONSerialization.jsonObject(
            with: Data(Self.shown(bytes, as: StructureLayout(Self.named("utsname")), .json)))
        let keys = ["sysname", "nodename", "release", "version", "machine", "domainname"]
        #expect((json as? [String: String]) == Dictionary(uniqueKeysWithValues: zip(keys, names)))
    }
}

/// Tables that give names, other than ways of `NumberWords`.
private enum SymbolTables {
    static func has(_ name: String) -> Bool {
        if case .names = NumberWords(name, width: 64) { true } else { false }
    }
}
