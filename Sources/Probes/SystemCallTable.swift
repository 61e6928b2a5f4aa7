internal import CContract
internal import Catalog
internal import Symbols

/// What is read of that which pointers of system calls lead to, beside texts, addresses and times; and whether it is
/// kept when they were entered.
public struct PointerTargets: Equatable, Sendable {
    public var structures = false
    /// Records say when each call was entered, so that all are hooked there.
    public var entryTimes = false
    /// What descriptors are open on.
    public var descriptors = false
    /// Bytes of each buffer whose length the call tells, 0 to 4,096.
    public var payload = 0

    public init(structures: Bool = false, payload: Int = 0) {
        self.structures = structures
        self.payload = payload
    }

    func reads(_ field: FieldDefinition) -> Bool {
        guard field.type == .pointer, field.direction != .opaque else { return false }
        return field.structure == nil ? payload > 0 && field.length != nil : structures
    }

    /// The forms of a call, where they say what is read.
    func forms(_ event: EventDefinition) -> CallForms? { structures ? event.forms : nil }

    /// Whether the kernel's programs ask for forms: for what is read, or for which arguments are descriptors.
    var usesForms: Bool { structures || descriptors }
}

/// The catalogue's system calls as the rows that the kernel's generic encoder works from.
struct SystemCallTable {
    private let targets: PointerTargets
    let structures: FollowedStructures

    init(_ catalog: Catalog, _ targets: PointerTargets) {
        self.targets = targets
        structures = FollowedStructures(catalog, targets)
    }

    /// Slots of a call: of its x86-64 number, then i386's.
    private static func slots(_ event: EventDefinition) -> [(slot: UInt32, compatNumber: Int?)] {
        guard case .systemCall(let number, let compatNumber, _) = event.source else { return [] }
        return (number.map { [(UInt32($0), nil)] } ?? [])
            + (compatNumber.map { [(UInt32($0) + UInt32(APUS_SYSCALL_SLOTS), $0)] } ?? [])
    }

    /// Rows to write, by slot.
    func rows(
        _ wanted: [(event: EventDefinition, policies: UInt64)]
    ) -> [(slot: UInt32, row: apus_syscall_row)] {
        wanted.flatMap { event, policies in
            Self.slots(event).map { ($0.slot, row(event, policies, compatNumber: $0.compatNumber)) }
        }
    }

    /// What calls take by one of their arguments.
    func forms(_ catalog: Catalog) -> [(key: apus_form_key, form: apus_form)] {
        var all: [(key: apus_form_key, form: apus_form)] = []
        for event in catalog.events {
            guard targets.usesForms, let forms = event.forms else { continue }
            let names = SymbolTable.named(forms.table)
            for (slot, compatNumber) in Self.slots(event) {
                for one in forms.cases {
                    var form = form(one.arguments, compatNumber: compatNumber)
                    (form.descriptors, form.directories) = descriptors(one, event)
                    for value in forms.values(of: one, named: { names?.value(ofName: $0) }) {
                        all.append((apus_form_key(slot: slot, value: value), form))
                    }
                }
            }
        }
        return all
    }

    /// The argument that points at how much room there is for what is read: the call leaves there how much it would need,
    /// so that it must be read before.
    private static func room(_ arguments: [FieldDefinition], _ targets: PointerTargets) -> Int? {
        for field in arguments where kind(field.type) != APUS_READ_NONE || targets.reads(field) {
            if case .pointedBy(let index) = field.length { return index }
        }
        return nil
    }

    /// Whether something of this call is read when it is entered.
    static func needsEntry(_ event: EventDefinition, _ targets: PointerTargets) -> Bool {
        guard case .systemCall(_, _, let trait) = event.source else { return false }
        if trait == .noReturn || targets.entryTimes { return true }
        let arguments = readArguments(event, targets)
        if targets.descriptors && (event.fields + formsArguments(event)).contains(where: \.isDescriptor) {
            return true
        }
        return room(arguments, targets) != nil
            || arguments.contains {
                ($0.direction == .in || $0.direction == .inout && targets.structures)
                    && (kind($0.type) != APUS_READ_NONE || targets.reads($0))
            }
    }

    /// What may be read, in all forms.
    private static func readArguments(_ event: EventDefinition, _ targets: PointerTargets)
        -> [FieldDefinition]
    {
        event.fields + (targets.forms(event) == nil ? [] : formsArguments(event))
    }

    private static func formsArguments(_ event: EventDefinition) -> [FieldDefinition] {
        event.forms?.cases.flatMap { $0.arguments.map(\.field) } ?? []
    }

    private func row(_ event: EventDefinition, _ policies: UInt64, compatNumber: Int?) -> apus_syscall_row {
        var row = apus_syscall_row()
        guard case .systemCall(_, _, let trait) = event.source else { return row }
        row.policies = policies
        row.event = event.id.rawValue
        row.index = UInt16(event.index)
        row.arg_count = UInt8(event.fields.count - 1)
        var flags: Int32 = 0
        switch trait {
        case .noReturn: flags |= APUS_ROW_EMIT_AT_ENTRY
        case .returnsTwice: flags |= APUS_ROW_RETURNS_TWICE
        case .replacesMemory: flags |= APUS_ROW_REPLACES_MEMORY
        case .intResult: flags |= APUS_ROW_INT_RESULT
        case nil: break
        }
        if let room = Self.room(Self.readArguments(event, targets), targets) {
            row.room = UInt8(1 + room)
            flags |= APUS_ROW_NEEDS_ENTRY
        }
        if compatNumber != nil {
            row.joins = Self.joins[event.name] ?? 0
            // CONFIG_CLONE_BACKWARDS
            if event.name == "clone" { flags |= APUS_ROW_SWAPS }
        }
        // What never returns takes no time.
        if targets.entryTimes && trait != .noReturn { flags |= APUS_ROW_NEEDS_ENTRY }
        let own = CallCase(row: event)
        let forms = targets.usesForms ? event.forms : nil
        if let forms {
            flags |= APUS_ROW_HAS_FORMS
            row.selector = UInt8(forms.selector)
            row.mask = forms.mask
        }
        let cases = forms?.cases ?? []
        let others = cases.first(where: \.names.isEmpty) ?? own
        if targets.structures {
            for one in cases { flags |= Self.moments(form(one.arguments, compatNumber: compatNumber)) }
        }
        (row.halves, row.signs) = Self.halves(event)
        let form = form((targets.structures ? others : own).arguments, compatNumber: compatNumber)
        (row.readers, row.reads) = (form.readers, form.reads)
        (row.descriptors, row.directories) = descriptors(others, event)
        if targets.descriptors {
            for (index, field) in own.arguments where field.type == .int32Pair { row.pairs |= 1 << index }
            let all = (cases + [own]).reduce(0) { $0 | descriptors($1, event).all }
            if all & ~Self.resultBit != 0 { flags |= APUS_ROW_NEEDS_ENTRY }
            if all & Self.resultBit != 0 { flags |= APUS_ROW_READS_AT_EXIT }
        }
        row.flags = UInt8(flags | Self.moments(form))
        return row
    }

    /// Numbers of 64 bits that 32-bit callers hand over in two registers (arch/x86/kernel/sys_ia32.c).
    private static let joins: [String: UInt8] = [
        "pread64": 8, "pwrite64": 8, "truncate64": 2, "ftruncate64": 2, "readahead": 2, "fadvise64": 2,
        "fadvise64_64": 6, "sync_file_range": 6, "fallocate": 12, "fanotify_mark": 4,
    ]

    /// A bit for each argument of which the kernel takes the low half of the register, where that is not seen from the type:
    /// where the type has 64 bits, or the argument counts what is read. And of them, for each that has a sign.
    private static func halves(_ event: EventDefinition) -> (all: UInt8, signed: UInt8) {
        var (all, signed) = (UInt8(0), UInt8(0))
        for (index, field) in event.fields.enumerated() {
            guard let half = field.lowHalf else { continue }
            all |= 1 << index
            if half == .signed { signed |= 1 << index }
        }
        for field in event.fields + formsArguments(event) {
            for index in [field.length?.argument, field.room?.argument] {
                guard let index, [.int32, .uint32].contains(event.fields[index].type) else { continue }
                all |= 1 << index
            }
        }
        return (all, signed)
    }

    private static let resultBit = UInt8(1 << APUS_LENGTH_RETURN_VALUE.rawValue)

    /// A bit for each argument that is a descriptor, and for the result; and of them, those that may be AT_FDCWD.
    private func descriptors(_ one: CallCase, _ event: EventDefinition) -> (all: UInt8, directories: UInt8) {
        guard targets.descriptors else { return (0, 0) }
        var (all, directories) = (UInt8(0), UInt8(0))
        for (index, field) in one.arguments where field.isDescriptor {
            all |= 1 << index
            if field.isDirectory { directories |= 1 << index }
        }
        if one.result ?? event.result == FieldDefinition.descriptor { all |= Self.resultBit }
        return (all, directories)
    }

    /// How arguments are read, and when which of them are.
    private func form(
        _ arguments: [(index: Int, field: FieldDefinition)], compatNumber: Int?
    ) -> apus_form {
        var form = apus_form()
        for (index, field) in arguments {
            let reader = reader(field, compatNumber: compatNumber)
            unsafe withUnsafeMutableBytes(of: &form.readers) { bytes in
                unsafe bytes.storeBytes(
                    of: reader, toByteOffset: index * MemoryLayout<apus_reader>.stride, as: apus_reader.self)
            }
            guard UInt32(reader.kind) != APUS_READ_NONE.rawValue else { continue }
            let bit = UInt8(1 << index)
            switch UInt32(reader.phase) {
            case APUS_AT_ENTRY.rawValue: form.reads.0 |= bit
            case APUS_AT_BOTH.rawValue:
                form.reads.0 |= bit
                form.reads.1 |= bit
            case APUS_AT_EXIT.rawValue: form.reads.1 |= bit
            default: form.reads.2 |= bit
            }
        }
        return form
    }

    /// When something is read, as flags of a row.
    private static func moments(_ form: apus_form) -> Int32 {
        (form.reads.0 != 0 ? APUS_ROW_NEEDS_ENTRY : 0)
            | (form.reads.1 | form.reads.2 != 0 ? APUS_ROW_READS_AT_EXIT : 0)
    }

    private static func kind(_ type: FieldType) -> apus_reader_kind {
        switch type {
        case .string: APUS_READ_STRING
        case .stringArray: APUS_READ_STRING_ARRAY
        case .socketAddress, .int32Pair, .timespec: APUS_READ_BYTES
        case .int32, .uint32, .int64, .uint64, .uint16, .bool, .pointer, .time, .bytes, .uint64Array,
            .credentials:
            APUS_READ_NONE
        }
    }

    /// Bytes that are read of a structure, or of an array of it, at most: FOLLOWED_ELEMENTS of the kernel's programs.
    static func limit(_ structure: StructureDefinition, isArray: Bool) -> UInt16 {
        UInt16(isArray ? min(32, Int(APUS_MAX_STRING) / structure.size) * structure.size : structure.size)
    }

    private func reader(_ field: FieldDefinition, compatNumber: Int?) -> apus_reader {
        var reader = apus_reader()
        var kind = Self.kind(field.type)
        reader.length = UInt8(APUS_LENGTH_ONE.rawValue)
        switch field.type {
        case .string:
            // With a length it is not NUL-terminated: a buffer that the call filled.
            if field.length != nil { kind = APUS_READ_BYTES }
            reader.element = 1
            reader.limit = UInt16(APUS_MAX_STRING)
        case .socketAddress:
            reader.element = 1
            reader.limit = 128  // sizeof(struct sockaddr_storage)
        case .int32Pair:
            reader.element = 8
            reader.limit = 8
        case .timespec:
            // i386 numbers below 403 take struct old_timespec32 (arch/x86/entry/syscalls/syscall_32.tbl).
            reader.element = (compatNumber ?? 403) < 403 ? 8 : 16
            reader.limit = reader.element
        case .pointer:
            guard targets.reads(field) else { break }
            guard let structure = field.structure else {
                kind = APUS_READ_BYTES
                reader.element = 1
                reader.limit = UInt16(min(targets.payload, Int(APUS_MAX_STRING)))
                break
            }
            guard structure.isSameForAll || compatNumber == nil else { break }
            kind = APUS_READ_BYTES
            if case .bits = field.length { kind = APUS_READ_BITS }
            let isSized = field.length != nil && !field.isArray
            reader.element = UInt16(isSized ? 1 : structure.size)
            reader.limit = Self.limit(structure, isArray: field.isArray)
            // 32-bit callers have pointers of 4 bytes.
            if compatNumber == nil || structure.pointers.isEmpty {
                reader.structure = structures.number(of: structure)
            }
        case .stringArray, .int32, .uint32, .int64, .uint64, .uint16, .bool, .time, .bytes, .uint64Array,
            .credentials:
            break
        }
        reader.kind = UInt8(kind.rawValue)
        switch field.direction {
        case .inout where targets.structures: reader.phase = UInt8(APUS_AT_BOTH.rawValue)
        case .out, .inout: reader.phase = UInt8(APUS_AT_EXIT.rawValue)
        case .outInterrupted: reader.phase = UInt8(APUS_AT_EXIT_INTERRUPTED.rawValue)
        case .in, .opaque, nil: reader.phase = UInt8(APUS_AT_ENTRY.rawValue)
        }
        switch field.length {
        case .argument(let index), .bits(let index): reader.length = UInt8(index)
        case .pointedBy(let index): reader.length = UInt8(APUS_LENGTH_POINTED.rawValue) + UInt8(index)
        case .returnValue: reader.length = UInt8(APUS_LENGTH_RETURN_VALUE.rawValue)
        case nil: break
        }
        if let room = field.room {
            reader.length |=
                UInt8(1 + (room.argument ?? Int(APUS_LENGTH_RETURN_VALUE.rawValue))) << APUS_ROOM_SHIFT
            if room.isAllOrNothing { reader.length |= UInt8(APUS_ROOM_ALL_OR_NOTHING) }
        }
        return reader
    }
}
