internal import Catalog
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
                Console.out(document(event, features).line + "\n")
            } else {
                Console.out((number > 0 ? "\n" : "") + page(event, features))
            }
        }
        return 0
    }

    // MARK: Text

    private static func page(_ event: EventDefinition, _ features: Features) -> String {
        var text = "\(event.name)  (id \(event.id.rawValue))\n\(event.about)\n\n"
        text += "Sets:        \(event.sets.isEmpty ? "none" : event.sets.joined(separator: ", "))\n"
        text += "Hooks:       \(hooks(event, features).joined(separator: "\n             "))\n"
        let state = features.availability(of: event)
        text += "This kernel: \(state == .present ? "gives it" : "\(state.name): \(state.reason ?? "")")\n"
        if event.fields.isEmpty { return text + "\nNo fields.\n" }
        text += "\nFields:\n"
        let width = (event.fields.map(\.name.count).max() ?? 0) + 2
        for field in event.fields {
            var line = "  \(Help.pad(field.name, width))\(Help.pad(field.type.rawValue, 10))"
            line += Help.pad(field.provenance.tags.joined(separator: " "), 14)
            line += meaning(field, event)
            while line.hasSuffix(" ") { line.removeLast() }
            text += line + "\n"
        }
        text +=
            "\nK: read from the kernel or a register. U: read from user memory. TOCTOU: the kernel makes its own\n"
        text +=
            "copy at another moment, so a caller may have changed it in between. OPT: may be null or missing.\n"
        if event.kernelFieldCount < event.fields.count {
            text += "AGENT: Apus adds it when it is asked for.\n"
        }
        return text
    }

    private static func meaning(_ field: FieldDefinition, _ event: EventDefinition) -> String {
        if !field.about.isEmpty { return field.about }
        if let target = field.targetProvenance {
            let way =
                field.direction == .in
                ? "the call reads" : field.direction == .out ? "the call writes" : "the call reads and writes"
            return "address of what \(way) (\(target.tags.joined(separator: " ")))"
        }
        switch field.direction {
        case .in: return "read at entry"
        case .out, .inout: return "read at exit, when the call succeeded"
        case .outOnFailure: return "read at exit, when the call failed"
        case .opaque: return "an address or a number, not read through"
        case nil: return ""
        }
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

    // MARK: JSON

    private static func document(_ event: EventDefinition, _ features: Features) -> JSONText {
        let state = features.availability(of: event)
        var members: [(String, JSONText)] = [
            ("id", .number(Int(event.id.rawValue))), ("name", .text(event.name)),
            ("description", .text(event.about)),
            ("tags", .list(event.sets.map(JSONText.text))),
            (
                "fields",
                .list(
                    event.fields.map { field in
                        var members: [(String, JSONText)] = [
                            ("name", .text(field.name)), ("type", .text(field.type.rawValue)),
                            ("provenance", .list(field.provenance.tags.map(JSONText.text))),
                        ]
                        if let target = field.targetProvenance {
                            members.append(("pointee_provenance", .list(target.tags.map(JSONText.text))))
                        }
                        if !field.about.isEmpty { members.append(("description", .text(field.about))) }
                        return .object(members)
                    })
            ),
        ]
        members.append(("hooks", .list(hooks(event, features).map(JSONText.text))))
        members.append(("available", .text(state.name)))
        if let reason = state.reason { members.append(("reason", .text(reason))) }
        return .object(members)
    }
}
