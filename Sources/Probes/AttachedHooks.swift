internal import CLibbpf
internal import CSystem
internal import Catalog
internal import Glibc

/// What is attached, and what for: so that it can be changed while events flow.
final class AttachedHooks {
    private let loaded: LoadedPrograms
    private var held: [Purpose: [Held]] = [:]
    /// Functions that are hooked by one multiple kprobe stay hooked while any of them is wanted.
    private var together: [(wanted: Set<Attachment>, held: [Held])] = []
    /// Processes that release what was detached.
    private var keepers: [pid_t] = []
    /// The dispatcher's table: a place for each program.
    private var places: [String: UInt64] = [:]

    private enum Purpose: Hashable {
        case call(String, isExit: Bool)
        case attachment(Attachment)
    }

    private enum Held {
        case link(Box<Link>)
        /// A perf event of a tracepoint or a kprobe, or a link without libbpf's object.
        case event(Box<OwnedDescriptor>)

        var descriptor: Int32 {
            switch self {
            case .link(let link): link.value.descriptor
            case .event(let event): event.value.raw
            }
        }
    }

    init(_ loaded: LoadedPrograms) { self.loaded = loaded }

    /// Attaches what a plan wants and is not attached.
    func attach(_ plan: SensorPlan) throws(LoadError) {
        awaitReleased()
        try attachEach(plan.essential)
        // Exits first: an entry without its exit would keep what it read.
        for isExit in [true, false] {
            let program = isExit ? "one_syscall_exit" : "one_syscall_enter"
            for call in plan.calls where isExit || call.needsEntry {
                guard held[.call(call.name, isExit: isExit)] == nil else { continue }
                do {
                    held[.call(call.name, isExit: isExit)] = [
                        try attach(program, toCall: call.name, isExit: isExit)
                    ]
                } catch {
                    throw .other(error)
                }
            }
        }
        let attachments = plan.attachments
        do {
            let attached = together.reduce(into: Set<Attachment>()) { $0.formUnion($1.wanted) }
            try attachMulti(attachments.filter { $0.isMulti && !attached.contains($0) })
        } catch {
            throw .program(SensorPlan.multiDispatcher, reason: error.description)
        }
        try attachEach(attachments)
    }

    private func attachEach(_ attachments: [Attachment]) throws(LoadError) {
        for attachment in attachments where !attachment.isMulti && held[.attachment(attachment)] == nil {
            do {
                held[.attachment(attachment)] = try attach(attachment)
            } catch {
                throw .program(attachment.programs[0], reason: error.description)
            }
        }
    }

    /// Detaches what a plan does not want.
    func detach(except plan: SensorPlan) {
        let attachments = Set(plan.attachments)
        var wanted = Set(attachments.map(Purpose.attachment))
        for call in plan.calls {
            wanted.insert(.call(call.name, isExit: true))
            if call.needsEntry { wanted.insert(.call(call.name, isExit: false)) }
        }
        var unwanted: [Held] = []
        for (purpose, held) in held where !wanted.contains(purpose) {
            unwanted += held
            self.held[purpose] = nil
        }
        for index in together.indices.reversed() where together[index].wanted.isDisjoint(with: attachments) {
            unwanted += together.remove(at: index).held
        }
        release(unwanted)
    }

    /// Detaches what writes to the lifecycle ring, which takes the kernel milliseconds.
    func detachEssential(_ plan: SensorPlan) {
        for attachment in plan.essential { held[.attachment(attachment)] = nil }
    }

    func detachAll() {
        let all = held.values.flatMap(\.self) + together.flatMap(\.held)
        held = [:]
        together = []
        release(all)
    }

    /// Before 7.x the kernel takes up to 0.15 s for each function's trampoline or kprobe, one after the other, so
    /// that is left to a process of its own, which ends when it is done.
    private func release(_ held: consuming [Held]) {
        if held.isEmpty { return }
        var descriptors = held.map(\.descriptor)
        var process: pid_t = 0
        let keeper = unsafe apus_keep_descriptors(&descriptors, descriptors.count, &process)
        held = []
        guard keeper >= 0 else { return }
        close(keeper)
        keepers.append(process)
    }

    /// Waits until what was released is gone: in one place there is to be one hook of ours at most.
    private func awaitReleased() {
        for process in keepers { apus_await_process(process) }
        keepers = []
    }

    /// Puts the programs into the dispatcher's table and attaches it to all functions: returns first, as an
    /// entry whose return is not seen would keep its arguments.
    private func attachMulti(_ attachments: [Attachment]) throws(ProbeError) {
        guard !attachments.isEmpty else { return }
        var held: [Held] = []
        let dispatcher = try loaded.descriptor(SensorPlan.multiDispatcher)
        let table = try loaded.object.mapDescriptor("multi_programs")
        var entries: [(address: UInt64, cookie: UInt64)] = []
        var returns = entries
        func place(_ program: String) throws(ProbeError) -> UInt64 {
            if let place = places[program] { return place }
            var key = UInt32(places.count)
            var descriptor = try loaded.descriptor(program)
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
        try attach(dispatcher, to: returns, isReturn: true, &held)
        try attach(dispatcher, to: entries, isReturn: false, &held)
        together.append((Set(attachments), held))
    }

    /// A function may have several programs: each attachment takes it once.
    private func attach(
        _ dispatcher: Int32, to functions: [(address: UInt64, cookie: UInt64)], isReturn: Bool,
        _ held: inout [Held]
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
            held.append(.event(Box(OwnedDescriptor(link))))
            rest = later
        }
    }

    private func attach(_ attachment: Attachment) throws(ProbeError) -> [Held] {
        var held: [Held] = []
        switch attachment {
        case .tracepoint(let program), .perf(let program), .trampoline(let program, _):
            held.append(.link(Box(try loaded.attach(program))))
        case .calls(let program, let isExit, let names):
            for name in names { held.append(try attach(program, toCall: name, isExit: isExit)) }
        case .single(let program, let address):
            var function = address
            var cookie: UInt64 = 0
            let link = unsafe apus_attach_multi(try loaded.descriptor(program), &function, &cookie, 1, false)
            guard link >= 0 else {
                throw ProbeError("the function cannot be hooked: \(BPFObject.errnoText(-link))")
            }
            held.append(.event(Box(OwnedDescriptor(link))))
        case .multi: break  // all at once, above
        case .kprobe(let entry, let exit, let function, let addresses):
            // The return first: an entry whose return is not seen would keep its arguments.
            if let exit { try attach(exit, toFunction: function, addresses, isReturn: true, &held) }
            try attach(entry, toFunction: function, addresses, isReturn: false, &held)
        }
        return held
    }

    private func attach(_ program: String, toCall name: String, isExit: Bool) throws(ProbeError) -> Held {
        let tracepoint = try Tracefs().tracepointID(name, isExit: isExit)
        let event = apus_attach_tracepoint(try loaded.descriptor(program), tracepoint)
        guard event >= 0 else {
            throw ProbeError(
                "the tracepoint of \(name) cannot be attached: \(BPFObject.errnoText(-event))")
        }
        return .event(Box(OwnedDescriptor(event)))
    }

    /// By name where there is one such function, so that hidden addresses do no harm.
    private func attach(
        _ program: String, toFunction name: String, _ addresses: [UInt64], isReturn: Bool,
        _ held: inout [Held]
    ) throws(ProbeError) {
        let descriptor = try loaded.descriptor(program)
        for address in addresses {
            let event =
                unsafe addresses.count == 1
                ? apus_attach_kprobe(descriptor, name, 0, isReturn)
                : apus_attach_kprobe(descriptor, nil, address, isReturn)
            guard event >= 0 else {
                throw ProbeError("a kprobe on \(name) cannot be attached: \(BPFObject.errnoText(-event))")
            }
            held.append(.event(Box(OwnedDescriptor(event))))
        }
    }
}
