import Catalog
import Testing

/// A system call is one row of the catalogue. Any other event is one entry there and one probe body;
/// a few that the agent itself lives on are named in the files below. A further place fails here.
@Suite struct PlacesTests {
    /// Names that are no words of the language, so that what is found is the system call.
    static let systemCalls = ["epoll_pwait2", "memfd_secret", "process_mrelease", "landlock_add_rule"]

    /// What the state stores, the agent and the default selection use.
    static let lifecycle = [
        "sched_process_fork", "sched_process_exec", "sched_process_exit", "task_rename", "cgroup_mkdir",
        "cgroup_rmdir",
    ]
    static let lifecycleMay = [
        "Sources/State/", "Sources/Agent/TraceSession.swift", "Sources/Probes/SensorPlan.swift",
        "Sources/Policies/EventSelection.swift", "Sources/Agent/ContainerWatch.swift",
    ]

    /// Names what to use instead of a value that a caller may change.
    static let instead = ["Sources/apus/PolicyExplanation.swift"]

    /// Where events of containers come from.
    static let ofContainers = ["Sources/Policies/Plan/PolicyPlan.swift", "Sources/Agent/TraceSession.swift"]

    /// What `--enrichment` adds something to.
    static let hashed = [
        "Sources/Agent/Executables/ExecutableDigests.swift", "Sources/apus/Enrichment.swift",
    ]

    /// Traces all events but those of which there are too many.
    static let recorded = ["Scripts/record-examples"]

    /// What hooks all system calls, or says that they are hooked so.
    static let allCalls =
        recorded + [
            "Sources/apus/EventsCommands.swift", "Sources/EventPages/EventPage.swift",
            "Benchmarks/floor.bpf.c",
        ]

    /// Files that name an event for a reason of their own.
    static let reasons = [
        // The tracepoint on which a trial is made; where the kernel looks programs up.
        "sched_process_exec": [
            "Sources/Probes/Features.swift", "Sources/Policies/Plan/",
        ] + instead + hashed,
        "shared_object_loaded": hashed,
        // Tracepoints of the kernel that all system calls pass, beside the events of the same names.
        "sys_enter": allCalls + instead, "sys_exit": allCalls + instead, "sched_switch": recorded,
        // The kernel function on which a trial is made.
        "security_settime64": ["Sources/Probes/Features.swift"],
        // Whether this kernel's tracepoint tells the last thread; how processes end, which strace writes too.
        "sched_process_exit": [
            "Sources/Probes/KernelTypes.swift", "Sources/Outputs/StraceEncoder.swift",
            "Sources/apus/TraceCommand.swift",
        ],
        // Signals, which strace writes too.
        "signal_deliver": [
            "Sources/Outputs/StraceEncoder.swift", "Sources/Outputs/StraceSignal.swift",
            "Sources/apus/TraceCommand.swift",
        ],
        // Which of the kernel's events the agent makes others of.
        "cgroup_mkdir": ofContainers, "cgroup_rmdir": ofContainers, "container_create": ofContainers,
        "container_remove": ofContainers, "existing_container": ofContainers,
        "security_file_open": instead, "security_inode_unlink": instead, "security_socket_bind": instead,
        "security_socket_connect": instead,
    ]

    @Test func aSystemCallStandsInTheCatalogueOnly() throws {
        let files = try PackageFile.all()
        for name in Self.systemCalls {
            try #require(Catalog.builtIn[name] != nil, "\(name) is no event; name another here")
            let places = files.filter { !$0.path.hasPrefix("Catalog/") && $0.words.contains(name) }
            #expect(
                places.isEmpty,
                "\(name) has a further place: \(places.map(\.path).joined(separator: ", "))")
        }
    }

    @Test func anotherEventHasOneEntryAndOneProbe() throws {
        // Policies are for users to change.
        let files = try PackageFile.all().filter { !$0.path.hasPrefix("Policies/") }
        for event in Catalog.builtIn.events {
            let isOfAgent = event.source == .agent
            if case .systemCall = event.source { continue }
            let entries = files.filter { $0.path.hasPrefix("Catalog/") && $0.entries.contains(event.name) }
            #expect(entries.count == 1, "\(event.name) stands in \(entries.map(\.path))")

            // A probe names its event in capitals: BEGIN(NAME) and what is generated from the catalogue.
            let capitals = event.name.uppercased()
            let names: Set = [capitals, "EVENT_\(capitals)", "INDEX_\(capitals)", "FIELDS_\(capitals)"]
            let probes = files.filter { $0.path.hasPrefix("Kernel/") && !$0.words.isDisjoint(with: names) }
            #expect(
                isOfAgent
                    ? probes.isEmpty : probes.count == 1 && probes[0].path.hasPrefix("Kernel/probes/"),
                "\(event.name) has its probe in \(probes.map(\.path))")

            // Its own name is often a kernel function's too, so that probes and entries may say it.
            let may =
                ["Catalog/", "Kernel/probes/"] + (Self.reasons[event.name] ?? [])
                + (isOfAgent ? ["Sources/Agent/AgentEvents.swift"] : [])
                + (Self.lifecycle.contains(event.name) ? Self.lifecycleMay : [])
            for file in files where !file.words.isDisjoint(with: names.union([event.name])) {
                if may.contains(where: { file.path.hasPrefix($0) }) { continue }
                Issue.record("\(event.name) has a further place: \(file.path)")
            }
        }
    }
}
