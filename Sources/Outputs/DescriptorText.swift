internal import Events
internal import Symbols

/// In what the name of a descriptor's file stands.
enum DescriptorStyle {
    /// `3</etc/passwd>`, as strace escapes it.
    case strace
    /// The same for a terminal.
    case table
    /// `3=/etc/passwd` inside of a string.
    case json
}

/// Looked up once.
private enum NetlinkProtocols {
    static let table = SymbolTable.named("netlink_protocol")
}

extension ByteBuffer {
    /// Writes behind a descriptor what it was open on: `</etc/passwd>`. Nothing where that has no name.
    /// - Parameter after: Room for what is written afterwards.
    mutating func append(
        _ descriptor: borrowing DescriptorView, of event: EventView, _ style: DescriptorStyle, after: Int
    ) {
        let name = event.part(.name, of: descriptor)
        let local = event.part(.local, of: descriptor)
        reserve(320 + 6 * ((name?.bytes.byteCount ?? 0) + (local?.bytes.byteCount ?? 0)) + after)
        let start = count
        append(style == .json ? "=" : "<")
        switch descriptor.kind {
        case .file, .memory:
            guard let name else { return truncate(to: start) }
            if descriptor.kind == .memory { append("/") }
            append(path: name, style)
        case .pipe: append("pipe:")
        case .anonymous:
            append("anon_inode:")
            if let name { append(text: name.bytes, style) }
        case .namespace:
            if let name { append(text: name.bytes, style) }
            append(":")
        case .process: append("anon_inode:[pidfd]")
        case .unixSocket, .internetSocket, .netlinkSocket, .otherSocket:
            if let name, name.bytes.byteCount > 0 {
                append(text: name.bytes, style)
            } else {
                append("socket")
            }
            append(":")
        }
        switch descriptor.kind {
        case .file, .memory, .anonymous, .process: break
        case .pipe, .namespace, .otherSocket: append(number: descriptor.inode)
        case .unixSocket: append(unix: descriptor, local, style)
        case .internetSocket:
            append(internet: descriptor, name, local, event.part(.remote, of: descriptor))
        case .netlinkSocket: append(netlink: descriptor)
        }
        // Of the current directory strace shows what the kernel says of it, as it is.
        let isInside = style == .json || descriptor.number == Self.currentDirectory
        if descriptor.isDeleted && isInside { append(" (deleted)") }
        if style != .json { append(">") }
        if descriptor.isDeleted && !isInside { append("(deleted)") }
    }

    private static let currentDirectory: Int32 = -100  // AT_FDCWD

    /// Writes the two descriptors of a pair: `[3<pipe:[7]>, 4<pipe:[7]>]`, in JSON an array of strings.
    mutating func append(
        descriptors pair: borrowing BlobView, of event: EventView, separator: StaticString,
        _ style: DescriptorStyle, after: Int
    ) {
        let bytes = pair.bytes
        guard bytes.byteCount >= 8 else { return }
        append("[")
        for index in 0..<2 {
            let offset = index * 4
            let number = unsafe bytes.unsafeLoadUnaligned(fromByteOffset: offset, as: Int32.self)
            if offset > 0 { append(separator) }
            if style == .json { append("\"") }
            append(decimal: Int64(number))
            if let descriptor = event.descriptor(Int64(number), in: pair.field) {
                append(descriptor, of: event, style, after: after)
            }
            if style == .json { append("\"") }
        }
        append("]")
    }

    /// Writes a descriptor that stands in what a field points at: `3</etc/passwd>`, in JSON the text `"3=/etc/passwd"`, and
    /// a number where it was not open. An ellipsis stands for what was not told, as there were too many.
    /// - Parameters:
    ///   - number: With its sign, as the structure has it.
    ///   - isWide: JSON has such a number as text, too.
    mutating func append(
        descriptor number: Int64, in field: Int, of event: borrowing EventView, isWide: Bool = false,
        _ style: StructureStyle, after: Int
    ) {
        let descriptor = event.descriptor(number, in: field)
        let isUntold = descriptor == nil && number >= 0 && event.hasMoreDescriptors(in: field)
        let isText = style == .json && (isWide || descriptor != nil || isUntold)
        if isText { append("\"") }
        append(decimal: number)
        if let descriptor {
            append(descriptor, of: event, style == .json ? .json : .strace, after: after)
        } else if isUntold {
            append(style == .json ? "=…" : "<...>")
        }
        if isText { append("\"") }
    }

    /// The inode: `[123]`.
    private mutating func append(number: UInt64) {
        append("[")
        append(decimal: number)
        append("]")
    }

    private mutating func append(text: RawSpan, _ style: DescriptorStyle) {
        switch style {
        case .strace: append(cText: text, escapesAngles: true)
        case .table: append(visible: text, escapesAngles: true)
        case .json: append(jsonText: text)
        }
    }

    /// Of a path of more than 4,095 bytes the beginning is there; of one too deep the end, behind an ellipsis.
    private mutating func append(path: borrowing BlobView, _ style: DescriptorStyle) {
        let bytes = path.bytes
        guard path.isTruncated else { return append(text: bytes, style) }
        let mark: StaticString = style == .strace ? "..." : "…"
        if Self.lacksBeginning(bytes) {
            append(mark)
            append(text: bytes.extracting(droppingFirst: 3), style)
        } else {
            append(text: bytes, style)
            append(mark)
        }
    }

    /// It begins with an ellipsis (U+2026).
    private static func lacksBeginning(_ path: RawSpan) -> Bool {
        guard path.byteCount >= 3 else { return false }
        return unsafe path.unsafeLoadUnaligned(as: UInt16.self) == 0x80e2
            && path.unsafeLoad(fromByteOffset: 2, as: UInt8.self) == 0xa6
    }

    // MARK: Sockets

    /// `[123->124,"/run/x"]`, of an abstract name `@"x"`.
    private mutating func append(
        unix descriptor: borrowing DescriptorView, _ local: BlobView?, _ style: DescriptorStyle
    ) {
        append("[")
        append(decimal: descriptor.inode)
        if descriptor.peer != 0 {
            append("->")
            append(decimal: descriptor.peer)
        }
        if let bytes = local?.bytes, case .unix(let path, let isAbstract)? = SocketAddress(bytes),
            isAbstract || path.byteCount > 0
        {
            append(isAbstract ? ",@" : ",")
            append(style == .json ? "\\\"" : "\"")
            // In quotes strace leaves angle brackets alone.
            if style == .strace {
                append(cText: path, escapesAngles: false)
            } else {
                append(text: path, style)
            }
            append(style == .json ? "\\\"" : "\"")
        }
        append("]")
    }

    /// The protocols whose addresses have ports: others keep something else there.
    private static func hasPorts(_ name: RawSpan) -> Bool {
        guard name.byteCount >= 3 else { return false }
        // What they begin with; `TCPv6` and `UDPLITE` do as well.
        let first = (0..<3).reduce(UInt32(0)) {
            $0 << 8 | UInt32(unsafe name.unsafeLoad(fromByteOffset: $1, as: UInt8.self))
        }
        switch first {
        case 0x544350, 0x554450, 0x534354, 0x444343, 0x4d5054: return true  // TCP UDP SCT DCC MPT
        default: return false
        }
    }

    /// `[127.0.0.1:80->127.0.0.1:4711]`; one with neither port is told by its inode.
    private mutating func append(
        internet descriptor: borrowing DescriptorView, _ name: BlobView?,
        _ local: BlobView?, _ remote: BlobView?
    ) {
        let start = count
        guard let protocolName = name?.bytes, Self.hasPorts(protocolName), let local, let remote else {
            return append(number: descriptor.inode)
        }
        append("[")
        let hasLocal = append(endpoint: local)
        let end = count
        append("->")
        let hasRemote = append(endpoint: remote)
        if !hasRemote { truncate(to: end) }
        append("]")
        if hasLocal || hasRemote { return }
        truncate(to: start)
        append(number: descriptor.inode)
    }

    /// Returns whether it has a port.
    private mutating func append(endpoint blob: borrowing BlobView) -> Bool {
        guard let address = SocketAddress(blob.bytes) else { return false }
        switch address {
        case .ipv4(let bits, let port):
            append(ipv4: bits)
            append(":")
            append(decimal: UInt64(port))
            return port != 0
        case .ipv6(let bytes, let port, _, _):
            append("[")
            append(ipv6: bytes)
            append("]:")
            append(decimal: UInt64(port))
            return port != 0
        case .unix, .other: return false
        }
    }

    /// `[ROUTE:4711]`; one without a port is told by its inode.
    private mutating func append(netlink descriptor: borrowing DescriptorView) {
        guard descriptor.port != 0 else { return append(number: descriptor.inode) }
        append("[")
        let start = count
        if let table = NetlinkProtocols.table {
            table.forEachPart(of: UInt64(descriptor.socketProtocol), width: 16) { part in
                // NETLINK_ROUTE
                if case .name(let name) = part, name.bytes.byteCount > 8 {
                    append(name.bytes.extracting(droppingFirst: 8))
                }
            }
        }
        if count == start { append(decimal: UInt64(descriptor.socketProtocol)) }
        append(":")
        append(decimal: UInt64(descriptor.port))
        append("]")
    }
}
