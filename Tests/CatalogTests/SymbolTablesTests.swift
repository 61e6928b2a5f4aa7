import Catalog
import Testing

/// The catalogue names tables of constants, and `Catalog/symbols` has them.
@Suite struct SymbolTablesTests {
    private struct Tables {
        var names: [String] = []
        /// Those that print a field of another.
        var inner: Set<String> = []
        /// Of members of structures, and those that code asks for.
        var elsewhere: Set<String> = []
        /// Names that stand where tables do and are none: code has their words.
        var ways: Set<String> = []

        init() throws {
            let files = try PackageFile.all()
            for file in files {
                if file.path.hasSuffix(".events") {
                    for found in file.code.matches(of: #/\nmember \S+ +(?!pointer)[^\n<]*<(\w+)>/#) {
                        elsewhere.insert(String(found.1))
                    }
                } else if file.path.hasPrefix("Sources/") {
                    for found in file.code.matches(of: #/SymbolTable\.named\("(\w+)"\)/#) {
                        elsewhere.insert(String(found.1))
                    }
                }
                if file.path == "Sources/Outputs/NumberWords.swift" {
                    let list = file.code.firstMatch(of: #/ways: \[String: NumberWords\] = \[([^\]]*)\]/#)
                    for found in try #require(list).1.matches(of: #/"(\w+)":/#) {
                        ways.insert(String(found.1))
                    }
                    for found in file.code.matches(of: #/ name == "(\w+)"/#) { ways.insert(String(found.1)) }
                }
            }
            let tables = files.filter { $0.path.hasPrefix("Catalog/symbols/") }
            for line in tables.flatMap({ $0.code.split(separator: "\n") }) {
                let words = line.prefix { $0 != "#" }.split(separator: " ").map(String.init)
                if words.first == "table" { names.append(try #require(words.count > 1 ? words[1] : nil)) }
                if words.first == "field", words.count == 4, words[2] == "table" { inner.insert(words[3]) }
            }
        }
    }

    private static let fields = Catalog.builtIn.events.flatMap { event in
        event.fields.map { (place: "\(event.name).\($0.name)", field: $0) }
    }

    /// Besides those of its arguments.
    private static let tablesOfForms = Set(
        FormsTests.all.flatMap { [$0.forms.table] + $0.forms.cases.compactMap(\.result) }
    ).subtracting([FieldDefinition.descriptor])

    @Test func whatTheCatalogueNamesIsThere() throws {
        let tables = try Tables()
        let names = Set(tables.names)
        #expect(names.count > 100)
        let unknown = tables.elsewhere.subtracting(names).subtracting(tables.ways)
        #expect(unknown.isEmpty)
        #expect(Self.tablesOfForms.isSubset(of: names.union(tables.ways)))
        for (place, field) in Self.fields + FormsTests.arguments {
            guard let table = field.symbols else { continue }
            let isThere = names.contains(table) || tables.ways.contains(table)
            #expect(isThere, "\(place) names \(table)")
        }
    }

    /// A way would hide a table of its name, and one that nothing names says nothing.
    @Test func waysAreNoTables() throws {
        let tables = try Tables()
        #expect(tables.ways.isSuperset(of: ["mode", "dir_fd"]))
        #expect(tables.ways.isDisjoint(with: tables.names))
        let named = tables.elsewhere.union((Self.fields + FormsTests.arguments).compactMap(\.field.symbols))
        for way in tables.ways {
            let isNamed = named.contains(way)
            #expect(isNamed, "nothing is said by \(way)")
        }
    }

    @Test func tablesOfMembersAreRead() throws {
        let members = (Self.fields + FormsTests.arguments).flatMap { $0.field.structure?.members ?? [] }
        let named = Set(members.compactMap(\.symbols))
        #expect(named.count > 10)
        #expect(named.isSubset(of: try Tables().elsewhere))
    }

    @Test func noTableIsIdle() throws {
        let tables = try Tables()
        #expect(Set(tables.names).count == tables.names.count)
        let used = Set((Self.fields + FormsTests.arguments).compactMap(\.field.symbols)).union(tables.inner)
            .union(tables.elsewhere).union(Self.tablesOfForms)
        for name in tables.names {
            let isUsed = used.contains(name)
            #expect(isUsed, "nothing uses the table \(name)")
        }
        #expect(tables.inner.isSubset(of: tables.names))
    }

    @Test(arguments: [
        ("open.flags", "open_flags"), ("mmap.prot", "mmap_prot"), ("mmap2.flags", "mmap_flags"),
        ("clone.flags", "clone_flags"), ("kill.sig", "signal"), ("faccessat2.mode", "access_mode"),
        ("faccessat2.flag", "at_flags_access"), ("unlinkat.flags", "at_flags_unlink"),
        ("cap_capable.cap", "capability"), ("security_bpf.cmd", "bpf_command"),
        ("sched_process_exec.stdin_type", "file_type"), ("security_socket_create.type", "socket_type"),
        ("open.mode", "permissions"), ("mknod.mode", "mode"), ("openat.dirfd", "dir_fd"),
        ("open.returnValue", "errno"),
    ])
    func aNumberHasItsTable(_ place: String, _ table: String) {
        let field = Self.fields.first { $0.place == place }?.field
        #expect(field?.symbols == table)
    }

    /// Names that an argument has when it is a constant or flags.
    private static let telling: Set = [
        "advice", "clockid", "cmd", "domain", "flag", "flags", "how", "idtype", "level", "mode", "op",
        "opcode",
        "operation", "optname", "option", "options", "policy", "prot", "protocol", "request", "resource",
        "sig",
        "signum", "type", "which", "whence",
    ]

    /// What is called like that and has no table, by the reason.
    private static let withoutNames: [String: Set<String>] = [
        "the kernel knows no flags yet": [
            "copy_file_range.flags", "pkey_alloc.flags", "pidfd_getfd.flags", "process_madvise.flags",
            "process_mrelease.flags", "process_vm_readv.flags", "process_vm_writev.flags",
            "sched_setattr.flags",
            "futex_waitv.flags", "set_mempolicy_home_node.flags", "cachestat.flags", "futex_requeue.flags",
            "lsm_set_self_attr.flags", "lsm_list_modules.flags", "mseal.flags", "listns.flags",
        ],
        "the kernel's call has no such argument, so it is what the register had": [
            "fchmodat.flags", "faccessat.flags", "eventfd.flags",
        ],
        "the kernel takes it for the size of the mask": ["signalfd.flags"],
        "the constants have no names": ["sysfs.option", "iopl.level"],
        "offset and length take two registers each, so it is in none that is read": ["fadvise64_64.advice"],
        "another argument says which table": [
            "socket.protocol", "socketpair.protocol", "security_socket_create.protocol", "setsockopt.optname",
            "getsockopt.optname", "security_socket_setsockopt.optname",
        ],
    ]

    @Test func constantsHaveNamesUnlessThereIsAReason() {
        var excused = Self.withoutNames.values.reduce(into: Set<String>()) { $0.formUnion($1) }
        for (place, field) in Self.fields where field.symbols == nil {
            // Permissions are 16 bits wide, and no other mode is.
            let isPermissions = field.name == "mode" && field.type == .uint16
            let isNumber = [.int32, .uint32, .int64, .uint64, .uint16].contains(field.type)
            if !isNumber || isPermissions || !Self.telling.contains(field.name) { continue }
            let reason = excused.remove(place)
            #expect(reason != nil, "\(place) has no table of constants, and no reason")
        }
        #expect(excused.isEmpty, "these have a table or are gone: \(excused.sorted())")
    }
}
