import CContract
import Catalog
import Policies
import TestSupport

/// What Kernel/lib/filter.h does, step by step, on maps that are filled as the sensor fills them. What an
/// earlier plan left in a slot stays there, but for states.
struct KernelFilter {
    private var tests: [apus_test]
    private var bounds: [apus_bound]
    private var hits: [apus_hits]
    private var states: [apus_state]
    private let stateMask: UInt32
    /// Of the last look-up.
    private(set) var steps = 0

    static let stride = 64
    static let maximumBlobs = 16
    static let maximumTests = 48
    private static let deadEnd: UInt32 = 0x8000_0000
    private static let headerBytes = MemoryLayout<apus_record>.size

    init(room: FilterRoom = FilterRoom()) {
        let plans = Int(APUS_PLANS)
        var count = 2
        while count < room.states * plans { count *= 2 }
        // What nobody wrote is no zero: a step that leaves the tables would be seen.
        tests = Array(repeating: apus_test(), count: plans * room.tests)
        bounds = Array(repeating: apus_bound(low: .max, policies: .max), count: plans * room.bounds)
        hits = Array(repeating: apus_hits(whole: .max, beginning: .max), count: plans * room.hits)
        states = Array(repeating: apus_state(), count: count)
        stateMask = UInt32(count - 1)
    }

    mutating func load(_ tables: FilterTables) {
        tests.replaceSubrange(
            tables.first.tests..<tables.first.tests + tables.tests.count, with: tables.tests)
        bounds.replaceSubrange(
            tables.first.bounds..<tables.first.bounds + tables.bounds.count, with: tables.bounds)
        hits.replaceSubrange(
            tables.first.hits..<tables.first.hits + tables.trie.hits.count, with: tables.trie.hits)
        for index in tables.first.states..<tables.first.states + tables.room.states {
            states[index] = apus_state()
        }
        let start = Int(tables.trie.first)
        states.replaceSubrange(start..<start + tables.trie.states.count, with: tables.trie.states)
    }

    /// The policies that are left of some, as the programs decide: the inputs of a system call at its entry,
    /// where there is neither a header nor what it returns, then its other data, then the header.
    mutating func decide(
        _ record: RecordBuilder, _ event: EventDefinition, _ which: apus_tests, policies: UInt64
    ) -> UInt64 {
        let whole = record.build()
        guard case .systemCall = event.source else {
            return apply(whole, which, 0..<Int(which.all), policies)
        }
        var entry = record
        entry.blobs.removeAll {
            let field = Int($0.field)
            return event.fields.indices.contains(field) && event.fields[field].direction != .in
        }
        if entry.values.count == event.fields.count, !entry.values.isEmpty {
            entry.values[entry.values.count - 1] = 0
        }
        var left = apply(
            Self.withoutHeader(entry.build()), which, 0..<Int(which.inputs), policies)
        left = apply(
            Self.withoutHeader(whole), which, Int(which.inputs)..<Int(which.data), left)
        return apply(whole, which, Int(which.data)..<Int(which.all), left)
    }

    /// The header as another record may have left it in the scratch.
    private static func withoutHeader(_ record: [UInt8]) -> [UInt8] {
        var record = record
        let count = record[99]
        for index in 0..<headerBytes { record[index] = 0x61 }
        record[99] = count
        return record
    }

    private mutating func apply(
        _ record: [UInt8], _ which: apus_tests, _ range: Range<Int>, _ policies: UInt64
    ) -> UInt64 {
        var left = policies
        for index in range.prefix(Self.maximumTests) where left != 0 {
            left &= pass(record, tests[Int(which.first) + index])
        }
        return left
    }

    private mutating func pass(_ record: [UInt8], _ test: apus_test) -> UInt64 {
        var hit: UInt64 = 0
        if UInt32(test.kind) == APUS_TEST_STRING.rawValue {
            guard let string = Self.string(record, test.field) else { return ~test.used }
            if test.first != 0 { hit = policies(of: string, from: test.first) }
            if test.endings != 0 { hit |= policies(of: string.reversed(), from: test.endings) }
        } else {
            guard let bits = Self.bits(record, test.field) else { return ~test.used }
            let value = Self.convert(record, bits, UInt32(test.convert))
            if UInt32(test.kind) == APUS_TEST_BITS.rawValue {
                hit = value & test.mask == test.value ? .max : 0
            } else {
                hit = policies(at: value, Int(test.first), Int(test.count))
            }
        }
        return ~test.used | ((hit ^ test.negated) & test.used)
    }

    // MARK: Numbers

    private static func load(_ record: [UInt8], _ offset: Int, _ count: Int) -> UInt64 {
        record[offset..<offset + count].reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }

    private static func bits(_ record: [UInt8], _ field: UInt8) -> UInt64? {
        if field & UInt8(APUS_FIELD_HEADER) == 0 {
            guard field < record[99], Int(field) < Int(APUS_MAX_VALUES) else { return nil }
            return load(record, headerBytes + Int(field) * 8, 8)
        }
        let offset = field & ~UInt8(APUS_FIELD_HEADER)
        guard Int(offset) <= headerBytes - 8 else { return nil }
        return load(record, Int(offset & 0x78), 8) >> (offset & 4 != 0 ? 32 : 0)
    }

    private static func convert(_ record: [UInt8], _ bits: UInt64, _ how: UInt32) -> UInt64 {
        let sign: UInt64 = 1 << 63
        let narrow = UInt64(bitPattern: Int64(Int32(truncatingIfNeeded: bits)))
        switch how {
        case APUS_CONVERT_CALL.rawValue:
            let isCompat = record[98] & UInt8(APUS_RECORD_COMPAT) != 0 && narrow & sign == 0
            return (isCompat ? narrow &+ 1 << 32 : narrow) ^ sign
        case APUS_CONVERT_S64.rawValue: return bits ^ sign
        case APUS_CONVERT_S32.rawValue: return narrow ^ sign
        case APUS_CONVERT_U32.rawValue: return UInt64(UInt32(truncatingIfNeeded: bits))
        case APUS_CONVERT_U16.rawValue: return UInt64(UInt16(truncatingIfNeeded: bits))
        case APUS_CONVERT_BOOL.rawValue: return bits != 0 ? 1 : 0
        default: return bits
        }
    }

    private func policies(at value: UInt64, _ first: Int, _ count: Int) -> UInt64 {
        var (first, count) = (first, count)
        for _ in 0..<16 where count > 1 {
            let half = count / 2
            if bounds[first + half].low <= value {
                first += half
                count -= half
            } else {
                count = half
            }
        }
        return bounds[first].policies
    }

    // MARK: Strings

    private static func string(_ record: [UInt8], _ field: UInt8) -> [UInt8]? {
        if field & UInt8(APUS_FIELD_HEADER) != 0 {
            return Array(record[104..<120].prefix { $0 != 0 })
        }
        var at = headerBytes + Int(record[99]) * 8
        for _ in 0..<maximumBlobs {
            guard at + 8 <= record.count else { return nil }
            let length = Int(load(record, at + 4, 4))
            if record[at] == field {
                var string = record[at + 8..<at + 8 + min(length, Int(APUS_MAX_STRING))]
                if string.last == 0 { string.removeLast() }
                return Array(string)
            }
            at += 8 + (length + 7) & 0x7ff8
        }
        return nil
    }

    private mutating func policies(of string: some Collection<UInt8>, from root: UInt32) -> UInt64 {
        let string = Array(string)
        var state = root
        var done = 0
        steps = 0
        while done < string.count, state & Self.deadEnd == 0 {
            state = follow(string[done...].prefix(Self.stride), state)
            done += Self.stride
        }
        let hit = hits[Int(states[Int(state & stateMask)].hits)]
        return hit.beginning | (state & Self.deadEnd != 0 ? 0 : hit.whole)
    }

    private mutating func follow(_ bytes: ArraySlice<UInt8>, _ start: UInt32) -> UInt32 {
        var state = start
        var base = states[Int(state & stateMask)].base
        for byte in bytes {
            steps += 1
            let to = (base &+ UInt32(byte)) & stateMask
            let next = states[Int(to)]
            guard next.check == state else { return state | Self.deadEnd }
            base = next.base
            state = to
        }
        return state
    }
}
