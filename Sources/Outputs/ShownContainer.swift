/// What outputs show of the container in which something happened. Any text: images and labels are made by anybody.
public struct ShownContainer: Sendable, Equatable {
    public var id = ""
    public var name = ""
    public var image = ""
    public var imageDigest = ""
    /// Its first program runs, or has run.
    public var isStarted = false
    public var podName = ""
    public var podUID = ""
    public var podNamespace = ""
    public var podLabels: [(name: String, value: String)] = []
    public init() {}

    public static func == (one: ShownContainer, other: ShownContainer) -> Bool {
        one.id == other.id && one.name == other.name && one.image == other.image
            && one.imageDigest == other.imageDigest && one.isStarted == other.isStarted
            && one.podName == other.podName && one.podUID == other.podUID
            && one.podNamespace == other.podNamespace
            && one.podLabels.elementsEqual(other.podLabels) { $0 == $1 }
    }

    /// As members of the JSON's `workload`, each with a comma before it.
    func json() -> [UInt8] {
        func quoted(_ text: String) -> [UInt8] {
            let bytes = Array(text.utf8)
            var buffer = ByteBuffer(capacity: ByteBuffer.jsonRoom(bytes.count))
            buffer.reserve(ByteBuffer.jsonRoom(bytes.count))
            unsafe buffer.append(jsonString: bytes.span.bytes)
            return unsafe buffer.withBytes { unsafe Array($0) }
        }
        func object(_ members: [(String, [UInt8])]) -> [UInt8] {
            var text: [UInt8] = [UInt8(ascii: "{")]
            for (number, member) in members.enumerated() {
                if number > 0 { text.append(UInt8(ascii: ",")) }
                text += Array("\"\(member.0)\":".utf8) + member.1
            }
            return text + [UInt8(ascii: "}")]
        }
        var image: [(String, [UInt8])] = []
        if !imageDigest.isEmpty {
            image.append(("repo_digests", [UInt8(ascii: "[")] + quoted(imageDigest) + [UInt8(ascii: "]")]))
        }
        if !self.image.isEmpty { image.append(("name", quoted(self.image))) }
        var container = [("id", quoted(id))]
        if !name.isEmpty { container.append(("name", quoted(name))) }
        if !image.isEmpty { container.append(("image", object(image))) }
        if isStarted { container.append(("started", Array("true".utf8))) }
        var text = Array(",\"container\":".utf8) + object(container)
        guard !podUID.isEmpty || !podName.isEmpty else { return text }
        var pod: [(String, [UInt8])] = []
        if !podName.isEmpty { pod.append(("name", quoted(podName))) }
        if !podUID.isEmpty { pod.append(("uid", quoted(podUID))) }
        if !podLabels.isEmpty {
            // A name is text of anybody too.
            var labels: [UInt8] = [UInt8(ascii: "{")]
            for (number, label) in podLabels.enumerated() {
                if number > 0 { labels.append(UInt8(ascii: ",")) }
                labels += quoted(label.name) + [UInt8(ascii: ":")] + quoted(label.value)
            }
            pod.append(("labels", labels + [UInt8(ascii: "}")]))
        }
        var members = [("pod", object(pod))]
        if !podNamespace.isEmpty { members.append(("namespace", object([("name", quoted(podNamespace))]))) }
        text += Array(",\"k8s\":".utf8) + object(members)
        return text
    }
}
