internal import Catalog
internal import Events
internal import Symbols

/// A structure of the catalogue as it is printed, with its tables looked up.
struct StructureLayout {
    struct Member {
        let name: [UInt8]
        let type: MemberType
        let words: NumberWords
        let offset: Int
        let isShownIfSet: Bool
        /// What it is open on is told with it.
        let isDescriptor: Bool
        let change: MemberChange?
        let condition: Condition?
        /// Where the number stands that said how much room there is for what a pointer leads to.
        let roomAt: Int?
        /// What a pointer leads to, where that is a structure.
        let target: StructureLayout?
        /// What it lies in, from the outside: indexes of groups.
        let groups: [Int]
        /// Its own name with `=`, or nothing for an element of an array.
        let label: [UInt8]
    }

    /// When people are shown a member: by the bits of one before it.
    struct Condition {
        let member: Int
        let bits: UInt64
        let areSet: Bool

        init?(_ condition: MemberCondition?, _ members: [StructureMember]) {
            switch condition {
            case .anyOf(let names, let other):
                guard let index = members.firstIndex(where: { $0.name == other }),
                    let table = members[index].symbols.flatMap({ SymbolTable.named($0) })
                else { return nil }
                (member, areSet) = (index, true)
                bits = names.reduce(0) { $0 | (table.value(ofName: $1) ?? 0) }
            case .without(let other):
                guard let index = members.firstIndex(where: { $0.name == other }) else { return nil }
                (member, bits, areSet) = (index, .max, false)
            case nil: return nil
            }
        }

        func holds(_ layout: StructureLayout, _ bytes: RawSpan, _ start: Int) -> Bool {
            ((layout.members[member].number(in: bytes, from: start) ?? 0) & bits != 0) == areSet
        }
    }

    /// A structure or an array in a structure: members whose names begin alike, as `it_value.tv_sec` and `loads[0]`.
    struct Group {
        let opening: [UInt8]
        let closing: UInt8
    }

    /// What is not written by its members alone.
    enum Way {
        case members
        /// `siginfo_t`, whose members depend on its code.
        case signal
        /// What to do when a timer ends or a message comes: with a value, and perhaps to one thread.
        case event
        /// Messages beside a message, one behind the other.
        case controlMessages
        /// Three sets of capabilities, each in two words.
        case capabilities
        /// Two times of a file.
        case fileTimes
        /// What a descriptor below 0 waits for does not count.
        case polled
        /// Bits in words of 64.
        case words
        /// An instruction of classic BPF, of sockets or of seccomp.
        case socketFilter, seccompFilter

        init(_ name: String) {
            switch name {
            case "siginfo", "queued_siginfo", "child_siginfo": self = .signal
            case "sigevent": self = .event
            case "control_messages": self = .controlMessages
            case "cap_data": self = .capabilities
            case "file_times", "file_times_nsec": self = .fileTimes
            case "pollfd": self = .polled
            case "node_set": self = .words
            case "sock_filter": self = .socketFilter
            case "seccomp_instruction": self = .seccompFilter
            default: self = .members
            }
        }
    }

    let size: Int
    /// 32-bit programs have the same.
    let isSameForAll: Bool
    let way: Way
    let members: [Member]
    let groups: [Group]
    /// The caller fills it, but for numbers that the call leaves there.
    let isGiven: Bool
    /// How many bytes of it there are stands in it, at 4; 0 is its first version (`perf_copy_attr`, kernel/events/core.c).
    private let saysSize: Bool
    /// It is a single value, and not a structure of members.
    let isValue: Bool
    /// The most that one takes when it is printed, in any form.
    let room: Int

    /// - Parameters:
    ///   - without: A member that is left out.
    ///   - isFailed: Only members are shown that mean something where the call failed.
    ///   - bytes: It ends earlier.
    ///   - tellsDescriptors: What they are open on is told where they stand.
    init(
        _ definition: StructureDefinition, without: String? = nil, isFailed: Bool = false,
        bytes: Int? = nil, tellsDescriptors: Bool = true
    ) {
        let size = min(bytes ?? definition.size, definition.size)
        self.size = size
        isSameForAll = definition.isSameForAll
        way = Way(definition.name)
        saysSize = definition.name == "perf_event_attr"
        var groups: [Group] = []
        var numbers: [String: Int] = [:]
        let shown = definition.members.filter {
            $0.name != without && !(isFailed && $0.isOfSuccess) && $0.offset + $0.type.size <= size
        }
        members = shown.map { member in
            var (inside, path, rest) = ([Int](), "", Substring(member.name))
            var isElement = false
            while let end = rest.firstIndex(where: { $0 == "." || $0 == "[" }) {
                let isArray = rest[end] == "["
                path += rest[..<end] + (isArray ? "[" : ".")
                if numbers[path] == nil {
                    numbers[path] = groups.count
                    groups.append(
                        Group(
                            opening: Array(
                                "\(isElement ? "" : rest[..<end] + "=")\(isArray ? "[" : "{")".utf8),
                            closing: UInt8(ascii: isArray ? "]" : "}")))
                }
                inside += numbers[path].map { [$0] } ?? []
                rest = rest[rest.index(after: end)...]
                isElement = isArray
            }
            return Member(
                name: Array(member.name.utf8), type: member.type, words: NumberWords(member),
                offset: member.offset,
                isShownIfSet: member.isShownIfSet, isDescriptor: tellsDescriptors && member.isDescriptor,
                change: member.change, condition: Condition(member.condition, shown),
                roomAt: definition.room(of: member),
                target: member.structure.map { StructureLayout($0) },
                groups: inside,
                label: isElement ? [] : Array("\(rest)=".utf8))
        }
        self.groups = groups
        isGiven = definition.isGiven
        isValue = members.count == 1 && members[0].name.isEmpty
        // Names of groups are parts of their members' names.
        let least =
            switch way {
            case .signal, .event: SignalInformation.room
            case .controlMessages: ControlMessages.room(size)
            case .capabilities: CapabilityText.room
            case .socketFilter, .seccompFilter: FilterText.room
            case .members, .fileTimes, .polled, .words: 0
            }
        room =
            least + members.reduce(8) { $0 + 2 * $1.name.count + 16 + $1.room }
            + (isValue ? 64 * size : 0)
    }

    /// Where the one ends that begins at `start`.
    func end(in bytes: RawSpan, from start: Int) -> Int {
        guard saysSize, start + 8 <= bytes.byteCount else { return bytes.byteCount }
        let size = Int(unsafe bytes.unsafeLoadUnaligned(fromByteOffset: start + 4, as: UInt32.self))
        return min(bytes.byteCount, start + (size == 0 ? 64 : max(size, 8)))
    }

    /// Whether of so many bytes anything is shown.
    func shows(_ bytes: Int) -> Bool {
        members.contains { member in
            if case .text = member.type, isValue { return bytes > 0 }
            return member.offset + member.type.size <= bytes
        }
    }

    /// Elements that are printed of one array.
    static let elementLimit = 64
}

extension StructureLayout.Member {
    /// The most that the value takes: a text is escaped, and of a set of signals each may be named.
    fileprivate var room: Int {
        switch type {
        case .text(let bytes): 6 * bytes + 8
        case .signals: 1024
        default: 64 + words.room
        }
    }

    /// Bytes without which what a pointer leads to tells nothing: the family of an address, the head of a message.
    var least: Int {
        guard case .pointer(let pointer) = type else { return 0 }
        if pointer.target == .socketAddress { return 2 }
        return target?.way == .controlMessages ? 16 : 0
    }

    /// The number at this member of the structure that begins at `start`, with its sign; nil where bytes are missing.
    func number(in bytes: RawSpan, from start: Int) -> UInt64? {
        let at = start + offset
        guard at + type.size <= bytes.byteCount else { return nil }
        let bits: UInt64
        switch type.size {
        case 1: bits = UInt64(unsafe bytes.unsafeLoad(fromByteOffset: at, as: UInt8.self))
        case 2: bits = UInt64(unsafe bytes.unsafeLoadUnaligned(fromByteOffset: at, as: UInt16.self))
        case 4: bits = UInt64(unsafe bytes.unsafeLoadUnaligned(fromByteOffset: at, as: UInt32.self))
        case 8: bits = unsafe bytes.unsafeLoadUnaligned(fromByteOffset: at, as: UInt64.self)
        default: return nil
        }
        guard case .signed(let size) = type else { return bits }
        return UInt64(bitPattern: ByteBuffer.extended(bits, width: 8 * size))
    }

    /// The text of the member, up to its NUL or its end; nil where bytes are missing.
    @_lifetime(copy bytes)
    func text(in bytes: RawSpan, from start: Int) -> RawSpan? {
        guard case .text(let count) = type, start + offset + count <= bytes.byteCount else { return nil }
        return EventView.untilNUL(bytes.extracting(start + offset..<start + offset + count))
    }
}
