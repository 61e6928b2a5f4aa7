public import State

/// Asks containerd itself (`containerd.services.containers.v1`, `…images.v1`, `…namespaces.v1`): also of containers that no
/// Kubernetes made. Two seconds for a container at most.
public struct ContainerdSocket: ContainerSource {
    public let path: String
    let namespaces: [String]
    private let client: GRPCClient

    /// - Parameters:
    ///   - namespaces: of containerd, that are asked in this order, before those that it has besides.
    ///   - timeoutMilliseconds: for all of one container, 1 to 2,000.
    public init(
        path: String = "/run/containerd/containerd.sock", namespaces: [String] = ["k8s.io", "default"],
        timeoutMilliseconds: Int = 2000
    ) {
        self.path = path
        self.namespaces = namespaces.filter { ContainerIdentity.isName($0.utf8) }
        client = GRPCClient(path: path, timeout: UInt64(max(1, min(2000, timeoutMilliseconds))) * 1_000_000)
    }

    public func details(of container: ContainerIdentity) throws(RuntimeError) -> ContainerDetails? {
        // An id that somebody chose is containerd's only where its files say so: else it is runc's or crun's alone.
        guard container.runtime == .containerd || container.runtime == .unknown && container.isGenerated,
            ContainerIdentity.isName(container.id.utf8)
        else { return nil }
        let deadline = UnixSocket.now() &+ client.timeout
        if let details = try details(of: container, in: namespaces, deadline) { return details }
        let others = try others(deadline).filter { !namespaces.contains($0) }
        return try details(of: container, in: others, deadline)
    }

    private static let namespaceLimit = 32

    private func others(_ deadline: UInt64) throws(RuntimeError) -> [String] {
        try client.call("/containerd.services.namespaces.v1.Namespaces/List", [], deadline: deadline) {
            answer throws(Protobuf.Failure) in
            // ListNamespacesResponse.namespaces: name 1.
            var names: [String] = []
            for namespace in try answer.messages(1, limit: Self.namespaceLimit) {
                if let name = try namespace.text(1), ContainerIdentity.isName(name.utf8) {
                    names.append(name)
                }
            }
            return names
        } ?? []
    }

    private func details(
        of container: ContainerIdentity, in namespaces: [String], _ deadline: UInt64
    ) throws(RuntimeError) -> ContainerDetails? {
        for namespace in namespaces {
            let found = try client.call(
                "/containerd.services.containers.v1.Containers/Get", namespace: namespace,
                Protobuf.message(1, container.id), deadline: deadline
            ) { answer throws(Protobuf.Failure) in
                // GetContainerResponse.container: id 1, labels 2, image 3.
                try answer.message(1).flatMap { found throws(Protobuf.Failure) in
                    try Self.details(of: container, found)
                }
            }
            guard var details = found else { continue }
            if !details.image.isEmpty {
                // GetImageResponse.image, its target, the digest of that. A container may outlive its image.
                let digest = try? client.call(
                    "/containerd.services.images.v1.Images/Get", namespace: namespace,
                    Protobuf.message(1, details.image), deadline: deadline
                ) { answer throws(Protobuf.Failure) in try answer.message(1)?.message(3)?.text(2) }
                details.imageDigest = ContainerDetails.digest(in: digest ?? nil) ?? ""
            }
            return details
        }
        return nil
    }

    private static func details(
        of container: ContainerIdentity, _ found: Protobuf
    ) throws(Protobuf.Failure) -> ContainerDetails? {
        guard try found.text(1) == container.id else { return nil }
        var details = ContainerDetails()
        details.image = try found.text(3) ?? ""
        details.labels = try found.map(
            2, limit: ContainerDetails.labelLimit, byteLimit: ContainerDetails.labelBytes)
        details.name =
            ContainerDetails.kubernetesName(from: details.labels) ?? details.labels["nerdctl/name"] ?? ""
        details.pod = ContainerDetails.pod(from: details.labels)
        if details.labels["io.cri-containerd.kind"] == "sandbox" { details.pod?.isSandbox = true }
        if let uid = container.podUID, details.pod?.uid.isEmpty ?? false { details.pod?.uid = uid }
        return details.named(container)
    }
}

/// Asks by Kubernetes' interface for runtimes (CRI, `runtime.v1.RuntimeService`), which containerd and CRI-O speak.
/// Two seconds for a container at most.
public struct CRISocket: ContainerSource {
    public let path: String
    private let client: GRPCClient

    /// - Parameter timeoutMilliseconds: for all of one container, 1 to 2,000.
    public init(path: String, timeoutMilliseconds: Int = 2000) {
        self.path = path
        client = GRPCClient(path: path, timeout: UInt64(max(1, min(2000, timeoutMilliseconds))) * 1_000_000)
    }

    /// Where the two listen ordinarily.
    public static func ordinary(root: String = "") -> [CRISocket] {
        [
            CRISocket(path: root + "/run/containerd/containerd.sock"),
            CRISocket(path: root + "/run/crio/crio.sock"),
        ]
    }

    public func details(of container: ContainerIdentity) throws(RuntimeError) -> ContainerDetails? {
        switch container.runtime {
        case .containerd, .crio, .unknown: break
        default: return nil
        }
        guard container.isGenerated else { return nil }
        let deadline = UnixSocket.now() &+ client.timeout
        let request = Protobuf.message(1, container.id)
        let found = try client.call(
            "/runtime.v1.RuntimeService/ContainerStatus", request, deadline: deadline
        ) { answer throws(Protobuf.Failure) in
            guard let status = try answer.message(1) else { return nil as ContainerDetails? }
            return try Self.container(container, status)
        }
        if let found { return found }
        return try client.call(
            "/runtime.v1.RuntimeService/PodSandboxStatus", request, deadline: deadline
        ) { answer throws(Protobuf.Failure) in
            guard let status = try answer.message(1) else { return nil as ContainerDetails? }
            return try Self.sandbox(container, status)
        }
    }

    /// ContainerStatus: id 1, metadata 2 (name 1), image 8 (image 1, user_specified_image 18), image_ref 9, labels 12.
    private static func container(
        _ container: ContainerIdentity, _ status: Protobuf
    ) throws(Protobuf.Failure) -> ContainerDetails? {
        guard try status.text(1) == container.id else { return nil }
        var details = ContainerDetails()
        details.name = try status.message(2)?.text(1) ?? ""
        let image = try status.message(8)
        let asked = try image?.text(18)
        let resolved = try image?.text(1)
        details.image = asked ?? resolved ?? ""
        // `NAME@sha256:…`; of an image that no registry has it is the image's id, the digest of its configuration.
        let reference = try status.text(9) ?? ""
        details.imageDigest = reference.contains("@") ? ContainerDetails.digest(in: reference) ?? "" : ""
        details.labels = try status.map(
            12, limit: ContainerDetails.labelLimit, byteLimit: ContainerDetails.labelBytes)
        details.pod = ContainerDetails.pod(from: details.labels)
        if let uid = container.podUID, details.pod?.uid.isEmpty ?? false { details.pod?.uid = uid }
        return details
    }

    /// PodSandboxStatus: id 1, metadata 2 (name 1, uid 2, namespace 3), labels 7.
    private static func sandbox(
        _ container: ContainerIdentity, _ status: Protobuf
    ) throws(Protobuf.Failure) -> ContainerDetails? {
        guard try status.text(1) == container.id else { return nil }
        var pod = ContainerDetails.Pod()
        let metadata = try status.message(2)
        pod.name = try metadata?.text(1) ?? ""
        pod.uid = try metadata?.text(2) ?? container.podUID ?? ""
        pod.namespace = try metadata?.text(3) ?? ""
        pod.labels = try status.map(
            7, limit: ContainerDetails.labelLimit, byteLimit: ContainerDetails.labelBytes)
        pod.isSandbox = true
        var details = ContainerDetails()
        details.pod = pod
        return details
    }
}
