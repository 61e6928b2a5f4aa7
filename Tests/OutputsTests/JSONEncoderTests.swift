import CContract
import Catalog
import Events
import Foundation
import TestSupport
import Testing

@testable import Outputs

/// Every event of the catalogue with values drawn at random, read back by another parser.
@Suite struct JSONEncoderTests {
    private static let policyNames = ["default", "second \"policy\"", "\u{1b}\n", "käse"]

    @Test func everyEventReadsBackAsItsRecord() throws {
        var random = SplitMix64(seed: 10)
        var path: [UInt8] = []
        let current = Current()
        var encoder = EventEncoder(
            clock: Clock(bootOffset: newYear), policyNames: Self.policyNames,
            executable: { _, _, _ in current.path })
        for definition in Catalog.builtIn.events {
            for _ in 0..<12 {
                path = random.text()
                current.path = path
                var record = Self.header(definition, &random)
                let data = Self.fields(definition, &record, &random)
                let line = jsonLine(record.build(), &encoder)
                try #require(line.last == 0x0a && line.count { $0 == 0x0a } == 1)
                let parsed = try JSONValue(parsing: line)
                let expected = Self.event(definition, record, path, data)
                let isEqual = parsed == expected
                #expect(isEqual, "\(definition.name): \(text(line))")
            }
        }
    }

    /// What the closure of the encoder answers, changed from outside.
    private final class Current {
        var path: [UInt8] = []
    }

    // MARK: The draw

    private static func header(
        _ definition: EventDefinition, _ random: inout SplitMix64
    ) -> RecordBuilder {
        var record = sampleRecord(definition.id, systemCall: -1)
        record.header.time = random.next() >> 12
        record.header.policies = random.next() & 15
        record.header.thread_start = random.next() >> 12
        record.header.process_start = random.next() >> 12
        record.header.parent_start = random.next() >> 12
        record.header.host_tid = UInt32(truncatingIfNeeded: random.number())
        record.header.host_pid = UInt32(truncatingIfNeeded: random.number())
        record.header.host_ppid = random.below(4) == 0 ? 0 : UInt32(random.below(70_000) + 1)
        record.header.tid = UInt32(truncatingIfNeeded: random.number())
        record.header.pid = UInt32(truncatingIfNeeded: random.number())
        record.header.ppid = UInt32(truncatingIfNeeded: random.number())
        record.header.uid = UInt32(truncatingIfNeeded: random.number())
        if case .systemCall(let number?, _, _) = definition.source {
            record.header.syscall = Int32(number)
        }
        record.setName(random.text(upTo: 16).map { $0 == 0 ? 1 : $0 })
        return record
    }

    /// Draws the values and gives the `data` that they must become.
    private static func fields(
        _ definition: EventDefinition, _ record: inout RecordBuilder, _ random: inout SplitMix64
    ) -> JSONValue {
        let present = random.below(8) == 0 ? random.below(definition.fields.count + 1) : 64
        var data: [JSONValue] = []
        for (index, field) in definition.fields.enumerated() {
            var members: [String: JSONValue] = ["name": .string(field.name)]
            if index < present {
                let value = random.number()
                record.values.append(value)
                if let (key, printed) = scalar(field.type, value) {
                    members[key] = printed
                } else if random.below(6) > 0 {
                    let sample = Sample(field.type, &random)
                    record.blobs.append(
                        .init(field: UInt8(index), bytes: sample.bytes, count: sample.count))
                    if let (key, printed) = sample.printed { members[key] = printed }
                }
            } else if field.provenance.contains(.agent) {
                continue
            }
            data.append(.object(members))
        }
        // A reader must not depend on the order of the blobs.
        record.blobs.shuffle(using: &random)
        return .array(data)
    }

    /// The member of a value that stands in the record itself.
    private static func scalar(_ type: FieldType, _ value: UInt64) -> (String, JSONValue)? {
        switch type {
        case .int32: ("int32", .integer(Int32(truncatingIfNeeded: value)))
        case .uint32: ("u_int32", .integer(UInt32(truncatingIfNeeded: value)))
        case .uint16: ("u_int32", .integer(UInt16(truncatingIfNeeded: value)))
        case .bool: ("bool", .integer(value == 0 ? 0 : 1))
        case .int64: ("int64", .string("\(Int64(bitPattern: value))"))
        case .uint64: ("u_int64", .string("\(value)"))
        case .pointer: ("pointer", .string("\(value)"))
        case .time: ("u_int64", .string("\(value &+ newYear)"))
        case .string, .stringArray, .socketAddress, .int32Pair, .timespec, .bytes, .uint64Array, .credentials:
            nil
        }
    }

    // MARK: What is expected around the fields

    private static func event(
        _ definition: EventDefinition, _ record: RecordBuilder, _ path: [UInt8], _ data: JSONValue
    ) -> JSONValue {
        let header = record.header
        let name = unsafe withUnsafeBytes(of: header.comm) { unsafe Array($0.prefix { $0 != 0 }) }
        var thread: [String: JSONValue] = [
            "start_time": .string(date(header.thread_start)), "name": .text(name),
            "unique_id": .integer(entityID(number: header.host_tid, start: header.thread_start)),
            "host_tid": .integer(header.host_tid), "tid": .integer(header.tid),
        ]
        if header.syscall >= 0 { thread["syscall"] = .string(definition.name) }
        var process: [String: JSONValue] = [
            "unique_id": .integer(entityID(number: header.host_pid, start: header.process_start)),
            "host_pid": .integer(header.host_pid), "pid": .integer(header.pid),
            "real_user": .object(["id": .integer(header.uid)]), "thread": .object(thread),
        ]
        if !path.isEmpty { process["executable"] = .object(["path": .text(path)]) }
        if header.host_ppid != 0 {
            let id = entityID(number: header.host_ppid, start: header.parent_start)
            process["ancestors"] = .array([
                .object([
                    "unique_id": .integer(id), "host_pid": .integer(header.host_ppid),
                    "pid": .integer(header.ppid),
                ])
            ])
        }
        var event: [String: JSONValue] = [
            "timestamp": .string(date(header.time)), "id": .integer(definition.id.rawValue),
            "name": .string(definition.name), "data": data,
            "workload": .object(["process": .object(process)]),
        ]
        let matched = policyNames.indices.filter { header.policies >> UInt64($0) & 1 == 1 }
        if !matched.isEmpty {
            let names = matched.map { JSONValue.string(policyNames[$0]) }
            event["policies"] = .object(["matched": .array(names)])
        }
        return .object(event)
    }

    private static func date(_ sinceBoot: UInt64) -> String {
        var cache = CachedSecond()
        return text(written { cache.append(sinceBoot + newYear, to: &$0) })
    }
}

/// Bytes behind a pointer, and what the output makes of them.
struct Sample {
    var bytes: [UInt8]
    var count: UInt16 = 1
    var printed: (String, JSONValue)?

    init(_ type: FieldType, _ random: inout SplitMix64) {
        bytes = []
        switch type {
        case .string:
            bytes = random.text(upTo: 200)
            printed = ("str", .text(bytes.last == 0 ? bytes.dropLast() : bytes))
        case .stringArray: strings(&random)
        case .int32Pair:
            let pair = [Int32(truncatingIfNeeded: random.next()), Int32(random.below(10))]
            bytes = pair.flatMap(Self.little)
            let isCut = random.below(5) == 0
            if isCut { bytes.removeLast(1 + random.below(8)) }
            if !isCut { printed = ("int32_array", Self.list(pair.map { .integer($0) })) }
        case .timespec: timespec(&random)
        case .socketAddress: address(&random)
        case .bytes:
            bytes = random.bytes(random.below(70))
            printed = ("bytes", .string(Data(bytes).base64EncodedString()))
        case .uint64Array:
            let words = (0..<random.below(5)).map { _ in random.number() }
            bytes = words.flatMap(Self.little) + random.bytes(random.below(3) == 0 ? random.below(8) : 0)
            printed = ("u_int64_array", Self.list(words.map { .string("\($0)") }))
        case .credentials: credentials(&random)
        case .int32, .uint32, .int64, .uint64, .uint16, .bool, .pointer, .time: break
        }
    }

    private mutating func credentials(_ random: inout SplitMix64) {
        var members: [String: JSONValue] = [:]
        let ids = "uid gid suid sgid euid egid fsuid fsgid user_namespace secure_bits".split(separator: " ")
        for name in ids {
            let id = UInt32(truncatingIfNeeded: random.number())
            bytes += Self.little(id)
            members[String(name)] = .integer(id)
        }
        for name in ["inheritable", "permitted", "effective", "bounding", "ambient"] {
            let set = random.number()
            bytes += Self.little(set)
            let names = (0..<64).filter { set >> $0 & 1 == 1 }.compactMap {
                Credentials.name(ofCapability: $0)
            }
            members["cap_\(name)"] = .array(names.map { .string($0.description) })
        }
        if random.below(4) == 0 {
            bytes.removeLast(1 + random.below(bytes.count))
        } else {
            printed = ("credentials", .object(members))
            // A later contract may have more.
            bytes += random.bytes(random.below(9))
        }
    }

    private mutating func strings(_ random: inout SplitMix64) {
        var texts: [[UInt8]] = []
        for _ in 0..<random.below(5) { texts.append(random.text().map { $0 == 0 ? 1 : $0 }) }
        bytes = Array(texts.map { $0 + [0] }.joined())
        count = UInt16(texts.count + (random.below(8) == 0 ? random.below(9) : 0))
        printed = ("str_array", Self.list(texts.map { .text($0) }))
    }

    private mutating func timespec(_ random: inout SplitMix64) {
        let seconds = Int64(random.below(1 << 31))
        let nanoseconds = Int64(random.below(1_000_000_000))
        let digits = String("\(1_000_000_000 + nanoseconds)".dropFirst())
        switch random.below(4) {
        case 0:
            bytes = Self.little(Int32(seconds)) + Self.little(Int32(nanoseconds))
        case 1:
            bytes = Self.little(random.next()) + Self.little(random.next())
            let (first, second) = (Self.word(bytes, 0), Self.word(bytes, 8))
            if first < 0 || !(0..<1_000_000_000).contains(second) {
                printed = (
                    "timespec", .object(["value": .number(Double(first) + Double(second) / 1e9)])
                )
                return
            }
            bytes = Self.little(seconds) + Self.little(nanoseconds)
        case 2:
            bytes = random.bytes([0, 1, 7, 9, 15][random.below(5)])
            return
        default: bytes = Self.little(seconds) + Self.little(nanoseconds)
        }
        printed = ("timespec", .object(["value": .number(Double("\(seconds).\(digits)") ?? 0)]))
    }

    private mutating func address(_ random: inout SplitMix64) {
        var members: [String: JSONValue] = [:]
        switch random.below(5) {
        case 0:
            let four = random.bytes(4)
            bytes = [2, 0, 0x12, 0x34] + four + [UInt8](repeating: 0, count: 8)
            members["sa_family"] = .string("AF_INET")
            members["sin_addr"] = .string(four.map { "\($0)" }.joined(separator: "."))
            members["sin_port"] = .integer(0x1234)
        case 1:
            let half = random.bytes(8).map { $0 | 0x10 }
            bytes = [10, 0, 0, 80, 0, 0, 1, 0] + half + [0, 0, 0, 0, 0, 0, 0, 1, 5, 0, 0, 0]
            let groups = stride(from: 0, to: 8, by: 2).map {
                String(Int(half[$0]) << 8 | Int(half[$0 + 1]), radix: 16)
            }
            members["sa_family"] = .string("AF_INET6")
            members["sin6_addr"] = .string(groups.joined(separator: ":") + "::1")
            members["sin6_port"] = .integer(80)
            members["sin6_flowinfo"] = .integer(256)
            members["sin6_scopeid"] = .integer(5)
        case 2:
            let path = random.text().map { $0 == 0 ? 1 : $0 }
            bytes = [1, 0] + path + [0]
            members = ["sa_family": .string("AF_UNIX"), "sun_path": .text(path)]
        case 3:
            let name = random.text() + [1]
            bytes = [1, 0, 0] + name
            members = ["sa_family": .string("AF_UNIX"), "sun_path": .text([0x40] + name)]
        default:
            bytes = Array([16, 0, 1, 2, 3].prefix(random.below(6)))
            if bytes.count < 2 { return }
            members = ["sa_family": .string("AF_NETLINK")]
        }
        printed = ("sockaddr", .object(members))
    }

    private static func list(_ values: [JSONValue]) -> JSONValue {
        .object(["value": .array(values)])
    }

    private static func little<T: FixedWidthInteger>(_ value: T) -> [UInt8] {
        (0..<T.bitWidth / 8).map { UInt8(truncatingIfNeeded: value >> T($0 * 8)) }
    }

    private static func word(_ bytes: [UInt8], _ at: Int) -> Int64 {
        Int64(bitPattern: bytes[at..<at + 8].reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) })
    }
}
