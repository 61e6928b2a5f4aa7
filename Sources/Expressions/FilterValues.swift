internal import Catalog

/// Reads the values of a ``Filter`` by the type of its field.
struct FilterValues {
    /// The longest string that a record holds.
    static let maximumPattern = 4096
    /// What the kernel keeps of a thread's name (TASK_COMM_LEN, with its NUL).
    static let maximumName = 15

    private let target: FilterParser.Target
    private let name: String
    private let catalog: Catalog

    /// - Parameter name: as it was written, for messages.
    init(_ target: FilterParser.Target, _ name: String, _ catalog: Catalog) {
        self.target = target
        self.name = name
        self.catalog = catalog
    }

    /// - Parameter operation: where the operator is.
    func parse(
        _ comparison: Comparison, _ list: [(text: [UInt8], offset: Int)], _ operation: Int
    ) throws(ExpressionError) -> Filter {
        let field = target.field
        for value in list where value.text.isEmpty {
            throw ExpressionError(
                "\(name) has an empty value in its list; take out a comma", at: value.offset)
        }
        guard comparison == .equal || comparison == .notEqual else {
            return filter(try bound(comparison, list, operation))
        }
        var values: Set<Literal> = []
        var patterns: Set<StringPattern> = []
        for (text, offset) in list {
            if field.type == .bool {
                values.insert(.bool(try truth(text, offset) != target.isOpposite))
            } else if field.subject == .identity(.syscall) {
                values.formUnion(try calls(text, offset))
            } else if field.limits != nil, !text.contains(UInt8(ascii: "*")) {
                values.insert(try number(text, offset))
            } else {
                patterns.insert(try pattern(text, offset))
            }
        }
        return filter(.values(values, patterns, isNegated: comparison == .notEqual))
    }

    private func filter(_ statement: Filter.Statement) -> Filter {
        Filter(field: target.field, isData: target.isData, statement: statement)
    }

    private func bound(
        _ comparison: Comparison, _ list: [(text: [UInt8], offset: Int)], _ operation: Int
    ) throws(ExpressionError) -> Filter.Statement {
        guard let limits = target.field.limits, target.field.type != .bool,
            target.field.subject != .identity(.syscall)
        else {
            throw ExpressionError(
                "\(name) takes = and != only, not \(comparison.rawValue); write \(name)=VALUE", at: operation)
        }
        guard list.count == 1 else {
            throw ExpressionError(
                "\(comparison.rawValue) takes one number; write \(name)\(comparison.rawValue)NUMBER",
                at: list[1].offset)
        }
        let number = try number(list[0].text, list[0].offset)
        let bits = number.numberBits
        guard !(comparison == .less && bits == limits.least),
            !(comparison == .greater && bits == limits.greatest)
        else {
            throw ExpressionError(
                "\(name) is never \(comparison.rawValue) \(printable(Self.string(list[0].text))); write a number from \(limitText)",
                at: list[0].offset)
        }
        return .bound(comparison, number)
    }

    private func truth(_ text: [UInt8], _ offset: Int) throws(ExpressionError) -> Bool {
        switch Self.string(text) {
        case "true": return true
        case "false": return false
        // A container is one from when its first program runs; there is nothing of it before.
        case "started" where target.field.subject == .identity(.isContainer) && !target.isOpposite:
            return true
        case let other:
            let isContainer = target.field.subject == .identity(.isContainer)
            throw ExpressionError(
                "\(name) is true or false, not '\(printable(other))'; write \(isContainer ? "containerId=ID for one container" : "\(name)=true")",
                at: offset)
        }
    }

    // MARK: Numbers

    private func number(_ text: [UInt8], _ offset: Int) throws(ExpressionError) -> Literal {
        let written = printable(Self.string(text))
        guard let (magnitude, isNegative) = try Self.magnitude(text) else {
            throw ExpressionError(
                "\(name): '\(written)' is no number; write one from \(limitText)", at: offset)
        }
        if let magnitude {
            if target.field.valueType == .int {
                let limit = UInt64(Int64.max) + (isNegative ? 1 : 0)
                if magnitude <= limit {
                    let value = isNegative ? 0 &- Int64(bitPattern: magnitude) : Int64(bitPattern: magnitude)
                    if let limits = target.field.limits, value >= Int64(bitPattern: limits.least),
                        value <= Int64(bitPattern: limits.greatest)
                    {
                        return .int(value)
                    }
                }
            } else if !isNegative || magnitude == 0, let limits = target.field.limits,
                magnitude <= limits.greatest
            {
                return .uint(magnitude)
            }
        }
        throw ExpressionError(
            "\(name): \(written) is outside of what it can be; write a number from \(limitText)", at: offset)
    }

    private var limitText: String {
        guard let limits = target.field.limits else { return "0" }
        if target.field.valueType == .int {
            return "\(Int64(bitPattern: limits.least)) to \(Int64(bitPattern: limits.greatest))"
        }
        return "\(limits.least) to \(limits.greatest)"
    }

    /// Nil for what is no number; a nil magnitude for one that has more than 64 bits.
    private static func magnitude(
        _ text: [UInt8]
    ) throws(ExpressionError) -> (magnitude: UInt64?, isNegative: Bool)? {
        let isNegative = text.first == UInt8(ascii: "-")
        var digits = text.dropFirst(isNegative ? 1 : 0)
        var radix: UInt64 = 10
        if digits.starts(with: "0x".utf8) || digits.starts(with: "0X".utf8) {
            digits = digits.dropFirst(2)
            radix = 16
        }
        guard !digits.isEmpty else { return nil }
        var magnitude: UInt64? = 0
        for byte in digits {
            let digit: UInt8
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): digit = byte - UInt8(ascii: "0")
            case UInt8(ascii: "a")...UInt8(ascii: "f") where radix == 16:
                digit = byte - UInt8(ascii: "a") + 10
            case UInt8(ascii: "A")...UInt8(ascii: "F") where radix == 16:
                digit = byte - UInt8(ascii: "A") + 10
            default: return nil
            }
            guard let before = magnitude else { continue }
            let (shifted, isOver) = before.multipliedReportingOverflow(by: radix)
            let (sum, isOverToo) = shifted.addingReportingOverflow(UInt64(digit))
            magnitude = isOver || isOverToo ? nil : sum
        }
        return (magnitude, isNegative)
    }

    // MARK: System calls

    /// The numbers of a call, of both tables: the name, a pattern of names, or the x86-64 number.
    private func calls(_ text: [UInt8], _ offset: Int) throws(ExpressionError) -> Set<Literal> {
        let written = Self.string(text)
        var names: [String] = []
        if text.contains(UInt8(ascii: "*")) {
            let pattern = try pattern(text, offset)
            names = catalog.events.filter(\.isSystemCall).map(\.name).filter {
                pattern.matches(Array($0.utf8))
            }
            guard !names.isEmpty else {
                throw ExpressionError(
                    "no system call's name matches '\(printable(written))'; `apus events list` shows all",
                    at: offset)
            }
        } else if let (magnitude, isNegative) = try Self.magnitude(text) {
            guard let magnitude, !isNegative, magnitude <= UInt64(Int32.max) else {
                throw ExpressionError(
                    "\(name): \(printable(written)) is no number of a system call; write a number from 0 to \(Int32.max), or a name",
                    at: offset)
            }
            names = [catalog.systemCallName(Int(magnitude), isCompat: false)]
            if names == [""] { return [.int(Int64(magnitude))] }
        } else {
            names = [written]
        }
        var numbers: Set<Literal> = []
        for name in names {
            guard case .systemCall(let number, let compatNumber, _)? = catalog[name]?.source else { continue }
            if let number { numbers.insert(.int(Int64(number))) }
            if let compatNumber { numbers.insert(.int(Int64(compatNumber) + IdentityField.compatCall)) }
        }
        guard !numbers.isEmpty else {
            let near = FilterParser.nearest(written, catalog.events.filter(\.isSystemCall).map(\.name))
            let hint =
                near.isEmpty
                ? "`apus events list` shows all" : "did you mean \(near.joined(separator: ", "))?"
            throw ExpressionError("unknown system call '\(printable(written))'; \(hint)", at: offset)
        }
        return numbers
    }

    // MARK: Patterns

    private func pattern(_ text: [UInt8], _ offset: Int) throws(ExpressionError) -> StringPattern {
        let star = UInt8(ascii: "*")
        let (isOpenBefore, isOpenBehind) = (text.first == star, text.last == star)
        var bytes = text[...]
        if isOpenBefore { bytes = bytes.dropFirst() }
        if isOpenBehind { bytes = bytes.dropLast() }
        let written = printable(Self.string(text))
        guard !bytes.isEmpty else {
            throw ExpressionError(
                "'\(written)' matches everything; leave the filter out, or write text beside the *",
                at: offset)
        }
        guard !bytes.contains(star) else {
            throw ExpressionError(
                "'\(written)' has a * inside; write it at the start, the end or both", at: offset)
        }
        let limit = target.field.subject == .identity(.processName) ? Self.maximumName : Self.maximumPattern
        guard bytes.count <= limit else {
            throw ExpressionError(
                "'\(written)' cannot match, since \(name) has at most \(limit) bytes; write at most so many",
                at: offset)
        }
        let kind: StringPattern.Kind
        switch (isOpenBefore, isOpenBehind) {
        case (false, false): kind = .exact
        case (false, true): kind = .prefix
        case (true, false): kind = .suffix
        case (true, true): kind = .contains
        }
        if target.field.limits != nil, target.field.subject != .identity(.syscall) {
            try checkDigits(bytes, written, offset)
        }
        return StringPattern(kind, Array(bytes))
    }

    /// What is printed of a number has digits only.
    private func checkDigits(
        _ bytes: ArraySlice<UInt8>, _ written: String, _ offset: Int
    ) throws(ExpressionError) {
        let letters =
            target.field.type == .pointer ? Array("0123456789abcdefx".utf8) : Array("-0123456789".utf8)
        guard bytes.allSatisfy({ letters.contains($0) }) else {
            throw ExpressionError(
                "\(name): '\(written)' is no number; write digits beside the *, or a number from \(limitText)",
                at: offset)
        }
    }

    private static func string(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }
}
