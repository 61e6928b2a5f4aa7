public import Catalog
public import Events

/// All processes: who made them, what they ran when, and how long they lived. Fed by the records of fork, exec and exit,
/// and by a ``ProcessSnapshot`` of those that were there before. For one thread.
///
/// What is asked is answered as of a time, so that a later exec does not change what an earlier event says. An ended
/// process stays for a while, and as long as it has descendants; all is bounded in bytes.
public final class ProcessTree {
    /// Less memory than this is not possible: bytes.
    static let minimumMemory = 64 << 10

    var nodes: ProcessNodes
    /// Where `/proc` is; nil to ask nobody.
    private let procRoot: String?
    private var questions = Questions()

    private let fork: (thread: Int, process: Int, start: Int)
    private let exec: (path: Int, interpreter: Int, arguments: Int)
    private let exitIsLast: Int

    /// - Parameters:
    ///   - memoryLimit: bytes it may take, 64 KiB at least. 24 MiB are enough for some 70,000 processes.
    ///   - grace: nanoseconds that an ended process without children stays.
    ///   - programsEach: programs remembered for each process, 64 at most.
    ///   - procRoot: where processes are looked up that no record told of; nil for nowhere.
    public init(
        memoryLimit: Int = 24 << 20, grace: UInt64 = 60_000_000_000, programsEach: Int = 8,
        procRoot: String? = "/proc", catalog: Catalog = .builtIn
    ) {
        nodes = ProcessNodes(memoryLimit: memoryLimit, grace: grace, imagesEach: programsEach)
        self.procRoot = procRoot
        // A field that the catalogue lacks is one that no record has.
        let place = { (event: String, field: String) in
            catalog[event]?.fields.firstIndex { $0.name == field } ?? -1
        }
        fork = (
            place("sched_process_fork", "child_tid"), place("sched_process_fork", "child_pid"),
            place("sched_process_fork", "start_time")
        )
        exec = (
            place("sched_process_exec", "pathname"), place("sched_process_exec", "interpreter_pathname"),
            place("sched_process_exec", "argv")
        )
        exitIsLast = place("sched_process_exit", "process_group_exit")
    }

    // MARK: Sizes

    /// Bytes taken.
    public var memory: Int { nodes.memory }
    /// Processes known, ended ones too.
    public var count: Int { nodes.nodeCount }
    /// Processes that live.
    public var livingCount: Int { nodes.livingCount }
    /// What was left out or forgotten.
    public var losses: ProcessTreeLosses { nodes.losses }

    // MARK: Records

    /// Takes a record in, if it is about the life of a process.
    public func update(_ event: EventView) {
        switch event.event {
        case .sched_process_fork: takeFork(event)
        case .sched_process_exec: takeExec(event)
        case .sched_process_exit: takeExit(event)
        default: break
        }
    }

    private func takeFork(_ event: EventView) {
        guard let thread = event.value(fork.thread), let process = event.value(fork.process),
            let start = event.value(fork.start), thread == process, let number = UInt32(exactly: process),
            number != 0
        else { return }
        nodes.takeFork(event, child: ProcessKey(process: number, start: start))
    }

    private func takeExec(_ event: EventView) {
        guard event.hostProcess != 0 else { return }
        nodes.takeExec(
            event, path: event.string(exec.path), interpreter: event.string(exec.interpreter),
            arguments: event.blob(exec.arguments))
    }

    private func takeExit(_ event: EventView) {
        guard let isLast = event.value(exitIsLast), isLast != 0, event.hostProcess != 0 else { return }
        nodes.takeExit(event)
    }

    // MARK: Questions

    /// Path of the executable that a process ran at a time (ns since boot). Empty when it has none, or when it is not
    /// known. A process that no record told of is looked up in `/proc`, once.
    public func executable(of key: ProcessKey, at time: UInt64) -> [UInt8] {
        let text = nodes.executable(of: key, at: time)
        if text != TextStore.none { return nodes.texts[text] }
        return askedExecutable(of: key, at: time)
    }

    /// What the kernel called the process at a time, as of its last fork or exec before; nil when that is not known.
    public func name(of key: ProcessKey, at time: UInt64) -> ProcessName? {
        let at = known(key)
        guard at != ProcessNodes.none else { return nil }
        let image = nodes.image(of: at, at: time)
        return image == ProcessNodes.none ? nil : nodes.images[Int(image)].name
    }

    /// What is known of a process at a time; nil when nothing is, and `/proc` does not have it.
    public func process(_ key: ProcessKey, at time: UInt64) -> ProcessInfo? {
        let at = known(key)
        guard at != ProcessNodes.none, !nodes[at].flags.contains(.unknown) else { return nil }
        return nodes.info(at, at: time)
    }

    /// The place of a process, asked for in `/proc` if need be.
    func known(_ key: ProcessKey) -> UInt32 {
        let at = nodes.find(key)
        guard nodes.isWorthAsking(at) else { return at }
        ask(key)
        return nodes.find(key)
    }

    /// Kept apart from what is asked for most often.
    @inline(never)
    private func askedExecutable(of key: ProcessKey, at time: UInt64) -> [UInt8] {
        guard nodes.isWorthAsking(nodes.find(key)) else { return [] }
        ask(key)
        return nodes.texts[nodes.executable(of: key, at: time)]
    }

    /// Asks `/proc` for a process. What is there now is believed if it started in the same clock tick.
    private func ask(_ key: ProcessKey) {
        guard let procRoot, key.process != 0 else { return }
        let now = ProcessSnapshot.now()
        guard questions.mayAsk(now) else {
            nodes.losses.questions += 1
            return
        }
        // Not its arguments: it could make this thread wait for them.
        let row = ProcessSnapshot.row(of: key.process, root: procRoot, arguments: false)
        nodes.makeRoom(nodes: 1, images: 1)
        if let row, row.startNanoseconds.map({ $0 / ProcessNodes.tick }) == key.start / ProcessNodes.tick {
            let at = nodes.enter(row, key, seen: row.seen, isInTicks: key.start % ProcessNodes.tick == 0)
            if at != ProcessNodes.none {
                nodes.setFlags(.asked, of: at)
                nodes.link(at, to: row.parent)
            }
            return
        }
        var at = nodes.find(key)
        if at == ProcessNodes.none { at = nodes.add(key) }
        nodes.setFlags(.asked, of: at)
        nodes.missed(at, at: now)
    }

    // MARK: What was there before

    /// Takes in what was there when tracing began, or what is there now, after records were lost: processes that a whole
    /// snapshot does not have have ended.
    public func enter(_ snapshot: ProcessSnapshot) {
        nodes.enter(snapshot)
    }
}

/// How many questions to `/proc` are asked: each takes some 20 microseconds. 256 at once, and as many each second.
private struct Questions {
    private static let each: UInt64 = 1_000_000_000 / 256
    /// How far what was asked is paid for, ns since boot.
    private var paid: UInt64 = 0

    mutating func mayAsk(_ now: UInt64) -> Bool {
        let from = max(paid, now < 1_000_000_000 ? 0 : now - 1_000_000_000)
        guard from <= now else { return false }
        paid = from + Self.each
        return true
    }
}
