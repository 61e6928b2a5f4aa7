public import Catalog
internal import Events

/// A thing that an expression looks at, with the type of its values.
public struct FieldReference: Hashable, Sendable {
    public let subject: Subject
    public let type: FieldType
    /// The agent adds it to what the kernel tells.
    public let isOfAgent: Bool

    /// Nil when the event has no field at that place.
    public init?(_ field: Int, of event: EventDefinition) {
        guard event.fields.indices.contains(field) else { return nil }
        subject = .data(field)
        type = event.fields[field].type
        isOfAgent = event.fields[field].provenance.contains(.agent)
    }

    public init(_ field: IdentityField) {
        subject = .identity(field)
        type = field.type
        isOfAgent = false
    }

    /// What the field is in an expression.
    public var valueType: ValueType {
        switch type {
        case .bool: .bool
        case .int32, .int64: .int
        case .uint16, .uint32, .uint64, .pointer, .time: .uint
        case .string: .string
        case .bytes: .bytes
        case .stringArray, .uint64Array, .credentials, .socketAddress, .int32Pair, .timespec: .structure
        }
    }

    /// The kernel can read it, and reads the same: not what the host or enrichment tells, not times, which
    /// are shown by another clock than they were taken with, and no structures.
    var isInKernel: Bool {
        if case .identity(let field) = subject, field.origin != .record { return false }
        if isOfAgent { return false }
        switch type {
        case .int32, .uint32, .int64, .uint64, .uint16, .bool, .pointer, .string: return true
        case .time, .stringArray, .bytes, .uint64Array, .credentials, .socketAddress, .int32Pair, .timespec:
            return false
        }
    }

    /// The least and greatest value, as 64 bits in which signed ones are sign-extended; nil for what is no
    /// number.
    var limits: (least: UInt64, greatest: UInt64)? {
        switch type {
        case .bool: (0, 1)
        case .int32: (UInt64(bitPattern: Int64(Int32.min)), UInt64(Int32.max))
        case .int64: (UInt64(bitPattern: .min), UInt64(Int64.max))
        case .uint16: (0, UInt64(UInt16.max))
        case .uint32: (0, UInt64(UInt32.max))
        case .uint64, .pointer, .time: (0, .max)
        case .string, .stringArray, .bytes, .uint64Array, .credentials, .socketAddress, .int32Pair, .timespec:
            nil
        }
    }

    /// The value of a number, as the output shows it: cut to its type, then extended to 64 bits. Nil when it
    /// is not known, or no number.
    @inline(__always)
    func bits(in event: EventView, _ context: borrowing EvaluationContext) -> UInt64? {
        switch subject {
        case .data(let index):
            guard let value = event.value(index) else { return nil }
            switch type {
            case .int32: return UInt64(bitPattern: Int64(Int32(truncatingIfNeeded: value)))
            case .uint32: return UInt64(UInt32(truncatingIfNeeded: value))
            case .uint16: return UInt64(UInt16(truncatingIfNeeded: value))
            case .bool: return value == 0 ? 0 : 1
            case .int64, .uint64, .pointer: return value
            case .time: return value &+ context.bootOffset
            case .string, .stringArray, .bytes, .uint64Array, .credentials, .socketAddress, .int32Pair,
                .timespec:
                return nil
            }
        case .identity(let field):
            switch field {
            case .timestamp: return event.time &+ context.bootOffset
            case .processorId: return UInt64(event.processor)
            case .processId: return UInt64(event.process)
            case .threadId: return UInt64(event.thread)
            case .parentProcessId: return UInt64(event.parent)
            case .hostProcessId: return UInt64(event.hostProcess)
            case .hostThreadId: return UInt64(event.hostThread)
            case .hostParentProcessId: return UInt64(event.hostParent)
            case .userId: return UInt64(event.user)
            case .mountNamespace: return UInt64(event.mountNamespace)
            case .pidNamespace: return UInt64(event.pidNamespace)
            case .cgroupId: return event.cgroup
            case .syscall:
                let number = Int64(event.systemCall)
                let isCompat = event.isCompat && number >= 0
                return UInt64(bitPattern: isCompat ? number + IdentityField.compatCall : number)
            case .isContainer, .podSandbox: return context.flag(field).map { $0 ? 1 : 0 }
            case .processName, .hostName, .containerId, .containerImage, .containerName,
                .containerImageDigest, .podName, .podNamespace, .podUid:
                return nil
            }
        }
    }

    /// The bytes of a string; nil when it is not known, or no string.
    @inline(__always)
    @_lifetime(copy event, borrow context)
    func text(in event: EventView, _ context: borrowing EvaluationContext) -> RawSpan? {
        switch subject {
        case .data(let index):
            if type == .string { return event.string(index) }
            if type == .bytes { return event.blob(index)?.bytes }
            return nil
        case .identity(let field):
            return field == .processName ? event.name : context.text(field)
        }
    }
}

/// What an expression's value is.
public enum ValueType: Sendable {
    case bool, int, uint, double, string, bytes
    /// Has no value to compute with; patterns match what is printed of it.
    case structure
}
