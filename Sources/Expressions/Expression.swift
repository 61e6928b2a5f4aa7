/// A condition on an event: a tree of typed operators, whatever language it was written in.
///
/// Its logic has three values: what looks at a field that is missing, computes beyond 64 bits or divides by
/// zero is unknown, `and` and `or` follow Kleene, and an event matches when the whole is yes.
public indirect enum Expression: Hashable, Sendable {
    case literal(Literal)
    case field(FieldReference)
    /// The record has a value of the field. Never unknown, but for what only enrichment tells.
    case has(FieldReference)
    case not(Expression)
    /// All of them; yes when there are none.
    case and([Expression])
    /// One of them; no when there are none.
    case or([Expression])
    /// Operands of one type, or one `int` and one `uint`, which are compared as numbers.
    case compare(Comparison, Expression, Expression)
    /// Operands of one type: `int`, `uint`, or `double` where there are no bits or remainders to compute.
    case arithmetic(Arithmetic, Expression, Expression)
    /// The value is one of these, all of its type.
    case isIn(Expression, [Literal])
    /// The first string (or bytes) is, starts with, ends with or contains the second.
    case text(StringPattern.Kind, Expression, Expression)
    /// One of the patterns matches what is printed of the field:
    ///
    /// | type | what |
    /// |---|---|
    /// | numbers, `time` | decimal digits |
    /// | `pointer` | decimal digits, or hexadecimal ones behind `0x` |
    /// | `bool` | `true` or `false` |
    /// | `string`, `bytes` | the bytes |
    /// | `string[]` | any of the strings |
    /// | `int32[2]`, `uint64[]` | any of the numbers; those of `uint64[]` as a pointer's |
    /// | `timespec` | seconds, as `1.5`; nothing is printed of a time that is none |
    /// | `sockaddr` | the IP address, or `127.0.0.1:80` and `[::1]:80`; the path, with `@` for an abstract one |
    /// | `credentials` | any of its ids and sets, as `euid=0` and `cap_effective=0x1ff` |
    case matches(FieldReference, Set<StringPattern>)
}

/// A value written in an expression.
public enum Literal: Hashable, Sendable {
    case bool(Bool)
    case int(Int64)
    case uint(UInt64)
    case double(Double)
    /// UTF-8, or what a record holds in its place.
    case string([UInt8])
    case bytes([UInt8])

    public var type: ValueType {
        switch self {
        case .bool: .bool
        case .int: .int
        case .uint: .uint
        case .double: .double
        case .string: .string
        case .bytes: .bytes
        }
    }
}

/// The raw values are the spelling. Strings and bytes are ordered by their bytes.
public enum Comparison: String, Sendable, CaseIterable {
    case equal = "=="
    case notEqual = "!="
    case less = "<"
    case lessOrEqual = "<="
    case greater = ">"
    case greaterOrEqual = ">="

    /// The same with the operands swapped.
    var mirrored: Comparison {
        switch self {
        case .equal, .notEqual: self
        case .less: .greater
        case .lessOrEqual: .greaterOrEqual
        case .greater: .less
        case .greaterOrEqual: .lessOrEqual
        }
    }

    @inline(__always)
    func holds<T: Comparable>(_ a: T, _ b: T) -> Bool {
        switch self {
        case .equal: a == b
        case .notEqual: a != b
        case .less: a < b
        case .lessOrEqual: a <= b
        case .greater: a > b
        case .greaterOrEqual: a >= b
        }
    }
}

/// The raw values are the spelling.
public enum Arithmetic: String, Sendable, CaseIterable {
    case add = "+"
    case subtract = "-"
    case multiply = "*"
    case divide = "/"
    /// Has the sign of the first operand.
    case remainder = "%"
    case bitAnd = "&"
    case bitOr = "|"
    case bitXor = "^"
    /// By 64 and more: 0. By a negative number: unknown.
    case shiftLeft = "<<"
    /// The same; zeros come in from the left, whatever the type.
    case shiftRight = ">>"

    var takesDoubles: Bool {
        switch self {
        case .add, .subtract, .multiply, .divide: true
        case .remainder, .bitAnd, .bitOr, .bitXor, .shiftLeft, .shiftRight: false
        }
    }
}

extension Expression {
    /// Always yes.
    public static let always = Expression.literal(.bool(true))

    /// All of these, in the simplest form.
    public static func all(_ parts: [Expression]) -> Expression {
        if parts.isEmpty { return always }
        return parts.count == 1 ? parts[0] : .and(parts)
    }

    /// One of these, in the simplest form.
    public static func any(_ parts: [Expression]) -> Expression {
        parts.count == 1 ? parts[0] : .or(parts)
    }
}
