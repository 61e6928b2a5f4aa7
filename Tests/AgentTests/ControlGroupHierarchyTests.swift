import Probes
import State
import Testing

@testable import Agent

@Suite struct ControlGroupHierarchyTests {
    private func mount(_ hierarchy: ControlGroupMount.Hierarchy, _ place: String) -> ControlGroupMount {
        ControlGroupMount(hierarchy: hierarchy, place: Array(place.utf8), root: [UInt8(ascii: "/")])
    }

    private func memberships(_ text: String) -> [ControlGroups.Membership] {
        ControlGroups(Array(text.utf8)).memberships
    }

    @Test func versionTwoComesFirst() {
        let unified = mount(.unified, "/sys/fs/cgroup/unified")
        let found = ControlGroupHierarchy.choose(
            [unified, mount(.legacy("pids"), "/sys/fs/cgroup/pids")], memberships("4:pids:/\n0::/\n"), nil)
        #expect(found == ControlGroupHierarchy(mount: unified, legacy: nil))
    }

    @Test func aControllerStandsForIt() {
        let cpu = mount(.legacy("cpu,cpuacct"), "/sys/fs/cgroup/cpu,cpuacct")
        let pids = mount(.legacy("pids"), "/sys/fs/cgroup/pids")
        let systemd = mount(.legacy("name=systemd"), "/sys/fs/cgroup/systemd")
        let groups = memberships("12:pids:/a\n3:cpu,cpuacct:/a\n1:name=systemd:/a\n")
        let choose = { (mounts: [ControlGroupMount], place: String?) in
            ControlGroupHierarchy.choose(mounts, groups, place)
        }
        #expect(
            choose([systemd, cpu, pids], nil)
                == ControlGroupHierarchy(
                    mount: pids, legacy: LegacyControlGroups(controller: .pids, hierarchy: 12)))
        #expect(
            choose([systemd, cpu], nil)
                == ControlGroupHierarchy(
                    mount: cpu, legacy: LegacyControlGroups(controller: .cpu, hierarchy: 3)))
        #expect(choose([systemd, cpu, pids], "/sys/fs/cgroup/cpu,cpuacct")?.legacy?.controller == .cpu)
        // Nothing is bound to systemd's, so no process can be looked up in it.
        #expect(choose([systemd], nil) == nil)
        // A name that only contains a controller's is another.
        #expect(choose([mount(.legacy("cpuacct"), "/x")], nil) == nil)
        // Without a number its groups could not be told from others.
        #expect(ControlGroupHierarchy.choose([pids], [], nil) == nil)
    }

    @Test func aPlaceWithoutControlGroupsIsAnError() throws {
        let error = try #require(throws: AgentError.self) { try ControlGroupHierarchy.find(at: "/nowhere") }
        #expect(error.description.contains("mounted at /nowhere"))
    }

    @Test func pathsOfOtherFileSystemsAreNoGroups() throws {
        guard let found = try ControlGroupHierarchy.find() else { return }
        #expect(found.group("/") != nil)
        #expect(found.group("/proc") == nil)
        #expect(found.group("/no/such/group") == nil)
    }
}
