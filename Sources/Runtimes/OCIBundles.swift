internal import Glibc
public import State

/// What runtimes write down of their containers in files, so that no socket is needed: names and images come even
/// where sockets are not at hand, and while a runtime hangs.
///
/// | of | file below the root | tells |
/// |---|---|---|
/// | Docker | `var/lib/docker/containers/ID/config.v2.json` | name, image, labels |
/// | containerd | `run/containerd/io.containerd.runtime.v2.task/NAMESPACE/ID/config.json` | annotations |
/// | CRI-O | `run/containers/storage/overlay-containers/ID/userdata/config.json` | annotations |
/// | Podman | `containers.json`, `volatile-containers.json` in `…/overlay-containers` | names, image |
/// | runc | `run/runc/ID/state.json`, `run/containerd/runc/NAMESPACE/ID/state.json`, `run/docker/…` | annotations |
/// | crun | `run/crun/ID/config.json`, or by the bundle in `run/crun/ID/status` | annotations |
///
/// Only root's containers are found: those of other users are below their home folders.
public struct OCIBundles: ContainerSource {
    let root: String

    /// - Parameter root: what stands before all paths: `/proc/1/root` where Apus runs in a container with the host's
    ///   process numbers.
    public init(root: String = "") {
        self.root = root.hasSuffix("/") ? String(root.dropLast()) : root
    }

    static let fileLimit = JSONReader.byteLimit
    /// Namespaces of containerd that are looked in.
    static let namespaceLimit = 64

    public func details(of container: ContainerIdentity) throws(RuntimeError) -> ContainerDetails? {
        guard ContainerIdentity.isName(container.id.utf8) else { return nil }
        for store in order(container.runtime) {
            let found: ContainerDetails? =
                switch store {
                case .docker: try docker(container.id)
                case .containerd: try containerd(container.id)
                case .crio: try crio(container.id)
                case .podman: try podman(container.id)
                default: try plain(container.id)
                }
            guard var found else { continue }
            // The path of the control group is the kernel's word, files are somebody's.
            if let uid = container.podUID {
                if found.pod == nil { found.pod = ContainerDetails.Pod() }
                if found.pod?.uid.isEmpty ?? false { found.pod?.uid = uid }
            }
            return found
        }
        return nil
    }

    /// Who knows a container whose control group has a name of which nothing can be told; nil where nobody does.
    /// - Parameter namespace: the component before the name, which is containerd's namespace with `ctr`.
    public func identity(named id: String, namespace: String?) -> ContainerIdentity? {
        guard ContainerIdentity.isName(id.utf8) else { return nil }
        if let namespace, ContainerIdentity.isName(namespace.utf8),
            // The second is runc's, for a containerd that keeps its own state elsewhere.
            isFolder("\(Self.tasks)/\(namespace)/\(id)")
                || isFolder("/run/containerd/runc/\(namespace)/\(id)")
        {
            return ContainerIdentity(runtime: .containerd, id: id)
        }
        // Made before the control group; what is in them comes later.
        for path in ["/run/runc/\(id)", "/run/crun/\(id)"] where isFolder(path) {
            return ContainerIdentity(runtime: .unknown, id: id)
        }
        return nil
    }

    /// Whether containerd has a namespace of this name: its containers' groups lie in one of the same name.
    public func isNamespace(_ name: String) -> Bool {
        ContainerIdentity.isName(name.utf8)
            && (isFolder("\(Self.tasks)/\(name)") || isFolder("/run/containerd/runc/\(name)"))
    }

    /// Where to look, the likely first.
    private func order(_ runtime: ContainerRuntime) -> [ContainerRuntime] {
        switch runtime {
        case .docker: [.docker, .containerd, .unknown]
        case .containerd: [.containerd, .unknown]
        case .crio: [.crio, .unknown]
        case .podman: [.podman, .unknown]
        case .unknown: [.docker, .containerd, .crio, .podman, .unknown]
        case .lxc, .garden, .systemd: []
        }
    }

    // MARK: Files

    private func isFolder(_ path: String) -> Bool {
        var information = stat()
        return unsafe lstat(root + path, &information) == 0 && information.st_mode & S_IFMT == S_IFDIR
    }

    /// A file that may be missing.
    func read(_ path: String) throws(RuntimeError) -> JSONReader.Value? {
        let bytes: [UInt8]
        do throws(BoundedFile.Failure) {
            bytes = try BoundedFile.read(root + path, limit: Self.fileLimit)
        } catch {
            switch error {
            case .missing: return nil
            case .tooLarge:
                throw RuntimeError(
                    "\(root)\(path) is longer than \(Self.fileLimit >> 20) MiB and is not read; "
                        + "its containers have no names")
            case .notAFile:
                throw RuntimeError("\(root)\(path) is no ordinary file and is not read; see who made it")
            case .unreadable(let number):
                throw RuntimeError(
                    "\(root)\(path) cannot be read (\(errorText(number))); run Apus as root, or with "
                        + "CAP_DAC_READ_SEARCH, to see names of containers")
            }
        }
        // It is being written at this moment.
        if bytes.isEmpty { return nil }
        do throws(JSONReader.Failure) {
            return try JSONReader(bytes).root
        } catch {
            throw RuntimeError("\(root)\(path) cannot be understood: \(error); its container has no name")
        }
    }

    // MARK: Docker

    private func docker(_ id: String) throws(RuntimeError) -> ContainerDetails? {
        guard let file = try read("/var/lib/docker/containers/\(id)/config.v2.json") else { return nil }
        var details = ContainerDetails()
        let name = ContainerDetails.text(file["Name"]) ?? ""
        details.name = name.hasPrefix("/") ? String(name.dropFirst()) : name
        details.image = ContainerDetails.text(file["Config"]?["Image"]) ?? ""
        details.labels = ContainerDetails.labels(file["Config"]?["Labels"])
        details.pod = ContainerDetails.pod(from: details.labels)
        if let kubernetes = ContainerDetails.kubernetesName(from: details.labels) {
            details.name = kubernetes
        }
        // With containerd's image store the manifest is named; else `Image` is the id of the configuration, which is
        // not the digest that is asked for, and the list of repositories leads from one to the other.
        if let digest = ContainerDetails.digest(in: file["ImageManifest"]?["digest"]?.string) {
            details.imageDigest = digest
        } else if let image = file["Image"]?.string, ContainerDetails.digest(in: image) != nil {
            details.imageDigest = dockerDigest(of: image, named: details.image)
        }
        return details
    }

    /// The digest by which an image was pulled, of the repository it was asked from if there are several; empty for
    /// one that was built here.
    private func dockerDigest(of image: String, named reference: String) -> String {
        var digest = ""
        let path = "/var/lib/docker/image/overlay2/repositories.json"
        guard let repositories = try? read(path)?["Repositories"] else { return "" }
        repositories.forEachMember { repository, references in
            var isDone = false
            references.forEachMember { name, target in
                guard target.string == image, let found = ContainerDetails.digest(in: name.string) else {
                    return true
                }
                digest = found
                isDone = repository.string.map { reference.hasPrefix($0) } ?? false
                return !isDone
            }
            return !isDone
        }
        return digest
    }

    // MARK: containerd

    static let tasks = "/run/containerd/io.containerd.runtime.v2.task"

    private func containerd(_ id: String) throws(RuntimeError) -> ContainerDetails? {
        for namespace in Directory.subdirectories(root + Self.tasks, limit: Self.namespaceLimit) {
            guard ContainerIdentity.isName(namespace.utf8) else { continue }
            // Its annotations, or where Docker made it nothing but that it is there.
            guard let file = try read("\(Self.tasks)/\(namespace)/\(id)/config.json") else { continue }
            return Self.details(from: Self.annotations(of: file))
                .named(ContainerIdentity(runtime: .containerd, id: id))
        }
        return nil
    }

    /// One annotation by its name. They are looked up one by one, not kept: a pod may have so many of its own that those
    /// that name it would not fit.
    typealias Annotations = (String) -> String?

    private static func annotations(of bundle: JSONReader.Value) -> Annotations {
        let all = bundle["annotations"]
        return { name in ContainerDetails.text(all?[name]) }
    }

    /// Of the annotations of a bundle (`pkg/cri/annotations` of containerd, `pkg/annotations` of CRI-O).
    static func details(from annotation: @escaping Annotations) -> ContainerDetails {
        var details = ContainerDetails()
        let cri = { (name: String) in annotation("io.kubernetes.cri." + name) ?? "" }
        details.name = annotation("io.kubernetes.cri.container-name") ?? annotation("nerdctl/name") ?? ""
        details.image = cri("image-name")
        details.imageDigest = ContainerDetails.digest(in: details.image) ?? ""
        if let name = annotation("io.kubernetes.cri.sandbox-name") {
            var pod = ContainerDetails.Pod()
            pod.name = name
            pod.namespace = cri("sandbox-namespace")
            pod.uid = cri("sandbox-uid")
            pod.isSandbox = cri("container-type") == "sandbox"
            details.pod = pod
        }
        if let kind = annotation("io.kubernetes.cri-o.ContainerType") {
            fill(&details, fromCRIO: annotation, isSandbox: kind == "sandbox")
        }
        return details
    }

    // MARK: CRI-O

    private func crio(_ id: String) throws(RuntimeError) -> ContainerDetails? {
        for place in ["/run", "/var/lib"] {
            let path = "\(place)/containers/storage/overlay-containers/\(id)/userdata/config.json"
            guard let file = try read(path) else { continue }
            return Self.details(from: Self.annotations(of: file))
        }
        return nil
    }

    private static func fill(
        _ details: inout ContainerDetails, fromCRIO annotation: @escaping Annotations, isSandbox: Bool
    ) {
        let cut = { (text: String?) in text ?? "" }
        var pod = ContainerDetails.Pod()
        pod.name = cut(annotation("io.kubernetes.pod.name"))
        pod.namespace = cut(annotation("io.kubernetes.pod.namespace"))
        pod.uid = cut(annotation("io.kubernetes.pod.uid"))
        pod.isSandbox = isSandbox
        // Labels are a JSON text in an annotation.
        let text = annotation("io.kubernetes.cri-o.Labels")
        let labels =
            (text.flatMap { try? JSONReader(Array($0.utf8)) }).map { ContainerDetails.labels($0.root) } ?? [:]
        if isSandbox { pod.labels = labels } else { details.labels = labels }
        details.pod = pod
        details.name =
            annotation("io.kubernetes.container.name") ?? ContainerDetails.kubernetesName(from: labels)
            ?? cut(annotation("io.kubernetes.cri-o.ContainerName"))
        details.image =
            annotation("io.kubernetes.cri-o.ImageName") ?? cut(annotation("io.kubernetes.cri-o.Image"))
        details.imageDigest =
            ContainerDetails.digest(in: annotation("io.kubernetes.cri-o.ImageRef"))
            ?? ContainerDetails.digest(in: details.image) ?? ""
    }

    // MARK: Podman

    /// The list of containers, and of those that go when they end (`--rm`).
    private static let podmanLists = [
        "/var/lib/containers/storage/overlay-containers/containers.json",
        "/var/lib/containers/storage/overlay-containers/volatile-containers.json",
        "/run/containers/storage/overlay-containers/volatile-containers.json",
    ]

    private func podman(_ id: String) throws(RuntimeError) -> ContainerDetails? {
        for path in Self.podmanLists {
            guard let list = try read(path),
                let container = list.elements.first(where: { $0["id"]?.string == id })
            else { continue }
            var details = ContainerDetails()
            details.name = ContainerDetails.text(container["names"]?.elements.first) ?? ""
            // Its own part of the entry is a JSON text in a string.
            if let text = container["metadata"]?.string, let metadata = try? JSONReader(Array(text.utf8)).root
            {
                details.image = ContainerDetails.text(metadata["image-name"]) ?? ""
                if details.name.isEmpty { details.name = ContainerDetails.text(metadata["name"]) ?? "" }
            }
            if let image = container["image"]?.string { details.imageDigest = podmanDigest(of: image) }
            return details
        }
        return nil
    }

    private func podmanDigest(of image: String) -> String {
        guard let images = try? read("/var/lib/containers/storage/overlay-images/images.json") else {
            return ""
        }
        let found = images.elements.first { $0["id"]?.string == image }
        return ContainerDetails.digest(in: found?["digest"]?.string) ?? ""
    }

    // MARK: runc and crun

    private func plain(_ id: String) throws(RuntimeError) -> ContainerDetails? {
        let container = ContainerIdentity(runtime: .unknown, id: id)
        var states = ["/run/runc/\(id)/state.json"]
        for folder in ["/run/containerd/runc", "/run/docker/runtime-runc"] {
            for namespace in Directory.subdirectories(root + folder, limit: Self.namespaceLimit)
            where ContainerIdentity.isName(namespace.utf8) {
                states.append("\(folder)/\(namespace)/\(id)/state.json")
            }
        }
        for path in states {
            guard let state = try read(path) else { continue }
            // runc keeps annotations as labels `NAME=VALUE`, and adds the bundle.
            let labels = state["config"]?["labels"]?.elements ?? []
            let details = Self.details { name in
                labels.lazy.compactMap { ContainerDetails.text($0) }.first { $0.hasPrefix(name + "=") }
                    .map { String($0.dropFirst(name.count + 1)) }
            }
            return details.named(container)
        }
        if let file = try read("/run/crun/\(id)/config.json") {
            return Self.details(from: Self.annotations(of: file)).named(container)
        }
        if let status = try read("/run/crun/\(id)/status") {
            guard let bundle = status["bundle"]?.string, bundle.hasPrefix("/"),
                !bundle.split(separator: "/").contains(".."), !bundle.utf8.contains(0),
                let file = try read("\(bundle)/config.json")
            else { return ContainerDetails().named(container) }
            return Self.details(from: Self.annotations(of: file)).named(container)
        }
        // Both make the folder before the control group, and write into it when the container is ready to start: too
        // late for one that lives for a moment. Its name is the id that somebody chose, whatever they write.
        guard !container.isGenerated,
            states.map({ String($0.dropLast("/state.json".count)) }).contains(where: isFolder)
                || isFolder("/run/crun/\(id)")
        else { return nil }
        return ContainerDetails().named(container)
    }
}
