import CContract
import Catalog
import Events
import Expressions
import Policies
import TestSupport
import Testing

/// The tables of filters, followed as the kernel follows them.
@Suite struct FilterTablesTests {
    private let openat: EventDefinition
    private let close: EventDefinition
    private let pathname: Subject

    init() throws {
        openat = try #require(Catalog.builtIn["openat"])
        close = try #require(Catalog.builtIn["close"])
        pathname = .data(try #require(openat.fields.firstIndex { $0.name == "pathname" }))
    }

    private struct NoRecord: Error {}

    private func matches(_ test: FieldTest, _ record: RecordBuilder) throws -> Bool {
        let bytes = record.build()
        guard let view = unsafe EventView(bytes.span.bytes) else { throw NoRecord() }
        return test.matches(view)
    }

    /// The policies that want a record of one event, of which all tests have to be taken.
    private func decide(
        _ record: RecordBuilder, _ event: EventDefinition, _ wanted: [(policy: Int, test: FieldTest)],
        slot: Int = 0
    ) throws -> UInt64 {
        var tables = FilterTables(slot: slot)
        #expect(tables.add(event, wanted).isEmpty)
        let which = try #require(tables.events[event.index])
        var kernel = KernelFilter()
        kernel.load(tables)
        return kernel.decide(record, event, which, policies: .max)
    }

    private func opening(_ path: [UInt8]?) -> RecordBuilder {
        var record = RecordBuilder(values: [UInt64](repeating: 0, count: openat.fields.count))
        record.header.event = openat.id.rawValue
        if let path, case .data(let index) = pathname {
            record.blobs.append(.init(field: UInt8(index), bytes: path))
        }
        return record
    }

    private func strings(_ patterns: Set<StringPattern>, isNegated: Bool = false) -> FieldTest {
        FieldTest(pathname, .strings(patterns, isNegated: isNegated))
    }

    // MARK: Against the definition

    @Test(arguments: [0, 1]) func agreesWithTheDefinition(slot: Int) throws {
        var random = SplitMix64(seed: 20_261_122 + UInt64(slot))
        let catalog = Catalog.builtIn
        var kernel = KernelFilter()
        var (yes, no, strings, numbers, bits, rounds) = (0, 0, 0, 0, 0, 0)
        while rounds < 150 {
            // Several events share the tables, and plans follow each other in a slot.
            var tables = FilterTables(slot: slot)
            var chosen: [(event: EventDefinition, wanted: [(policy: Int, test: FieldTest)])] = []
            for _ in 0..<4 {
                let event = catalog.events[random.below(catalog.events.count)]
                guard !chosen.contains(where: { $0.event.index == event.index }) else { continue }
                var wanted: [(policy: Int, test: FieldTest)] = []
                for policy in 0..<(1 << random.below(7)) {
                    var mine: Set<FieldTest> = []
                    for _ in 0..<random.below(4) { mine.insert(RandomTests.test(event, &random)) }
                    wanted += mine.map { (policy, $0) }
                }
                chosen.append((event, wanted))
            }
            var left: [Int: [FilterTables.Refusal]] = [:]
            for (event, wanted) in chosen { left[event.index] = tables.add(event, wanted) }
            kernel.load(tables)
            rounds += 1
            for (event, wanted) in chosen {
                let refused = left[event.index] ?? []
                let decided = wanted.filter { item in
                    !refused.contains { $0.policy == item.policy && $0.test == item.test }
                }
                #expect(decided.count + refused.count == wanted.count)
                for (_, test) in decided {
                    switch test.condition {
                    case .strings: strings += 1
                    case .numbers: numbers += 1
                    case .bits: bits += 1
                    }
                }
                let which = tables.events[event.index] ?? apus_tests()
                #expect(which.inputs <= which.data && which.data <= which.all)
                for _ in 0..<8 {
                    let record = RandomTests.record(event, &random)
                    let policies = random.below(4) == 0 ? random.next() : .max
                    var expected = policies
                    for (policy, test) in decided where try !matches(test, record) {
                        expected &= ~(1 << UInt64(policy))
                    }
                    let found = kernel.decide(record, event, which, policies: policies)
                    #expect(found == expected, "\(event.name) \(record) \(decided)")
                    let asked = Set(decided.map(\.policy))
                    yes += asked.count { found >> UInt64($0) & 1 == 1 }
                    no += asked.count { found >> UInt64($0) & 1 == 0 }
                }
            }
        }
        #expect(yes > 5000 && no > 5000, "\(yes) \(no)")
        #expect(strings > 300 && numbers > 1000 && bits > 150, "\(strings) \(numbers) \(bits)")
    }

    // MARK: Numbers

    @Test(
        arguments: [
            ("S32 ends", true, [Int64(Int32.min)...Int64(Int32.min)], [0xffff_8000_0000], [0x7fff_ffff, 0]),
            ("below 0", true, [Int64.min...(-1)], [.max, 0x8000_0000], [0, 1, 0x7fff_ffff]),
            ("all", true, [Int64.min...Int64.max], [0, .max, 1 << 63], []),
            ("none", true, [], [], [0, .max, 1 << 63, 1]),
            (
                "two", true, [-5...(-3), 7...7], [7, UInt64(bitPattern: -4)],
                [6, 8, UInt64(bitPattern: -6), 0]
            ),
        ] as [(String, Bool, [ClosedRange<Int64>], [UInt64], [UInt64])])
    func signedNumbers(
        _ name: String, _ isSigned: Bool, _ ranges: [ClosedRange<Int64>], _ inside: [UInt64],
        _ outside: [UInt64]
    ) throws {
        let test = FieldTest(.data(0), .numbers(ranges, isSigned: isSigned))
        for (value, isInside) in inside.map({ ($0, true) }) + outside.map({ ($0, false) }) {
            var record = RecordBuilder(values: [value, 0])
            record.header.event = close.id.rawValue
            #expect(try decide(record, close, [(3, test)]) == (isInside ? .max : ~8), "\(name) \(value)")
            #expect(try matches(test, record) == isInside, "\(name) \(value)")
        }
    }

    @Test func unsignedNumbers() throws {
        // A range over 2^63 is two that touch; bounds at both ends of the numbers.
        let ranges: [ClosedRange<Int64>] = [
            0...0, 0x7fff_ffff_ffff_fff0...Int64.max, Int64.min...(-16), -1...(-1),
        ]
        let test = FieldTest(.identity(.cgroupId), .numbers(ranges, isSigned: false))
        let one = FieldTest(.identity(.cgroupId), .numbers([Int64.max...Int64.max], isSigned: false))
        for (value, isInside) in [
            (0, true), (1, false), (0x7fff_ffff_ffff_ffef, false), (0x7fff_ffff_ffff_fff0, true),
            (UInt64(Int64.max), true), (1 << 63, true), (.max - 15, true), (.max - 14, false),
            (.max - 1, false), (.max, true),
        ] as [(UInt64, Bool)] {
            var record = RecordBuilder(values: [0, 0])
            record.header.event = close.id.rawValue
            record.header.cgroup_id = value
            let expected: UInt64 = ~3 | (isInside ? 1 : 0) | (value == UInt64(Int64.max) ? 2 : 0)
            #expect(try decide(record, close, [(0, test), (1, one)]) == expected, "\(value)")
            #expect(try matches(test, record) == isInside)
        }
    }

    @Test func severalTestsOfOnePolicyOnOneThing() throws {
        let bits = (0..<4).map { FieldTest(.identity(.userId), .bits(mask: 1 << $0, value: 0)) }
        let range = FieldTest(.identity(.userId), .numbers([0...15], isSigned: false))
        let wanted = bits.map { (policy: 5, test: $0) } + [(5, range), (6, range), (6, bits[1])]
        for value in 0..<UInt32(20) {
            var record = RecordBuilder(values: [0, 0])
            record.header.event = close.id.rawValue
            record.header.uid = value
            let expected: UInt64 =
                ~(0b11 << 5) | (value == 0 ? 1 << 5 : 0) | (value < 16 && value & 2 == 0 ? 1 << 6 : 0)
            #expect(try decide(record, close, wanted) == expected, "\(value)")
        }
        // Patterns of one policy that must both match, and others' between them.
        let both = [
            strings([.init(.prefix, Array("/etc/".utf8))]), strings([.init(.suffix, Array(".d".utf8))]),
        ]
        let others = [(policy: 1, test: both[0]), (2, both[1]), (0, both[0]), (0, both[1])]
        for (path, expected) in [("/etc/x.d", 7), ("/etc/x", 2), ("/x.d", 4), ("/", 0)] as [(String, UInt64)]
        {
            #expect(try decide(opening(Array(path.utf8)), openat, others) == ~7 | expected, "\(path)")
        }
    }

    // MARK: Strings

    @Test func emptyStringsAndMissingOnes() throws {
        let empty = strings([.init(.exact, [])])
        let notEmpty = strings([.init(.exact, [])], isNegated: true)
        let any = strings([.init(.prefix, [0x2f])])
        let none = strings([])
        let all = strings([], isNegated: true)
        let wanted = [empty, notEmpty, any, none, all].enumerated().map { (policy: $0, test: $1) }
        #expect(try decide(opening([]), openat, wanted) == ~0b11111 | 0b10001)
        // The NUL that a call may count is no part of the text.
        #expect(try decide(opening([0]), openat, wanted) == ~0b11111 | 0b10001)
        #expect(try decide(opening([0x2f]), openat, wanted) == ~0b11111 | 0b10110)
        #expect(try decide(opening(nil), openat, wanted) == ~0b11111)
    }

    @Test(arguments: [0, 1]) func longPatterns(slot: Int) throws {
        // Around the strides in which the kernel goes, up to the longest string.
        for count in [63, 64, 65, 127, 128, 129, 4094, 4095] {
            var path = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ 0x2f) | 1 }
            let tests = [
                strings([.init(.exact, path)]), strings([.init(.prefix, path)]),
                strings([.init(.suffix, path)]),
                strings([.init(.prefix, Array(path.dropLast()))]),
                strings([.init(.suffix, Array(path.dropFirst()))]),
                strings([.init(.exact, path)], isNegated: true),
            ].enumerated().map { (policy: $0, test: $1) }
            #expect(try decide(opening(path), openat, tests, slot: slot) == ~0b100000, "\(count)")
            path[count - 1] ^= 0x80
            #expect(try decide(opening(path), openat, tests, slot: slot) == ~0b111111 | 0b101000, "\(count)")
            path[count - 1] ^= 0x80
            path[0] ^= 0x80
            #expect(try decide(opening(path), openat, tests, slot: slot) == ~0b111111 | 0b110000, "\(count)")
            path[0] ^= 0x80
            #expect(try decide(opening(path + [1]), openat, tests, slot: slot) == ~0b111111 | 0b101010)
            #expect(try decide(opening([1] + path), openat, tests, slot: slot) == ~0b111111 | 0b110100)
        }
    }

    @Test func everyByte() throws {
        let tests = (0...255).map { UInt8($0) }
        for start in stride(from: 0, to: 256, by: 64) {
            let wanted = tests[start..<start + 64].enumerated().map { number, byte in
                (policy: number, test: strings([.init(.exact, [0x61, byte, 0x62])]))
            }
            for byte in tests {
                let found = try decide(opening([0x61, byte, 0x62]), openat, wanted)
                let expected = Int(byte) - start
                #expect(found == ((0..<64).contains(expected) ? 1 << UInt64(expected) : 0), "\(byte)")
            }
        }
    }

    /// As many prefixes as a large set of policies has, whose costs do not add up.
    @Test func manyPrefixes() throws {
        var wanted: [(policy: Int, test: FieldTest)] = []
        func path(_ policy: Int, _ number: Int) -> [UInt8] {
            Array("/srv/\(number % 5)/policy-\(policy)/data-\(number)/".utf8)
        }
        for policy in 0..<64 {
            let patterns = (0..<20).map { StringPattern(.prefix, path(policy, $0)) }
            wanted.append((policy, strings(Set(patterns + [.init(.prefix, Array("/common/".utf8))]))))
        }
        var tables = FilterTables(slot: 1)
        #expect(tables.add(openat, wanted).isEmpty)
        #expect(tables.tests.count == 1)
        let which = try #require(tables.events[openat.index])
        var kernel = KernelFilter()
        kernel.load(tables)
        for policy in 0..<64 {
            for number in 0..<20 {
                let record = opening(path(policy, number) + Array("file".utf8))
                #expect(kernel.decide(record, openat, which, policies: .max) == 1 << UInt64(policy))
                #expect(kernel.steps <= path(policy, number).count + 1)
                let short = opening(Array(path(policy, number).dropLast()))
                #expect(kernel.decide(short, openat, which, policies: .max) == 0)
            }
        }
        let common = opening(Array("/common/x".utf8))
        #expect(kernel.decide(common, openat, which, policies: .max) == .max)
        #expect(kernel.decide(common, openat, which, policies: 0b101) == 0b101)
    }

    // MARK: Where things are

    @Test func orderOfTests() throws {
        let fd = FieldTest(.data(0), .numbers([0...9], isSigned: true))
        let result = FieldTest(.data(1), .numbers([0...0], isSigned: true))
        let user = FieldTest(.identity(.userId), .numbers([0...0], isSigned: false))
        var tables = FilterTables(slot: 1)
        #expect(tables.add(close, [(0, user), (0, result), (1, fd), (1, user), (2, result)]).isEmpty)
        let which = try #require(tables.events[close.index])
        #expect(which.first == 4096 && which.inputs == 1 && which.data == 2 && which.all == 3)
        #expect(tables.tests.map(\.used) == [0b10, 0b101, 0b11])
        #expect(tables.tests.map(\.first).sorted() == [16384, 16386, 16389])
        // Fields of what is no system call are there at once.
        let exec = try #require(Catalog.builtIn["sched_process_exec"])
        let first = tables.tests.count
        #expect(
            tables.add(
                exec,
                [(4, FieldTest(.identity(.processName), .strings([.init(.exact, [0x61])], isNegated: false)))]
            ).isEmpty)
        let other = try #require(tables.events[exec.index])
        #expect(other.first == 4096 + UInt32(first) && other.inputs == 0 && other.data == 0 && other.all == 1)
        #expect(tables.trie.first == 65537 && tables.tests[first].first >= 65537)
        #expect(tables.trie.firstHit == 16384)
        #expect(tables.trie.states.allSatisfy { $0.check == 0 || $0.hits >= 16384 })
    }

    /// No event has more blobs than the kernel looks through.
    @Test func recordsHaveFewBlobs() {
        for event in Catalog.builtIn.events {
            let blobs = event.fields.count { field in
                switch field.type {
                case .string, .stringArray, .bytes, .uint64Array, .credentials, .socketAddress, .int32Pair,
                    .timespec:
                    true
                case .int32, .uint32, .int64, .uint64, .uint16, .bool, .pointer, .time: false
                }
            }
            #expect(blobs <= KernelFilter.maximumBlobs, "\(event.name)")
        }
    }

    // MARK: Room

    /// What does not fit is left to user space, and harms nothing that did.
    @Test func roomIsNeverExceeded() throws {
        var random = SplitMix64(seed: 77)
        let catalog = Catalog.builtIn
        let room = FilterRoom(tests: 24, bounds: 60, states: 700, hits: 30)
        var kernel = KernelFilter(room: room)
        // The other plan, which must stay as it is.
        var other = FilterTables(slot: 0, room: room)
        let mark = strings([.init(.prefix, Array("/mark/".utf8)), .init(.suffix, Array(".mark".utf8))])
        #expect(other.add(openat, [(9, mark)]).isEmpty)
        kernel.load(other)
        let otherTests = try #require(other.events[openat.index])
        var (refusals, taken) = (0, 0)
        for _ in 0..<60 {
            var tables = FilterTables(slot: 1, room: room)
            var all:
                [(
                    event: EventDefinition, wanted: [(policy: Int, test: FieldTest)],
                    left: [FilterTables.Refusal]
                )] = []
            for _ in 0..<12 {
                let event = catalog.events[random.below(catalog.events.count)]
                guard !all.contains(where: { $0.event.index == event.index }) else { continue }
                let wanted = (0..<random.below(12)).map {
                    (policy: $0 * 5, test: RandomTests.test(event, &random))
                }
                all.append((event, wanted, tables.add(event, wanted)))
            }
            #expect(tables.tests.count <= room.tests && tables.bounds.count <= room.bounds)
            #expect(tables.trie.hits.count <= room.hits && tables.trie.states.count <= room.states - 1)
            for row in tables.tests where UInt32(row.kind) == APUS_TEST_NUMBER.rawValue {
                #expect(row.first >= 60 && row.first + row.count <= 120)
            }
            kernel.load(tables)
            for (event, wanted, left) in all {
                refusals += left.count
                let decided = wanted.filter { item in
                    !left.contains { $0.policy == item.policy && $0.test == item.test }
                }
                taken += decided.count
                #expect(decided.count + left.count == wanted.count)
                let which = tables.events[event.index] ?? apus_tests()
                if which.all > 0 { #expect(which.first >= 24 && which.first + UInt32(which.all) <= 48) }
                for _ in 0..<4 {
                    let record = RandomTests.record(event, &random)
                    var expected = UInt64.max
                    for (policy, test) in decided where try !matches(test, record) {
                        expected &= ~(1 << UInt64(policy))
                    }
                    #expect(kernel.decide(record, event, which, policies: .max) == expected, "\(event.name)")
                }
            }
            for (path, isWanted) in [("/mark/x", true), ("x.mark", true), ("/marks", false)] {
                let found = kernel.decide(opening(Array(path.utf8)), openat, otherTests, policies: .max)
                #expect(found == (isWanted ? .max : ~(1 << 9)))
            }
        }
        #expect(refusals > 500 && taken > 500, "\(refusals) \(taken)")
    }

    @Test func moreTestsOfAnEventThanTheKernelAsks() throws {
        // Each is a row of its own, as one policy must pass all.
        let tests = (0..<60).map { FieldTest(.identity(.cgroupId), .bits(mask: 1 << UInt64($0), value: 0)) }
        var tables = FilterTables()
        let refused = tables.add(close, tests.map { (2, $0) })
        #expect(refused.map(\.test) == Array(tests[48...]) && refused.allSatisfy { $0.policy == 2 })
        #expect(tables.events[close.index]?.all == 48)
    }

    @Test func largeTablesAreMadeQuickly() throws {
        var random = SplitMix64(seed: 5)
        var tables = FilterTables()
        // More than there is room for, in an order that is not theirs, and in which no two nodes are alike.
        // A NUL at the end would be none of the text.
        let patterns = (0..<4000).map { _ in StringPattern(.exact, random.bytes(39) + [0x7a]) }
        let before = ContinuousClock.now
        #expect(tables.add(openat, [(0, strings(Set(patterns)))]).count == 1)
        let fitting = patterns.prefix(1200)
        #expect(tables.add(openat, [(0, strings(Set(fitting)))]).isEmpty)
        #expect(ContinuousClock.now - before < .seconds(20))
        var kernel = KernelFilter()
        kernel.load(tables)
        let which = try #require(tables.events[openat.index])
        for pattern in fitting.prefix(100) {
            #expect(kernel.decide(opening(pattern.bytes), openat, which, policies: 1) == 1)
            #expect(kernel.decide(opening(pattern.bytes + [0x61]), openat, which, policies: 1) == 0)
        }
    }

    @Test func whatTheKernelCannotDecide() throws {
        let execve = try #require(Catalog.builtIn["execve"])
        let argv = try #require(execve.fields.firstIndex { $0.name == "argv" })
        let number = FieldCondition.numbers([0...0], isSigned: true)
        var tables = FilterTables()
        for (event, test) in [
            (openat, strings([.init(.contains, [0x61])])),
            (openat, strings([.init(.exact, [0x61]), .init(.contains, [0x61])])),
            (openat, FieldTest(pathname, number)),
            (close, FieldTest(.data(0), .numbers([0...0], isSigned: false))),
            (close, FieldTest(.data(0), .bits(mask: 1, value: 1))),
            (close, FieldTest(.data(0), .strings([], isNegated: true))),
            (close, FieldTest(.data(7), number)), (close, FieldTest(.data(-1), number)),
            (execve, FieldTest(.data(argv), .strings([.init(.exact, [0x61])], isNegated: false))),
            (close, FieldTest(.identity(.timestamp), .numbers([0...0], isSigned: false))),
            (close, FieldTest(.identity(.containerId), .strings([], isNegated: false))),
        ] {
            #expect(tables.add(event, [(0, test)]).map(\.test) == [test], "\(test)")
        }
        for policy in [-1, 64, 1 << 40] {
            let test = FieldTest(.data(0), number)
            #expect(tables.add(close, [(policy, test)]).map(\.policy) == [policy])
        }
        #expect(tables.tests.isEmpty && tables.events.isEmpty)
    }
}
