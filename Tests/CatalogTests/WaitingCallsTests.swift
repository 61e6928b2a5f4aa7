import Catalog
import Testing

/// The calls that wait for descriptors and for children, written out whole.
@Suite struct WaitingCallsTests {
    struct Expected: CustomTestStringConvertible, Sendable {
        let name: String
        let id: UInt32
        let number: Int?
        let compatNumber: Int?
        let sets: [String]
        /// `name: type TAGS`, then ` -> TAGS` for what an address points at.
        let fields: [String]
        var testDescription: String { name }
    }

    static let poll = ["syscalls", "fs", "fs_mux_io"]
    static let life = ["syscalls", "proc", "proc_life"]

    static let calls = [
        Expected(
            name: "epoll_pwait", id: 282, number: 281, compatNumber: 319, sets: poll,
            fields: [
                "epfd: int32 K", "events: pointer K -> U", "maxevents: int32 K",
                "timeout: int32 K", "sigmask: pointer K OPT -> U TOCTOU OPT",
                "sigsetsize: uint64 K", "returnValue: int64 K",
            ]),
        Expected(
            name: "waitid", id: 248, number: 247, compatNumber: 284, sets: life,
            fields: [
                "idtype: int32 K", "id: int32 K", "infop: pointer K OPT -> U OPT",
                "options: int32 K", "rusage: pointer K OPT -> U OPT", "returnValue: int64 K",
            ]),
        Expected(
            name: "epoll_wait", id: 233, number: 232, compatNumber: 256, sets: poll,
            fields: [
                "epfd: int32 K", "events: pointer K -> U", "maxevents: int32 K",
                "timeout: int32 K", "returnValue: int64 K",
            ]),
        Expected(
            name: "epoll_pwait2", id: 353, number: 441, compatNumber: 441, sets: poll,
            fields: [
                "fd: int32 K", "events: pointer K -> U", "maxevents: int32 K",
                "timeout: timespec U TOCTOU OPT", "sigset: pointer K OPT -> U TOCTOU OPT",
                "sigsetsize: uint64 K", "returnValue: int64 K",
            ]),
        Expected(
            name: "epoll_ctl", id: 234, number: 233, compatNumber: 255, sets: poll,
            fields: [
                "epfd: int32 K", "op: int32 K", "fd: int32 K",
                "event: pointer K OPT -> U TOCTOU OPT", "returnValue: int64 K",
            ]),
        Expected(
            name: "wait4", id: 62, number: 61, compatNumber: 114, sets: life,
            fields: [
                "pid: int32 K", "wstatus: pointer K OPT -> U OPT", "options: int32 K",
                "rusage: pointer K OPT -> U OPT", "returnValue: int64 K",
            ]),
        Expected(
            name: "waitpid", id: 361, number: nil, compatNumber: 7,
            sets: ["syscalls", "32bit_unique"],
            fields: [
                "pid: int32 K", "status: pointer K OPT -> U OPT", "options: int32 K",
                "returnValue: int64 K",
            ]),
    ]

    @Test(arguments: calls) func isAsExpected(_ call: Expected) throws {
        let event = try #require(Catalog.builtIn[call.name])
        #expect(event.id.rawValue == call.id)
        #expect(event.sets == call.sets)
        #expect(
            event.source
                == .systemCall(number: call.number, compatNumber: call.compatNumber, trait: nil))
        #expect(event.fields.map(Self.line) == call.fields)
    }

    @Test func theMaskIsAsLongAsTheCallerSays() throws {
        let event = try #require(Catalog.builtIn["epoll_pwait"])
        #expect(event.fields[4].length == .argument(5))
    }

    private static func line(_ field: FieldDefinition) -> String {
        let tags = field.provenance.tags.joined(separator: " ")
        let target = field.targetProvenance.map { " -> " + $0.tags.joined(separator: " ") } ?? ""
        return "\(field.name): \(field.type.rawValue) \(tags)\(target)"
    }
}
