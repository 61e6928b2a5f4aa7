import Catalog
import Foundation
import Testing

/// One row of the reference table, whose columns are those of its header.
struct ReferenceEvent {
    let name: String
    let id: UInt32
    let number: Int?
    let compatNumber: Int?
    let sets: [String]
    let fields: [(name: String, type: String)]

    static func load() throws -> [ReferenceEvent] {
        let path = URL(filePath: #filePath).deletingLastPathComponent()
            .appending(path: "Fixtures/reference-events.tsv")
        let lines = try String(contentsOf: path, encoding: .utf8).split(separator: "\n")
        try #require(lines.first == "name\tid\tx86_64\ti386\tsets\tfields")
        return try lines.dropFirst().map { try ReferenceEvent($0) }
    }

    private init(_ line: Substring) throws {
        let columns = line.split(separator: "\t", omittingEmptySubsequences: false)
        try #require(columns.count == 6, "\(line)")
        name = String(columns[0])
        id = try #require(UInt32(columns[1]))
        number = Int(columns[2])
        compatNumber = Int(columns[3])
        try #require(number != nil || columns[2] == "-", "\(line)")
        try #require(compatNumber != nil || columns[3] == "-", "\(line)")
        sets = columns[4].split(separator: ",").map(String.init)
        fields = try columns[5].split(separator: ",").map { field in
            let halves = field.split(separator: ":")
            try #require(halves.count == 2, "\(line)")
            return (String(halves[0]), String(halves[1]))
        }
    }

    var isSystemCall: Bool { number != nil || compatNumber != nil }

    /// The catalogue's spelling of a type of the reference.
    func fieldType(_ spelling: String) -> FieldType? {
        switch spelling {
        case "trace.Pointer": .pointer
        case "SockAddr": .socketAddress
        case "[2]int": .int32Pair
        case "[]string": .stringArray
        case "time.Time": .time
        case "[]byte": .bytes
        case "[]uint64": .uint64Array
        case "trace.SlimCred": .credentials
        case "uint8": .uint16
        case "float64": isSystemCall ? .timespec : nil
        case "int32", "uint32", "int64", "uint64", "uint16", "bool", "string":
            FieldType(rawValue: spelling)
        default: nil
        }
    }
}

@Suite struct ReferenceTests {
    /// Fields of ours behind those of the reference.
    static let further = [
        "process_execute_failed": ["returnValue: int64"],
        // Arguments of calls that the reference leaves out stand where calls have them, in front of what they return.
        "close_range": ["flags: uint32"], "epoll_pwait2": ["sigsetsize: uint64"],
        "io_uring_enter": ["sigsz: uint64"], "membarrier": ["cpu_id: int32"],
        // Those of --enrichment the reference adds too, but does not declare.
        "sched_process_exec": ["capabilities: uint64", "links: uint32", "sha256: string"],
        "shared_object_loaded": ["sha256: string"],
    ]
    /// Events of ours beside the system calls that the reference lacks.
    static let own: [String: UInt32] = [
        "io_uring_submit": 10900, "syscall_mismatch": 10901, "lost_events": 10902, "rate_limit": 10903,
        "signal_deliver": 10904,
    ]

    @Test func everyRowIsInTheCatalogueAsItStands() throws {
        let reference = try ReferenceEvent.load()
        #expect(reference.count == 526)
        for row in reference {
            let event = try #require(Catalog.builtIn[row.name], "\(row.name) is missing")
            #expect(event.id.rawValue == row.id, "\(row.name)")
            #expect(event.sets == row.sets, "\(row.name)")
            switch event.source {
            case .systemCall(let number, let compatNumber, _):
                #expect(row.isSystemCall, "\(row.name)")
                #expect(number == row.number, "\(row.name)")
                #expect(compatNumber == row.compatNumber, "\(row.name)")
            case .hooks:
                #expect(!row.isSystemCall, "\(row.name)")
            case .agent:
                let told = [
                    "init_namespaces", "tracee_info", "container_create", "container_remove",
                    "existing_container",
                ]
                #expect(told.contains(row.name))
            }
            // What a call returns is the last field, also behind further ones.
            let known = row.isSystemCall ? row.fields.count - 1 : row.fields.count
            let further = event.fields.count - row.fields.count
            let fields =
                event.fields.prefix(known) + event.fields.suffix(row.isSystemCall ? 1 : 0)
            #expect(fields.map(\.name) == row.fields.map(\.name), "\(row.name)")
            #expect(
                event.fields.dropFirst(known).prefix(further).map { "\($0.name): \($0.type.rawValue)" }
                    == Self.further[row.name, default: []], "\(row.name)")
            for (field, expected) in zip(fields, row.fields) {
                let type = try #require(row.fieldType(expected.type), "\(row.name): \(expected)")
                #expect(field.type == type, "\(row.name).\(field.name)")
            }
        }
    }

    @Test func whatTheReferenceLacksIsANewerSystemCallOrOurOwn() throws {
        let known = Set(try ReferenceEvent.load().map(\.name))
        #expect(Self.own.keys.allSatisfy { Catalog.builtIn[$0] != nil && !known.contains($0) })
        for event in Catalog.builtIn.events where !known.contains(event.name) {
            if let id = Self.own[event.name] {
                #expect(event.id.rawValue == id, "\(event.name)")
                continue
            }
            guard case .systemCall(let number?, _, _) = event.source else {
                Issue.record("\(event.name) is neither in the reference nor an x86-64 call")
                continue
            }
            #expect(number == 335 || number == 336 || number > 448, "\(event.name)")
            #expect(event.id.rawValue == 10000 + UInt32(number), "\(event.name)")
        }
    }
}
