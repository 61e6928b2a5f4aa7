internal import Catalog

extension Expression {
    /// How deep an expression may be, and how many operators, values and patterns it may have.
    static let maximumDepth = 64
    static let maximumSize = 1 << 20

    /// The type of the expression's value.
    /// - Throws: where operands do not fit their operator, or the expression is too large.
    public func type() throws(ExpressionError) -> ValueType {
        var room = Self.maximumSize
        return try type(depth: 0, &room)
    }

    /// Checks that the expression is a condition.
    public func check() throws(ExpressionError) {
        let type = try type()
        guard type == .bool else {
            throw ExpressionError(
                "a condition must be yes or no, and this is \(type.article); compare it with a value")
        }
    }

    private func type(depth: Int, _ room: inout Int) throws(ExpressionError) -> ValueType {
        guard depth < Self.maximumDepth else {
            throw ExpressionError(
                "the expression is nested deeper than \(Self.maximumDepth) levels; use fewer parentheses")
        }
        try Self.take(1, &room)
        switch self {
        case .literal(let literal): return literal.type
        case .field(let field):
            let type = field.valueType
            guard type != .structure else {
                throw ExpressionError(
                    "a field of type \(field.type.rawValue) has no single value; match it with patterns")
            }
            return type
        case .has: return .bool
        case .not(let operand):
            try Self.require(try operand.type(depth: depth + 1, &room), .bool, "not")
        case .and(let operands), .or(let operands):
            for operand in operands {
                try Self.require(try operand.type(depth: depth + 1, &room), .bool, "and and or")
            }
        case .compare(let comparison, let a, let b):
            let types = (try a.type(depth: depth + 1, &room), try b.type(depth: depth + 1, &room))
            guard types.0 == types.1 || types.0.isInteger && types.1.isInteger else {
                throw ExpressionError(
                    "\(comparison.rawValue) cannot compare \(types.0.article) with \(types.1.article); convert one of them"
                )
            }
            if types.0 == .bool, comparison != .equal, comparison != .notEqual {
                throw ExpressionError("\(comparison.rawValue) does not take bool; write == or !=")
            }
        case .arithmetic(let operation, let a, let b):
            let types = (try a.type(depth: depth + 1, &room), try b.type(depth: depth + 1, &room))
            guard types.0 == types.1 else {
                throw ExpressionError(
                    "\(operation.rawValue) cannot take \(types.0.article) and \(types.1.article); convert one of them"
                )
            }
            guard types.0.isInteger || types.0 == .double && operation.takesDoubles else {
                throw ExpressionError(
                    "\(operation.rawValue) does not take \(types.0.article); it takes int and uint\(operation.takesDoubles ? " and double" : "")"
                )
            }
            return types.0
        case .isIn(let operand, let values):
            try Self.take(values.count, &room)
            let type = try operand.type(depth: depth + 1, &room)
            for value in values where value.type != type {
                throw ExpressionError(
                    "a list with \(value.type.article) cannot hold \(type.article); write all its values as \(type)"
                )
            }
        case .text(_, let a, let b):
            let types = (try a.type(depth: depth + 1, &room), try b.type(depth: depth + 1, &room))
            guard types.0 == types.1, types.0.isText else {
                throw ExpressionError(
                    "startsWith, endsWith and contains take two strings, not \(types.0.article) and \(types.1.article)"
                )
            }
        case .matches(_, let patterns):
            try Self.take(patterns.count, &room)
        }
        return .bool
    }

    private static func take(_ count: Int, _ room: inout Int) throws(ExpressionError) {
        guard count <= room else {
            throw ExpressionError(
                "the expression has more than \(maximumSize) operators and values; split it into several rules"
            )
        }
        room -= count
    }

    private static func require(
        _ type: ValueType, _ wanted: ValueType, _ operation: String
    ) throws(ExpressionError) {
        guard type == wanted else {
            throw ExpressionError("\(operation) cannot take \(type.article); compare it with a value first")
        }
    }
}

extension ValueType {
    var isInteger: Bool { self == .int || self == .uint }
    var isText: Bool { self == .string || self == .bytes }

    var article: String {
        switch self {
        case .bool: "a bool"
        case .int: "an int"
        case .uint: "a uint"
        case .double: "a double"
        case .string: "a string"
        case .bytes: "bytes"
        case .structure: "a structure"
        }
    }
}
