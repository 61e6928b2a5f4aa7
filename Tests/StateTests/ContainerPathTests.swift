import TestSupport
import Testing

@testable import State

/// An id as runtimes make them.
func containerID(_ digit: Character = "a") -> String {
    String(repeating: "0123456789abcde" + String(digit), count: 4)
}

@Suite struct ContainerPathTests {
    private static let id = containerID()
    private static let other = containerID("f")
    private static let uid = "2c48913c-b29f-11e7-9350-020968147796"
    private static let uidUnderscored = "2c48913c_b29f_11e7_9350_020968147796"

    @Test(
        arguments: [
            ("/system.slice/docker-ID.scope", .docker, nil, 1),
            ("/docker/ID", .docker, nil, 1),
            ("/actions_job/ID", .docker, nil, 1),
            ("/user.slice/user-1000.slice/user@1000.service/user.slice/docker-ID.scope", .docker, nil, 4),
            (
                "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podUIDU.slice/cri-containerd-ID.scope",
                .containerd, uid, 3
            ),
            (
                "/system.slice/containerd.service/kubepods-burstable-podUIDU.slice:cri-containerd:ID",
                .containerd, nil, 2
            ),
            ("/kubepods-burstable-podUIDU.slice:cri-containerd:ID", .containerd, nil, 0),
            ("/system.slice/nerdctl-ID.scope", .containerd, nil, 1),
            ("/k8s.io/ID", .containerd, nil, 1),
            ("/kubepods.slice/kubepods-podUIDU.slice/crio-ID.scope", .crio, uid, 2),
            ("/kubepods/burstable/podUID/crio-ID", .crio, uid, 3),
            ("/machine.slice/libpod-ID.scope", .podman, nil, 1),
            ("/system.slice/web.service/libpod-payload-ID", .podman, nil, 2),
            ("/libpod_parent/libpod-ID", .podman, nil, 1),
            ("/kubepods/burstable/podUID/ID", .unknown, uid, 3),
            (
                "/kubepods/pod0123456789abcdef0123456789abcdef/ID", .unknown,
                "0123456789abcdef0123456789abcdef", 2
            ),
            (
                "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-podUIDU.slice/ID", .unknown,
                uid, 3
            ),
            ("/ecs/task/ID", .unknown, nil, 2),
            ("docker/ID", .docker, nil, 1),
            ("//docker///ID", .docker, nil, 1),
        ] as [(String, ContainerRuntime, String?, Int)])
    func formsWithIDs(_ form: String, _ runtime: ContainerRuntime, _ pod: String?, _ component: Int) throws {
        let path = Self.fill(form)
        let root = Array(path.utf8)
        // Groups inside are the same container.
        for inside in ["", "/", "/init.scope", "/container", "/system.slice/sshd.service", "/" + Self.id] {
            let match = try #require(
                ControlGroupPath.recognise(Array((path + inside).utf8)), "\(path + inside)")
            #expect(match.identity == ContainerIdentity(runtime: runtime, id: Self.id, podUID: pod))
            #expect(match.outer == nil)
            #expect(match.level == 1)
            #expect(match.component == component)
            #expect(match.rootLength == root.count)
        }
        // A digit less or more, or one that is none, and it is no id.
        for broken in [
            String(Self.id.dropLast()), Self.id + "0", "g" + Self.id.dropFirst(), Self.id.uppercased(),
        ] {
            let wrong = form.replacing("ID", with: broken).replacing(broken + "U", with: "UIDU")
            if form.contains("UID") { continue }
            #expect(ControlGroupPath.recognise(Array(wrong.utf8)) == nil, "\(wrong)")
        }
    }

    @Test(
        arguments: [
            ("/lxc.payload.web-1", .lxc, "web-1", 0), ("/lxc.payload/web", .lxc, "web", 1),
            ("/lxc/104/init.scope", .lxc, "104", 1),
            ("/machine.slice/machine-deb\\x2d12.scope", .systemd, "deb-12", 1),
            ("/machine.slice/machine-deb.scope/payload", .systemd, "deb", 1),
            ("/machine.slice/systemd-nspawn@web.service/payload", .systemd, "web", 1),
            (
                "/garden/2c48913c-b29f-11e7-9350-020968147796", .garden,
                "2c48913c-b29f-11e7-9350-020968147796", 1
            ),
            (
                "/system.slice/garden.service/garden/2c48913c-b29f-11e7-9350-0209", .garden,
                "2c48913c-b29f-11e7-9350-0209", 3
            ),
        ] as [(String, ContainerRuntime, String, Int)])
    func formsWithNames(_ path: String, _ runtime: ContainerRuntime, _ id: String, _ component: Int) throws {
        let match = try #require(ControlGroupPath.recognise(Array(path.utf8)))
        #expect(match.identity == ContainerIdentity(runtime: runtime, id: id))
        #expect(match.component == component)
        let root = path.utf8.prefix(match.rootLength)
        #expect(String(root)?.split(separator: "/").count == component + 1)
        #expect(path.hasPrefix(String(root) ?? "?"))
    }

    @Test(
        arguments: [
            "", "/", "//", "/init.scope", "/user.slice/user-0.slice/session-1.scope",
            "/system.slice/docker.service",
            "/docker", "/docker/buildx", "/docker/4c052918825dec2a256b6056824c5d31",
            "/kubepods.slice/kubepods-podUIDU.slice", "/kubepods/burstable/podUID",
            "/kubepods/podUID/crio-conmon-ID",
            "/machine.slice/libpod-conmon-ID.scope", "/libpod_parent/conmon",
            "/kubepods.slice/kubepods-podUIDU.slice/crio-conmon-ID.scope", "/lxc.monitor.web", "/lxc.pivot",
            "/lxc", "/lxc/", "/lxc.payload.", "/lxc/..", "/lxc/a b", "/machine.slice",
            "/machine.slice/machine-qemu\\x2d1\\x2dvm.scope", "/machine.slice/machine-.scope",
            "/machine.slice/machine-a\\x2fb.scope", "/machine.slice/machine-a\\x2", "/machine-web.scope",
            "/garden", "/garden/x", "/elsewhere/2c48913c-b29f-11e7-9350-020968147796", "/my-docker-ID.scope",
            "/docker-ID.slice", "/podID", "/pod", "/a.slice/-pod.slice", "/kubepods-pod.slice",
        ])
    func whatHoldsNone(_ form: String) {
        #expect(ControlGroupPath.recognise(Array(Self.fill(form).utf8)) == nil)
    }

    @Test func theInnermostWinsAndTheOuterIsKnown() throws {
        let path = Self.fill(
            "/docker/OTHER/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-podUIDU.slice/cri-containerd-ID.scope"
        )
        let match = try #require(ControlGroupPath.recognise(Array((path + "/x").utf8)))
        #expect(match.identity == ContainerIdentity(runtime: .containerd, id: Self.id, podUID: Self.uid))
        #expect(match.outer == ContainerIdentity(runtime: .docker, id: Self.other))
        #expect(match.level == 2)
        #expect(match.component == 5)
        #expect(match.rootLength == path.utf8.count)

        // The pod is around the outer one only.
        let inPod = try #require(
            ControlGroupPath.recognise(Array(Self.fill("/kubepods/podUID/OTHER/docker/ID").utf8)))
        #expect(inPod.identity == ContainerIdentity(runtime: .docker, id: Self.id))
        #expect(inPod.outer == ContainerIdentity(runtime: .unknown, id: Self.other, podUID: Self.uid))
    }

    @Test func units() {
        let unit = { (path: String) in ControlGroupPath.systemdUnit(Array(path.utf8)) }
        #expect(unit("/system.slice/sshd.service") == "sshd.service")
        #expect(unit("/user.slice/user@0.service/app.slice/x.service/sub") == "x.service")
        #expect(unit("/init.scope") == "init.scope")
        #expect(unit("/system.slice") == nil)
        #expect(unit("/") == nil)
        #expect(unit("/" + String(repeating: "x", count: 300) + ".service") == nil)
        #expect(ControlGroupPath.recognise(Array("/system.slice/sshd.service".utf8)) == nil)
    }

    @Test func candidates() {
        let candidate = { (path: String) in ControlGroupPath.candidate(Array(path.utf8)) }
        #expect(candidate("/default/web_1.x-y") == .init(namespace: "default", id: "web_1.x-y"))
        #expect(candidate("/web") == .init(namespace: nil, id: "web"))
        #expect(candidate("/system.slice/runc-web.scope") == .init(namespace: nil, id: "web"))
        for none in [
            "", "/", "/a/", "/a/..", "/a/b c", "/system.slice/runc-.scope",
            "/" + String(repeating: "a", count: 129),
        ] {
            #expect(candidate(none) == nil, "\(none)")
        }
    }

    /// Whatever the bytes, what is found lies in them.
    @Test func anything() {
        var random = SplitMix64(seed: 11)
        let pieces = [
            "/", "/docker/", Self.id, "docker-", ".scope", "/kubepods", "-pod", "pod", Self.uid,
            Self.uidUnderscored,
            ".slice", "/lxc/", "lxc.payload.", "/machine.slice/machine-", "\\x2d", "\\", "garden/",
            ":cri-containerd:",
            "crio-", "libpod-payload-", "..", Self.other,
        ]
        var found = 0
        for _ in 0..<20_000 {
            var path: [UInt8] = []
            for _ in 0..<random.below(9) {
                path +=
                    random.below(6) == 0
                    ? random.bytes(random.below(5)) : Array(pieces[random.below(pieces.count)].utf8)
            }
            _ = ControlGroupPath.systemdUnit(path)
            if let candidate = ControlGroupPath.candidate(path) {
                #expect(path.ends(with: Array(candidate.id.utf8)))
            }
            guard let match = ControlGroupPath.recognise(path) else { continue }
            found += 1
            #expect(match.rootLength <= path.count)
            #expect(!match.identity.id.isEmpty)
            #expect(match.identity.id.utf8.allSatisfy { $0 != UInt8(ascii: "/") && $0 > 0x20 && $0 < 0x7f })
            #expect((match.outer != nil) == (match.level > 1))
            // The root alone is the same container.
            let root = ControlGroupPath.recognise(Array(path[..<match.rootLength]))
            #expect(root == match)
        }
        #expect(found > 2000)
    }

    @Test func whatIsTooLongIsLookedAtInPart() throws {
        let deep = String(repeating: "/x", count: 2030)
        #expect(
            ControlGroupPath.recognise(Array((Self.fill("/docker/ID") + deep).utf8))?.identity.id == Self.id)
        #expect(ControlGroupPath.recognise(Array((deep + Self.fill("/docker/ID")).utf8)) == nil)
    }

    private static func fill(_ form: String) -> String {
        form.replacing("UIDU", with: uidUnderscored).replacing("UID", with: uid).replacing(
            "OTHER", with: other
        )
        .replacing("ID", with: id)
    }
}

extension [UInt8] {
    fileprivate func ends(with other: [UInt8]) -> Bool {
        // `runc-ID.scope` has something behind the id.
        suffix(other.count).elementsEqual(other)
            || suffix(other.count + 6).prefix(other.count).elementsEqual(other)
    }
}
