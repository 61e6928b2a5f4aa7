internal import Catalog
internal import Glibc

/// What the running kernel's own type information (BTF) says exists, found in one pass.
///
/// Format: Documentation/bpf/btf.rst; the walk needs each kind's size only.
public struct KernelTypes: Sendable {
    /// Type ids of raw tracepoints by name (typedefs `btf_trace_NAME`).
    public private(set) var tracepoints: [String: UInt32] = [:]
    /// Functions of system calls by the name in their definition, for x86-64 and for 32-bit callers.
    public private(set) var systemCalls: [String: UInt32] = [:]
    public private(set) var compatSystemCalls: [String: UInt32] = [:]
    /// Whether programs may cast a pointer to one that is only read from (6.2).
    public private(set) var hasReadOnlyCast = false
    /// Whether the tracepoint sched_process_exit says that the last thread ends (6.16).
    public private(set) var hasGroupDead = false
    /// Functions that somebody wants to hook, as far as they are there; several where static ones share a name.
    public private(set) var functions: [String: [KernelFunction]] = [:]
    /// The LSM hook on which a trial is made.
    public private(set) var lsmTrialHook: UInt32?

    /// Reads `/sys/kernel/btf/vmlinux`.
    ///
    /// - Parameter functions: names of the functions whose prototypes are wanted.
    public init(path: String = "/sys/kernel/btf/vmlinux", functions: Set<String> = []) throws(ProbeError) {
        guard let bytes = readFile(path, limit: 64 << 20) else {
            throw ProbeError(
                "this kernel has no BTF at \(path), which Apus needs; use a kernel built with CONFIG_DEBUG_INFO_BTF=y"
            )
        }
        try self.init(bytes, functions: functions)
    }

    init(_ bytes: [UInt8], functions wanted: Set<String> = []) throws(ProbeError) {
        func word(_ at: Int) throws(ProbeError) -> Int {
            guard at >= 0, at + 4 <= bytes.count else { throw ProbeError("the kernel's BTF is cut short") }
            return Int(bytes[at]) | Int(bytes[at + 1]) << 8 | Int(bytes[at + 2]) << 16 | Int(bytes[at + 3])
                << 24
        }
        guard try word(0) & 0xffff == 0xeb9f else {
            throw ProbeError("the kernel's BTF has an unknown format")
        }
        let header = try word(4)
        let types = header + (try word(8))
        let typesEnd = types + (try word(12))
        let strings = header + (try word(16))
        guard typesEnd <= bytes.count, strings <= bytes.count else {
            throw ProbeError("the kernel's BTF is cut short")
        }
        func name(_ offset: Int, after prefix: StaticString) -> String? {
            let start = strings + offset
            let count = prefix.utf8CodeUnitCount
            guard start + count < bytes.count else { return nil }
            for index in 0..<count where unsafe bytes[start + index] != prefix.utf8Start[index] { return nil }
            guard let end = bytes[(start + count)...].firstIndex(of: 0) else { return nil }
            return String(decoding: bytes[(start + count)..<end], as: UTF8.self)
        }
        var at = types
        var id: UInt32 = 0
        var places: [Int] = [0]  // of types, by id; 0 is void
        let wanted = NameFilter(wanted)
        var found: [(name: String, id: UInt32, prototype: Int)] = []
        while at + 12 <= typesEnd {
            id += 1
            let nameOffset = try word(at)
            let info = try word(at + 4)
            places.append(at)
            let count = info & 0xffff
            let kind = info >> 24 & 0x1f
            switch kind {
            case 8:  // TYPEDEF
                if let found = name(nameOffset, after: "btf_trace_") { tracepoints[found] = id }
            case 12:  // FUNC
                if wanted.mayContain(bytes, at: strings + nameOffset),
                    let name = name(nameOffset, after: ""), wanted.names.contains(name)
                {
                    found.append((name, id, try word(at + 8)))
                }
                if let found = name(nameOffset, after: "__x64_sys_") {
                    systemCalls[found] = id
                } else if let found = name(nameOffset, after: "__do_sys_") {
                    // A call without arguments: its wrappers are aliases, which have no type.
                    if systemCalls[found] == nil { systemCalls[found] = id }
                } else if let found = name(nameOffset, after: "__ia32_compat_sys_") {
                    compatSystemCalls[found] = id
                } else if let found = name(nameOffset, after: "__ia32_sys_") {
                    if compatSystemCalls[found] == nil { compatSystemCalls[found] = id }
                } else if name(nameOffset, after: "bpf_rdonly_cast") == "" {
                    hasReadOnlyCast = true
                } else if name(nameOffset, after: "bpf_lsm_file_open") == "" {
                    lsmTrialHook = id
                }
            default: break
            }
            at += 12
            switch kind {
            case 1, 14, 17: at += 4  // INT, VAR, DECL_TAG
            case 3: at += 12  // ARRAY
            case 4, 5, 15, 19: at += 12 * count  // STRUCT, UNION, DATASEC, ENUM64
            case 6, 13: at += 8 * count  // ENUM, FUNC_PROTO
            default: break
            }
        }
        for (name, id, prototype) in found {
            guard prototype < places.count else { continue }
            let place = places[prototype]
            var parameters: [ParameterShape] = []
            for index in 0..<(try word(place + 4) & 0xffff) {
                parameters.append(try shape(try word(place + 12 + index * 8 + 4)))
            }
            functions[name, default: []].append(KernelFunction(id: id, parameters: parameters))
        }
        /// What a type is, behind typedefs and qualifiers.
        func shape(_ type: Int) throws(ProbeError) -> ParameterShape {
            var type = type
            var isPointer = false
            for _ in 0..<16 {
                guard type > 0, type < places.count else { break }
                let place = places[type]
                switch try word(place + 4) >> 24 & 0x1f {
                case 8, 9, 10, 11, 18: type = try word(place + 8)  // TYPEDEF, qualifiers, TYPE_TAG
                case 2:  // PTR
                    if isPointer { return .pointer }
                    isPointer = true
                    type = try word(place + 8)
                case 4, 5, 7:  // STRUCT, UNION, FWD
                    guard isPointer else { return .any }
                    return name(try word(place), after: "").map { $0.isEmpty ? .pointer : .structure($0) }
                        ?? .pointer
                case 1, 6, 19: return isPointer ? .pointer : .integer  // INT, ENUM, ENUM64
                default: return isPointer ? .pointer : .any
                }
            }
            return isPointer ? .pointer : .any
        }
        // Typedef, pointer, prototype; its parameters are the probe's data, the task, and that.
        if let typedef = tracepoints["sched_process_exit"] {
            var place = places[Int(typedef)]
            for _ in 0..<2 {
                let next = try word(place + 8)
                guard next < places.count else { return }
                place = places[next]
            }
            hasGroupDead = try word(place + 4) & 0xffff == 3
        }
    }

    /// Name in the kernel's SYSCALL_DEFINE, which is the name of functions and tracepoints.
    static func definitionName(_ systemCall: String) -> String {
        switch systemCall {
        case "stat", "fstat", "lstat", "uname": "new" + systemCall
        case "umount2": "umount"
        case "sendfile": "sendfile64"
        default: systemCall
        }
    }
}

/// A file's bytes, at most `limit`; nil when it cannot be read or is longer.
func readFile(_ path: String, limit: Int) -> [UInt8]? {
    let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return nil }
    let owned = OwnedDescriptor(descriptor)
    return readAll(owned.raw, limit: limit)
}

func readAll(_ descriptor: Int32, limit: Int) -> [UInt8]? {
    var bytes: [UInt8] = []
    while bytes.count <= limit {
        var count = 0
        let chunk = unsafe [UInt8](unsafeUninitializedCapacity: 1 << 20) { buffer, used in
            count = unsafe read(descriptor, buffer.baseAddress, buffer.count)
            used = max(0, count)
        }
        if count < 0 { return nil }
        if count == 0 { return bytes }
        bytes.append(contentsOf: chunk)
    }
    return nil
}
