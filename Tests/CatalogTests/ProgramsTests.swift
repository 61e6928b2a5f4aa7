import Catalog
import Testing

/// The places of the catalogue and the programs of the kernel side name each other: what one lacks, the
/// loader would find out only on a kernel that needs it.
@Suite struct ProgramsTests {
    /// A program as its macro or section says.
    private struct Program {
        enum Kind { case tracepoint, entry, exit, never }
        let kind: Kind
        let name: String
        let target: String
        let arguments: [String]
    }

    /// Programs that serve all events, or none of the catalogue.
    private static let general: Set<String> = [
        "all_syscalls_enter", "all_syscalls_exit", "one_syscall_enter", "one_syscall_exit",
        "sched_process_free", "snapshot",
    ]

    /// Written by macros, with typed arguments.
    private let programs: [Program]
    /// Written out with sections of their own, by the whole name.
    private let sections: [String: String]

    init() throws {
        let code = try PackageFile.all().filter { $0.path.hasPrefix("Kernel/probes/") }.map(\.code)
            .joined(separator: "\n")
        programs = code.matches(
            of: #/\b(ON_TRACEPOINT|ON_ENTRY|OR_ON_ENTRY|ON_EXIT)\((\w+),\s*(\w+)((?:,[^()]*)?)\)/#
        )
        .map {
            let kinds: [Substring: Program.Kind] = [
                "ON_TRACEPOINT": .tracepoint, "ON_ENTRY": .entry, "OR_ON_ENTRY": .never,
                "ON_EXIT": .exit,
            ]
            let arguments = $0.4.split(separator: ",").map { argument in
                argument.split(whereSeparator: \.isWhitespace).joined(separator: " ")
            }
            return Program(
                kind: kinds[$0.1] ?? .exit, name: String($0.2), target: String($0.3), arguments: arguments
            )
        }
        var sections: [String: String] = [:]
        for match in code.matches(of: #/SEC\("([^"]+)"\)\s*int\s+(\w+)\(/#) {
            sections[String(match.2)] = String(match.1)
        }
        for match in code.matches(of: #/\bON_CALLS\((\w+)\)/#) {
            sections["\(match.1)__calls"] = "tracepoint/syscalls/sys_enter"
            sections["\(match.1)__calls_kprobe"] = "kprobe/syscalls"
        }
        self.sections = sections
        try #require(programs.count > 80 && sections.count > 8)
        let own = programs.filter { $0.kind != .never }.map(\.name)
        try #require(Set(own).count == own.count, "two programs share a name")
    }

    private static var places: [(event: String, place: HookPlace)] {
        Catalog.builtIn.events.flatMap { event -> [(String, HookPlace)] in
            guard case .hooks(let hooks) = event.source else { return [] }
            return hooks.flatMap(\.places).map { (event.name, $0) }
        }
    }

    @Test func everyPlaceHasItsProgram() throws {
        for (event, place) in Self.places {
            let name = place.program
            let about = "\(event): \(place.description) by \(name)"
            switch place.kind {
            case .callsEnter, .callsExit:
                let way = place.kind == .callsEnter ? "enter" : "exit"
                #expect(
                    sections["\(name)__calls"]?.hasPrefix("tracepoint/syscalls/sys_\(way)") == true,
                    "\(about)")
                // The functions behind the calls are hooked too, where many are.
                #expect(
                    (sections["\(name)__calls_kprobe"] != nil) == (place.kind == .callsEnter), "\(about)")
                for call in place.calls {
                    guard case .systemCall = Catalog.builtIn[call]?.source else {
                        Issue.record("\(about): \(call) is no system call")
                        continue
                    }
                }
            case .tracepoint:
                let program = programs.first { $0.name == name && $0.kind == .tracepoint }
                #expect(
                    program?.target == place.target || sections[name] == "tp_btf/\(place.target)", "\(about)")
            case .perf:
                #expect(
                    sections["\(name)__perf"] == "tracepoint/raw_syscalls/\(place.target)", "\(about)")
            case .kprobe:
                let program = programs.first { $0.name == name && $0.kind == .never }
                #expect(program?.target == place.target, "\(about)")
                if let program { fits(program, place, about) }
            case .entry, .exit:
                let kind: Program.Kind = place.kind == .entry ? .entry : .exit
                if let program = programs.first(where: { $0.name == name && $0.kind == kind }) {
                    fits(program, place, about)
                } else {
                    hasSections(place, about)
                }
            }
        }
    }

    /// The body reads each argument as what the catalogue asks the kernel to have there. Of a function
    /// that is entered it may read the first ones; behind its end the last one is what it returned.
    private func fits(_ program: Program, _ place: HookPlace, _ about: String) {
        let wanted = place.parameters
        let count = program.arguments.count - (program.kind == .exit ? 1 : 0)
        #expect(program.kind == .exit ? count == wanted.count : count <= wanted.count, "\(about)")
        for (argument, shape) in zip(program.arguments.prefix(count), wanted) {
            let isPointer = argument.contains("*")
            if let match = argument.wholeMatch(of: #/(?:const )?(?:struct|union) (\w+?)(?:___\w+)? \*\w+/#) {
                #expect(shape == .structure(String(match.1)), "\(about): \(argument)")
            } else {
                #expect(shape == .any || isPointer == (shape != .integer), "\(about): \(argument)")
            }
        }
    }

    private func hasSections(_ place: HookPlace, _ about: String) {
        let (name, target) = (place.program, place.target)
        #expect(sections["\(name)__kprobe"] == "kprobe/\(target)", "\(about)")
        if place.kind == .exit {
            #expect(sections["\(name)__kretprobe"] == "kretprobe/\(target)", "\(about)")
        }
        let trampoline = place.kind == .exit ? "fexit" : "fentry"
        // Where a function has arguments on the stack, kernels before 6.6 have no trampoline for it.
        #expect(
            sections["\(name)__\(trampoline)"] == "\(trampoline)/\(target)"
                || sections["\(name)__\(trampoline)"] == nil && place.parameters.count > 6, "\(about)")
    }

    @Test func everyProgramHasItsPlace() {
        let named = Set(Self.places.map(\.place.program)).union(Self.general)
        for program in programs { #expect(named.contains(program.name), "\(program.name)") }
        for section in sections.keys {
            let suffixes = [
                "__calls", "__calls_kprobe", "__kprobe", "__kretprobe", "__fentry", "__fexit", "__perf", "",
            ]
            #expect(
                suffixes.contains {
                    section.hasSuffix($0) && named.contains(String(section.dropLast($0.count)))
                },
                "\(section)")
        }
    }
}
