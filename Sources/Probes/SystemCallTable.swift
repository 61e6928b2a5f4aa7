internal import CContract
internal import Catalog

/// The catalogue's system calls as the rows that the kernel's generic encoder works from.
enum SystemCallTable {
    /// Rows to write, by slot: x86-64 numbers, then i386's.
    static func rows(_ wanted: [(event: EventDefinition, policies: UInt64)]) -> [(
        slot: UInt32, row: apus_syscall_row
    )] {
        var rows: [(slot: UInt32, row: apus_syscall_row)] = []
        for (event, policies) in wanted {
            guard case .systemCall(let number, let compatNumber, let trait) = event.source else { continue }
            if let number { rows.append((UInt32(number), row(event, policies, trait, compatNumber: nil))) }
            if let compatNumber {
                let slot = UInt32(compatNumber) + UInt32(APUS_SYSCALL_SLOTS)
                rows.append((slot, row(event, policies, trait, compatNumber: compatNumber)))
            }
        }
        return rows
    }

    /// Whether something of this call is read when it is entered.
    static func needsEntry(_ event: EventDefinition) -> Bool {
        guard case .systemCall(_, _, let trait) = event.source else { return false }
        return trait == .noReturn
            || event.fields.contains { $0.direction == .in && kind($0.type) != APUS_READ_NONE }
    }

    private static func row(
        _ event: EventDefinition, _ policies: UInt64, _ trait: SystemCallTrait?, compatNumber: Int?
    ) -> apus_syscall_row {
        var row = apus_syscall_row()
        row.policies = policies
        row.event = event.id.rawValue
        row.index = UInt16(event.index)
        row.arg_count = UInt8(event.fields.count - 1)
        var flags: Int32 = 0
        switch trait {
        case .noReturn: flags |= APUS_ROW_EMIT_AT_ENTRY
        case .returnsTwice: flags |= APUS_ROW_RETURNS_TWICE
        case .replacesMemory: flags |= APUS_ROW_REPLACES_MEMORY
        case nil: break
        }
        unsafe withUnsafeMutableBytes(of: &row.readers) { bytes in
            let readers = unsafe bytes.bindMemory(to: apus_reader.self)
            for (index, field) in event.fields.dropLast().enumerated() {
                let reader = Self.reader(field, compatNumber: compatNumber)
                unsafe readers[index] = reader
                guard UInt32(reader.kind) != APUS_READ_NONE.rawValue else { continue }
                let isAtEntry = UInt32(reader.phase) == APUS_AT_ENTRY.rawValue
                flags |= isAtEntry ? APUS_ROW_NEEDS_ENTRY : APUS_ROW_READS_AT_EXIT
            }
        }
        row.flags = UInt8(flags)
        return row
    }

    private static func kind(_ type: FieldType) -> apus_reader_kind {
        switch type {
        case .string: APUS_READ_STRING
        case .stringArray: APUS_READ_STRING_ARRAY
        case .socketAddress, .int32Pair, .timespec: APUS_READ_BYTES
        case .int32, .uint32, .int64, .uint64, .uint16, .bool, .pointer, .time, .bytes, .uint64Array,
            .credentials:
            APUS_READ_NONE
        }
    }

    private static func reader(_ field: FieldDefinition, compatNumber: Int?) -> apus_reader {
        var reader = apus_reader()
        var kind = kind(field.type)
        reader.length = UInt8(APUS_LENGTH_ONE.rawValue)
        switch field.type {
        case .string:
            // With a length it is not NUL-terminated: a buffer that the call filled.
            if field.length != nil { kind = APUS_READ_BYTES }
            reader.element = 1
            reader.limit = UInt16(APUS_MAX_STRING)
        case .socketAddress:
            reader.element = 1
            reader.limit = 128  // sizeof(struct sockaddr_storage)
        case .int32Pair:
            reader.element = 8
            reader.limit = 8
        case .timespec:
            // i386 numbers below 403 take struct old_timespec32 (arch/x86/entry/syscalls/syscall_32.tbl).
            reader.element = (compatNumber ?? 403) < 403 ? 8 : 16
            reader.limit = reader.element
        case .stringArray, .int32, .uint32, .int64, .uint64, .uint16, .bool, .pointer, .time, .bytes,
            .uint64Array, .credentials:
            break
        }
        reader.kind = UInt8(kind.rawValue)
        switch field.direction {
        case .out, .inout: reader.phase = UInt8(APUS_AT_EXIT.rawValue)
        case .outOnFailure: reader.phase = UInt8(APUS_AT_EXIT_FAILED.rawValue)
        case .in, .opaque, nil: reader.phase = UInt8(APUS_AT_ENTRY.rawValue)
        }
        switch field.length {
        case .argument(let index): reader.length = UInt8(index)
        case .pointedBy(let index): reader.length = UInt8(APUS_LENGTH_POINTED.rawValue) + UInt8(index)
        case .returnValue: reader.length = UInt8(APUS_LENGTH_RETURN_VALUE.rawValue)
        case nil: break
        }
        return reader
    }
}
