import Catalog
import Foundation
import Testing

/// A system call is one row of the catalogue. Any other event is one entry there and one probe body;
/// a few that the agent itself lives on are named in the files below. A further place fails here.
@Suite struct PlacesTests {
    /// Names that are no words of the language, so that what is found is the system call.
    static let systemCalls = ["epoll_pwait2", "memfd_secret", "process_mrelease", "landlock_add_rule"]

    /// What the state stores, the agent and the default selection use.
    static let lifecycle = ["sched_process_fork", "sched_process_exec", "sched_process_exit", "task_rename"]
    static let lifecycleMay = [
        "Sources/State/", "Sources/Agent/", "Sources/Probes/Sensor.swift", "Sources/Policies/",
    ]

    /// Files that name an event for a reason of their own.
    static let reasons = [
        // The tracepoint on which a trial is made; the help of --enrichment.
        "sched_process_exec": ["Sources/Probes/Features.swift", "Sources/apus/TraceCommand.swift"],
        // Tracepoints of the kernel that all system calls pass, beside the events of the same names.
        "sys_enter": ["Sources/Probes/Sensor.swift", "Sources/apus/EventsCommands.swift", "Benchmarks/"],
        // Whether this kernel's tracepoint tells the last thread.
        "sched_process_exit": ["Sources/Probes/KernelTypes.swift"],
        "sys_exit": ["Sources/Probes/Sensor.swift", "Sources/apus/EventsCommands.swift", "Benchmarks/"],
    ]

    @Test func aSystemCallStandsInTheCatalogueOnly() throws {
        let files = try Self.files()
        for name in Self.systemCalls {
            try #require(Catalog.builtIn[name] != nil, "\(name) is no event; name another here")
            let places = files.filter { !$0.path.hasPrefix("Catalog/") && $0.words.contains(name) }
            #expect(
                places.isEmpty,
                "\(name) has a further place: \(places.map(\.path).joined(separator: ", "))")
        }
    }

    @Test func anotherEventHasOneEntryAndOneProbe() throws {
        let files = try Self.files()
        for event in Catalog.builtIn.events {
            guard case .hook = event.source else { continue }
            let names: Set<String> = [
                event.name, "EVENT_\(event.name.uppercased())", "INDEX_\(event.name.uppercased())",
            ]
            let places = files.filter { !$0.words.isDisjoint(with: names) }.map(\.path)
            let entries = places.filter { $0.hasPrefix("Catalog/") }
            #expect(entries.count == 1, "\(event.name) stands in the catalogue files \(entries)")
            let probes = places.filter { $0.hasPrefix("Kernel/probes/") }
            #expect(probes.count == 1, "\(event.name) has its probe in \(probes), and not in one file")
            let may =
                ["Catalog/", "Kernel/probes/"] + (Self.reasons[event.name] ?? [])
                + (Self.lifecycle.contains(event.name) ? Self.lifecycleMay : [])
            for place in places where !may.contains(where: { place.hasPrefix($0) }) {
                Issue.record("\(event.name) has a further place: \(place)")
            }
        }
    }

    // MARK: Files

    private struct File {
        /// Below the package's folder.
        let path: String
        /// Its identifiers, those in comments left out.
        let words: Set<String>
    }

    /// The package's files but tests and documents. What the build makes lies in hidden folders.
    private static func files() throws -> [File] {
        let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().path
        var files: [File] = []
        for top in try FileManager.default.contentsOfDirectory(atPath: root) {
            if top.hasPrefix(".") || ["Tests", "Docs"].contains(top) { continue }
            var paths = [top]
            if let below = FileManager.default.enumerator(atPath: "\(root)/\(top)") {
                for case let path as String in below { paths.append("\(top)/\(path)") }
            }
            for path in paths where !path.hasSuffix(".md") {
                guard let data = FileManager.default.contents(atPath: "\(root)/\(path)") else { continue }
                files.append(File(path: path, words: words(of: String(decoding: data, as: UTF8.self))))
            }
        }
        try #require(files.contains { $0.path == "Package.swift" }, "the package is not at \(root)")
        return files.sorted { $0.path < $1.path }
    }

    private static func words(of text: String) -> Set<String> {
        var code = ""
        var rest = text[...]
        while let start = rest.range(of: "/*") {
            code += rest[..<start.lowerBound]
            guard let end = rest[start.upperBound...].range(of: "*/") else { break }
            rest = rest[end.upperBound...]
        }
        code += rest
        var words: Set<String> = []
        for line in code.split(separator: "\n") {
            let end = line.range(of: "//")?.lowerBound ?? line.endIndex
            for word in line[..<end].split(whereSeparator: { !($0.isLetter || $0.isNumber || $0 == "_") }) {
                words.insert(String(word))
            }
        }
        return words
    }
}
