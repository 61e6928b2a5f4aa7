internal import CLibbpf
internal import CSystem
public import Catalog
internal import Glibc

/// What a kernel feature turned out to be.
public enum FeatureState: Sendable, Equatable {
    case present
    case absent(String)
    /// It could not be tried; the reason.
    case unknown(String)

    public var isPresent: Bool { self == .present }
    public var name: String {
        switch self {
        case .present: "present"
        case .absent: "absent"
        case .unknown: "unknown"
        }
    }
    public var reason: String? {
        switch self {
        case .present: nil
        case .absent(let reason), .unknown(let reason): reason
        }
    }
}

/// A named capability of the kernel or of us, and what it is for.
public enum Feature: String, CaseIterable, Sendable {
    case privileges, lockdown
    case btf
    case ringBuffer = "ring-buffer"
    case taskStorage = "task-storage"
    case btfTracepoints = "btf-tracepoints"
    case syscallTracepoints = "syscall-tracepoints"
    case trampolines
    case kprobes
    case kprobeMulti = "kprobe-multi"
    case undisturbedPrograms = "undisturbed-programs"
    case bpfLSM = "bpf-lsm"
    case compat = "32-bit-callers"

    public var purpose: String {
        switch self {
        case .privileges: "CAP_SYS_ADMIN, or CAP_BPF and CAP_PERFMON: load and attach programs"
        case .lockdown: "kernel lockdown lets programs read kernel memory"
        case .btf: "type information of the running kernel"
        case .ringBuffer: "records to user space (5.8)"
        case .taskStorage: "inputs kept from entry to exit with the task (5.11); else in a table of 8192"
        case .btfTracepoints: "all system calls, processes, control groups, modules (5.5)"
        case .syscallTracepoints: "hooks on single system calls, cheap for all others (tracefs)"
        case .trampolines: "hooks on kernel functions, fentry and fexit"
        case .kprobes: "hooks on kernel functions without trampolines"
        case .kprobeMulti: "hooks on many kernel functions at once (5.18)"
        case .undisturbedPrograms: "the kernel does not preempt programs; else trampolines could miss events"
        case .bpfLSM: "hooks on security decisions"
        case .compat: "system calls of 32-bit programs"
        }
    }

    /// Without it nothing can be traced.
    public var isRequired: Bool {
        switch self {
        case .privileges, .lockdown, .btf, .ringBuffer, .btfTracepoints: true
        case .taskStorage, .syscallTracepoints, .trampolines, .kprobes, .kprobeMulti, .undisturbedPrograms,
            .bpfLSM,
            .compat:
            false
        }
    }
}

/// The features of the running kernel, tried once.
public struct Features: Sendable {
    public private(set) var states: [Feature: FeatureState] = [:]
    let types: KernelTypes?
    /// System calls that the kernel has, by the name in its definition; nil when tracefs does not tell.
    let definitions: Set<String>?
    /// Where the functions are that somebody may want to hook; none where the kernel lets nobody, as
    /// finding them takes a while.
    let symbols: KernelSymbols

    /// - Parameters:
    ///   - events: those that somebody may want; finding out about kernel functions takes a while.
    ///   - isThorough: also load trial programs for what nothing depends on, a few milliseconds each.
    public init(for events: [EventDefinition] = Catalog.builtIn.events, isThorough: Bool = true) {
        let undisturbed = Preemption.state
        states[.undisturbedPrograms] = undisturbed
        let functions = Self.functions(of: events, isCalm: undisturbed.isPresent)
        let types: KernelTypes?
        do {
            types = try KernelTypes(functions: functions)
            states[.btf] = .present
        } catch {
            types = nil
            states[.btf] = .absent(error.description)
        }
        self.types = types
        do {
            definitions = try Tracefs().systemCalls()
            states[.syscallTracepoints] = .present
        } catch {
            definitions = nil
            states[.syscallTracepoints] = .absent(error.description)
        }
        states[.privileges] = Self.privileges()
        states[.lockdown] = Self.lockdown()
        states[.compat] =
            types?.compatSystemCalls.isEmpty == false
            ? .present : .absent("the kernel lacks CONFIG_IA32_EMULATION, or has no BTF")
        states[.taskStorage] = Self.map(BPF_MAP_TYPE_TASK_STORAGE, "task storage maps")
        if isThorough || !functions.isEmpty {
            states[.trampolines] = Self.tracing(1, types?.systemCalls["getpid"], "fentry on a system call")
            states[.kprobes] =
                unsafe access("/sys/bus/event_source/devices/kprobe/type", F_OK) == 0
                ? .present : .absent("the kernel lacks CONFIG_KPROBES")
        }
        let canHook = states[.trampolines]?.isPresent == true || states[.kprobes]?.isPresent == true
        symbols = functions.isEmpty || !canHook ? KernelSymbols() : KernelSymbols(functions)
        if canHook {
            states[.kprobeMulti] = Self.multiple(symbols.addresses[Self.multipleTrialHook]?.first ?? 0)
        } else if let reason = states[.kprobes]?.reason {
            states[.kprobeMulti] = .absent(reason)
        }
        guard isThorough else { return }
        states[.ringBuffer] = Self.map(BPF_MAP_TYPE_RINGBUF, "ring buffer maps")
        states[.btfTracepoints] = Self.tracing(
            0, types?.tracepoints["sched_process_exec"], "a BTF tracepoint")
        states[.bpfLSM] = Self.tracing(2, types?.lsmTrialHook, "a BPF LSM program")
    }

    /// Those of a kernel that is made up, for tests.
    init(
        states: [Feature: FeatureState], types: KernelTypes?, definitions: Set<String>?,
        symbols: KernelSymbols
    ) {
        self.states = states
        self.types = types
        self.definitions = definitions
        self.symbols = symbols
    }

    /// The kernel functions that the hooks of some events name, and those that Apus always needs.
    /// - Parameter isCalm: the kernel does not preempt programs.
    private static func functions(of events: [EventDefinition], isCalm: Bool) -> Set<String> {
        var names: Set<String> = []
        let state = isCalm ? [] : SensorPlan.stateEvents.compactMap { Catalog.builtIn[$0] }
        for event in events + state {
            guard case .hooks(let hooks) = event.source else { continue }
            for place in hooks.flatMap(\.places) where !(isCalm && place.kind.isNeverPreempted) {
                if place.kind.isFunction { names.insert(place.target) }
                for call in place.calls { names.insert("__x64_sys_\(KernelTypes.definitionName(call))") }
            }
        }
        if !names.isEmpty { names.formUnion([multipleTrialHook, "fprobe_return"]) }
        return names
    }

    public subscript(feature: Feature) -> FeatureState { states[feature] ?? .unknown("it was not tried") }

    /// The first required feature that is missing, with its reason.
    public var missingRequirement: (feature: Feature, reason: String)? {
        for feature in Feature.allCases where feature.isRequired {
            if case .absent(let reason) = self[feature] { return (feature, reason) }
        }
        return nil
    }

    /// Whether this kernel can give an event.
    public func availability(of event: EventDefinition) -> FeatureState {
        if let missing = missingRequirement { return .absent(missing.reason) }
        switch event.source {
        case .agent: return .present
        case .hooks(let hooks):
            for hook in hooks where !hook.isOptional {
                let options = options(of: hook)
                if options.attachments.isEmpty { return .absent(options.reason) }
            }
            return .present
        case .systemCall(let number, _, _):
            guard number != nil else {
                return self[.compat].isPresent
                    ? .present : .absent("only 32-bit programs can call it, and this kernel runs none")
            }
            let name = KernelTypes.definitionName(event.name)
            if let definitions {
                return definitions.contains(name)
                    ? .present : .absent("this kernel does not implement the call")
            }
            guard let types else { return .unknown("neither tracefs nor BTF tells") }
            return types.systemCalls[name] != nil
                ? .present : .absent("this kernel does not implement the call")
        }
    }

    // MARK: Trials

    private static func privileges() -> FeatureState {
        guard let bytes = readFile("/proc/self/status", limit: 1 << 20) else {
            return .unknown("/proc is not mounted")
        }
        for line in String(decoding: bytes, as: UTF8.self).split(separator: "\n")
        where line.hasPrefix("CapEff:") {
            let mask = UInt64(line.dropFirst(7).drop { $0 == "\t" || $0 == " " }, radix: 16) ?? 0
            let has = { (capability: UInt64) in mask >> capability & 1 == 1 }
            if has(21) || (has(39) && has(38)) { return .present }
        }
        return .absent("Apus needs root, or CAP_BPF and CAP_PERFMON; run it with sudo")
    }

    private static func lockdown() -> FeatureState {
        guard let bytes = readFile("/sys/kernel/security/lockdown", limit: 4096) else { return .present }
        guard String(decoding: bytes, as: UTF8.self).contains("[confidentiality]") else { return .present }
        return .absent(
            "the kernel is locked down for confidentiality, which forbids programs to read its memory; boot with lockdown=integrity or none"
        )
    }

    private static func map(_ type: bpf_map_type, _ what: String) -> FeatureState {
        let result = libbpf_probe_bpf_map_type(type, nil)
        if result == 1 { return .present }
        if result == 0 { return .absent("the kernel has no \(what)") }
        return .unknown("trying \(what) failed: \(BPFObject.errnoText(-result))")
    }

    /// Seldom called, and there on all kernels.
    private static let multipleTrialHook = "security_settime64"

    private static func multiple(_ address: UInt64) -> FeatureState {
        guard address != 0 else { return .unknown("the kernel hides the addresses of its functions") }
        let result = apus_try_multi(address)
        return result == 0
            ? .present
            : .absent("the kernel refuses a kprobe on several functions: \(BPFObject.errnoText(-result))")
    }

    private static func tracing(_ kind: Int32, _ target: UInt32?, _ what: String) -> FeatureState {
        guard let target else { return .absent("the kernel's BTF has no place to try \(what) on") }
        let result = apus_try_tracing(kind, target)
        return result == 0 ? .present : .absent("the kernel refuses \(what): \(BPFObject.errnoText(-result))")
    }
}
