internal import Catalog

/// What an expression needs to know beside the record.
public struct EvaluationContext: Sendable {
    /// Name of the host, as UTF-8; empty where it is not known.
    public var hostName: [UInt8]
    /// Nanoseconds from 1970 to boot, which make a record's times those of the output.
    public var bootOffset: UInt64
    /// Of the record that is looked at; nil where nobody told, so that conditions on it are unknown.
    public var workload: Workload? {
        get { isWorkloadKnown ? known : nil }
        set {
            isWorkloadKnown = newValue != nil
            known = newValue ?? Workload()
        }
    }
    private(set) var isWorkloadKnown = false
    private(set) var known = Workload()

    public init(hostName: [UInt8] = [], bootOffset: UInt64 = 0, workload: Workload? = nil) {
        self.hostName = hostName
        self.bootOffset = bootOffset
        self.workload = workload
    }
}

/// An expression made once into a flat form that is evaluated without allocation.
public struct CompiledExpression: Sendable {
    /// The operator, and where its operands are: nodes, or places in the tables below.
    enum Operation {
        case constant(Truth)
        case bool(FieldReference)
        case hasNumber(FieldReference)
        case hasBlob(FieldReference)
        case not(Int32)
        case and(Range<Int32>)
        case or(Range<Int32>)
        /// Both signed, both unsigned (or both bool), or the first signed and the second unsigned.
        case compareSigned(Comparison, Int32, Int32)
        case compareUnsigned(Comparison, Int32, Int32)
        case compareMixed(Comparison, Int32, Int32)
        case compareDouble(Comparison, Int32, Int32)
        case compareTruth(isEqual: Bool, Int32, Int32)
        case compareText(Comparison, Int32, Int32)
        case text(StringPattern.Kind, Int32, Int32)
        /// The number is in that part of the sorted table.
        case isIn(Int32, Range<Int32>)
        case matches(FieldReference, Int32)
        case number(UInt64)
        case numberField(FieldReference)
        case signed(Arithmetic, Int32, Int32)
        case unsigned(Arithmetic, Int32, Int32)
        case double(Arithmetic, Int32, Int32)
        case bytes(Range<Int32>)
        case textField(FieldReference)
    }

    private(set) var operations: [Operation] = []
    private(set) var children: [Int32] = []
    private(set) var numbers: [UInt64] = []
    private(set) var pool: [UInt8] = []
    private(set) var patterns: [PatternSet] = []
    private(set) var root: Int32 = 0

    /// - Throws: where the expression is not well typed, or no condition.
    public init(_ expression: Expression) throws(ExpressionError) {
        try expression.check()
        root = try add(expression)
    }

    private mutating func append(_ operation: Operation) -> Int32 {
        operations.append(operation)
        return Int32(clamping: operations.count - 1)
    }

    /// Adds an expression that was checked, so that operands have the types of their operators.
    private mutating func add(_ expression: Expression) throws(ExpressionError) -> Int32 {
        switch expression {
        case .literal(let literal): return add(literal)
        case .field(let field):
            switch field.valueType {
            case .bool: return append(.bool(field))
            case .string, .bytes: return append(.textField(field))
            case .int, .uint, .double, .structure: return append(.numberField(field))
            }
        case .has(let field):
            switch field.valueType {
            case .bool, .int, .uint, .double: return append(.hasNumber(field))
            case .string, .bytes, .structure: return append(.hasBlob(field))
            }
        case .not(let operand): return append(.not(try add(operand)))
        case .and(let operands): return append(.and(try add(operands)))
        case .or(let operands): return append(.or(try add(operands)))
        case .compare(let comparison, let a, let b): return try add(comparison, a, b)
        case .arithmetic(let operation, let a, let b):
            let type = try a.type()
            let places = (try add(a), try add(b))
            switch type {
            case .int: return append(.signed(operation, places.0, places.1))
            case .double: return append(.double(operation, places.0, places.1))
            case .uint, .bool, .string, .bytes, .structure:
                return append(.unsigned(operation, places.0, places.1))
            }
        case .isIn(let operand, let values): return try add(operand, isIn: values)
        case .text(let kind, let a, let b):
            // The usual case, a field and a literal, has a faster way.
            if case .field(let field) = a, case .literal(let literal) = b, let bytes = literal.textBytes {
                return add(field, [StringPattern(kind, bytes)])
            }
            return append(.text(kind, try add(a), try add(b)))
        case .matches(let field, let patterns): return add(field, patterns)
        }
    }

    private mutating func add(_ operands: [Expression]) throws(ExpressionError) -> Range<Int32> {
        var places: [Int32] = []
        for operand in operands { places.append(try add(operand)) }
        let start = children.count
        children += places
        return Int32(clamping: start)..<Int32(clamping: children.count)
    }

    private mutating func add(_ field: FieldReference, _ patterns: Set<StringPattern>) -> Int32 {
        self.patterns.append(PatternSet(patterns))
        return append(.matches(field, Int32(clamping: self.patterns.count - 1)))
    }

    private mutating func add(_ literal: Literal) -> Int32 {
        switch literal {
        case .bool(let value): return append(.constant(Truth(value)))
        case .int(let value): return append(.number(UInt64(bitPattern: value)))
        case .uint(let value): return append(.number(value))
        case .double(let value): return append(.number(value.bitPattern))
        case .string(let bytes), .bytes(let bytes):
            let start = pool.count
            pool += bytes
            return append(.bytes(Int32(clamping: start)..<Int32(clamping: pool.count)))
        }
    }

    private mutating func add(
        _ comparison: Comparison, _ a: Expression, _ b: Expression
    ) throws(ExpressionError) -> Int32 {
        let types = (try a.type(), try b.type())
        if types.0 == .uint, types.1 == .int { return try add(comparison.mirrored, b, a) }
        let places = (try add(a), try add(b))
        if types.0 != types.1 { return append(.compareMixed(comparison, places.0, places.1)) }
        switch types.0 {
        case .bool: return append(.compareTruth(isEqual: comparison == .equal, places.0, places.1))
        case .int: return append(.compareSigned(comparison, places.0, places.1))
        case .uint, .structure: return append(.compareUnsigned(comparison, places.0, places.1))
        case .double: return append(.compareDouble(comparison, places.0, places.1))
        case .string, .bytes: return append(.compareText(comparison, places.0, places.1))
        }
    }

    private mutating func add(
        _ operand: Expression, isIn values: [Literal]
    ) throws(ExpressionError) -> Int32 {
        let type = try operand.type()
        switch type {
        case .int, .uint:
            let place = try add(operand)
            let sorted = Set(values.compactMap(\.numberBits)).sorted()
            let start = numbers.count
            numbers += sorted
            return append(.isIn(place, Int32(clamping: start)..<Int32(clamping: numbers.count)))
        case .string, .bytes:
            if case .field(let field) = operand {
                return add(field, Set(values.compactMap(\.textBytes).map { StringPattern(.exact, $0) }))
            }
        case .bool, .double, .structure: break
        }
        guard !values.isEmpty else {
            // Never, but unknown where the operand is.
            let isItself = Expression.compare(.equal, operand, operand)
            return try add(.and([isItself, .not(isItself)]))
        }
        return try add(.or(values.map { .compare(.equal, operand, .literal($0)) }))
    }
}

extension Literal {
    /// Of an integer, as 64 bits.
    var numberBits: UInt64? {
        switch self {
        case .int(let value): UInt64(bitPattern: value)
        case .uint(let value): value
        case .bool, .double, .string, .bytes: nil
        }
    }

    var textBytes: [UInt8]? {
        switch self {
        case .string(let bytes), .bytes(let bytes): bytes
        case .bool, .int, .uint, .double: nil
        }
    }
}
