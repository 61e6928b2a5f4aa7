public import State

/// Asks Docker, or Podman, which speaks the same, for containers: `GET /containers/ID/json` over HTTP on its Unix
/// socket (Docker Engine API). Nothing is changed by that. It blocks its thread, two seconds for a container at most.
public struct DockerSocket: ContainerSource {
    public let path: String
    /// Who listens there.
    public let runtime: ContainerRuntime
    let timeout: UInt64

    /// Bytes of an answer.
    static let answerLimit = JSONReader.byteLimit

    /// - Parameters:
    ///   - path: of the socket, below 108 bytes.
    ///   - timeoutMilliseconds: for all of one container, 1 to 2,000.
    public init(path: String, runtime: ContainerRuntime = .docker, timeoutMilliseconds: Int = 2000) {
        self.path = path
        self.runtime = runtime
        timeout = UInt64(max(1, min(2000, timeoutMilliseconds))) * 1_000_000
    }

    /// Where the two listen ordinarily, for root.
    public static func ordinary(root: String = "") -> [DockerSocket] {
        [
            DockerSocket(path: root + "/run/docker.sock"),
            DockerSocket(path: root + "/run/podman/podman.sock", runtime: .podman),
        ]
    }

    public func details(of container: ContainerIdentity) throws(RuntimeError) -> ContainerDetails? {
        guard container.runtime == runtime || container.runtime == .unknown, container.isGenerated else {
            return nil
        }
        let deadline = UnixSocket.now() &+ timeout
        guard let answer = try get("/containers/\(container.id)/json", deadline) else { return nil }
        var details = ContainerDetails()
        // A name is not an id: the runtime must have found the very container.
        guard answer["Id"]?.string == container.id else { return nil }
        let name = ContainerDetails.text(answer["Name"]) ?? ""
        details.name = name.hasPrefix("/") ? String(name.dropFirst()) : name
        details.image =
            ContainerDetails.text(answer["Config"]?["Image"]) ?? ContainerDetails.text(answer["ImageName"])
            ?? ""
        details.labels = ContainerDetails.labels(answer["Config"]?["Labels"])
        details.pod = ContainerDetails.pod(from: details.labels)
        if let kubernetes = ContainerDetails.kubernetesName(from: details.labels) {
            details.name = kubernetes
        }
        if let uid = container.podUID, details.pod?.uid.isEmpty ?? false { details.pod?.uid = uid }
        // The manifest, where the runtime tells it; else the digest is the image's, who is asked for it. Without an
        // answer there is no digest.
        details.imageDigest =
            ContainerDetails.digest(in: answer["ImageManifestDescriptor"]?["digest"]?.string)
            ?? ContainerDetails.digest(in: answer["ImageDigest"]?.string) ?? ""
        if details.imageDigest.isEmpty, let image = answer["Image"]?.string {
            let id = ContainerDetails.digest(in: image.hasPrefix("sha256:") ? image : "sha256:" + image)
            if let id, let found = try? get("/images/\(id)/json", deadline) {
                let digests = found["RepoDigests"]?.elements ?? []
                details.imageDigest =
                    digests.lazy.compactMap { ContainerDetails.digest(in: $0.string) }.first ?? ""
            }
        }
        return details
    }

    /// Nil where nobody listens, or the runtime does not know what is asked for.
    private func get(_ resource: String, _ deadline: UInt64) throws(RuntimeError) -> JSONReader.Value? {
        let answer: HTTPAnswer
        do throws(Trouble) {
            answer = try exchange(resource, deadline)
        } catch {
            switch error {
            case .socket(.absent): return nil
            case .socket(.timedOut):
                throw RuntimeError(
                    "\(path) did not answer within \(timeout / 1_000_000) ms; containers stay without names until "
                        + "\(runtime.rawValue) answers again")
            case .socket(.tooLongPath):
                throw RuntimeError("\(path) is no path of a socket; it must have 1 to 107 bytes")
            case .socket(.failed(let number)):
                throw RuntimeError(
                    "\(path) cannot be asked (\(errorText(number))); see whether \(runtime.rawValue) is well and Apus "
                        + "may write to the socket")
            case .answer(.malformed):
                throw RuntimeError("\(path) gave no whole answer of HTTP/1.1; see who listens there")
            case .answer(.tooLong):
                throw RuntimeError(
                    "\(path) gave an answer longer than \(Self.answerLimit >> 20) MiB; see who listens there")
            }
        }
        if answer.status == 404 { return nil }
        guard answer.status == 200 else {
            throw RuntimeError(
                "\(path) answered a request for \(resource) with status \(answer.status); see the log of "
                    + "\(runtime.rawValue)")
        }
        do throws(JSONReader.Failure) {
            return try JSONReader(answer.body).root
        } catch {
            throw RuntimeError(
                "\(path) gave an answer that cannot be understood: \(error); see who listens there")
        }
    }

    private enum Trouble: Error {
        case socket(UnixSocket.Failure)
        case answer(HTTPAnswer.Failure)
    }

    private func exchange(_ resource: String, _ deadline: UInt64) throws(Trouble) -> HTTPAnswer {
        let request =
            "GET \(resource) HTTP/1.1\r\nHost: apus\r\nAccept: application/json\r\nConnection: close\r\n\r\n"
        var answer = HTTPAnswer(limit: Self.answerLimit)
        var failure: HTTPAnswer.Failure?
        do throws(UnixSocket.Failure) {
            let socket = try UnixSocket(path, deadline: deadline)
            try socket.write(Array(request.utf8))
            while !answer.isWhole, failure == nil {
                let bytes = try socket.read()
                do throws(HTTPAnswer.Failure) {
                    if bytes.isEmpty { try answer.end() } else { try answer.feed(bytes) }
                } catch {
                    failure = error
                }
            }
        } catch {
            throw .socket(error)
        }
        if let failure { throw .answer(failure) }
        return answer
    }
}
