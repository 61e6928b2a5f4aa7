internal import Glibc
internal import Runtimes
internal import State
internal import Synchronization

/// Asks runtimes what they know of containers, on a thread of its own: a socket may hang, and a file may be anything.
/// What is asked and not answered yet is bounded.
@safe final class ContainerNames: @unchecked Sendable {
    struct Question {
        let group: UInt64
        let identity: ContainerIdentity
        /// A runtime may write of a container only after it made the group.
        var attempts = 0
    }

    private struct State {
        var questions: [Question] = []
        var answers: [(group: UInt64, details: ContainerDetails)] = []
        var isOver = false
    }

    private let state = Mutex(State())
    private let wake: UnsafeMutablePointer<sem_t>
    private let sources: [any ContainerSource]

    private static let limit = 1024
    private static let attempts = 5
    private static let pause: UInt32 = 100_000

    init(_ sources: [any ContainerSource] = ordinary) {
        self.sources = sources
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

    /// Files first, as nobody has to answer.
    static var ordinary: [any ContainerSource] {
        [OCIBundles()] as [any ContainerSource] + DockerSocket.ordinary() + CRISocket.ordinary()
    }

    /// Asks; what is too much is left out.
    func ask(_ questions: [(group: UInt64, identity: ContainerIdentity)]) {
        guard !questions.isEmpty else { return }
        state.withLock { state in
            for question in questions where state.questions.count < Self.limit {
                state.questions.append(Question(group: question.group, identity: question.identity))
            }
        }
        unsafe sem_post(wake)
    }

    /// What was answered since this was called last.
    func answers() -> [(group: UInt64, details: ContainerDetails)] {
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
            let (questions, isOver) = state.withLock { state in
                defer { state.questions = [] }
                return (state.questions, state.isOver)
            }
            if isOver { return }
            guard !questions.isEmpty else {
                while unsafe sem_wait(wake) != 0 {}
                continue
            }
            var later: [Question] = []
            for var question in questions {
                if let details = details(of: question.identity) {
                    state.withLock { $0.answers.append((question.group, details)) }
                    continue
                }
                question.attempts += 1
                if question.attempts < Self.attempts { later.append(question) }
            }
            guard !later.isEmpty else { continue }
            usleep(Self.pause)
            state.withLock { state in
                state.questions += later.prefix(max(0, Self.limit - state.questions.count))
            }
        }
    }

    private func details(of identity: ContainerIdentity) -> ContainerDetails? {
        for source in sources {
            // One that cannot be asked is like one that does not know it: others may.
            if let details = try? source.details(of: identity) { return details }
        }
        return nil
    }
}
