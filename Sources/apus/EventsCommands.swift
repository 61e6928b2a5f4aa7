internal import Agent
internal import Catalog
internal import EventPages
internal import Glibc
internal import Policies
internal import Probes

enum EventsCommands {
    private static let json = Option("json", "j", "print JSON")

    static let list = Command(
        name: "events list", about: "List the events.", options: [json],
        operands: "[NAME | PREFIX* | tag=SET]..."
    ) { arguments in
        let catalog = Catalog.builtIn
        var chosen = catalog.events
        if !arguments.operands.isEmpty {
            do {
                let indexes = Set(try EventSelection(arguments.operands, in: catalog).events)
                chosen = chosen.filter { indexes.contains($0.index) }
            } catch let error as PolicyError {
                throw UsageError(error.description)
            }
        }
        if arguments.switches.contains("json") {
            let features = Features(isThorough: false)
            Console.out(JSONText.list(chosen.map { document($0, features) }).line + "\n")
            return 0
        }
        var text = ""
        for event in chosen {
            text +=
                "\(Help.pad(event.name, 30))\(Help.pad(event.sets.joined(separator: ","), 32))\(event.about)\n"
        }
        Console.out(text)
        return 0
    }

    static let describe = Command(
        name: "events describe", about: "Explain an event: its fields, where they come from, its hooks.",
        options: [json], operands: "NAME..."
    ) { arguments in
        guard !arguments.operands.isEmpty else {
            throw UsageError("name an event, as: apus events describe openat")
        }
        let catalog = Catalog.builtIn
        let features = Features()
        for (number, name) in arguments.operands.enumerated() {
            guard let event = catalog[name] else {
                let near = Catalog.nearest(to: name, among: catalog.events.map(\.name))
                throw UsageError(
                    "unknown event '\(name)'; \(near.isEmpty ? "`apus events list` shows all" : "did you mean \(near.joined(separator: ", "))?")"
                )
            }
            if arguments.switches.contains("json") {
                Console.out(document(event, features, isWhole: true).line + "\n")
            } else {
                let state = features.availability(of: event)
                let kernel = KernelHooks(
                    answer: state == .present ? "gives it" : "\(state.name): \(state.reason ?? "")",
                    lines: hooks(event, features))
                let page = EventReference.builtIn.page(of: event, kernel: kernel)
                Console.out((number > 0 ? "\n" : "") + page.terminal)
            }
        }
        return 0
    }

    static let docs = Command(
        name: "events docs", about: "Write the event reference: a page for each event, as Markdown.",
        operands: "FOLDER"
    ) { arguments in
        guard let folder = arguments.operands.first, arguments.operands.count == 1 else {
            throw UsageError("name a folder, as: apus events docs Docs/events")
        }
        let files = EventReference.builtIn.files
        for path in ["", "/sets"] where unsafe mkdir(folder + path, 0o755) != 0 && errno != EEXIST {
            throw unwritable(folder + path)
        }
        for file in files { try write(file.text, to: "\(folder)/\(file.path)") }
        Console.note("wrote \(files.count) pages to \(folder)")
        return 0
    }

    /// Where an event is hooked on this kernel.
    static func hooks(_ event: EventDefinition, _ features: Features) -> [String] {
        switch event.source {
        case .agent: return ["the agent itself"]
        case .hooks(let hooks):
            return hooks.map { hook in
                let options = features.options(of: hook)
                let name = hook.isOptional ? " (optional)" : ""
                guard let best = options.attachments.first else {
                    return "\(hook.places[0].description)\(name): not here: \(options.reason)"
                }
                return "\(best.place.description)\(name): by \(best.attachment.way)"
            }
        case .systemCall(let number, let compatNumber, _):
            var hooks: [String] = []
            if let number { hooks.append("x86-64 call \(number)") }
            if let compatNumber { hooks.append("i386 call \(compatNumber)") }
            if number != nil && features[.syscallTracepoints].isPresent {
                hooks.append("few calls traced: its own tracepoints syscalls:sys_enter_*, sys_exit_*")
            }
            let pair =
                features[.undisturbedPrograms].isPresent
                ? "tp_btf:sys_enter and tp_btf:sys_exit"
                : "perf tracepoints raw_syscalls:sys_enter and sys_exit"
            return hooks + ["many: \(pair) with a table"]
        }
    }

    private static func unwritable(_ path: String) -> AgentError {
        AgentError("cannot write \(path): \(unsafe String(cString: strerror(errno)))")
    }

    private static func write(_ text: String, to path: String) throws(AgentError) {
        let descriptor = unsafe open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw unwritable(path) }
        defer { close(descriptor) }
        guard Console.write(Array(text.utf8), to: descriptor) else { throw unwritable(path) }
    }

    // MARK: JSON

    /// - Parameter isWhole: with what is said beside the catalogue, and all that tables and structures hold.
    private static func document(_ event: EventDefinition, _ features: Features, isWhole: Bool = false)
        -> JSONText
    {
        let state = features.availability(of: event)
        var members: [(String, JSONText)] = [
            ("id", .number(Int(event.id.rawValue))), ("name", .text(event.name)),
            ("description", .text(event.about)),
            ("tags", .list(event.sets.map(JSONText.text))),
            ("fields", .list(event.fields.map { document($0, event, isWhole) })),
        ]
        members.append(("hooks", .list(hooks(event, features).map(JSONText.text))))
        members.append(("available", .text(state.name)))
        if let reason = state.reason { members.append(("reason", .text(reason))) }
        guard isWhole else { return .object(members) }
        let reference = EventReference.builtIn
        if let note = reference.note(on: event) { members.append(("security", .text(note))) }
        members.append(("related", .list(reference.related(to: event).map(JSONText.text))))
        members.append(("tables", .list(reference.tables(of: event).map(document))))
        members.append(("structures", .list(EventReference.structures(of: event).map(document))))
        if let line = reference.example(of: event)?.line { members.append(("example", .text(line))) }
        return .object(members)
    }

    private static func document(_ field: FieldDefinition, _ event: EventDefinition, _ isWhole: Bool)
        -> JSONText
    {
        var members: [(String, JSONText)] = [
            ("name", .text(field.name)), ("type", .text(field.type.rawValue)),
            ("provenance", .list(field.provenance.tags.map(JSONText.text))),
        ]
        if let target = field.targetProvenance {
            members.append(("pointee_provenance", .list(target.tags.map(JSONText.text))))
        }
        let about = isWhole ? EventReference.plainMeaning(of: field, in: event) : field.about
        if !about.isEmpty { members.append(("description", .text(about))) }
        if isWhole, let structure = field.structure {
            members.append(("structure", .text(structure.name)))
        } else if isWhole, let table = field.symbols {
            members.append(("table", .text(table)))
        }
        return .object(members)
    }

    private static func document(_ table: Constants) -> JSONText {
        .object([
            ("name", .text(table.name)), ("kind", .text(table.isFlags ? "flags" : "enumeration")),
            (
                "constants",
                .list(
                    table.symbols.map {
                        // No flag has the sign's bit, so each value is a number in JSON.
                        .object([
                            ("name", .text($0.name)), ("value", .number(Int(bitPattern: UInt($0.value)))),
                        ])
                    })
            ),
        ])
    }

    private static func document(_ structure: StructureDefinition) -> JSONText {
        .object([
            ("name", .text(structure.name)), ("size", .number(structure.size)),
            (
                "members",
                .list(
                    structure.members.map { member in
                        var members: [(String, JSONText)] = [
                            ("name", .text(member.name)), ("type", .text(member.type.spelling)),
                            ("offset", .number(member.offset)),
                        ]
                        if let table = member.symbols { members.append(("table", .text(table))) }
                        return .object(members)
                    })
            ),
        ])
    }
}
