/// A structure of the kernel's interface, or the part of it that is shown.
public struct StructureDefinition: Sendable {
    public let name: String
    /// Bytes of one, as x86-64 programs have it.
    public let size: Int
    /// 32-bit programs have the same layout. Where not, what they point at is not read.
    public let isSameForAll: Bool
    public internal(set) var members: [StructureMember]

    /// The caller fills it, but for numbers that the call leaves there.
    public var isGiven: Bool { members.contains { $0.change == .left } }

    /// Where the number stands that said how much room there is for what a pointer leads to, if the call changes it.
    public func room(of member: StructureMember) -> Int? {
        guard case .pointer(let pointer) = member.type, case .member(let name) = pointer.count else {
            return nil
        }
        return members.first { $0.name == name && $0.change == .room }?.offset
    }

    /// Numbers that are descriptors.
    public var descriptors: [StructureMember] { members.filter(\.isDescriptor) }

    /// Pointers that are followed, with where they lie.
    public var pointers: [(member: StructureMember, pointer: PointerMember)] {
        members.compactMap { member in
            if case .pointer(let pointer) = member.type { (member, pointer) } else { nil }
        }
    }
}

/// What a call makes of a number in a structure that it is given.
public enum MemberChange: String, Sendable {
    /// How much room the caller has becomes how much the call has to give, which may be more.
    case room
    /// The call writes it; all else stays as it was given.
    case left
}

/// On what of the same structure it depends whether a member means anything.
public enum MemberCondition: Sendable, Equatable {
    /// One of these bits of a member is set, by their names in its table.
    case anyOf([String], of: String)
    /// A member is 0.
    case without(String)

    /// `flags CLONE_PIDFD|CLONE_SETTLS`, `no st_rdev`.
    init?(_ words: [Substring]) {
        guard words.count == 2 else { return nil }
        self =
            words[0] == "no"
            ? .without(String(words[1]))
            : .anyOf(words[1].split(separator: "|").map { String($0) }, of: String(words[0]))
    }

    fileprivate var member: String {
        switch self {
        case .anyOf(_, let member), .without(let member): member
        }
    }
}

/// A piece of a structure.
public struct StructureMember: Sendable {
    /// Empty for what is no structure but a single value.
    public let name: String
    public let type: MemberType
    /// The table with the names of its numbers, as for fields.
    public let symbols: String?
    /// Bytes from the beginning of the structure.
    public let offset: Int
    /// People are not shown it when it is 0.
    public let isShownIfSet: Bool
    /// It means nothing where the call that changes the structure failed.
    public let isOfSuccess: Bool
    public let change: MemberChange?
    /// People are not shown it elsewhere.
    public let condition: MemberCondition?
    /// What a pointer leads to, where it names a structure.
    public internal(set) var structure: StructureDefinition?

    /// A descriptor, of the caller's table of open files; of a set, each number in it.
    public var isDescriptor: Bool { symbols == FieldDefinition.descriptor }
}

/// A pointer in a structure, and what it leads to.
public struct PointerMember: Sendable, Equatable {
    public enum Target: Sendable, Equatable {
        /// The structure of that name, with the count of bytes or of structures.
        case structure(String, isArray: Bool)
        /// Plain bytes, which are shown when payload is asked for.
        case bytes
        /// Text up to its NUL.
        case text
        case socketAddress
    }
    public enum Count: Sendable, Equatable {
        case number(Int)
        /// What a member of the same structure says.
        case member(String)
    }
    public let target: Target
    public let count: Count
    /// Room that the call fills, with as many bytes as it returns, or as `fill` of a structure around it says.
    public let isFilled: Bool
    /// It leads to such room, and this member, of 4 bytes, says how many bytes the call gave.
    public let fill: String?
}

/// What a member is and how it is printed.
public enum MemberType: Sendable, Equatable {
    case signed(bytes: Int)
    case unsigned(bytes: Int)
    case hexadecimal(bytes: Int)
    /// Permissions and kinds of files: octal, in strace's way.
    case octal(bytes: Int)
    /// A number of device: major and minor, as the kernel encodes it for programs (`new_encode_dev`, include/linux/kdev_t.h).
    case device(bytes: Int)
    case address
    /// Text in so many bytes, which a NUL ends if there is room for one.
    case text(bytes: Int)
    /// A set of signals of 64 bits: signal 1 is bit 0.
    case signals
    /// What wait4() gives of how a process ended.
    case waitStatus
    case pointer(PointerMember)
    /// All bytes of the structure are a set of bits, told by their numbers; as many bytes as there are.
    case set

    /// Bytes that it takes.
    public var size: Int {
        switch self {
        case .signed(let bytes), .unsigned(let bytes), .hexadecimal(let bytes), .octal(let bytes),
            .device(let bytes), .text(let bytes):
            bytes
        case .address, .signals, .pointer: 8
        case .waitStatus: 4
        case .set: 1
        }
    }

    /// `int32`, `uint8`, `hex64`, `octal32`, `device64`, `address`, `text65`, `signals`, `wait-status`, `set`.
    init?(_ spelling: Substring) {
        switch spelling {
        case "address": self = .address
        case "signals": self = .signals
        case "wait-status": self = .waitStatus
        case "set": self = .set
        default:
            let digits = spelling.drop { !("0"..."9").contains($0) }
            guard let number = Int(digits), number > 0 else { return nil }
            let bytes = number / 8
            let isInteger = [8, 16, 32, 64].contains(number)
            switch spelling.dropLast(digits.count) {
            case "int" where isInteger: self = .signed(bytes: bytes)
            case "uint" where isInteger: self = .unsigned(bytes: bytes)
            case "hex" where isInteger: self = .hexadecimal(bytes: bytes)
            case "octal" where isInteger: self = .octal(bytes: bytes)
            case "device" where isInteger: self = .device(bytes: bytes)
            case "text" where number <= 4096: self = .text(bytes: number)
            default: return nil
            }
        }
    }

    var isNumber: Bool {
        switch self {
        case .signed, .unsigned, .hexadecimal, .address: true
        default: false
        }
    }
}

extension StructureDefinition {
    /// Descriptors that one structure may have.
    static let descriptorLimit = 4
    /// Bytes of one structure at most, and members.
    static let limits = (size: 4096, members: 64)

    /// What a line says before `=`: behind it stands what it is in C, which is for `Scripts/check-structures`.
    static func layout(_ words: [Substring]) -> ArraySlice<Substring> { words.prefix { $0 != "=" } }

    /// Reads the words behind `struct`: `NAME SIZE`, or `NAME SIZE any` where 32-bit programs have the same. On a mistake
    /// there is only the message.
    static func parse(_ words: [Substring]) -> (StructureDefinition?, String) {
        let words = layout(words)
        guard (2...3).contains(words.count), let size = Int(words[1]), (1...limits.size).contains(size),
            words.count == 2 || words[2] == "any"
        else {
            return (
                nil,
                "a structure is 'struct NAME BYTES' with at most \(limits.size) bytes, or 'struct NAME BYTES any'"
            )
        }
        return (
            StructureDefinition(
                name: String(words[0]), size: size, isSameForAll: words.count == 3, members: []), ""
        )
    }

    /// Adds a member: `NAME: TYPE OFFSET`, where `-` is the name of what has none, `NAME?` is not shown when it
    /// is 0, and `NAME!` not where the call failed that was to write it. `named` is the table or structure that stood behind
    /// the type, `options` what stood in braces: `room` or `left` for a number. Behind the offset may stand when people are
    /// shown it: `if flags CLONE_PIDFD`, `if no st_rdev`, of a member above. Returns what is wrong, or nothing.
    mutating func add(
        _ name: Substring, _ type: Substring, named: String?, _ options: [Substring], _ words: [Substring]
    ) -> String? {
        let offset = words.first, condition = words.count < 2 ? nil : MemberCondition(Array(words[2...]))
        let isOfSuccess = name.hasSuffix("!")
        let unmarked = isOfSuccess ? name.dropLast() : name
        let isShownIfSet = unmarked.hasSuffix("?")
        let name = isShownIfSet ? unmarked.dropLast() : unmarked
        let change = options.count == 1 ? MemberChange(rawValue: String(options[0])) : nil
        let (pointer, mistake) = pointer(type, named, change == nil ? options : [])
        if let mistake { return mistake }
        let symbols = pointer == nil ? named : nil
        guard let kind = pointer.map({ MemberType.pointer($0) }) ?? MemberType(type) else {
            return
                "'\(type)' is no type of a member; there are int, uint, hex, octal and device with 8, 16, 32 or 64, "
                + "textBYTES, address, signals, wait-status, set, pointer, string and sockaddr"
        }
        guard let offset = offset.flatMap({ Int($0) }), offset >= 0, offset <= size - kind.size else {
            return
                "a member is 'member NAME: TYPE OFFSET', and all of it lies in the \(size) bytes of \(self.name)"
        }
        guard words.count < 2 || words[1] == "if" && condition != nil else {
            return "behind the offset stands nothing, or 'if MEMBER FLAG|FLAG', or 'if no MEMBER'"
        }
        if let condition {
            let member = members.first { $0.name == condition.member }
            var isTable = true
            if case .anyOf = condition { isTable = member?.symbols != nil }
            guard let member, isTable, member.type.size <= 8 else {
                return "'\(condition.member)' is no number above '\(name)' that says whether it is shown"
            }
        }
        guard members.count < Self.limits.members else {
            return "\(self.name) has more than \(Self.limits.members) members"
        }
        guard change == nil || kind.isNumber && kind.size == 4 else {
            return "'\(options[0])' is for numbers of 32 bits"
        }
        let isDescriptor = symbols == FieldDefinition.descriptor
        guard symbols == nil || kind.isNumber || isDescriptor && kind == .set else {
            return "'\(name)' names a table, and only numbers have one"
        }
        guard
            !isDescriptor || kind == .set
                || [.signed(bytes: 4), .signed(bytes: 8)].contains(kind)
                    && descriptors.count < Self.descriptorLimit
        else {
            return "descriptors are int32 or int64, and a structure has at most \(Self.descriptorLimit)"
        }
        let isWhole = name == "-" || members.first?.name.isEmpty == true
        guard members.isEmpty || !isWhole else {
            return "'-' is all of \(self.name), so it has no other member"
        }
        guard !members.contains(where: { $0.name == name }) else {
            return "\(self.name) has a member '\(name)' already"
        }
        members.append(
            StructureMember(
                name: name == "-" ? "" : String(name), type: kind, symbols: symbols, offset: offset,
                isShownIfSet: isShownIfSet, isOfSuccess: isOfSuccess, change: change, condition: condition))
        return nil
    }

    /// `pointer<STRUCTURE>{count=MEMBER}`, `pointer{len=MEMBER,filled}`, `string`, `sockaddr{len=MEMBER}`. Nothing for
    /// another type.
    private func pointer(
        _ type: Substring, _ named: String?, _ options: [Substring]
    ) -> (PointerMember?, mistake: String?) {
        var count: PointerMember.Count = .number(1)
        var (isArray, isFilled, fill) = (false, false, String?.none)
        for option in options {
            let parts = option.split(separator: "=")
            switch (parts.first, parts.count) {
            case ("len", 2), ("count", 2):
                isArray = parts[0] == "count"
                count = Int(parts[1]).map { .number($0) } ?? .member(String(parts[1]))
            case ("filled", 1): isFilled = true
            case ("filled", 2): fill = String(parts[1])
            default: return (nil, "'\(option)' is no option of a member; there are len=, count= and filled")
            }
        }
        let target: PointerMember.Target
        switch (type, named) {
        case ("pointer", let structure?): target = .structure(structure, isArray: isArray)
        case ("pointer", nil): target = .bytes
        case ("string", nil): target = .text
        case ("sockaddr", nil): target = .socketAddress
        default:
            return options.isEmpty
                ? (nil, nil) : (nil, "only pointers have options, and numbers 'room' or 'left'")
        }
        return (PointerMember(target: target, count: count, isFilled: isFilled, fill: fill), nil)
    }

    /// Pointers that one structure may have, and levels below the argument.
    static let pointerLimits = (members: 4, levels: 2)

    /// Finds the structures that its pointers lead to. Returns what is wrong, or nothing.
    mutating func resolve(_ all: [String: StructureDefinition], level: Int = 0) -> String? {
        if pointers.count > Self.pointerLimits.members {
            return "\(name) has more than \(Self.pointerLimits.members) pointers"
        }
        for index in members.indices {
            guard case .pointer(let pointer) = members[index].type else { continue }
            var named = [pointer.fill]
            if case .member(let name) = pointer.count { named.append(name) }
            for name in named {
                guard let name else { continue }
                let member = members.first { $0.name == name }
                let fits = member.map {
                    $0.type.isNumber && ($0.type.size == 4 || pointer.fill != name && $0.type.size != 1)
                }
                if fits != true {
                    return
                        "'\(members[index].name)' of \(self.name) names '\(name)', which is no number there that can say it"
                }
            }
            guard level < Self.pointerLimits.levels else {
                return "\(self.name) has pointers, and is itself behind \(level) of them"
            }
            guard case .structure(let name, _) = pointer.target else { continue }
            guard var target = all[name] else {
                return "there is no structure '\(name)'; write 'struct \(name) BYTES' and its members"
            }
            if let message = target.resolve(all, level: level + 1) { return message }
            members[index].structure = target
        }
        return nil
    }
}

extension MemberType {
    /// As the catalogue writes it.
    public var spelling: String {
        switch self {
        case .signed(let bytes): "int\(8 * bytes)"
        case .unsigned(let bytes): "uint\(8 * bytes)"
        case .hexadecimal(let bytes): "hex\(8 * bytes)"
        case .octal(let bytes): "octal\(8 * bytes)"
        case .device(let bytes): "device\(8 * bytes)"
        case .text(let bytes): "text\(bytes)"
        case .address: "address"
        case .signals: "signals"
        case .waitStatus: "wait-status"
        case .set: "set"
        case .pointer(let pointer): pointer.spelling
        }
    }
}

extension PointerMember {
    fileprivate var spelling: String {
        let (type, isArray) =
            switch target {
            case .structure(let name, let isArray): ("pointer<\(name)>", isArray)
            case .bytes: ("pointer", false)
            case .text: ("string", false)
            case .socketAddress: ("sockaddr", false)
            }
        var options: [String] = []
        switch count {
        case .number(1) where !isArray: break
        case .number(let number): options.append("\(isArray ? "count" : "len")=\(number)")
        case .member(let name): options.append("\(isArray ? "count" : "len")=\(name)")
        }
        if isFilled { options.append("filled") }
        if let fill { options.append("filled=\(fill)") }
        return options.isEmpty ? type : "\(type){\(options.joined(separator: ","))}"
    }
}
