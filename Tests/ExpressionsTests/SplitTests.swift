import Catalog
import Expressions
import TestSupport
import Testing

@Suite struct SplitTests {
    private func tests(_ filters: [String], _ event: EventDefinition) throws -> ([FieldTest], Expression?) {
        Filter.combine(try filters.map { try Filter.parse($0, event: event) }).split()
    }

    @Test(
        arguments: [
            (["retval=5"], [5...5]), (["retval=3,1,2,9"], [1...3, 9...9]),
            (["retval!=0"], [Int64.min...(-1), 1...Int64.max]), (["retval<0"], [Int64.min...(-1)]),
            (["retval<=0"], [Int64.min...0]), (["retval>0"], [1...Int64.max]),
            (["retval>10", "retval<20", "retval!=15"], [11...14, 16...19]),
            (["retval>10", "retval<20", "retval=15,20,40"], [11...20, 40...40]),
            (["retval<5", "retval>10"], []), (["retval!=1,2,3"], [Int64.min...0, 4...Int64.max]),
            (["retval>=9223372036854775807"], [Int64.max...Int64.max]),
            (["retval!=-9223372036854775808"], [(Int64.min + 1)...Int64.max]),
        ] as [([String], [ClosedRange<Int64>])])
    func signedNumbers(_ filters: [String], _ ranges: [ClosedRange<Int64>]) throws {
        let event = try event("openat")
        let (tests, rest) = try tests(filters, event)
        let place = try place("returnValue", event)
        #expect(tests == [FieldTest(.data(place), .numbers(ranges, isSigned: true))])
        #expect(rest == nil)
    }

    @Test(
        arguments: [
            ("uid=0", .userId, [0...0]), ("uid!=0", .userId, [1...4_294_967_295]),
            ("pid>=10", .processId, [10...4_294_967_295]),
            ("processorId!=1", .processorId, [0...0, 2...65535]),
            // Unsigned bounds are bit patterns, and a range is cut where their order ends.
            ("cgroupId!=5", .cgroupId, [0...4, 6...Int64.max, Int64.min...(-1)]),
            ("cgroupId=18446744073709551615", .cgroupId, [-1...(-1)]),
            ("cgroupId>9223372036854775807", .cgroupId, [Int64.min...(-1)]),
            ("cgroupId<9223372036854775808", .cgroupId, [0...Int64.max]),
            ("cgroupId>9223372036854775808", .cgroupId, [(Int64.min + 1)...(-1)]),
        ] as [(String, IdentityField, [ClosedRange<Int64>])])
    func unsignedNumbers(_ filter: String, _ field: IdentityField, _ ranges: [ClosedRange<Int64>]) throws {
        let (tests, rest) = try tests([filter], try event("openat"))
        #expect(tests == [FieldTest(.identity(field), .numbers(ranges, isSigned: false))])
        #expect(rest == nil)
    }

    @Test func otherTypes() throws {
        let exit = try event("sched_process_exit")
        let last = Subject.data(try place("process_group_exit", exit))
        #expect(
            try tests(["data.process_group_exit"], exit).0 == [
                FieldTest(last, .numbers([1...1], isSigned: false))
            ])
        #expect(
            try tests(["data.not-process_group_exit"], exit).0 == [
                FieldTest(last, .numbers([0...0], isSigned: false))
            ])
        let calls = FieldTest(
            .identity(.syscall), .numbers([257...257, (1 << 32 + 295)...(1 << 32 + 295)], isSigned: true))
        #expect(try tests(["syscall=openat"], exit).0 == [calls])
        #expect(try tests(["data.syscall=openat"], try event("sys_enter")).0 == [calls])
        let openat = try event("openat")
        let path = Subject.data(try place("pathname", openat))
        #expect(
            try tests(["data.pathname=a,b*,*c,*d*"], openat).0 == [
                FieldTest(
                    path,
                    .strings(
                        [
                            .init(.exact, Array("a".utf8)), .init(.prefix, Array("b".utf8)),
                            .init(.suffix, Array("c".utf8)), .init(.contains, Array("d".utf8)),
                        ], isNegated: false))
            ])
        #expect(
            try tests(["comm!=a"], openat).0 == [
                FieldTest(
                    .identity(.processName), .strings([.init(.exact, Array("a".utf8))], isNegated: true))
            ])
        let mmap = try event("mmap")
        let address = Subject.data(try place("addr", mmap))
        #expect(
            try tests(["data.addr=0x1000"], mmap).0 == [
                FieldTest(address, .numbers([4096...4096], isSigned: false))
            ])
    }

    /// Parts that look at one thing are one test.
    @Test func testsAreJoined() throws {
        let event = try event("openat")
        let flags = try reference("flags", event)
        let path = try reference("pathname", event)
        func isAbove(_ number: Int64) -> Expression {
            .compare(.greater, .field(flags), .literal(.int(number)))
        }
        func isNot(_ byte: UInt8) -> Expression {
            .compare(.notEqual, .field(path), .literal(.string([byte])))
        }
        let (tests, rest) = Expression.and([
            isAbove(5), isNot(97), .not(isAbove(9)), isNot(98),
            .text(.prefix, .field(path), .literal(.string([1]))),
        ]).split()
        #expect(
            tests == [
                FieldTest(flags.subject, .numbers([6...9], isSigned: true)),
                FieldTest(
                    path.subject, .strings([.init(.exact, [97]), .init(.exact, [98])], isNegated: true)),
                FieldTest(path.subject, .strings([.init(.prefix, [1])], isNegated: false)),
            ])
        #expect(rest == nil)
    }

    /// One of these and none of those are two tests, whichever was first.
    @Test func positiveAndNegatedPatternsStayApart() throws {
        let event = try event("openat")
        let path = try reference("pathname", event)
        let one = Expression.matches(path, [.init(.prefix, [97])])
        let none = Expression.not(.matches(path, [.init(.suffix, [98])]))
        for parts in [[one, none], [none, one]] {
            let (tests, rest) = Expression.and(parts).split()
            #expect(
                Set(tests) == [
                    FieldTest(path.subject, .strings([.init(.prefix, [97])], isNegated: false)),
                    FieldTest(path.subject, .strings([.init(.suffix, [98])], isNegated: true)),
                ])
            #expect(rest == nil)
        }
    }

    /// The host's clock and name, containers, structures, and digits of numbers.
    @Test(arguments: [
        ("sched_process_fork", "data.start_time>5"), ("openat", "timestamp>5"), ("openat", "hostName=x"),
        ("openat", "container"), ("openat", "containerId!=x"), ("openat", "retval=1*"),
        ("openat", "retval!=1*"),
        ("connect", "data.addr=127.0.0.1"), ("execve", "data.argv=-l"), ("openat", "podSandbox"),
    ])
    func whatIsLeft(_ name: String, _ filter: String) throws {
        let event = try event(name)
        let left = Filter.combine([try Filter.parse(filter, event: event)])
        let (tests, rest) = try tests([filter, "uid=0"], event)
        #expect(tests == [FieldTest(.identity(.userId), .numbers([0...0], isSigned: false))])
        #expect(rest == left)
    }

    @Test func bits() throws {
        let event = try event("openat")
        let flags = try reference("flags", event)
        func masked(_ comparison: Comparison, _ mask: Int64, _ value: Int64) -> Expression {
            .compare(
                comparison, .arithmetic(.bitAnd, .field(flags), .literal(.int(mask))), .literal(.int(value)))
        }
        let cases: [(Expression, FieldCondition?)] = [
            (masked(.equal, 0x41, 0x40), .bits(mask: 0x41, value: 0x40)),
            (masked(.equal, -1, -2), .bits(mask: .max, value: .max - 1)),
            (masked(.notEqual, 0x40, 0), .bits(mask: 0x40, value: 0x40)),
            (masked(.notEqual, 0x40, 0x40), .bits(mask: 0x40, value: 0)),
            (masked(.notEqual, 0x41, 0), nil), (masked(.less, 0x41, 1), nil),
            (
                .compare(
                    .equal, .literal(.int(1)), .arithmetic(.bitAnd, .literal(.int(3)), .field(flags))),
                .bits(mask: 3, value: 1)
            ),
            (
                .compare(
                    .equal, .arithmetic(.bitAnd, .field(flags), .literal(.int(-1))), .literal(.uint(.max))),
                nil
            ),
        ]
        for (expression, condition) in cases {
            #expect(throws: Never.self) { try expression.check() }
            let (tests, rest) = expression.split()
            if let condition {
                #expect(tests == [FieldTest(flags.subject, condition)])
                #expect(rest == nil)
            } else {
                #expect(tests == [])
                #expect(rest == expression)
            }
        }
    }

    /// What is yes where a field is missing is no test, nor is what looks at two things.
    @Test func whatIsNoTest() throws {
        let event = try event("openat")
        let flags = try reference("flags", event)
        let path = try reference("pathname", event)
        let isOne = Expression.compare(.equal, .field(flags), .literal(.int(1)))
        let isA = Expression.compare(.equal, .field(path), .literal(.string([97])))
        let left: [Expression] = [
            .or([isOne, .literal(.bool(true))]), .or([isOne, isA]), .has(flags), .not(.has(flags)),
            .or([isOne, .has(flags)]), .or([isA, .not(isA)]), .literal(.bool(false)), .or([]),
            .compare(.less, .field(path), .literal(.string([97]))),
            .compare(.equal, .field(flags), .field(flags)), .not(.and([isA, isOne])),
            .text(.prefix, .field(path), .literal(.string([]))),
        ]
        for expression in left {
            let (tests, rest) = expression.split()
            #expect(tests == [])
            #expect(rest == expression)
        }
        let nothing = Expression.always.split()
        #expect(nothing.tests == [] && nothing.rest == nil)
        let all = Expression.and([.and([isOne, isA]), .has(flags), .always]).split()
        #expect(all.tests.count == 2)
        #expect(all.rest == .has(flags))
    }

    /// Random filters on random records: the whole says yes where the tests and the rest do.
    @Test func testsAndRestAreTheWhole() throws {
        var random = SplitMix64(seed: 20_261_123)
        let events = Catalog.builtIn.events
        let context = EvaluationContext(hostName: Array("box".utf8), bootOffset: 1_700_000_000_000_000_000)
        var (yes, withTests, withRest, parsed) = (0, 0, 0, 0)
        for round in 0..<4000 {
            let event = events[random.below(events.count)]
            let record = RandomRecord.make(event, &random)
            var filters: [Filter] = []
            for _ in 0..<1 + random.below(3) {
                let text = RandomFilter.make(event, record, &random)
                do { filters.append(try Filter.parse(text, event: event)) } catch { continue }
            }
            parsed += filters.count
            let expression = Filter.combine(filters)
            let (tests, rest) = expression.split()
            let whole = try evaluate(expression, record, context) == .yes
            let passed = try tests.allSatisfy { try passes($0, record) }
            let remainder = try rest.map { try evaluate($0, record, context) == .yes } ?? true
            #expect(whole == (passed && remainder), "\(round): \(event.name) \(expression)")
            yes += whole ? 1 : 0
            withTests += tests.isEmpty ? 0 : 1
            withRest += rest == nil ? 0 : 1
            for test in tests {
                guard case .numbers(let ranges, let isSigned) = test.condition else { continue }
                let bounds = ranges.map {
                    isSigned ? UInt64(bitPattern: $0.lowerBound) ^ 1 << 63 : UInt64(bitPattern: $0.lowerBound)
                }
                #expect(bounds == bounds.sorted() && Set(bounds).count == bounds.count)
            }
        }
        #expect(yes > 400 && yes < 3600, "\(yes)")
        #expect(withTests > 1000, "\(withTests)")
        #expect(withRest > 400, "\(withRest)")
        #expect(parsed > 4000, "\(parsed)")
    }
}
