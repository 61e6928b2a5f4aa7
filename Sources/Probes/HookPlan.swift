internal import CSystem
public import Catalog

/// How kernel functions are hooked.
public enum FunctionHooks: String, CaseIterable, Sendable {
    /// Trampolines for a few functions, one multiple kprobe for many or where the kernel preempts programs,
    /// else kprobes.
    case auto
    case fentry, kprobe
    /// One multiple kprobe, wherever it can be.
    case multi
}

/// One way to attach one program, or the pair that watches a function from entry to exit.
public enum Attachment: Sendable, Hashable {
    case tracepoint(program: String)
    /// A multiple kprobe of this one function, for programs that must not be preempted.
    case single(program: String, address: UInt64)
    /// The perf tracepoint that the program's section names.
    case perf(program: String)
    case trampoline(program: String, isExit: Bool)
    /// `exit` is the program at the return; `entry` then keeps the arguments.
    case kprobe(entry: String, exit: String?, function: String, addresses: [UInt64])
    /// The same, as one of many that are attached at once.
    case multi(entry: String, exit: String?, addresses: [UInt64])
    case calls(program: String, isExit: Bool, names: [String])

    var programs: [String] {
        switch self {
        case .tracepoint(let program), .single(let program, _), .perf(let program),
            .trampoline(let program, _), .calls(let program, _, _):
            [program]
        case .kprobe(let entry, let exit, _, _), .multi(let entry, let exit, _):
            [entry] + (exit.map { [$0] } ?? [])
        }
    }

    var isMulti: Bool {
        if case .multi = self { return true }
        return false
    }

    /// In the kernel's words: fentry, kprobe and kretprobe, ...
    public var way: String {
        switch self {
        case .tracepoint: "tp_btf"
        case .single: "kprobe.multi"
        case .trampoline(_, let isExit): isExit ? "fexit" : "fentry"
        case .kprobe(_, let exit, _, _): exit == nil ? "kprobe" : "kprobe+kretprobe"
        case .multi(_, let exit, _): exit == nil ? "kprobe.multi" : "kprobe.multi+kretprobe.multi"
        case .calls, .perf: "perf tracepoint"
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
    ///
    /// - Parameter isOneOfMany: so many functions are hooked that attaching them one by one takes long.
    public func options(
        of hook: Hook, _ preference: FunctionHooks = .auto, isOneOfMany: Bool = false
    ) -> HookOptions {
        var attachments: [(place: HookPlace, attachment: Attachment)] = []
        var refusals: [String] = []
        var otherShapes: [String] = []
        for place in hook.places {
            let (found, reason) = self.attachments(at: place, preference, isOneOfMany)
            let isFirst = place.kind.isNeverPreempted
            attachments.insert(
                contentsOf: found.map { (place, $0) }, at: isFirst ? 0 : attachments.endIndex)
            switch reason {
            case .refused(let text): if !refusals.contains(text) { refusals.append(text) }
            case .notHere(let text): if !otherShapes.contains(text) { otherShapes.append(text) }
            case nil: break
            }
        }
        // That one alternative is not of this kernel says little where another is.
        let reasons = refusals.isEmpty ? otherShapes : refusals
        return HookOptions(hook: hook, attachments: attachments, reason: reasons.joined(separator: "; "))
    }

    /// Why a place is of no use.
    private enum Reason {
        /// This kernel has nothing of that name or shape.
        case notHere(String)
        /// It has, and does not let programs there.
        case refused(String)
    }

    private func attachments(
        at place: HookPlace, _ preference: FunctionHooks, _ isOneOfMany: Bool
    ) -> ([Attachment], Reason?) {
        switch place.kind {
        case .tracepoint:
            guard types?.tracepoints[place.target] != nil else {
                return ([], .notHere("this kernel has no tracepoint \(place.target)"))
            }
            return ([.tracepoint(program: place.program)], nil)
        case .callsEnter, .callsExit:
            let names = place.calls.map(KernelTypes.definitionName).filter {
                definitions?.contains($0) == true
            }
            guard !names.isEmpty else {
                let reason = self[.syscallTracepoints].reason ?? "this kernel has none of the system calls"
                return ([], .refused(reason))
            }
            var attachments: [Attachment] = [
                .calls(program: "\(place.program)__calls", isExit: place.kind == .callsExit, names: names)
            ]
            let addresses = names.compactMap { symbols.addresses["__x64_sys_\($0)"]?.first }
            let suits = isOneOfMany || preference == .multi || !self[.undisturbedPrograms].isPresent
            if place.kind == .callsEnter && suits && preference != .kprobe && self[.kprobeMulti].isPresent
                && addresses.count == names.count && !addresses.contains(0)
            {
                attachments.insert(
                    .multi(entry: "\(place.program)__calls_kprobe", exit: nil, addresses: addresses), at: 0)
            }
            return (attachments, nil)
        case .entry, .exit: return functionAttachments(at: place, preference, isOneOfMany)
        case .kprobe, .perf: return neverPreempted(at: place)
        }
    }

    /// What stands in for a tracepoint on a kernel that preempts its programs.
    private func neverPreempted(at place: HookPlace) -> ([Attachment], Reason?) {
        if self[.undisturbedPrograms].isPresent { return ([], nil) }
        guard place.kind == .kprobe else {
            if let reason = self[.syscallTracepoints].reason { return ([], .refused(reason)) }
            return ([.perf(program: "\(place.program)__perf")], nil)
        }
        if let reason = self[.kprobeMulti].reason { return ([], .refused(reason)) }
        guard let addresses = symbols.addresses[place.target], addresses.count == 1, addresses[0] != 0 else {
            return ([], .notHere("this kernel does not show where one function \(place.target) is"))
        }
        if let reason = otherShape(place) { return ([], .notHere(reason)) }
        return ([.single(program: "\(place.program)__multi", address: addresses[0])], nil)
    }

    /// Why a function of that name is not the one that the catalogue means. Those of one name that the kernel's types do
    /// not tell apart are all of the same shape.
    private func otherShape(_ place: HookPlace) -> String? {
        for function in types?.functions[place.target] ?? [] {
            if let difference = Self.difference(place.parameters, function.parameters) {
                return "\(place.target) of this kernel has another prototype: \(difference)"
            }
        }
        return nil
    }

    private func functionAttachments(
        at place: HookPlace, _ preference: FunctionHooks, _ isOneOfMany: Bool
    ) -> ([Attachment], Reason?) {
        let name = place.target
        let addresses = symbols.addresses[name] ?? []
        guard !addresses.isEmpty else {
            if let trampolines = self[.trampolines].reason, let kprobes = self[.kprobes].reason {
                return ([], .refused("\(trampolines); \(kprobes)"))  // and nobody looked for it
            }
            return ([], .notHere("this kernel has no function \(name)"))
        }
        if let reason = otherShape(place) { return ([], .notHere(reason)) }
        let known = types?.functions[name] ?? []
        let isExit = place.kind == .exit
        let entry = "\(place.program)__kprobe"
        let exit = isExit ? "\(place.program)__kretprobe" : nil
        var refusals: [String] = []

        var trampoline: [Attachment] = []
        if preference != .kprobe {
            if let refusal = trampolineRefusal(known, addresses) {
                refusals.append(refusal)
            } else {
                let program = "\(place.program)__\(isExit ? "fexit" : "fentry")"
                trampoline = [.trampoline(program: program, isExit: isExit)]
            }
        }
        var kprobe: [Attachment] = []
        var multi: [Attachment] = []
        if preference != .fentry {
            if let refusal = self[.kprobes].reason {
                refusals.append(refusal)
            } else if addresses.count > 1 && addresses.contains(0) {
                refusals.append("the kernel hides the addresses of the functions named \(name)")
            } else {
                kprobe = [.kprobe(entry: entry, exit: exit, function: name, addresses: addresses)]
                if preference != .kprobe && self[.kprobeMulti].isPresent && !addresses.contains(0) {
                    multi = [.multi(entry: entry, exit: exit, addresses: addresses)]
                }
            }
        }
        // Before 6.14 the kernel watches a limited number of returns by other ways than trampolines.
        let losesReturns = isExit && !returnsAreUnlimited
        let attachments: [Attachment]
        if preference == .multi {
            attachments = multi + trampoline + kprobe
        } else if losesReturns {
            attachments = trampoline + kprobe
        } else if !self[.undisturbedPrograms].isPresent || isOneOfMany {
            attachments = multi + (isExit ? trampoline + kprobe : kprobe + trampoline)
        } else {
            attachments = trampoline + kprobe
        }
        return (attachments, attachments.isEmpty ? .refused(refusals.joined(separator: "; ")) : nil)
    }

    /// Whether a multiple kprobe sees any number of returns at once, as it rests on the function graph
    /// tracer since 6.14.
    private var returnsAreUnlimited: Bool { symbols.addresses["fprobe_return"] != nil }

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
