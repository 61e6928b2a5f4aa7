internal import CSystem
internal import Glibc
internal import State

/// Reads the arguments of processes. They lie in their memory, for which the kernel takes the process's `mmap_lock`: one
/// that keeps it, as a thread does that waits in mmap(2) for a file system which never answers, makes who reads wait for
/// ever. So a process of its own reads, and is left behind where it hangs.
struct LiveArguments {
    struct Arguments: Equatable {
        var bytes: [UInt8]
        var isTruncated: Bool
    }

    /// By process; nothing of one that is gone, or that may not be looked at.
    private(set) var found: [UInt32: Arguments] = [:]
    /// Processes that did not let themselves be read.
    private(set) var stuck: [UInt32] = []
    /// Those that were not asked: there were too many of the others, or too much text.
    private(set) var leftOut = 0

    /// Bytes of one process.
    static let limit = 4096
    private static let textLimit = 16 << 20

    private let processes: [UInt32]
    private let root: String
    /// How long one process is waited for, in milliseconds.
    private let patience: Int32
    /// Processes that are waited for in vain.
    private let attempts: Int
    /// Of `processes`, those before are done.
    private var next = 0
    private var bytes = 0

    init(_ processes: [UInt32], root: String = "/proc", patience: Int32 = 500, attempts: Int = 4) {
        self.processes = processes
        self.root = root
        self.patience = patience
        self.attempts = attempts
        while next < processes.count, stuck.count < attempts, bytes < Self.textLimit {
            guard readOn() else { break }
        }
        leftOut = processes.count - next
    }

    /// Reads as far as it gets. False where that is for good.
    private mutating func readOn() -> Bool {
        var reader: pid_t = 0
        let pipe = unsafe processes[next...].withUnsafeBufferPointer {
            unsafe apus_read_arguments(root, $0.baseAddress, $0.count, UInt32(Self.limit + 1), &reader)
        }
        guard pipe >= 0 else { return false }
        defer {
            close(pipe)
            kill(reader, SIGKILL)
            // It ends by that at once, but where it hangs: then it is init's when we have ended.
            var status: Int32 = 0
            var milliseconds = 200
            while milliseconds > 0, unsafe waitpid(reader, &status, WNOHANG) == 0 {
                usleep(1000)
                milliseconds -= 1
            }
        }
        var text: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 64 << 10)
        while true {
            var entry = pollfd(fd: pipe, events: Int16(POLLIN), revents: 0)
            let status = unsafe poll(&entry, 1, patience)
            if status < 0, errno == EINTR { continue }
            guard status > 0 else {
                // It waits for the one that comes next.
                stuck.append(processes[next])
                next += 1
                return true
            }
            let count = unsafe piece.withUnsafeMutableBytes {
                unsafe Glibc.read(pipe, $0.baseAddress, $0.count)
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return false }
            text += piece[..<count]
            text.removeFirst(take(text))
            if next == processes.count || bytes >= Self.textLimit { return false }
        }
    }

    /// Takes what is whole. Returns how many bytes that is.
    private mutating func take(_ text: [UInt8]) -> Int {
        let size = MemoryLayout<apus_arguments>.size
        var at = 0
        while text.count - at >= size, next < processes.count {
            let head = unsafe text.withUnsafeBytes {
                unsafe $0.loadUnaligned(fromByteOffset: at, as: apus_arguments.self)
            }
            // The first thing that comes says only that more will come.
            if head.length == APUS_ARGUMENTS_BEGIN {
                at += size
                continue
            }
            let length = head.length == APUS_ARGUMENTS_NONE ? 0 : Int(min(head.length, 1 << 16))
            guard text.count - at - size >= length else { break }
            if head.length != APUS_ARGUMENTS_NONE {
                let bytes = Array(text[(at + size)..<(at + size + min(length, Self.limit))])
                found[head.process] = Arguments(bytes: bytes, isTruncated: length > Self.limit)
                self.bytes += bytes.count
            }
            next += 1
            at += size + length
        }
        return at
    }
}
