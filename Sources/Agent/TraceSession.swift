internal import CSystem
public import Catalog
internal import Events
internal import Glibc
public import Outputs
internal import Policies
public import Probes
internal import State

/// What `apus trace` was asked for.
public struct TraceRequest: Sendable {
    public var events: [String] = []
    public var scopes: [String] = []
    /// Rate limits of what `events` and `scopes` choose.
    public var limits: [String] = []
    /// Files and directories of policies, instead of events and scopes.
    public var policies: [String] = []
    public var outputs: [OutputRequest] = [OutputRequest(format: .table, path: nil)]
    /// Words of a command to start and trace with its descendants, as bytes; empty for none.
    public var command: [[UInt8]] = []
    public var hooks: SystemCallHooks = .auto
    public var functionHooks: FunctionHooks = .auto
    public var wantsEnvironment = false
    /// How hashes of executables and libraries are kept; nil where they are not wanted.
    public var executableHash: HashMode?
    /// Outputs show who made each process, and who made that one, up to the first.
    public var wantsLineage = false
    public var wantsPaths = true
    /// Who is asked what containers are called.
    public var runtimes = RuntimeRequest()
    /// Where the file system of control groups is mounted; nil for wherever that is.
    public var controlGroups: String?
    /// Of Apus, for the event that tells it.
    public var version = ""
    /// Bytes of each CPU's ring; nil for what suits the number of CPUs.
    public var ringBytes: Int?
    public var lifecycleRingBytes = 4 << 20
    /// How many rings take what is not of the lifecycle; nil for one for each CPU.
    public var ringCount: Int?
    public init() {}
}

/// One run of tracing, from attaching to the last event's arrival.
public final class TraceSession {
    private let catalog: Catalog
    private let sensor: Sensor
    private let outputs: [Output]
    private let processes = ProcessTree()
    private let containers: ContainerWatch
    private let digests: ExecutableDigests?
    private var held = HeldRecords()
    private var command: TracedCommand?
    /// Dense index of an event by its id; -1 where there is none.
    private let indexes: [Int16]
    private var received: [UInt64]
    private var malformed: UInt64 = 0
    private let started: UInt64
    private var refusal: String?
    private let request: TraceRequest
    private var judges: Judges
    /// Events that tell of processes and containers, by dense index.
    private let isOfState: [Bool]
    private var change: PolicyChange?
    private var isCommitted = false
    /// Tells what happens while events flow.
    public var say: (String) -> Void = { _ in }
    /// Is given what became of everything up to now, when it is asked for.
    public var report: (TraceResult) -> Void = { _ in }
    /// Records for the state stores alone.
    private var receivedForState: UInt64 = 0
    /// Records of events that the agent itself makes.
    private var made: UInt64 = 0
    private var losses: LossReporter
    private var limits = LimitReporter()
    /// Records that the kernel let through and the rest of the filters did not.
    private var filteredLater: UInt64 = 0
    private let clock: Clock
    public private(set) var stopMilliseconds: Double = 0
    /// How many programs were loaded and attached, and how long that took.
    public var startTimings: String {
        let timings = sensor.timings
        return
            "loaded \(timings.programs) programs in \(Int(timings.load.rounded())) ms, attached in \(Int(timings.attach.rounded())) ms"
    }
    /// What a user should know though nothing failed.
    public private(set) var notes: [String] = []

    /// Checks the request, loads and attaches.
    public init(_ request: TraceRequest, catalog: Catalog = .builtIn) throws(AgentError) {
        self.catalog = catalog
        var policies = try LoadedPolicies.read(request, catalog, &notes)
        let features = Features(for: policies.events.map { catalog.events[$0] }, isThorough: false)
        // The kernel's types, of which libbpf is about to take a copy of its own.
        apus_return_free_memory()
        if let missing = features.missingRequirement { throw AgentError(missing.reason) }
        let unavailable = try LoadedPolicies.unavailable(policies, request.hooks, features, catalog, &notes)
        let namesProcesses = policies.policies.contains {
            $0.scope.restrictions[.pid] != nil || $0.scope.restrictions[.tree] != nil
        }
        guard PIDNamespace.isInitial || (request.command.isEmpty && !namesProcesses) else {
            throw AgentError(
                "Apus runs in a pid namespace of its own, where it does not know the host's process numbers: "
                    + "run it in the host's (docker run --pid=host) to trace a command, a pid or a tree")
        }

        var opened: TracedCommand?
        if !request.command.isEmpty {
            let command = try TracedCommand(request.command)
            policies.restrict(toTreeOf: command.pid)
            opened = consume command
        }
        let plan: PolicyPlan
        do {
            plan = try PolicyPlan(
                policies, processStart: Clock.sinceBoot(), without: unavailable, catalog: catalog)
        } catch {
            throw AgentError(error.description, status: 2)
        }
        self.request = request
        let clock = Clock()
        self.clock = clock
        judges = Judges(plan, catalog, clock)
        losses = LossReporter(catalog, now: Clock.sinceBoot())
        let processes = processes
        let hierarchy = try ControlGroupHierarchy.find(at: request.controlGroups)
        let containers = ContainerWatch(catalog, request.runtimes, hierarchy)
        self.containers = containers
        digests = request.executableHash.flatMap { ExecutableDigests($0, catalog, containers) }
        let lineage: LineageSource? =
            request.wantsLineage ? { processes.lineage(of: $0, start: $1, at: $2) } : nil
        var outputs: [Output] = []
        do {
            for output in request.outputs {
                outputs.append(
                    try Output(
                        output, catalog: catalog, clock: clock, policyNames: plan.policies.map(\.name),
                        executable: { processes.executable(of: ProcessKey(process: $0, start: $1), at: $2) },
                        container: { containers.shown(group: $0, at: $1) }, lineage: lineage))
            }
        } catch {
            throw AgentError(error.description)
        }
        self.outputs = outputs
        do {
            var sensed = SensorRequest(plan, request)
            sensed.legacyControlGroups = hierarchy?.legacy
            sensor = try Sensor(sensed, features: features, catalog: catalog)
            try ProcessTrees.write(
                policies, plan.scope.programs, to: sensor, plan: 0, command: opened?.pid,
                isPending: opened != nil)
        } catch {
            // The quick look at the start leaves trials out; now they may tell what is missing.
            throw AgentError(Features().missingRequirement?.reason ?? error.description)
        }
        containers.start(sensor, plan.scope.containers)
        if let snapshot = ProcessSnapshot(sensor, arguments: request.wantsLineage) {
            processes.enter(snapshot)
        }
        for (index, reason) in sensor.absent.sorted(by: { $0.key < $1.key }) {
            notes.append("this kernel cannot give \(catalog.events[index].name): \(reason)")
        }
        guard sensor.absent.count < plan.events.count else {
            throw AgentError(
                "this kernel can give none of the chosen events: \(notes.joined(separator: "; "))")
        }
        if sensor.usesSingleHooks && features[.compat].isPresent {
            notes.append(
                "these hooks do not see 32-bit callers; --hooks all does, at a cost to every call"
            )
        }
        command = opened.take()
        received = Array(repeating: 0, count: catalog.events.count)
        let ofState: [EventID] = [
            .sched_process_fork, .sched_process_exec, .sched_process_exit, .cgroup_mkdir, .cgroup_rmdir,
        ]
        isOfState = catalog.events.map { ofState.contains($0.id) }
        var indexes = [Int16](repeating: -1, count: 1 + Int(catalog.events.map(\.id.rawValue).max() ?? 0))
        for event in catalog.events { indexes[Int(event.id.rawValue)] = Int16(event.index) }
        self.indexes = indexes
        started = Clock.sinceBoot()
    }

    /// Traces until the command ends, a signal comes or an output fails.
    public func run() -> TraceResult {
        let canChange = !request.policies.isEmpty
        apus_watch_signals(canChange)
        let watch = canChange ? PolicyWatch(request.policies) : nil
        // What start needed once (the kernel's types, the kernel object) goes back to the system.
        apus_return_free_memory()
        for index in judges.wanted.sorted() {
            let record = AgentEvents.record(
                of: catalog.events[index], policies: judges.policies(wanting: index),
                version: request.version,
                clock: clock)
            if let record { take(made: record) }
        }
        command?.start()
        var status: Int32 = 0
        var idleTicks = 0
        refusal = nil
        loop: while true {
            let count = drain(until: Clock.sinceBoot())
            for output in outputs { output.flush() }
            if apus_stop_signal() != 0 {
                endCommand()
                break
            }
            if let ended = command?.poll() {
                status = ended
                refusal = command?.refusal()
                break
            }
            for output in outputs where output.failure != 0 { break loop }
            changePolicies(watch)
            reportLosses(isLast: false)
            reportLimits(isLast: false)
            if apus_take_report_request() { report(result()) }
            idleTicks = count < 8 && held.isEmpty && !containers.isWaiting ? min(idleTicks + 1, 40) : 0
            // One millisecond while much happens, so that rings stay small; four when little does.
            if !sensor.rings.isFilling && !sensor.rings.isUnfinished { usleep(idleTicks < 40 ? 1000 : 4000) }
        }
        return finish(status)
    }

    private func finish(_ commandStatus: Int32) -> TraceResult {
        // The thread of a change works on the same maps and hooks.
        while let change, !change.isDone {
            if let outcome = change.outcome, case .prepared = outcome { change.settle() }
            drain(until: Clock.sinceBoot())
            usleep(1000)
        }
        let before = Clock.sinceBoot()
        sensor.silence()
        while drain(until: .max) > 0 || !held.isEmpty || containers.isWaiting || sensor.rings.isUnfinished {
            if !held.isEmpty || containers.isWaiting || sensor.rings.isUnfinished { usleep(1000) }
        }
        containers.end()
        digests?.end()
        reportLosses(isLast: true)
        reportLimits(isLast: true)
        var result = result(status: commandStatus)
        sensor.detach()
        stopMilliseconds = Double(Clock.sinceBoot() - before) / 1e6
        result.seconds = Double(Clock.sinceBoot() - started) / 1e9
        for (number, output) in outputs.enumerated() {
            let (counts, undelivered) = output.finish(waiting: 3)
            if number == 0 { result.finish(delivered: counts.reduce(0, +), undelivered: undelivered) }
            result.undelivered += undelivered
            if output.failure != 0 { result.outputFailure = output.failure }
        }
        result.commandRefusal = refusal
        return result
    }

    /// What became of everything up to now. What the outputs have in hand counts as delivered.
    private func result(status: Int32 = 0) -> TraceResult {
        var result = TraceResult(seconds: Double(Clock.sinceBoot() - started) / 1e9, status: status)
        result.refusedRuns = sensor.refusedRuns()
        result.escaped = (try? sensor.processesOutsideTreeTable()) ?? 0
        result.unpaired = (try? sensor.unpairedReturns()) ?? 0
        result.malformed = malformed
        result.evictedProcesses = processes.losses.living &+ processes.losses.ended
        result.evictedContainers = containers.store.evictions &+ containers.store.groupEvictions
        result.unknownGroups = (try? sensor.groupsOutsideContainerTable()) ?? 0
        result.missingHashes = digests?.missing ?? 0
        result.filteredLater = filteredLater
        result.handedOver = received.reduce(0, &+) &- receivedForState &- filteredLater
        result.made = made
        result.receivedForState = receivedForState
        let chosen = judges.wanted
        for (index, counts) in (try? sensor.counts()) ?? [:] {
            result.add(
                counts, received: received[index], isWanted: chosen.contains(index),
                name: catalog.events[index].name)
        }
        result.sort()
        return result
    }

    /// Passes a signal that only we got on to the command, and gives it a moment to end.
    private func endCommand() {
        guard command != nil else { return }
        if apus_stop_was_sent() { command?.signal(apus_stop_signal()) }
        for _ in 0..<200 {
            if command?.poll() != nil { return }
            drain(until: Clock.sinceBoot())
            usleep(5000)
        }
    }

    // MARK: Other policies

    /// Begins a change when it is asked for, and commits it when it is prepared.
    private func changePolicies(_ watch: PolicyWatch?) {
        guard let watch else { return }
        guard let change else {
            if watch.hasChanged(now: Clock.sinceBoot(), isAsked: apus_take_change_request()) {
                change = PolicyChange(
                    request, sensor, catalog, started: started, command: command?.pid)
            }
            return
        }
        if change.isDone {
            if case .failed(let reason)? = change.outcome { say("the policies stay as they were: \(reason)") }
            self.change = nil
            isCommitted = false
            return
        }
        guard !isCommitted, case .prepared(let plan, let prepared, let notes)? = change.outcome else {
            return
        }
        do throws(ProbeError) {
            judges.add(plan, number: prepared.number, catalog, clock)
            containers.prepare(sensor, plan.scope.containers, plan: prepared.number)
            try sensor.commit(prepared)
            for note in notes { say(note) }
            say("\(plan.policies.count) policies are in force now")
        } catch {
            say("the policies stay as they were: \(error.description)")
        }
        isCommitted = true
        change.settle()
    }

    /// The records that follow were judged by another plan.
    private func show(_ plan: UInt32) {
        judges.show(plan)
        for output in outputs { output.setPolicyNames(judges.names) }
    }

    // MARK: Losses

    /// Tells in the stream what was lost since it was told last.
    private func reportLosses(isLast: Bool) {
        let plan = judges.shown
        let report = losses.look(sensor, now: Clock.sinceBoot(), isLast: isLast, plan: plan) { [judges] in
            judges.name($0.policy, ofPlan: $0.plan)
        }
        guard let report else { return }
        let policies =
            judges.policies(told: AgentEvents.lossesIndex)
            & (report.policyBits == 0 ? .max : report.policyBits)
        if policies != 0 { take(made: AgentEvents.record(of: report, policies: policies, plan: plan)) }
    }

    /// Tells in the stream which rate limits began to hold or ended since it was told last.
    private func reportLimits(isLast: Bool) {
        let plan = judges.shown
        let reports = limits.look(
            sensor, now: Clock.sinceBoot(), isLast: isLast, plan: plan, policies: judges.policies)
        let told = judges.policies(told: AgentEvents.limitIndex)
        for report in reports where told >> UInt64(report.number) & 1 == 1 {
            take(made: AgentEvents.record(of: report, policies: 1 << UInt64(report.number), plan: plan))
        }
    }

    // MARK: Containers

    /// Tells events of containers to those policies that want them.
    private func tell(_ tellings: ArraySlice<ContainerWatch.Telling>) {
        for telling in tellings {
            let container = telling.container
            let event = AgentEvents.event(of: telling.what)
            let some = telling.plan == judges.shown ? telling.policies : .max
            let wanting = judges.policies(wanting: catalog.index(of: event) ?? -1) & some
            let policies = judges.containers.taking(
                wanting, (container.identity.id, container.state != .existed, true))
            guard policies != 0, let definition = catalog[event] else { continue }
            take(
                made: AgentEvents.record(
                    of: definition, container: container, policies: policies, plan: judges.shown,
                    clock: clock))
        }
    }

    // MARK: One record

    /// Takes what is in the rings up to a time (ns since boot), and shows what was held and need not be any more.
    /// Returns how many records were taken.
    @discardableResult
    private func drain(until limit: UInt64) -> Int {
        tell(containers.exchangeNames())
        if held.isFull {
            containers.stopWaiting()
            digests?.stopWaiting()
        }
        held.release { [self] record in
            guard let event = EventView(record) else { return true }
            if isAwaited(event) { return false }
            show(event, record)
            return true
        }
        return sensor.rings.drain(until: limit) { [self] record in take(record) }
    }

    /// Takes a record that the agent made.
    private func take(made record: [UInt8]) {
        made += 1
        unsafe take(record.span.bytes)
    }

    /// Takes in what a record tells of processes and containers, and shows it, now or later.
    private func take(_ record: RawSpan) {
        guard let event = EventView(record) else {
            malformed += 1
            return
        }
        let id = Int(event.event.rawValue)
        guard id < indexes.count, indexes[id] >= 0 else {
            malformed += 1
            return
        }
        let index = Int(indexes[id])
        received[index] &+= 1
        if isOfState[index] {
            processes.update(event)
            containers.take(event, sensor)
        }
        if held.isEmpty && !isAwaited(event) { return show(event, record) }
        held.append(record)
    }

    /// Something that belongs into the event is not known yet.
    @inline(__always)
    private func isAwaited(_ event: EventView) -> Bool {
        containers.isAwaited(event) || digests?.isAwaited(event) ?? false
    }

    /// Shows an event, with its file's hash where that is known.
    @inline(__always)
    private func show(_ event: EventView, _ record: RawSpan) {
        if let digests, digests.complete(event, record, { show($0) }) { return }
        show(event)
    }

    /// Writes an event to the outputs, if a policy takes it.
    private func show(_ record: EventView) {
        var event = record
        let index = Int(indexes[Int(event.event.rawValue)])
        let isForState = event.policies == 0
        if !isForState && event.plan != judges.shown { show(event.plan) }
        if isOfState[index] {
            if event.event == .sched_process_exec {
                let key = ProcessKey(process: event.hostProcess, start: event.processStart)
                let isParent = request.wantsLineage && processes.isParent(key)
                for output in outputs { output.forget(process: key.process, isParent: isParent) }
            }
            event.policies &= ~judges.policies(implying: index)
        }
        guard event.policies != 0 else {
            if isForState { receivedForState &+= 1 } else { filteredLater += 1 }
            return
        }
        let container = containers.stamp(of: event)
        event.policies = containers.policies(of: event, judges.containers)
        event.policies = judges.policies(of: event, index: index, container: container) {
            containers.workload(of: event)
        }
        guard event.policies != 0 else {
            filteredLater += 1
            return
        }
        for output in outputs { output.write(event, index: index, container: container) }
    }
}
