import Catalog
import Testing

/// Events of which there are very many give way to others when a ring is nearly full. The catalogue says which, and
/// their probes act on it.
@Suite struct ClassTests {
    @Test func systemCallsAreBulk() {
        for event in Catalog.builtIn.events {
            if case .systemCall = event.source { #expect(event.isBulk, "\(event.name)") }
            if event.source == .agent { #expect(!event.isBulk, "\(event.name)") }
        }
        #expect(Catalog.builtIn["vfs_read"]?.isBulk == true)
        #expect(Catalog.builtIn["security_file_open"]?.isBulk == false)
        #expect(Catalog.builtIn["sched_process_exec"]?.isBulk == false)
    }

    /// A body ends with FINISH_BULK just where its event is of the class; one that makes its record elsewhere hands it
    /// to the function named here.
    @Test func probesDoWhatTheCatalogueSays() throws {
        let files = try PackageFile.all().filter { $0.path.hasPrefix("Kernel/probes/") }
        var seen: Set<String> = []
        for file in files {
            // From one beginning of a record to the next; what lies between ends it.
            let parts = file.code.components(after: #/\bBEGIN(?:_FOR_STATE)?\((\w+)/#)
            for (name, code) in parts {
                let event = try #require(
                    Catalog.builtIn.events.first { $0.name.uppercased() == name }, "\(name) in \(file.path)")
                seen.insert(event.name)
                let ending = code.firstMatch(of: #/\b(FINISH\w*)\(/#).map { String($0.1) }
                let isBulk =
                    code.prefix { $0 != "\n" }.contains("emit_transfer") || ending == "FINISH_BULK"
                #expect(isBulk == event.isBulk, "\(event.name): \(ending ?? "no end")")
            }
        }
        #expect(seen.count > 60)
    }
}

extension String {
    /// What each match captured, with its line from the start, and the text up to the next match.
    fileprivate func components(after pattern: Regex<(Substring, Substring)>) -> [(
        name: String, code: String
    )] {
        let found = matches(of: pattern)
        return found.enumerated().map { index, match in
            let lineStart = self[..<match.range.lowerBound].lastIndex(of: "\n") ?? startIndex
            let end = index + 1 < found.count ? found[index + 1].range.lowerBound : endIndex
            return (String(match.1), String(self[lineStart..<end].drop { $0 == "\n" }))
        }
    }
}
