/// Number of an event in the output and on the wire. Tracee's external number where Tracee has the
/// event; 10000 + the number for system calls that it lacks.
public struct EventID: RawRepresentable, Hashable, Sendable, Comparable {
    public let rawValue: UInt32
    public init(rawValue: UInt32) { self.rawValue = rawValue }
    public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
}

/// One event: everything the rest of the system knows about it.
public struct EventDefinition: Sendable {
    public let id: EventID
    /// Dense, from 0: its place in ``Catalog/events`` and in the kernel's counters.
    public internal(set) var index: Int
    public let name: String
    public let sets: [String]
    /// In output order. A system call's last field is `returnValue`.
    public internal(set) var fields: [FieldDefinition]
    public let source: EventSource
    /// One sentence.
    public let about: String
    /// Fields of each record; what else there is the agent adds at the end, when it is asked for.
    public var kernelFieldCount: Int { fields.firstIndex { $0.provenance.contains(.agent) } ?? fields.count }
    public var isSystemCall: Bool { if case .systemCall = source { true } else { false } }
    /// A system call that only 32-bit programs have.
    public var isCompatOnly: Bool { if case .systemCall(nil, _, _) = source { true } else { false } }
    /// There are so many of it that it gives way to others when a ring is nearly full.
    public internal(set) var isBulk = false
    /// A system call whose other arguments depend on one of them.
    public internal(set) var forms: CallForms?
    /// What a system call returns where it does not fail, as ``CallCase/result``.
    public internal(set) var result: String?
}

/// Where an event comes from.
public enum EventSource: Sendable, Equatable {
    /// Numbers in the x86-64 and the i386 table; one may be missing.
    case systemCall(number: Int?, compatNumber: Int?, trait: SystemCallTrait?)
    /// Hooks in the kernel, all of which it needs but the optional ones.
    case hooks([Hook])
    /// The agent itself: once at start, or when it has something to tell.
    case agent
}

/// How a system call returns, where not just once to its caller.
public enum SystemCallTrait: String, Sendable, CaseIterable {
    /// Reported at entry, with a return value of 0.
    case noReturn = "no-return"
    /// The child's return is not the return of a call that it made.
    case returnsTwice = "returns-twice"
    /// On success the caller's memory and registers are gone.
    case replacesMemory = "replaces-memory"
    /// An `int`, which the kernel does not extend to the width of a register where it is negative.
    case intResult = "int-result"
}

/// What a value is and how it is printed. The raw values are the catalogue's spelling.
public enum FieldType: String, Sendable, CaseIterable {
    case int32, uint32, int64, uint64, uint16, bool
    case pointer
    case string
    case stringArray = "string[]"
    case bytes
    case uint64Array = "uint64[]"
    /// `struct apus_credentials`.
    case credentials
    case socketAddress = "sockaddr"
    case int32Pair = "int32[2]"
    case timespec
    /// Nanoseconds since boot in the record, since 1970 in the output.
    case time

    /// One integer, which may stand for a constant or for flags.
    var isNumber: Bool {
        switch self {
        case .int32, .uint32, .int64, .uint64, .uint16: true
        default: false
        }
    }
}

/// Which way data goes through a pointer.
public enum Direction: String, Sendable {
    case `in`, out, `inout`
    /// Written only when the call was interrupted: the time that a sleep had left.
    case outInterrupted = "out-interrupted"
    /// An address that is not read through, or no address at all.
    case opaque
}

/// How many bytes a pointer argument points at.
public enum LengthSource: Sendable, Equatable {
    case argument(Int)
    /// The 32-bit integer that the argument points at.
    case pointedBy(Int)
    case returnValue
    /// The argument tells a number of bits.
    case bits(Int)

    /// The argument that is the length.
    public var argument: Int? {
        switch self {
        case .argument(let index), .bits(let index): index
        case .pointedBy, .returnValue: nil
        }
    }
}

/// What the kernel takes of a register in place of all 64 bits: the lower 32.
public enum LowHalf: String, Sendable {
    case signed = "int"
    case unsigned = "uint"
}

/// How much room the caller gave for what a call says the length of, where the call may say more than it wrote.
public struct Room: Sendable, Equatable {
    /// The argument that says it; nil: the return value, where what is written does not depend on an argument.
    public let argument: Int?
    /// With less room nothing is written; else as much as there is room for.
    public let isAllOrNothing: Bool
}

public struct FieldDefinition: Sendable {
    public let name: String
    public let type: FieldType
    /// The table of `Catalog/symbols` with the names of its numbers: of constants, or of flags. Only numbers
    /// have one; a number without means itself, or what it means depends on another field.
    public let symbols: String?
    /// What a pointer points at.
    public internal(set) var structure: StructureDefinition?
    /// For what is, or is reached through, a user pointer.
    public let direction: Direction?
    public let length: LengthSource?
    public internal(set) var room: Room?
    /// Of a number of 64 bits of which the kernel takes fewer.
    public internal(set) var lowHalf: LowHalf?
    /// `length` counts structures, and not bytes.
    public let isArray: Bool
    /// May be null or missing.
    public let isOptional: Bool
    /// Where the printed value comes from.
    public let provenance: Provenance
    public let about: String

    /// A descriptor, of the caller's table of open files.
    public var isDescriptor: Bool { symbols == Self.descriptor || isDirectory }
    /// A descriptor of a directory, or `AT_FDCWD` for the one that the caller is in.
    public var isDirectory: Bool { symbols == "dir_fd" }
    /// What numbers are in place of a table that are descriptors; for results too.
    public static let descriptor = "fd"

    /// An address of bytes.
    public var isBuffer: Bool { type == .pointer && structure == nil }

    /// The argument that says how many bits a set has.
    public var countOfBits: Int? { if case .bits(let index) = length { index } else { nil } }

    /// For an address: where what it points at comes from.
    public var targetProvenance: Provenance? {
        guard type == .pointer, let direction, direction != .opaque else { return nil }
        return Provenance.throughUserPointer(direction, isOptional: isOptional)
    }
}

/// Where a value was read, and how far to trust it.
public struct Provenance: OptionSet, Sendable {
    public let rawValue: UInt8
    public init(rawValue: UInt8) { self.rawValue = rawValue }

    /// From kernel memory or a register.
    public static let kernel = Provenance(rawValue: 1)
    /// From user memory.
    public static let user = Provenance(rawValue: 2)
    /// The kernel makes its own copy at another moment: the caller may show us one value and it another.
    public static let raceable = Provenance(rawValue: 4)
    /// May be null or missing.
    public static let optional = Provenance(rawValue: 8)

    /// The agent adds it, when it is asked for. Such fields come last.
    public static let agent = Provenance(rawValue: 16)

    /// The tags in their usual order: `K U TOCTOU OPT AGENT`.
    public var tags: [String] {
        var tags: [String] = []
        if contains(.kernel) { tags.append("K") }
        if contains(.user) { tags.append("U") }
        if contains(.raceable) { tags.append("TOCTOU") }
        if contains(.optional) { tags.append("OPT") }
        if contains(.agent) { tags.append("AGENT") }
        return tags
    }

    static func throughUserPointer(_ direction: Direction, isOptional: Bool) -> Provenance {
        var provenance: Provenance = .user
        if direction == .in || direction == .inout { provenance.insert(.raceable) }
        if isOptional { provenance.insert(.optional) }
        return provenance
    }
}
