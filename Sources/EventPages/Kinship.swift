internal import Catalog

/// Which events are alike by their names and sets.
struct Kinship: Sendable {
    private let namesByStem: [String: [String]]
    private let namesBySet: [String: [String]]

    /// In so small a set all belong together.
    private static let smallSet = 12

    init(_ catalog: Catalog) {
        var byStem: [String: [String]] = [:]
        var bySet: [String: [String]] = [:]
        for event in catalog.events {
            byStem[Self.stem(event.name), default: []].append(event.name)
            for set in event.sets where !Self.wideSets.contains(set) {
                bySet[set, default: []].append(event.name)
            }
        }
        namesByStem = byStem
        namesBySet = bySet
    }

    /// These say nothing about what an event does.
    private static let wideSets: Set<String> = [
        "syscalls", "default", "32bit_unique", "lsm", "lsm_hooks",
    ]

    /// Those of the same stem, then those of its smallest set.
    func relatives(of event: EventDefinition) -> [String] {
        let same = namesByStem[Self.stem(event.name)] ?? []
        let sets = event.sets.compactMap { namesBySet[$0] }.filter { $0.count <= Self.smallSet }
        return same + (sets.min { $0.count < $1.count } ?? [])
    }

    /// What is left of a name without what tells variants of a call apart: `fchownat`, `lchown16` and `chown` are
    /// `chown`.
    static func stem(_ name: String) -> String {
        var stem = Substring(name)
        for prefix in ["rt_", "old_", "old"] where stem.hasPrefix(prefix) && stem.count > prefix.count + 2 {
            stem = stem.dropFirst(prefix.count)
        }
        var isShorter = true
        while isShorter {
            isShorter = false
            for suffix in ["_time32", "_time64", "at", "old"]
            where stem.hasSuffix(suffix) && stem.count > suffix.count + 3 && !whole.contains(String(stem)) {
                stem = stem.dropLast(suffix.count)
                isShorter = true
            }
            let digits = stem.drop { !$0.isNumber }
            if digits.allSatisfy(\.isNumber), !digits.isEmpty, stem.count > digits.count + 2 {
                stem = stem.dropLast(digits.count)
                if stem.last == "_" { stem = stem.dropLast() }
                isShorter = true
            }
        }
        if let base = bases[String(stem)] { return base }
        return String(stem)
    }

    /// Names that end like a variant and are none.
    private static let whole: Set<String> = [
        "stat", "fstat", "lstat", "newfstat", "ustat", "timerfd_create", "cachestat", "brk", "shmat",
        "repeat",
        "statmount",
    ]

    /// Variants with a letter before or behind.
    private static let bases: [String: String] = [
        "fchown": "chown", "lchown": "chown", "fchmod": "chmod", "fstat": "stat", "lstat": "stat",
        "newfstat": "stat", "statx": "stat", "fstatfs": "statfs", "fchdir": "chdir", "ftruncate": "truncate",
        "readv": "read", "pread": "read", "preadv": "read", "writev": "write", "pwrite": "write",
        "pwritev": "write", "lgetxattr": "getxattr", "fgetxattr": "getxattr", "lsetxattr": "setxattr",
        "fsetxattr": "setxattr", "llistxattr": "listxattr", "flistxattr": "listxattr",
        "lremovexattr": "removexattr", "fremovexattr": "removexattr", "vfork": "fork", "clone": "fork",
        "creat": "open", "pselect": "select", "ppoll": "poll", "epoll_pwait": "epoll_wait",
        "fdatasync": "fsync",
        "sendmsg": "send", "sendmmsg": "send", "sendto": "send", "recvmsg": "recv", "recvmmsg": "recv",
        "recvfrom": "recv", "utimens": "utime", "utimes": "utime", "futimes": "utime", "futimens": "utime",
        "wait": "wait", "waitpid": "wait", "waitid": "wait", "tgkill": "kill", "tkill": "kill",
        "llseek": "lseek", "getdents": "getdents", "readdir": "getdents", "mmap": "mmap",
        "faccess": "access", "execve": "exec", "execveat": "exec", "umount": "umount",
        "tgsigqueueinfo": "sigqueueinfo", "rt_tgsigqueueinfo": "sigqueueinfo", "exit_group": "exit",
    ]
}
