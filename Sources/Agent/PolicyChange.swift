internal import CSystem
internal import Catalog
internal import Glibc
internal import Policies
internal import Probes
internal import Synchronization

/// Brings changed policies into force, on a thread of its own as loading programs takes a while: the session goes on
/// draining the rings, and commits when all is prepared.
final class PolicyChange: @unchecked Sendable {
    /// What was prepared, or why it cannot be: then the old policies stay.
    enum Outcome {
        case prepared(PolicyPlan, Sensor.Change, notes: [String])
        case failed(String)
    }

    private enum Phase {
        static let preparing = 0
        static let prepared = 1
        static let committed = 2
        static let done = 3
    }

    private let phase = Atomic(Phase.preparing)
    private let request: TraceRequest
    private let sensor: Sensor
    private let catalog: Catalog
    private let started: UInt64
    private let command: UInt32?
    private var prepared: Outcome = .failed("nothing was prepared")
    private var thread = pthread_t()

    /// - Parameters:
    ///   - started: when Apus did, in ns since boot: who is older is not new.
    ///   - command: process number of the traced command, to whose tree all policies are restricted.
    init(_ request: TraceRequest, _ sensor: Sensor, _ catalog: Catalog, started: UInt64, command: UInt32?) {
        self.started = started
        self.request = request
        self.sensor = sensor
        self.catalog = catalog
        self.command = command
        let status = unsafe pthread_create(
            &thread, nil,
            { argument in
                guard let argument = unsafe argument else { return nil }
                unsafe Unmanaged<PolicyChange>.fromOpaque(argument).takeRetainedValue().run()
                return nil
            }, Unmanaged.passRetained(self).toOpaque())
        if status != 0 {
            prepared = .failed("no thread can be started")
            phase.store(Phase.done, ordering: .releasing)
        } else {
            pthread_detach(thread)
        }
    }

    /// Nil while it is being prepared.
    var outcome: Outcome? {
        phase.load(ordering: .acquiring) >= Phase.prepared ? prepared : nil
    }

    var isDone: Bool { phase.load(ordering: .acquiring) == Phase.done }

    /// The session has committed it.
    func settle() { phase.store(Phase.committed, ordering: .releasing) }

    private func run() {
        let outcome = prepare()
        prepared = outcome
        if case .prepared(_, let change, _) = outcome {
            phase.store(Phase.prepared, ordering: .releasing)
            while phase.load(ordering: .acquiring) != Phase.committed { usleep(500) }
            try? sensor.settle(change)
            phase.store(Phase.done, ordering: .releasing)
        } else {
            phase.store(Phase.done, ordering: .releasing)
        }
    }

    private func prepare() -> Outcome {
        do {
            var notes: [String] = []
            var set = try LoadedPolicies.read(request, catalog, &notes)
            let features = Features(for: set.events.map { catalog.events[$0] }, isThorough: false)
            let unavailable = try LoadedPolicies.unavailable(
                set, sensor.usesSingleHooks ? .each : request.hooks, features, catalog, &notes)
            if let command { set.restrict(toTreeOf: command) }
            let number = sensor.nextPlanNumber
            let plan = try PolicyPlan(
                set, number: number, processStart: started, without: unavailable, catalog: catalog)
            let change = try sensor.prepareChange(
                to: SensorRequest(plan, request), features: features)
            try ProcessTrees.write(set, plan.scope.programs, to: sensor, plan: number, command: command)
            return .prepared(plan, change, notes: notes)
        } catch {
            return .failed("\(error)")
        }
    }
}

/// Says when the files of policies change.
final class PolicyWatch {
    private let descriptor: Int32
    /// When to look, after a moment in which nothing changed: who writes may take a while.
    private var due: UInt64?

    init(_ paths: [String]) {
        descriptor = inotify_init1(Int32(IN_NONBLOCK | IN_CLOEXEC))
        guard descriptor >= 0 else { return }
        let changes = UInt32(IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_CREATE)
        for path in paths {
            var information = stat()
            // A file may be replaced by another of its name, so its directory is watched.
            var folder = path
            if unsafe stat(path, &information) != 0 || information.st_mode & S_IFMT != S_IFDIR {
                let slash = path.lastIndex(of: "/")
                folder = slash.map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
            }
            unsafe _ = inotify_add_watch(descriptor, folder, changes)
        }
    }

    deinit { if descriptor >= 0 { close(descriptor) } }

    /// Whether something changed, and then nothing for a fifth of a second.
    /// - Parameters:
    ///   - now: in ns.
    ///   - isAsked: the files are to be read in any case: then at once, and what changed before is read with them.
    func hasChanged(now: UInt64, isAsked: Bool = false) -> Bool {
        guard descriptor >= 0 else { return isAsked }
        var buffer = [UInt8](repeating: 0, count: 4096)
        var sawAny = false
        while unsafe read(descriptor, &buffer, buffer.count) > 0 { sawAny = true }
        if isAsked {
            due = nil
            return true
        }
        if sawAny { due = now + 200_000_000 }
        guard let due, now >= due else { return false }
        self.due = nil
        return true
    }
}
