import Foundation
import State
import Synchronization
import TestSupport
import Testing

@testable import Runtimes

@Suite struct ProtobufTests {
    @Test func fields() throws {
        let inner = Wire.field(1, "x") + Wire.field(2, "")
        let message = Protobuf(
            [8, 0x96, 1, 0x11, 1, 2, 3, 4, 5, 6, 7, 8, 0x1d, 1, 2, 3, 4] + Wire.field(4, "old")
                + Wire.field(5, inner)
                + Wire.field(4, "new") + Wire.map(6, [("a", "b"), ("", "c"), ("a", "d")])
                + Wire.field(4000, "far"))
        #expect(try message.text(4) == "new")
        #expect(try message.text(4000) == "far")
        #expect(try message.text(1) == nil)
        #expect(try message.message(5)?.text(1) == "x")
        #expect(try message.message(5)?.text(2) == nil)
        #expect(try message.map(6, limit: 9, byteLimit: 100) == ["a": "d", "": "c"])
        #expect(try message.map(6, limit: 1, byteLimit: 100) == ["a": "b"])
        #expect(try message.map(6, limit: 9, byteLimit: 6) == ["a": "b"])
        #expect(
            Protobuf.message(4, String(repeating: "x", count: 300))
                == Wire.field(4, String(repeating: "x", count: 300)))
    }

    @Test(
        arguments: [
            [0x80], [0x0a], [0x0a, 2, 1], [0x0b], [0x0c], [0x0f], [0x02, 0], [0x09, 1], [0x0d, 1],
            [0x0a, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1], [8] + [UInt8](repeating: 255, count: 11),
        ] as [[UInt8]])
    func broken(_ bytes: [UInt8]) {
        #expect(throws: Protobuf.Failure.malformed) { try Protobuf(bytes).text(1) }
    }

    @Test func anything() {
        var random = SplitMix64(seed: 43)
        for _ in 0..<20_000 {
            let message = Protobuf(random.bytes(random.below(40)))
            _ = try? message.text(1)
            _ = try? message.message(2)?.message(1)?.text(1)
            _ = try? message.map(1, limit: 3, byteLimit: 100)
        }
        #expect(throws: Protobuf.Failure.malformed) {
            try Protobuf([UInt8](repeating: 8, count: 20_001 * 2)).text(1)
        }
    }
}

@Suite struct ContainerdSocketTests {
    private static let id = String(repeating: "0123456789abcdef", count: 4)
    private static let digest = "sha256:" + String(repeating: "ab", count: 32)

    private func serve<T>(
        _ acts: @escaping @Sendable ([String: String], [UInt8]) -> FakeServer.Act,
        _ body: (String) throws -> T
    ) throws -> T {
        let server = try FakeServer(isWhole: { Wire.read($0).isWhole }) { request in
            let read = Wire.read(request)
            return acts(read.fields, read.message)
        }
        defer { server.end() }
        return try body(server.path)
    }

    private static func status(_ status: Int) -> [UInt8] {
        let text = Array(String(status).utf8)
        return Wire.settings
            + Wire.frame(1, 5, 1, [0x88, 0x40, 11] + Array("grpc-status".utf8) + [UInt8(text.count)] + text)
    }

    @Test func containerd() throws {
        let container = Wire.field(
            1,
            Wire.field(1, Self.id)
                + Wire.map(
                    2,
                    [
                        ("io.kubernetes.container.name", "app"), ("io.kubernetes.pod.name", "p-1"),
                        ("io.kubernetes.pod.namespace", "prod"),
                    ]) + Wire.field(3, "docker.io/library/nginx:1.27"))
        let image = Wire.field(1, Wire.field(3, Wire.field(1, "type") + Wire.field(2, Self.digest)))
        let details = try serve({ fields, message in
            guard fields["containerd-namespace"] == "two" else { return .answer(Self.status(5)) }
            if fields[":path"] == "/containerd.services.containers.v1.Containers/Get" {
                return message == Wire.message(Wire.field(1, Self.id))
                    ? .answer(Wire.answer(container)) : .hang
            }
            return message == Wire.message(Wire.field(1, "docker.io/library/nginx:1.27"))
                ? .answer(Wire.answer(image)) : .hang
        }) { path in
            try ContainerdSocket(path: path, namespaces: ["one", "../x", "two"]).details(
                of: ContainerIdentity(runtime: .containerd, id: Self.id, podUID: "u"))
        }
        #expect(details?.name == "app")
        #expect(details?.image == "docker.io/library/nginx:1.27")
        #expect(details?.imageDigest == Self.digest)
        #expect(details?.pod?.name == "p-1")
        #expect(details?.pod?.namespace == "prod")
        #expect(details?.pod?.uid == "u")
        #expect(details?.pod?.isSandbox == false)
    }

    @Test func namespacesThatContainerdHasBesides() throws {
        let asked = Mutex<[String]>([])
        let details = try serve({ fields, _ in
            let namespace = fields["containerd-namespace"]
            switch fields[":path"] {
            case "/containerd.services.namespaces.v1.Namespaces/List":
                return .answer(
                    Wire.answer(
                        ["k8s.io", "../../x", "team", "default"].flatMap { Wire.field(1, Wire.field(1, $0)) })
                )
            case "/containerd.services.containers.v1.Containers/Get":
                asked.withLock { $0.append(namespace ?? "") }
                guard namespace == "team" else { return .answer(Self.status(5)) }
                return .answer(Wire.answer(Wire.field(1, Wire.field(1, Self.id) + Wire.field(3, "nginx"))))
            default: return .answer(Self.status(5))
            }
        }) {
            try ContainerdSocket(path: $0).details(of: ContainerIdentity(runtime: .containerd, id: Self.id))
        }
        #expect(details?.image == "nginx")
        #expect(asked.withLock { $0 } == ["k8s.io", "default", "team"])
    }

    @Test func kubernetes() throws {
        let status = Wire.field(
            1,
            Wire.field(1, Self.id) + Wire.field(2, Wire.field(1, "app"))
                + Wire.field(8, Wire.field(1, "sha256:x") + Wire.field(18, "nginx:1.27"))
                + Wire.field(9, "docker.io/library/nginx@\(Self.digest)")
                + Wire.map(12, [("io.kubernetes.pod.name", "p-1"), ("io.kubernetes.pod.uid", "u")]))
        let details = try serve({ fields, _ in
            fields[":path"] == "/runtime.v1.RuntimeService/ContainerStatus"
                ? .answer(Wire.answer(status)) : .hang
        }) { try CRISocket(path: $0).details(of: ContainerIdentity(runtime: .crio, id: Self.id)) }
        #expect(details?.name == "app")
        #expect(details?.image == "nginx:1.27")
        #expect(details?.imageDigest == Self.digest)
        #expect(details?.pod?.name == "p-1")
        #expect(details?.pod?.uid == "u")

        let sandbox = Wire.field(
            1,
            Wire.field(1, Self.id)
                + Wire.field(2, Wire.field(1, "p-1") + Wire.field(2, "u") + Wire.field(3, "prod"))
                + Wire.map(7, [("tier", "front")]))
        let pod = try serve({ fields, _ in
            fields[":path"] == "/runtime.v1.RuntimeService/PodSandboxStatus"
                ? .answer(Wire.answer(sandbox)) : .answer(Self.status(5))
        }) { try CRISocket(path: $0).details(of: ContainerIdentity(runtime: .unknown, id: Self.id)) }
        #expect(pod?.pod?.name == "p-1")
        #expect(pod?.pod?.namespace == "prod")
        #expect(pod?.pod?.labels == ["tier": "front"])
        #expect(pod?.pod?.isSandbox == true)
        // An image that no registry has is told by its id, which is no digest of a manifest.
        let local = Wire.field(1, Wire.field(1, Self.id) + Wire.field(9, Self.digest))
        #expect(
            try serve({ _, _ in .answer(Wire.answer(local)) }) {
                try CRISocket(path: $0).details(of: ContainerIdentity(runtime: .crio, id: Self.id))
            }?.imageDigest == "")
        // Another container than the one that was asked for.
        let other = try serve({ _, _ in .answer(Wire.answer(status)) }) {
            try CRISocket(path: $0).details(
                of: ContainerIdentity(runtime: .crio, id: String(Self.id.reversed())))
        }
        #expect(other == nil)
    }

    /// Ids that somebody chose.
    @Test func whoIsNotAsked() throws {
        for (runtime, id) in [(ContainerRuntime.unknown, "web"), (.crio, "web"), (.unknown, Self.id + "0")] {
            let identity = ContainerIdentity(runtime: runtime, id: id)
            let asked = try serve({ _, _ in .answer(Self.status(13)) }) { path in
                try CRISocket(path: path).details(of: identity) == nil
                    && ContainerdSocket(path: path).details(of: identity) == nil
                    && DockerSocket(path: path).details(of: identity) == nil
            }
            #expect(asked)
        }
        let container = Wire.field(1, Wire.field(1, "web") + Wire.field(3, "busybox:1"))
        let details = try serve({ fields, _ in
            fields[":path"] == "/containerd.services.containers.v1.Containers/Get"
                ? .answer(Wire.answer(container)) : .answer(Self.status(5))
        }) { try ContainerdSocket(path: $0).details(of: ContainerIdentity(runtime: .containerd, id: "web")) }
        #expect(details?.name == "web")
        #expect(details?.image == "busybox:1")
    }

    @Test func whoAnswersBadly() throws {
        let identity = ContainerIdentity(runtime: .containerd, id: Self.id)
        for act: FakeServer.Act in [
            .answer([]), .answer(Array("HTTP/1.1 400 Bad\r\n\r\n".utf8)), .answer(Self.status(7)),
            .answer(Self.status(13)),
            .answer(Wire.settings), .answer(Wire.answer([255])), .flood, .hang,
            .stall(Wire.settings + Wire.head),
        ] {
            let start = Date()
            #expect(throws: RuntimeError.self) {
                try serve({ _, _ in act }) {
                    try ContainerdSocket(path: $0, timeoutMilliseconds: 200).details(of: identity)
                }
            }
            #expect(Date().timeIntervalSince(start) < 1.5)
        }
        #expect(try CRISocket(path: "/nowhere/at/all").details(of: identity) == nil)
        #expect(
            try CRISocket(path: "/nowhere").details(of: ContainerIdentity(runtime: .docker, id: "x")) == nil)
        #expect(
            try serve({ _, _ in .answer(Self.status(5)) }) { try CRISocket(path: $0).details(of: identity) }
                == nil)
    }
}
