internal import CLibbpf
internal import CSystem
internal import Catalog
internal import Glibc

/// An object in the kernel with what is attached of it. Torn down in this order: hooks first, so that
/// nothing writes any more.
final class LoadedPrograms {
    /// Of the programs that write to the lifecycle ring.
    private var essential: [Box<Link>] = []
    private var links: [Box<Link>] = []
    /// Perf events of tracepoints and kprobes.
    private var events: [Box<OwnedDescriptor>] = []
    let object: BPFObject
    let programs: Set<String>

    /// - Parameters:
    ///   - prepare: sets constants and sizes, before loading.
    ///   - multiPrograms: of them, those to be attached by a multiple kprobe.
    init(
        _ programs: Set<String>, multiPrograms: Set<String> = [],
        prepare: (borrowing BPFObject) throws(ProbeError) -> Void
    )
        throws(LoadError)
    {
        self.programs = programs
        do {
            object = try BPFObject()
            try prepare(object)
            for program in multiPrograms { try object.setMulti(program) }
        } catch {
            throw .other(error)
        }
        try object.load(programs: programs)
    }

    /// Detaches what writes to the lifecycle ring, which takes the kernel milliseconds.
    func detachEssential() { essential.removeAll() }

    /// Detaches everything. Before 7.x the kernel takes up to 0.15 s for each function's trampoline or
    /// kprobe, one after the other, so that is left to a process of its own, which ends when it is done.
    func detach() {
        var descriptors = events.map { $0.value.raw }
        for link in links { descriptors.append(link.value.descriptor) }
        let keeper = unsafe apus_keep_descriptors(&descriptors, descriptors.count)
        essential.removeAll()
        links.removeAll()
        events.removeAll()
        if keeper >= 0 { close(keeper) }
    }

    func attach(_ plan: SensorPlan) throws(LoadError) {
        for name in plan.essential {
            do { essential.append(Box(try object.attach(name))) } catch { throw .other(error) }
        }
        if plan.usesSingleHooks {
            // Exits first: an entry without its exit would keep what it read.
            for isExit in [true, false] {
                let names = plan.calls.filter { isExit || $0.needsEntry }.map(\.name)
                if names.isEmpty { continue }
                do {
                    try attach(
                        isExit ? "one_syscall_exit" : "one_syscall_enter", toCalls: names, isExit: isExit)
                } catch {
                    throw .other(error)
                }
            }
        }
        let attachments = plan.attachments
        do {
            try attachMulti(attachments.filter(\.isMulti))
        } catch {
            throw .program(SensorPlan.multiDispatcher, reason: error.description)
        }
        for attachment in attachments where !attachment.isMulti {
            do {
                try attach(attachment)
            } catch {
                throw .program(attachment.programs[0], reason: error.description)
            }
        }
    }

    /// Puts the programs into the dispatcher's table and attaches it to all functions: returns first, as an
    /// entry whose return is not seen would keep its arguments.
    private func attachMulti(_ attachments: [Attachment]) throws(ProbeError) {
        guard !attachments.isEmpty else { return }
        let dispatcher = try object.program(SensorPlan.multiDispatcher)
        let table = try object.mapDescriptor("multi_programs")
        var entries: [(address: UInt64, cookie: UInt64)] = []
        var returns = entries
        var places: [String: UInt64] = [:]
        func place(_ program: String) throws(ProbeError) -> UInt64 {
            if let place = places[program] { return place }
            var key = UInt32(places.count)
            var descriptor = try object.program(program)
            let status = unsafe bpf_map_update_elem(table, &key, &descriptor, 0)
            guard status == 0 else {
                throw ProbeError("\(program) cannot be dispatched to: \(BPFObject.errnoText(-status))")
            }
            places[program] = UInt64(key)
            return UInt64(key)
        }
        for case .multi(let entry, let exit, let addresses) in attachments {
            for address in addresses {
                entries.append((address, try place(entry)))
                if let exit { returns.append((address, try place(exit))) }
            }
        }
        try attach(dispatcher, to: returns, isReturn: true)
        try attach(dispatcher, to: entries, isReturn: false)
    }

    /// A function may have several programs: each attachment takes it once.
    private func attach(
        _ dispatcher: Int32, to functions: [(address: UInt64, cookie: UInt64)], isReturn: Bool
    ) throws(ProbeError) {
        var rest = functions
        while !rest.isEmpty {
            var seen: Set<UInt64> = []
            var later: [(address: UInt64, cookie: UInt64)] = []
            var addresses: [UInt64] = []
            var cookies: [UInt64] = []
            for function in rest {
                if seen.insert(function.address).inserted {
                    addresses.append(function.address)
                    cookies.append(function.cookie)
                } else {
                    later.append(function)
                }
            }
            let link = unsafe apus_attach_multi(
                dispatcher, addresses, cookies, UInt32(addresses.count), isReturn)
            guard link >= 0 else {
                throw ProbeError("the functions cannot be hooked at once: \(BPFObject.errnoText(-link))")
            }
            events.append(Box(OwnedDescriptor(link)))
            rest = later
        }
    }

    private func attach(_ attachment: Attachment) throws(ProbeError) {
        switch attachment {
        case .tracepoint(let program), .trampoline(let program, _):
            links.append(Box(try object.attach(program)))
        case .calls(let program, let isExit, let names):
            try attach(program, toCalls: names, isExit: isExit)
        case .multi: break  // all at once, above
        case .kprobe(let entry, let exit, let function, let addresses):
            // The return first: an entry whose return is not seen would keep its arguments.
            if let exit { try attach(exit, toFunction: function, addresses, isReturn: true) }
            try attach(entry, toFunction: function, addresses, isReturn: false)
        }
    }

    private func attach(_ program: String, toCalls names: [String], isExit: Bool) throws(ProbeError) {
        let descriptor = try object.program(program)
        let tracefs = try Tracefs()
        for name in names {
            let event = apus_attach_tracepoint(descriptor, try tracefs.tracepointID(name, isExit: isExit))
            guard event >= 0 else {
                throw ProbeError(
                    "the tracepoint of \(name) cannot be attached: \(BPFObject.errnoText(-event))")
            }
            events.append(Box(OwnedDescriptor(event)))
        }
    }

    /// By name where there is one such function, so that hidden addresses do no harm.
    private func attach(_ program: String, toFunction name: String, _ addresses: [UInt64], isReturn: Bool)
        throws(ProbeError)
    {
        let descriptor = try object.program(program)
        for address in addresses {
            let event =
                unsafe addresses.count == 1
                ? apus_attach_kprobe(descriptor, name, 0, isReturn)
                : apus_attach_kprobe(descriptor, nil, address, isReturn)
            guard event >= 0 else {
                throw ProbeError("a kprobe on \(name) cannot be attached: \(BPFObject.errnoText(-event))")
            }
            events.append(Box(OwnedDescriptor(event)))
        }
    }

    /// How often the kernel refused to run a program of ours because one was running on that CPU.
    func refusedRuns() -> UInt64 {
        var refused: UInt64 = 0
        for name in programs {
            guard let descriptor = try? object.program(name) else { continue }
            var information = bpf_prog_info()
            var length = UInt32(MemoryLayout<bpf_prog_info>.size)
            if unsafe bpf_obj_get_info_by_fd(descriptor, &information, &length) == 0 {
                refused &+= information.recursion_misses
            }
        }
        return refused
    }
}
