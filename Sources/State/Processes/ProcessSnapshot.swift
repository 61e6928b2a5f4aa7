internal import Glibc

/// A process that was there when tracing began, as somebody saw it.
public struct ProcessRow: Equatable, Sendable {
    /// When a process started, since boot: an iterator of the kernel tells nanoseconds, `/proc` clock ticks
    /// (``ProcessSnapshot/tickNanoseconds``).
    public enum Start: Equatable, Sendable {
        case nanoseconds(UInt64)
        case ticks(UInt64)
    }

    /// Number on the host.
    public var process: UInt32
    /// Number of the parent; 0 for what the kernel made.
    public var parent: UInt32
    public var start: Start
    /// Real user.
    public var user: UInt32
    /// As the kernel has it: 15 bytes of it are taken.
    public var name: [UInt8]
    /// Absolute path. Empty for threads of the kernel; nil when it could not be read.
    public var executable: [UInt8]?
    /// Each with a NUL behind it; nil when they could not be read. 4,096 bytes are taken.
    public var arguments: [UInt8]?
    /// There were more arguments.
    public var areArgumentsTruncated = false
    /// It had ended, and only waited for its parent to ask how.
    public var hasEnded = false
    /// When this was seen, in nanoseconds since boot, or shortly before, but not after: a record of an execve with a
    /// later time tells of another program. 0: at the beginning of the snapshot.
    public var seen: UInt64 = 0

    public init(
        process: UInt32, parent: UInt32, start: Start, user: UInt32 = 0, name: [UInt8] = [],
        executable: [UInt8]? = nil, arguments: [UInt8]? = nil
    ) {
        self.process = process
        self.parent = parent
        self.start = start
        self.user = user
        self.name = name
        self.executable = executable
        self.arguments = arguments
    }
}

/// The processes that there were at some time.
public struct ProcessSnapshot: Sendable {
    public var rows: [ProcessRow]
    /// When it was begun, in nanoseconds since boot.
    public var began: UInt64
    /// All processes that were there all the time are in it.
    public var isWhole: Bool
    /// Processes that were left out, and paths and arguments, as there were too many.
    public var leftOut = 0

    /// A snapshot that somebody else took.
    public init(rows: [ProcessRow], began: UInt64, isWhole: Bool = true) {
        self.rows = rows
        self.began = began
        self.isWhole = isWhole
    }

    /// Reads `/proc`: proc(5). What ends meanwhile is not in it.
    ///
    /// Arguments lie in the memory of the processes, and one that answers its own page faults (userfaultfd(2), a FUSE
    /// file) can make who reads them wait for it: read them where waiting does no harm.
    /// - Parameters:
    ///   - root: where the process file system is mounted.
    ///   - arguments: read them too.
    ///   - limit: processes at most.
    ///   - textLimit: bytes of paths and arguments at most, together.
    public static func read(
        root: String = "/proc", arguments: Bool = true, limit: Int = 131_072, textLimit: Int = 16 << 20
    ) throws(ProcessSnapshotError) -> ProcessSnapshot {
        var snapshot = ProcessSnapshot(rows: [], began: now())
        guard let folder = unsafe opendir(root) else {
            throw ProcessSnapshotError(root: root, code: errno)
        }
        defer { unsafe _ = closedir(folder) }
        var left = textLimit
        while let entry = unsafe readdir(folder) {
            let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) {
                unsafe $0.withMemoryRebound(to: CChar.self, capacity: 256) { unsafe String(cString: $0) }
            }
            guard let process = UInt32(name), process > 0, String(process) == name else { continue }
            guard snapshot.rows.count < limit else {
                snapshot.leftOut += 1
                snapshot.isWhole = false
                continue
            }
            guard var row = row(of: process, root: root, arguments: arguments) else { continue }
            if let arguments = row.arguments, arguments.count > left {
                row.arguments = nil
                snapshot.leftOut += 1
            }
            left -= row.arguments?.count ?? 0
            if let path = row.executable, path.count > left {
                row.executable = nil
                snapshot.leftOut += 1
            }
            left -= row.executable?.count ?? 0
            snapshot.rows.append(row)
        }
        return snapshot
    }

    /// Clock ticks are this long, in nanoseconds.
    public static let tickNanoseconds = 1_000_000_000 / UInt64(max(1, sysconf(Int32(_SC_CLK_TCK))))

    /// One process of `/proc`; nil when there is none. All is read through the folder, which stays that of this process
    /// when its number is used again.
    /// - Parameter arguments: read them too; see ``read(root:arguments:limit:textLimit:)`` for what that may cost.
    public static func row(
        of process: UInt32, root: String = "/proc", arguments: Bool = false
    ) -> ProcessRow? {
        let folder = unsafe open("\(root)/\(process)", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW)
        guard folder >= 0 else { return nil }
        defer { close(folder) }
        guard let stat = read("stat", in: folder, limit: 1024), let line = StatLine(stat.bytes) else {
            return nil
        }
        var row = ProcessRow(process: process, parent: line.parent, start: .ticks(line.startTicks))
        row.name = line.name
        row.hasEnded = line.hasEnded
        row.seen = now()
        if let status = read("status", in: folder, limit: 4096) { row.user = user(status.bytes) ?? 0 }
        guard !row.hasEnded else { return row }
        row.executable = link("exe", in: folder) ?? (line.isOfKernel ? [] : nil)
        if arguments, let arguments = read("cmdline", in: folder, limit: argumentLimit + 1) {
            row.arguments = exact(arguments.bytes.prefix(argumentLimit))
            row.areArgumentsTruncated = arguments.bytes.count > argumentLimit
        }
        return row
    }

    static let argumentLimit = 4096

    /// Nanoseconds since boot, suspended time too, as records have it.
    static func now() -> UInt64 {
        var time = timespec()
        guard unsafe clock_gettime(CLOCK_BOOTTIME, &time) == 0 else { return 0 }
        return UInt64(max(0, time.tv_sec)) * 1_000_000_000 + UInt64(max(0, time.tv_nsec))
    }

    // MARK: Files

    /// The beginning of a file; nil when it cannot be read, as when the process has ended.
    private static func read(_ name: String, in folder: Int32, limit: Int) -> (bytes: [UInt8], Void)? {
        let file = unsafe openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)
        guard file >= 0 else { return nil }
        defer { close(file) }
        var failed = false
        let bytes = unsafe [UInt8](unsafeUninitializedCapacity: limit) { buffer, count in
            // Some files are handed out in pieces.
            while count < limit {
                let got = unsafe Glibc.read(file, buffer.baseAddress.map { unsafe $0 + count }, limit - count)
                if got < 0 {
                    if errno == EINTR { continue }
                    failed = true
                }
                guard got > 0 else { return }
                count += got
            }
        }
        return failed ? nil : (bytes, ())
    }

    /// Where a link leads. The kernel adds a word to the path of a file that is gone.
    private static func link(_ name: String, in folder: Int32) -> [UInt8]? {
        var failed = false
        let path = unsafe [UInt8](unsafeUninitializedCapacity: 4096) { buffer, count in
            unsafe buffer.withMemoryRebound(to: CChar.self) { chars in
                guard let base = chars.baseAddress else { return }
                let got = unsafe readlinkat(folder, name, base, chars.count)
                if got < 0 { failed = true } else { count = got }
            }
        }
        guard !failed else { return nil }
        let deleted = Array(" (deleted)".utf8)
        return exact(path.suffix(deleted.count) == deleted[...] ? path.dropLast(deleted.count) : path[...])
    }

    /// A copy that is no larger than what is in it: a slice of all may share the buffer that was read into.
    private static func exact(_ slice: ArraySlice<UInt8>) -> [UInt8] {
        var copy: [UInt8] = []
        copy.reserveCapacity(slice.count)
        copy.append(contentsOf: slice)
        return copy
    }

    /// The real user in `/proc/PID/status`: the first number of the line `Uid:`. No line before it can begin so, as the
    /// kernel escapes line ends in the name.
    static func user(_ status: [UInt8]) -> UInt32? {
        for line in status.split(separator: UInt8(ascii: "\n")) where line.starts(with: "Uid:".utf8) {
            let number = line.dropFirst(4).split { $0 == UInt8(ascii: "\t") || $0 == UInt8(ascii: " ") }.first
            return number.flatMap { UInt32(String(decoding: $0, as: UTF8.self)) }
        }
        return nil
    }
}

/// What is needed of `/proc/PID/stat`. The name, which may hold anything, is between the first parenthesis and the last;
/// other fields are counted from there (proc(5)).
struct StatLine: Equatable {
    var name: [UInt8]
    var parent: UInt32
    var startTicks: UInt64
    /// A zombie, without other threads that still run.
    var hasEnded: Bool
    /// A thread of the kernel, which has no executable.
    var isOfKernel: Bool

    private static let kernelThread: UInt32 = 0x0020_0000  // PF_KTHREAD, include/linux/sched.h

    /// Nil where the line is none, or that of a process that is gone.
    init?(_ bytes: [UInt8]) {
        guard let from = bytes.firstIndex(of: UInt8(ascii: "(")),
            let to = bytes.lastIndex(of: UInt8(ascii: ")")), from < to
        else { return nil }
        let fields = bytes[(to + 1)...].split { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\n") }
        // Fields 3 (state), 4 (ppid), 5 (pgrp), 9 (flags), 20 (num_threads), 22 (starttime). What the kernel takes apart
        // has lost its parent and has the group -1 (do_task_stat, fs/proc/array.c, 6.18): it is gone.
        guard fields.count > 19, !fields[2].elementsEqual("-1".utf8),
            let parent = UInt32(String(decoding: fields[1], as: UTF8.self)),
            let flags = UInt32(String(decoding: fields[6], as: UTF8.self)),
            let threads = Int64(String(decoding: fields[17], as: UTF8.self)),
            let start = UInt64(String(decoding: fields[19], as: UTF8.self))
        else { return nil }
        name = Array(bytes[(from + 1)..<to].prefix(64))
        self.parent = parent
        startTicks = start
        isOfKernel = flags & Self.kernelThread != 0
        let state = fields[0].first
        hasEnded = (state == UInt8(ascii: "Z") || state == UInt8(ascii: "X")) && threads <= 1
    }
}

/// Why there is no snapshot.
public struct ProcessSnapshotError: Error, CustomStringConvertible, Sendable {
    public let description: String

    init(root: String, code: Int32) {
        let reason = unsafe String(cString: strerror(code))
        description =
            "\(root) cannot be read (\(reason)); mount the process file system there: mount -t proc proc \(root)"
    }
}
