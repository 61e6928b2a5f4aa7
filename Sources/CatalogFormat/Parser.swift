/// A fault in a catalogue file.
public struct CatalogError: Error, CustomStringConvertible {
    public let file: String
    public let line: Int
    public let message: String
    public var description: String { "\(file):\(line): error: \(message)" }
}

/// Reads catalogue files: rows of system calls, and entries of other events.
///
/// ```
/// name (trait) | x86-64 number | i386 number | id | sets | argument: type<table>{options}, ... | about
///
/// event NAME ID [SETS]
/// hook KIND:TARGET(PARAMETERS) [by PROGRAM] [optional]    or: hook agent
/// or KIND:TARGET(PARAMETERS) [by PROGRAM]
/// class bulk
/// about SENTENCE
/// field NAME: TYPE<TABLE> TAGS | meaning
///
/// struct NAME BYTES [any] [= WHAT IT IS IN C]
/// member NAME: TYPE<TABLE> OFFSET [if MEMBER FLAG|FLAG, if no MEMBER] [= ITS NAME IN C]
///
/// form CALL... by ARGUMENT<TABLE> [& MASK]
/// case NAME... [by ARGUMENT<TABLE> [& MASK]] : ARGUMENT, ARGUMENT: TYPE<TABLE>{OPTIONS}... [= TABLE]
/// when NAME... : ARGUMENT, ARGUMENT: TYPE<TABLE>{OPTIONS}... [= TABLE]
/// ```
///
/// `<TABLE>` names a table of `Catalog/symbols`, for numbers that stand for its constants; behind `pointer` it names
/// a structure.
public struct CatalogParser {
    var file = ""
    var line = 0
    private var rows: [EventDefinition] = []
    private var entries: [EventDefinition] = []
    /// Where each event stands, by its name; faults found at the end are reported there.
    private var places: [String: (file: String, line: Int)] = [:]
    private var placesOfIDs: [EventID: String] = [:]
    private var structures: [String: StructureDefinition] = [:]
    private var placesOfStructures: [(name: String, file: String, line: Int)] = []
    /// The structure whose members follow.
    private var openStructure: String?
    /// Names of structures that pointers of an event point at, by the event's and the field's name.
    private var pointedAt: [String: [String: String]] = [:]
    private var open: OpenEntry?
    /// The lines of forms; they are read at the end, when all calls and structures are known.
    var forms: [FormLines] = []
    /// Arguments of the call whose forms are read, as they were written: most stand in several cases.
    var knownArguments: [Substring: (index: Int, field: FieldDefinition)] = [:]
    /// The line above was of a form.
    private(set) var isFormOpen = false

    private struct OpenEntry {
        var name: String
        var id: EventID
        var sets: [String]
        var hooks: [Hook] = []
        var isOfAgent = false
        var isBulk = false
        var about = ""
        var fields: [FieldDefinition] = []
        var line: Int
    }

    public init() {}

    /// Parses files given as (name, text) and numbers the events: hooks first, then system calls.
    public static func parse(_ files: [(name: String, text: Substring)]) throws(CatalogError)
        -> [EventDefinition]
    {
        var parser = CatalogParser()
        for file in files { try parser.parse(file.name, file.text) }
        return try parser.finish()
    }

    private mutating func parse(_ name: String, _ text: Substring) throws(CatalogError) {
        file = name
        line = 0
        for raw in cut(text, at: "\n", keepsEmpty: true) {
            line += 1
            let text = trimmed(raw)
            if text.isEmpty || text.utf8.first == UInt8(ascii: "#") { continue }
            if let rest = after("case ", text) {
                try addCase(rest)
                continue
            }
            if let rest = after("when ", text) {
                try addFurther(rest)
                continue
            }
            isFormOpen = false
            if let rest = after("event ", text) {
                try closeEntry()
                try openEntry(rest)
            } else if let rest = after("struct ", text) {
                try closeEntry()
                try openStructure(rest)
            } else if let rest = after("member ", text) {
                try member(rest)
            } else if let rest = after("form ", text) {
                try closeEntry()
                forms.append(FormLines(file: file, line: line, text: rest))
                isFormOpen = true
            } else if open != nil {
                try entryLine(text)
            } else {
                try row(text)
            }
        }
        try closeEntry()
        isFormOpen = false
    }

    private mutating func finish() throws(CatalogError) -> [EventDefinition] {
        let unresolved = structures
        for place in placesOfStructures {
            (file, line) = (place.file, place.line)
            if let message = structures[place.name]?.resolve(unresolved) { throw fault(message) }
        }
        var all = entries + rows.sorted { $0.id < $1.id }
        for index in all.indices {
            all[index].index = index
            guard let named = pointedAt[all[index].name] else { continue }
            for place in all[index].fields.indices {
                guard let name = named[all[index].fields[place].name] else { continue }
                if structures[name] == nil, let place = places[all[index].name] { (file, line) = place }
                all[index].fields[place].structure = try structure(name)
            }
        }
        try resolveForms(of: &all, calls: entries.count..<all.count)
        return all
    }

    func structure(_ name: String) throws(CatalogError) -> StructureDefinition {
        if let structure = structures[name] { return structure }
        throw fault("there is no structure '\(name)'; write 'struct \(name) BYTES' and its members")
    }

    // MARK: Structures

    private mutating func openStructure(_ text: Substring) throws(CatalogError) {
        let (structure, message) = StructureDefinition.parse(cut(text, at: " "))
        guard let structure else { throw fault(message) }
        guard structures[structure.name] == nil else {
            throw fault("a structure named '\(structure.name)' stands already somewhere else")
        }
        structures[structure.name] = structure
        placesOfStructures.append((structure.name, file, line))
        openStructure = structure.name
    }

    private mutating func member(_ text: Substring) throws(CatalogError) {
        guard let name = openStructure, open == nil else {
            throw fault("'member' needs a struct line above it")
        }
        let words = StructureDefinition.layout(cut(text, at: " "))
        guard words.count == 3 || words.count > 3 && words[3] == "if", words[0].utf8.last == UInt8(ascii: ":")
        else {
            throw fault("a member is 'member NAME: TYPE OFFSET'")
        }
        let (spelling, options) = try cutOptions(words[1])
        let (type, named) = try cutTable(spelling)
        let message = structures[name]?.add(
            words[0].dropLast(), type, named: named, options, Array(words[2...]))
        if let message { throw fault(message) }
    }

    /// Notes that an event stands on a line, and refuses a second with its name or id.
    private mutating func claim(_ name: String, _ id: EventID, line: Int) throws(CatalogError) {
        self.line = line
        if let other = places[name] {
            throw fault("an event named '\(name)' stands already at \(other.file):\(other.line)")
        }
        if let other = placesOfIDs[id] { throw fault("\(other) has the id \(id.rawValue) already") }
        places[name] = (file, line)
        placesOfIDs[id] = name
    }

    // MARK: System calls

    private mutating func row(_ text: Substring) throws(CatalogError) {
        let columns = cut(text, at: "|", keepsEmpty: true).map(trimmed)
        guard columns.count == 7 else {
            throw fault("a system call is 7 columns separated by '|', this line has \(columns.count)")
        }
        guard let id = UInt32(columns[3]) else { throw fault("'\(columns[3])' is no event id") }
        let (taken, result) = try cutResult(columns[5])
        guard result == nil || result == FieldDefinition.descriptor else {
            throw fault("the result of a row is 'fd' or nothing; forms have others")
        }
        let arguments = taken == "-" ? [] : splitArguments(taken).map(trimmed)
        guard arguments.count <= 6 else { throw fault("a system call has at most 6 arguments") }
        let (name, trait) = try nameAndTrait(columns[0])
        let names = arguments.map { String(trimmed(Substring($0.utf8.prefix { $0 != UInt8(ascii: ":") }))) }
        var fields: [FieldDefinition] = []
        for argument in arguments {
            let (field, structure) = try self.argument(argument, names)
            fields.append(field)
            if let structure { pointedAt[name, default: [:]][field.name] = structure }
        }
        fields.append(
            FieldDefinition(
                name: "returnValue", type: .int64, symbols: "errno", direction: nil, length: nil,
                isArray: false, isOptional: false, provenance: .kernel,
                about: (result == nil ? "what the call returned" : "a descriptor")
                    + "; a negative errno when it failed"))
        try claim(name, EventID(rawValue: id), line: line)
        rows.append(
            EventDefinition(
                id: EventID(rawValue: id), index: 0, name: name,
                sets: list(columns[4]), fields: fields,
                source: .systemCall(
                    number: try number(columns[1]), compatNumber: try number(columns[2]), trait: trait),
                about: String(columns[6]), isBulk: true, result: result))
    }

    private func nameAndTrait(_ text: Substring) throws(CatalogError) -> (String, SystemCallTrait?) {
        guard let parenthesis = text.utf8.firstIndex(of: UInt8(ascii: "(")) else {
            return (String(text), nil)
        }
        let word = Substring(text.utf8[text.utf8.index(after: parenthesis)...].dropLast())
        guard text.utf8.last == UInt8(ascii: ")"), let trait = SystemCallTrait(rawValue: String(word)) else {
            let known = SystemCallTrait.allCases.map(\.rawValue).joined(separator: ", ")
            throw fault("'\(word)' is no trait; there are \(known)")
        }
        return (String(trimmed(text[..<parenthesis])), trait)
    }

    private func number(_ text: Substring) throws(CatalogError) -> Int? {
        if text == "-" { return nil }
        guard let number = Int(text), (0..<512).contains(number) else {
            throw fault("'\(text)' is no system call number below 512; write - where there is none")
        }
        return number
    }

    func argument(
        _ text: Substring, _ names: [String]
    ) throws(CatalogError) -> (FieldDefinition, structure: String?) {
        guard let colon = text.utf8.firstIndex(of: UInt8(ascii: ":")) else {
            throw fault("'\(text)' lacks ': type'")
        }
        let (typeName, options) = try cutOptions(trimmed(text[text.utf8.index(after: colon)...]))
        let (type, named) = try typeAndTable(typeName)
        var direction: Direction?
        var length: LengthSource?
        var room: Room?
        var lowHalf: LowHalf?
        var isArray = false
        var isOptional = false
        for option in options {
            if option == "opt" {
                isOptional = true
            } else if let source = after("len=", option) {
                length = try lengthSource(source, names)
            } else if let source = after("count=", option) {
                length = try lengthSource(source, names)
                isArray = true
            } else if let source = after("bits=", option) {
                guard case .argument(let index) = try lengthSource(source, names) else {
                    throw fault("bits= names an argument")
                }
                length = .bits(index)
            } else if let source = after("room=", option) {
                room = try self.room(source, names, isAllOrNothing: false)
            } else if let source = after("whole=", option) {
                room = try self.room(source, names, isAllOrNothing: true)
            } else if let known = Direction(rawValue: String(option)) {
                direction = known
            } else if let known = LowHalf(rawValue: String(option)), type == .uint64 {
                lowHalf = known
            } else {
                throw fault(
                    "'\(option)' is no option; there are in, out, out-interrupted, inout, opaque, opt, len=, count=, "
                        + "bits=, room=, whole=, and of uint64 int and uint"
                )
            }
        }
        let reachesThroughPointer = [.string, .stringArray, .socketAddress, .int32Pair, .timespec].contains(
            type)
        if reachesThroughPointer && direction == nil { direction = .in }
        if type == .pointer && direction == nil {
            throw fault("'\(text)' must say what is behind the pointer: in, out, inout or opaque")
        }
        let provenance: Provenance =
            reachesThroughPointer
            ? .throughUserPointer(direction ?? .in, isOptional: isOptional)
            : isOptional ? [.kernel, .optional] : .kernel
        guard !isArray || type == .pointer && named != nil else {
            throw fault("'\(text)' counts structures, and names none: pointer<NAME>")
        }
        let field = FieldDefinition(
            name: String(trimmed(text[..<colon])), type: type, symbols: type == .pointer ? nil : named,
            direction: direction, length: length, room: room, lowHalf: lowHalf, isArray: isArray,
            isOptional: isOptional, provenance: provenance, about: "")
        return (field, type == .pointer ? named : nil)
    }

    /// `TYPE{OPTION,OPTION}`.
    private func cutOptions(_ text: Substring) throws(CatalogError) -> (Substring, [Substring]) {
        guard let brace = text.utf8.firstIndex(of: UInt8(ascii: "{")) else { return (text, []) }
        guard text.utf8.last == UInt8(ascii: "}") else { throw fault("'\(text)' lacks a closing '}'") }
        let inner = Substring(text.utf8[text.utf8.index(after: brace)...].dropLast())
        return (text[..<brace], cut(inner, at: ",").map(trimmed))
    }

    private func lengthSource(_ text: Substring, _ names: [String]) throws(CatalogError) -> LengthSource {
        if text == "ret" { return .returnValue }
        let isPointed = text.utf8.first == UInt8(ascii: "*")
        let name = isPointed ? text.dropFirst() : text
        guard let index = names.firstIndex(of: String(name)) else {
            throw fault("len= names '\(name)', which is no argument of this call")
        }
        return isPointed ? .pointedBy(index) : .argument(index)
    }

    private func room(
        _ text: Substring, _ names: [String], isAllOrNothing: Bool
    ) throws(CatalogError) -> Room {
        switch try lengthSource(text, names) {
        case .argument(let index): return Room(argument: index, isAllOrNothing: isAllOrNothing)
        case .returnValue: return Room(argument: nil, isAllOrNothing: isAllOrNothing)
        case .pointedBy, .bits: throw fault("room= and whole= name an argument, or ret")
        }
    }

    // MARK: Other events

    private mutating func openEntry(_ text: Substring) throws(CatalogError) {
        let words = cut(text, at: " ", maxSplits: 2)
        guard words.count >= 2, let id = UInt32(words[1]) else {
            throw fault("an event starts with 'event NAME ID [SETS]'")
        }
        open = OpenEntry(
            name: String(words[0]), id: EventID(rawValue: id), sets: words.count > 2 ? list(words[2]) : [],
            line: line)
    }

    private mutating func entryLine(_ text: Substring) throws(CatalogError) {
        if text == "hook agent" {
            open?.isOfAgent = true
        } else if var hook = after("hook ", text) {
            let isOptional = hook.hasSuffix(" optional")
            if isOptional { hook = trimmed(hook.dropLast(" optional".count)) }
            let place = try place(hook)
            open?.hooks.append(Hook(places: [place], isOptional: isOptional))
        } else if text == "class bulk" {
            open?.isBulk = true
        } else if let other = after("or ", text) {
            let place = try place(other)
            guard let last = open?.hooks.popLast() else { throw fault("'or' needs a hook line above it") }
            open?.hooks.append(Hook(places: last.places + [place], isOptional: last.isOptional))
        } else if let about = after("about ", text) {
            open?.about = String(about)
        } else if let field = after("field ", text) {
            let definition = try entryField(field)
            if let last = open?.fields.last, last.provenance.contains(.agent),
                !definition.provenance.contains(.agent)
            {
                throw fault("fields that the agent adds come last; put this one before '\(last.name)'")
            }
            open?.fields.append(definition)
        } else {
            throw fault("expected hook, or, class bulk, about or field")
        }
    }

    private func place(_ text: Substring) throws(CatalogError) -> HookPlace {
        let (place, message) = HookPlace.parse(text, event: open?.name ?? "")
        guard let place else { throw fault(message) }
        return place
    }

    private func entryField(_ text: Substring) throws(CatalogError) -> FieldDefinition {
        let halves = cut(text, at: "|", maxSplits: 1).map(trimmed)
        guard halves.count == 2, let colon = halves[0].utf8.firstIndex(of: UInt8(ascii: ":")) else {
            throw fault("a field is 'field NAME: TYPE TAGS | meaning'")
        }
        let words = cut(halves[0][halves[0].utf8.index(after: colon)...], at: " ")
        guard let typeName = words.first else { throw fault("this field has no type") }
        var provenance: Provenance = []
        for tag in words.dropFirst() {
            switch tag {
            case "K": provenance.insert(.kernel)
            case "U": provenance.insert(.user)
            case "TOCTOU": provenance.insert(.raceable)
            case "OPT": provenance.insert(.optional)
            case "AGENT": provenance.insert(.agent)
            default: throw fault("'\(tag)' is no provenance tag; there are K, U, TOCTOU, OPT and AGENT")
            }
        }
        guard !provenance.isDisjoint(with: [.kernel, .user, .agent]) else {
            throw fault("say where the field is read: K, U or AGENT")
        }
        let (type, symbols) = try typeAndTable(typeName)
        guard type != .pointer || symbols == nil else { throw fault("only arguments point at structures") }
        return FieldDefinition(
            name: String(trimmed(halves[0][..<colon])), type: type, symbols: symbols, direction: nil,
            length: nil, isArray: false, isOptional: provenance.contains(.optional), provenance: provenance,
            about: String(halves[1]))
    }

    private mutating func closeEntry() throws(CatalogError) {
        guard let entry = open else { return }
        open = nil
        let end = line
        try claim(entry.name, entry.id, line: entry.line)
        defer { line = end }
        let isHooked = entry.hooks.contains { !$0.isOptional }
        guard entry.isOfAgent ? entry.hooks.isEmpty : isHooked, !entry.about.isEmpty, entry.fields.count <= 64
        else {
            throw fault(
                "event \(entry.name) needs a hook that is not optional, or `hook agent` and no other, "
                    + "an about line, and at most 64 fields")
        }
        entries.append(
            EventDefinition(
                id: entry.id, index: 0, name: entry.name, sets: entry.sets, fields: entry.fields,
                source: entry.isOfAgent ? .agent : .hooks(entry.hooks), about: entry.about,
                isBulk: entry.isBulk))
    }

    // MARK: Words

    /// `TYPE` or `TYPE<TABLE>`, and for pointers `pointer<STRUCTURE>`.
    func typeAndTable(_ text: Substring) throws(CatalogError) -> (FieldType, named: String?) {
        let (spelling, name) = try cutTable(text)
        let type = try fieldType(spelling)
        guard name == nil || type.isNumber || type == .pointer else {
            throw fault("'\(text)' names a table, and only integers have one")
        }
        return (type, name)
    }

    func cutTable(_ text: Substring) throws(CatalogError) -> (Substring, named: String?) {
        guard let angle = text.utf8.firstIndex(of: UInt8(ascii: "<")) else { return (text, nil) }
        let table = text.utf8[text.utf8.index(after: angle)...]
        guard table.last == UInt8(ascii: ">") else { throw fault("'\(text)' lacks a closing '>'") }
        let name = Substring(table.dropLast())
        guard isTableName(name) else {
            throw fault("'\(name)' is no name of a table: a small letter, then those, digits and _")
        }
        return (text[..<angle], String(name))
    }

    func isTableName(_ text: Substring) -> Bool {
        let letters = UInt8(ascii: "a")...UInt8(ascii: "z")
        let digits = UInt8(ascii: "0")...UInt8(ascii: "9")
        guard let first = text.utf8.first, letters.contains(first) else { return false }
        return text.utf8.allSatisfy { letters.contains($0) || digits.contains($0) || $0 == UInt8(ascii: "_") }
    }

    private func fieldType(_ text: Substring) throws(CatalogError) -> FieldType {
        if let type = FieldType(rawValue: String(text)) { return type }
        let known = FieldType.allCases.map(\.rawValue).joined(separator: ", ")
        throw fault("'\(text)' is no type; there are \(known)")
    }

    func fault(_ message: String) -> CatalogError {
        CatalogError(file: file, line: line, message: message)
    }
}
