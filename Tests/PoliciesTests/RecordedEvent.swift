import CContract
import Catalog
import Events
import Foundation
import TestSupport

/// A line of Fixtures/recorded.json, and the record that it was made of but for what JSON does not show: addresses of
/// what was read, namespaces, the control group, the CPU.
struct RecordedEvent {
    let event: EventDefinition
    let record: RecordBuilder
    /// By field: what filters may be made of, as filters write it. Empty where there is nothing.
    let texts: [[String]]
    let name: String

    struct Wrong: Error, CustomStringConvertible {
        let description: String
    }

    /// All of them, in the file's order. It was made by the script beside it.
    static func load() throws -> [RecordedEvent] {
        let path = URL(filePath: #filePath).deletingLastPathComponent().appending(
            path: "Fixtures/recorded.json")
        let lines = try String(contentsOf: path, encoding: .utf8).split(separator: "\n")
        return try lines.map { line in
            do { return try RecordedEvent(line) } catch {
                throw Wrong(description: "\(error); record the events again: \(line)")
            }
        }
    }

    private typealias Object = [String: Any]

    private init(_ line: Substring) throws {
        let parsed = try JSONSerialization.jsonObject(with: Data(line.utf8))
        guard let object = parsed as? Object, let eventName = object["name"] as? String,
            let event = Catalog.builtIn[eventName],
            let process = (object["workload"] as? Object)?["process"] as? Object,
            let data = object["data"] as? [Object]
        else { throw Wrong(description: "no event of the catalogue") }
        self.event = event
        var record = RecordBuilder(values: event.fields.map { _ in 0 })
        var texts = [[String]](repeating: [], count: event.fields.count)
        for shown in data {
            guard let name = shown["name"] as? String,
                let index = event.fields.firstIndex(where: { $0.name == name })
            else { throw Wrong(description: "\(event.name) has no field \(shown["name"] ?? "")") }
            guard let value = shown.first(where: { $0.key != "name" })?.value else { continue }
            let field = try RecordedValue(event.fields[index].type, value)
            texts[index] = field.texts
            record.values[index] = field.bits ?? 0x7ffc_1000 + UInt64(index) << 6
            if let bytes = field.bytes {
                record.blobs.append(.init(field: UInt8(index), bytes: bytes, count: UInt16(field.count)))
            }
        }
        guard let thread = process["thread"] as? Object, let name = thread["name"] as? String else {
            throw Wrong(description: "no thread")
        }
        let parent = (process["ancestors"] as? [Object])?.first ?? [:]
        func number(_ object: Object, _ key: String) -> UInt32 {
            (object[key] as? NSNumber)?.uint32Value ?? 0
        }
        record.header.event = event.id.rawValue
        record.header.host_pid = number(process, "host_pid")
        record.header.pid = number(process, "pid")
        record.header.host_tid = number(thread, "host_tid")
        record.header.tid = number(thread, "tid")
        record.header.host_ppid = number(parent, "host_pid")
        record.header.ppid = number(parent, "pid")
        record.header.uid = number(process["real_user"] as? Object ?? [:], "id")
        let isCompat = thread["compat"] as? Bool ?? false
        record.header.flags = isCompat ? UInt8(APUS_RECORD_COMPAT) : 0
        record.header.syscall = -1
        if let call = thread["syscall"] as? String {
            guard case .systemCall(let number, let compatNumber, _)? = Catalog.builtIn[call]?.source,
                let number = isCompat ? compatNumber : number
            else { throw Wrong(description: "no system call \(call)") }
            record.header.syscall = Int32(number)
        }
        record.setName(Array(name.utf8.prefix(15)))
        self.name = name
        self.record = record
        self.texts = texts
    }
}

/// One field's value.
private struct RecordedValue {
    /// What the record's value is; nil where it is an address.
    var bits: UInt64?
    var bytes: [UInt8]?
    var count = 1
    var texts: [String] = []

    init(_ type: FieldType, _ value: Any) throws {
        let wrong = RecordedEvent.Wrong(description: "'\(value)' is no \(type.rawValue)")
        let object = value as? [String: Any] ?? [:]
        switch type {
        case .bool:
            guard let value = value as? Bool else { throw wrong }
            bits = value ? 1 : 0
            texts = ["\(value)"]
        case .int32, .uint32, .int64, .uint64, .uint16, .pointer, .time:
            let text = (value as? NSNumber)?.stringValue ?? value as? String ?? ""
            guard let value = Int64(text).map({ UInt64(bitPattern: $0) }) ?? UInt64(text) else { throw wrong }
            bits = value
            texts = [text]
        case .string:
            guard let text = value as? String else { throw wrong }
            bytes = Array(text.utf8)
            texts = [text]
        case .stringArray:
            guard let all = object["value"] as? [String] else { throw wrong }
            bytes = all.flatMap { Array($0.utf8) + [0] }
            count = all.count
            texts = all
        case .bytes:
            guard let data = Data(base64Encoded: value as? String ?? "") else { throw wrong }
            bytes = Array(data)
            texts = String(bytes: data, encoding: .utf8).map { [$0] } ?? []
        case .uint64Array:
            guard let all = object["value"] as? [String] else { throw wrong }
            bytes = all.flatMap { Self.bytes(UInt64($0) ?? 0) }
            texts = all
        case .int32Pair:
            guard let all = object["value"] as? [NSNumber], all.count == 2 else { throw wrong }
            bytes = all.flatMap { Self.bytes($0.int32Value) }
            texts = all.map(\.stringValue)
        case .timespec:
            guard let seconds = (object["value"] as? NSNumber)?.doubleValue else { throw wrong }
            let whole = seconds.rounded(.down)
            let nanoseconds = min(((seconds - whole) * 1e9).rounded(), 999_999_999)
            bytes = Self.bytes(Int64(whole)) + Self.bytes(Int64(nanoseconds))
            texts = ["\(Int64(whole))", "\(seconds)"]
        case .socketAddress:
            guard let (bytes, texts) = Self.address(object) else { throw wrong }
            self.bytes = bytes
            self.texts = texts
        case .credentials:
            (bytes, texts) = Self.credentials(object)
        }
    }

    private static func bytes<T: FixedWidthInteger & BitwiseCopyable>(_ value: T) -> [UInt8] {
        unsafe withUnsafeBytes(of: value) { unsafe Array($0) }
    }

    private static func address(_ object: [String: Any]) -> (bytes: [UInt8], texts: [String])? {
        guard let name = object["sa_family"] as? String,
            let family = (0..<UInt16(256)).first(where: { SocketAddress.familyName($0) == name })
        else { return nil }
        func number(_ key: String) -> UInt32 { (object[key] as? NSNumber)?.uint32Value ?? 0 }
        switch family {
        case 1:
            guard let path = object["sun_path"] as? String else { return nil }
            var bytes = Array(path.utf8)
            if bytes.first == UInt8(ascii: "@") { bytes[0] = 0 }
            return (Self.bytes(family) + bytes, [path])
        case 2:
            guard let text = object["sin_addr"] as? String else { return nil }
            let parts = text.split(separator: ".").compactMap { UInt8($0) }
            let port = UInt16(truncatingIfNeeded: number("sin_port"))
            guard parts.count == 4 else { return nil }
            return (
                Self.bytes(family) + Self.bytes(port.bigEndian) + parts + [UInt8](repeating: 0, count: 8),
                [text, "\(text):\(port)"]
            )
        case 10:
            guard let text = object["sin6_addr"] as? String else { return nil }
            var address = [UInt8](repeating: 0, count: 16)
            guard unsafe inet_pton(AF_INET6, text, &address) == 1 else { return nil }
            let port = UInt16(truncatingIfNeeded: number("sin6_port"))
            return (
                Self.bytes(family) + Self.bytes(port.bigEndian) + Self.bytes(number("sin6_flowinfo"))
                    + address
                    + Self.bytes(number("sin6_scopeid")), [text, "[\(text)]:\(port)"]
            )
        default: return (Self.bytes(family), [])
        }
    }

    private static func credentials(_ object: [String: Any]) -> (bytes: [UInt8], texts: [String]) {
        var bytes: [UInt8] = []
        var texts: [String] = []
        for name in Credentials.idNames {
            let id = (object["\(name)"] as? NSNumber)?.uint32Value ?? 0
            bytes += Self.bytes(id)
            texts.append("\(name)=\(id)")
        }
        for name in Credentials.capabilityNames {
            let held = Set(object["\(name)"] as? [String] ?? [])
            let set = (0..<64).reduce(UInt64(0)) { set, number in
                let isHeld = Credentials.name(ofCapability: number).map { held.contains("\($0)") } ?? false
                return isHeld ? set | 1 << UInt64(number) : set
            }
            bytes += Self.bytes(set)
            texts.append("\(name)=0x\(String(set, radix: 16))")
        }
        return (bytes, texts)
    }
}
