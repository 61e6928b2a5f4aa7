internal import Catalog

extension EventReference {
    /// All pages as Markdown, by the path below their folder.
    public var files: [(path: String, text: String)] {
        var files = catalog.events.map { (path: "\($0.name).md", text: page(of: $0).markdown) }
        files += catalog.sets.map { (path: "sets/\($0).md", text: setPage($0).markdown) }
        files.append((path: "README.md", text: index.markdown))
        files.append((path: "constants.md", text: constantsPage.markdown))
        files.append((path: "structures.md", text: structuresPage.markdown))
        return files
    }

    private func setPage(_ set: String) -> PageText {
        let events = catalog.events.filter { $0.sets.contains(set) }
        var page = PageText(set)
        page.add(
            "",
            [
                .paragraph(
                    (sets[set].map { "\($0) " } ?? "")
                        + "\(Self.count(events.count, "event")), which `apus trace --events tag=\(set)` traces."
                )
            ])
        page.add("Events", [rows(events, folder: "../")])
        return page
    }

    private func rows(_ events: [EventDefinition], folder: String) -> PageText.Block {
        .table(
            header: ["event", "id", "about"],
            rows: events.sorted { $0.name < $1.name }.map {
                ["[\($0.name)](\(folder)\($0.name).md)", String($0.id.rawValue), $0.about]
            })
    }

    private var index: PageText {
        let calls = catalog.events.filter(\.isSystemCall)
        let others = catalog.events.filter { !$0.isSystemCall }
        var page = PageText("Events")
        page.add(
            "",
            [
                .paragraph(
                    "\(calls.count) system calls and \(others.count) other events. Made by `make docs` of the "
                        + "catalogue, of the names of constants, and of [which kernel gives which event]"
                        + "(../kernel-matrix.md); `apus events describe NAME` prints a page with what the running "
                        + "kernel says."),
                .list([
                    "[Constants](constants.md) that numbers are shown as",
                    "[Structures](structures.md) that pointers lead to",
                    "[Policies](../policies.md): how events are asked for and filtered by their fields",
                ]),
            ])
        page.add(
            "How to read a page",
            [
                .list(
                    [
                        "Type: As in JSON. `int32<open_flags>` is a number that tables, `--format strace` and "
                            + "`--enrichment decoded-data` show by names of that table; `pointer<stat>` an address "
                            + "where a structure is, which they show by its members.",
                        "From: Where the value was read.",
                    ] + Self.legend.map { "`\($0.tag)`: \($0.about)" } + [
                        "When: What a call reads is read at its entry, what it writes at its exit. Tags in "
                            + "brackets are those of what is behind an address.",
                        "Hooked by: How it was hooked on each kernel of the matrix (Debian's) when the event was seen there "
                            + "with the right values. `given`: hooked, but nothing can trigger it in a test. `–`: "
                            + "not on this kernel.",
                        "Example: From a test: the line for people, where there is one, and `data` of the JSON. "
                            + "Numbers of processes, addresses and paths are those of the test.",
                    ])
            ])
        page.add(
            "Around the data",
            [
                .paragraph("Each event has besides its `data`, in one line:"),
                .verbatim(Self.wholeRecord, language: "json"),
            ])
        page.add(
            "Sets",
            [
                .table(
                    header: ["set", "events", "what"],
                    rows: catalog.sets.map { set in
                        let count = catalog.events.count { $0.sets.contains(set) }
                        return ["[\(set)](sets/\(set).md)", String(count), sets[set] ?? ""]
                    })
            ])
        page.add("Events that are no system calls", [rows(others, folder: "")])
        page.add("System calls", Self.byLetter(calls.map(\.name)))
        return page
    }

    /// As the JSON encoder writes it; its own tests see to that.
    private static let wholeRecord = [
        #"{"timestamp":"2026-11-21T19:21:22.420343061Z","id":258,"name":"openat","#,
        #" "policies":{"matched":["default"]},"#,
        #" "workload":{"process":{"executable":{"path":"/usr/bin/cat"},"unique_id":3298332521,"#,
        #"  "host_pid":1487,"pid":1487,"real_user":{"id":0},"#,
        #"  "thread":{"start_time":"2026-11-21T19:21:22.290114704Z","name":"cat","unique_id":3298332521,"#,
        #"   "host_tid":1487,"tid":1487,"syscall":"openat"},"#,
        #"  "ancestors":[{"unique_id":2372005089,"host_pid":1486,"pid":1486}]}},"#,
        #" "data":[…]}"#,
    ]

    private static func byLetter(_ names: [String]) -> [PageText.Block] {
        let letters = Dictionary(grouping: names) { $0.first ?? "_" }
        return [
            .list(
                letters.keys.sorted().map { letter in
                    links((letters[letter] ?? []).sorted()).joined(separator: ", ")
                })
        ]
    }

    // MARK: Constants and structures

    private var constantsPage: PageText {
        var users: [String: [String]] = [:]
        for event in catalog.events {
            for table in tables(of: event) { users[table.name, default: []].append(event.name) }
        }
        var page = PageText("Constants")
        page.add(
            "", [.paragraph("Names of the kernel's constants, by table. Values of flags are hexadecimal.")])
        for table in Constants.all {
            var blocks: [PageText.Block] = [
                .paragraph("\(table.isFlags ? "Flags" : "One of"): \(table.list())")
            ]
            blocks += Self.users(users[table.name] ?? [])
            page.add(table.name, blocks)
        }
        return page
    }

    private var structuresPage: PageText {
        var users: [String: [String]] = [:]
        var structures: [String: StructureDefinition] = [:]
        for event in catalog.events {
            for structure in Self.structures(of: event) {
                structures[structure.name] = structure
                users[structure.name, default: []].append(event.name)
            }
        }
        var page = PageText("Structures")
        page.add(
            "",
            [
                .paragraph(
                    "What is shown of the structures that pointers of system calls lead to. Offsets are those of "
                        + "x86-64 programs; `same for all` have 32-bit programs too.")
            ])
        for (name, structure) in structures.sorted(by: { $0.key < $1.key }) {
            let size = Self.count(structure.size, "byte")
            let rows = structure.members.map { member in
                let type = member.type.spelling
                let named = member.symbols.map { symbols in
                    Constants(symbols) == nil
                        ? "`\(type)<\(symbols)>`" : "[`\(type)<\(symbols)>`](constants.md#\(symbols))"
                }
                return [
                    member.name.isEmpty ? "" : "`\(member.name)`", named ?? "`\(type)`",
                    String(member.offset),
                ]
            }
            page.add(
                name,
                [
                    .paragraph(structure.isSameForAll ? "\(size), same for all." : "\(size)."),
                    .table(header: ["member", "type", "offset"], rows: rows),
                ] + Self.users(users[name] ?? []))
        }
        return page
    }

    private static func users(_ names: [String]) -> [PageText.Block] {
        guard !names.isEmpty else { return [] }
        let shown = names.sorted()
        let most = 12
        let more = shown.count > most ? " and \(shown.count - most) more" : ""
        return [.paragraph("Of \(links(Array(shown.prefix(most))).joined(separator: ", "))\(more).")]
    }

    private static func count(_ number: Int, _ what: String) -> String {
        "\(number) \(what)\(number == 1 ? "" : "s")"
    }
}
