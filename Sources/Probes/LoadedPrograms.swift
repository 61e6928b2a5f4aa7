internal import CLibbpf
internal import CSystem
internal import Glibc

/// Programs in the kernel: those that were asked for at start, and those that later policies needed besides. All work
/// on the maps of the first object.
final class LoadedPrograms {
    private var later: [Box<BPFObject>] = []
    /// The first object, whose maps count.
    let object: BPFObject
    /// Of all objects.
    private(set) var programs: Set<String>

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

    /// Loads those of the programs that are not loaded.
    func add(
        _ programs: Set<String>, multiPrograms: Set<String>,
        prepare: (borrowing BPFObject) throws(ProbeError) -> Void
    ) throws(LoadError) {
        let missing = programs.subtracting(self.programs)
        guard !missing.isEmpty else { return }
        let added: Box<BPFObject>
        do {
            added = Box(try BPFObject())
            try prepare(added.value)
            for program in multiPrograms.intersection(missing) { try added.value.setMulti(program) }
            try added.value.share(object)
        } catch {
            throw .other(error)
        }
        try added.value.load(programs: missing)
        later.append(added)
        self.programs.formUnion(missing)
    }

    /// The descriptor of a loaded program.
    func descriptor(_ program: String) throws(ProbeError) -> Int32 {
        for object in later {
            if let descriptor = try? object.value.program(program) { return descriptor }
        }
        return try object.program(program)
    }

    /// Attaches a program at the place that its section names.
    func attach(_ program: String) throws(ProbeError) -> Link {
        for object in later where (try? object.value.program(program)) != nil {
            return try object.value.attach(program)
        }
        return try object.attach(program)
    }

    /// How often the kernel refused to run each program of ours, because one was running on that CPU; those that it
    /// always ran are left out.
    func refusedRuns() -> [String: UInt64] {
        var refused: [String: UInt64] = [:]
        for name in programs {
            guard let descriptor = try? descriptor(name) else { continue }
            var information = bpf_prog_info()
            var length = UInt32(MemoryLayout<bpf_prog_info>.size)
            if unsafe bpf_obj_get_info_by_fd(descriptor, &information, &length) == 0,
                information.recursion_misses > 0
            {
                refused[name] = information.recursion_misses
            }
        }
        return refused
    }
}
