import Foundation
import State
import TestSupport
import Testing

@testable import Runtimes

/// A folder that goes with the test.
final class Folder {
    let path =
        FileManager.default.temporaryDirectory.path + "/apus-\(getpid())-\(UInt32.random(in: 0 ... .max))"

    init() throws { try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true) }
    deinit { try? FileManager.default.removeItem(atPath: path) }

    func write(_ file: String, _ text: String) throws {
        let place = path + file
        try FileManager.default.createDirectory(
            atPath: String(place[..<(place.lastIndex(of: "/") ?? place.endIndex)]),
            withIntermediateDirectories: true)
        try text.write(toFile: place, atomically: false, encoding: .utf8)
    }
}

@Suite struct OCIBundlesTests {
    private static let id = String(repeating: "0123456789abcdef", count: 4)
    private static let digest = "sha256:" + String(repeating: "ab", count: 32)
    private static let image = "sha256:" + String(repeating: "cd", count: 32)
    private let folder: Folder
    private let bundles: OCIBundles

    init() throws {
        folder = try Folder()
        bundles = OCIBundles(root: folder.path + "/")
    }

    private func ask(_ runtime: ContainerRuntime, _ id: String = Self.id, pod: String? = nil) throws
        -> ContainerDetails?
    {
        try bundles.details(of: ContainerIdentity(runtime: runtime, id: id, podUID: pod))
    }

    @Test func docker() throws {
        let file = "/var/lib/docker/containers/\(Self.id)/config.v2.json"
        try folder.write(
            file,
            """
            {"ID":"\(Self.id)","Name":"/web","Image":"\(Self.image)","Config":{"Image":"nginx:1.27",
             "Labels":{"tier":"front","number":7}}}
            """)
        let details = try #require(try ask(.docker))
        #expect(details.name == "web")
        #expect(details.image == "nginx:1.27")
        #expect(details.labels == ["tier": "front"])
        #expect(details.imageDigest == "")
        #expect(details.pod == nil)
        #expect(try ask(.unknown) == details)
        #expect(try ask(.podman) == nil)
        #expect(try ask(.lxc) == nil)

        let other = "sha256:" + String(repeating: "ef", count: 32)
        try folder.write(
            "/var/lib/docker/image/overlay2/repositories.json",
            """
            {"Repositories":{"nginx":{"nginx:1.27":"\(Self.image)","nginx@\(Self.digest)":"\(Self.image)"},
             "else":{"else@\(other)":"\(other)"}, "mirror":{"mirror@\(other)":"\(Self.image)"}}}
            """)
        #expect(try ask(.docker)?.imageDigest == Self.digest)
        try folder.write(file, #"{"Name":"/web","Config":{},"ImageManifest":{"digest":"\#(other)"}}"#)
        #expect(try ask(.docker)?.imageDigest == other)

        try folder.write(
            file,
            """
            {"Name":"/k8s_x","Config":{"Labels":{"io.kubernetes.container.name":"app","io.kubernetes.pod.name":"p-1",
             "io.kubernetes.pod.namespace":"prod","io.kubernetes.pod.uid":"u","io.kubernetes.docker.type":"podsandbox"}}}
            """)
        let kubernetes = try #require(try ask(.docker))
        #expect(kubernetes.name == "app")
        #expect(kubernetes.pod?.name == "p-1")
        #expect(kubernetes.pod?.namespace == "prod")
        #expect(kubernetes.pod?.uid == "u")
        #expect(kubernetes.pod?.isSandbox == true)
    }

    @Test func containerd() throws {
        let path = "/run/containerd/io.containerd.runtime.v2.task/k8s.io/\(Self.id)/config.json"
        let many = (0..<2000).map { #""a\#($0)":"\#(String(repeating: "x", count: 50))""# }.joined(
            separator: ",")
        try folder.write("/run/containerd/io.containerd.runtime.v2.task/default/x/config.json", "{}")
        try folder.write(
            path,
            """
            {"annotations":{\(many),"io.kubernetes.cri.container-name":"app","io.kubernetes.cri.container-type":"container",
             "io.kubernetes.cri.image-name":"docker.io/library/nginx@\(Self.digest)",
             "io.kubernetes.cri.sandbox-name":"p-1","io.kubernetes.cri.sandbox-namespace":"prod"}}
            """)
        let details = try #require(try ask(.containerd, pod: "u-1"))
        #expect(details.name == "app")
        #expect(details.image == "docker.io/library/nginx@\(Self.digest)")
        #expect(details.imageDigest == Self.digest)
        #expect(details.pod?.name == "p-1")
        #expect(details.pod?.namespace == "prod")
        // Of the path of the control group, as the file lacks it.
        #expect(details.pod?.uid == "u-1")
        #expect(details.pod?.isSandbox == false)
        #expect(try ask(.unknown)?.name == "app")
        #expect(
            bundles.identity(named: Self.id, namespace: "k8s.io")
                == ContainerIdentity(runtime: .containerd, id: Self.id))
        #expect(bundles.identity(named: Self.id, namespace: "default") == nil)
        #expect(bundles.identity(named: Self.id, namespace: "..") == nil)
        #expect(bundles.identity(named: "..", namespace: "k8s.io") == nil)
        #expect(bundles.isNamespace("k8s.io"))
        for name in ["team", "..", "", Self.id] { #expect(!bundles.isNamespace(name)) }

        try folder.write(
            path,
            #"{"annotations":{"io.kubernetes.cri.container-type":"sandbox","io.kubernetes.cri.sandbox-name":"p-1"}}"#
        )
        #expect(try ask(.containerd)?.pod?.isSandbox == true)
        try folder.write(path, "{}")
        #expect(try ask(.containerd) == ContainerDetails())
    }

    @Test func crio() throws {
        try folder.write(
            "/run/containers/storage/overlay-containers/\(Self.id)/userdata/config.json",
            #"""
            {"annotations":{"io.kubernetes.cri-o.ContainerType":"container","io.kubernetes.cri-o.ContainerName":"k8s_app_x",
             "io.kubernetes.container.name":"app","io.kubernetes.pod.name":"p-1","io.kubernetes.pod.namespace":"prod",
             "io.kubernetes.pod.uid":"u","io.kubernetes.cri-o.ImageName":"quay.io/x/y:1",
             "io.kubernetes.cri-o.ImageRef":"quay.io/x/y@\#(Self.digest)",
             "io.kubernetes.cri-o.Labels":"{\"tier\":\"front\"}"}}
            """#)
        let details = try #require(try ask(.crio))
        #expect(details.name == "app")
        #expect(details.image == "quay.io/x/y:1")
        #expect(details.imageDigest == Self.digest)
        #expect(details.labels == ["tier": "front"])
        #expect(details.pod?.name == "p-1")
        #expect(details.pod?.namespace == "prod")
        #expect(details.pod?.uid == "u")
        #expect(details.pod?.isSandbox == false)
    }

    @Test(arguments: [
        "/var/lib/containers/storage/overlay-containers/containers.json",
        "/run/containers/storage/overlay-containers/volatile-containers.json",
    ])
    func podman(_ file: String) throws {
        let image = String(repeating: "cd", count: 32)
        try folder.write(
            file,
            #"""
            [{"id":"x","names":["no"]},{"id":"\#(Self.id)","names":["web"],"image":"\#(image)",
              "metadata":"{\"image-name\":\"docker.io/library/nginx:1.27\",\"name\":\"web\"}"}]
            """#)
        try folder.write(
            "/var/lib/containers/storage/overlay-images/images.json",
            #"[{"id":"\#(image)","digest":"\#(Self.digest)"}]"#)
        let details = try #require(try ask(.podman))
        #expect(details.name == "web")
        #expect(details.image == "docker.io/library/nginx:1.27")
        #expect(details.imageDigest == Self.digest)
        #expect(try ask(.podman, String(repeating: "0", count: 64)) == nil)
    }

    @Test func runcAndCrun() throws {
        #expect(try ask(.unknown, "web") == nil)
        try folder.write(
            "/run/runc/web/state.json",
            #"{"id":"web","config":{"labels":["nonsense","nerdctl/name=front","bundle=/tmp/x"]}}"#)
        #expect(try ask(.unknown, "web")?.name == "front")
        try folder.write("/run/containerd/runc/ns/db/state.json", #"{"config":{"labels":null}}"#)
        #expect(try ask(.containerd, "db")?.name == "db")
        #expect(bundles.identity(named: "web", namespace: nil)?.runtime == .unknown)
        #expect(bundles.identity(named: "db", namespace: nil) == nil)
        // A containerd with its state elsewhere.
        #expect(
            bundles.identity(named: "db", namespace: "ns")
                == ContainerIdentity(runtime: .containerd, id: "db"))
        #expect(bundles.identity(named: "db", namespace: "other") == nil)

        // Before they write anything the folder is there.
        for place in [
            "/run/runc/early", "/run/crun/soon", "/run/containerd/runc/ns/first", "/run/runc/\(Self.id)",
        ] {
            try folder.write("\(place)/lock", "")
        }
        for id in ["early", "soon", "first"] { #expect(try ask(.unknown, id)?.name == id) }
        #expect(try ask(.containerd, "first")?.name == "first")
        #expect(try ask(.unknown, "late") == nil)
        #expect(try ask(.unknown) == nil)

        try folder.write("/run/crun/one/status", #"{"bundle":"/bundles/one"}"#)
        #expect(try ask(.unknown, "one")?.name == "one")
        try folder.write("/bundles/one/config.json", #"{"annotations":{"nerdctl/name":"named"}}"#)
        #expect(try ask(.unknown, "one")?.name == "named")
        try folder.write("/run/crun/one/status", #"{"bundle":"/x/../bundles/one"}"#)
        try folder.write("/x/y", "")
        #expect(try ask(.unknown, "one")?.name == "one")
    }

    @Test func idsThatAreNoNames() throws {
        try folder.write("/run/secret/state.json", #"{"config":{"labels":["nerdctl/name=found"]}}"#)
        try FileManager.default.createDirectory(
            atPath: folder.path + "/run/runc", withIntermediateDirectories: true)
        for id in [
            "../secret", "", "..", ".", "a/b", "a\0b", "../runc/../secret",
            String(repeating: "a", count: 129),
        ] {
            #expect(try ask(.unknown, id) == nil, "\(id)")
        }
    }

    @Test func filesThatMustNotBeRead() throws {
        let file = "/run/runc/web/state.json"
        try folder.write("/elsewhere", "{}")
        try FileManager.default.createDirectory(
            atPath: folder.path + "/run/runc/web", withIntermediateDirectories: true)
        try FileManager.default.createSymbolicLink(
            atPath: folder.path + file, withDestinationPath: folder.path + "/elsewhere")
        let remove = { try FileManager.default.removeItem(atPath: self.folder.path + file) }
        var error = #expect(throws: RuntimeError.self) { try ask(.unknown, "web") }
        #expect(error?.description.contains("no ordinary file") == true)
        try remove()
        // Who opens a pipe waits for a writer.
        let made = unsafe mkfifo(folder.path + file, 0o600)
        #expect(made == 0)
        error = #expect(throws: RuntimeError.self) { try ask(.unknown, "web") }
        #expect(error?.description.contains("no ordinary file") == true)
        try remove()
        try folder.write(file, "[" + String(repeating: " ", count: 4 << 20) + "]")
        error = #expect(throws: RuntimeError.self) { try ask(.unknown, "web") }
        #expect(error?.description.contains("longer than 4 MiB") == true)
        for broken in ["{", "[1,]", "{\"a\":\"\u{1}\"}"] {
            try folder.write(file, broken)
            error = #expect(throws: RuntimeError.self) { try ask(.unknown, "web") }
            #expect(error?.description.contains(file) == true)
        }
        // It is being written: the folder tells the name.
        try folder.write(file, "")
        #expect(try ask(.unknown, "web")?.name == "web")
        // Of any other shape nothing is known but that it is there.
        for odd in [
            "[]", "1", "\"x\"", #"{"config":[]}"#, #"{"config":{"labels":{}}}"#,
            #"{"config":{"labels":[1,null]}}"#,
        ] {
            try folder.write(file, odd)
            #expect(try ask(.unknown, "web")?.name == "web", "\(odd)")
        }
    }

    @Test func textIsBounded() throws {
        let long = String(repeating: "ä", count: 5000)
        let labels = (0..<1000).map { #""l\#($0)":"x""# }.joined(separator: ",")
        try folder.write(
            "/var/lib/docker/containers/\(Self.id)/config.v2.json",
            #"{"Name":"\#(long)","Config":{"Image":"i","Labels":{\#(labels)}}}"#)
        let details = try #require(try ask(.docker))
        #expect(details.name == String(long.prefix(2048)))
        #expect(details.labels.count == 256)
    }
}
