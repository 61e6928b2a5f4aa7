import Foundation
import TestSupport
import Testing

@testable import State

@Suite struct ContainerWalkTests {
    private let hybrid = """
        31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
        32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct
        33 31 0:30 /docker/x /sys/fs/cgroup/mem\\040ory rw master:4 propagate_from:2 - cgroup cgroup rw,xattr,release_agent=/x,memory
        40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,xattr,name=systemd
        41 31 0:38 /.. /elsewhere rw - cgroup2 cgroup2 rw,nsdelegate
        42 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw,nsdelegate
        43 31 0:39 / /proc rw - proc proc rw
        broken
        1 2 3 4 5 6 7 8 -
        """

    @Test func mounts() {
        let mounts = ControlGroupMount.parse(Array(hybrid.utf8))
        let bytes = { (text: String) in Array(text.utf8) }
        #expect(
            mounts == [
                .init(hierarchy: .unified, place: bytes("/sys/fs/cgroup/unified"), root: bytes("/")),
                .init(hierarchy: .unified, place: bytes("/elsewhere"), root: bytes("/..")),
                .init(
                    hierarchy: .legacy("cpu,cpuacct"), place: bytes("/sys/fs/cgroup/cpu,cpuacct"),
                    root: bytes("/")),
                .init(
                    hierarchy: .legacy("name=systemd"), place: bytes("/sys/fs/cgroup/systemd"),
                    root: bytes("/")),
                .init(
                    hierarchy: .legacy("memory"), place: bytes("/sys/fs/cgroup/mem ory"),
                    root: bytes("/docker/x")),
            ])
    }

    @Test func anyMounts() {
        var random = SplitMix64(seed: 5)
        let text = Array(hybrid.utf8)
        for _ in 0..<2000 {
            var broken = text
            for _ in 0..<1 + random.below(20) {
                broken[random.below(broken.count)] = Array(" -\\\n/:0c".utf8)[random.below(8)]
            }
            #expect(ControlGroupMount.parse(Array(broken[..<random.below(broken.count)])).count <= 7)
        }
        #expect(ControlGroupMount.parse(random.bytes(4096)).isEmpty)
    }

    @Test func groupsOfAProcess() throws {
        let id = containerID()
        let legacy = ControlGroups(
            Array(
                "12:cpu,cpuacct:/docker/\(id)\n1:name=systemd:/docker/\(id)/x:y\n0::/system.slice/containerd.service\n"
                    .utf8))
        #expect(legacy.memberships.count == 3)
        #expect(legacy.memberships[1].path == Array("/docker/\(id)/x:y".utf8))
        #expect(legacy.memberships[0].controllers == "cpu,cpuacct")
        #expect(legacy.memberships[0].hierarchy == 12)
        #expect(legacy.container?.identity == ContainerIdentity(runtime: .docker, id: id))

        let unified = ControlGroups(
            Array("1:name=systemd:/docker/\(id)\n0::/machine.slice/libpod-\(id).scope".utf8))
        #expect(unified.container?.identity.runtime == .podman)
        for none in ["", "\n\n", "x", "::/a", "0:/a", "0::a", "99999999999::/a", "-1::/a"] {
            #expect(ControlGroups(Array(none.utf8)).memberships.isEmpty, "\(none)")
        }
        let many = (0..<1000).map { "\($0)::/a" }.joined(separator: "\n")
        #expect(ControlGroups(Array(many.utf8)).memberships.count == 64)

        let own = try #require(ControlGroups.ofProcess(UInt32(getpid())))
        let text = try String(contentsOfFile: "/proc/self/cgroup", encoding: .utf8)
        #expect(own.memberships.count == text.split(separator: "\n").count)
        #expect(ControlGroups.ofProcess(0) == nil)
    }

    @Test func walksDirectoriesAndNothingElse() throws {
        let folder =
            FileManager.default.temporaryDirectory.path
            + "/apus-walk-\(getpid())-\(UInt32.random(in: 0 ... .max))"
        try FileManager.default.createDirectory(atPath: folder + "/a/b/c", withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try FileManager.default.createDirectory(atPath: folder + "/d", withIntermediateDirectories: true)
        try "".write(toFile: folder + "/a/cgroup.procs", atomically: false, encoding: .utf8)
        try FileManager.default.createSymbolicLink(atPath: folder + "/a/loop", withDestinationPath: folder)

        func walk(_ walk: ControlGroupWalk, root: String = "/") -> (
            [String: UInt64], [String], ControlGroupWalk.Outcome
        ) {
            var (ids, order): ([String: UInt64], [String]) = ([:], [])
            let mount = ControlGroupMount(
                hierarchy: .unified, place: Array(folder.utf8), root: Array(root.utf8))
            let outcome = walk.run(mount) { id, path in
                let path = String(decoding: path, as: UTF8.self)
                ids[path] = id
                order.append(path)
            }
            return (ids, order, outcome)
        }
        let (ids, order, outcome) = walk(ControlGroupWalk())
        #expect(Set(order) == ["/", "/a", "/a/b", "/a/b/c", "/d"])
        #expect(order.count == 5)
        #expect(outcome == .init(groups: 5, unreadable: 0, isCut: false))
        for (path, id) in ids {
            let attributes = try FileManager.default.attributesOfItem(atPath: folder + path)
            #expect(
                attributes[.systemFileNumber] as? UInt64 == id
                    || attributes[.systemFileNumber] as? Int == Int(id))
        }
        for (place, path) in order.enumerated() where path != "/" {
            let parent = path == "/a" || path == "/d" ? "/" : String(path.dropLast(2))
            #expect(try #require(order.firstIndex(of: parent)) < place)
        }
        #expect(
            Set(walk(ControlGroupWalk(), root: "/up").1) == ["/up", "/up/a", "/up/a/b", "/up/a/b/c", "/up/d"])
        #expect(walk(ControlGroupWalk(depthLimit: 2)).2 == .init(groups: 4, unreadable: 0, isCut: true))
        #expect(walk(ControlGroupWalk(groupLimit: 3)).2 == .init(groups: 3, unreadable: 0, isCut: true))
        #expect(walk(ControlGroupWalk(groupLimit: 5)).2 == .init(groups: 5, unreadable: 0, isCut: false))

        let mount = ControlGroupMount(
            hierarchy: .unified, place: Array((folder + "/none").utf8), root: [0x2f])
        #expect(ControlGroupWalk().run(mount) { _, _ in Issue.record("nothing is there") }.unreadable == 1)
    }

    /// The host's own, where there is one: the ids are the inode numbers.
    @Test func theHostsHierarchy() throws {
        guard let mount = ControlGroupMount.all().first(where: { $0.hierarchy == .unified }) else { return }
        var seen: [(UInt64, String)] = []
        let outcome = ControlGroupWalk().run(mount) { seen.append(($0, String(decoding: $1, as: UTF8.self))) }
        #expect(outcome.groups == seen.count)
        #expect(seen.first?.1 == String(decoding: mount.root, as: UTF8.self))
        #expect(Set(seen.map(\.0)).count == seen.count)
    }
}
