/// A living process, as lists of processes show it. Names, paths and arguments hold any bytes.
public struct ShownProcess: Sendable {
    public struct Parent: Equatable, Sendable {
        public var process: UInt32
        /// Nanoseconds since 1970.
        public var start: UInt64
        public init(process: UInt32, start: UInt64) {
            self.process = process
            self.start = start
        }
    }

    public var process: UInt32
    /// Nanoseconds since 1970.
    public var start: UInt64
    /// Nil where there is none, or where it is not known.
    public var parent: Parent?
    /// It has a parent, of which nothing is known.
    public var isParentUnknown = false
    /// The number of that parent; 0 where not even that is known.
    public var unknownParent: UInt32 = 0
    /// Steps below a process without a known parent.
    public var depth = 0
    /// The same among those that are shown.
    public var level = 0
    public var name: [UInt8] = []
    /// Absolute path; empty where there is none, as for threads of the kernel, or where it could not be read.
    public var executable: [UInt8] = []
    /// The file at that path was removed, or replaced.
    public var isDeleted = false
    /// The program was never a file: memfd_create(2).
    public var isMemoryFile = false
    /// Each with a NUL behind it; nil where they could not be read.
    public var arguments: [UInt8]?
    public var areArgumentsTruncated = false
    public var user: UInt32 = 0
    public var userName: String?
    public var isKernelThread = false
    /// It has ended, and only waits for its parent to ask how.
    public var hasEnded = false
    public var container: ShownContainer?
    /// What runs the container; empty where that is not known.
    public var runtime = ""

    public init(process: UInt32, start: UInt64) {
        self.process = process
        self.start = start
    }
}

extension ShownProcess {
    /// Calls the body with each argument, from the first to the last. What is not ended by a NUL is one too.
    func forEachArgument(_ body: (RawSpan, _ isFirst: Bool) -> Void) {
        guard let arguments, !arguments.isEmpty else { return }
        var start = 0
        var isFirst = true
        for (index, byte) in arguments.enumerated() where byte == 0 || index == arguments.count - 1 {
            let end = byte == 0 ? index : index + 1
            unsafe body(arguments.span.bytes.extracting(start..<end), isFirst)
            isFirst = false
            start = index + 1
        }
    }
}
