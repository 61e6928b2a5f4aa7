public import Catalog
internal import Policies

/// Which programs are loaded for a request, and how they are attached. What the kernel refuses is
/// replaced by the next way of attaching it, or given up with its reason, and the rest stays.
struct SensorPlan {
    /// Events of processes and control groups, which feed the state stores.
    static let stateEvents = [
        "sched_process_fork", "sched_process_exec", "sched_process_exit", "cgroup_mkdir", "cgroup_rmdir",
        "task_rename",
    ]
    /// How each of them is hooked, and what else keeps the state: what is left to try, the best first.
    private var state: [ArraySlice<Attachment>] = []
    /// For single hooks: name in the kernel's definition, and whether entry is hooked too.
    private(set) var calls: [(name: String, needsEntry: Bool)] = []
    private(set) var usesSingleHooks = false
    /// So many functions are hooked that attaching them one by one takes long.
    private let isMany: Bool
    /// What the kernel refused, with its reason.
    private var refusals: [String: String] = [:]
    /// Events that cannot be given, with the reason.
    private(set) var absent: [Int: String] = [:]
    private var choices: [Choice] = []

    /// One hook of one event.
    private struct Choice {
        let event: Int
        let isOptional: Bool
        /// What is left to try, the best first.
        var attachments: ArraySlice<Attachment>
    }

    /// The programs for system calls, of which a plan takes some.
    static let systemCallPrograms = [
        "all_syscalls_enter", "all_syscalls_exit", "all_syscalls_enter__perf", "all_syscalls_exit__perf",
        "one_syscall_enter", "one_syscall_exit",
    ]

    /// - Parameter current: what is attached already. Its hooks are used as they are, and others hooked in the same
    ///   way: two hooks in one place would report everything twice while both are there.
    init(
        _ request: SensorRequest, _ calls: [EventDefinition], _ features: Features, _ catalog: Catalog,
        after current: SensorPlan? = nil
    ) throws(ProbeError) {
        let exec = catalog["sched_process_exec"]
        let tellsNames = exec.map { request.isChangeable || request.events[$0.index] != nil } ?? false
        let attached = current?.attachments ?? []
        for name in Self.stateEvents where name != "task_rename" || tellsNames {
            guard case .hooks(let hooks) = catalog[name]?.source else { continue }
            for hook in hooks { state.append(Self.ordered(features.options(of: hook), attached)) }
        }
        if request.isChangeable || request.scope.concernsProcesses {
            state.append([.tracepoint(program: "sched_process_free")])
        }
        isMany = current?.isMany ?? (Self.functionCount(request, catalog) > Self.trampolineLimit)
        for index in request.events.keys.sorted() {
            guard case .hooks(let hooks) = catalog.events[index].source else { continue }
            for hook in hooks {
                let options = features.options(of: hook, request.functionHooks, isOneOfMany: isMany)
                let attachments = Self.ordered(options, attached)
                if !attachments.isEmpty {
                    choices.append(
                        Choice(event: index, isOptional: hook.isOptional, attachments: attachments))
                } else if !hook.isOptional {
                    absent[index] = options.reason
                }
            }
        }
        try planCalls(request, calls, features, after: current)
        for (program, reason) in current?.refusals ?? [:] { _ = replace(program, reason: reason) }
    }

    /// The ways to attach a hook, first the one that is in use.
    private static func ordered(_ options: HookOptions, _ attached: [Attachment]) -> ArraySlice<Attachment> {
        var attachments = options.attachments.map(\.attachment)
        if let index = attachments.firstIndex(where: attached.contains) { attachments.swapAt(0, index) }
        return attachments[...]
    }

    /// Taking a trampoline away takes the kernel 10 to 140 ms, one after the other.
    private static let trampolineLimit = 24

    /// How many places in functions the wanted events ask for.
    private static func functionCount(_ request: SensorRequest, _ catalog: Catalog) -> Int {
        var places: Set<String> = []
        for index in request.events.keys {
            guard case .hooks(let hooks) = catalog.events[index].source else { continue }
            for hook in hooks {
                if let place = hook.places.first, place.kind != .tracepoint {
                    places.insert(place.description)
                }
            }
        }
        return places.count
    }

    private mutating func planCalls(
        _ request: SensorRequest, _ calls: [EventDefinition], _ features: Features, after current: SensorPlan?
    ) throws(ProbeError) {
        guard !calls.isEmpty else {
            // Calls that are asked for later are hooked in the same way.
            usesSingleHooks = current?.usesSingleHooks ?? false
            return
        }
        let needsEntry = calls.contains {
            SystemCallTable.needsEntry($0, request.targets)
        }
        let hasCompatOnly = calls.contains(where: \.isCompatOnly)
        if let current, !(current.calls.isEmpty && current.pair.isEmpty) {
            guard !(current.usesSingleHooks && hasCompatOnly) else {
                throw ProbeError(
                    "system calls of 32-bit programs only need hooks on all calls; start again, with --hooks all"
                )
            }
            usesSingleHooks = current.usesSingleHooks
        } else {
            try chooseHooks(request, calls, features, hasCompatOnly)
        }
        if usesSingleHooks {
            self.calls = calls.map {
                (
                    KernelTypes.definitionName($0.name),
                    SystemCallTable.needsEntry($0, request.targets)
                )
            }
        } else {
            let names = ["all_syscalls_exit"] + (needsEntry ? ["all_syscalls_enter"] : [])
            let isCalm = features[.undisturbedPrograms].isPresent
            pair = names.map { isCalm ? .tracepoint(program: $0) : .perf(program: "\($0)__perf") }
        }
    }

    /// The pair of hooks that all system calls pass, or those of it that are needed.
    private var pair: [Attachment] = []

    private mutating func chooseHooks(
        _ request: SensorRequest, _ calls: [EventDefinition], _ features: Features, _ hasCompatOnly: Bool
    ) throws(ProbeError) {
        switch request.hooks {
        case .each:
            guard !hasCompatOnly else {
                throw ProbeError(
                    "hooks on single system calls do not see 32-bit callers; leave out --hooks each")
            }
            usesSingleHooks = true
        case .all: break
        case .auto:
            usesSingleHooks = features.suitsSingleHooks(calls)
        }
    }

    /// What Apus cannot do without.
    var essential: [Attachment] { state.compactMap(\.first) + pair }

    /// What is attached: the essential first, and what the events that can be given need, each once, as events may share
    /// programs.
    var attachments: [Attachment] {
        var attachments = essential
        for choice in choices where absent[choice.event] == nil {
            guard let attachment = choice.attachments.first, !attachments.contains(attachment) else {
                continue
            }
            attachments.append(attachment)
        }
        return attachments
    }

    /// All programs to load.
    var programs: Set<String> {
        let attachments = attachments
        var programs = Set(attachments.flatMap(\.programs))
        if refusals[Self.snapshot] == nil { programs.insert(Self.snapshot) }
        if attachments.contains(where: \.isMulti) { programs.insert(Self.multiDispatcher) }
        if usesSingleHooks {
            programs.insert("one_syscall_exit")
            if calls.contains(where: \.needsEntry) { programs.insert("one_syscall_enter") }
        }
        return programs
    }

    /// Tells the processes that are there. Without it `/proc` has to do.
    static let snapshot = "snapshot"

    /// Leads from a multiple kprobe to the program of each function.
    static let multiDispatcher = "multi"

    /// Of them, those that the dispatcher leads to.
    var multiPrograms: Set<String> { Set(attachments.filter(\.isMulti).flatMap(\.programs)) }

    /// Takes note that the kernel refused a program. Returns false where there is nothing to replace.
    mutating func replace(_ program: String, reason: String) -> Bool {
        var isReplaced = program == Self.snapshot
        refusals[program] = reason
        if program == Self.multiDispatcher {
            // All that were to be attached with it, each another way.
            for index in choices.indices where choices[index].attachments.contains(where: \.isMulti) {
                isReplaced = true
                let left = choices[index].attachments.filter { !$0.isMulti }
                choices[index].attachments = left[...]
                if left.isEmpty && !choices[index].isOptional { absent[choices[index].event] = reason }
            }
            return isReplaced
        }
        for index in state.indices
        where state[index].count > 1 && state[index].first?.programs.contains(program) == true {
            isReplaced = true
            state[index].removeFirst()
        }
        for index in choices.indices
        where choices[index].attachments.first?.programs.contains(program) == true {
            isReplaced = true
            choices[index].attachments.removeFirst()
            if choices[index].attachments.isEmpty && !choices[index].isOptional {
                absent[choices[index].event] = "\(program): \(reason)"
            }
        }
        return isReplaced
    }
}

extension SystemCallHooks {
    /// Up to so many system calls get single hooks by `auto`.
    static let singleLimit = 16
}

extension Features {
    /// Whether calls are better hooked one by one: few of them, each with a tracepoint of its own.
    public func suitsSingleHooks(_ calls: [EventDefinition]) -> Bool {
        // A preemptible kernel loses runs of single hooks, which the pair's perf tracepoints do not.
        calls.count <= SystemCallHooks.singleLimit && self[.undisturbedPrograms].isPresent
            && calls.allSatisfy {
                !$0.isCompatOnly && definitions?.contains(KernelTypes.definitionName($0.name)) == true
            }
    }

    /// Whether an event is a call of 64-bit programs that this kernel does not implement. Who tries it is seen where all
    /// calls are hooked.
    public func isFailingCall(_ event: EventDefinition) -> Bool {
        guard event.isSystemCall, !event.isCompatOnly, case .absent = availability(of: event) else {
            return false
        }
        return true
    }

    /// The calls among `events` that this kernel does not implement, where it costs nothing to see who tries them.
    func failingCalls(_ events: [EventDefinition], _ hooks: SystemCallHooks) -> [EventDefinition] {
        let calls = events.filter(\.isSystemCall)
        let implemented = calls.filter { availability(of: $0).isPresent }
        guard hooks == .all || hooks == .auto && !implemented.isEmpty && !suitsSingleHooks(implemented) else {
            return []
        }
        return calls.filter(isFailingCall)
    }

    /// Those of `events` that this kernel does not give, or perhaps not, by index. Calls that only fail are given where they
    /// can be seen.
    public func unavailable(_ events: [EventDefinition], _ hooks: SystemCallHooks) -> [Int: FeatureState] {
        let failing = Set(failingCalls(events, hooks).map(\.index))
        var states: [Int: FeatureState] = [:]
        for event in events where !failing.contains(event.index) {
            let state = availability(of: event)
            if !state.isPresent { states[event.index] = state }
        }
        return states
    }
}
