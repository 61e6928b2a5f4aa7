internal import Glibc
internal import Outputs
internal import Runtimes
internal import State
internal import Synchronization

/// Asks runtimes what they know of containers, on a thread of its own: a socket may hang, and a file may be anything.
/// What is asked and not answered yet is bounded.
@safe final class ContainerNames: @unchecked Sendable {
    struct Question {
        let group: UInt64
        let identity: ContainerIdentity
        var attempts = 0
        /// When it is to be asked, ns since boot.
        var due: UInt64 = 0
    }

    /// Without details where nobody knows the container.
    /// Not final where sockets are still asked for more.
    typealias Answer = (group: UInt64, details: ContainerDetails?, isFinal: Bool)

    private struct State {
        var questions: [Question] = []
        var answers: [Answer] = []
        var isOver = false
    }

    private let state = Mutex(State())
    private let wake: UnsafeMutablePointer<sem_t>
    private let files: any ContainerSource
    /// Of the thread.
    private var sockets: RuntimeSockets

    private static let limit = 1024
    /// A runtime writes of a container only after it made the group, and it may live for some 30 ms: so files are looked
    /// for again each 4 ms for 100 ms, and then each 20 ms, for half a second in all.
    private static let attempts = 45
    private static func pause(after attempt: Int) -> UInt64 { attempt < 25 ? 4_000_000 : 20_000_000 }
    /// Who listens at a socket knows a container before it starts, or soon.
    private static func asksSockets(at attempt: Int) -> Bool { attempt % 12 == 0 }

    /// - Parameters:
    ///   - files: asked first, as nobody has to answer.
    init(files: any ContainerSource, sockets: [any ContainerSource]) {
        self.files = files
        self.sockets = RuntimeSockets(sockets)
        unsafe wake = .allocate(capacity: 1)
        unsafe wake.initialize(to: sem_t())
        unsafe sem_init(wake, 0, 0)
        var thread = pthread_t()
        let status = unsafe pthread_create(
            &thread, nil,
            { argument in
                guard let argument = unsafe argument else { return nil }
                unsafe Unmanaged<ContainerNames>.fromOpaque(argument).takeRetainedValue().answer()
                return nil
            }, Unmanaged.passRetained(self).toOpaque())
        if status == 0 { pthread_detach(thread) }
    }

    deinit {
        unsafe sem_destroy(wake)
        unsafe wake.deallocate()
    }

    /// Asks; what is too much is answered at once with nothing.
    func ask(_ questions: [(group: UInt64, identity: ContainerIdentity)]) {
        guard !questions.isEmpty else { return }
        state.withLock { state in
            for question in questions {
                if state.questions.count < Self.limit {
                    state.questions.append(Question(group: question.group, identity: question.identity))
                } else {
                    state.answers.append((question.group, nil, true))
                }
            }
        }
        unsafe sem_post(wake)
    }

    /// What was answered since this was called last.
    func answers() -> [Answer] {
        state.withLock { state in
            guard !state.answers.isEmpty else { return [] }
            defer { state.answers = [] }
            return state.answers
        }
    }

    /// Ends the thread, after what it does now.
    func end() {
        state.withLock { $0.isOver = true }
        unsafe sem_post(wake)
    }

    private func answer() {
        while true {
            let now = Clock.sinceBoot()
            let (due, waiting, isOver) = state.withLock { state in
                let due = state.questions.filter { $0.due <= now }
                state.questions.removeAll { $0.due <= now }
                return (due, state.questions.count, state.isOver)
            }
            if isOver { return }
            if due.isEmpty {
                if waiting > 0 { usleep(1000) } else { while unsafe sem_wait(wake) != 0 {} }
                continue
            }
            // What files tell of all of them comes first: a socket may hang.
            var asked: [(Question, ContainerDetails?)] = []
            for question in due {
                let known = (try? files.details(of: question.identity)) ?? nil
                if let known {
                    state.withLock { $0.answers.append((question.group, known, known.isComplete)) }
                }
                if !(known?.isComplete ?? false) { asked.append((question, known)) }
            }
            for (question, known) in asked {
                let asksSockets = known != nil || Self.asksSockets(at: question.attempts)
                let details = asksSockets ? sockets.details(of: question.identity, known: known) : nil
                state.withLock { state in
                    if details != nil || question.attempts + 1 >= Self.attempts
                        || state.questions.count >= Self.limit
                    {
                        state.answers.append((question.group, details, true))
                        return
                    }
                    var later = question
                    later.due = Clock.sinceBoot() &+ Self.pause(after: question.attempts)
                    later.attempts += 1
                    state.questions.append(later)
                }
            }
        }
    }
}
