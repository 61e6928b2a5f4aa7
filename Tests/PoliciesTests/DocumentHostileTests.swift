import Catalog
import Expressions
import TestSupport
import Testing

@testable import Policies

/// Policies from whoever may write into their directory.
@Suite struct DocumentHostileTests {
    private static let yaml = Array(
        """
        apiVersion: tracee.aquasec.com/v1beta1
        kind: Policy
        metadata: {name: "web-1", annotations: {description: 'käse 🐧'}}
        spec:
          scope: [uid!=0, "comm=ba*", exec=host:/bin/sh, container=new, follow]
          rules:
            - event: tag=fs,-open*
              filters: [data.pathname=/etc/*]
              actions: [log]
            - event: openat, threat.severity>=high
        ---
        type: policy
        name: b
        scope:
          - pid>10
        rules:
          - event: close
        """.utf8)

    private static let json = Array(
        """
        {\t"type": "policy", "name": "a", "description": "\\ud83d\\ude00 \\"x\\"",
        \t"scope": ["uid!=0", "pid=new"], "rules": [{"event": "fs", "filters": null}, {"event": "close"}]}
        """.utf8)

    /// Checks what must hold whatever was read, and says whether it was right.
    @discardableResult
    private func check(_ bytes: [UInt8], _ file: String) -> Bool {
        let (documents, diagnostics) = PolicyDocument.parse(bytes, file: file)
        let lines = bytes.split(separator: 10, omittingEmptySubsequences: false).count
        #expect(diagnostics.count <= 101)
        for diagnostic in diagnostics {
            let text = diagnostic.description
            #expect(text.utf8.count < 2_000)
            #expect(
                text.unicodeScalars.allSatisfy { $0.value >= 0x20 && !(0x7f..<0xa0).contains($0.value) },
                "\(text.debugDescription)")
            // YAML has line breaks of its own (U+0085, U+2028), and a carriage return is one.
            let breaks = lines + bytes.count { $0 == 13 || $0 == 0x85 || $0 == 0xa8 || $0 == 0xa9 }
            #expect(diagnostic.position.map { (1...breaks + 1).contains($0.line) && $0.column >= 1 } == true)
        }
        guard !diagnostics.contains(where: { $0.severity == .error }) else { return false }
        #expect(!documents.isEmpty)
        for document in documents {
            #expect(throws: Never.self) { try document.scope(hostMountNamespace: 1) { _ in 1 } }
            #expect(!document.scopeItems.isEmpty)
            let events = document.rules.flatMap(\.events)
            #expect(Set(events).count == events.count)
            #expect(!events.isEmpty || document.rules.contains { $0.threat != nil })
        }
        return true
    }

    @Test func theSamplesAreRight() {
        #expect(check(Self.yaml, "p.yaml"))
        #expect(check(Self.json, "p.json"))
        #expect(check(Self.json, "p.yaml"))
    }

    @Test func randomBytes() {
        var random = SplitMix64(seed: 0xd0c5)
        for _ in 0..<1_000 {
            check(random.bytes(random.below(200)), random.below(2) == 0 ? "p.yaml" : "p.json")
        }
    }

    /// Text of YAML's and JSON's own characters gets further than random bytes.
    @Test func randomTokens() {
        let tokens = [
            "a", "b: ", "- ", "[", "]", "{", "}", ", ", "\n", "\n  ", "\n    ", "\t", "\"", "'", "# ", "&a ",
            "*a ",
            "!t ", "|\n", ">\n", "? ", ": ", "---\n", "...\n", "%YAML 1.1\n", "<<: ", "\\", "\\ud83d",
            "\\u0000", "~",
            "\r\n", "\u{feff}", "\u{85}", "\u{2028}", "🐧", "type: policy\n", "name: a\n", "scope: [global]\n",
            "rules: [{event: close}]\n", "\"type\": \"policy\"",
        ]
        var random = SplitMix64(seed: 0x70c5)
        for _ in 0..<2_000 {
            let text = (0..<random.below(40)).map { _ in tokens[random.below(tokens.count)] }.joined()
            check(Array(text.utf8), random.below(4) == 0 ? "p.json" : "p.yaml")
        }
    }

    @Test func mutations() {
        var random = SplitMix64(seed: 0x3117)
        var right = 0
        for turn in 0..<1_500 {
            var bytes = turn % 3 == 0 ? Self.json : Self.yaml
            for _ in 0...random.below(3) {
                let place = random.below(bytes.count)
                switch random.below(5) {
                case 0: bytes[place] = UInt8(truncatingIfNeeded: random.next())
                case 1: bytes.removeSubrange(place..<min(bytes.count, place + 1 + random.below(8)))
                case 2: bytes.insert(contentsOf: random.text(upTo: 12), at: place)
                case 3:
                    let end = min(bytes.count, place + 1 + random.below(40))
                    bytes.insert(contentsOf: bytes[place..<end], at: random.below(bytes.count))
                default: bytes = Array(bytes.prefix(place))
                }
                if bytes.isEmpty { bytes = [10] }
            }
            if check(bytes, turn % 3 == 0 ? "p.json" : "p.yaml") { right += 1 }
        }
        // Both happen, or the mutations are too mild or too wild.
        #expect((50..<1_400).contains(right), "\(right)")
    }

    /// Large files, made so that reading takes long.
    @Test(
        .timeLimit(.minutes(1)),
        arguments: [
            "[", "{", "- ", "? ", "a: ", "[,", "{a,", "\"", "'", "x ", "x\n ", "#", "\n", "---\n", "- x\n",
            "!", "a*,", "|\n",
            "- a: b\n", "- [a]\n", "{a: b}\n", "\t", "%", "-\n",
        ])
    func repetitions(_ part: String) {
        let full = String(repeating: part, count: DocumentReader.sizeLimit / 4 / part.utf8.count)
        #expect(!check(Array(full.utf8), "p.yaml"))
        // The same behind what is right.
        let some = String(repeating: part, count: 50_000 / part.utf8.count)
        check(Array("type: policy\nname: a\nscope: [global]\nrules: \(some)".utf8), "p.yaml")
        check(Array("{\"type\": \"policy\", \"name\": \(some)".utf8), "p.json")
    }

    /// Each part of a policy as large as it may be.
    @Test(.timeLimit(.minutes(1))) func largePolicies() {
        let head = "type: policy\nname: a\n"
        let prefixes = Set(
            Catalog.builtIn.events.flatMap { event in
                (1...event.name.count).map { event.name.prefix($0) + "*" }
            }
        ).sorted()
        let list = String(prefixes.joined(separator: ",").prefix(16_000)).split(separator: ",").dropLast()
            .joined(separator: ",")
        let rules = (0..<2).map { _ in "- event: \(list)\n" }.joined()
        #expect(check(Array((head + "scope: [global]\nrules:\n" + rules).utf8), "p.yaml"))
        let items = (0..<1_000).map { "- uid=\($0)\n" }.joined()
        #expect(check(Array((head + "rules: [{event: close}]\nscope:\n" + items).utf8), "p.yaml"))
        let (_, diagnostics) = PolicyDocument.parse(
            Array((head + "rules: [{event: close}]\nscope:\n" + items + "- gid=1\n").utf8), file: "p.yaml")
        #expect(
            diagnostics.map(\.description) == [
                "p.yaml:1005:3: error: the list scope has more than 1000 items; split it, or join items with commas"
            ])
        let unknown = (0..<400).map {
            "- event: nothing_like_an_event_that_there_is_\($0)_in_this_catalogue\n"
        }.joined()
        #expect(!check(Array((head + "scope: [global]\nrules:\n" + unknown).utf8), "p.yaml"))
    }

    @Test func randomItems() {
        let words = [
            "pid", "uid", "comm", "uts", "exec", "bin", "container", "not-container", "follow", "global",
            "cgroup",
            "tree", "mntns", "=", "!=", "<", ">", "<=", ">=", "!", ",", "*", "/", "/bin/sh", "host:", "7:",
            "new",
            "started", "1", "4294967295", "4294967296", "-", " ", "a", ":", "\u{301}", "\0",
        ]
        var random = SplitMix64(seed: 0x5c09)
        var right = 0
        for _ in 0..<5_000 {
            var scope = Scope()
            for _ in 0...random.below(3) {
                let item = (0...random.below(6)).map { _ in words[random.below(words.count)] }.joined()
                do throws(PolicyError) {
                    try scope.add(item, hostMountNamespace: 1) { _ in 1 }
                    right += 1
                } catch {
                    #expect(error.description.unicodeScalars.allSatisfy { $0.value >= 0x20 })
                }
            }
            for restriction in scope.restrictions.values {
                #expect(
                    restriction.includedPatterns.union(restriction.excludedPatterns).allSatisfy {
                        $0.kind != .exact && !$0.bytes.isEmpty && !$0.bytes.contains(UInt8(ascii: "*"))
                    })
            }
            #expect(scope.executables.included.allSatisfy { $0.bytes.first == UInt8(ascii: "/") })
            #expect(!scope.isGlobal || (scope.restrictions.isEmpty && scope.containers.isEmpty))
        }
        #expect(right > 100)
    }
}
