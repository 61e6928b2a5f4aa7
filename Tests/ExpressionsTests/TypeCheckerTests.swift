import Catalog
import Expressions
import Testing

@Suite struct TypeCheckerTests {
    private static let one = Expression.literal(.int(1))
    private static let yes = Expression.literal(.bool(true))
    private static let text = Expression.literal(.string([97]))

    @Test(
        arguments: [
            (one, "a condition must be yes or no, and this is an int; compare it with a value"),
            (text, "a condition must be yes or no, and this is a string; compare it with a value"),
            (.not(one), "not cannot take an int; compare it with a value first"),
            (.and([yes, text]), "and and or cannot take a string; compare it with a value first"),
            (.or([.literal(.double(1))]), "and and or cannot take a double; compare it with a value first"),
            (.compare(.equal, one, text), "== cannot compare an int with a string; convert one of them"),
            (
                .compare(.less, one, .literal(.double(1))),
                "< cannot compare an int with a double; convert one of them"
            ),
            (.compare(.less, yes, yes), "< does not take bool; write == or !="),
            (
                .compare(.equal, .arithmetic(.add, one, .literal(.uint(1))), one),
                "+ cannot take an int and a uint; convert one of them"
            ),
            (
                .compare(.equal, .arithmetic(.add, text, text), text),
                "+ does not take a string; it takes int and uint and double"
            ),
            (
                .compare(.equal, .arithmetic(.bitAnd, .literal(.double(1)), .literal(.double(1))), one),
                "& does not take a double; it takes int and uint"
            ),
            (
                .isIn(one, [.int(1), .uint(1)]),
                "a list with a uint cannot hold an int; write all its values as int"
            ),
            (
                .text(.prefix, text, one),
                "startsWith, endsWith and contains take two strings, not a string and an int"
            ),
            (
                .text(.prefix, text, .literal(.bytes([]))),
                "startsWith, endsWith and contains take two strings, not a string and bytes"
            ),
        ] as [(Expression, String)])
    func mistakes(_ expression: Expression, _ message: String) throws {
        let error = try #require(throws: ExpressionError.self) { try CompiledExpression(expression) }
        #expect(error.description == message)
    }

    @Test func structuresHaveNoValue() throws {
        let event = try event("connect")
        let address = try reference("addr", event)
        let error = try #require(throws: ExpressionError.self) {
            try Expression.compare(.equal, .field(address), Self.text).check()
        }
        #expect(error.description == "a field of type sockaddr has no single value; match it with patterns")
        #expect(throws: Never.self) { try Expression.matches(address, []).check() }
        #expect(throws: Never.self) { try Expression.has(address).check() }
        #expect(FieldReference(99, of: event) == nil)
        #expect(FieldReference(-1, of: event) == nil)
    }

    @Test func depthAndSizeHaveBounds() throws {
        var deep = Self.yes
        for _ in 0..<63 { deep = .not(deep) }
        #expect(throws: Never.self) { try deep.check() }
        let error = try #require(throws: ExpressionError.self) { try Expression.not(deep).check() }
        #expect(error.description == "the expression is nested deeper than 64 levels; use fewer parentheses")
        // Splitting has no errors, and leaves what is too deep.
        for _ in 0..<2000 { deep = .not(.and([deep])) }
        #expect(deep.split().tests == [])
        let list = [Literal](repeating: .int(1), count: 1 << 20)
        let size = try #require(throws: ExpressionError.self) { try Expression.isIn(Self.one, list).check() }
        #expect(size.description.hasPrefix("the expression has more than 1048576 operators and values"))
    }

    @Test func types() throws {
        #expect(try Self.one.type() == .int)
        #expect(try Expression.arithmetic(.add, Self.one, Self.one).type() == .int)
        #expect(try Expression.has(FieldReference(.userId)).type() == .bool)
        #expect(try Expression.field(FieldReference(.userId)).type() == .uint)
        #expect(try Expression.field(FieldReference(.processName)).type() == .string)
        #expect(try Expression.field(FieldReference(.syscall)).type() == .int)
        #expect(try Expression.field(FieldReference(.timestamp)).type() == .uint)
    }
}
