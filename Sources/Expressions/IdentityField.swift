public import Catalog

/// What a filter can look at beside an event's fields. The raw values are the names in filters.
public enum IdentityField: String, Hashable, Sendable, CaseIterable {
    /// Nanoseconds since 1970, as the output has it.
    case timestamp
    case processorId
    /// Numbers of process, thread and parent as the thread's own pid namespace sees them.
    case processId, threadId, parentProcessId
    /// The same as the host sees them.
    case hostProcessId, hostThreadId, hostParentProcessId
    case userId
    case mountNamespace, pidNamespace
    /// Name of the thread (`comm`).
    case processName
    case hostName
    case cgroupId
    case isContainer = "container"
    case containerId, containerImage, containerName, containerImageDigest
    case podName, podNamespace, podUid, podSandbox
    /// The system call in progress, as a signed number: that of the x86-64 table, or ``compatCall`` + that of
    /// the i386 table; negative where there is none.
    case syscall

    /// Added to the number of a 32-bit caller's system call, so that a number names one call.
    public static let compatCall: Int64 = 1 << 32

    /// Where a value comes from.
    public enum Origin: Sendable {
        /// The header of each record.
        case record
        /// The host: told once, to ``EvaluationContext``.
        case host
        /// What is known of containers and pods. Records do not tell, so it is unknown.
        case enrichment
    }

    /// What its values are: one of the numeric types, `time`, `bool` or `string`.
    public var type: FieldType {
        switch self {
        case .timestamp: .time
        case .processorId: .uint16
        case .processId, .threadId, .parentProcessId, .hostProcessId, .hostThreadId, .hostParentProcessId,
            .userId, .mountNamespace, .pidNamespace:
            .uint32
        case .cgroupId: .uint64
        case .syscall: .int64
        case .isContainer, .podSandbox: .bool
        case .processName, .hostName, .containerId, .containerImage, .containerName, .containerImageDigest,
            .podName, .podNamespace, .podUid:
            .string
        }
    }

    public var origin: Origin {
        switch self {
        case .hostName: .host
        case .isContainer, .containerId, .containerImage, .containerName, .containerImageDigest, .podName,
            .podNamespace, .podUid, .podSandbox:
            .enrichment
        case .timestamp, .processorId, .processId, .threadId, .parentProcessId, .hostProcessId, .hostThreadId,
            .hostParentProcessId, .userId, .mountNamespace, .pidNamespace, .processName, .cgroupId, .syscall:
            .record
        }
    }

    /// The field that a filter means by a name or one of its short forms. `host` is `isContainer` with the
    /// opposite meaning.
    public static func named(_ name: String) -> (field: IdentityField, isOpposite: Bool)? {
        if name == "host" { return (.isContainer, true) }
        return names.first { $0.name == name }.map { ($0.field, false) }
    }

    /// All names that a filter may use, `host` too.
    public static var allNames: [String] { names.map(\.name) + ["host"] }

    private static let names: [(name: String, field: IdentityField)] =
        allCases.map { ($0.rawValue, $0) } + [
            ("p", .processId), ("pid", .processId), ("tid", .threadId), ("ppid", .parentProcessId),
            ("hostPid", .hostProcessId), ("hostTid", .hostThreadId),
            ("uid", .userId), ("mntns", .mountNamespace), ("pidns", .pidNamespace), ("comm", .processName),
        ]
}
