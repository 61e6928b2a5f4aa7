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
/// name (trait) | x86-64 number | i386 number | id | sets | argument: type{options}, ... | about
///
/// event NAME ID [SETS]
/// hook KIND:TARGET(PARAMETERS) [by PROGRAM] [optional]    or: hook agent
/// or KIND:TARGET(PARAMETERS) [by PROGRAM]
/// class bulk
/// about SENTENCE
/// field NAME: TYPE TAGS | meaning
/// ```
public struct CatalogParser {
    private var file = ""
    private var line = 0
    private var rows: [EventDefinition] = []
    private var entries: [EventDefinition] = []
    /// Where each event stands, by its name; faults found at the end are reported there.
    private var places: [String: (file: String, line: Int)] = [:]
    private var placesOfIDs: [EventID: String] = [:]
    private var open: OpenEntry?

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
        return parser.finish()
    }

    private mutating func parse(_ name: String, _ text: Substring) throws(CatalogError) {
        file = name
        line = 0
        for raw in cut(text, at: "\n", keepsEmpty: true) {
            line += 1
            let text = trimmed(raw)
            if text.isEmpty || text.utf8.first == UInt8(ascii: "#") { continue }
            if let rest = after("event ", text) {
                try closeEntry()
                try openEntry(rest)
            } else if open != nil {
                try entryLine(text)
            } else {
                try row(text)
            }
        }
        try closeEntry()
    }

    private func finish() -> [EventDefinition] {
        var all = entries + rows.sorted { $0.id < $1.id }
        for index in all.indices { all[index].index = index }
        return all
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
        let arguments = columns[5] == "-" ? [] : splitArguments(columns[5]).map(trimmed)
        guard arguments.count <= 6 else { throw fault("a system call has at most 6 arguments") }
        let (name, trait) = try nameAndTrait(columns[0])
        let names = arguments.map { String(trimmed($0.prefix { $0 != ":" })) }
        var fields: [FieldDefinition] = []
        for argument in arguments { fields.append(try self.argument(argument, names)) }
        fields.append(
            FieldDefinition(
                name: "returnValue", type: .int64, direction: nil, length: nil, isOptional: false,
                provenance: .kernel, about: "what the call returned; a negative errno when it failed"))
        try claim(name, EventID(rawValue: id), line: line)
        rows.append(
            EventDefinition(
                id: EventID(rawValue: id), index: 0, name: name,
                sets: list(columns[4]), fields: fields,
                source: .systemCall(
                    number: try number(columns[1]), compatNumber: try number(columns[2]), trait: trait),
                about: String(columns[6]), isBulk: true))
    }

    private func nameAndTrait(_ text: Substring) throws(CatalogError) -> (String, SystemCallTrait?) {
        guard let parenthesis = text.firstIndex(of: "(") else { return (String(text), nil) }
        let word = text[text.index(after: parenthesis)...].dropLast()
        guard text.last == ")", let trait = SystemCallTrait(rawValue: String(word)) else {
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

    private func argument(_ text: Substring, _ names: [String]) throws(CatalogError) -> FieldDefinition {
        guard let colon = text.firstIndex(of: ":") else { throw fault("'\(text)' lacks ': type'") }
        var typeName = trimmed(text[text.index(after: colon)...])
        var options: [Substring] = []
        if let brace = typeName.firstIndex(of: "{") {
            guard typeName.last == "}" else { throw fault("'\(text)' lacks a closing '}'") }
            let inner = typeName[typeName.index(after: brace)...].dropLast()
            options = cut(inner, at: ",").map(trimmed)
            typeName = typeName[..<brace]
        }
        let type = try fieldType(typeName)
        var direction: Direction?
        var length: LengthSource?
        var isOptional = false
        for option in options {
            if option == "opt" {
                isOptional = true
            } else if let source = after("len=", option) {
                length = try lengthSource(source, names)
            } else if let known = Direction(rawValue: String(option)) {
                direction = known
            } else {
                throw fault(
                    "'\(option)' is no option; there are in, out, out-failed, inout, opaque, opt, len=")
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
        return FieldDefinition(
            name: String(trimmed(text[..<colon])), type: type, direction: direction, length: length,
            isOptional: isOptional, provenance: provenance, about: "")
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
        guard halves.count == 2, let colon = halves[0].firstIndex(of: ":") else {
            throw fault("a field is 'field NAME: TYPE TAGS | meaning'")
        }
        let words = cut(halves[0][halves[0].index(after: colon)...], at: " ")
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
        return FieldDefinition(
            name: String(trimmed(halves[0][..<colon])), type: try fieldType(typeName), direction: nil,
            length: nil, isOptional: provenance.contains(.optional), provenance: provenance,
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

    private func fieldType(_ text: Substring) throws(CatalogError) -> FieldType {
        if let type = FieldType(rawValue: String(text)) { return type }
        let known = FieldType.allCases.map(\.rawValue).joined(separator: ", ")
        throw fault("'\(text)' is no type; there are \(known)")
    }

    private func fault(_ message: String) -> CatalogError {
        CatalogError(file: file, line: line, message: message)
    }

    /// Splits at an ASCII character. By bytes, as this is read at each start, and characters of Swift take ten times as
    /// long.
    private func cut(
        _ text: Substring, at separator: Unicode.Scalar, maxSplits: Int = .max, keepsEmpty: Bool = false
    ) -> [Substring] {
        text.utf8.split(
            separator: UInt8(truncatingIfNeeded: separator.value), maxSplits: maxSplits,
            omittingEmptySubsequences: !keepsEmpty
        ).map(Substring.init)
    }

    /// Splits at commas outside braces.
    private func splitArguments(_ text: Substring) -> [Substring] {
        var parts: [Substring] = []
        var start = text.startIndex
        var depth = 0
        for index in text.utf8.indices {
            switch text.utf8[index] {
            case UInt8(ascii: "{"): depth += 1
            case UInt8(ascii: "}"): depth -= 1
            case UInt8(ascii: ",") where depth == 0:
                parts.append(text[start..<index])
                start = text.utf8.index(after: index)
            default: break
            }
        }
        parts.append(text[start...])
        return parts
    }

    private func list(_ text: Substring) -> [String] {
        text == "-" ? [] : cut(text, at: ",").map { String(trimmed($0)) }
    }

    private func after(_ prefix: String, _ text: Substring) -> Substring? {
        guard text.utf8.starts(with: prefix.utf8) else { return nil }
        return trimmed(text[text.utf8.index(text.startIndex, offsetBy: prefix.utf8.count)...])
    }

    private func trimmed(_ text: Substring) -> Substring {
        var text = text
        while text.utf8.first == UInt8(ascii: " ") || text.utf8.first == UInt8(ascii: "\t") {
            text = text.dropFirst()
        }
        while text.utf8.last == UInt8(ascii: " ") || text.utf8.last == UInt8(ascii: "\t") {
            text = text.dropLast()
        }
        return text
    }
}
