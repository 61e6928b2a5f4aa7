internal import CSystem
public import Catalog

/// How kernel functions are hooked.
public enum FunctionHooks: String, CaseIterable, Sendable {
    /// Trampolines where the kernel has them and does not preempt them, else kprobes.
    case auto
    case fentry, kprobe
}

/// One way to attach one program, or the pair that watches a function from entry to exit.
public enum Attachment: Sendable, Equatable {
    case tracepoint(program: String)
    case trampoline(program: String, isExit: Bool)
    /// `exit` is the program at the return; `entry` then keeps the arguments.
    case kprobe(entry: String, exit: String?, function: String, addresses: [UInt64])
    case calls(program: String, isExit: Bool, names: [String])

    var programs: [String] {
        switch self {
        case .tracepoint(let program), .trampoline(let program, _), .calls(let program, _, _): [program]
        case .kprobe(let entry, let exit, _, _): [entry] + (exit.map { [$0] } ?? [])
        }
    }

    /// In the kernel's words: fentry, kprobe and kretprobe, ...
    public var way: String {
        switch self {
        case .tracepoint: "tp_btf"
        case .trampoline(_, let isExit): isExit ? "fexit" : "fentry"
        case .kprobe(_, let exit, _, _): exit == nil ? "kprobe" : "kprobe+kretprobe"
        case .calls: "perf tracepoint"
        }
    }
}

/// A hook of an event on this kernel: the ways to attach it, the best first, or why there is none.
public struct HookOptions: Sendable {
    public let hook: Hook
    public let attachments: [(place: HookPlace, attachment: Attachment)]
    public let reason: String
}

extension Features {
    /// The ways to attach a hook on this kernel.
    public func options(of hook: Hook, _ preference: FunctionHooks = .auto) -> HookOptions {
        var attachments: [(place: HookPlace, attachment: Attachment)] = []
        var reasons: [String] = []
        for place in hook.places {
            let (found, reason) = self.attachments(at: place, preference)
            attachments += found.map { (place, $0) }
            if let reason, !reasons.contains(reason) { reasons.append(reason) }
        }
        return HookOptions(hook: hook, attachments: attachments, reason: reasons.joined(separator: "; "))
    }

    private func attachments(at place: HookPlace, _ preference: FunctionHooks) -> ([Attachment], String?) {
        switch place.kind {
        case .tracepoint:
            guard types?.tracepoints[place.target] != nil else {
                return ([], "this kernel has no tracepoint \(place.target)")
            }
            return ([.tracepoint(program: place.program)], nil)
        case .callsEnter, .callsExit:
            let names = place.calls.map(KernelTypes.definitionName).filter { definitions?.contains($0) == true }
            guard !names.isEmpty else {
                return ([], self[.syscallTracepoints].reason ?? "this kernel has none of the system calls")
            }
            return (
                [.calls(program: "\(place.program)__calls", isExit: place.kind == .callsExit, names: names)],
                nil
            )
        case .entry, .exit: return functionAttachments(at: place, preference)
        }
    }

    private func functionAttachments(
        at place: HookPlace, _ preference: FunctionHooks
    ) -> ([Attachment], String?) {
        let name = place.target
        let addresses = symbols.addresses[name] ?? []
        guard !addresses.isEmpty else { return ([], "this kernel has no function \(name)") }
        // Those of one name that the kernel's types do not tell apart are all of the same shape.
        let known = types?.functions[name] ?? []
        for function in known {
            if let difference = Self.difference(place.parameters, function.parameters) {
                return ([], "\(name) of this kernel has another prototype: \(difference)")
            }
        }
        var attachments: [Attachment] = []
        var reason: String?
        let isExit = place.kind == .exit
        if preference != .kprobe {
            if let refusal = trampolineRefusal(known, addresses) {
                reason = refusal
            } else {
                attachments.append(
                    .trampoline(
                        program: "\(place.program)__\(isExit ? "fexit" : "fentry")", isExit: isExit))
            }
        }
        if preference != .fentry {
            if let refusal = self[.kprobes].reason {
                reason = reason.map { "\($0); \(refusal)" } ?? refusal
            } else if addresses.count > 1 && addresses.contains(0) {
                reason = "the kernel hides the addresses of the functions named \(name)"
            } else {
                attachments.append(
                    .kprobe(
                        entry: "\(place.program)__kprobe", exit: isExit ? "\(place.program)__kretprobe" : nil,
                        function: name, addresses: addresses))
            }
        }
        if preference == .auto && !self[.undisturbedPrograms].isPresent { attachments.reverse() }
        return (attachments, attachments.isEmpty ? reason : nil)
    }

    private func trampolineRefusal(_ known: [KernelFunction], _ addresses: [UInt64]) -> String? {
        if let reason = self[.trampolines].reason { return reason }
        guard known.count == 1, addresses.count == 1 else {
            return "the kernel's types do not tell which function of that name it is"
        }
        // Arguments on the stack: only since 6.6, so it is tried.
        if known[0].parameters.count > 6 {
            let result = apus_try_tracing(1, known[0].id)
            if result != 0 { return "the kernel refuses a trampoline: \(BPFObject.errnoText(-result))" }
        }
        return nil
    }

    private static func difference(_ wanted: [ParameterShape], _ actual: [ParameterShape]) -> String? {
        guard wanted.count == actual.count else {
            return "\(actual.count) parameters, not \(wanted.count)"
        }
        for (index, (wanted, actual)) in zip(wanted, actual).enumerated() where !wanted.accepts(actual) {
            return "parameter \(index + 1) is \(actual.description), not \(wanted.description)"
        }
        return nil
    }
}
