internal import Events
internal import Glibc
internal import Symbols

/// Names in addresses of sockets.
private enum AddressWords {
    static let families = SymbolTable.named("socket_family")
    static let protocols = SymbolTable.named("ethernet_protocol")
    static let hardware = SymbolTable.named("hardware_type")
    static let packets = SymbolTable.named("packet_type")
}

extension ByteBuffer {
    /// `{sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr("127.0.0.1")}`, as strace does.
    mutating func append(words address: borrowing SocketAddress, _ bytes: RawSpan) {
        switch address {
        case .ipv4(let bits, let port):
            append("{sa_family=AF_INET, sin_port=htons(")
            append(decimal: UInt64(port))
            append("), sin_addr=inet_addr(\"")
            append(ipv4: bits)
            append("\")}")
        case .ipv6(let address, let port, let flow, let scope):
            append("{sa_family=AF_INET6, sin6_port=htons(")
            append(decimal: UInt64(port))
            append("), sin6_flowinfo=htonl(")
            append(decimal: UInt64(flow))
            append("), inet_pton(AF_INET6, \"")
            append(ipv6: address)
            append("\", &sin6_addr)")
            // The scope was added later.
            if bytes.byteCount >= 28 {
                append(", sin6_scope_id=")
                append(decimal: UInt64(scope))
            }
            append("}")
        case .unix where bytes.byteCount == 2: append("{sa_family=AF_UNIX}")
        case .unix(let path, let isAbstract):
            append(isAbstract ? "{sa_family=AF_UNIX, sun_path=@" : "{sa_family=AF_UNIX, sun_path=")
            // What is behind sun_path does not count.
            append(cString: path.extracting(first: min(path.byteCount, isAbstract ? 107 : 108)))
            append("}")
        // struct sockaddr_nl, include/uapi/linux/netlink.h.
        case .other(UInt16(AF_NETLINK)) where bytes.byteCount >= 12:
            append("{sa_family=AF_NETLINK, nl_pid=")
            append(
                decimal: UInt64(unsafe bytes.unsafeLoadUnaligned(fromByteOffset: 4, as: UInt32.self)))
            append(", nl_groups=")
            let groups = unsafe bytes.unsafeLoadUnaligned(fromByteOffset: 8, as: UInt32.self)
            append(groups == 0 ? "00" : "0x")
            append(UInt64(groups), hexadecimalDigits: max(6, 8 - groups.leadingZeroBitCount / 4))
            append("}")
        // struct sockaddr_ll, include/uapi/linux/if_packet.h.
        case .other(UInt16(AF_PACKET)) where bytes.byteCount >= 20: append(packet: bytes)
        // AF_VSOCK: struct sockaddr_vm, include/uapi/linux/vm_sockets.h.
        case .other(40) where bytes.byteCount >= 16:
            append("{sa_family=AF_VSOCK, svm_cid=")
            let cid = unsafe bytes.unsafeLoadUnaligned(fromByteOffset: 8, as: UInt32.self)
            switch cid {
            case .max: append("VMADDR_CID_ANY")
            case 0: append("VMADDR_CID_HYPERVISOR")
            case 1: append("VMADDR_CID_LOCAL")
            case 2: append("VMADDR_CID_HOST")
            default: append(bits: UInt64(cid))
            }
            append(", svm_port=")
            append(bits: UInt64(unsafe bytes.unsafeLoadUnaligned(fromByteOffset: 4, as: UInt32.self)))
            append(", svm_flags=")
            append(bits: UInt64(unsafe bytes.unsafeLoad(fromByteOffset: 12, as: UInt8.self)))
            append("}")
        case .other(let family):
            append("{sa_family=")
            if !append(nameOf: UInt64(family), by: AddressWords.families) {
                append(hexadecimal: UInt64(family))
                append(" /* AF_??? */")
            }
            if bytes.byteCount > 2 {
                append(", sa_data=")
                append(cString: bytes.extracting(droppingFirst: 2))
            }
            append("}")
        }
    }

    private mutating func append(packet bytes: RawSpan) {
        append("{sa_family=AF_PACKET, sll_protocol=htons(")
        let inOrder = UInt16(
            bigEndian: unsafe bytes.unsafeLoadUnaligned(fromByteOffset: 2, as: UInt16.self))
        if !append(nameOf: UInt64(inOrder), by: AddressWords.protocols) { append(bits: UInt64(inOrder)) }
        append("), sll_ifindex=")
        append(decimal: Int64(unsafe bytes.unsafeLoadUnaligned(fromByteOffset: 4, as: Int32.self)))
        append(", sll_hatype=")
        let hardware = unsafe bytes.unsafeLoadUnaligned(fromByteOffset: 8, as: UInt16.self)
        if !append(nameOf: UInt64(hardware), by: AddressWords.hardware) { append(bits: UInt64(hardware)) }
        append(", sll_pkttype=")
        let kind = unsafe bytes.unsafeLoad(fromByteOffset: 10, as: UInt8.self)
        if !append(nameOf: UInt64(kind), by: AddressWords.packets) { append(bits: UInt64(kind)) }
        append(", sll_halen=")
        let length = unsafe bytes.unsafeLoad(fromByteOffset: 11, as: UInt8.self)
        append(decimal: UInt64(length))
        if length > 0 {
            append(", sll_addr=[")
            for at in 0..<min(Int(length), 8) {
                if at > 0 { append(", ") }
                append(bits: UInt64(unsafe bytes.unsafeLoad(fromByteOffset: 12 + at, as: UInt8.self)))
            }
            append("]")
        }
        append("}")
    }

    /// A JSON object. The room is the caller's.
    mutating func append(json address: borrowing SocketAddress) {
        append("{\"sa_family\":\"")
        switch address {
        case .ipv4(let bits, let port):
            append("AF_INET\",\"sin_addr\":\"")
            append(ipv4: bits)
            append("\",\"sin_port\":")
            append(decimal: UInt64(port))
        case .ipv6(let bytes, let port, let flow, let scope):
            append("AF_INET6\",\"sin6_addr\":\"")
            append(ipv6: bytes)
            append("\",\"sin6_port\":")
            append(decimal: UInt64(port))
            append(",\"sin6_flowinfo\":")
            append(decimal: UInt64(flow))
            append(",\"sin6_scopeid\":")
            append(decimal: UInt64(scope))
        case .unix(let path, let isAbstract):
            append("AF_UNIX\",\"sun_path\":\"")
            if isAbstract { append("@") }
            append(jsonText: path)
            append("\"")
        case .other(let family):
            append(SocketAddress.familyName(family))
            append("\"")
        }
        append("}")
    }
}
