internal import Agent
internal import Glibc
internal import Outputs
internal import Probes

enum TraceCommand {
    static let command = Command(
        name: "trace", about: "Trace this host, or a command and its descendants.",
        options: [
            Option(
                "events", "e", value: "LIST",
                "events to trace: names, -name to leave one out, open* for a prefix, tag=SET; or a filter, as openat.data.pathname=/etc/*, openat.retval<0, openat.scope.comm=cat; repeatable"
            ),
            Option(
                "policy", "p", value: "PATH",
                "a file of policies, or a directory of such files, instead of events and scopes; repeatable"),
            Option(
                "scope", "s", value: "KEY=VALUE",
                "whom to trace: pid, uid (= != < > <= >=), comm, mntns, pidns, uts, cgroup, tree (= !=); a list means any of it, several scopes must all hold"
            ),
            Option(
                "tree", value: "PID",
                "trace a process that runs and its descendants, and show who made them: --scope tree=PID and --enrichment lineage"
            ),
            Option(
                "limit", value: "LIMIT",
                "how many events at most: rate=1000/s of all, cgroup=500/s of each control group; s, m or h, and burst=N behind it for what may come at once; repeatable"
            ),
            Option(
                "output", "o", value: "FORMAT[:PATH]", choices: OutputRequest.Format.allCases.map(\.rawValue),
                "json, table, strace (system calls as strace writes them) or none; to standard output or files; repeatable (default table)"
            ),
            Option(
                "format", value: "FORMAT[:PATH]", choices: OutputRequest.Format.allCases.map(\.rawValue),
                "the same as --output; with strace and no --events: all system calls, signals, and how processes end"
            ),
            Option(
                "summary-only", "c",
                "instead of lines, at the end a table of all calls: time, errors, and percentiles of how long they took; in strace's form"
            ),
            Option("summary", "C", "the same table behind the lines; in strace's form"),
            Option(
                "syscall-times", "T",
                "behind each call how long it took, in seconds; in strace's form"),
            Option(
                "hooks", value: "HOW", choices: SystemCallHooks.allCases.map(\.rawValue),
                "how system calls are hooked: each (cheap for calls not traced, blind to 32-bit callers), all, or auto (default)"
            ),
            Option(
                "function-hooks", value: "HOW", choices: FunctionHooks.allCases.map(\.rawValue),
                "how kernel functions are hooked: fentry (trampolines), kprobe, multi (one kprobe for all), or auto (default)"
            ),
            Option(
                "buffers", "b", value: "KEY=NUMBER",
                "kernel.events=N pages for each ring (default 4096, less with many CPUs), kernel.rings=N rings (default one for each CPU, 64 at most), kernel.control-plane=N pages for the lifecycle ring (default 1024); powers of two"
            ),
            Option(
                "enrichment", "E", value: "WHAT", choices: Enrichment.choices,
                Enrichment.about),
            Option(
                "no-paths", nil,
                "leave paths of kernel objects out, which is what kernel events cost most for"),
            Option("timings", "t", "say how long loading, attaching and stopping took"),
        ],
        operands: "[-- COMMAND ARGS...]",
        details: """
            Without events: executions, exits, and the set `default`. Without a scope or a command: the whole
            host. With a command, tracing ends when it ends, with its exit status. Ctrl-C ends tracing;
            what is left in the kernel is still printed, and a summary on standard error; SIGUSR1 prints one
            meanwhile.

            Examples:
              apus trace -- ls -l
              apus trace --events openat,connect --scope uid=1000
              apus trace --events 'tag=net,-socket' --scope comm=nginx --output json:/tmp/events.json

            """,
        run: run)

    static func run(_ arguments: Arguments) throws -> Int32 {
        var request = TraceRequest()
        if let word = arguments.operands.first {
            throw UsageError("unexpected '\(word)'; a command to trace follows --, as: apus trace -- \(word)")
        }
        if arguments.hasSeparator && arguments.command.isEmpty {
            throw UsageError("a command must follow --")
        }
        if let first = arguments.command.first, first.isEmpty {
            throw UsageError("the command after -- is empty")
        }
        request.version = Main.version
        request.wantsPaths = !arguments.switches.contains("no-paths")
        request.events = arguments.values["events"] ?? []
        request.scopes = arguments.values["scope"] ?? []
        request.policies = arguments.values["policy"] ?? []
        if let tree = arguments.last("tree") {
            request.scopes.append("tree=\(tree)")
            request.wantsLineage = true
        }
        request.limits = arguments.values["limit"] ?? []
        guard
            request.policies.isEmpty
                || (request.events.isEmpty && request.scopes.isEmpty && request.limits.isEmpty)
        else {
            throw UsageError(
                "--policy and --events, --scope or --limit do not go together; write events, scope and limits into the policy"
            )
        }
        request.command = arguments.command
        if let texts = arguments.values["output"] ?? arguments.values["format"] {
            do {
                request.outputs = try texts.flatMap { try OutputRequest.parse($0) }
            } catch let error as OutputError {
                throw UsageError(error.description)
            }
        }
        try setTimes(arguments, &request)
        if request.events.isEmpty, request.policies.isEmpty,
            request.outputs.contains(where: { $0.format == .strace })
        {
            request.events = ["tag=syscalls"]
            if !request.outputs.allSatisfy({ $0.summary == .only }) {
                request.events += ["sched_process_exit", "signal_deliver"]
            }
        }
        if let hooks = try arguments.choice("hooks", SystemCallHooks.self) { request.hooks = hooks }
        if let hooks = try arguments.choice("function-hooks", FunctionHooks.self) {
            request.functionHooks = hooks
        }
        for text in arguments.values["enrichment"] ?? [] { try Enrichment.set(text, &request) }
        for text in arguments.values["buffers"] ?? [] { try setBuffer(text, &request) }
        return try trace(request, wantsTimings: arguments.switches.contains("timings"))
    }

    /// What strace's `-c`, `-C` and `-T` ask for, of all outputs in its form; of standard output where none is named.
    private static func setTimes(_ arguments: Arguments, _ request: inout TraceRequest) throws {
        let chosen = ["summary-only", "summary", "syscall-times"].filter(arguments.switches.contains)
        guard let first = chosen.first else { return }
        if arguments.values["output"] ?? arguments.values["format"] == nil {
            request.outputs = [OutputRequest(format: .strace, path: nil)]
        }
        guard request.outputs.contains(where: { $0.format == .strace }) else {
            throw UsageError("--\(first) is of strace's form; add --format strace")
        }
        guard !(chosen.contains("summary-only") && chosen.count > 1) else {
            throw UsageError("--summary-only shows no lines; leave out --\(chosen[1])")
        }
        for index in request.outputs.indices where request.outputs[index].format == .strace {
            request.outputs[index].showsDurations = chosen.contains("syscall-times")
            if chosen.contains("summary") { request.outputs[index].summary = .added }
            if first == "summary-only" {
                request.outputs[index].summary = .only
                request.outputs[index].payload = 0
            }
        }
    }

    private static func trace(_ request: TraceRequest, wantsTimings: Bool) throws -> Int32 {
        let session = try TraceSession(request)
        for note in session.notes { Console.note(note) }
        if wantsTimings { Console.note(session.startTimings) }
        session.say = { Console.note($0) }
        session.report = { TraceSummary($0, isInterim: true).print() }
        let result = session.run()
        if wantsTimings { Console.note("stopped in \(Int(session.stopMilliseconds.rounded())) ms") }
        if result.outputFailure == EPIPE { return 0 }
        TraceSummary(result).print()
        if result.outputFailure != 0 {
            Console.note("an output failed: \(unsafe String(cString: strerror(result.outputFailure)))")
            return 1
        }
        return result.status
    }

    private static func setBuffer(_ text: String, _ request: inout TraceRequest) throws {
        let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2, let number = Int(parts[1]), number > 0, number <= 1 << 18,
            number & (number - 1) == 0
        else {
            throw UsageError(
                "--buffers is KEY=NUMBER with a power of two, as kernel.events=1024, not '\(text)'")
        }
        let bytes = number * sysconf(Int32(_SC_PAGESIZE))
        switch parts[0] {
        case "kernel.events": request.ringBytes = bytes
        case "kernel.control-plane": request.lifecycleRingBytes = bytes
        case "kernel.rings":
            guard number <= 64 else {
                throw UsageError("--buffers kernel.rings is 64 at most, not \(number)")
            }
            request.ringCount = number
        default:
            throw UsageError(
                "unknown buffer '\(parts[0])'; there are kernel.events, kernel.control-plane and kernel.rings"
            )
        }
    }
}
