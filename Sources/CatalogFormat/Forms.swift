/// The forms of a system call, of which one argument says what the others are.
public struct CallForms: Sendable {
    /// Index of the argument that decides.
    public let selector: Int
    /// The table of `Catalog/symbols` whose names the cases have.
    public let table: String
    /// The bits of the argument that decide; what is above 32 bits never does.
    public let mask: UInt32
    /// In the order of the catalogue. No two have the same name, and at most one is for all other values.
    public internal(set) var cases: [CallCase]

    /// The values of the deciding argument, masked, that choose a case. A name that no table knows has none.
    /// - Parameter value: What the table ``table`` says of a name.
    public func values(of one: CallCase, named value: (String) -> UInt64?) -> [UInt32] {
        one.names.compactMap { name in
            (Self.number(name) ?? value(name).map { UInt32(truncatingIfNeeded: $0) }).map { $0 & mask }
        }
    }

    /// The value of a case that is named by a number, `0x5401` or `21505`; nil where the name is a table's.
    public static func number(_ name: String) -> UInt32? {
        guard let digits = after("0x", name[...]) else { return UInt32(name) }
        return UInt32(digits, radix: 16)
    }
}

/// One form of a system call.
public struct CallCase: Sendable {
    /// Names of the table, or numbers (``CallForms/number(_:)``); empty for all values that no other case names.
    public let names: [String]
    /// The arguments that are used, in their order, and each as what it is here: with its type, table, structure,
    /// direction and length. Its name is always that of the call's row.
    public internal(set) var arguments: [(index: Int, field: FieldDefinition)]
    /// The table with the names of the result's bits, or ``FieldDefinition/descriptor``. Where a form does not say it,
    /// that is as the call's row says.
    public let result: String?
    /// Where another argument says more: what is shown then. What is read is decided by the case alone.
    public internal(set) var further: CallForms?
}

extension CallCase {
    /// A call as its row says it is.
    public init(row event: EventDefinition) {
        self.init(
            names: [], arguments: Array(event.fields.dropLast().enumerated()).map { ($0.offset, $0.element) },
            result: event.result)
    }
}

/// A `form` and its cases as they stand in a file.
struct FormLines {
    struct Case {
        let line: Int
        let text: Substring
        var further: [Case] = []
    }

    let file: String
    let line: Int
    let text: Substring
    var cases: [Case] = []

    /// Cases of one form, lines below one of them, and names of each at most.
    static let limits = (cases: 512, further: 128, names: 256)
}

/// What decides: an argument, and the table of its names.
private struct Selector {
    let argument: String
    let table: String
    let mask: UInt32
}

extension CatalogParser {
    mutating func addCase(_ text: Substring) throws(CatalogError) {
        guard isFormOpen, let last = forms.indices.last else {
            throw fault("'case' needs a form line above it")
        }
        guard forms[last].cases.count < FormLines.limits.cases else {
            throw fault("a form has at most \(FormLines.limits.cases) cases")
        }
        forms[last].cases.append(FormLines.Case(line: line, text: text))
    }

    mutating func addFurther(_ text: Substring) throws(CatalogError) {
        guard isFormOpen, let form = forms.indices.last, let last = forms[form].cases.indices.last else {
            throw fault("'when' needs a case line above it")
        }
        guard forms[form].cases[last].further.count < FormLines.limits.further else {
            throw fault("a case has at most \(FormLines.limits.further) lines 'when'")
        }
        forms[form].cases[last].further.append(FormLines.Case(line: line, text: text))
    }

    /// Gives the calls their forms. What a case says depends on the call's arguments, so this comes at the end.
    /// - Parameter calls: Indexes of the system calls.
    mutating func resolveForms(of events: inout [EventDefinition], calls: Range<Int>) throws(CatalogError) {
        guard !forms.isEmpty else { return }
        var indexes: [String: Int] = [:]
        indexes.reserveCapacity(calls.count)
        for index in calls { indexes[events[index].name] = index }
        for form in forms {
            (file, line) = (form.file, form.line)
            let words = cut(form.text, at: " ")
            let calls = words.prefix { $0 != "by" }
            guard !calls.isEmpty, let selector = try selector(words.dropFirst(calls.count)) else {
                throw fault("a form is 'form CALL... by ARGUMENT<TABLE>', and '& MASK' behind it")
            }
            for call in calls {
                line = form.line
                guard let index = indexes[String(call)] else {
                    throw fault("there is no system call '\(call)'")
                }
                guard events[index].forms == nil else { throw fault("'\(call)' has forms already") }
                knownArguments.removeAll(keepingCapacity: true)
                events[index].forms = try forms(of: events[index], selector, form.cases)
            }
        }
    }

    /// `by ARGUMENT<TABLE>` or `by ARGUMENT<TABLE> & MASK`; nil where there are not so many words.
    private func selector(_ words: ArraySlice<Substring>) throws(CatalogError) -> Selector? {
        let words = Array(words)
        guard words.count == 2 || words.count == 4 && words[2] == "&", words[0] == "by" else { return nil }
        let (argument, table) = try cutTable(words[1])
        guard let table else {
            throw fault("'\(argument)' must say whose names the cases have: \(argument)<TABLE>")
        }
        guard words.count == 4 else { return Selector(argument: String(argument), table: table, mask: .max) }
        guard let mask = CallForms.number(String(words[3])), mask != 0 else {
            throw fault("'\(words[3])' is no mask of 32 bits")
        }
        return Selector(argument: String(argument), table: table, mask: mask)
    }

    private mutating func forms(
        of event: EventDefinition, _ selector: Selector, _ lines: [FormLines.Case]
    ) throws(CatalogError) -> CallForms {
        // What the call returns is no argument.
        let names = event.fields.dropLast().map(\.name)
        guard let index = names.firstIndex(of: selector.argument) else {
            throw fault("'\(selector.argument)' is no argument of \(event.name)")
        }
        guard event.fields[index].type.isNumber else {
            throw fault("'\(selector.argument)' of \(event.name) is no number, so it cannot decide")
        }
        guard !lines.isEmpty else {
            throw fault("there is no case of \(event.name) by '\(selector.argument)'")
        }
        var forms = CallForms(selector: index, table: selector.table, mask: selector.mask, cases: [])
        forms.cases.reserveCapacity(lines.count)
        var seen: Set<String> = []
        for text in lines {
            line = text.line
            let one = try callCase(text, of: event, names)
            for name in one.names.isEmpty ? ["*"] : one.names where !seen.insert(name).inserted {
                throw fault("'\(name)' has a case already")
            }
            forms.cases.append(one)
        }
        return forms
    }

    /// `NAME... [by ARGUMENT<TABLE>] : ARGUMENT, ARGUMENT: TYPE... [= TABLE]`.
    private mutating func callCase(
        _ text: FormLines.Case, of event: EventDefinition, _ names: [String]
    ) throws(CatalogError) -> CallCase {
        guard let (head, rest) = halves(text.text, at: ":"), !head.isEmpty, !rest.isEmpty else {
            throw fault("a case is 'NAME... : ARGUMENT, ARGUMENT...'")
        }
        let words = cut(head, at: " ")
        var values = words.prefix { $0 != "by" }.map(String.init)
        guard (1...FormLines.limits.names).contains(values.count) else {
            throw fault("a case has 1 to \(FormLines.limits.names) names")
        }
        let selector = try selector(words.dropFirst(values.count))
        guard selector != nil || values.count == words.count else {
            throw fault("what decides further is 'by ARGUMENT<TABLE>', and '& MASK' behind it")
        }
        if values == ["*"] { values = [] }
        if let wrong = values.first(where: { !isConstant($0) }) {
            throw fault("'\(wrong)' is neither the name of a constant nor a number of 32 bits")
        }
        let (arguments, result) = try cutResult(rest)
        var one = CallCase(
            names: values, arguments: try callArguments(arguments, of: event, names), result: result)
        if let selector {
            one.further = try forms(of: event, selector, text.further)
        } else if let first = text.further.first {
            line = first.line
            throw fault("the case above does not say what decides further: by ARGUMENT<TABLE>")
        }
        return one
    }

    private mutating func callArguments(
        _ text: Substring, of event: EventDefinition, _ names: [String]
    ) throws(CatalogError) -> [(index: Int, field: FieldDefinition)] {
        var shown: [(index: Int, field: FieldDefinition)] = []
        shown.reserveCapacity(names.count)
        for text in splitArguments(text) {
            let text = trimmed(text)
            let argument: (index: Int, field: FieldDefinition)
            if let known = knownArguments[text] {
                argument = known
            } else {
                argument = try callArgument(text, of: event, names)
                knownArguments[text] = argument
            }
            if let last = shown.last, last.index >= argument.index {
                throw fault("\(event.name) has '\(names[argument.index])' not behind '\(last.field.name)'")
            }
            shown.append(argument)
        }
        return shown
    }

    private func callArgument(
        _ text: Substring, of event: EventDefinition, _ names: [String]
    ) throws(CatalogError) -> (index: Int, field: FieldDefinition) {
        let name = Substring(text.utf8.prefix { $0 != UInt8(ascii: ":") })
        guard let index = names.firstIndex(of: String(trimmed(name))) else {
            throw fault("'\(trimmed(name))' is no argument of \(event.name)")
        }
        guard name.endIndex < text.endIndex else { return (index, event.fields[index]) }
        var (field, structure) = try self.argument(text, names)
        if let structure { field.structure = try self.structure(structure) }
        return (index, field)
    }

    /// `ARGUMENTS = TABLE`. Options in braces have no blanks before their `=`.
    func cutResult(_ text: Substring) throws(CatalogError) -> (Substring, table: String?) {
        let bytes = text.utf8
        guard let sign = bytes.lastIndex(of: UInt8(ascii: "=")), sign > bytes.startIndex,
            bytes[bytes.index(before: sign)] == UInt8(ascii: " ")
        else { return (text, nil) }
        let table = trimmed(text[bytes.index(after: sign)...])
        guard isTableName(table) else {
            throw fault("'\(table)' is no name of a table: a small letter, then those, digits and _")
        }
        return (trimmed(text[..<sign]), String(table))
    }

    /// A constant's name in C, or a number.
    private func isConstant(_ text: String) -> Bool {
        guard let first = text.utf8.first else { return false }
        if (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(first) { return CallForms.number(text) != nil }
        return text.utf8.allSatisfy {
            switch $0 {
            case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"):
                true
            default: false
            }
        }
    }
}
