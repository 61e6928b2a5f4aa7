import Testing

@testable import Catalog

/// Which arguments and results of system calls the catalogue says to be descriptors.
@Suite struct DescriptorTests {
    private static let calls = Catalog.builtIn.events.filter {
        if case .systemCall = $0.source { true } else { false }
    }

    /// Numbers that have such a name and are none, by the reason.
    private static let others: [String: Set<String>] = [
        "a descriptor of another process": ["pidfd_getfd.targetfd"],
        "perhaps the number of a ring": ["io_uring_register.fd"],
    ]

    @Test func argumentsThatAreCalledSo() {
        let others = Self.others.values.reduce(into: Set<String>()) { $0.formUnion($1) }
        var seen: Set<String> = []
        for call in Self.calls {
            for field in call.fields.dropLast() {
                let isNumber = [.int32, .uint32, .int64, .uint64].contains(field.type)
                let name = field.name
                guard isNumber, name.hasSuffix("fd") || name.hasPrefix("fd_") || name == "mqdes" else {
                    continue
                }
                let place = "\(call.name).\(name)"
                #expect(field.isDescriptor != others.contains(place), "\(place)")
                seen.insert(place)
            }
        }
        #expect(seen.count > 120)
        #expect(others.isSubset(of: seen))
    }

    @Test func directoriesAreDescriptors() throws {
        let openat = try #require(Catalog.builtIn["openat"])
        #expect(openat.fields[0].isDescriptor && openat.fields[0].isDirectory)
        let read = try #require(Catalog.builtIn["read"])
        #expect(read.fields[0].isDescriptor && !read.fields[0].isDirectory)
        #expect(!read.fields[2].isDescriptor)
    }

    /// What they return by their names, in a row's result or in a form's.
    @Test func results() throws {
        let names = Set(Self.calls.filter { $0.result != nil }.map(\.name))
        for call in Self.calls where call.result != nil { #expect(call.result == FieldDefinition.descriptor) }
        #expect(
            names.isSuperset(of: [
                "open", "openat", "openat2", "creat", "dup", "dup2", "dup3", "socket", "accept", "accept4",
                "epoll_create1", "eventfd2", "memfd_create", "pidfd_open", "pidfd_getfd", "mq_open",
            ]))
        #expect(names.isDisjoint(with: ["fcntl", "read", "close", "pipe2", "bpf"]))
        func form(_ call: String, _ name: String) throws -> CallCase? {
            try #require(Catalog.builtIn[call]?.forms).cases.first { $0.names.contains(name) }
        }
        for (call, name) in [
            ("fcntl", "F_DUPFD"), ("fcntl", "F_DUPFD_CLOEXEC"), ("bpf", "BPF_OBJ_GET"),
            ("landlock_create_ruleset", "0"), ("ioctl", "KVM_CREATE_VM"),
        ] {
            #expect(try form(call, name)?.result == FieldDefinition.descriptor, "\(call) \(name)")
        }
        for (call, name) in [("fcntl", "F_GETFD"), ("bpf", "BPF_OBJ_PIN"), ("ioctl", "KVM_RUN")] {
            let form = try #require(try form(call, name))
            #expect(form.result != FieldDefinition.descriptor, "\(call) \(name)")
        }
    }

    /// In structures that calls take; others are said to be none by the reason.
    @Test func membersThatAreCalledSo() {
        let others: Set<String> = [
            // Of another process.
            "bpf_task_fd_query.task_fd_query.fd", "kcmp_epoll_slot.efd", "kcmp_epoll_slot.tfd",
            "io_uring_sync_cancel.fd",  // perhaps the number of a file of the ring
            "clone_args.pidfd",  // where one is written to
            // As strace has them.
            "kvm_irqfd.fd", "kvm_irqfd.resamplefd", "kvm_ioeventfd.fd", "kvm_create_device.fd",
            "statmount_request.mnt_ns_fd", "listmount_request.mnt_ns_fd",
        ]
        var structures: [String: StructureDefinition] = [:]
        func add(_ structure: StructureDefinition?) {
            guard let structure, structures[structure.name] == nil else { return }
            structures[structure.name] = structure
            for member in structure.members { add(member.structure) }
        }
        for call in Self.calls {
            for field in call.fields + (call.forms?.cases.flatMap { $0.arguments.map(\.field) } ?? []) {
                add(field.structure)
            }
        }
        var seen: Set<String> = []
        for structure in structures.values {
            for member in structure.members where member.name.hasSuffix("fd") {
                let place = "\(structure.name).\(member.name)"
                #expect(member.isDescriptor != others.contains(place), "\(place)")
                seen.insert(place)
            }
        }
        #expect(seen.count > 30)
        #expect(others.subtracting(seen).isEmpty)
        for place in ["iocb.aio_fildes", "descriptor.", "fd_set.", "io_uring_ring.data"] {
            let parts = place.split(separator: ".", omittingEmptySubsequences: false)
            let member = structures[String(parts[0])]?.members.first { $0.name == parts[1] }
            #expect(member?.isDescriptor == true, "\(place)")
        }
    }

    /// The kernel's programs take what calls write there for descriptors.
    @Test func pairsAreDescriptors() {
        let pairs = Self.calls.flatMap { call in
            call.fields.filter { $0.type == .int32Pair }.map { "\(call.name).\($0.name)" }
        }
        #expect(Set(pairs) == ["pipe.pipefd", "pipe2.pipefd", "socketpair.sv"])
    }
}
