internal import Runtimes
internal import State

/// Which container runtimes are asked for names.
public struct RuntimeRequest: Sendable {
    /// Paths of sockets. Where none is given, those that are there ordinarily.
    public var docker: String?
    public var podman: String?
    public var containerd: String?
    public var crio: String?
    public init() {}

    var sockets: [any ContainerSource] {
        if docker == nil && podman == nil && containerd == nil && crio == nil {
            return [ContainerdSocket()] + CRISocket.ordinary() + DockerSocket.ordinary()
        }
        var sockets: [any ContainerSource] = []
        if let docker { sockets.append(DockerSocket(path: docker)) }
        if let podman { sockets.append(DockerSocket(path: podman, runtime: .podman)) }
        if let crio { sockets.append(CRISocket(path: crio)) }
        if let containerd {
            // The first knows all of its containers, by whomever, and writes no error into its log for others.
            sockets.append(ContainerdSocket(path: containerd))
            sockets.append(CRISocket(path: containerd))
        }
        return sockets
    }
}
