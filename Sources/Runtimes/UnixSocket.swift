internal import Glibc
internal import State

/// A stream to a Unix socket that gives up at a time, whatever the other side does.
struct UnixSocket: ~Copyable {
    enum Failure: Error, Equatable {
        /// There is no such socket, or nobody listens.
        case absent
        case failed(errno: Int32)
        case timedOut
        case tooLongPath
    }

    private let descriptor: Int32
    private let deadline: UInt64

    /// - Parameter deadline: nanoseconds of `CLOCK_MONOTONIC`; of connecting and of all that follows.
    init(_ path: String, deadline: UInt64) throws(Failure) {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let bytes = Array(path.utf8)
        let room = MemoryLayout.size(ofValue: address.sun_path)
        guard !bytes.isEmpty, bytes.count < room, !bytes.contains(0) else { throw .tooLongPath }
        unsafe withUnsafeMutableBytes(of: &address.sun_path) { place in
            for index in bytes.indices { unsafe place[index] = bytes[index] }
        }
        let descriptor = socket(
            AF_UNIX,
            Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue), 0)
        guard descriptor >= 0 else { throw .failed(errno: errno) }
        do throws(Failure) {
            try Self.connect(descriptor, &address, deadline)
        } catch {
            close(descriptor)
            throw error
        }
        self.descriptor = descriptor
        self.deadline = deadline
    }

    private static func connect(
        _ descriptor: Int32, _ address: inout sockaddr_un, _ deadline: UInt64
    ) throws(Failure) {
        while true {
            let status = unsafe withUnsafePointer(to: &address) { address in
                unsafe address.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    unsafe Glibc.connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
                }
            }
            if status == 0 { return }
            switch errno {
            case EINTR: continue
            // The queue of who listens is full; poll does not tell when that is over (unix(7)).
            case EAGAIN:
                guard now() < deadline else { throw .timedOut }
                usleep(5000)
            case ENOENT, ENOTDIR, ECONNREFUSED: throw .absent
            default: throw .failed(errno: errno)
            }
        }
    }

    deinit { close(descriptor) }

    static func now() -> UInt64 {
        var time = timespec()
        unsafe clock_gettime(CLOCK_MONOTONIC, &time)
        return UInt64(max(0, time.tv_sec)) &* 1_000_000_000 &+ UInt64(max(0, time.tv_nsec))
    }

    private borrowing func wait(for events: Int32) throws(Failure) {
        while true {
            let now = Self.now()
            guard now < deadline else { throw .timedOut }
            var entry = pollfd(fd: descriptor, events: Int16(truncatingIfNeeded: events), revents: 0)
            let left = Int32(clamping: (deadline - now) / 1_000_000 + 1)
            let status = unsafe poll(&entry, 1, left)
            if status > 0 { return }
            if status < 0, errno != EINTR { throw .failed(errno: errno) }
        }
    }

    borrowing func write(_ bytes: [UInt8]) throws(Failure) {
        var at = 0
        while at < bytes.count {
            let count = unsafe bytes.withUnsafeBytes {
                unsafe send(
                    descriptor, UnsafeRawBufferPointer(rebasing: $0[at...]).baseAddress, bytes.count - at,
                    Int32(MSG_NOSIGNAL))
            }
            if count > 0 {
                at += count
            } else if errno == EAGAIN {
                try wait(for: POLLOUT)
            } else if errno != EINTR {
                throw .failed(errno: errno)
            }
        }
    }

    /// What came, at most 64 KiB; empty at the end.
    borrowing func read() throws(Failure) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: 65536)
        while true {
            // Also before data that is there: who sends without end must not hold us.
            guard Self.now() < deadline else { throw .timedOut }
            let count = unsafe bytes.withUnsafeMutableBytes {
                unsafe recv(descriptor, $0.baseAddress, $0.count, 0)
            }
            if count >= 0 { return Array(bytes[..<count]) }
            if errno == EAGAIN {
                try wait(for: POLLIN)
            } else if errno != EINTR {
                throw .failed(errno: errno)
            }
        }
    }
}
