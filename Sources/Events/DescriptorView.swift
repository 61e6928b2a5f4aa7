internal import CContract

/// What a descriptor was open on, as the kernel had it at that moment.
public struct DescriptorView: ~Escapable {
    let blob: BlobView
    /// The descriptor, or `AT_FDCWD`.
    public let number: Int32
    public let inode: UInt64
    /// Of a Unix socket the inode of its other end; 0 where it has none.
    public let peer: UInt64
    /// Protocol of a socket, and the port of a netlink one.
    public let socketProtocol: UInt16
    public let port: UInt32
    private let family: UInt16
    private let fileSystem: UInt32
    private let flags: UInt32

    /// What stands behind it, by enum apus_descriptor_part.
    public enum Part: UInt32, Sendable {
        /// A path; of what is nowhere the bare name, of a socket that of its protocol.
        case name
        /// Addresses of a socket.
        case local, remote
    }

    public enum Kind: Sendable {
        case file, pipe, anonymous, namespace, process
        case unixSocket, internetSocket, netlinkSocket, otherSocket
        /// Memory and the like, which was never in a directory.
        case memory
    }

    /// Nil where it is too short.
    @_lifetime(copy blob)
    init?(_ blob: BlobView) {
        let bytes = blob.bytes
        guard bytes.byteCount >= MemoryLayout<apus_descriptor>.size else { return nil }
        let told = unsafe bytes.unsafeLoadUnaligned(as: apus_descriptor.self)
        self.blob = blob
        (number, inode, peer) = (told.number, told.inode, told.peer)
        (socketProtocol, port, family) = (told.protocol, told.port, told.family)
        (fileSystem, flags) = (told.file_system, told.flags)
    }

    /// Its name is gone, or it never had one.
    public var isDeleted: Bool { flags & UInt32(APUS_DESCRIPTOR_DELETED) != 0 || kind == .memory }

    /// The numbers are of include/uapi/linux/magic.h and socket.h.
    public var kind: Kind {
        guard flags & UInt32(APUS_DESCRIPTOR_NOWHERE) != 0 else { return .file }
        switch fileSystem {
        case 0x5049_5045: return .pipe  // PIPEFS_MAGIC
        case 0x0904_1934: return .anonymous  // ANON_INODE_FS_MAGIC
        case 0x6e73_6673: return .namespace  // NSFS_MAGIC
        case 0x5049_4446: return .process  // PID_FS_MAGIC
        case 0x534f_434b:  // SOCKFS_MAGIC
            switch family {
            case 1: return .unixSocket
            case 2, 10: return .internetSocket
            case 16: return .netlinkSocket
            default: return .otherSocket
            }
        default: return .memory
        }
    }
}
