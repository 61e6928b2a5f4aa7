public import Events

extension CompiledExpression {
    /// Whether the event meets the condition. It matches when this is `.yes`.
    public func evaluate(_ event: EventView, _ context: borrowing EvaluationContext) -> Truth {
        truth(root, event, context)
    }

    private func truth(
        _ index: Int32, _ event: EventView, _ context: borrowing EvaluationContext
    ) -> Truth {
        switch operations[Int(index)] {
        case .constant(let truth): return truth
        case .bool(let field):
            guard let bits = field.bits(in: event, context) else { return .unknown }
            return Truth(bits != 0)
        case .hasNumber(let field):
            if field.isEnrichment { return context.isWorkloadKnown ? .yes : .unknown }
            return Truth(field.bits(in: event, context) != nil)
        case .hasBlob(let field):
            switch field.subject {
            case .data(let place): return Truth(event.blob(place) != nil)
            case .identity(let identity):
                guard identity.origin != .record else { return .yes }
                if field.isEnrichment && !context.isWorkloadKnown { return .unknown }
                guard let text = context.text(identity) else { return .no }
                return Truth(!text.isEmpty)
            }
        case .not(let operand): return !truth(operand, event, context)
        case .and(let operands):
            var all: Truth = .yes
            for place in operands {
                all = all.and(truth(children[Int(place)], event, context))
                if all == .no { return .no }
            }
            return all
        case .or(let operands):
            var any: Truth = .no
            for place in operands {
                any = any.or(truth(children[Int(place)], event, context))
                if any == .yes { return .yes }
            }
            return any
        case .compareTruth(let isEqual, let a, let b):
            let (first, second) = (truth(a, event, context), truth(b, event, context))
            guard first != .unknown, second != .unknown else { return .unknown }
            return Truth((first == second) == isEqual)
        case .compareSigned(let comparison, let a, let b):
            guard let (first, second) = numbers(a, b, event, context) else { return .unknown }
            return Truth(comparison.holds(Int64(bitPattern: first), Int64(bitPattern: second)))
        case .compareUnsigned(let comparison, let a, let b):
            guard let (first, second) = numbers(a, b, event, context) else { return .unknown }
            return Truth(comparison.holds(first, second))
        case .compareMixed(let comparison, let a, let b):
            guard let (first, second) = numbers(a, b, event, context) else { return .unknown }
            // A negative number is below all unsigned ones.
            if Int64(bitPattern: first) < 0 { return Truth(comparison.holds(0, 1)) }
            return Truth(comparison.holds(first, second))
        case .compareDouble(let comparison, let a, let b):
            guard let (first, second) = numbers(a, b, event, context) else { return .unknown }
            return Truth(comparison.holds(Double(bitPattern: first), Double(bitPattern: second)))
        case .compareText(let comparison, let a, let b):
            guard let first = text(a, event, context), let second = text(b, event, context) else {
                return .unknown
            }
            return Truth(comparison.holds(first.order(before: second), 0))
        case .text(let kind, let a, let b):
            guard let first = text(a, event, context), let second = text(b, event, context) else {
                return .unknown
            }
            switch kind {
            case .exact: return Truth(first.order(before: second) == 0)
            case .prefix: return Truth(first.has(second, at: 0))
            case .suffix: return Truth(first.has(second, at: first.byteCount - second.byteCount))
            case .contains: return Truth(first.contains(second))
            }
        case .isIn(let operand, let range):
            guard let value = number(operand, event, context) else { return .unknown }
            return Truth(isListed(value, range))
        case .matches(let field, let set):
            return patterns[Int(set)].matches(field, in: event, context)
        case .number, .numberField, .signed, .unsigned, .double, .bytes, .textField:
            // No conditions; the types were checked.
            return .unknown
        }
    }

    private func isListed(_ value: UInt64, _ range: Range<Int32>) -> Bool {
        var (low, high) = (Int(range.lowerBound), Int(range.upperBound))
        while low < high {
            let middle = low + (high - low) / 2
            if numbers[middle] < value { low = middle + 1 } else { high = middle }
        }
        return low < Int(range.upperBound) && numbers[low] == value
    }

    // MARK: Numbers, as 64 bits of whatever type

    @inline(__always)
    private func numbers(
        _ a: Int32, _ b: Int32, _ event: EventView, _ context: borrowing EvaluationContext
    ) -> (UInt64, UInt64)? {
        guard let first = number(a, event, context), let second = number(b, event, context) else {
            return nil
        }
        return (first, second)
    }

    private func number(
        _ index: Int32, _ event: EventView, _ context: borrowing EvaluationContext
    ) -> UInt64? {
        switch operations[Int(index)] {
        case .number(let bits): return bits
        case .numberField(let field): return field.bits(in: event, context)
        case .signed(let operation, let a, let b):
            guard let (first, second) = numbers(a, b, event, context) else { return nil }
            return operation.compute(Int64(bitPattern: first), Int64(bitPattern: second)).map {
                UInt64(bitPattern: $0)
            }
        case .unsigned(let operation, let a, let b):
            guard let (first, second) = numbers(a, b, event, context) else { return nil }
            return operation.compute(first, second)
        case .double(let operation, let a, let b):
            guard let (first, second) = numbers(a, b, event, context) else { return nil }
            return operation.compute(Double(bitPattern: first), Double(bitPattern: second))?.bitPattern
        default: return nil
        }
    }

    // MARK: Strings and bytes

    @inline(__always)
    @_lifetime(copy event, borrow self, borrow context)
    private func text(
        _ index: Int32, _ event: EventView, _ context: borrowing EvaluationContext
    ) -> RawSpan? {
        switch operations[Int(index)] {
        case .bytes(let range):
            return unsafe pool.span.bytes.extracting(Int(range.lowerBound)..<Int(range.upperBound))
        case .textField(let field):
            return field.text(in: event, context)
        default: return nil
        }
    }
}

extension FieldReference {
    /// Records do not hold it, and only enrichment will tell.
    var isEnrichment: Bool {
        if case .identity(let field) = subject { return field.origin == .enrichment }
        return false
    }
}

extension Arithmetic {
    /// Nil for what is beyond the type, or has no result.
    func compute<T: FixedWidthInteger>(_ a: T, _ b: T) -> T? {
        switch self {
        case .add: return Self.checked(a.addingReportingOverflow(b))
        case .subtract: return Self.checked(a.subtractingReportingOverflow(b))
        case .multiply: return Self.checked(a.multipliedReportingOverflow(by: b))
        case .divide: return Self.checked(a.dividedReportingOverflow(by: b))
        case .remainder: return Self.checked(a.remainderReportingOverflow(dividingBy: b))
        case .bitAnd: return a & b
        case .bitOr: return a | b
        case .bitXor: return a ^ b
        case .shiftLeft:
            if b < 0 { return nil }
            return b < 64 ? a << b : 0
        case .shiftRight:
            if b < 0 { return nil }
            return b < 64 ? T(truncatingIfNeeded: UInt64(truncatingIfNeeded: a) >> UInt64(b)) : 0
        }
    }

    func compute(_ a: Double, _ b: Double) -> Double? {
        switch self {
        case .add: a + b
        case .subtract: a - b
        case .multiply: a * b
        case .divide: a / b
        case .remainder, .bitAnd, .bitOr, .bitXor, .shiftLeft, .shiftRight: nil
        }
    }

    private static func checked<T>(_ result: (partialValue: T, overflow: Bool)) -> T? {
        result.overflow ? nil : result.partialValue
    }
}
