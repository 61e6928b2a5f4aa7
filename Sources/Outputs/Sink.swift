internal import CSystem
internal import Glibc

/// What went wrong with an output, in a sentence.
public struct OutputError: Error, CustomStringConvertible, Sendable {
    public let description: String
    public init(_ description: String) { self.description = description }
}

/// Lines on their way to a destination, with how many events of each kind they hold.
@safe final class Batch {
    /// Behind a pointer for the reason given at ``Output``.
    let buffer: UnsafeMutablePointer<ByteBuffer>
    var counts: [UInt32]

    /// A batch is handed over when it is this full, or at the end of a tick.
    static let bytes = 256 << 10

    init(events: Int) {
        counts = Array(repeating: 0, count: events)
        unsafe buffer = .allocate(capacity: 1)
        unsafe buffer.initialize(to: ByteBuffer(capacity: Batch.bytes + 65536))
    }

    deinit {
        unsafe buffer.deinitialize(count: 1)
        unsafe buffer.deallocate()
    }

    /// Events of all kinds.
    var total: UInt64 { counts.reduce(0) { $0 + UInt64($1) } }

    func clear() {
        unsafe buffer.pointee.removeAll()
        for index in counts.indices { counts[index] = 0 }
    }
}

/// A destination with a thread of its own and a bounded queue. When the queue is full the producer
/// waits: the rings then fill, and what does not fit is counted as lost by the kernel side.
@safe final class Sink: @unchecked Sendable {
    // Shared with the thread, under `lock`.
    private var queue: [Batch] = []
    private var free: [Batch]
    private var isClosing = false
    private var failure: Int32 = 0
    private var delivered: [UInt64]
    private var undelivered: UInt64 = 0
    private var isFinished = false
    /// Events of the batch that is being written.
    private var beingWritten: UInt64 = 0
    /// The reader has stopped and we are to end: nothing waits for it any more.
    private var hasGivenUp = false

    private let lock: UnsafeMutablePointer<pthread_mutex_t>
    private let changed: UnsafeMutablePointer<pthread_cond_t>
    private let descriptor: Int32
    private let path: String?

    private static let batches = 8

    /// - Parameter path: nil for standard output. A file is truncated; its directory must exist.
    init(path: String?, events: Int) throws(OutputError) {
        self.path = path
        if let path {
            descriptor = try Self.open(path)
        } else {
            descriptor = STDOUT_FILENO
        }
        free = (0..<Self.batches).map { _ in Batch(events: events) }
        delivered = Array(repeating: 0, count: events)
        unsafe lock = .allocate(capacity: 1)
        unsafe changed = .allocate(capacity: 1)
        unsafe pthread_mutex_init(lock, nil)
        unsafe pthread_cond_init(changed, nil)
        var thread = pthread_t()
        let status = unsafe pthread_create(
            &thread, nil,
            { argument in
                guard let argument = unsafe argument else { return nil }
                unsafe Unmanaged<Sink>.fromOpaque(argument).takeRetainedValue().run()
                return nil
            }, Unmanaged.passRetained(self).toOpaque())
        guard status == 0 else { throw OutputError("no thread can be started for the output") }
    }

    /// Opens a file for writing. A link that another user made is not followed: we are root, and it
    /// may point at anything.
    private static func open(_ path: String) throws(OutputError) -> Int32 {
        let flags = O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY
        var descriptor = unsafe Glibc.open(path, flags | O_NOFOLLOW, 0o600)
        if descriptor < 0, errno == ELOOP {
            var link = stat()
            guard unsafe lstat(path, &link) == 0, link.st_uid == 0 || link.st_uid == geteuid() else {
                throw OutputError("the output '\(path)' is a link that another user made; name its target")
            }
            descriptor = unsafe Glibc.open(path, flags, 0o600)
        }
        guard descriptor >= 0 else {
            throw unsafe OutputError(
                "the output '\(path)' cannot be opened: \(String(cString: strerror(errno)))")
        }
        return descriptor
    }

    deinit {
        unsafe lock.deallocate()
        unsafe changed.deallocate()
        if path != nil { close(descriptor) }
    }

    /// An empty batch; waits while all are queued. Nil when the destination has failed.
    func take() -> Batch? {
        unsafe pthread_mutex_lock(lock)
        defer { unsafe pthread_mutex_unlock(lock) }
        var patience = 60  // of 50 ms each, once we are to end
        while free.isEmpty && failure == 0 && !hasGivenUp {
            if apus_stop_signal() != 0 {
                patience -= 1
                if patience == 0 { hasGivenUp = true }
            }
            var until = timespec()
            unsafe clock_gettime(CLOCK_REALTIME, &until)
            until.tv_nsec += 50_000_000
            if until.tv_nsec >= 1_000_000_000 {
                until.tv_nsec -= 1_000_000_000
                until.tv_sec += 1
            }
            unsafe pthread_cond_timedwait(changed, lock, &until)
        }
        return failure == 0 ? free.popLast() : nil
    }

    func give(_ batch: Batch) {
        unsafe pthread_mutex_lock(lock)
        queue.append(batch)
        unsafe pthread_cond_broadcast(changed)
        unsafe pthread_mutex_unlock(lock)
    }

    /// The errno with which writing failed, or 0.
    var failureCode: Int32 {
        unsafe pthread_mutex_lock(lock)
        defer { unsafe pthread_mutex_unlock(lock) }
        return failure
    }

    /// Writes what is queued and ends the thread; waits at most `seconds` for a reader that stopped.
    /// - Returns: what arrived by event, and how many events did not.
    func finish(waiting seconds: Int) -> (delivered: [UInt64], undelivered: UInt64) {
        unsafe pthread_mutex_lock(lock)
        isClosing = true
        unsafe pthread_cond_broadcast(changed)
        var until = timespec()
        unsafe clock_gettime(CLOCK_REALTIME, &until)
        until.tv_sec += seconds
        while !isFinished {
            if unsafe pthread_cond_timedwait(changed, lock, &until) == ETIMEDOUT { break }
        }
        let waiting = queue.reduce(0) { $0 + $1.total }
        let result = (delivered, undelivered + waiting + beingWritten)
        unsafe pthread_mutex_unlock(lock)
        return result
    }

    // MARK: The thread

    private func run() {
        while true {
            unsafe pthread_mutex_lock(lock)
            while queue.isEmpty && !isClosing { unsafe pthread_cond_wait(changed, lock) }
            guard !queue.isEmpty else {
                isFinished = true
                unsafe pthread_cond_broadcast(changed)
                unsafe pthread_mutex_unlock(lock)
                return
            }
            let batch = queue.removeFirst()
            let hasFailed = failure != 0
            beingWritten = batch.total
            unsafe pthread_mutex_unlock(lock)

            let error = hasFailed ? 0 : write(batch)

            unsafe pthread_mutex_lock(lock)
            if error != 0 { failure = error }
            beingWritten = 0
            if failure == 0 {
                for (index, count) in batch.counts.enumerated() where count > 0 {
                    delivered[index] += UInt64(count)
                }
            } else {
                undelivered += batch.total
            }
            batch.clear()
            free.append(batch)
            unsafe pthread_cond_broadcast(changed)
            unsafe pthread_mutex_unlock(lock)
        }
    }

    private func write(_ batch: Batch) -> Int32 {
        unsafe batch.buffer.pointee.withBytes { bytes in
            var at = 0
            while at < bytes.count {
                let count = unsafe Glibc.write(
                    descriptor, bytes.baseAddress.unsafelyUnwrapped + at, bytes.count - at)
                if count > 0 {
                    at += count
                } else if count < 0, errno == EAGAIN {
                    var poll = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                    unsafe _ = Glibc.poll(&poll, 1, 100)
                } else if count < 0, errno != EINTR {
                    return errno
                }
            }
            return 0
        }
    }
}
