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
                "output", "o", value: "FORMAT[:PATH]", choices: ["json", "table", "none"],
                "json, table or none; to standard output or files; repeatable (default table)"),
            Option(
                "hooks", value: "HOW", choices: SystemCallHooks.allCases.map(\.rawValue),
                "how system calls are hooked: each (cheap for calls not traced, blind to 32-bit callers), all, or auto (default)"
            ),
            Option(
                "function-hooks", value: "HOW", choices: FunctionHooks.allCases.map(\.rawValue),
                "how kernel functions are hooked: fentry (trampolines), kprobe, multi (one kprobe for all), or auto (default)"
            ),
            Option(
                "buffers", "b", value: "KEY=PAGES",
                "kernel.events=N pages for each CPU's ring (default 4096, less with many CPUs), kernel.control-plane=N for the lifecycle ring (default 1024); powers of two"
            ),
            Option(
                "enrichment", "E", value: "WHAT", choices: ["environment"],
                "environment: add the environment to sched_process_exec"),
            Option(
                "no-paths", nil,
                "leave paths of kernel objects out, which is what kernel events cost most for"),
            Option("timings", "t", "say how long loading, attaching and stopping took"),
        ],
        operands: "[-- COMMAND ARGS...]",
        details: """
            Without events: executions, exits, and the set `default`. Without a scope or a command: the whole
            host. With a command, tracing ends when it ends, with its exit status. Ctrl-C ends tracing;
            what is left in the kernel is still printed, and a summary on standard error.

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
        guard request.policies.isEmpty || (request.events.isEmpty && request.scopes.isEmpty) else {
            throw UsageError(
                "--policy and --events or --scope do not go together; write events and scope into the policy")
        }
        request.command = arguments.command
        if let texts = arguments.values["output"] {
            do {
                request.outputs = try texts.flatMap { try OutputRequest.parse($0) }
            } catch let error as OutputError {
                throw UsageError(error.description)
            }
        }
        if let hooks = try arguments.choice("hooks", SystemCallHooks.self) { request.hooks = hooks }
        if let hooks = try arguments.choice("function-hooks", FunctionHooks.self) {
            request.functionHooks = hooks
        }
        for text in arguments.values["enrichment"] ?? [] {
            guard text == "environment" else {
                throw UsageError("unknown enrichment '\(text)'; there is environment")
            }
            request.wantsEnvironment = true
        }
        for text in arguments.values["buffers"] ?? [] { try setBuffer(text, &request) }
        return try trace(request, wantsTimings: arguments.switches.contains("timings"))
    }

    private static func trace(_ request: TraceRequest, wantsTimings: Bool) throws -> Int32 {
        let session = try TraceSession(request)
        for note in session.notes { Console.note(note) }
        if wantsTimings { Console.note(session.startTimings) }
        session.say = { Console.note($0) }
        let result = session.run()
        if wantsTimings { Console.note("stopped in \(Int(session.stopMilliseconds.rounded())) ms") }
        if result.outputFailure == EPIPE { return 0 }
        summarize(result)
        if result.outputFailure != 0 {
            Console.note("an output failed: \(unsafe String(cString: strerror(result.outputFailure)))")
            return 1
        }
        return result.status
    }

    private static func summarize(_ result: TraceResult) {
        let milliseconds = Int(result.seconds * 1000)
        let time = "\(milliseconds / 1000).\(String(String(1000 + milliseconds % 1000).dropFirst())) s"
        Console.note(
            "delivered \(result.delivered) lost \(result.lostTotal) filtered \(result.filtered) in \(time)")
        for (event, count) in result.lost.prefix(10) {
            Console.note("lost \(count) of \(event): the ring was full; make it larger with --buffers")
        }
        if result.lost.count > 10 { Console.note("and \(result.lost.count - 10) more events with losses") }
        if result.undelivered > 0 {
            Console.note("undelivered \(result.undelivered): an output did not take them")
        }
        if result.unspilled > 0 {
            Console.note(
                "without their long arguments: \(result.unspilled); too many long calls were in progress")
        }
        if result.stateLost > 0 {
            Console.note(
                "lost \(result.stateLost) records about processes: some paths of executables may be missing")
        }
        if result.evictedProcesses > 0 {
            Console.note("forgot \(result.evictedProcesses) processes: their table was full")
        }
        if let refusal = result.commandRefusal { Console.note(refusal) }
        if result.escaped > 0 {
            Console.note("\(result.escaped) processes are missing: the table of the tree scope was full")
        }
        if result.refusedRuns > 0 {
            Console.note(
                "the kernel refused \(result.refusedRuns) runs of hooks: so many events may be missing")
        }
        if result.unpaired > 0 {
            Console.note(
                "\(result.unpaired) returns of kernel functions were missed: as many events are missing")
        }
        if result.malformed > 0 { Console.note("malformed records: \(result.malformed)") }
        if result.unaccounted != 0 {
            Console.note("records unaccounted for: \(result.unaccounted); please report this")
        }
    }

    private static func setBuffer(_ text: String, _ request: inout TraceRequest) throws {
        let parts = text.split(separator: "=", maxSplits: 1).map(String.init)
        guard parts.count == 2, let pages = Int(parts[1]), pages > 0, pages <= 1 << 18,
            pages & (pages - 1) == 0
        else {
            throw UsageError(
                "--buffers is KEY=PAGES with a power of two of pages, as kernel.events=1024, not '\(text)'")
        }
        let bytes = pages * sysconf(Int32(_SC_PAGESIZE))
        switch parts[0] {
        case "kernel.events": request.ringBytes = bytes
        case "kernel.control-plane": request.lifecycleRingBytes = bytes
        default:
            throw UsageError("unknown buffer '\(parts[0])'; there are kernel.events and kernel.control-plane")
        }
    }
}
