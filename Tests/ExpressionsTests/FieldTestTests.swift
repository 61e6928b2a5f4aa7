import CContract
import Catalog
import Expressions
import TestSupport
import Testing

@Suite struct FieldTestTests {
    @Test func patternsOfOneKindAndTextAreEqual() {
        #expect(StringPattern(.prefix, [1]) == StringPattern(.prefix, [1]))
        #expect(StringPattern(.prefix, [1]) != StringPattern(.suffix, [1]))
    }

    @Test(
        arguments: [
            (.bits(mask: 0x41, value: 0x40), [0x40, 0x1_0000_0000_0040], [0x41, 1, 0]),
            (.bits(mask: 1 << 40, value: 1 << 40), [0x8000_0000], [1, 1 << 40]),
            (.numbers([1...2, 5...5], isSigned: true), [1, 2, 5, 0x1_0000_0005], [0, 3, 4, 6]),
            (.numbers([(-3)...(-1)], isSigned: true), [0xffff_ffff, .max], [0, 0x7fff_ffff]),
            (.numbers([], isSigned: true), [], [0, .max]),
            (.strings([], isNegated: true), [], [0]),
        ] as [(FieldCondition, [UInt64], [UInt64])])
    func numbers(_ condition: FieldCondition, _ matching: [UInt64], _ other: [UInt64]) throws {
        let event = try event("openat")
        let test = FieldTest(.data(try place("dirfd", event)), condition)
        for (values, expected) in [(matching, true), (other, false)] {
            for value in values {
                var record = RecordBuilder(event)
                try record.set("dirfd", value)
                #expect(try passes(test, record) == expected, "\(value)")
                record.values = []
                #expect(try !passes(test, record))
            }
        }
    }

    @Test func unsignedRangesAreBitPatterns() throws {
        let event = try event("openat")
        let test = FieldTest(
            .identity(.cgroupId), .numbers([6...Int64.max, Int64.min...(-2)], isSigned: false))
        for (value, expected) in [(5, false), (6, true), (1 << 63, true), (.max - 1, true), (.max, false)]
            as [(UInt64, Bool)]
        {
            var record = RecordBuilder(event)
            record.header.cgroup_id = value
            #expect(try passes(test, record) == expected, "\(value)")
        }
    }

    /// Neither a field that is not there nor an event that nobody knows passes, negated or not.
    @Test func whatIsMissingFails() throws {
        let event = try event("openat")
        let path = Subject.data(try place("pathname", event))
        for isNegated in [false, true] {
            let test = FieldTest(path, .strings([.init(.exact, [97])], isNegated: isNegated))
            var record = RecordBuilder(event)
            #expect(try !passes(test, record))
            try record.set("pathname", "a")
            #expect(try passes(test, record) == !isNegated)
            record.header.event = .max
            #expect(try !passes(test, record))
        }
        for subject in [.data(99), .data(-1), .identity(.hostName), .identity(.podSandbox)] as [Subject] {
            #expect(try !passes(FieldTest(subject, .numbers([0...0], isSigned: true)), RecordBuilder(event)))
            #expect(try !passes(FieldTest(subject, .strings([], isNegated: true)), RecordBuilder(event)))
        }
    }
}
