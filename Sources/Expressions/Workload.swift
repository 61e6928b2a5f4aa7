/// What is known of the container and the pod in which something happened. What is not known of a container is empty,
/// as the output shows nothing of it: so `containerImage!=trusted*` takes a container that no runtime knows.
public struct Workload: Sendable {
    public var isContainer = false
    public var containerID: [UInt8] = []
    public var containerImage: [UInt8] = []
    public var containerName: [UInt8] = []
    public var containerImageDigest: [UInt8] = []
    public var podName: [UInt8] = []
    public var podNamespace: [UInt8] = []
    public var podUID: [UInt8] = []
    /// The container only holds the pod's namespaces.
    public var isPodSandbox = false

    /// In no container.
    public init() {}
}

extension EvaluationContext {
    /// A text that no record holds; nil where it is not known, or is no text.
    @inline(__always)
    @_lifetime(borrow self)
    func text(_ field: IdentityField) -> RawSpan? {
        if field == .hostName { return unsafe hostName.isEmpty ? nil : hostName.span.bytes }
        guard isWorkloadKnown else { return nil }
        switch field {
        case .containerId: return unsafe known.containerID.span.bytes
        case .containerImage: return unsafe known.containerImage.span.bytes
        case .containerName: return unsafe known.containerName.span.bytes
        case .containerImageDigest: return unsafe known.containerImageDigest.span.bytes
        case .podName: return unsafe known.podName.span.bytes
        case .podNamespace: return unsafe known.podNamespace.span.bytes
        case .podUid: return unsafe known.podUID.span.bytes
        case .timestamp, .processorId, .processId, .threadId, .parentProcessId, .hostProcessId, .hostThreadId,
            .hostParentProcessId, .userId, .mountNamespace, .pidNamespace, .processName, .hostName, .cgroupId,
            .isContainer, .podSandbox, .syscall:
            return nil
        }
    }

    /// A yes or no that no record holds; nil where it is not known.
    @inline(__always)
    func flag(_ field: IdentityField) -> Bool? {
        guard isWorkloadKnown else { return nil }
        return field == .isContainer ? known.isContainer : field == .podSandbox ? known.isPodSandbox : nil
    }
}

extension CompiledExpression {
    /// It looks at containers or pods, so ``EvaluationContext/workload`` must be told before each evaluation.
    public var needsWorkload: Bool {
        operations.contains { operation in
            switch operation {
            case .bool(let field), .hasNumber(let field), .hasBlob(let field), .matches(let field, _),
                .numberField(let field), .textField(let field):
                field.isEnrichment
            case .constant, .not, .and, .or, .compareSigned, .compareUnsigned, .compareMixed, .compareDouble,
                .compareTruth, .compareText, .text, .isIn, .number, .signed, .unsigned, .double, .bytes:
                false
            }
        }
    }
}
