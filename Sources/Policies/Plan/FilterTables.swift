public import CContract
public import Catalog
public import Expressions

/// Where the tables of a plan begin in the kernel's maps, and how much room they have there.
public struct FilterRoom: Sendable {
    public var tests: Int
    public var bounds: Int
    public var states: Int
    public var hits: Int
    public init(tests: Int = 4096, bounds: Int = 16384, states: Int = 65536, hits: Int = 16384) {
        self.tests = tests
        self.bounds = bounds
        self.states = states
        self.hits = hits
    }
}

/// What the kernel's filters work from, as its maps hold it. All policies' tests of one field are one row,
/// whose cost does not grow with their number.
public struct FilterTables: Sendable {
    public private(set) var tests: [apus_test] = []
    public private(set) var bounds: [apus_bound] = []
    public private(set) var trie: TrieTable
    /// By dense index of the event.
    public private(set) var events: [Int: apus_tests] = [:]
    /// Numbers of the first row of each table.
    public let first: FilterRoom
    public let room: FilterRoom

    /// A test that the tables had no room for, or that the kernel cannot do.
    public struct Refusal: Error, Sendable {
        public let policy: Int
        public let test: FieldTest
    }

    /// - Parameters:
    ///   - slot: which of the plans this is, for where its rows are.
    public init(slot: Int = 0, room: FilterRoom = FilterRoom()) {
        self.room = room
        first = FilterRoom(
            tests: slot * room.tests, bounds: slot * room.bounds, states: slot * room.states,
            hits: slot * room.hits)
        // State 0 is none.
        trie = TrieTable(
            first: UInt32(first.states + 1), firstHit: UInt32(first.hits), limit: room.states - 1)
    }

    /// Adds all policies' tests of one event.
    /// - Returns: those that are left to user space.
    public mutating func add(_ event: EventDefinition, _ wanted: [(policy: Int, test: FieldTest)])
        -> [Refusal]
    {
        var refused: [Refusal] = []
        var rows: [(order: Int, row: apus_test)] = []
        // One that the kernel cannot do leaves it the others.
        for item in wanted where !item.test.isPossible {
            refused.append(Refusal(policy: item.policy, test: item.test))
        }
        for group in Self.grouped(wanted.filter(\.test.isPossible)) {
            guard let subject = group.first?.test.subject, let place = Self.place(subject, event),
                rows.count < 48, let row = row(group, place)
            else {
                refused += group.map { Refusal(policy: $0.policy, test: $0.test) }
                continue
            }
            rows.append((place.order, row))
        }
        guard !rows.isEmpty else { return refused }
        guard tests.count + rows.count <= room.tests else {
            return wanted.map { Refusal(policy: $0.policy, test: $0.test) }
        }
        rows.sort { $0.order < $1.order }
        var which = apus_tests()
        which.first = UInt32(first.tests + tests.count)
        which.inputs = UInt8(rows.count { $0.order == Place.input })
        which.data = UInt8(rows.count { $0.order <= Place.data })
        which.all = UInt8(rows.count)
        tests += rows.map(\.row)
        events[event.index] = which
        return refused
    }

    /// Adds the look-up of programs by their paths, which scopes restrict.
    /// - Returns: false when there is no room.
    mutating func add(_ programs: inout ScopePlan.Programs, pathOf field: Int) -> Bool {
        for (namespace, paths) in Dictionary(grouping: programs.named, by: \.key.namespace) {
            var row = apus_test()
            row.used = .max
            row.kind = UInt8(APUS_TEST_STRING.rawValue)
            row.field = UInt8(field)
            let entries = paths.map {
                TrieTable.Entry(bytes: $0.key.bytes, policies: $0.value, isWhole: true)
            }
            guard programs.tests.count < Int(APUS_MAX_PROGRAM_TESTS), tests.count < room.tests,
                let root = trie.add(entries), trie.hits.count <= room.hits
            else { return false }
            row.first = root
            programs.tests.append((UInt32(first.tests + tests.count), namespace ?? 0))
            tests.append(row)
        }
        return true
    }

    /// Tests that can be one row: of one subject and kind, each policy once.
    private static func grouped(_ wanted: [(policy: Int, test: FieldTest)]) -> [[(
        policy: Int, test: FieldTest
    )]] {
        var groups: [[(policy: Int, test: FieldTest)]] = []
        for item in wanted {
            let index = groups.firstIndex { group in
                guard let head = group.first, head.test.subject == item.test.subject,
                    !group.contains(where: { $0.policy == item.policy })
                else { return false }
                switch (head.test.condition, item.test.condition) {
                case (.numbers(_, let one), .numbers(_, let other)): return one == other
                case (.bits(let mask, let value), .bits(let otherMask, let otherValue)):
                    return mask == otherMask && value == otherValue
                case (.strings, .strings): return true
                case (.numbers, _), (.bits, _), (.strings, _): return false
                }
            }
            if let index { groups[index].append(item) } else { groups.append([item]) }
        }
        return groups
    }

    private mutating func row(_ group: [(policy: Int, test: FieldTest)], _ place: Place) -> apus_test? {
        var row = apus_test()
        row.field = place.field
        row.convert = UInt8(place.convert.rawValue)
        var numbers: [(policy: Int, ranges: [ClosedRange<Int64>])] = []
        var forwards: [TrieTable.Entry] = []
        var backwards: [TrieTable.Entry] = []
        var isSigned = false
        for (policy, test) in group {
            guard (0..<Int(APUS_MAX_POLICIES)).contains(policy) else { return nil }
            let bit: UInt64 = 1 << UInt64(policy)
            row.used |= bit
            switch test.condition {
            case .bits(let mask, let value):
                guard !place.isString else { return nil }
                row.kind = UInt8(APUS_TEST_BITS.rawValue)
                row.mask = mask
                row.value = value
                // Bits are those of the value itself.
                if place.convert == APUS_CONVERT_S32 || place.convert == APUS_CONVERT_S64
                    || place.convert == APUS_CONVERT_CALL
                {
                    return nil
                }
            case .numbers(let ranges, let signed):
                guard !place.isString, signed == place.isSigned else { return nil }
                row.kind = UInt8(APUS_TEST_NUMBER.rawValue)
                isSigned = signed
                numbers.append((policy, ranges))
            case .strings(let patterns, let isNegated):
                guard place.isString else { return nil }
                row.kind = UInt8(APUS_TEST_STRING.rawValue)
                if isNegated { row.negated |= bit }
                for pattern in patterns {
                    switch pattern.kind {
                    case .exact: forwards.append(.init(bytes: pattern.bytes, policies: bit, isWhole: true))
                    case .prefix: forwards.append(.init(bytes: pattern.bytes, policies: bit, isWhole: false))
                    case .suffix:
                        backwards.append(
                            .init(bytes: pattern.bytes.reversed(), policies: bit, isWhole: false))
                    case .contains: return nil
                    }
                }
            }
        }
        if !numbers.isEmpty {
            let added = Self.bounds(numbers, isSigned: isSigned)
            // The kernel's search takes at most 16 steps.
            guard added.count <= 1 << 16, bounds.count + added.count <= room.bounds else { return nil }
            row.first = UInt32(first.bounds + bounds.count)
            row.count = UInt32(added.count)
            bounds += added
        }
        let before = trie
        for (entries, isForward) in [(forwards, true), (backwards, false)] where !entries.isEmpty {
            guard let root = trie.add(entries), trie.hits.count <= room.hits else {
                trie = before
                return nil
            }
            if isForward { row.first = root } else { row.endings = root }
        }
        return row
    }

    /// The ranges of all policies, cut where any begins or ends; keys are unsigned, with the sign turned over
    /// where the values are signed.
    private static func bounds(
        _ numbers: [(policy: Int, ranges: [ClosedRange<Int64>])], isSigned: Bool
    ) -> [apus_bound] {
        let turn: UInt64 = isSigned ? 1 << 63 : 0
        var changes: [UInt64: UInt64] = [0: 0]  // policies whose membership changes there
        for (policy, ranges) in numbers {
            let bit: UInt64 = 1 << UInt64(policy)
            for range in ranges {
                let low = UInt64(bitPattern: range.lowerBound) ^ turn
                let high = UInt64(bitPattern: range.upperBound) ^ turn
                changes[low, default: 0] ^= bit
                if high < .max { changes[high + 1, default: 0] ^= bit }
            }
        }
        var policies: UInt64 = 0
        return changes.sorted { $0.key < $1.key }.map { low, change in
            policies ^= change
            return apus_bound(low: low, policies: policies)
        }
    }

    // MARK: Where a subject is in a record

    private struct Place {
        /// In the order in which the kernel knows them.
        static let input = 0
        static let data = 1
        static let header = 2
        var order: Int
        var field: UInt8
        var convert = APUS_CONVERT_NONE
        var isString = false
        var isSigned: Bool {
            convert == APUS_CONVERT_S32 || convert == APUS_CONVERT_S64 || convert == APUS_CONVERT_CALL
        }
    }

    /// Nil for what the kernel cannot compare.
    private static func place(_ subject: Subject, _ event: EventDefinition) -> Place? {
        switch subject {
        case .data(let index):
            // What the agent adds is behind what the kernel knows.
            guard index >= 0, index < min(event.kernelFieldCount, Int(APUS_MAX_VALUES)) else { return nil }
            let field = event.fields[index]
            var place = Place(order: Place.data, field: UInt8(index))
            if case .systemCall = event.source, index < event.fields.count - 1 {
                switch field.direction {
                case .in, .opaque, nil: place.order = Place.input
                case .out, .inout, .outInterrupted: break
                }
            }
            switch field.type {
            case .int32: place.convert = APUS_CONVERT_S32
            case .int64: place.convert = APUS_CONVERT_S64
            case .uint32: place.convert = APUS_CONVERT_U32
            case .uint16: place.convert = APUS_CONVERT_U16
            case .bool: place.convert = APUS_CONVERT_BOOL
            case .uint64, .pointer: break
            case .string: place.isString = true
            case .stringArray, .bytes, .uint64Array, .credentials, .socketAddress, .int32Pair, .timespec,
                .time:
                return nil
            }
            return place
        case .identity(let field): return place(field)
        }
    }

    private static func place(_ field: IdentityField) -> Place? {
        func at(_ offset: Int?, _ convert: apus_convert) -> Place? {
            offset.map {
                Place(order: Place.header, field: UInt8(APUS_FIELD_HEADER) | UInt8($0), convert: convert)
            }
        }
        typealias Record = apus_record
        switch field {
        case .processorId: return at(MemoryLayout<Record>.offset(of: \.cpu), APUS_CONVERT_U16)
        case .processId: return at(MemoryLayout<Record>.offset(of: \.pid), APUS_CONVERT_U32)
        case .threadId: return at(MemoryLayout<Record>.offset(of: \.tid), APUS_CONVERT_U32)
        case .parentProcessId: return at(MemoryLayout<Record>.offset(of: \.ppid), APUS_CONVERT_U32)
        case .hostProcessId: return at(MemoryLayout<Record>.offset(of: \.host_pid), APUS_CONVERT_U32)
        case .hostThreadId: return at(MemoryLayout<Record>.offset(of: \.host_tid), APUS_CONVERT_U32)
        case .hostParentProcessId: return at(MemoryLayout<Record>.offset(of: \.host_ppid), APUS_CONVERT_U32)
        case .userId: return at(MemoryLayout<Record>.offset(of: \.uid), APUS_CONVERT_U32)
        case .mountNamespace: return at(MemoryLayout<Record>.offset(of: \.mount_ns), APUS_CONVERT_U32)
        case .pidNamespace: return at(MemoryLayout<Record>.offset(of: \.pid_ns), APUS_CONVERT_U32)
        case .cgroupId: return at(MemoryLayout<Record>.offset(of: \.cgroup_id), APUS_CONVERT_NONE)
        case .syscall: return at(MemoryLayout<Record>.offset(of: \.syscall), APUS_CONVERT_CALL)
        case .processName:
            var place = at(MemoryLayout<Record>.offset(of: \.comm), APUS_CONVERT_NONE)
            place?.isString = true
            return place
        case .timestamp, .hostName, .isContainer, .containerId, .containerImage, .containerName,
            .containerImageDigest, .podName, .podNamespace, .podUid, .podSandbox:
            return nil
        }
    }
}

extension FieldTest {
    /// A trie has no patterns that may be anywhere.
    fileprivate var isPossible: Bool {
        guard case .strings(let patterns, _) = condition else { return true }
        return !patterns.contains { $0.kind == .contains }
    }
}
