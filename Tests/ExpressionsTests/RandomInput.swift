import CContract
import Catalog
import Expressions
import TestSupport

/// Records of an event with values that filters may hit.
enum RandomRecord {
    static func make(_ event: EventDefinition, _ random: inout SplitMix64) -> RecordBuilder {
        var record = RecordBuilder(event)
        for index in event.fields.indices {
            record.values[index] = random.below(2) == 0 ? UInt64(random.below(5)) : random.number()
            let bytes = blob(event.fields[index].type, &random)
            if !bytes.isEmpty, random.below(5) > 0 {
                record.blobs.append(
                    .init(field: UInt8(index), bytes: bytes, count: UInt16(random.below(4))))
            }
        }
        if random.below(20) == 0 { record.values.removeLast(random.below(record.values.count + 1)) }
        record.header.cpu = UInt16(random.below(3))
        record.header.pid = UInt32(random.below(4))
        record.header.host_pid = UInt32(truncatingIfNeeded: random.number())
        record.header.uid = UInt32(random.below(3))
        record.header.cgroup_id = random.number()
        record.header.time = random.number()
        record.header.syscall = Int32(random.below(6)) - 1
        record.header.flags = UInt8(random.below(2))
        record.setName(text(&random))
        return record
    }

    static func text(_ random: inout SplitMix64) -> [UInt8] {
        (0..<random.below(5)).map { _ in UInt8(ascii: "a") + UInt8(random.below(3)) }
    }

    private static func blob(_ type: FieldType, _ random: inout SplitMix64) -> [UInt8] {
        switch type {
        case .string: text(&random) + (random.below(4) == 0 ? [0] : [])
        case .stringArray: text(&random) + [0] + text(&random) + [0]
        case .bytes, .uint64Array, .credentials, .int32Pair, .timespec: random.bytes(random.below(100))
        case .socketAddress: [UInt8([1, 2, 10, 16][random.below(4)]), 0] + random.bytes(random.below(30))
        case .int32, .uint32, .int64, .uint64, .uint16, .bool, .pointer, .time: []
        }
    }
}

/// Filters of an event, not all of which are right.
enum RandomFilter {
    static func make(_ event: EventDefinition, _ record: RecordBuilder, _ random: inout SplitMix64) -> String
    {
        let identities = [
            "uid", "pid", "hostPid", "cgroupId", "comm", "syscall", "processorId", "timestamp", "host",
        ]
        guard random.below(3) > 0, let index = event.fields.indices.randomElement(using: &random) else {
            let name = identities[random.below(identities.count)]
            let number = name == "hostPid" ? "\(record.header.host_pid)" : "\(random.below(4))"
            return name + operation(&random) + (name == "comm" ? pattern(&random) : number)
        }
        let field = event.fields[index]
        let name = "data." + field.name
        switch field.type {
        case .bool: return name + ["", "=true", "!=true", "=false"][random.below(4)]
        case .string, .stringArray, .bytes, .credentials, .socketAddress, .timespec:
            return name + ["=", "!="][random.below(2)] + list(&random) { pattern(&$0) }
        case .int32, .uint32, .int64, .uint64, .uint16, .pointer, .time, .uint64Array, .int32Pair:
            let value = index < record.values.count ? record.values[index] : 0
            return name + operation(&random)
                + list(&random) { random in
                    switch random.below(6) {
                    case 0: "\(random.below(5))*"
                    case 1: "\(value)"
                    case 2: "\(Int32(truncatingIfNeeded: value))"
                    case 3: "\(Int64(bitPattern: random.number()))"
                    default: "\(random.below(5))"
                    }
                }
        }
    }

    private static func operation(_ random: inout SplitMix64) -> String {
        ["=", "!=", "<", ">", "<=", ">="][random.below(6)]
    }

    private static func pattern(_ random: inout SplitMix64) -> String {
        let text = String(decoding: RandomRecord.text(&random), as: UTF8.self)
        return (random.below(3) == 0 ? "*" : "") + text + (random.below(3) == 0 ? "*" : "")
    }

    private static func list(_ random: inout SplitMix64, _ one: (inout SplitMix64) -> String) -> String {
        (0..<(random.below(3) == 0 ? 1 + random.below(4) : 1)).map { _ in one(&random) }.joined(
            separator: ",")
    }
}
