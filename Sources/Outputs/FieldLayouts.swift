internal import Catalog
internal import Events
internal import Glibc
internal import Symbols

/// How a field is said in words, in one form of its event.
struct FieldLayout {
    let name: String
    /// What it is here.
    let type: FieldType
    /// What JSON says that it is where it was read, and where not: a number keeps the type of the event's row.
    fileprivate let typesInJSON: (read: FieldType, unread: FieldType)
    let words: NumberWords
    /// What a pointer leads to.
    let structure: StructureLayout?
    let isBuffer: Bool
    /// As many of it as some argument says.
    let isArray: Bool
    /// The argument that says how many of it there are.
    let count: Int?
    /// The argument that says how many bits there are.
    let countOfBits: Int?
    /// As many as the call returned.
    let isCountedByResult: Bool
    /// The argument that says how much room there is for what the call counts.
    let roomArgument: Int?
    /// It counts only where the argument before it makes a file.
    let isModeOfOpening: Bool
    let isEnvironment: Bool
    /// Text that does not end at a NUL: as many bytes as an argument says, or names, each with its NUL.
    let isWhole: Bool
    /// What strace's form shows of a place in a file or of a head that the call changes.
    let moment: Moment
    /// What it leads to where the call failed that was to write there.
    let unfilled: StructureLayout?
    /// The argument that says how many bytes there are.
    let lengthArgument: Int?
    /// Of a call that waits, strace's form shows what it was given, and beside the result what it left.
    let waited: WaitedField?

    /// - Parameters:
    ///   - row: What the field is where no form says otherwise.
    ///   - before: The field before it.
    ///   - isWaiting: It is of a call that waits for descriptors.
    init(_ field: FieldDefinition, row: FieldDefinition, before: FieldDefinition?, isWaiting: Bool) {
        name = field.name
        type = field.type
        switch (field.type.isOneValue, row.type.isOneValue) {
        case (true, true): typesInJSON = (row.type, row.type)
        case (true, false): typesInJSON = (field.type, field.type)
        case (false, true): typesInJSON = (field.type, row.type)
        case (false, false): typesInJSON = (field.type, field.type)
        }
        words = NumberWords(field)
        structure = field.structure.map { StructureLayout($0) }
        isBuffer = field.isBuffer
        isArray = field.isArray
        if case .argument(let index) = field.length {
            (count, lengthArgument) = field.isArray ? (index, nil) : (nil, index)
        } else {
            (count, lengthArgument) = (nil, nil)
        }
        countOfBits = field.countOfBits
        isCountedByResult =
            (field.type == .pointer || field.type == .string) && field.length == .returnValue
        roomArgument = field.room?.argument
        if case .argument = field.length { isWhole = true } else { isWhole = field.name == "list" }
        moment = Moment(field)
        let isUnfilled =
            field.direction == .inout && field.structure?.members.contains(where: \.isOfSuccess) == true
        unfilled = isUnfilled ? field.structure.map { StructureLayout($0, isFailed: true) } : nil
        isModeOfOpening = field.symbols == "permissions" && before?.symbols == "open_flags"
        isEnvironment = field.name == "envp"
        waited = isWaiting ? WaitedField(field) : nil
    }
}

/// When a value is that a call is given and changes.
enum Moment {
    case left
    case given
    /// `[0] => [52]`.
    case both
    /// `[128 => 16]`, of one that was changed.
    case changed

    init(_ field: FieldDefinition) {
        switch (field.direction, field.name) {
        case (.inout, "addrlen"), (.inout, "optlen"): self = .changed
        case (.inout, "offset"): self = .both
        case (.inout, "off_in"), (.inout, "off_out"), (.inout, "hdrp"): self = .given
        case (.inout, _) where field.structure?.isGiven == true: self = .given
        default: self = .left
        }
    }
}

extension FieldType {
    /// The record's value is all of it, or its address.
    fileprivate var isOneValue: Bool {
        switch self {
        case .int32, .uint32, .int64, .uint64, .uint16, .bool, .pointer, .time: true
        case .string, .stringArray, .bytes, .uint64Array, .credentials, .socketAddress, .int32Pair, .timespec:
            false
        }
    }
}

/// How an event is said in words, in one of its forms.
final class EventLayout {
    /// All fields; those that the form does not use are as in the event's row.
    let fields: [FieldLayout]
    /// The indexes of those that the form uses, in order.
    let used: [Int]
    /// What a call returns where it does not fail.
    let result: CallResult
    private let isWaitid: Bool
    let isClone: Bool
    /// Of the calls about capabilities, what the first version has of their sets.
    private let firstCapabilities: StructureLayout?
    /// The most that all the words of numbers take.
    let room: Int

    /// - Parameter form: Nothing for the event's row.
    init(_ event: EventDefinition, form: CallCase?) {
        var fields = event.fields
        for (index, field) in form?.arguments ?? [] where fields.indices.contains(index) {
            fields[index] = field
        }
        let result = form?.result.flatMap { ResultWords($0) }.map { .named($0) } ?? CallResult(event.name)
        let isWaiting = if case .waiting = result { true } else { false }
        self.fields = fields.indices.map { index in
            FieldLayout(
                fields[index], row: event.fields[index], before: index > 0 ? fields[index - 1] : nil,
                isWaiting: isWaiting)
        }
        self.result = result
        isWaitid = event.name == "waitid"
        isClone = event.name == "clone"
        let capabilities = ["capget", "capset"].contains(event.name) ? event.fields[1].structure : nil
        firstCapabilities = capabilities.map { StructureLayout($0, bytes: $0.size / 2) }
        used = form?.arguments.map(\.index) ?? Array(fields.indices)
        room = self.fields.reduce(0) { $0 + $1.words.room }
    }

    /// Whether what was read may be older than the call: `waitid` returns 0 too where no child had ended, and then leaves
    /// the times as they are and the signal 0, if it has room for that.
    private func isStale(_ field: Int, _ event: EventView) -> Bool {
        guard isWaitid, field == 4, (event.value(3) ?? 0) & UInt64(WNOHANG) != 0 else { return false }
        guard let information = event.blob(2), information.bytes.byteCount >= 4 else { return true }
        return unsafe information.bytes.unsafeLoadUnaligned(as: UInt32.self) == 0
    }

    /// The structure that a field leads to, as far as anything is known of it.
    func structure(of field: Int, _ event: EventView) -> StructureLayout? {
        guard let structure = fields[field].structure else { return nil }
        if let unfilled = fields[field].unfilled {
            let result = Int64(bitPattern: event.value(fields.count - 1) ?? 0)
            if result < 0 || result == 0 && fields[field].isCountedByResult {
                return unfilled.members.isEmpty ? nil : unfilled
            }
        }
        if let firstCapabilities, field == 1 {
            guard let header = event.given(0), header.bytes.byteCount >= 4 else { return nil }
            switch unsafe header.bytes.unsafeLoadUnaligned(as: UInt32.self) {
            case 0x1998_0330: return firstCapabilities  // _LINUX_CAPABILITY_VERSION_1
            case 0x2007_1026, 0x2008_0522: return structure
            default: return nil
            }
        }
        // Read as what it is in all cases, it may have another layout in this one.
        if event.isCompat, !structure.isSameForAll { return nil }
        return isStale(field, event) ? nil : structure
    }

    /// What a field led to: when the call returned, or when it was entered where only then it says all.
    @_lifetime(copy event)
    func blob(_ field: Int, _ event: EventView) -> BlobView? {
        if fields[field].structure?.isGiven == true, let given = event.given(field) { return given }
        return event.blob(field)
    }

    func typeInJSON(of field: Int, _ event: EventView) -> FieldType {
        let types = fields[field].typesInJSON
        return types.read == types.unread || event.blob(field) != nil ? types.read : types.unread
    }
}

/// What a call returns where it does not fail.
enum CallResult {
    case number, address, mode
    /// Descriptors that are ready; 0 when the time was over.
    case waiting
    case named(ResultWords)

    init(_ call: String) {
        switch call {
        case "mmap", "mmap2", "brk", "mremap", "shmat": self = .address
        case "umask": self = .mode
        case "rt_sigtimedwait": self = ResultWords("signal").map { .named($0) } ?? .number
        case "select", "pselect6", "poll", "ppoll": self = .waiting
        default: self = .number
        }
    }
}

/// What the result of a call means, as ` (flags FD_CLOEXEC)` behind it.
struct ResultWords {
    let words: NumberWords
    /// What strace says of which bits they are.
    let prefix: StaticString
    /// The number in front of it is hexadecimal.
    let isHexadecimal: Bool

    init?(_ table: String) {
        words = NumberWords(table, width: 64)
        guard case .names(let names, _, _, _) = words else { return nil }
        switch table {
        case "descriptor_flags", "open_flags": prefix = "flags "
        case "seals": prefix = "seals "
        default: prefix = ""
        }
        isHexadecimal = names.kind == .flags || table == "lease"
    }
}

extension ByteBuffer {
    /// What a call returned that did not fail: `3`, `0x7f0041b6d000`, `022`, or `0x402 (flags O_RDWR|O_APPEND)`, in brackets only
    /// where all of it has names. Makes its own room and leaves `after`.
    mutating func append(_ value: UInt64, as result: CallResult, after: Int) {
        switch result {
        case .number, .waiting: append(decimal: Int64(bitPattern: value))
        case .address: append(hexadecimal: value)
        case .mode: append(mode: value)
        case .named(let named):
            if named.isHexadecimal { append(bits: value) } else { append(decimal: Int64(bitPattern: value)) }
            reserve(named.words.room + after)
            let start = count
            append(" (")
            append(named.prefix)
            if append(nameOf: value, by: named.words) { append(")") } else { truncate(to: start) }
        }
    }
}

/// The layouts of all events. They are looked up when the first event of a kind comes, and each form when the first of it
/// does, as an output sees few kinds, and starting must be quick.
struct FieldLayouts {
    private struct Made {
        let choice: FormChoice?
        /// The row's, and behind it those of its forms.
        var layouts: [EventLayout?]

        init(_ event: EventDefinition) {
            choice = event.forms.map { FormChoice($0) }
            layouts = Array(repeating: nil, count: 1 + (choice?.forms.count ?? 0))
        }
    }
    private var made: [Made?]

    init(_ catalog: Catalog) { made = Array(repeating: nil, count: catalog.events.count) }

    /// How a record is said, in the form that its values choose.
    mutating func of(_ definition: EventDefinition, _ event: EventView) -> EventLayout {
        if made[definition.index] == nil { made[definition.index] = Made(definition) }
        let choice = made[definition.index]?.choice
        let form = choice?.form(of: event)
        let place = form.map { $0 + 1 } ?? 0
        if let layout = made[definition.index]?.layouts[place] { return layout }
        let layout = EventLayout(definition, form: form.flatMap { choice?.forms[$0] })
        made[definition.index]?.layouts[place] = layout
        return layout
    }
}
