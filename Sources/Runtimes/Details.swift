public import State

/// One source seldom knows all: files tell names and pods at once, sockets tell images and digests.
extension ContainerDetails {
    /// There is nothing left that another source could tell, but labels. A sandbox has no name.
    public var isComplete: Bool {
        (!name.isEmpty || pod?.isSandbox == true) && !image.isEmpty && !imageDigest.isEmpty
    }

    /// Takes from what another source told of the same container what is missing here.
    public mutating func fill(from other: ContainerDetails) {
        if name.isEmpty { name = other.name }
        // A digest is of the image that it was told with.
        if image.isEmpty {
            image = other.image
            imageDigest = other.imageDigest
        } else if imageDigest.isEmpty, other.image.isEmpty || other.image == image {
            imageDigest = other.imageDigest
        }
        if labels.isEmpty { labels = other.labels }
        guard let theirs = other.pod else { return }
        guard var mine = pod else {
            pod = theirs
            return
        }
        if mine.name.isEmpty { mine.name = theirs.name }
        if mine.uid.isEmpty { mine.uid = theirs.uid }
        if mine.namespace.isEmpty { mine.namespace = theirs.namespace }
        if mine.labels.isEmpty { mine.labels = theirs.labels }
        mine.isSandbox = mine.isSandbox || theirs.isSandbox
        pod = mine
    }
}

extension ContainerIdentity {
    /// The id is one that Docker, Podman and Kubernetes' runtimes make. They are not asked for others: they would answer
    /// slowly that they know none, and write an error into their log each time.
    var isGenerated: Bool {
        id.utf8.count == 64
            && id.utf8.allSatisfy {
                (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0)
                    || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains($0)
            }
    }
}

/// Bounds what runtimes tell, before anybody keeps it.
extension ContainerDetails {
    /// Who has no name but the id that somebody chose is called by it.
    func named(_ container: ContainerIdentity) -> ContainerDetails {
        guard name.isEmpty, pod?.isSandbox != true, !container.isGenerated else { return self }
        var details = self
        details.name = container.id
        return details
    }

    /// Bytes of one text, and how many labels.
    static let textLimit = 4096
    static let labelLimit = 256
    static let labelBytes = 48 << 10

    static func text(_ value: JSONReader.Value?) -> String? {
        guard let text = value?.string, !text.isEmpty else { return nil }
        guard text.utf8.count > textLimit else { return text }
        return String(decoding: Array(text.utf8.prefix(textLimit)), as: UTF8.self)
    }

    /// The members of an object that are text. What is beyond the limits is left out.
    static func labels(_ value: JSONReader.Value?) -> [String: String] {
        var labels: [String: String] = [:]
        var bytes = 0
        value?.forEachMember { key, value in
            guard let name = key.string, let text = value.string else { return true }
            bytes += name.utf8.count + text.utf8.count
            guard labels.count < labelLimit, bytes <= labelBytes else { return false }
            labels[name] = text
            return true
        }
        return labels
    }

    /// `sha256:` and 64 digits, alone or behind the `@` of a reference.
    static func digest(in text: String?) -> String? {
        guard let text else { return nil }
        let part = text.split(separator: "@").last.map(String.init) ?? text
        let digits = part.dropFirst("sha256:".count)
        guard part.hasPrefix("sha256:"), digits.utf8.count == 64,
            digits.utf8.allSatisfy({
                (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0)
                    || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains($0)
            })
        else { return nil }
        return part
    }

    /// Labels that the kubelet puts on each container.
    private enum Kubernetes {
        static let container = "io.kubernetes.container.name"
        static let pod = "io.kubernetes.pod.name"
        static let namespace = "io.kubernetes.pod.namespace"
        static let uid = "io.kubernetes.pod.uid"
    }

    /// The pod as the kubelet's labels tell it, with Docker's and CRI-O's containers.
    static func pod(from labels: [String: String]) -> Pod? {
        guard let name = labels[Kubernetes.pod] else { return nil }
        var pod = Pod()
        pod.name = name
        pod.namespace = labels[Kubernetes.namespace] ?? ""
        pod.uid = labels[Kubernetes.uid] ?? ""
        pod.isSandbox =
            labels["io.kubernetes.docker.type"] == "podsandbox" || labels[Kubernetes.container] == "POD"
        return pod
    }

    static func kubernetesName(from labels: [String: String]) -> String? { labels[Kubernetes.container] }
}
