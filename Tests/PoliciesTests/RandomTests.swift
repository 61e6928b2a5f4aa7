import CContract
import Catalog
import Expressions
import TestSupport

/// Records of an event, and tests that they may pass.
enum RandomTests {
    static func record(_ event: EventDefinition, _ random: inout SplitMix64) -> RecordBuilder {
        var record = RecordBuilder(values: event.fields.map { _ in number(&random) })
        for (index, field) in event.fields.enumerated() where random.below(6) > 0 {
            let bytes: [UInt8]
            switch field.type {
            case .string: bytes = text(&random) + (random.below(4) == 0 ? [0] : [])
            case .stringArray, .bytes, .uint64Array, .credentials, .socketAddress, .int32Pair, .timespec:
                bytes = random.bytes(random.below(30))
            case .int32, .uint32, .int64, .uint64, .uint16, .bool, .pointer, .time: continue
            }
            record.blobs.append(.init(field: UInt8(index), bytes: bytes))
        }
        if random.below(30) == 0 { record.values.removeLast(random.below(record.values.count + 1)) }
        record.header.event = event.id.rawValue
        record.header.cpu = UInt16(truncatingIfNeeded: number(&random))
        record.header.pid = UInt32(truncatingIfNeeded: number(&random))
        record.header.tid = UInt32(truncatingIfNeeded: number(&random))
        record.header.ppid = UInt32(truncatingIfNeeded: number(&random))
        record.header.host_pid = UInt32(truncatingIfNeeded: number(&random))
        record.header.host_tid = UInt32(truncatingIfNeeded: number(&random))
        record.header.host_ppid = UInt32(truncatingIfNeeded: number(&random))
        record.header.uid = UInt32(truncatingIfNeeded: number(&random))
        record.header.mount_ns = UInt32(truncatingIfNeeded: number(&random))
        record.header.pid_ns = UInt32(truncatingIfNeeded: number(&random))
        record.header.cgroup_id = number(&random)
        record.header.syscall = Int32(truncatingIfNeeded: number(&random))
        record.header.flags = UInt8(random.below(2))
        record.setName(Array(text(&random).prefix(15)))
        return record
    }

    /// Few numbers, so that tests are passed as often as not, and the ends of the types.
    static func number(_ random: inout SplitMix64) -> UInt64 {
        switch random.below(3) {
        case 0: UInt64(random.below(5))
        case 1: UInt64(bitPattern: -Int64(random.below(5)))
        default: random.number()
        }
    }

    static func text(_ random: inout SplitMix64) -> [UInt8] {
        (0..<random.below(5)).map { _ in [0x61, 0x62, 0x80, 0xff][random.below(4)] }
    }

    static func test(_ event: EventDefinition, _ random: inout SplitMix64) -> FieldTest {
        if random.below(3) == 0 || event.fields.isEmpty {
            let field = IdentityField.allCases[random.below(IdentityField.allCases.count)]
            return FieldTest(.identity(field), condition(FieldReference(field), &random))
        }
        let index = random.below(event.fields.count)
        guard let field = FieldReference(index, of: event) else { return test(event, &random) }
        return FieldTest(.data(index), condition(field, &random))
    }

    private static func condition(_ field: FieldReference, _ random: inout SplitMix64) -> FieldCondition {
        switch field.valueType {
        case .string, .bytes, .structure: return .strings(patterns(&random), isNegated: random.below(3) == 0)
        case .int: return numbers(isSigned: true, &random)
        case .bool, .uint, .double:
            guard random.below(4) == 0 else { return numbers(isSigned: false, &random) }
            let mask = number(&random)
            return .bits(mask: mask, value: random.below(2) == 0 ? mask : number(&random) & mask)
        }
    }

    static func patterns(_ random: inout SplitMix64) -> Set<StringPattern> {
        var patterns: Set<StringPattern> = []
        for _ in 0..<random.below(6) {
            let bytes = text(&random)
            let kinds: [StringPattern.Kind] = [.exact, .prefix, .suffix]
            patterns.insert(StringPattern(bytes.isEmpty ? .exact : kinds[random.below(3)], bytes))
        }
        if random.below(10) == 0 { patterns.insert(StringPattern(.contains, [0x61])) }
        return patterns
    }

    /// Ranges that are ascending and apart, as ``FieldCondition`` wants them.
    private static func numbers(isSigned: Bool, _ random: inout SplitMix64) -> FieldCondition {
        let turn: UInt64 = isSigned ? 1 << 63 : 0
        let ends = Set((0..<2 * random.below(4)).map { _ in number(&random) ^ turn }).sorted()
        var ranges: [ClosedRange<Int64>] = []
        var last: UInt64?
        for index in stride(from: 0, to: ends.count, by: 1 + random.below(2)) {
            let low = ends[index]
            let high = index + 1 < ends.count && random.below(2) == 0 ? ends[index + 1] : low
            if let last, low <= last || low - 1 <= last { continue }
            last = high
            if !isSigned, low < 1 << 63, high >= 1 << 63 {
                ranges.append(Int64(bitPattern: low)...Int64.max)
                ranges.append(Int64.min...Int64(bitPattern: high))
            } else {
                ranges.append(Int64(bitPattern: low ^ turn)...Int64(bitPattern: high ^ turn))
            }
        }
        return .numbers(ranges, isSigned: isSigned)
    }
}
