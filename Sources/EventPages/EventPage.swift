public import Catalog

/// What the running kernel says of an event, for those who ask on a terminal.
public struct KernelHooks: Sendable {
    /// `gives it`, or why not.
    public let answer: String
    /// How it is hooked, a line each.
    public let lines: [String]

    public init(answer: String, lines: [String]) {
        self.answer = answer
        self.lines = lines
    }
}

extension EventReference {
    /// All that there is to say of an event.
    ///
    /// - Parameter kernel: what the running kernel says; the committed pages have only those of the matrix.
    public func page(of event: EventDefinition, kernel: KernelHooks? = nil) -> PageText {
        var page = PageText(event.name, remark: "id \(event.id.rawValue)")
        page.add("", [.paragraph(event.about), .facts(facts(of: event, kernel))])
        if let note = notes[event.name] { page.add("Security", [.paragraph(note)]) }
        page.add(event.isSystemCall ? "Arguments" : "Fields", fields(of: event))
        page.add("Forms", Self.forms(of: event))
        page.add("Constants", constants(of: event))
        page.add("Structures", structures(of: event))
        page.add("Example", example(of: event).map(Self.blocks) ?? [])
        page.add("Hooks", hooks(of: event, kernel))
        let related = related(to: event)
        page.add("Related", related.isEmpty ? [] : [.paragraph(Self.links(related).joined(separator: ", "))])
        return page
    }

    private func facts(of event: EventDefinition, _ kernel: KernelHooks?) -> [(name: String, text: String)] {
        var facts = [(name: "Id", text: String(event.id.rawValue))]
        let sets = event.sets.map { "[\($0)](sets/\($0).md)" }
        facts.append((name: "Sets", text: sets.isEmpty ? "none" : sets.joined(separator: ", ")))
        if case .systemCall(let number, let compatNumber, let trait) = event.source {
            let numbers = [number.map { "\($0) on x86-64" }, compatNumber.map { "\($0) on i386" }]
            facts.append((name: "Number", text: numbers.compactMap { $0 }.joined(separator: ", ")))
            switch trait {
            case .noReturn: facts.append((name: "Returns", text: "never; told when it is entered"))
            case .returnsTwice:
                facts.append((name: "Returns", text: "in caller and child; the caller's is told"))
            case .replacesMemory:
                facts.append((name: "Returns", text: "into another program when it succeeds; told then too"))
            case .intResult, nil: break
            }
        }
        if event.isBulk && !event.isSystemCall {
            facts.append(
                (name: "Class", text: "bulk: there may be many, and they give way when a ring is nearly full")
            )
        }
        if let kernel { facts.append((name: "This kernel", text: kernel.answer)) }
        return facts
    }

    // MARK: Fields

    private func fields(of event: EventDefinition) -> [PageText.Block] {
        if event.fields.isEmpty { return [.paragraph("It has no fields.")] }
        var tags: Set<String> = []
        let rows = event.fields.map { field in
            let own = field.provenance.tags
            tags.formUnion(own + (field.targetProvenance?.tags ?? []))
            return [
                "`\(field.name)`", Self.type(of: field), own.joined(separator: " "),
                Self.meaning(of: field, in: event),
            ]
        }
        let legend = Self.legend.filter { tags.contains($0.tag) }.map { "\($0.tag): \($0.about)" }
        return [
            .table(header: ["name", "type", "from", "meaning"], rows: rows),
            .paragraph(legend.joined(separator: " ")),
        ]
    }

    /// What the tags say, in their usual order.
    static let legend: [(tag: String, about: String)] = [
        ("K", "read from the kernel or a register."),
        ("U", "read from user memory."),
        (
            "TOCTOU",
            "the kernel makes its own copy at another moment, so a caller may have changed it in between."
        ),
        ("OPT", "may be null or missing."),
        ("AGENT", "Apus adds it when it is asked for."),
    ]

    /// In the catalogue's spelling, with a link to what it names.
    static func type(of field: FieldDefinition) -> String {
        if let structure = field.structure {
            return "[`pointer<\(structure.name)>`](structures.md#\(structure.name))"
        }
        guard let symbols = field.symbols, field.name != "returnValue" || symbols != "errno" else {
            return "`\(field.type.rawValue)`"
        }
        let spelling = "`\(field.type.rawValue)<\(symbols)>`"
        return Constants(symbols) == nil ? spelling : "[\(spelling)](constants.md#\(symbols))"
    }

    /// What a field is, from its own words or from how it is read.
    static func meaning(of field: FieldDefinition, in event: EventDefinition) -> String {
        if !field.about.isEmpty { return field.about }
        let length = length(of: field, in: event)
        if let target = field.targetProvenance {
            let way =
                switch field.direction {
                case .out: "written by the call"
                case .outInterrupted: "written by the call when it is interrupted"
                case .inout: "read and written by the call"
                case .in, .opaque, nil: "read by the call"
                }
            var what = "of what is"
            if let structure = field.structure {
                what =
                    "of `\(structure.name)`\(length.map { ", \(field.isArray ? "" : "bytes: ")\($0)" } ?? ""),"
            } else if let length {
                what = "of bytes, \(length),"
            }
            return "address \(what) \(way) (\(target.tags.joined(separator: " ")))"
        }
        let bytes = length.map { "; as many bytes as \($0.dropFirst("as many as ".count))" } ?? ""
        switch field.direction {
        case .in: return "read at entry\(bytes)"
        case .out, .inout: return "read at exit, when the call succeeded\(bytes)"
        case .outInterrupted: return "read at exit, when the call was interrupted\(bytes)"
        case .opaque: return "an address or a number, not read through"
        case nil: break
        }
        switch field.symbols {
        case "dir_fd": return "a descriptor of a directory, or `AT_FDCWD` for the caller's own"
        case FieldDefinition.descriptor: return "a descriptor"
        case "mode": return "a kind of file and permissions; in words by name and in octal"
        case "permissions": return "permissions; in words in octal"
        default: break
        }
        switch field.lowHalf {
        case .signed: return "the kernel takes an `int` of it"
        case .unsigned: return "the kernel takes an `unsigned int` of it"
        case nil: return ""
        }
    }

    /// The same without marks.
    public static func plainMeaning(of field: FieldDefinition, in event: EventDefinition) -> String {
        PageText.unmarked(meaning(of: field, in: event))
    }

    private static func length(of field: FieldDefinition, in event: EventDefinition) -> String? {
        guard let said = saidLength(of: field, in: event) else { return nil }
        guard let room = field.room?.argument else { return said }
        return said + ", and no more than `\(event.fields[room].name)`"
    }

    private static func saidLength(of field: FieldDefinition, in event: EventDefinition) -> String? {
        switch field.length {
        case .argument(let index): "as many as `\(event.fields[index].name)`"
        case .pointedBy(let index): "as many as `\(event.fields[index].name)` points at"
        case .returnValue: "as many as it returns"
        case .bits(let index): "as many as `\(event.fields[index].name)` bits take"
        case nil: nil
        }
    }

    // MARK: What fields name

    /// The tables of an event's fields in all forms, and of the structures that they lead to, each once.
    public func tables(of event: EventDefinition) -> [Constants] {
        var names = Self.everyField(of: event).filter { $0.name != "returnValue" || $0.symbols != "errno" }
            .compactMap { $0.structure == nil ? $0.symbols : nil }
        names += event.forms?.cases.compactMap(\.result) ?? []
        names += Self.structures(of: event).flatMap { $0.members.compactMap(\.symbols) }
        return Self.unique(names).compactMap(Constants.init)
    }

    /// The structures that fields lead to, in all forms and through other structures, each once.
    public static func structures(of event: EventDefinition) -> [StructureDefinition] {
        var found: [StructureDefinition] = []
        var open = everyField(of: event).compactMap(\.structure)
        while !open.isEmpty {
            let structure = open.removeFirst()
            guard !found.contains(where: { $0.name == structure.name }) else { continue }
            found.append(structure)
            open += structure.members.compactMap(\.structure)
        }
        return found
    }

    /// Those of the row, then those that forms have in their place.
    private static func everyField(of event: EventDefinition) -> [FieldDefinition] {
        event.fields + (event.forms?.cases.flatMap { $0.arguments.map(\.field) } ?? [])
    }

    private static func unique(_ names: [String]) -> [String] {
        var found: [String] = []
        for name in names where !found.contains(name) { found.append(name) }
        return found
    }

    private func constants(of event: EventDefinition) -> [PageText.Block] {
        let tables = tables(of: event)
        return tables.isEmpty ? [] : [.list(tables.map { $0.line(limit: Constants.shortCount) })]
    }

    private func structures(of event: EventDefinition) -> [PageText.Block] {
        let structures = Self.structures(of: event)
        return structures.isEmpty ? [] : [.list(structures.map(Self.line))]
    }

    /// `stat`, its size, and its members with their types.
    static func line(of structure: StructureDefinition) -> String {
        let size = "\(structure.size) byte\(structure.size == 1 ? "" : "s")"
        let callers = structure.isSameForAll ? "" : ", of 64-bit callers only"
        let members = structure.members.map { member in
            let type = member.type.spelling + (member.symbols.map { "<\($0)>" } ?? "")
            return member.name.isEmpty ? type : "\(member.name): \(type)"
        }
        return
            "[`\(structure.name)`](structures.md#\(structure.name)) (\(size)\(callers)): "
            + "`\(members.joined(separator: ", "))`"
    }

    // MARK: Forms

    /// What a call's arguments are where one of them has this or that value.
    private static func forms(of event: EventDefinition) -> [PageText.Block] {
        guard let forms = event.forms, event.fields.indices.contains(forms.selector) else { return [] }
        let selector = event.fields[forms.selector].name
        let bits = forms.mask == .max ? "" : " & 0x\(String(forms.mask, radix: 16))"
        let cases = forms.cases.map { one in
            let names = one.names.isEmpty ? "any other" : "`\(one.names.joined(separator: " "))`"
            let arguments = one.arguments.map { argument in
                let row = event.fields[argument.index]
                return spelling(of: argument.field) == spelling(of: row)
                    ? row.name : "\(row.name): \(spelling(of: argument.field))"
            }
            let result = one.result.map { "; result: `\($0)`" } ?? ""
            return "\(names): `\(arguments.joined(separator: ", "))`\(result)"
        }
        return [
            .paragraph(
                "What is used, and as what, is decided by `\(selector)\(bits)`. An argument that stands alone is as above."
            ),
            .list(cases),
        ]
    }

    private static func spelling(of field: FieldDefinition) -> String {
        let named = field.structure?.name ?? field.symbols
        let direction = field.structure == nil ? "" : field.direction.map { "{\($0.rawValue)}" } ?? ""
        return field.type.rawValue + (named.map { "<\($0)>" } ?? "") + direction
    }

    // MARK: Example and hooks

    private static func blocks(of example: EventExample) -> [PageText.Block] {
        var blocks: [PageText.Block] = []
        if let line = example.line { blocks.append(.verbatim([line], language: "")) }
        if let data = example.data { blocks.append(.verbatim(jsonLines(data), language: "json")) }
        return blocks
    }

    /// A JSON array of objects, an element a line.
    static func jsonLines(_ data: String) -> [String] {
        let inner = data.hasPrefix("[") && data.hasSuffix("]") ? data.dropFirst().dropLast() : data[...]
        var lines: [String] = []
        var rest = inner
        // Fields are `{"name":...}`, and what they hold never has that key first.
        while let comma = rest.ranges(of: "},{\"name\":").first {
            lines.append("\(lines.isEmpty ? "[" : " ")\(rest[..<comma.lowerBound])},")
            rest = rest[rest.index(comma.lowerBound, offsetBy: 2)...]
        }
        return lines + ["\(lines.isEmpty ? "[" : " ")\(rest)]"]
    }

    private func hooks(of event: EventDefinition, _ kernel: KernelHooks?) -> [PageText.Block] {
        var blocks: [PageText.Block] = []
        if let kernel {
            blocks.append(.list(kernel.lines.map { "this kernel: \($0)" }))
        } else {
            blocks.append(.list(Self.places(of: event)))
        }
        let rows = kernels(giving: event)
        let header = ["kernel", event.isSystemCall ? "call" : "hooked by"]
        if !rows.isEmpty { blocks.append(.table(header: header, rows: rows)) }
        return blocks
    }

    /// Where the catalogue says that an event is hooked.
    static func places(of event: EventDefinition) -> [String] {
        switch event.source {
        case .agent: return ["none: Apus itself tells it"]
        case .systemCall(let number, _, _):
            let own = "up to 16 calls: their own tracepoints `syscalls:sys_enter_*` and `sys_exit_*`"
            let all = "`sys_enter` and `sys_exit`, `tp_btf` or where programs are preempted `raw_syscalls`"
            return number == nil ? ["\(all)"] : ["\(own)", "more, and 32-bit callers: \(all)"]
        case .hooks(let hooks):
            return hooks.map { hook in
                // Functions of several shapes have a place for each.
                let places = Self.unique(
                    hook.places.map {
                        "`\($0.description)`\($0.kind.isNeverPreempted ? " where programs are preempted" : "")"
                    })
                return places.joined(separator: " or ") + (hook.isOptional ? ", optional" : "")
            }
        }
    }

    /// Kernels of the matrix, those alike in one row.
    private func kernels(giving event: EventDefinition) -> [[String]] {
        var cells = matrix.cells[event.name] ?? []
        if event.isSystemCall && !matrix.lacking.isEmpty {
            cells = matrix.kernels.map { kernel in
                matrix.lacking[kernel]?.contains(event.name) == true
                    ? "–: this kernel does not implement the call" : "given"
            }
        }
        var rows: [(kernels: [String], cell: String)] = []
        for (kernel, cell) in zip(matrix.kernels, cells) {
            if let place = rows.firstIndex(where: { $0.cell == cell }) {
                rows[place].kernels.append(kernel)
            } else {
                rows.append(([kernel], cell))
            }
        }
        return rows.map { [$0.kernels.joined(separator: ", "), $0.cell] }
    }

    static func links(_ names: [String]) -> [String] { names.map { "[\($0)](\($0).md)" } }
}
