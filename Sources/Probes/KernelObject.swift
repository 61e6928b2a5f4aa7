internal import CLibbpf
internal import CSystem
internal import Glibc

/// The kernel object that the build embedded.
enum KernelObject {
    /// Decodes it: about a millisecond, once at start.
    static func bytes() -> [UInt8] {
        var values = [UInt8](repeating: 0, count: 256)
        for (value, letter) in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8
            .enumerated()
        {
            values[Int(letter)] = UInt8(value)
        }
        let text = unsafe UnsafeBufferPointer(
            start: kernelObjectBase64.utf8Start, count: kernelObjectBase64.utf8CodeUnitCount)
        var count = text.count / 4 * 3
        for end in text.indices.suffix(2) where unsafe text[end] == UInt8(ascii: "=") { count -= 1 }
        let bytes = unsafe [UInt8](unsafeUninitializedCapacity: count) { bytes, filled in
            while filled < count {
                let at = filled / 3 * 4
                var bits: UInt32 = 0
                for place in 0..<4 { bits = bits << 6 | UInt32(values[Int(unsafe text[at + place])]) }
                for shift in [16, 8, 0] where filled < count {
                    unsafe bytes[filled] = UInt8(truncatingIfNeeded: bits >> shift)
                    filled += 1
                }
            }
        }
        // Megabytes that are seldom needed again.
        unsafe apus_return_constants(text.baseAddress, text.count)
        return bytes
    }
}

/// Why an object could not be loaded and attached.
enum LoadError: Error {
    /// The kernel refused one program; the others may do.
    case program(String, reason: String)
    case other(ProbeError)
}

/// A libbpf object: programs and maps. Closing it detaches and frees what is not held elsewhere.
@safe struct BPFObject: ~Copyable {
    private let raw: OpaquePointer

    init() throws(ProbeError) {
        // libbpf copies what it needs of it (bpf_object_open, which ends with bpf_object__elf_finish).
        let image = KernelObject.bytes()
        apus_capture_libbpf_log()
        let opened = unsafe image.withUnsafeBytes { image in
            var options = unsafe bpf_object_open_opts()
            unsafe options.sz = MemoryLayout<bpf_object_open_opts>.size
            return unsafe "apus".withCString { name in
                unsafe options.object_name = name
                return unsafe bpf_object__open_mem(image.baseAddress, image.count, &options)
            }
        }
        guard let opened = unsafe opened else {
            throw ProbeError("the kernel object cannot be opened: \(Self.log(or: errno))")
        }
        unsafe raw = opened
    }

    deinit { unsafe bpf_object__close(raw) }

    /// Has the kernel say what verifying a program took, even where it does not refuse it.
    borrowing func logVerifier(of program: String, to logs: VerifierLogs) throws(ProbeError) {
        let found = unsafe bpf_object__find_program_by_name(raw, program)
        guard let found = unsafe found, let buffer = unsafe logs.buffer(program) else {
            throw ProbeError("the kernel object has no program '\(program)'")
        }
        unsafe bpf_program__set_log_buf(
            found, buffer.assumingMemoryBound(to: CChar.self), VerifierLogs.bytes)
        unsafe bpf_program__set_log_level(found, 4)  // BPF_LOG_STATS
    }

    /// Has a kprobe's program loaded for a multiple kprobe.
    borrowing func setMulti(_ program: String) throws(ProbeError) {
        let found = unsafe bpf_object__find_program_by_name(raw, program)
        guard let found = unsafe found else {
            throw ProbeError("the kernel object has no program '\(program)'")
        }
        unsafe _ = bpf_program__set_expected_attach_type(found, BPF_TRACE_KPROBE_MULTI)
    }

    /// Leaves a map out that this kernel does not have or need.
    borrowing func omit(_ name: String) throws(ProbeError) {
        unsafe bpf_map__set_autocreate(try map(name), false)
    }

    /// Verifies and loads the chosen programs and creates the maps.
    borrowing func load(programs: Set<String>) throws(LoadError) {
        var program = unsafe bpf_object__next_program(raw, nil)
        while let current = unsafe program {
            let name = unsafe String(cString: bpf_program__name(current))
            unsafe _ = bpf_program__set_autoload(current, programs.contains(name))
            unsafe program = bpf_object__next_program(raw, current)
        }
        let status = unsafe bpf_object__load(raw)
        guard status == 0 else {
            let log = unsafe String(cString: apus_take_libbpf_log())
            let reason = "the kernel refused the program (\(Self.errnoText(-status)))"
            guard let program = Self.programInFault(log) else {
                throw .other(ProbeError("\(reason): \(Self.lastLines(log))"))
            }
            throw .program(program, reason: reason)
        }
    }

    /// libbpf's last message about a program: `prog 'NAME': failed to load: -22`.
    private static func programInFault(_ log: String) -> String? {
        for line in log.split(separator: "\n").reversed() {
            let parts = line.split(separator: "'", maxSplits: 2)
            if parts.count == 3, parts[0].hasSuffix("prog "), parts[2].hasPrefix(": ") {
                return String(parts[1])
            }
        }
        return nil
    }

    /// The descriptor of a loaded program.
    borrowing func program(_ name: String) throws(ProbeError) -> Int32 {
        let program = unsafe bpf_object__find_program_by_name(raw, name)
        let descriptor = unsafe program == nil ? -1 : bpf_program__fd(program)
        guard descriptor >= 0 else { throw ProbeError("the kernel object has no loaded program '\(name)'") }
        return descriptor
    }

    /// Attaches a program at the place that its section names.
    borrowing func attach(_ name: String) throws(ProbeError) -> Link {
        let program = unsafe bpf_object__find_program_by_name(raw, name)
        guard unsafe program != nil, let link = unsafe bpf_program__attach(program) else {
            throw ProbeError("the kernel refused to attach '\(name)': \(Self.log(or: errno))")
        }
        return unsafe Link(raw: link)
    }

    /// Uses the maps of another object, but for the constants. Before loading.
    borrowing func share(_ other: borrowing BPFObject) throws(ProbeError) {
        var map = unsafe bpf_object__next_map(raw, nil)
        while let current = unsafe map {
            let name = unsafe String(cString: bpf_map__name(current))
            if unsafe bpf_map__autocreate(current), name != ".rodata" {
                let status = unsafe bpf_map__reuse_fd(current, try other.mapDescriptor(name))
                guard status == 0 else {
                    throw ProbeError("the map \(name) cannot be shared: \(Self.errnoText(-status))")
                }
            }
            unsafe map = bpf_object__next_map(raw, current)
        }
    }

    private borrowing func map(_ name: String) throws(ProbeError) -> OpaquePointer {
        guard let map = unsafe bpf_object__find_map_by_name(raw, name) else {
            throw ProbeError("the kernel object has no map '\(name)'")
        }
        return unsafe map
    }

    /// The descriptor of a map, valid while the object lives.
    borrowing func mapDescriptor(_ name: String) throws(ProbeError) -> Int32 {
        unsafe bpf_map__fd(try map(name))
    }

    borrowing func setEntries(_ name: String, _ count: Int) throws(ProbeError) {
        unsafe bpf_map__set_max_entries(try map(name), UInt32(clamping: count))
    }

    borrowing func setValueSize(_ name: String, _ size: Int) throws(ProbeError) {
        unsafe bpf_map__set_value_size(try map(name), UInt32(clamping: size))
    }

    /// Sets a constant, before loading.
    borrowing func setConstant<Value: BitwiseCopyable>(_ name: String, to value: Value, at index: Int = 0)
        throws(ProbeError)
    {
        let place = unsafe try constant(name)
        let size = MemoryLayout<Value>.size
        guard (index + 1) * size <= place.count else {
            throw ProbeError("the constant '\(name)' has \(place.count) bytes, not \((index + 1) * size)")
        }
        unsafe place.storeBytes(of: value, toByteOffset: index * size, as: Value.self)
    }

    private borrowing func constant(_ name: String) throws(ProbeError) -> UnsafeMutableRawBufferPointer {
        unsafe try variable(name, in: ".rodata")
    }

    /// Sets a variable, while programs run that see it change.
    borrowing func setVariable<Value: BitwiseCopyable>(_ name: String, to value: Value, at index: Int = 0)
        throws(ProbeError)
    {
        let place = unsafe try variable(name, in: ".bss")
        let offset = index * MemoryLayout<Value>.size
        guard offset + MemoryLayout<Value>.size <= place.count else {
            throw ProbeError("the variable '\(name)' has \(place.count) bytes")
        }
        unsafe place.storeBytes(of: value, toByteOffset: offset, as: Value.self)
        // libbpf's copy has all variables; what else is in it, nobody but us writes.
        var size = 0
        let map = unsafe bpf_object__find_map_by_name(raw, ".bss")
        var key: UInt32 = 0
        let status = unsafe bpf_map_update_elem(
            bpf_map__fd(map), &key, bpf_map__initial_value(map, &size), 0)
        guard status == 0 else { throw BPFMap.refused(status) }
    }

    /// Finds a constant or variable in libbpf's copy, by the object's own type information.
    private borrowing func variable(
        _ name: String, in sectionName: String
    ) throws(ProbeError) -> UnsafeMutableRawBufferPointer {
        var size = 0
        guard let types = unsafe bpf_object__btf(raw),
            let map = unsafe bpf_object__find_map_by_name(raw, sectionName),
            let start = unsafe bpf_map__initial_value(map, &size)
        else { throw ProbeError("the kernel object has no section \(sectionName)") }
        let section = unsafe btf__find_by_name_kind(types, sectionName, 15)  // BTF_KIND_DATASEC
        guard section > 0, let type = unsafe btf__type_by_id(types, UInt32(section)) else {
            throw ProbeError("the kernel object's section \(sectionName) has no types")
        }
        let entries = unsafe btf_var_secinfos(type)
        for index in 0..<Int(unsafe btf_vlen(type)) {
            guard let entry = unsafe entries?[index],
                let variable = unsafe btf__type_by_id(types, entry.type),
                let text = unsafe btf__name_by_offset(types, variable.pointee.name_off),
                unsafe String(cString: text) == name
            else { continue }
            guard Int(entry.offset) + Int(entry.size) <= size else { break }
            return unsafe UnsafeMutableRawBufferPointer(
                start: UnsafeMutableRawPointer(mutating: start) + Int(entry.offset), count: Int(entry.size))
        }
        throw ProbeError("the kernel object has no '\(name)' in \(sectionName)")
    }

    static func log(or error: Int32) -> String {
        let log = unsafe String(cString: apus_take_libbpf_log())
        return log.isEmpty ? errnoText(error) : lastLines(log)
    }

    private static func lastLines(_ log: String) -> String {
        log.split(separator: "\n").suffix(2).map { String($0.suffix(300)) }.joined(separator: "; ")
    }

    static func errnoText(_ error: Int32) -> String { unsafe String(cString: strerror(error)) }
}

/// An attached program; detached when this ends.
@safe struct Link: ~Copyable {
    private let raw: OpaquePointer
    init(raw: OpaquePointer) { unsafe self.raw = raw }
    var descriptor: Int32 { unsafe bpf_link__fd(raw) }
    deinit { unsafe _ = bpf_link__destroy(raw) }
}

/// A file descriptor that is closed when this ends.
struct OwnedDescriptor: ~Copyable {
    let raw: Int32
    init(_ raw: Int32) { self.raw = raw }
    deinit { close(raw) }
}

/// Owners of the same kind, for collections that cannot hold them directly.
final class Box<Value: ~Copyable> {
    let value: Value
    init(_ value: consuming Value) { self.value = value }
}
