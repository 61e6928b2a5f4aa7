import TestSupport
import Testing

@testable import Catalog
@testable import Probes

/// A kernel that is made up, with the functions that the tests hook.
struct MadeUpKernel {
    var states: [Feature: FeatureState] = [
        .trampolines: .present, .kprobes: .present, .undisturbedPrograms: .present,
        .syscallTracepoints: .present, .kprobeMulti: .absent("no kprobes on several functions"),
    ]
    var definitions: Set<String>? = ["openat", "newstat"]
    /// A line of /proc/kallsyms each.
    var symbols = ["some", "other", "twice", "twice", "untyped"]
    var hidesAddresses = false

    /// One that attaches to many functions at once, and sees all their returns.
    static var withMulti: MadeUpKernel {
        var kernel = MadeUpKernel()
        kernel.states[.kprobeMulti] = .present
        kernel.symbols += ["fprobe_return", "__x64_sys_openat", "__x64_sys_newstat"]
        return kernel
    }

    func features() throws -> Features {
        var information = TypeInformation()
        let int = information.add(.int, "int", 4, [0])
        let file = information.add(.structure, "file", 8)
        let pointer = information.add(.pointer, "", file)
        information.add(function: "some", [pointer, int])
        information.add(function: "other", [int])
        information.add(function: "twice", [int])
        information.add(.typedef, "btf_trace_there", pointer)
        let names = Set(symbols)
        let text = symbols.enumerated().map { index, name in
            hidesAddresses
                ? "0000000000000000 T \(name)\n" : "ffffffff8100000\(index) T \(name)\n"
        }
        return Features(
            states: states, types: try KernelTypes(information.bytes, functions: names),
            definitions: definitions,
            symbols: try KernelSymbolsTests.symbols(names, Array(text.joined().utf8)))
    }
}

@Suite struct HookPlanTests {
    private func options(
        _ lines: String..., on kernel: MadeUpKernel = MadeUpKernel(), by preference: FunctionHooks = .auto,
        isOneOfMany: Bool = false
    ) throws -> HookOptions {
        let text = "event thing 9\nabout A thing.\n" + lines.joined(separator: "\n")
        let event = try #require(try CatalogParser.parse([("a", text[...])]).first)
        guard case .hooks(let hooks) = event.source else { throw ProbeError("no hooks") }
        return try kernel.features().options(
            of: try #require(hooks.first), preference, isOneOfMany: isOneOfMany)
    }

    // Testing has an Attachment too.
    private typealias Attachment = Probes.Attachment

    private let fentry = Attachment.trampoline(program: "thing__fentry", isExit: false)
    private func kprobe(_ function: String, _ addresses: [UInt64]) -> Attachment {
        .kprobe(entry: "thing__kprobe", exit: nil, function: function, addresses: addresses)
    }

    /// What this kernel does not implement costs nothing where all calls are hooked anyway.
    @Test func callsThatFail() throws {
        let names = ["openat", "tuxcall", "readdir", "sched_process_fork"]
        var kernel = MadeUpKernel()
        kernel.definitions = ["openat"]
        let features = try kernel.features()
        let events = names.compactMap { Catalog.builtIn[$0] }
        #expect(events.count == names.count)
        let failing = { (hooks: SystemCallHooks, events: [EventDefinition]) in
            features.failingCalls(events, hooks).map(\.name)
        }
        #expect(failing(.all, events) == ["tuxcall"])
        #expect(failing(.auto, events).isEmpty && failing(.each, events).isEmpty)
        #expect(events.filter(features.isFailingCall).map(\.name) == ["tuxcall"])
        let absent = { (hooks: SystemCallHooks) in
            let states = features.unavailable(events, hooks)
            return events.filter { states[$0.index] != nil }.map(\.name)
        }
        #expect(absent(.all) == ["readdir", "sched_process_fork"])
        #expect(absent(.auto) == ["tuxcall", "readdir", "sched_process_fork"])
        kernel.states[.undisturbedPrograms] = .absent("preempts")
        let preempting = try kernel.features()
        #expect(preempting.failingCalls(events, .auto).map(\.name) == ["tuxcall"])
        #expect(preempting.failingCalls([events[1]], .auto).isEmpty)
    }

    @Test func functionsAreHookedInTwoWays() throws {
        let some = kprobe("some", [0xffff_ffff_8100_0000])
        let line = "hook entry:some(file, int)"
        #expect(try options(line).attachments.map(\.attachment) == [fentry, some])
        #expect(try options(line).reason == "")
        #expect(try options(line, by: .fentry).attachments.map(\.attachment) == [fentry])
        #expect(try options(line, by: .kprobe).attachments.map(\.attachment) == [some])
        var kernel = MadeUpKernel()
        kernel.states[.undisturbedPrograms] = .absent("preempts")
        #expect(try options(line, on: kernel).attachments.map(\.attachment) == [some, fentry])
        #expect(try options(line, on: kernel, by: .fentry).attachments.map(\.attachment) == [fentry])
    }

    @Test func endsOfFunctions() throws {
        let found = try options("hook exit:other(int) by program").attachments.map(\.attachment)
        #expect(
            found == [
                .trampoline(program: "program__fexit", isExit: true),
                .kprobe(
                    entry: "program__kprobe", exit: "program__kretprobe", function: "other",
                    addresses: [0xffff_ffff_8100_0001]),
            ])
        #expect(found.map(\.way) == ["fexit", "kprobe+kretprobe"])
        #expect(found.map(\.programs) == [["program__fexit"], ["program__kprobe", "program__kretprobe"]])
    }

    @Test func whatTheKernelLacksIsSaid() throws {
        var kernel = MadeUpKernel()
        #expect(try options("hook entry:absent(int)").reason == "this kernel has no function absent")
        #expect(try options("hook tp_btf:absent").reason == "this kernel has no tracepoint absent")
        #expect(try options("hook calls_enter:openat2").reason == "this kernel has none of the system calls")
        kernel.definitions = nil
        kernel.states[.syscallTracepoints] = .absent("no tracefs")
        #expect(try options("hook calls_exit:openat", on: kernel).reason == "no tracefs")
        kernel.states[.trampolines] = .absent("no trampolines")
        let line = "hook entry:some(file, int)"
        #expect(try options(line, on: kernel).attachments.map(\.attachment.way) == ["kprobe"])
        #expect(try options(line, on: kernel, by: .fentry).reason == "no trampolines")
        kernel.states[.kprobes] = .absent("no kprobes")
        #expect(try options(line, on: kernel).attachments.isEmpty)
        #expect(try options(line, on: kernel).reason == "no trampolines; no kprobes")
        #expect(try options(line, on: kernel, by: .kprobe).reason == "no kprobes")
    }

    @Test func otherPrototypesAreLeftAlone() throws {
        for (parameters, difference) in [
            ("file", "2 parameters, not 1"), ("", "2 parameters, not 0"),
            ("int, int", "parameter 1 is struct file *, not a number"),
            ("inode, int", "parameter 1 is struct file *, not struct inode *"),
            ("ptr, int", "parameter 1 is struct file *, not a pointer"),
            ("file, ptr", "parameter 2 is a number, not a pointer"),
        ] {
            let options = try options("hook entry:some(\(parameters))")
            #expect(options.attachments.isEmpty)
            #expect(options.reason == "some of this kernel has another prototype: \(difference)")
        }
        #expect(try options("hook entry:some(any, any)").attachments.count == 2)
    }

    @Test func theFirstPlaceThatIsThereIsTheBest() throws {
        let found = try options(
            "hook entry:absent(int)", "or entry:some(int)", "or entry:other(int) by second", "or tp_btf:there"
        )
        #expect(
            found.attachments.map(\.attachment.programs)
                == [["second__fentry"], ["second__kprobe"], ["thing"]])
        #expect(
            found.reason == "this kernel has no function absent; "
                + "some of this kernel has another prototype: 2 parameters, not 1")
    }

    @Test func functionsThatShareANameHaveKprobesOnly() throws {
        let both = kprobe("twice", [0xffff_ffff_8100_0002, 0xffff_ffff_8100_0003])
        #expect(try options("hook entry:twice(int)").attachments.map(\.attachment) == [both])
        #expect(
            try options("hook entry:twice(int)", by: .fentry).reason
                == "the kernel's types do not tell which function of that name it is")
        // Whose types are not known at all.
        let untyped = kprobe("untyped", [0xffff_ffff_8100_0004])
        #expect(try options("hook entry:untyped(file)").attachments.map(\.attachment) == [untyped])
        var kernel = MadeUpKernel()
        kernel.hidesAddresses = true
        #expect(
            try options("hook entry:twice(int)", on: kernel).reason
                == "the kernel's types do not tell which function of that name it is; "
                + "the kernel hides the addresses of the functions named twice")
        #expect(
            try options("hook entry:other(int)", on: kernel).attachments.map(\.attachment)
                == [fentry, kprobe("other", [0])])
    }

    private func ways(_ options: HookOptions) -> [String] { options.attachments.map(\.attachment.way) }

    @Test func tracepointsHaveSubstitutesWhereTheKernelPreempts() throws {
        func ways(on kernel: MadeUpKernel, _ function: String = "kprobe:some(file, int)") throws -> [String] {
            self.ways(try options("hook tp_btf:there", "or \(function)", on: kernel))
        }
        var kernel = MadeUpKernel.withMulti
        #expect(try ways(on: kernel) == ["tp_btf"])
        #expect(try ways(on: kernel, "perf:sys_enter") == ["tp_btf"])
        kernel.states[.undisturbedPrograms] = .absent("preempts")
        #expect(try ways(on: kernel) == ["kprobe.multi", "tp_btf"])
        #expect(try ways(on: kernel, "perf:sys_enter") == ["perf tracepoint", "tp_btf"])
        #expect(
            try options("hook tp_btf:there", "or kprobe:some(file, int)", on: kernel).attachments.first?
                .attachment.programs
                == ["thing__multi"])
        // Another function of that name, several, or one that is hidden.
        #expect(try ways(on: kernel, "kprobe:some(int, int)") == ["tp_btf"])
        #expect(try ways(on: kernel, "kprobe:twice(int)") == ["tp_btf"])
        #expect(try ways(on: kernel, "kprobe:absent(int)") == ["tp_btf"])
        var hidden = kernel
        hidden.hidesAddresses = true
        #expect(try ways(on: hidden) == ["tp_btf"])
        kernel.states[.kprobeMulti] = .absent("too old")
        #expect(try ways(on: kernel) == ["tp_btf"])
        kernel.states[.syscallTracepoints] = .absent("no tracefs")
        #expect(try ways(on: kernel, "perf:sys_enter") == ["tp_btf"])
    }

    @Test func manyFunctionsAreHookedAtOnce() throws {
        let entry = "hook entry:some(file, int)"
        let exit = "hook exit:other(int)"
        var kernel = MadeUpKernel.withMulti
        #expect(ways(try options(entry, on: kernel)) == ["fentry", "kprobe"])
        let many = try options(entry, on: kernel, isOneOfMany: true)
        #expect(ways(many) == ["kprobe.multi", "kprobe", "fentry"])
        let both = "kprobe.multi+kretprobe.multi"
        #expect(
            ways(try options(exit, on: kernel, isOneOfMany: true)) == [both, "fexit", "kprobe+kretprobe"])
        for preference in [FunctionHooks.kprobe, .fentry] {
            let found = try options(entry, on: kernel, by: preference, isOneOfMany: true)
            #expect(ways(found) == [preference.rawValue], "what is asked for is taken")
        }
        kernel.states[.undisturbedPrograms] = .absent("preempts")
        #expect(ways(try options(entry, on: kernel)) == ["kprobe.multi", "kprobe", "fentry"])
        // Older kernels miss returns.
        kernel.symbols.removeAll { $0 == "fprobe_return" }
        #expect(ways(try options(exit, on: kernel, isOneOfMany: true)) == ["fexit", "kprobe+kretprobe"])
        kernel.hidesAddresses = true
        #expect(ways(try options(entry, on: kernel)) == ["kprobe", "fentry"])
    }

    @Test func manySingleCallsAreHookedAtTheirFunctions() throws {
        let kernel = MadeUpKernel.withMulti
        let enter = "hook calls_enter:openat,stat,openat2 by program"
        #expect(ways(try options(enter, on: kernel)) == ["perf tracepoint"])
        let found = try options(enter, on: kernel, isOneOfMany: true)
        #expect(
            found.attachments.first?.attachment
                == .multi(
                    entry: "program__calls_kprobe", exit: nil,
                    addresses: [0xffff_ffff_8100_0006, 0xffff_ffff_8100_0007]))
        #expect(ways(found) == ["kprobe.multi", "perf tracepoint"])
        let exit = "hook calls_exit:openat,stat by program"
        #expect(ways(try options(exit, on: kernel, isOneOfMany: true)) == ["perf tracepoint"])
        var hidden = kernel
        hidden.symbols.removeLast()
        #expect(ways(try options(enter, on: hidden, isOneOfMany: true)) == ["perf tracepoint"])
    }

    @Test func singleCallsByTheirNamesInTheKernel() throws {
        let found = try options("hook calls_exit:openat,openat2,stat by program").attachments
        #expect(
            found.map(\.attachment)
                == [.calls(program: "program__calls", isExit: true, names: ["openat", "newstat"])])
    }
}

@Suite struct SensorPlanTests {
    private static let text = """
        event first 1
        about One.
        hook entry:some(file, int) by shared
        hook exit:other(int) by more optional
        event second 2
        about Two.
        hook entry:some(file, int) by shared
        or tp_btf:there by instead
        event third 3
        about Three.
        hook entry:absent(int)
        event sched_process_exec 4
        about Four.
        hook tp_btf:there
        or kprobe:some(file, int)
        """

    private func plan(
        _ names: String..., on kernel: MadeUpKernel = MadeUpKernel(), hooks: FunctionHooks = .auto
    ) throws -> SensorPlan {
        try plan(names, on: kernel, hooks: hooks)
    }

    private func plan(
        _ names: [String], on kernel: MadeUpKernel = MadeUpKernel(), hooks: FunctionHooks = .auto
    ) throws -> SensorPlan {
        let catalog = Catalog(events: try CatalogParser.parse([("a", Self.text[...])]))
        var request = SensorRequest()
        request.functionHooks = hooks
        for name in names { request.events[try #require(catalog[name]).index] = 1 }
        return try SensorPlan(request, [], try kernel.features(), catalog)
    }

    /// Of the events, without what keeps the state.
    private func attachments(_ plan: SensorPlan) -> [Probes.Attachment] {
        #expect(plan.attachments.starts(with: plan.essential))
        return Array(plan.attachments.dropFirst(plan.essential.count))
    }
    private func ways(_ plan: SensorPlan) -> [[String]] { attachments(plan).map(\.programs) }
    private func essential(_ plan: SensorPlan) -> [String] { plan.essential.flatMap(\.programs) }

    @Test func whatKeepsTheStateIsNotPreempted() throws {
        let tracepoint = Probes.Attachment.tracepoint(program: "sched_process_exec")
        // Always there, and not a second time for who asks for the event.
        for names in [[], ["sched_process_exec"]] {
            var plan = try plan(names)
            #expect(plan.attachments == [tracepoint])
            let isReplaced = plan.replace("sched_process_exec", reason: "no") && names.isEmpty
            #expect(!isReplaced)
        }
        var kernel = MadeUpKernel.withMulti
        kernel.states[.undisturbedPrograms] = .absent("preempts")
        for names in [[], ["sched_process_exec"]] {
            var plan = try plan(names, on: kernel)
            #expect(
                plan.attachments == [
                    .single(program: "sched_process_exec__multi", address: 0xffff_ffff_8100_0000)
                ])
            #expect(plan.programs == ["sched_process_exec__multi", "snapshot"])
            let isReplaced = plan.replace("sched_process_exec__multi", reason: "no")
            #expect(isReplaced)
            #expect(plan.attachments == [tracepoint])
        }
        // Without them what is there has to do.
        kernel.states[.kprobeMulti] = .absent("too old")
        #expect(try plan([], on: kernel).attachments == [tracepoint])
    }

    @Test func sharedProgramsAreAttachedOnce() throws {
        let plan = try plan("first", "second")
        #expect(ways(plan) == [["shared__fentry"], ["more__fexit"]])
        #expect(plan.programs == Set(essential(plan) + ["snapshot", "shared__fentry", "more__fexit"]))
        #expect(plan.absent.isEmpty)
    }

    @Test func whatIsMissingIsSaidAndTheRestStays() throws {
        let plan = try plan("first", "third")
        #expect(ways(plan) == [["shared__fentry"], ["more__fexit"]])
        #expect(plan.absent == [2: "this kernel has no function absent"])
    }

    @Test func whatIsRefusedIsReplaced() throws {
        var plan = try plan("first", "second")
        let isReplaced1 = plan.replace("shared__fentry", reason: "no")
        #expect(isReplaced1)
        #expect(ways(plan) == [["shared__kprobe"], ["more__fexit"]])
        // One half of a pair.
        let isReplaced2 = plan.replace("more__fexit", reason: "no")
        #expect(isReplaced2)
        #expect(ways(plan) == [["shared__kprobe"], ["more__kprobe", "more__kretprobe"]])
        let isReplaced3 = plan.replace("more__kretprobe", reason: "no")
        #expect(isReplaced3)
        #expect(ways(plan) == [["shared__kprobe"]])
        #expect(plan.absent.isEmpty, "an optional hook is not needed")
        // The second has another place, the first has not.
        let isReplaced4 = plan.replace("shared__kprobe", reason: "too large")
        #expect(isReplaced4)
        #expect(ways(plan) == [["instead"]])
        #expect(plan.absent == [0: "shared__kprobe: too large"])
        let isReplaced5 = plan.replace("instead", reason: "no")
        #expect(isReplaced5)
        #expect(attachments(plan).isEmpty)
        #expect(plan.absent.count == 2)
        #expect(plan.programs == Set(essential(plan) + ["snapshot"]))
        for program in essential(plan) + ["instead", "unknown"] {
            let isReplaced = plan.replace(program, reason: "no")
            #expect(!isReplaced, "\(program)")
        }
        // Without it `/proc` has to do.
        let isReplaced6 = plan.replace("snapshot", reason: "no")
        #expect(isReplaced6)
        #expect(plan.programs == Set(essential(plan)))
    }

    @Test func manyAtOnceOrOneByOne() throws {
        var kernel = MadeUpKernel.withMulti
        kernel.states[.undisturbedPrograms] = .absent("preempts")
        var plan = try plan("first", "second", on: kernel)
        #expect(attachments(plan).map(\.isMulti) == [true, true])
        #expect(ways(plan) == [["shared__kprobe"], ["more__kprobe", "more__kretprobe"]])
        #expect(plan.multiPrograms == ["shared__kprobe", "more__kprobe", "more__kretprobe"])
        #expect(plan.programs == Set(essential(plan)).union(plan.multiPrograms).union(["multi", "snapshot"]))
        // The kernel refuses to attach them at once: nothing is lost.
        let isReplaced = plan.replace(SensorPlan.multiDispatcher, reason: "no")
        #expect(isReplaced)
        #expect(attachments(plan).map(\.isMulti) == [false, false])
        #expect(ways(plan) == [["shared__kprobe"], ["more__fexit"]])
        #expect(plan.multiPrograms.isEmpty && !plan.programs.contains("multi"))
        #expect(plan.absent.isEmpty)
        let isReplacedAgain = plan.replace(SensorPlan.multiDispatcher, reason: "no")
        #expect(!isReplacedAgain)
    }

    @Test func whatIsAskedForIsTaken() throws {
        let kernel = MadeUpKernel.withMulti
        let kprobes = try plan("first", on: kernel, hooks: .kprobe)
        #expect(ways(kprobes) == [["shared__kprobe"], ["more__kprobe", "more__kretprobe"]])
        #expect(kprobes.multiPrograms.isEmpty)
        let trampolines = try plan("first", on: kernel, hooks: .fentry)
        #expect(ways(trampolines) == [["shared__fentry"], ["more__fexit"]])
    }
}
