import CContract
import Catalog
import Expressions
import TestSupport

/// Evaluates expressions as their definitions say, on the record before it is packed. The fields are those of
/// an event, and of the header the user and the name.
struct NaiveEvaluator {
    let record: RecordBuilder
    let name: [UInt8]

    /// Nil is unknown.
    func value(_ expression: Expression) -> Literal? {
        switch expression {
        case .literal(let literal): return literal
        case .field(let field): return value(field)
        case .has(let field): return .bool(value(field) != nil)
        case .not(let operand): return truth(operand).map { .bool(!$0) }
        case .and(let operands):
            let truths = operands.map(truth)
            return truths.contains(false) ? .bool(false) : truths.contains(nil) ? nil : .bool(true)
        case .or(let operands):
            let truths = operands.map(truth)
            return truths.contains(true) ? .bool(true) : truths.contains(nil) ? nil : .bool(false)
        case .compare(let comparison, let a, let b):
            guard let a = value(a), let b = value(b) else { return nil }
            return .bool(holds(comparison, a, b))
        case .arithmetic(let operation, let a, let b):
            guard let a = value(a), let b = value(b) else { return nil }
            return compute(operation, a, b)
        case .isIn(let operand, let values):
            guard let value = value(operand) else { return nil }
            return .bool(values.contains { holds(.equal, value, $0) })
        case .text(let kind, let a, let b):
            guard case .string(let a)? = value(a), case .string(let b)? = value(b) else { return nil }
            return .bool(StringPattern(kind, b).matches(a))
        case .matches(let field, let patterns):
            let text: [UInt8]
            switch value(field) {
            case nil: return nil
            case .int(let number)?: text = Array("\(number)".utf8)
            case .uint(let number)?: text = Array("\(number)".utf8)
            case .bool(let isTrue)?: text = Array("\(isTrue)".utf8)
            case .string(let bytes)?: text = bytes
            case .double?, .bytes?: return nil
            }
            return .bool(patterns.contains { $0.matches(text) })
        }
    }

    private func truth(_ expression: Expression) -> Bool? {
        guard case .bool(let value)? = value(expression) else { return nil }
        return value
    }

    private func value(_ field: FieldReference) -> Literal? {
        switch field.subject {
        case .identity(.userId): return .uint(UInt64(record.header.uid))
        case .identity(.processName): return .string(name)
        case .identity: return nil
        case .data(let index):
            if field.type == .string {
                return record.blobs.first { $0.field == index }.map { blob in
                    .string(blob.bytes.last == 0 ? blob.bytes.dropLast() : blob.bytes)
                }
            }
            guard index < record.values.count else { return nil }
            let value = record.values[index]
            switch field.type {
            case .int32: return .int(Int64(Int32(truncatingIfNeeded: value)))
            case .int64: return .int(Int64(bitPattern: value))
            case .uint16: return .uint(value & 0xffff)
            case .uint32: return .uint(value & 0xffff_ffff)
            case .uint64: return .uint(value)
            case .bool: return .bool(value != 0)
            default: return nil
            }
        }
    }

    private func holds(_ comparison: Comparison, _ a: Literal, _ b: Literal) -> Bool {
        switch comparison {
        case .equal: isEqual(a, b)
        case .notEqual: !isEqual(a, b)
        case .less: isLess(a, b)
        case .greater: isLess(b, a)
        case .lessOrEqual: isLess(a, b) || isEqual(a, b)
        case .greaterOrEqual: isLess(b, a) || isEqual(a, b)
        }
    }

    private func isEqual(_ a: Literal, _ b: Literal) -> Bool {
        switch (a, b) {
        case (.int(let a), .uint(let b)): a >= 0 && UInt64(a) == b
        case (.uint(let a), .int(let b)): b >= 0 && UInt64(b) == a
        case (.double(let a), .double(let b)): a == b
        default: a == b
        }
    }

    private func isLess(_ a: Literal, _ b: Literal) -> Bool {
        switch (a, b) {
        case (.int(let a), .int(let b)): a < b
        case (.uint(let a), .uint(let b)): a < b
        case (.int(let a), .uint(let b)): a < 0 || UInt64(a) < b
        case (.uint(let a), .int(let b)): b >= 0 && a < UInt64(b)
        case (.double(let a), .double(let b)): a < b
        case (.string(let a), .string(let b)): a.lexicographicallyPrecedes(b)
        default: false
        }
    }

    private func compute(_ operation: Arithmetic, _ a: Literal, _ b: Literal) -> Literal? {
        switch (a, b) {
        case (.double(let a), .double(let b)):
            switch operation {
            case .add: .double(a + b)
            case .subtract: .double(a - b)
            case .multiply: .double(a * b)
            case .divide: .double(a / b)
            default: nil
            }
        case (.int(let a), .int(let b)):
            // In 128 bits nothing overflows.
            wide(operation, Int128(a), Int128(b), UInt64(bitPattern: a), UInt64(bitPattern: b)).flatMap {
                operation.isOnBits ? .int(Int64(truncatingIfNeeded: $0)) : Int64(exactly: $0).map { .int($0) }
            }
        case (.uint(let a), .uint(let b)):
            wide(operation, Int128(a), Int128(b), a, b).flatMap { UInt64(exactly: $0).map { .uint($0) } }
        default: nil
        }
    }

    private func wide(_ operation: Arithmetic, _ a: Int128, _ b: Int128, _ x: UInt64, _ y: UInt64) -> Int128?
    {
        switch operation {
        case .add: a + b
        case .subtract: a - b
        case .multiply: a.multipliedReportingOverflow(by: b).overflow ? nil : a * b
        case .divide: b == 0 ? nil : a / b
        case .remainder: b == 0 || a == Int128(Int64.min) && b == -1 ? nil : a % b
        case .bitAnd: Int128(x & y)
        case .bitOr: Int128(x | y)
        case .bitXor: Int128(x ^ y)
        case .shiftLeft: b < 0 ? nil : b > 63 ? 0 : Int128(x << y)
        case .shiftRight: b < 0 ? nil : b > 63 ? 0 : Int128(x >> y)
        }
    }
}

extension Arithmetic {
    fileprivate var isOnBits: Bool {
        [.bitAnd, .bitOr, .bitXor, .shiftLeft, .shiftRight].contains(self)
    }
}

/// Well-typed expressions over some fields.
struct RandomExpression {
    let fields: [FieldReference]
    var random: SplitMix64

    mutating func make(_ type: ValueType, depth: Int) -> Expression {
        if depth == 0 || random.below(6) == 0 { return leaf(type) }
        guard type == .bool else {
            guard type == .int || type == .uint || type == .double else { return leaf(type) }
            let operations = type == .double ? Array(Arithmetic.allCases.prefix(4)) : Arithmetic.allCases
            return .arithmetic(
                operations[random.below(operations.count)], make(type, depth: depth - 1),
                make(type, depth: depth - 1))
        }
        switch random.below(9) {
        case 0: return .not(make(.bool, depth: depth - 1))
        case 1, 2: return .and(list(depth))
        case 3: return .or(list(depth))
        case 4: return .has(fields[random.below(fields.count)])
        case 5:
            let field = fields[random.below(fields.count)]
            return .matches(field, Set((0..<random.below(6)).map { _ in pattern() }))
        case 6:
            let type: ValueType = [.int, .uint, .string, .bool, .double][random.below(5)]
            var values: [Literal] = []
            for _ in 0..<random.below(5) { values.append(literal(type)) }
            return .isIn(make(type, depth: depth - 1), values)
        case 7:
            let kind: StringPattern.Kind = [.exact, .prefix, .suffix, .contains][random.below(4)]
            return .text(kind, leaf(.string), leaf(.string))
        default:
            let types: [(ValueType, ValueType)] = [
                (.int, .int), (.uint, .uint), (.int, .uint), (.uint, .int), (.double, .double),
                (.string, .string),
                (.bool, .bool),
            ]
            let (a, b) = types[random.below(types.count)]
            let comparisons = a == .bool ? [Comparison.equal, .notEqual] : Comparison.allCases
            return .compare(
                comparisons[random.below(comparisons.count)], make(a, depth: depth - 1),
                make(b, depth: depth - 1))
        }
    }

    private mutating func list(_ depth: Int) -> [Expression] {
        var list: [Expression] = []
        for _ in 0..<random.below(4) { list.append(make(.bool, depth: depth - 1)) }
        return list
    }

    private mutating func leaf(_ type: ValueType) -> Expression {
        let fitting = fields.filter { $0.valueType == type }
        if !fitting.isEmpty, random.below(3) > 0 { return .field(fitting[random.below(fitting.count)]) }
        return .literal(literal(type))
    }

    private mutating func literal(_ type: ValueType) -> Literal {
        switch type {
        case .bool: .bool(random.below(2) == 0)
        case .int:
            .int(random.below(2) == 0 ? Int64(random.below(6)) - 2 : Int64(bitPattern: random.number()))
        case .uint: .uint(random.below(2) == 0 ? UInt64(random.below(5)) : random.number())
        case .double: .double([0, 1, -1.5, 1e300, .infinity][random.below(5)])
        case .string, .bytes, .structure: .string(RandomRecord.text(&random))
        }
    }

    private mutating func pattern() -> StringPattern {
        let kind: StringPattern.Kind = [.exact, .prefix, .suffix, .contains][random.below(4)]
        let text = random.below(2) == 0 ? RandomRecord.text(&random) : Array("\(random.below(20))".utf8)
        return StringPattern(kind, text)
    }
}
