import Catalog
import TestSupport
import Testing

@testable import Expressions

@Suite struct EvaluationTests {
    private func computed(_ operation: Arithmetic, _ a: Literal, _ b: Literal, _ expected: Literal) throws
        -> Truth
    {
        let sum = Expression.arithmetic(operation, .literal(a), .literal(b))
        return try evaluate(.compare(.equal, sum, .literal(expected)), RecordBuilder(try event("openat")))
    }

    @Test(
        arguments: [
            (.add, 2, 3, 5), (.add, .max, 1, nil), (.subtract, 2, 3, -1), (.subtract, .min, 1, nil),
            (.multiply, -2, 3, -6), (.multiply, .max, 2, nil), (.multiply, .min, -1, nil),
            (.divide, 7, -2, -3),
            (.divide, 7, 0, nil), (.divide, .min, -1, nil), (.remainder, -7, 2, -1), (.remainder, 7, 0, nil),
            (.remainder, .min, -1, nil), (.bitAnd, 6, 3, 2), (.bitOr, 6, 3, 7), (.bitXor, 6, 3, 5),
            (.shiftLeft, 1, 3, 8), (.shiftLeft, 1, 63, .min), (.shiftLeft, 1, 64, 0),
            (.shiftLeft, 1, -1, nil),
            (.shiftLeft, 1, .max, 0), (.shiftRight, 8, 3, 1), (.shiftRight, -1, 63, 1),
            (.shiftRight, -1, 64, 0),
            (.shiftRight, -1, -1, nil), (.shiftRight, -1, 1, .max),
        ] as [(Arithmetic, Int64, Int64, Int64?)])
    func signedArithmetic(_ operation: Arithmetic, _ a: Int64, _ b: Int64, _ result: Int64?) throws {
        let truth = try computed(operation, .int(a), .int(b), .int(result ?? 0))
        #expect(truth == (result == nil ? .unknown : .yes))
    }

    @Test(
        arguments: [
            (.add, 2, 3, 5), (.add, .max, 1, nil), (.subtract, 3, 2, 1), (.subtract, 2, 3, nil),
            (.multiply, 1 << 63, 2, nil), (.divide, .max, 2, .max / 2), (.divide, 1, 0, nil),
            (.remainder, 7, 4, 3), (.remainder, 7, 0, nil), (.bitXor, .max, 1, .max - 1),
            (.shiftLeft, 3, 63, 1 << 63),
            (.shiftLeft, 1, .max, 0), (.shiftRight, .max, 63, 1), (.shiftRight, .max, 64, 0),
        ] as [(Arithmetic, UInt64, UInt64, UInt64?)])
    func unsignedArithmetic(_ operation: Arithmetic, _ a: UInt64, _ b: UInt64, _ result: UInt64?) throws {
        let truth = try computed(operation, .uint(a), .uint(b), .uint(result ?? 0))
        #expect(truth == (result == nil ? .unknown : .yes))
    }

    @Test func doubles() throws {
        #expect(try computed(.add, .double(1.5), .double(2), .double(3.5)) == .yes)
        #expect(try computed(.subtract, .double(1.5), .double(2), .double(-0.5)) == .yes)
        #expect(try computed(.multiply, .double(1.5), .double(2), .double(3)) == .yes)
        #expect(try computed(.divide, .double(1), .double(0), .double(.infinity)) == .yes)
        #expect(try computed(.divide, .double(0), .double(0), .double(.nan)) == .no)
    }

    @Test(
        arguments: [
            (.int(-1), .uint(.max), -1), (.uint(.max), .int(-1), 1), (.int(5), .uint(5), 0),
            (.int(4), .uint(5), -1),
            (.uint(4), .int(5), -1), (.int(-1), .int(1), -1), (.uint(1 << 63), .uint(1), 1),
            (.double(-0.0), .double(0), 0), (.string([97]), .string([97, 0]), -1),
            (.string([]), .string([]), 0),
            (.string([255]), .string([97, 98]), 1), (.bytes([1]), .bytes([2]), -1),
        ] as [(Literal, Literal, Int)])
    func comparisons(_ a: Literal, _ b: Literal, _ order: Int) throws {
        let record = RecordBuilder(try event("openat"))
        for comparison in Comparison.allCases {
            let truth = try evaluate(.compare(comparison, .literal(a), .literal(b)), record)
            #expect(truth == Truth(comparison.holds(order, 0)), "\(comparison)")
        }
    }

    /// What is missing is unknown, however it is asked for, and `has` says so.
    @Test func missingFields() throws {
        let event = try event("openat")
        let path = try reference("pathname", event)
        let flags = try reference("flags", event)
        var record = RecordBuilder(event)
        record.values = []
        let unknown: [Expression] = [
            .compare(.equal, .field(path), .literal(.string([]))),
            .compare(.notEqual, .field(flags), .field(flags)), .isIn(.field(flags), [.int(0)]),
            .text(.contains, .literal(.string([1])), .field(path)), .matches(flags, []),
            .not(.matches(path, [])),
            .compare(.less, .arithmetic(.add, .field(flags), .literal(.int(1))), .literal(.int(1))),
            .has(FieldReference(.containerId)), .field(FieldReference(.isContainer)),
        ]
        for expression in unknown { #expect(try evaluate(expression, record) == .unknown, "\(expression)") }
        for field in [path, flags, FieldReference(.hostName)] {
            #expect(try evaluate(.has(field), record) == .no)
        }
        #expect(try evaluate(.has(FieldReference(.processName)), record) == .yes)
        #expect(try evaluate(.has(FieldReference(.userId)), record) == .yes)
        let context = EvaluationContext(hostName: [97])
        #expect(try evaluate(.has(FieldReference(.hostName)), record, context) == .yes)
        let isHost = Expression.compare(.equal, .field(FieldReference(.hostName)), .literal(.string([97])))
        #expect(try evaluate(isHost, record, context) == .yes)
        #expect(try evaluate(isHost, record) == .unknown)
    }

    /// Containers and pods are told beside the record.
    @Test func workloads() throws {
        let record = RecordBuilder(try event("openat"))
        var workload = Workload()
        let isInside = Expression.field(FieldReference(.isContainer))
        let host = EvaluationContext(workload: workload)
        #expect(try evaluate(isInside, record, host) == .no)
        #expect(try evaluate(.has(FieldReference(.isContainer)), record, host) == .yes)
        #expect(try evaluate(.has(FieldReference(.containerId)), record, host) == .no)
        // What is not known is empty, so that what is forbidden only to some is not missed.
        let image = FieldReference(.containerImage)
        let isOther = Expression.not(.matches(image, [StringPattern(.prefix, Array("trusted/".utf8))]))
        #expect(try evaluate(isOther, record, host) == .yes)
        workload.isContainer = true
        workload.containerImage = Array("trusted/web:1".utf8)
        workload.podName = Array("web-0".utf8)
        workload.isPodSandbox = true
        let inside = EvaluationContext(workload: workload)
        #expect(try evaluate(isInside, record, inside) == .yes)
        #expect(try evaluate(isOther, record, inside) == .no)
        #expect(try evaluate(isOther, record) == .unknown)
        #expect(try evaluate(.field(FieldReference(.podSandbox)), record, inside) == .yes)
        for (field, text) in [
            (IdentityField.podName, "web-0"), (.containerImage, "trusted/web:1"), (.podUid, ""),
        ] {
            let isEqual = Expression.compare(
                .equal, .field(FieldReference(field)), .literal(.string(Array(text.utf8))))
            #expect(try evaluate(isEqual, record, inside) == .yes, "\(field)")
            #expect(try CompiledExpression(isEqual).needsWorkload)
        }
        let user = Expression.compare(.equal, .field(FieldReference(.userId)), .literal(.uint(0)))
        #expect(try !CompiledExpression(.and([user, user])).needsWorkload)
        #expect(try CompiledExpression(.or([user, .not(isOther)])).needsWorkload)
    }

    @Test func agreesWithTheDefinition() throws {
        let event = try event("sched_process_exec")
        var fields = event.fields.indices.compactMap { FieldReference($0, of: event) }.filter {
            [.int32, .int64, .uint16, .uint32, .uint64, .bool, .string].contains($0.type)
        }
        fields += [FieldReference(.userId), FieldReference(.processName)]
        var random = SplitMix64(seed: 20_261_124)
        var expressions = RandomExpression(fields: fields, random: SplitMix64(seed: 7))
        var counts: [Truth: Int] = [:]
        for round in 0..<6000 {
            var record = RandomRecord.make(event, &random)
            let name = RandomRecord.text(&random)
            record.setName(name)
            let expression = expressions.make(.bool, depth: 1 + round % 5)
            let expected: Truth
            switch NaiveEvaluator(record: record, name: name).value(expression) {
            case .bool(let value)?: expected = Truth(value)
            default: expected = .unknown
            }
            #expect(try evaluate(expression, record) == expected, "\(round): \(expression)")
            counts[expected, default: 0] += 1
            // And the parts of it mean the same.
            let (tests, rest) = expression.split()
            let isMet =
                try tests.allSatisfy { try passes($0, record) }
                && rest.map { try evaluate($0, record) == .yes } ?? true
            #expect(isMet == (expected == .yes), "\(round): \(expression)")
        }
        #expect([Truth.yes, .no, .unknown].allSatisfy { counts[$0, default: 0] > 600 }, "\(counts)")
    }
}
