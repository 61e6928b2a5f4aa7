internal import Glibc
internal import Outputs
internal import Runtimes
internal import State
internal import Synchronization

/// The containers of the processes that there are now, by the paths of their control groups.
///
/// The groups of processes are all that are needed, so the hierarchies are not walked: each path is taken apart from
/// its root, as a walk would find it. That is also right where hierarchies of version 1 alone tell the container.
struct LiveContainers {
    /// A group, by a number of our own: hierarchies of version 1 have ids that mean something else in version 2.
    typealias Place = UInt64

    private let store: ContainerStore
    private let bundles = OCIBundles()
    private var places: [[UInt8]: Place] = [:]
    private var bytes = 0
    /// Processes whose groups are not known, as there are too many.
    private(set) var leftOut = 0

    private static let pathLimit = 65_536
    private static let byteLimit = 16 << 20
    private static let depthLimit = 64

    init() {
        var limits = ContainerStore.Limits()
        limits.groups = Self.pathLimit
        limits.groupsOfOne = Self.pathLimit
        store = ContainerStore(limits: limits)
    }

    /// The group of a process that tells its container; nil where none does.
    mutating func place(of process: UInt32) -> Place? {
        guard let groups = ControlGroups.ofProcess(process) else { return nil }
        // Version 2 first, then systemd's, then the others in their order.
        let rank = { (group: ControlGroups.Membership) in
            group.controllers.isEmpty ? 0 : group.controllers == "name=systemd" ? 1 : 2
        }
        for wanted in 0...2 {
            for group in groups.memberships where rank(group) == wanted {
                guard let place = place(of: group.path) else {
                    leftOut += 1
                    return nil
                }
                if store.container(group: place, at: 0) != nil { return place }
            }
        }
        return nil
    }

    /// Takes a path in, and all above it. Nil where there are too many.
    private mutating func place(of path: [UInt8]) -> Place? {
        if let known = places[path] { return known }
        var depth = 0
        var last: Place?
        for end in path.indices.dropFirst() where path[end] == UInt8(ascii: "/") {
            depth += 1
            guard depth <= Self.depthLimit else { break }
            guard let place = enter(Array(path[..<end])) else { return nil }
            last = place
        }
        if depth <= Self.depthLimit { last = enter(path) }
        return last
    }

    private mutating func enter(_ path: [UInt8]) -> Place? {
        if let known = places[path] { return known }
        guard places.count < Self.pathLimit, bytes + path.count <= Self.byteLimit else { return nil }
        let place = Place(places.count + 1)
        places[path] = place
        bytes += path.count
        store.existing(place, path: path, at: 0)
        if store.container(group: place, at: 0) == nil, let candidate = ControlGroupPath.candidate(path),
            let identity = bundles.identity(named: candidate.id, namespace: candidate.namespace)
        {
            _ = store.adopt(place, as: identity, path: path, isNew: false, at: 0)
        }
        return place
    }

    /// What is shown of the container of a group.
    func container(at place: Place) -> (shown: ShownContainer, runtime: String)? {
        guard let container = store.container(group: place, at: 0) else { return nil }
        let runtime = container.identity.runtime
        return (ShownContainer(container), runtime == .unknown ? "" : runtime.rawValue)
    }

    // MARK: Names

    /// Asks files, and then the runtimes' sockets for those of which no file tells the image.
    /// - Returns: who did not answer: a sentence each.
    mutating func findNames(_ runtimes: RuntimeRequest) -> [String] {
        let end = Clock.sinceBoot() &+ NameSearch.limit
        var pending: [(group: UInt64, identity: ContainerIdentity)] = []
        while true {
            let taken = store.takePending(limit: 256)
            guard !taken.isEmpty else { break }
            pending += taken
        }
        var unknown: [(group: UInt64, identity: ContainerIdentity)] = []
        var notes: [String] = []
        for question in pending {
            var details: ContainerDetails?
            if Clock.sinceBoot() < end {
                do throws(RuntimeError) {
                    details = try bundles.details(of: question.identity)
                } catch {
                    // One is enough: others are most often of the same cause.
                    if notes.isEmpty { notes.append(error.description) }
                }
            }
            if let details { store.set(details, for: question.group) }
            if details?.image.isEmpty ?? true { unknown.append(question) }
        }
        if !unknown.isEmpty {
            let found = NameSearch.run(unknown, NameSearch.sources(runtimes), until: end)
            for (group, details) in found.answers {
                // What a file tells is the name, and all that is missing is the image.
                let isBetter = store.container(group: group, at: 0)?.details == nil || !details.image.isEmpty
                if isBetter { store.set(details, for: group) }
            }
            notes += found.notes
        }
        // Whoever is not root may not even ask; that is one note for all, which is made elsewhere.
        return geteuid() == 0 ? notes : []
    }
}

extension ShownContainer {
    /// What outputs show of a container.
    init(_ container: Container) {
        self.init()
        id = container.identity.id
        isStarted = container.state != .created
        podUID = container.identity.podUID ?? ""
        guard let details = container.details else { return }
        name = details.name
        image = details.image
        imageDigest = details.imageDigest
        guard let pod = details.pod else { return }
        podName = pod.name
        podNamespace = pod.namespace
        if !pod.uid.isEmpty { podUID = pod.uid }
        podLabels = pod.labels.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
    }
}

/// Asks all sockets at once for names, each on a thread of its own, and waits a limited time for all. Who has not
/// answered by then is left behind with its thread.
enum NameSearch {
    typealias Question = (group: UInt64, identity: ContainerIdentity)

    /// Somebody who is asked, and what it is called.
    struct Source: Sendable {
        var name: String
        var asked: any ContainerSource
    }

    struct Outcome {
        /// At most one for each question: of several the first that tells the image, in the order of the sources.
        var answers: [(group: UInt64, details: ContainerDetails)] = []
        /// Who could not be asked, or did not answer: a sentence each.
        var notes: [String] = []
    }

    /// For all of them, in nanoseconds.
    static let limit: UInt64 = 2_000_000_000

    /// The sockets that are asked for names.
    static func sources(_ runtimes: RuntimeRequest) -> [Source] {
        runtimes.sockets.compactMap { source in
            switch source {
            case let socket as DockerSocket: Source(name: socket.path, asked: socket)
            case let socket as CRISocket: Source(name: socket.path, asked: socket)
            case let socket as ContainerdSocket: Source(name: socket.path, asked: socket)
            default: nil
            }
        }
    }

    private struct Progress {
        var answers: [(group: UInt64, source: Int, details: ContainerDetails)] = []
        var notes: [(source: Int, text: String)] = []
        /// Those that are at work, by their place.
        var working: Set<Int> = []
    }

    /// What threads share. They may outlive the search.
    private final class Shared: Sendable {
        let progress = Mutex(Progress())
    }

    /// One thread's work.
    private final class Work: Sendable {
        let shared: Shared
        let number: Int
        let source: Source
        let questions: [(group: UInt64, identity: ContainerIdentity)]
        let end: UInt64

        init(_ shared: Shared, _ number: Int, _ source: Source, _ questions: [Question], _ end: UInt64) {
            self.shared = shared
            self.number = number
            self.source = source
            self.questions = questions
            self.end = end
        }

        func run() {
            var note: String?
            for question in questions where Clock.sinceBoot() < end {
                do throws(RuntimeError) {
                    guard let details = try source.asked.details(of: question.identity) else { continue }
                    shared.progress.withLock { $0.answers.append((question.group, number, details)) }
                } catch {
                    // Others would wait as long for the same.
                    note = error.description
                    break
                }
            }
            shared.progress.withLock { progress in
                if let note { progress.notes.append((number, note)) }
                progress.working.remove(number)
            }
        }
    }

    static func run(_ questions: [Question], _ sources: [Source], until end: UInt64) -> Outcome {
        let shared = Shared()
        for (number, source) in sources.enumerated() {
            shared.progress.withLock { _ = $0.working.insert(number) }
            let work = Work(shared, number, source, questions, end)
            var thread = pthread_t()
            let status = unsafe pthread_create(
                &thread, nil,
                { argument in
                    guard let argument = unsafe argument else { return nil }
                    unsafe Unmanaged<Work>.fromOpaque(argument).takeRetainedValue().run()
                    return nil
                }, Unmanaged.passRetained(work).toOpaque())
            guard status == 0 else {
                unsafe Unmanaged.passUnretained(work).release()
                shared.progress.withLock { progress in
                    progress.working.remove(number)
                    progress.notes.append(
                        (
                            number,
                            "\(source.name) was not asked for names, as no thread could be started; try again"
                        ))
                }
                continue
            }
            pthread_detach(thread)
        }
        while Clock.sinceBoot() < end, !shared.progress.withLock({ $0.working.isEmpty }) { usleep(500) }
        return shared.progress.withLock { outcome(of: $0, sources) }
    }

    private static func outcome(of progress: Progress, _ sources: [Source]) -> Outcome {
        var outcome = Outcome()
        var answered: Set<UInt64> = []
        let order = { (answer: (group: UInt64, source: Int, details: ContainerDetails)) in
            (answer.details.image.isEmpty ? 1 : 0, answer.source)
        }
        for answer in progress.answers.sorted(by: { order($0) < order($1) })
        where answered.insert(answer.group).inserted {
            outcome.answers.append((answer.group, answer.details))
        }
        let late = progress.working.map {
            (
                source: $0,
                text:
                    "\(sources[$0].name) did not answer in time; containers that only it knows have no names"
            )
        }
        // One socket may be asked in two ways, and has one fault.
        var named: Set<String> = []
        for note in (progress.notes + late).sorted(by: { $0.source < $1.source })
        where named.insert(sources[note.source].name).inserted {
            outcome.notes.append(note.text)
        }
        return outcome
    }
}
