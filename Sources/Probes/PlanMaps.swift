internal import CContract
internal import CLibbpf
internal import Catalog
internal import Glibc
internal import Policies

/// What the kernel knows of a set of policies, as its constants and maps hold it. There is room for two plans:
/// one judges, the other can be written meanwhile.
enum PlanMaps {
    /// Whether the maps judge, or constants, which cost less.
    static func usesMaps(_ request: SensorRequest) -> Bool {
        request.isChangeable || !request.filters.tests.isEmpty || !request.limits.isEmpty
            || request.scope.programs.used | request.scope.follow | request.scope.containers.used != 0
    }

    /// Sets constants and sizes of an object that is not loaded yet.
    static func prepare(
        _ object: borrowing BPFObject, _ request: SensorRequest, absent: Set<Int>, _ catalog: Catalog
    ) throws(ProbeError) {
        if request.targets.structures { try object.setConstant("follows_pointers", to: true) }
        if request.targets.usesForms { try object.setEntries("forms", Int(APUS_MAX_FORMS)) }
        guard usesMaps(request) else {
            for (index, policies) in request.events where !absent.contains(index) {
                if case .hooks = catalog.events[index].source {
                    try object.setConstant("wanted", to: policies, at: index)
                }
            }
            try object.setConstant("scope", to: constants(request.scope))
            return try object.setConstant("has_scope", to: keys(request.scope) != 0)
        }
        let plans = request.isChangeable ? Int(APUS_PLANS) : 1
        let room = request.filters.room
        var states = 2
        while states < room.states * plans { states *= 2 }
        try object.setConstant("has_plan", to: true)
        try object.setConstant("state_mask", to: UInt32(states - 1))
        try object.setValueSize("states", states * MemoryLayout<apus_state>.stride)
        try object.setEntries("syscalls", plans * 2 * Int(APUS_SYSCALL_SLOTS))
        try object.setEntries("tests", plans * room.tests)
        try object.setEntries("bounds", plans * room.bounds)
        try object.setEntries("hits", plans * room.hits)
    }

    /// Writes a plan into the maps of a loaded object, where the plan before the last was.
    static func write(
        _ request: SensorRequest, _ table: SystemCallTable, to object: borrowing BPFObject, number: UInt32,
        _ catalog: Catalog
    ) throws(ProbeError) {
        let slot = number % UInt32(APUS_PLANS)
        let filters = request.filters
        let calls = request.events.sorted { $0.key < $1.key }.map { (catalog.events[$0.key], $0.value) }
        var rows: [UInt32: apus_syscall_row] = [:]
        for (number, row) in table.rows(calls) {
            var row = row
            row.tests = filters.events[Int(row.index)] ?? apus_tests()
            rows[number] = row
        }
        let syscalls = try object.mapDescriptor("syscalls")
        if usesMaps(request) {
            for number in 0..<2 * UInt32(APUS_SYSCALL_SLOTS) {
                let row = rows[number] ?? apus_syscall_row()
                try BPFMap.update(syscalls, slot * 2 * UInt32(APUS_SYSCALL_SLOTS) + number, row)
            }
            try writeTables(filters, to: object)
            let events = try object.mapDescriptor("event_plans")
            for event in catalog.events {
                guard case .hooks = event.source else { continue }
                let row = apus_event_plan(
                    policies: request.events[event.index] ?? 0,
                    tests: filters.events[event.index] ?? apus_tests())
                try BPFMap.update(events, slot * UInt32(APUS_MAX_EVENTS) + UInt32(event.index), row)
            }
            try BPFMap.update(object.mapDescriptor("scope_plans"), slot, constants(request.scope))
            try LimitMaps.write(request.limits, to: object, number: number)
        } else {
            for (number, row) in rows { try BPFMap.update(syscalls, number, row) }
        }
        for key in ScopeKey.allCases where key != .tree {  // the agent adds the trees' processes
            try writeScope(request.scope.values[key] ?? [:], key, to: object, slot: Int(slot))
        }
    }

    /// What pointers of calls lead to: the same in all plans, so it is written once.
    static func writeTargets(
        _ request: SensorRequest, _ table: SystemCallTable, to object: borrowing BPFObject, _ catalog: Catalog
    ) throws(ProbeError) {
        guard request.targets.usesForms else { return }
        let forms = try object.mapDescriptor("forms")
        for (key, form) in table.forms(catalog) { try BPFMap.update(forms, key, form) }
        let structures = try object.mapDescriptor("structures")
        for (index, row) in table.structures.rows.enumerated() {
            try BPFMap.update(structures, UInt32(index + 1), row)
        }
    }

    private static func writeTables(_ filters: FilterTables, to object: borrowing BPFObject)
        throws(ProbeError)
    {
        try writeRows(filters.tests, from: filters.first.tests, to: object.mapDescriptor("tests"))
        try writeRows(filters.bounds, from: filters.first.bounds, to: object.mapDescriptor("bounds"))
        try writeRows(filters.trie.hits, from: filters.first.hits, to: object.mapDescriptor("hits"))
        guard !filters.trie.states.isEmpty else { return }
        // All states are one value: what the other plan has there stays.
        let descriptor = try object.mapDescriptor("states")
        var information = bpf_map_info()
        var length = UInt32(MemoryLayout<bpf_map_info>.size)
        guard unsafe bpf_obj_get_info_by_fd(descriptor, &information, &length) == 0 else {
            throw ProbeError("the kernel does not tell of the table of filters")
        }
        let capacity = Int(information.value_size) / MemoryLayout<apus_state>.stride
        var all = [apus_state](repeating: apus_state(), count: capacity)
        var key: UInt32 = 0
        var status = unsafe all.withUnsafeMutableBytes {
            unsafe bpf_map_lookup_elem(descriptor, &key, $0.baseAddress)
        }
        let start = Int(filters.trie.first)
        guard status == 0, start + filters.trie.states.count <= capacity else {
            throw ProbeError("the filters have more states than the kernel's table takes")
        }
        for index in (start - 1)..<min(capacity, start - 1 + filters.room.states) {
            all[index] = apus_state()
        }
        all.replaceSubrange(start..<start + filters.trie.states.count, with: filters.trie.states)
        status = unsafe all.withUnsafeBytes {
            unsafe bpf_map_update_elem(descriptor, &key, $0.baseAddress, 0)
        }
        guard status == 0 else { throw BPFMap.refused(status) }
    }

    private static func writeRows<Row: BitwiseCopyable>(_ rows: [Row], from first: Int, to descriptor: Int32)
        throws(ProbeError)
    {
        for (index, row) in rows.enumerated() { try BPFMap.update(descriptor, UInt32(first + index), row) }
    }

    // MARK: Scope

    /// What any policy restricts, by `enum apus_scope_key`.
    private static func keys(_ scope: ScopePlan) -> UInt64 {
        var keys: UInt64 = 0
        for (key, policies) in scope.used.enumerated() where policies != 0 { keys |= 1 << UInt64(key) }
        if scope.programs.used != 0 { keys |= 1 << UInt64(APUS_SCOPE_PROGRAM.rawValue) }
        if scope.follow != 0 { keys |= 1 << UInt64(APUS_SCOPE_FOLLOW.rawValue) }
        if scope.containers.used != 0 { keys |= 1 << UInt64(APUS_SCOPE_CONTAINER.rawValue) }
        if scope.onlyNew | scope.onlyOld != 0 { keys |= 1 << UInt64(APUS_SCOPE_AGE.rawValue) }
        return keys
    }

    private static func constants(_ scope: ScopePlan) -> apus_scope_plan {
        var constants = apus_scope_plan()
        constants.since = scope.since
        constants.only_new = scope.onlyNew
        constants.only_old = scope.onlyOld
        constants.follow = scope.follow
        constants.programs_used = scope.programs.used
        constants.programs_negated = scope.programs.negated
        constants.in_container = scope.containers.inside
        constants.in_none = scope.containers.outside
        constants.in_new = scope.containers.new
        constants.in_old = scope.containers.old
        constants.in_started = scope.containers.started
        constants.in_unstarted = scope.containers.unstarted
        constants.in_named = scope.containers.named
        constants.program_count = UInt32(scope.programs.tests.count)
        unsafe withUnsafeMutableBytes(of: &constants.programs) {
            for (index, program) in scope.programs.tests.enumerated() {
                unsafe $0.storeBytes(of: program.test, toByteOffset: index * 8, as: UInt32.self)
                unsafe $0.storeBytes(of: program.mountNamespace, toByteOffset: index * 8 + 4, as: UInt32.self)
            }
        }
        constants.keys = keys(scope)
        unsafe withUnsafeMutableBytes(of: &constants.used) { unsafe $0.copyBytes(from: scope.used.bytes) }
        unsafe withUnsafeMutableBytes(of: &constants.otherwise) {
            unsafe $0.copyBytes(from: scope.otherwise.bytes)
        }
        for (which, key) in [ScopeKey.pid, .uid].enumerated() {
            for (policy, range) in scope.ranges[key] ?? [:] {
                unsafe withUnsafeMutableBytes(of: &constants.ranged) {
                    unsafe $0.bindMemory(to: UInt64.self)[which] |= 1 << UInt64(policy)
                }
                unsafe withUnsafeMutableBytes(of: &constants.ranges) {
                    unsafe $0.bindMemory(to: apus_range.self)[which * Int(APUS_MAX_POLICIES) + policy] =
                        apus_range(min: range.lowerBound, max: range.upperBound)
                }
            }
        }
        return constants
    }

    private static func writeScope(
        _ values: [ScopeValue: ScopePlan.Marks], _ key: ScopeKey, to object: borrowing BPFObject, slot: Int
    ) throws(ProbeError) {
        let descriptor = try object.mapDescriptor("scope_\(key.rawValue)")
        var wanted: [[UInt8]: apus_scope_marks] = [:]
        for (value, marks) in values {
            wanted[bytes(of: value, key)] = apus_scope_marks(
                equals: marks.equals, mentioned: marks.mentioned)
        }
        // What only the plan before the last named goes.
        for old in try BPFMap.keys(descriptor, size: keySize(key)) where wanted[old] == nil {
            var value = apus_scope_value()
            guard unsafe bpf_map_lookup_elem(descriptor, old, &value) == 0 else { continue }
            set(&value, slot, apus_scope_marks())
            if value.marks.0.mentioned | value.marks.1.mentioned == 0 {
                unsafe _ = bpf_map_delete_elem(descriptor, old)
            } else {
                unsafe _ = bpf_map_update_elem(descriptor, old, &value, 0)
            }
        }
        for (bytes, marks) in wanted {
            var value = apus_scope_value()
            unsafe _ = bpf_map_lookup_elem(descriptor, bytes, &value)
            set(&value, slot, marks)
            let status = unsafe bpf_map_update_elem(descriptor, bytes, &value, 0)
            guard status == 0 else {
                throw ProbeError(
                    "the scope key \(key.rawValue) has too many values: the kernel's table takes 2048 (\(BPFObject.errnoText(-status)))"
                )
            }
        }
    }

    private static func set(_ value: inout apus_scope_value, _ slot: Int, _ marks: apus_scope_marks) {
        if slot == 0 { value.marks.0 = marks } else { value.marks.1 = marks }
    }

    private static func keySize(_ key: ScopeKey) -> Int {
        switch key {
        case .pid, .uid, .mntns, .pidns, .tree: 4
        case .cgroup: 8
        case .comm: Int(APUS_COMM_BYTES)
        case .uts: Int(APUS_UTS_BYTES)
        }
    }

    private static func bytes(of value: ScopeValue, _ key: ScopeKey) -> [UInt8] {
        var bytes: [UInt8]
        switch value {
        case .number(let number): bytes = unsafe withUnsafeBytes(of: number) { unsafe Array($0) }
        case .name(let name): bytes = name
        }
        let size = keySize(key)
        bytes += repeatElement(0, count: max(0, size - bytes.count))
        return Array(bytes.prefix(size))
    }
}

/// Calls of libbpf on maps, with our errors.
enum BPFMap {
    static func update<Key: BitwiseCopyable, Value: BitwiseCopyable>(
        _ descriptor: Int32, _ key: Key, _ value: Value
    ) throws(ProbeError) {
        var key = key
        var value = value
        let status = unsafe bpf_map_update_elem(descriptor, &key, &value, 0)
        guard status == 0 else { throw refused(status) }
    }

    /// Fills an array of maps from its beginning. At once where the kernel can (5.19): it waits for all programs after
    /// each change, 15 ms or so.
    static func updateAll(_ descriptor: Int32, _ values: [Int32]) throws(ProbeError) {
        var (keys, values, count) = (Array(0..<UInt32(values.count)), values, UInt32(values.count))
        if unsafe bpf_map_update_batch(descriptor, &keys, &values, &count, nil) == 0 { return }
        for (key, value) in zip(keys, values) { try update(descriptor, key, value) }
    }

    static func refused(_ status: Int32) -> ProbeError {
        ProbeError("a map cannot be written: \(BPFObject.errnoText(-status))")
    }

    /// The keys that a hash has.
    static func keys(_ descriptor: Int32, size: Int) throws(ProbeError) -> [[UInt8]] {
        var keys: [[UInt8]] = []
        var next = [UInt8](repeating: 0, count: size)
        var status = unsafe bpf_map_get_next_key(descriptor, nil, &next)
        while status == 0, keys.count < 1 << 20 {
            keys.append(next)
            let last = next
            status = unsafe bpf_map_get_next_key(descriptor, last, &next)
        }
        return keys
    }
}

extension [UInt64] {
    fileprivate var bytes: [UInt8] { unsafe withUnsafeBytes { unsafe Array<UInt8>($0) } }
}
