import CContract
import Catalog
import Events
import Expressions
import TestSupport
import Testing

/// What was evaluated was no record.
struct NoRecord: Error {}

func event(_ name: String) throws -> EventDefinition { try #require(Catalog.builtIn[name]) }

func place(_ field: String, _ event: EventDefinition) throws -> Int {
    try #require(event.fields.firstIndex { $0.name == field })
}

func reference(_ field: String, _ event: EventDefinition) throws -> FieldReference {
    try #require(FieldReference(try place(field, event), of: event))
}

func evaluate(
    _ expression: Expression, _ record: RecordBuilder, _ context: EvaluationContext = .init()
) throws -> Truth {
    let compiled = try CompiledExpression(expression)
    let bytes = record.build()
    guard let view = unsafe EventView(bytes.span.bytes) else { throw NoRecord() }
    return compiled.evaluate(view, context)
}

func passes(_ test: FieldTest, _ record: RecordBuilder) throws -> Bool {
    let bytes = record.build()
    guard let view = unsafe EventView(bytes.span.bytes) else { throw NoRecord() }
    return test.matches(view)
}

/// What filters of one rule come to.
func meaning(
    _ filters: [String], _ event: EventDefinition, _ record: RecordBuilder,
    _ context: EvaluationContext = .init()
) throws -> Truth {
    let parsed = try filters.map { try Filter.parse($0, event: event) }
    return try evaluate(Filter.combine(parsed), record, context)
}

extension RecordBuilder {
    /// A record of an event in which nothing was set.
    init(_ event: EventDefinition) {
        self.init(values: [UInt64](repeating: 0, count: event.fields.count))
        header.event = event.id.rawValue
        header.syscall = -1
    }

    mutating func set(_ field: String, _ value: UInt64) throws {
        let event = try #require(Catalog.builtIn[EventID(rawValue: header.event)])
        values[try place(field, event)] = value
    }

    mutating func set(_ field: String, _ value: Int64) throws { try set(field, UInt64(bitPattern: value)) }

    mutating func set(_ field: String, _ text: String) throws { try set(field, Array(text.utf8)) }

    mutating func set(_ field: String, _ bytes: [UInt8], count: UInt16 = 1) throws {
        let event = try #require(Catalog.builtIn[EventID(rawValue: header.event)])
        blobs.append(.init(field: UInt8(try place(field, event)), bytes: bytes, count: count))
    }
}

/// Small-endian bytes of numbers.
func bytes<T: FixedWidthInteger & BitwiseCopyable>(_ numbers: T...) -> [UInt8] {
    numbers.flatMap { number in unsafe withUnsafeBytes(of: number.littleEndian) { unsafe Array($0) } }
}
