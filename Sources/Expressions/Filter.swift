public import Catalog

/// One filter of a rule, as `data.pathname=/etc/*,/root/*`, `retval<0` or `comm!=bash`: what it looks at and
/// what it says of it. Filters are made into an expression together, see ``combine(_:)``.
public struct Filter: Hashable, Sendable {
    /// What it looks at. A `syscall` among the data is the call in progress: its number alone, without the
    /// table that it is from, would name two calls.
    public let field: FieldReference
    /// It names one of the event's fields, not what every record has.
    let isData: Bool
    let statement: Statement

    enum Statement: Hashable, Sendable {
        /// `=` and `!=`: one of the values, or one of the patterns on what is printed.
        case values(Set<Literal>, Set<StringPattern>, isNegated: Bool)
        case bound(Comparison, Literal)
    }

    /// Reads one filter of an event.
    ///
    /// | what | written as | operators |
    /// |---|---|---|
    /// | a field of the event | `data.NAME`, or `args.NAME` | by its type |
    /// | the return value | `retval` | `=` `!=` `<` `>` `<=` `>=` |
    /// | an ``IdentityField`` | `NAME` or `scope.NAME` | by its type |
    ///
    /// `=` and `!=` take values separated by commas, of which one (or none) must match. Text may have a `*` at
    /// its start, its end or both. Numbers are decimal, or hexadecimal behind `0x`, and take `<`, `>`, `<=`
    /// and `>=` too, with one number; with a `*` they are matched as decimal digits. What is true or false may
    /// stand alone, and with `not-` before its name. System calls are given by name or number. Fields that
    /// are neither are matched as text, see ``Expression/matches(_:_:)``.
    /// - Throws: what is wrong and what to write instead, with the place in the text.
    public static func parse(
        _ text: String, event: EventDefinition, in catalog: Catalog = .builtIn
    ) throws(ExpressionError) -> Filter {
        try FilterParser(text, event, catalog).parse()
    }

    /// The condition that filters of one rule mean together.
    ///
    /// Those on different things must all hold. Those on one thing are taken together: a value that a `=`
    /// names matches, else one that a `!=` names does not, else all bounds must hold if there are any; a value
    /// of which nothing was said matches if there are only `!=`.
    public static func combine(_ filters: [Filter]) -> Expression {
        var order: [Key] = []
        var statements: [Key: [Statement]] = [:]
        for filter in filters {
            let key = Key(field: filter.field, isData: filter.isData)
            if statements[key] == nil { order.append(key) }
            statements[key, default: []].append(filter.statement)
        }
        return .all(order.map { together(statements[$0] ?? [], $0.field) })
    }

    private struct Key: Hashable {
        var field: FieldReference
        var isData: Bool
    }

    private static func together(_ statements: [Statement], _ field: FieldReference) -> Expression {
        var named: (values: Set<Literal>, patterns: Set<StringPattern>) = ([], [])
        var excluded = named
        var bounds: [Expression] = []
        for statement in statements {
            switch statement {
            case .values(let values, let patterns, isNegated: false):
                named.values.formUnion(values)
                named.patterns.formUnion(patterns)
            case .values(let values, let patterns, isNegated: true):
                excluded.values.formUnion(values)
                excluded.patterns.formUnion(patterns)
            case .bound(let comparison, let number):
                bounds.append(.compare(comparison, .field(field), .literal(number)))
            }
        }
        let match = oneOf(named, field)
        let except = oneOf(excluded, field).map { Expression.not($0) }
        if bounds.isEmpty { return match ?? except ?? .always }
        let inside = Expression.all((except.map { [$0] } ?? []) + bounds)
        return match.map { .any([$0, inside]) } ?? inside
    }

    private static func oneOf(
        _ list: (values: Set<Literal>, patterns: Set<StringPattern>), _ field: FieldReference
    ) -> Expression? {
        var parts: [Expression] = []
        if !list.values.isEmpty {
            // Sorted, so that equal filters give equal expressions.
            let values = list.values.sorted { ($0.numberBits ?? 0) < ($1.numberBits ?? 0) }
            parts.append(
                values.count == 1
                    ? .compare(.equal, .field(field), .literal(values[0])) : .isIn(.field(field), values))
        }
        if !list.patterns.isEmpty { parts.append(.matches(field, list.patterns)) }
        return parts.isEmpty ? nil : .any(parts)
    }
}
