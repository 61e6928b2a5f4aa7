public import Catalog
public import Events

/// What a filter looks at.
public enum Subject: Hashable, Sendable {
    /// A field of the event, by its place in ``EventDefinition/fields``; `returnValue` is one of them.
    case data(Int)
    case identity(IdentityField)
}

/// One part of an event's filter that looks at one thing, in the form in which the kernel can decide it.
/// A field that is missing fails it.
public struct FieldTest: Hashable, Sendable {
    public var subject: Subject
    public var condition: FieldCondition

    public init(_ subject: Subject, _ condition: FieldCondition) {
        self.subject = subject
        self.condition = condition
    }
}

public enum FieldCondition: Hashable, Sendable {
    /// The value lies in one of these ranges: ascending, apart, none for what never holds. Values of signed
    /// fields are sign-extended to 64 bits and compared as signed numbers, others as unsigned ones, in which
    /// case the bit patterns of the bounds are meant. A range of unsigned numbers that goes beyond 2^63 - 1
    /// is cut there in two, which then touch: its bounds would be in the wrong order.
    /// A field of type `bool` has the values 0 and 1.
    case numbers([ClosedRange<Int64>], isSigned: Bool)
    /// `value & mask` is `value` of these. The field's value is sign-extended if the field is signed.
    case bits(mask: UInt64, value: UInt64)
    /// One of the patterns matches; or, negated, none does.
    case strings(Set<StringPattern>, isNegated: Bool)
}

/// A pattern for whole strings.
public struct StringPattern: Hashable, Sendable {
    public enum Kind: Sendable { case exact, prefix, suffix, contains }
    public var kind: Kind
    /// Of the string, without the stars. Not empty but for `exact`.
    public var bytes: [UInt8]

    public init(_ kind: Kind, _ bytes: [UInt8]) {
        self.kind = kind
        self.bytes = bytes
    }
}

extension FieldTest {
    /// Decides the test for a record, plainly and slowly: what a faster decision is compared with. No for a
    /// field that is missing, that the kernel cannot read, or whose event is not in the catalogue.
    public func matches(_ event: EventView, in catalog: Catalog = .builtIn) -> Bool {
        let reference: FieldReference?
        switch subject {
        case .data(let index): reference = catalog[event.event].flatMap { FieldReference(index, of: $0) }
        case .identity(let field): reference = FieldReference(field)
        }
        guard let reference, reference.isInKernel else { return false }
        let context = EvaluationContext()
        switch condition {
        case .numbers(let ranges, let isSigned):
            guard let value = reference.bits(in: event, context) else { return false }
            return ranges.contains { range in
                if isSigned { return range.contains(Int64(bitPattern: value)) }
                return UInt64(bitPattern: range.lowerBound) <= value
                    && value <= UInt64(bitPattern: range.upperBound)
            }
        case .bits(let mask, let wanted):
            guard let value = reference.bits(in: event, context) else { return false }
            return value & mask == wanted
        case .strings(let patterns, let isNegated):
            guard let text = reference.text(in: event, context) else { return false }
            var bytes: [UInt8] = []
            for at in 0..<text.byteCount {
                unsafe bytes.append(text.unsafeLoad(fromByteOffset: at, as: UInt8.self))
            }
            return patterns.contains { $0.matches(bytes) } != isNegated
        }
    }
}

extension StringPattern {
    /// Whether a whole string matches.
    public func matches(_ text: [UInt8]) -> Bool {
        switch kind {
        case .exact: text == bytes
        case .prefix: text.starts(with: bytes)
        case .suffix: text.reversed().starts(with: bytes.reversed())
        case .contains: text.indices.contains { text[$0...].starts(with: bytes) } || bytes.isEmpty
        }
    }
}
