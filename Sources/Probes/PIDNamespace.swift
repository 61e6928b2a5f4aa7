internal import Glibc

/// The pid namespace that Apus runs in.
public enum PIDNamespace {
    /// Number of the initial one: PROC_PID_INIT_INO, include/linux/proc_ns.h.
    static let initial: UInt32 = 0xEFFF_FFFC

    /// Number of ours; the initial one's where `/proc` does not tell.
    static var own: UInt32 {
        var information = stat()
        guard unsafe stat("/proc/self/ns/pid", &information) == 0 else { return initial }
        return UInt32(truncatingIfNeeded: information.st_ino)
    }

    /// Whether process numbers here are those that the kernel's hooks see.
    public static var isInitial: Bool { own == initial }
}
