/// Which process: its number on the host, and its start in nanoseconds since boot. A number alone is used again.
public struct ProcessKey: Hashable, Sendable {
    public var process: UInt32
    public var start: UInt64

    public init(process: UInt32, start: UInt64) {
        self.process = process
        self.start = start
    }
}

/// What the kernel calls a process: up to 15 bytes (`TASK_COMM_LEN`, include/linux/sched.h). Threads may have names
/// of their own.
public struct ProcessName: Hashable, Sendable {
    private var low: UInt64 = 0
    private var high: UInt64 = 0

    public init() {}

    /// Takes what comes before the first NUL, 15 bytes of it.
    public init(_ bytes: RawSpan) {
        let count = min(bytes.byteCount, 15)
        for index in 0..<count {
            let byte = unsafe bytes.unsafeLoad(fromByteOffset: index, as: UInt8.self)
            if byte == 0 { break }
            if index < 8 {
                low |= UInt64(byte) << UInt64(index * 8)
            } else {
                high |= UInt64(byte) << UInt64((index - 8) * 8)
            }
        }
    }

    public init(_ bytes: [UInt8]) { unsafe self.init(bytes.span.bytes) }

    public var bytes: [UInt8] {
        var bytes: [UInt8] = []
        for word in [low, high] {
            var rest = word
            while rest != 0 {
                bytes.append(UInt8(truncatingIfNeeded: rest))
                rest >>= 8
            }
        }
        return bytes
    }
}

/// What is known of a process at some time.
public struct ProcessInfo: Equatable, Sendable {
    public var key: ProcessKey
    /// `key.start` is only known in clock ticks: it is the beginning of the tick.
    public var isStartInTicks = false
    /// Who made it; nil when that is not known, or when the kernel did.
    public var parent: ProcessKey?
    /// The parent is who forked. Else it is who was the parent when the process was first seen: its maker may have
    /// ended before, and the process been given to another.
    public var isParentCreator = false
    /// The kernel made it: process 1, and 2, from which the kernel's threads come.
    public var isRoot = false
    /// Real user, as of the last fork or exec.
    public var user: UInt32 = 0
    public var name = ProcessName()
    /// Absolute path in the process's mount namespace. Empty when there is none, as for threads of the kernel, or when
    /// it is not known.
    public var executable: [UInt8] = []
    /// Of the dynamic loader, where a record told it; empty otherwise.
    public var interpreter: [UInt8] = []
    /// Each with a NUL behind it, up to 4,096 bytes together; nil when they are not known.
    public var arguments: [UInt8]?
    public var areArgumentsTruncated = false
    /// Since when it has run that program, ns since boot.
    public var programSince: UInt64 = 0
    /// When it ended, ns since boot; nil for a living process.
    public var end: UInt64?
    /// Nothing but the key is known, from a child or a look-up.
    public var isUnknown = false

    public init(key: ProcessKey) { self.key = key }
}

/// A step from a process towards the first one.
public struct ProcessAncestor: Sendable {
    /// Nil where it is not known who comes here.
    public var key: ProcessKey?
    /// Nothing but perhaps the key is known, and so nothing of who comes above: the walk ends here.
    public var isUnknown: Bool
    /// It made the step before. Else it is the parent that was seen first.
    public var isCreator: Bool
    public var user: UInt32
    public var name: ProcessName
    /// Empty when there is none, or when it is not known.
    public var executable: [UInt8]
    /// Each with a NUL behind it; nil where they are not known.
    public var arguments: [UInt8]?

    init(key: ProcessKey?, isCreator: Bool) {
        self.key = key
        self.isCreator = isCreator
        isUnknown = true
        user = 0
        name = ProcessName()
        executable = []
    }
}

/// Why a walk through the ancestors ended.
public enum AncestryEnd: Sendable {
    /// At the first process, or the first thread of the kernel: all are known.
    case root
    /// Who comes next is not known; the last step says so.
    case unknown
    /// There are more than were asked for.
    case limit
}

/// A line of a tree of processes.
public struct ProcessTreeLine: Sendable {
    public var process: ProcessInfo
    /// Steps below a process that has no known parent.
    public var depth: Int
}

/// What a process tree left out or forgot.
public struct ProcessTreeLosses: Equatable, Sendable {
    /// Ended processes that went before their time, as memory was short.
    public var ended: UInt64 = 0
    /// Living processes, without children, that went as memory was short.
    public var living: UInt64 = 0
    /// Programs that a process ran before others, which went as there were too many.
    public var images: UInt64 = 0
    /// Lists of arguments that were left out, as memory was short.
    public var arguments: UInt64 = 0
    /// Questions to `/proc` that were not asked, as there were too many in a short time.
    public var questions: UInt64 = 0
    /// Ends that no record told: another process had the number, or none.
    public var ends: UInt64 = 0

    public init() {}
}
