/// A `struct sockaddr` of any family, decoded from what was read; lengths are the caller's to lie about.
public enum SocketAddress: ~Escapable {
    case ipv4(address: UInt32, port: UInt16)
    case ipv6(address: RawSpan, port: UInt16, flow: UInt32, scope: UInt32)
    /// The path; an abstract name starts with `@` in place of its NUL when printed.
    case unix(path: RawSpan, isAbstract: Bool)
    case other(family: UInt16)

    /// Nil when not even the family is there.
    @_lifetime(copy bytes)
    public init?(_ bytes: RawSpan) {
        guard bytes.byteCount >= 2 else { return nil }
        let family = unsafe bytes.unsafeLoadUnaligned(fromByteOffset: 0, as: UInt16.self)
        switch family {
        case 2 where bytes.byteCount >= 8:  // struct sockaddr_in
            self = .ipv4(
                address: UInt32(
                    bigEndian: unsafe bytes.unsafeLoadUnaligned(fromByteOffset: 4, as: UInt32.self)),
                port: UInt16(bigEndian: unsafe bytes.unsafeLoadUnaligned(fromByteOffset: 2, as: UInt16.self)))
        case 10 where bytes.byteCount >= 24:  // struct sockaddr_in6; the scope was added later
            self = .ipv6(
                address: bytes.extracting(8..<24),
                port: UInt16(bigEndian: unsafe bytes.unsafeLoadUnaligned(fromByteOffset: 2, as: UInt16.self)),
                flow: UInt32(bigEndian: unsafe bytes.unsafeLoadUnaligned(fromByteOffset: 4, as: UInt32.self)),
                scope: bytes.byteCount >= 28
                    ? unsafe bytes.unsafeLoadUnaligned(fromByteOffset: 24, as: UInt32.self) : 0)
        case 1:  // struct sockaddr_un
            let path = bytes.extracting(droppingFirst: 2)
            if path.byteCount > 1, unsafe path.unsafeLoad(fromByteOffset: 0, as: UInt8.self) == 0 {
                self = .unix(path: path.extracting(droppingFirst: 1), isAbstract: true)
            } else {
                self = .unix(path: EventView.untilNUL(path), isAbstract: false)
            }
        default:
            self = .other(family: family)
        }
    }

    /// Name of an address family; the number where it has none here.
    public static func familyName(_ family: UInt16) -> String {
        switch family {
        case 0: "AF_UNSPEC"
        case 1: "AF_UNIX"
        case 2: "AF_INET"
        case 3: "AF_AX25"
        case 9: "AF_X25"
        case 10: "AF_INET6"
        case 15: "AF_KEY"
        case 16: "AF_NETLINK"
        case 17: "AF_PACKET"
        case 29: "AF_CAN"
        case 30: "AF_TIPC"
        case 31: "AF_BLUETOOTH"
        case 38: "AF_ALG"
        case 40: "AF_VSOCK"
        case 44: "AF_XDP"
        default: "AF_\(family)"
        }
    }
}
