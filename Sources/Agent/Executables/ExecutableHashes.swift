internal import Glibc
internal import Synchronization

/// By what a file is known again whose hash was computed: `--enrichment executable-hash.mode=…`, as in Tracee. The time
/// of the inode's last change always counts too.
public enum HashMode: String, Sendable, CaseIterable {
    /// Nothing is hashed.
    case none
    /// By inode alone: the fewest hashes, and wrong where two file systems have the same inode changed at the same time.
    case inode
    /// By device and inode.
    case devInode = "dev-inode"
    /// By the digest of the container's image and inode, as an image's files are the same in all its containers; by device
    /// and inode where there is no digest.
    case digestInode = "digest-inode"
}

/// SHA-256 of executables and libraries, computed on a thread of its own: whoever asks never waits for a file.
///
/// What a server decides (FUSE, NFS) may be another content for us than for the process.
@safe final class ExecutableHashes: @unchecked Sendable {
    /// A file that an event tells of, with what a request keeps.
    struct File: ~Escapable {
        var kind: ExecutableFile.Kind
        var process: UInt32
        /// See ``ExecutableFile/neighbour``.
        var neighbour: UInt32 = 0
        let path: RawSpan
        var device: UInt32
        var inode: UInt64
        /// Last change of the inode, ns since 1970.
        var changed: UInt64
        /// Digest of the container's image; empty for none.
        var image = ""

        @_lifetime(copy path)
        init(
            _ kind: ExecutableFile.Kind, of process: UInt32, path: RawSpan, device: UInt32, inode: UInt64,
            changed: UInt64
        ) {
            self.kind = kind
            self.process = process
            self.path = path
            self.device = device
            self.inode = inode
            self.changed = changed
        }
    }

    enum Answer: Equatable {
        case known(HexDigest)
        /// Asked for, now or before.
        case pending
        case unavailable(ExecutableFile.Reason)
    }

    /// What became of requests. Each request is answered once: `hashed + failed`.
    struct Counters: Equatable {
        var hashed: UInt64 = 0
        /// Answers that were there when they were asked for.
        var hits: UInt64 = 0
        /// Answers that were forgotten for others.
        var evicted: UInt64 = 0
        /// Files that were not taken, as too many wait.
        var refused: UInt64 = 0
        /// Files that could not be hashed.
        var failed: UInt64 = 0
    }

    struct Limits {
        /// Bytes of a file.
        var fileBytes = 512 << 20
        /// Answers that are kept.
        var answers = 8192
        /// Files that wait.
        var requests = 1024
        /// Nanoseconds that a file may take without a byte.
        var patience: UInt64 = 10_000_000_000
        /// Threads that hang in a file system while another goes on.
        var hangingThreads = 4
    }

    typealias Digest = @Sendable (ExecutableFile, Int, () -> Bool) throws(ExecutableFile.Reason) -> HexDigest

    private struct Request {
        let place: Int
        let file: ExecutableFile
    }

    private struct State {
        var answers: HashAnswers
        var requests: [Request] = []
        var counters = Counters()
        var isOver = false
        /// The thread that works; those before it hang in a file.
        var thread: UInt64 = 0
        var hanging = 0
        /// Its answer, and when it last got on.
        var work: (place: Int, since: UInt64)?
    }

    private let mode: HashMode
    private let limits: Limits
    private let compute: Digest
    private let state: Mutex<State>
    private let wake: UnsafeMutablePointer<sem_t>

    /// - Parameter compute: what the thread does, but in tests.
    init(
        mode: HashMode, limits: Limits = Limits(),
        compute: @escaping Digest = { file, limit, goesOn throws(ExecutableFile.Reason) in
            try file.digest(limit: limit, goesOn)
        }
    ) {
        self.mode = mode
        self.limits = limits
        self.compute = compute
        state = Mutex(State(answers: HashAnswers(limit: limits.answers)))
        unsafe wake = .allocate(capacity: 1)
        unsafe wake.initialize(to: sem_t())
        unsafe sem_init(wake, 0, 0)
        let runs = mode != .none && start()
        if !runs { state.withLock { $0.isOver = true } }
    }

    deinit {
        unsafe sem_destroy(wake)
        unsafe wake.deallocate()
    }

    var counters: Counters { state.withLock { $0.counters } }

    /// Gives the digest of a file, if it is there. Else it is asked for, and is there at a later call. Allocates only
    /// where it asks. A reason holds for the process; another may see the file.
    func digest(of file: borrowing File) -> Answer {
        let key = key(of: file)
        let now = Self.now()
        let (answer, wakes, replaces) = state.withLock { state -> (Answer, Bool, Bool) in
            guard !state.isOver else { return (.unavailable(.ended), false, false) }
            let replaces = giveUp(&state, now)
            let known = state.answers.place(of: key)
            if let known {
                switch state.answers[known] {
                case .known, .pending:
                    let answer = state.answers[known]
                    if answer != .pending { state.counters.hits += 1 }
                    return (answer, false, replaces)
                case .unavailable(let reason):
                    if reason.isFinal || state.answers.process(known) == file.process {
                        return (.unavailable(reason), false, replaces)
                    }
                }
            }
            guard state.requests.count < limits.requests,
                let place = known ?? state.answers.makeRoom(for: key, evicted: &state.counters.evicted)
            else {
                state.counters.refused += 1
                return (.unavailable(.busy), false, replaces)
            }
            state.answers.ask(place, process: file.process)
            state.requests.append(Request(place: place, file: ExecutableFile(file)))
            return (.pending, true, replaces)
        }
        if replaces, !start() { end() }
        if wakes || replaces { unsafe _ = sem_post(wake) }
        return answer
    }

    /// Ends the thread, after the block that it reads now. What waits is not answered any more.
    func end() {
        state.withLock { state in
            state.isOver = true
            state.requests = []
        }
        unsafe sem_post(wake)
    }

    private func key(of file: borrowing File) -> HashAnswers.Key {
        let isByImage = mode == .digestInode && !file.image.isEmpty
        let hasDevice = mode == .devInode || (mode == .digestInode && !isByImage)
        return HashAnswers.Key(
            image: isByImage ? file.image : "", device: hasDevice ? file.device : 0, inode: file.inode,
            changed: file.changed)
    }

    private static func now() -> UInt64 {
        var time = timespec()
        unsafe clock_gettime(CLOCK_MONOTONIC, &time)
        return UInt64(time.tv_sec) &* 1_000_000_000 &+ UInt64(time.tv_nsec)
    }

    // MARK: The thread

    /// Gives up a thread that hangs in a file, as anybody's file system may make it. True if another is wanted.
    private func giveUp(_ state: inout State, _ now: UInt64) -> Bool {
        guard let work = state.work, now > work.since, now - work.since > limits.patience,
            state.hanging < limits.hangingThreads
        else { return false }
        state.answers[work.place] = .unavailable(.hangs)
        state.counters.failed += 1
        state.work = nil
        state.hanging += 1
        state.thread += 1
        return true
    }

    private func start() -> Bool {
        var thread = pthread_t()
        let own = unsafe Unmanaged.passRetained(self)
        let status = unsafe pthread_create(
            &thread, nil,
            { argument in
                guard let argument = unsafe argument else { return nil }
                unsafe Unmanaged<ExecutableHashes>.fromOpaque(argument).takeRetainedValue().work()
                return nil
            }, unsafe own.toOpaque())
        guard status == 0 else {
            unsafe own.release()
            return false
        }
        pthread_detach(thread)
        return true
    }

    private func work() {
        // Linux lowers the calling thread alone. Nobody waits for a hash as much as for what is traced.
        setpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0, 10)
        let number = state.withLock { $0.thread }
        while true {
            let (request, isOver) = state.withLock { take(&$0, number) }
            if isOver { return }
            guard let request else {
                while unsafe sem_wait(wake) != 0 {}
                continue
            }
            let result: Answer
            do {
                result = .known(try compute(request.file, limits.fileBytes) { isWanted(number) })
            } catch {
                result = .unavailable(error)
            }
            let goesOn = state.withLock { state in
                guard state.thread == number else {
                    // Another works; what this one says comes too late.
                    state.hanging -= 1
                    return false
                }
                state.work = nil
                guard !state.isOver else { return false }
                state.answers[request.place] = result
                if case .known = result { state.counters.hashed += 1 } else { state.counters.failed += 1 }
                return true
            }
            guard goesOn else { return }
        }
    }

    private func take(_ state: inout State, _ number: UInt64) -> (Request?, isOver: Bool) {
        guard !state.isOver else { return (nil, true) }
        guard !state.requests.isEmpty else { return (nil, false) }
        let request = state.requests.removeFirst()
        state.work = (request.place, Self.now())
        return (request, false)
    }

    private func isWanted(_ number: UInt64) -> Bool {
        let now = Self.now()
        return state.withLock { state in
            guard state.thread == number, !state.isOver else { return false }
            state.work?.since = now
            return true
        }
    }
}

extension ExecutableFile {
    init(_ file: borrowing ExecutableHashes.File) {
        self.init(
            kind: file.kind, process: file.process, neighbour: file.neighbour,
            path: unsafe file.path.withUnsafeBytes { unsafe Array($0.prefix(Int(PATH_MAX))) },
            device: file.device, inode: file.inode, changed: file.changed)
    }
}
