internal import Catalog
internal import Symbols

/// How a number is said in words: by the names of constants that the catalogue gives it.
enum NumberWords {
    /// The number itself.
    case none
    /// Names of constants or flags, of a number with so many bits. They take at most `room` bytes.
    case names(SymbolTable, width: Int, room: Int, unknown: UnknownNumber = .hexadecimal)
    /// What a system call returned: a failure by its name.
    case result(SymbolTable)
    /// Permissions, and what kind of file.
    case mode(width: Int)
    /// Permissions alone: kinds of files have no names there.
    case permissions(width: Int)
    /// A number of a device, as major and minor.
    case device
    /// A user or a group, or -1 for none.
    case id
    /// What a packet carries, in the order of bytes of networks.
    case packetProtocol(SymbolTable)
    /// A class of I/O and the priority in it.
    case ioPriority(SymbolTable)
    /// A descriptor that the kernel takes for unsigned, so that -1 is none.
    case descriptor
    /// A descriptor of a directory, or the directory that a process is in.
    case directory
    /// What is read more easily in hexadecimal: offsets in mappings, magic numbers.
    case hexadecimal(width: Int)
    /// An address in an argument that may be a number as well.
    case address
    /// What a program keeps with a descriptor that it polls: a number of 32 bits or of 64 (`epoll_data_t`).
    case epollData
    /// What FUTEX_WAKE_OP does: names of operations, and of comparisons.
    case wake(SymbolTable, SymbolTable)
    /// Most of something: a number that is a multiple of 1,024 as a product, and the largest by this name.
    case limit(StaticString)

    /// Ways of the catalogue that are no tables.
    private static let ways: [String: NumberWords] = [
        "fd": .none, "dir_fd": .directory, "address": .address, "device": .device, "id": .id,
        "epoll_data": .epollData,
        "limit": .limit("RLIM_INFINITY"), "limit64": .limit("RLIM64_INFINITY"),
    ]
    /// The table of `errno`, of which failed calls return the negative.
    private static let errors = "errno"

    init(_ field: FieldDefinition) {
        self.init(field.type == .pointer ? nil : field.symbols, width: Self.width(field.type))
        if field.symbols == FieldDefinition.descriptor, field.type != .int32 { self = .descriptor }
    }

    /// Bits of a number of a type.
    static func width(_ type: FieldType) -> Int {
        switch type {
        case .uint16: 16
        case .int32, .uint32: 32
        default: 64
        }
    }

    init(_ member: StructureMember) { self.init(member.symbols, width: 8 * member.type.size) }

    /// - Parameters:
    ///   - name: A table, or one of the ways that are none.
    ///   - width: Bits of the number.
    init(_ name: String?, width: Int) {
        self = name.flatMap { Self.ways[$0] } ?? .none
        if name == "mode" { self = .mode(width: width) }
        // The kernel's umode_t has 16 bits.
        if name == "permissions" { self = .permissions(width: width == 32 ? 16 : width) }
        if name == "hex" { self = .hexadecimal(width: width) }
        if name == "futex_wake", let operations = SymbolTable.named("futex_wake_operation"),
            let comparisons = SymbolTable.named("futex_wake_comparison")
        {
            self = .wake(operations, comparisons)
        }
        if name == "ioprio", let classes = SymbolTable.named("ioprio_class") { self = .ioPriority(classes) }
        if name == "packet_protocol", let table = SymbolTable.named("ethernet_protocol") {
            self = .packetProtocol(table)
        }
        if name == "error", let table = SymbolTable.named(Self.errors) {
            self = .names(table, width: width, room: table.longestText + 24, unknown: .decimal)
        }
        guard case .none = self, let name, let table = SymbolTable.named(name) else { return }
        self =
            name == Self.errors
            ? .result(table)
            : .names(
                table, width: width, room: max(64, table.longestText + 24), unknown: UnknownNumber(name))
    }

    /// Calls return `-errno` in this range (MAX_ERRNO, include/linux/err.h).
    static let failures = Int64(-4095)..<0
    private static let currentDirectory: Int32 = -100  // AT_FDCWD

    /// The most that ``append(_:to:)`` writes.
    var room: Int {
        switch self {
        case .none: 0
        case .names(_, _, let room, _): room
        case .result, .mode, .permissions, .device, .id, .descriptor, .directory, .hexadecimal, .address,
            .epollData, .limit:
            48
        case .wake, .ioPriority, .packetProtocol: 128
        }
    }

    /// Writes the number in words, if it has any. The room is the caller's.
    @inline(__always)
    func append(_ value: UInt64, to buffer: inout ByteBuffer) -> Bool {
        switch self {
        case .none: return false
        case .names(let table, let width, _, let unknown):
            buffer.append(value, by: table, width: width, unknown: unknown)
        case .mode(let width): buffer.append(mode: value & (.max >> UInt64(64 - width)))
        case .permissions(let width): buffer.append(permissions: value & (.max >> UInt64(64 - width)))
        case .device: buffer.append(device: value)
        case .id:
            let id = UInt32(truncatingIfNeeded: value)
            buffer.append(decimal: id == .max ? -1 : Int64(id))
        case .packetProtocol(let table):
            buffer.append("htons(")
            buffer.append(UInt64(UInt16(truncatingIfNeeded: value).byteSwapped), by: table, width: 16)
            buffer.append(")")
        case .ioPriority(let classes):
            buffer.append(ioPriority: UInt32(truncatingIfNeeded: value), classes)
        case .descriptor: buffer.append(decimal: Int64(Int32(truncatingIfNeeded: value)))
        case .directory:
            guard Int32(truncatingIfNeeded: value) == Self.currentDirectory else { return false }
            buffer.append("AT_FDCWD")
        case .wake(let operations, let comparisons):
            buffer.append(wake: UInt32(truncatingIfNeeded: value), operations, comparisons)
        case .hexadecimal(let width): buffer.append(bits: value & (.max >> UInt64(64 - width)))
        case .address:
            if value == 0 { buffer.append("NULL") } else { buffer.append(hexadecimal: value) }
        case .epollData:
            buffer.append("{u32=")
            buffer.append(decimal: value & 0xffff_ffff)
            buffer.append(", u64=")
            buffer.append(decimal: value)
            buffer.append("}")
        case .limit(let infinity):
            if value == .max {
                buffer.append(infinity)
            } else if value > 1024 && value % 1024 == 0 {
                buffer.append(decimal: value / 1024)
                buffer.append("*1024")
            } else {
                buffer.append(decimal: value)
            }
        case .result(let table):
            let result = Int64(bitPattern: value)
            guard Self.failures.contains(result) else { return false }
            buffer.append("-")
            buffer.append(UInt64(-result), by: table, width: 64, unknown: .decimal)
        }
        return true
    }
}

/// How a number is said that its table has no name for.
enum UnknownNumber {
    case hexadecimal
    /// Most of these numbers stand for themselves.
    case decimal
    /// A request of `ioctl` says what it is made of.
    case request
    /// The nine lowest bits are permissions, and always shown.
    case permissions

    /// Tables of which some numbers have names: signals, keys, processes, times.
    private static let numbers: Set<String> = [
        "signal", "keyring", "keyctl_default_keyring", "prctl_ptracer", "utime_nsec", "iocb_command",
    ]

    init(_ table: String) {
        switch table {
        case "ioctl_request": self = .request
        case "ipc_get_flags", "shmget_flags": self = .permissions
        default: self = Self.numbers.contains(table) ? .decimal : .hexadecimal
        }
    }
}

extension ByteBuffer {
    /// Names joined by `|`, and at the end what has none: of flags in hexadecimal, else as `unknown` says. The room is the
    /// caller's.
    mutating func append(
        _ value: UInt64, by table: SymbolTable, width: Int, unknown: UnknownNumber = .hexadecimal
    ) {
        let start = count
        let hasPermissions = unknown == .permissions
        table.forEachPart(of: hasPermissions ? value & ~0o777 : value, width: width) { part in
            if hasPermissions, case .number(0) = part { return }
            if count > start { append("|") }
            switch part {
            case .name(let name): append(name.bytes)
            case .number(let rest):
                switch unknown {
                case .decimal where table.kind == .enumeration:
                    append(decimal: Self.extended(rest, width: width))
                case .request: append(request: UInt32(truncatingIfNeeded: rest))
                case .hexadecimal, .decimal, .permissions: append(bits: rest)
                }
            }
        }
        if hasPermissions {
            if count > start { append("|") }
            append(permissions: value & 0o777)
        }
    }

    /// Hexadecimal as programmers write it: `0x10`, and `0`. At most 18 bytes.
    mutating func append(bits value: UInt64) {
        if value == 0 { append("0") } else { append(hexadecimal: value) }
    }

    /// The name of a number that has one; else nothing is written. The room is the caller's.
    mutating func append(nameOf value: UInt64, by words: NumberWords) -> Bool {
        guard case .names(let table, let width, _, _) = words else { return false }
        let start = count
        var isNamed = true
        table.forEachPart(of: value, width: width) { part in
            if count > start { append("|") }
            if case .name(let name) = part { append(name.bytes) } else { isNamed = false }
        }
        if !isNamed { truncate(to: start) }
        return isNamed
    }

    /// A number of some bits with its sign.
    static func extended(_ value: UInt64, width: Int) -> Int64 {
        let unused = UInt64(64 - width)
        return Int64(bitPattern: value << unused) >> Int64(unused)
    }

    /// Kinds of files by name, and permissions in octal: `S_IFREG|S_ISUID|0755`, `0644`. The bits are those of
    /// include/uapi/linux/stat.h. At most 48 bytes; the room is the caller's.
    mutating func append(mode: UInt64) {
        let kind: StaticString? =
            switch mode >> 12 & 15 {
            case 1: "S_IFIFO|"
            case 2: "S_IFCHR|"
            case 4: "S_IFDIR|"
            case 6: "S_IFBLK|"
            case 8: "S_IFREG|"
            case 10: "S_IFLNK|"
            case 12: "S_IFSOCK|"
            default: nil
            }
        var rest = mode
        if let kind {
            append(kind)
            rest &= ~0o170000
        }
        if rest != mode {
            if rest & 0o4000 != 0 { append("S_ISUID|") }
            if rest & 0o2000 != 0 { append("S_ISGID|") }
            if rest & 0o1000 != 0 { append("S_ISVTX|") }
            rest &= ~0o7000
        }
        append(permissions: rest)
    }

    /// `0644`, `000`: at least three digits. At most 24 bytes; the room is the caller's.
    mutating func append(permissions: UInt64) {
        append("0")
        if permissions < 0o10 { append("0") }
        append(octal: permissions)
    }

    /// `IOPRIO_PRIO_VALUE(IOPRIO_CLASS_BE, 4)`, as include/uapi/linux/ioprio.h puts it together. The room is the caller's.
    mutating func append(ioPriority value: UInt32, _ classes: SymbolTable) {
        append("IOPRIO_PRIO_VALUE(")
        append(UInt64(value >> 13), by: classes, width: 32)
        append(", ")
        append(decimal: UInt64(value & 0x1fff))
        append(")")
    }

    /// `_IOC(_IOC_READ|_IOC_WRITE, 0x54, 0x1, 0x4)`: direction, kind, number and size, as include/uapi/asm-generic/ioctl.h
    /// puts them together. At most 64 bytes; the room is the caller's.
    mutating func append(request: UInt32) {
        switch request >> 30 {
        case 0: append("_IOC(_IOC_NONE, ")
        case 1: append("_IOC(_IOC_WRITE, ")
        case 2: append("_IOC(_IOC_READ, ")
        default: append("_IOC(_IOC_READ|_IOC_WRITE, ")
        }
        append(bits: UInt64(request >> 8 & 0xff))
        append(", ")
        append(bits: UInt64(request & 0xff))
        append(", ")
        append(bits: UInt64(request >> 16 & 0x3fff))
        append(")")
    }

    /// At most 22 bytes.
    mutating func append(octal value: UInt64) {
        let digits = max(1, (66 - value.leadingZeroBitCount) / 3)
        for place in stride(from: digits - 1, through: 0, by: -1) {
            append(UInt8(ascii: "0") + UInt8(truncatingIfNeeded: value >> UInt64(place * 3) & 7))
        }
    }

    /// `FUTEX_OP_SET<<28|0<<12|FUTEX_OP_CMP_GT<<24|0x1`, as FUTEX_OP() of include/uapi/linux/futex.h puts it together. At
    /// most 128 bytes; the room is the caller's.
    mutating func append(wake value: UInt32, _ operations: SymbolTable, _ comparisons: SymbolTable) {
        if value >> 31 != 0 { append("FUTEX_OP_OPARG_SHIFT<<28|") }
        append(UInt64(value >> 28 & 7), by: operations, width: 32)
        append("<<28|")
        append(bits: UInt64(value >> 12 & 0xfff))
        append("<<12|")
        append(UInt64(value >> 24 & 15), by: comparisons, width: 32)
        append("<<24|")
        append(bits: UInt64(value & 0xfff))
    }

    /// `makedev(0x8, 0x1)`. Programs get 12 bits of the major number and 20 of the minor one (`new_encode_dev`,
    /// include/linux/kdev_t.h). At most 48 bytes; the room is the caller's.
    mutating func append(device: UInt64) {
        append("makedev(")
        append(bits: device >> 8 & 0xfff)
        append(", ")
        append(bits: device & 0xff | device >> 12 & 0xfff00)
        append(")")
    }
}
