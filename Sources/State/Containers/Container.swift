/// What runs containers, as it shows in the path of their control groups.
public enum ContainerRuntime: String, Sendable, CaseIterable {
    case docker, containerd, crio, podman, lxc, garden, systemd, unknown

    /// There is somebody, or a file, to ask for names.
    public var isAsked: Bool {
        switch self {
        case .docker, .containerd, .crio, .podman, .unknown: true
        case .lxc, .garden, .systemd: false
        }
    }
}

/// A container as the path of a control group tells it: no runtime needs to be asked for this.
public struct ContainerIdentity: Hashable, Sendable {
    public var runtime: ContainerRuntime
    /// The runtime's own id: 64 hexadecimal digits for most of them.
    public var id: String
    /// Of the Kubernetes pod, where the path says so.
    public var podUID: String?

    public init(runtime: ContainerRuntime, id: String, podUID: String? = nil) {
        self.runtime = runtime
        self.id = id
        self.podUID = podUID
    }
}

/// What a runtime tells of a container. All of it may be missing, and all of it may be hostile text: whoever makes an
/// image chooses its labels.
public struct ContainerDetails: Equatable, Sendable {
    public struct Pod: Equatable, Sendable {
        public var name = ""
        public var uid = ""
        public var namespace = ""
        public var labels: [String: String] = [:]
        /// The container only holds the pod's namespaces.
        public var isSandbox = false
        public init() {}
    }

    public var name = ""
    /// As it was asked for: `docker.io/library/nginx:1.27`.
    public var image = ""
    /// `sha256:` and hexadecimal digits.
    public var imageDigest = ""
    public var labels: [String: String] = [:]
    public var pod: Pod?
    public init() {}
}

extension ContainerDetails {
    /// What the store counts it as: its text, and a little for each label.
    var byteCount: Int {
        var count = name.utf8.count + image.utf8.count + imageDigest.utf8.count + Self.bytes(of: labels)
        if let pod {
            count += pod.name.utf8.count + pod.uid.utf8.count + pod.namespace.utf8.count
            count += Self.bytes(of: pod.labels)
        }
        return count
    }

    private static func bytes(of labels: [String: String]) -> Int {
        labels.reduce(0) { $0 + 64 + $1.key.utf8.count + $1.value.utf8.count }
    }
}

/// A container that the store knows. It changes only in the store's functions, on the store's thread.
public final class Container {
    public enum State: String, Sendable {
        /// It was there before us.
        case existed
        /// Its control group was made, and nothing was executed in it yet.
        case created
        /// Something was executed in it.
        case started
    }

    /// Of its root's control group; of one inside while only such a one was seen.
    public internal(set) var group: UInt64
    public let identity: ContainerIdentity
    /// The container around it.
    public let outer: ContainerIdentity?
    /// Of its root's control group.
    public let path: [UInt8]
    /// When it was seen first: nanoseconds since boot.
    public let seen: UInt64
    public internal(set) var state: State
    /// When its control group was removed; nil while it is there.
    public internal(set) var removed: UInt64?
    /// What a runtime told of it; nil while none was asked, and where none knew it.
    public internal(set) var details: ContainerDetails?
    /// Grows whenever something of it changes, for who keeps text made of it.
    public internal(set) var revision: UInt32 = 0

    enum Asking { case notYet, asked, answered }
    var asking = Asking.notYet
    var hasRoot: Bool
    /// Of its control groups; the root's among them.
    var groups: [UInt64] = []
    var bytes = 0

    init(
        group: UInt64, identity: ContainerIdentity, outer: ContainerIdentity?, path: [UInt8], seen: UInt64,
        state: State, hasRoot: Bool
    ) {
        self.group = group
        self.identity = identity
        self.outer = outer
        self.path = path
        self.seen = seen
        self.state = state
        self.hasRoot = hasRoot
    }

    /// No runtime was asked for its details yet.
    public var isPending: Bool { asking == .notYet }
}
