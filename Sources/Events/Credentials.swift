internal import CContract

/// User and group ids and capabilities of a task, as a field of type `credentials` holds them.
public struct Credentials: Sendable {
    /// Their names in the output, in the order of ``ids``.
    public static let idNames: [StaticString] = [
        "uid", "gid", "suid", "sgid", "euid", "egid", "fsuid", "fsgid", "user_namespace", "secure_bits",
    ]
    /// Their names in the output, in the order of ``capabilities``.
    public static let capabilityNames: [StaticString] = [
        "cap_inheritable", "cap_permitted", "cap_effective", "cap_bounding", "cap_ambient",
    ]

    private let bytes: apus_credentials

    /// Nil when the bytes are too few.
    public init?(_ bytes: RawSpan) {
        guard bytes.byteCount >= MemoryLayout<apus_credentials>.size else { return nil }
        self.bytes = unsafe bytes.unsafeLoadUnaligned(fromByteOffset: 0, as: apus_credentials.self)
    }

    /// Calls back for each id with its place in ``idNames``.
    public func forEachID(_ body: (Int, UInt32) -> Void) {
        let ids = (
            bytes.uid, bytes.gid, bytes.suid, bytes.sgid, bytes.euid, bytes.egid, bytes.fsuid, bytes.fsgid,
            bytes.user_ns, bytes.securebits
        )
        unsafe withUnsafeBytes(of: ids) { ids in
            for index in 0..<10 { unsafe body(index, ids.load(fromByteOffset: index * 4, as: UInt32.self)) }
        }
    }

    /// Calls back for each set of capabilities, a bit for each, with its place in ``capabilityNames``.
    public func forEachSet(_ body: (Int, UInt64) -> Void) {
        body(0, bytes.inheritable)
        body(1, bytes.permitted)
        body(2, bytes.effective)
        body(3, bytes.bounding)
        body(4, bytes.ambient)
    }

    /// Name of a capability (include/uapi/linux/capability.h, Linux 7.2); nil for one that is not known.
    public static func name(ofCapability number: Int) -> StaticString? {
        names.indices.contains(number) ? names[number] : nil
    }

    // The second lacks its CAP_ in the format that we write (Tracee's v1beta1).
    private static let names: [StaticString] = [
        "CAP_CHOWN", "DAC_OVERRIDE", "CAP_DAC_READ_SEARCH", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL",
        "CAP_SETGID", "CAP_SETUID", "CAP_SETPCAP", "CAP_LINUX_IMMUTABLE", "CAP_NET_BIND_SERVICE",
        "CAP_NET_BROADCAST", "CAP_NET_ADMIN", "CAP_NET_RAW", "CAP_IPC_LOCK", "CAP_IPC_OWNER",
        "CAP_SYS_MODULE", "CAP_SYS_RAWIO", "CAP_SYS_CHROOT", "CAP_SYS_PTRACE", "CAP_SYS_PACCT",
        "CAP_SYS_ADMIN", "CAP_SYS_BOOT", "CAP_SYS_NICE", "CAP_SYS_RESOURCE", "CAP_SYS_TIME",
        "CAP_SYS_TTY_CONFIG", "CAP_MKNOD", "CAP_LEASE", "CAP_AUDIT_WRITE", "CAP_AUDIT_CONTROL",
        "CAP_SETFCAP", "CAP_MAC_OVERRIDE", "CAP_MAC_ADMIN", "CAP_SYSLOG", "CAP_WAKE_ALARM",
        "CAP_BLOCK_SUSPEND", "CAP_AUDIT_READ", "CAP_PERFMON", "CAP_BPF", "CAP_CHECKPOINT_RESTORE",
    ]
}
