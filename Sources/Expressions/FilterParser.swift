internal import Catalog

/// Reads the text of one ``Filter``.
struct FilterParser {
    /// More than any filter that someone writes.
    static let maximumBytes = 64 * 1024

    private let text: [UInt8]
    private let event: EventDefinition
    private let catalog: Catalog

    init(_ text: String, _ event: EventDefinition, _ catalog: Catalog) {
        self.text = Array(text.utf8.prefix(Self.maximumBytes + 1))
        self.event = event
        self.catalog = catalog
    }

    func parse() throws(ExpressionError) -> Filter {
        guard text.count <= Self.maximumBytes else {
            throw ExpressionError("a filter has at most \(Self.maximumBytes) bytes; split it into several")
        }
        guard !text.isEmpty else {
            throw ExpressionError("the filter is empty; write one as data.NAME=VALUE or comm=VALUE")
        }
        let symbols = Array("=!<>".utf8)
        guard let start = text.firstIndex(where: { symbols.contains($0) }) else { return try parseAlone() }
        let name = string(0..<start)
        guard !name.isEmpty else {
            throw ExpressionError(
                "there is no field before '\(string(start..<start + 1))'; write FIELD=VALUE")
        }
        if name.hasSuffix(" ") || name.hasPrefix(" ") {
            throw ExpressionError(
                "there is a space around '\(printable(trimmed(name)))'; write it and the operator without spaces",
                at: name.hasPrefix(" ") ? 0 : trimmed(name).utf8.count)
        }
        let target = try resolve(name)
        let (comparison, end) = try operation(at: start, name)
        guard end < text.count else {
            throw ExpressionError(
                "'\(printable(name))\(string(start..<end))' lacks a value; write one behind it", at: end)
        }
        return try FilterValues(target, printable(name), catalog).parse(comparison, list(from: end), start)
    }

    /// `container`, `not-container`, `data.load`.
    private func parseAlone() throws(ExpressionError) -> Filter {
        let written = string(0..<text.count)
        var (prefix, name) = Self.divide(written)
        var isYes = true
        if let rest = Self.without("not-", prefix) { (prefix, isYes) = (rest, false) }
        if let rest = Self.without("not-", name) { (name, isYes) = (rest, !isYes) }
        let target: Target
        do throws(ExpressionError) { target = try resolve(prefix + name) } catch {
            // A name without more may be anything; say first that an operator is needed.
            guard Self.divide(written).prefix.isEmpty, !written.hasPrefix("not-") else {
                let removed = written.utf8.count - (prefix + name).utf8.count
                throw ExpressionError(error.description, at: error.offset == 0 ? 0 : error.offset + removed)
            }
            throw ExpressionError(
                "'\(printable(written))' has no operator; write FIELD=VALUE, as data.NAME=VALUE or comm=VALUE"
            )
        }
        guard target.field.type == .bool else {
            throw ExpressionError(
                "\(printable(prefix + name)) is not true or false; write \(printable(prefix + name))=VALUE")
        }
        return Filter(
            field: target.field, isData: target.isData,
            statement: .values([.bool(isYes != target.isOpposite)], [], isNegated: false))
    }

    /// The values between commas, with their places.
    private func list(from start: Int) -> [(text: [UInt8], offset: Int)] {
        var values: [(text: [UInt8], offset: Int)] = []
        var offset = start
        for part in text[start...].split(separator: UInt8(ascii: ","), omittingEmptySubsequences: false) {
            values.append((Array(part), offset))
            offset += part.count + 1
        }
        return values
    }

    private func operation(at start: Int, _ name: String) throws(ExpressionError) -> (Comparison, Int) {
        let isFollowed = start + 1 < text.count && text[start + 1] == UInt8(ascii: "=")
        switch text[start] {
        case UInt8(ascii: "="):
            guard !isFollowed else {
                throw ExpressionError("'==' is no operator; write \(printable(name))=VALUE", at: start)
            }
            return (.equal, start + 1)
        case UInt8(ascii: "<"): return isFollowed ? (.lessOrEqual, start + 2) : (.less, start + 1)
        case UInt8(ascii: ">"): return isFollowed ? (.greaterOrEqual, start + 2) : (.greater, start + 1)
        default:
            guard isFollowed else {
                throw ExpressionError("'!' is no operator; write \(printable(name))!=VALUE", at: start)
            }
            return (.notEqual, start + 2)
        }
    }

    // MARK: What is looked at

    struct Target {
        var field: FieldReference
        var isData: Bool
        /// `host`, which is no container.
        var isOpposite = false
    }

    private func resolve(_ written: String) throws(ExpressionError) -> Target {
        let (prefix, name) = Self.divide(written)
        if prefix == "data." || prefix == "args." { return try data(name, prefix) }
        if written == "retval" {
            guard let target = target("returnValue") else {
                throw ExpressionError("event \(event.name) has no return value; filter its data")
            }
            return target
        }
        guard let (field, isOpposite) = IdentityField.named(name) else {
            if prefix.isEmpty, target(name) != nil {
                throw ExpressionError(
                    "'\(printable(name))' is a field of the event; write data.\(printable(name))")
            }
            if name.hasPrefix("event.") || name.contains(".data.") || name.contains(".retval") {
                throw ExpressionError(
                    "'\(printable(name))' is no field; in a rule, write its filter without the event, as data.NAME=VALUE"
                )
            }
            throw unknown(name, prefix, among: IdentityField.allNames)
        }
        return Target(field: FieldReference(field), isData: false, isOpposite: isOpposite)
    }

    private func data(_ name: String, _ prefix: String) throws(ExpressionError) -> Target {
        guard !name.isEmpty else {
            throw ExpressionError(
                "'\(prefix)' lacks the name of a field; write data.NAME=VALUE", at: prefix.utf8.count)
        }
        if let target = target(name) { return target }
        if IdentityField.named(name) != nil {
            throw ExpressionError(
                "event \(event.name) has no field '\(name)'; write \(name) without \(prefix) for what every event has",
                at: prefix.utf8.count)
        }
        throw unknown(name, prefix, among: event.fields.map(\.name))
    }

    private func target(_ name: String) -> Target? {
        guard let index = event.fields.firstIndex(where: { $0.name == name }),
            let field = FieldReference(index, of: event)
        else { return nil }
        let isCall = name == "syscall" && field.valueType == .int
        return Target(field: isCall ? FieldReference(.syscall) : field, isData: true)
    }

    private func unknown(_ name: String, _ prefix: String, among names: [String]) -> ExpressionError {
        let near = Self.nearest(name, names)
        let isData = prefix == "data." || prefix == "args."
        let hint: String
        if names.isEmpty {
            hint = "it has none"
        } else if !near.isEmpty {
            hint = "did you mean \(near.joined(separator: ", "))?"
        } else if isData {
            hint = "it has \(names.joined(separator: ", "))"
        } else {
            hint =
                "write data.NAME for a field of the event, retval, or one of \(names.joined(separator: ", "))"
        }
        return ExpressionError(
            isData
                ? "event \(event.name) has no field '\(printable(name))'; \(hint)"
                : "unknown field '\(printable(name))'; \(hint)", at: prefix.utf8.count)
    }

    /// Long names have no near ones, and comparing them takes long.
    static func nearest(_ name: String, _ names: [String]) -> [String] {
        name.isEmpty || name.utf8.count > 64 ? [] : Catalog.nearest(to: name, among: names)
    }

    // MARK: Text

    private static func divide(_ written: String) -> (prefix: String, name: String) {
        for prefix in ["data.", "args.", "scope."] {
            for full in [prefix, "not-" + prefix] where written.hasPrefix(full) {
                return (full, String(written.dropFirst(full.count)))
            }
        }
        return ("", written)
    }

    private static func without(_ prefix: String, _ text: String) -> String? {
        text.hasPrefix(prefix) ? String(text.dropFirst(prefix.count)) : nil
    }

    private func string(_ range: Range<Int>) -> String { String(decoding: text[range], as: UTF8.self) }

    private func trimmed(_ text: String) -> String {
        String(text.drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
    }
}
