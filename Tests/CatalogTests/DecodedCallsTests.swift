import Catalog
import Testing

/// How many system calls of x86-64 have all their arguments decoded: no bare address where strace shows what is there.
///
/// An argument is bare when it is a pointer that the call reads or writes through, and the catalogue has neither a
/// structure nor a length for it; or a number that may be an address. The forms of a call may say what it is instead.
@Suite struct DecodedCallsTests {
    /// Arguments that are bare, and that strace shows content of, by call.
    private static let bare = [
        "getdents": "entries differ in length, and strace tells their number",
        "getdents64": "entries differ in length, and strace tells their number",
        "mincore": "a byte for each page, and the length is in bytes",
        "sysctl": "removed in Linux 5.5",
    ]

    /// Calls of which the head of what strace shows is decoded, and the rest is not, as its length is nowhere but there.
    private static let heads = [
        "lsm_get_self_attr": "the context, and all contexts but the first",
        "lsm_set_self_attr": "the context",
        "mq_notify": "the value that is sent along",
        "msgrcv": "the text behind the type",
        "msgsnd": "the text behind the type",
        "name_to_handle_at": "the handle",
        "open_by_handle_at": "the handle",
        "statmount": "the text behind the numbers",
        "timer_create": "the value that is sent along",
    ]

    /// Arguments that strace shows the address of as well.
    private static let addresses: Set = [
        "clone.tls", "futex.uaddr", "futex.uaddr2", "futex_wait.uaddr", "kexec_load.entry",
        "map_shadow_stack.addr",
        "mseal.start",
        "set_mempolicy_home_node.start",
    ]

    /// Numbers that are addresses for some values of another argument.
    private static let perhapsAddresses: Set = [
        "arch_prctl.addr", "fcntl.arg", "ioctl.arg", "keyctl.arg2", "keyctl.arg3", "keyctl.arg4",
        "keyctl.arg5",
        "prctl.arg2", "semctl.arg",
    ]

    private static let calls = Catalog.builtIn.events.filter {
        if case .systemCall(_?, _, _) = $0.source { true } else { false }
    }

    private static func isBare(_ field: FieldDefinition, of call: String) -> Bool {
        guard field.structure == nil, field.length == nil else { return false }
        switch field.type {
        case .pointer: return field.direction != .opaque
        case .int64, .uint64:
            return field.symbols == "address"
                || field.symbols == nil && perhapsAddresses.contains("\(call).\(field.name)")
        default: return false
        }
    }

    /// Names of bare arguments.
    private static func bareArguments(_ call: EventDefinition) -> [String] {
        call.fields.indices.filter { index in
            let field = call.fields[index]
            guard isBare(field, of: call.name), !addresses.contains("\(call.name).\(field.name)") else {
                return false
            }
            let cases = call.forms?.cases ?? []
            // Some form says what it is.
            return !cases.contains { one in
                one.arguments.contains { $0.index == index && !isBare($0.field, of: call.name) }
            }
        }.map { call.fields[$0].name }
    }

    @Test func theListOfBareCallsIsThatOfTheCatalogue() {
        let found = Dictionary(uniqueKeysWithValues: Self.calls.map { ($0.name, Self.bareArguments($0)) })
            .filter { !$0.value.isEmpty }
        for (call, arguments) in found where Self.bare[call] == nil {
            Issue.record("\(call) has bare arguments: \(arguments)")
        }
        for call in Self.bare.keys where found[call] == nil {
            Issue.record("\(call) is decoded, and the list says that it is not")
        }
    }

    @Test func nearlyAllCallsAreDecoded() {
        let lacking = Set(Self.bare.keys).union(Self.heads.keys)
        let names = Set(Self.calls.map(\.name))
        #expect(lacking.isSubset(of: names))
        #expect(Set(Self.heads.keys).isDisjoint(with: Self.bare.keys))
        let decoded = names.subtracting(lacking).count
        #expect(Double(decoded) >= 0.95 * Double(names.count), "\(decoded) of \(names.count)")
        // What no kernel answers any more: all but sysctl and lookup_dcookie have no arguments. They count as they are, and
        // do not decide.
        let gone = Self.calls.filter { $0.about.contains(#/never implemented|removed from/#) }
        #expect(gone.count == 14)
        let alive = names.subtracting(gone.map(\.name))
        let ofThose = alive.subtracting(lacking).count
        #expect(Double(ofThose) >= 0.95 * Double(alive.count), "\(ofThose) of \(alive.count)")
    }

    @Test func listsNameWhatIsThere() {
        let arguments = Set(Self.calls.flatMap { call in call.fields.map { "\(call.name).\($0.name)" } })
        #expect(Self.addresses.isSubset(of: arguments))
        #expect(Self.perhapsAddresses.isSubset(of: arguments))
        #expect(Self.calls.count > 370)
    }
}
