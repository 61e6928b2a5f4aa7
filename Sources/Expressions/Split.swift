internal import Catalog

extension Expression {
    /// Divides the condition into tests that the kernel can decide and what is left for later.
    ///
    /// An event matches the condition if it passes all tests and matches the rest. What becomes a test: a
    /// part that must hold and looks at one field of a numeric type, `bool` or `pointer` by comparing it with
    /// values, or one bit test of it (`x & mask == value`); and patterns of a string, or their negation. The
    /// field must be one that the kernel reads.
    public func split() -> (tests: [FieldTest], rest: Expression?) {
        var tests = Tests()
        var rest: [Expression] = []
        var parts: [Expression] = []
        Self.flatten(self, 0, &parts)
        for part in parts where part != .always {
            if let (field, ranges) = part.numberTest() {
                tests.add(field, ranges)
            } else if let test = part.bitTest() ?? part.stringTest() {
                tests.add(test)
            } else {
                rest.append(part)
            }
        }
        return (tests.all, rest.isEmpty ? nil : .all(rest))
    }

    /// The parts that must all hold.
    private static func flatten(_ expression: Expression, _ depth: Int, _ parts: inout [Expression]) {
        guard case .and(let operands) = expression, depth < maximumDepth else {
            return parts.append(expression)
        }
        for operand in operands { flatten(operand, depth + 1, &parts) }
    }

    // MARK: Numbers

    private func numberTest() -> (FieldReference, NumberRanges)? {
        var subject: FieldReference?
        guard let ranges = ranges(of: &subject, depth: 0), let subject else { return nil }
        return (subject, ranges)
    }

    /// The values of the one field that the expression looks at for which it holds; nil when it is not of
    /// that form. Where the field is missing, such an expression is unknown, and so is not met.
    private func ranges(of subject: inout FieldReference?, depth: Int) -> NumberRanges? {
        guard depth < Self.maximumDepth else { return nil }
        switch self {
        case .field(let field):
            guard field.valueType == .bool, field.isOnly(in: &subject) else { return nil }
            return NumberRanges(1...1)
        case .not(let operand):
            guard let ranges = operand.ranges(of: &subject, depth: depth + 1), let all = subject?.domain
            else {
                return nil
            }
            return ranges.complement(in: all)
        case .and(let operands):
            guard !operands.isEmpty else { return nil }
            var result: NumberRanges?
            for operand in operands {
                guard let ranges = operand.ranges(of: &subject, depth: depth + 1) else { return nil }
                result = result?.intersection(ranges) ?? ranges
            }
            return result
        case .or(let operands):
            guard !operands.isEmpty else { return nil }
            var result: [ClosedRange<UInt64>] = []
            for operand in operands {
                guard let ranges = operand.ranges(of: &subject, depth: depth + 1) else { return nil }
                result += ranges.ranges
            }
            return NumberRanges(result)
        case .compare(let comparison, .field(let field), .literal(let literal)):
            guard field.isOnly(in: &subject) else { return nil }
            return field.ranges(comparison, literal)
        case .compare(let comparison, .literal(let literal), .field(let field)):
            guard field.isOnly(in: &subject) else { return nil }
            return field.ranges(comparison.mirrored, literal)
        case .isIn(.field(let field), let values):
            guard field.isOnly(in: &subject) else { return nil }
            var result: [ClosedRange<UInt64>] = []
            for value in values {
                guard let ranges = field.ranges(.equal, value) else { return nil }
                result += ranges.ranges
            }
            return NumberRanges(result)
        case .literal, .has, .compare, .arithmetic, .isIn, .text, .matches: return nil
        }
    }

    /// `x & mask == value`, and `x & bit != 0`, where the mask may stand on either side.
    private func bitTest() -> FieldTest? {
        guard case .compare(let comparison, let a, let b) = self else { return nil }
        let sides: (Expression, Literal)
        if case .literal(let literal) = b {
            sides = (a, literal)
        } else if case .literal(let literal) = a {
            sides = (b, literal)
        } else {
            return nil
        }
        guard case .arithmetic(.bitAnd, let x, let y) = sides.0 else { return nil }
        let field: FieldReference
        let mask: Literal
        switch (x, y) {
        case (.field(let reference), .literal(let literal)), (.literal(let literal), .field(let reference)):
            (field, mask) = (reference, literal)
        default: return nil
        }
        // The kinds of the numbers may differ where they are compared: then the signs matter.
        guard field.isInKernel, let bits = mask.numberBits, let value = sides.1.numberBits,
            mask.type == field.valueType,
            sides.1.type == field.valueType
                || Int64(bitPattern: value) >= 0 && Int64(bitPattern: bits) >= 0
        else { return nil }
        switch comparison {
        case .equal: return FieldTest(field.subject, .bits(mask: bits, value: value))
        case .notEqual where bits.nonzeroBitCount == 1 && value == 0:
            return FieldTest(field.subject, .bits(mask: bits, value: bits))
        case .notEqual where bits.nonzeroBitCount == 1 && value == bits:
            return FieldTest(field.subject, .bits(mask: bits, value: 0))
        case .notEqual, .less, .lessOrEqual, .greater, .greaterOrEqual: return nil
        }
    }

    // MARK: Strings

    private func stringTest() -> FieldTest? {
        var subject: FieldReference?
        var isNegated = false
        var inner = self
        var depth = 0
        while case .not(let operand) = inner, depth < Self.maximumDepth {
            isNegated.toggle()
            inner = operand
            depth += 1
        }
        if case .compare(.notEqual, let a, let b) = inner {
            isNegated.toggle()
            inner = .compare(.equal, a, b)
        }
        guard let patterns = inner.patterns(of: &subject, depth: depth), let subject else { return nil }
        return FieldTest(subject.subject, .strings(patterns, isNegated: isNegated))
    }

    /// The patterns of one string field of which the expression wants one.
    private func patterns(of subject: inout FieldReference?, depth: Int) -> Set<StringPattern>? {
        guard depth < Self.maximumDepth else { return nil }
        var patterns: Set<StringPattern> = []
        switch self {
        case .or(let operands):
            guard !operands.isEmpty else { return nil }
            for operand in operands {
                guard let more = operand.patterns(of: &subject, depth: depth + 1) else { return nil }
                patterns.formUnion(more)
            }
        case .compare(.equal, .field(let field), .literal(.string(let bytes))),
            .compare(.equal, .literal(.string(let bytes)), .field(let field)),
            .text(.exact, .field(let field), .literal(.string(let bytes))):
            guard field.isOnly(in: &subject) else { return nil }
            patterns = [StringPattern(.exact, bytes)]
        case .text(let kind, .field(let field), .literal(.string(let bytes))):
            guard field.isOnly(in: &subject) else { return nil }
            patterns = [StringPattern(kind, bytes)]
        case .isIn(.field(let field), let values):
            guard field.isOnly(in: &subject), field.type == .string else { return nil }
            patterns = Set(values.compactMap(\.textBytes).map { StringPattern(.exact, $0) })
        case .matches(let field, let set):
            guard field.isOnly(in: &subject) else { return nil }
            patterns = set
        case .and, .not, .literal, .field, .has, .compare, .arithmetic, .isIn, .text: return nil
        }
        guard subject?.type == .string, !patterns.contains(where: { $0.bytes.isEmpty && $0.kind != .exact })
        else { return nil }
        return patterns
    }
}

/// Tests that must all pass; those that one test can say are one.
private struct Tests {
    private(set) var all: [FieldTest] = []
    private var numbers: [FieldReference: (place: Int, ranges: NumberRanges)] = [:]

    mutating func add(_ field: FieldReference, _ ranges: NumberRanges) {
        let ranges = numbers[field]?.ranges.intersection(ranges) ?? ranges
        let isSigned = field.valueType == .int
        let test = FieldTest(field.subject, .numbers(ranges.bounds(isSigned: isSigned), isSigned: isSigned))
        if let place = numbers[field]?.place { all[place] = test } else { all.append(test) }
        numbers[field] = (numbers[field]?.place ?? all.count - 1, ranges)
    }

    mutating func add(_ test: FieldTest) {
        guard case .strings(let patterns, isNegated: true) = test.condition else {
            if !all.contains(test) { all.append(test) }
            return
        }
        // None of these and none of those.
        for place in all.indices where all[place].subject == test.subject {
            guard case .strings(let others, isNegated: true) = all[place].condition else { continue }
            all[place].condition = .strings(others.union(patterns), isNegated: true)
            return
        }
        all.append(test)
    }
}

extension FieldReference {
    /// The kernel reads it, and it is the only field so far.
    fileprivate func isOnly(in subject: inout FieldReference?) -> Bool {
        guard isInKernel, subject == nil || subject == self else { return false }
        subject = self
        return true
    }

    /// All its values, in the order of ``NumberRanges``.
    fileprivate var domain: ClosedRange<UInt64>? {
        guard let limits else { return nil }
        let isSigned = valueType == .int
        return NumberRanges.key(
            limits.least, isSigned: isSigned)...NumberRanges.key(limits.greatest, isSigned: isSigned)
    }

    /// Its values that compare so with a literal; nil for what cannot be compared.
    fileprivate func ranges(_ comparison: Comparison, _ literal: Literal) -> NumberRanges? {
        guard let domain else { return nil }
        let isSigned = valueType == .int
        let key: UInt64
        switch (valueType, literal) {
        case (.bool, .bool(let value)):
            guard comparison == .equal || comparison == .notEqual else { return nil }
            key = value ? 1 : 0
        case (.int, .int(let value)):
            key = NumberRanges.key(UInt64(bitPattern: value), isSigned: true)
        case (.uint, .uint(let value)): key = value
        case (.int, .uint(let value)):
            // Beyond all signed numbers, or one of them.
            guard value <= UInt64(Int64.max) else { return holdsBelow(comparison, domain) }
            key = NumberRanges.key(value, isSigned: isSigned)
        case (.uint, .int(let value)):
            guard value >= 0 else { return holdsAbove(comparison, domain) }
            key = UInt64(value)
        default: return nil
        }
        let found: NumberRanges
        switch comparison {
        case .equal: found = NumberRanges(key...key)
        case .notEqual: found = NumberRanges(key...key).complement(in: domain)
        case .less: found = key == 0 ? NumberRanges() : NumberRanges(0...key - 1)
        case .lessOrEqual: found = NumberRanges(0...key)
        case .greater: found = key == .max ? NumberRanges() : NumberRanges(key + 1...UInt64.max)
        case .greaterOrEqual: found = NumberRanges(key...UInt64.max)
        }
        return found.intersection(NumberRanges(domain))
    }

    /// All values or none, for a literal that is greater than all of them.
    private func holdsBelow(_ comparison: Comparison, _ domain: ClosedRange<UInt64>) -> NumberRanges {
        comparison.holds(0, 1) ? NumberRanges(domain) : NumberRanges()
    }

    /// The same for one that is less.
    private func holdsAbove(_ comparison: Comparison, _ domain: ClosedRange<UInt64>) -> NumberRanges {
        comparison.holds(1, 0) ? NumberRanges(domain) : NumberRanges()
    }
}
