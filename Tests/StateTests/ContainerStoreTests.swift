import TestSupport
import Testing

@testable import State

@Suite struct ContainerStoreTests {
    private static let second: UInt64 = 1_000_000_000
    private static let id = containerID()
    private static let other = containerID("f")

    private static func path(_ text: String) -> [UInt8] { Array(text.utf8) }

    @Test func aContainersLife() throws {
        let store = ContainerStore()
        #expect(store.created(5, path: Self.path("/system.slice/sshd.service"), at: 1) == nil)
        #expect(store.container(group: 5, at: 2) == nil)

        let made = try #require(store.created(7, path: Self.path("/docker/\(Self.id)"), at: 10))
        #expect(made.identity == ContainerIdentity(runtime: .docker, id: Self.id))
        #expect(made.state == .created)
        #expect(made.seen == 10)
        #expect(made.group == 7)
        #expect(made.isPending)
        #expect(store.container(group: 7, at: 11) === made)
        // Groups inside it are it, and no new container.
        #expect(store.created(8, path: Self.path("/docker/\(Self.id)/init.scope"), at: 12) == nil)
        #expect(store.container(group: 8, at: 13) === made)
        #expect(store.container(group: 5, at: 13) == nil)

        #expect(store.started(8, at: 14) === made)
        #expect(made.state == .started)
        #expect(store.started(7, at: 15) == nil)
        #expect(store.started(5, at: 15) == nil)

        let revision = made.revision
        var details = ContainerDetails()
        details.name = "web"
        #expect(store.takePending(limit: 10).map(\.group) == [7])
        #expect(!made.isPending)
        #expect(store.takePending(limit: 10).isEmpty)
        #expect(store.set(details, for: 7) === made)
        #expect(made.details?.name == "web")
        #expect(made.revision > revision)
        #expect(store.containers.map(\.group) == [7])

        // Removed, it is known for thirty seconds of event time.
        #expect(store.removed(8, at: 100) == nil)
        #expect(store.removed(7, at: 200) === made)
        #expect(store.removed(7, at: 201) == nil)
        #expect(made.removed == 200)
        #expect(store.containers.isEmpty)
        #expect(store.container(group: 7, at: 150) === made)
        #expect(store.container(group: 7, at: 200 + 30 * Self.second) === made)
        #expect(store.container(group: 8, at: 101 + 30 * Self.second) == nil)
        #expect(store.container(group: 7, at: 201 + 30 * Self.second) == nil)
        #expect(store.groupCount == 2)
        #expect(store.created(9, path: Self.path("/"), at: 201 + 30 * Self.second) == nil)
        #expect(store.groupCount == 0)
        #expect(store.byteCount == 0)
        #expect(store.evictions == 0)
    }

    @Test func whatExistedBefore() throws {
        let store = ContainerStore()
        store.existing(3, path: Self.path("/docker/\(Self.id)"), at: 5)
        store.existing(4, path: Self.path("/docker/\(Self.id)/a"), at: 5)
        store.existing(6, path: Self.path("/system.slice"), at: 5)
        let container = try #require(store.container(group: 4, at: 6))
        #expect(container.state == .existed)
        #expect(store.container(group: 3, at: 6) === container)
        #expect(store.started(3, at: 7) == nil)
        // The event that the walk overtook changes nothing.
        #expect(store.created(3, path: Self.path("/docker/\(Self.id)"), at: 4) == nil)
        #expect(container.state == .existed)
        #expect(store.groupCount == 2)
    }

    @Test func aGroupInsideComesFirst() throws {
        let store = ContainerStore()
        #expect(store.created(8, path: Self.path("/docker/\(Self.id)/x"), at: 1) == nil)
        let container = try #require(store.container(group: 8, at: 2))
        #expect(container.path == Self.path("/docker/\(Self.id)"))
        let root = try #require(store.created(7, path: Self.path("/docker/\(Self.id)"), at: 2))
        #expect(root === container)
        #expect(root.group == 7)
        #expect(store.takePending(limit: 9).map(\.group) == [7])
        #expect(store.removed(8, at: 3) == nil)
        #expect(store.removed(7, at: 3) === container)
    }

    @Test func theSameIDInsideAnotherIsAnotherContainer() throws {
        let store = ContainerStore()
        let real = try #require(store.created(1, path: Self.path("/docker/\(Self.id)"), at: 1))
        _ = store.created(2, path: Self.path("/docker/\(Self.other)"), at: 1)
        let forged = try #require(
            store.created(3, path: Self.path("/docker/\(Self.other)/docker/\(Self.id)"), at: 1))
        #expect(forged !== real)
        #expect(forged.outer?.id == Self.other)
        #expect(store.groups(of: real) == [1])
        #expect(store.groups(of: forged) == [3])
        #expect(store.resolve(Self.id) == [1, 3])
        #expect(real.outer == nil)
        #expect(store.removed(3, at: 2) === forged)
        #expect(store.container(group: 1, at: 3) === real)
        #expect(real.removed == nil)
    }

    @Test func numbersAndPathsAreUsedAgain() throws {
        let store = ContainerStore()
        let first = try #require(store.created(7, path: Self.path("/docker/\(Self.id)"), at: 1))
        _ = store.removed(7, at: 2)
        // The same path with another number: Docker restarts a container.
        let again = try #require(store.created(9, path: Self.path("/docker/\(Self.id)"), at: 3))
        #expect(again !== first)
        #expect(store.container(group: 7, at: 3) === first)
        #expect(store.container(group: 9, at: 3) === again)
        // The end of the second was lost.
        let third = try #require(store.created(11, path: Self.path("/docker/\(Self.id)"), at: 4))
        #expect(store.container(group: 9, at: 5) == nil)
        #expect(store.container(group: 11, at: 5) === third)
        // The same number for something else.
        #expect(store.created(11, path: Self.path("/system.slice"), at: 6) == nil)
        #expect(store.container(group: 11, at: 7) == nil)
        #expect(store.containers.isEmpty)
        let fourth = try #require(store.created(7, path: Self.path("/docker/\(Self.other)"), at: 8))
        #expect(store.container(group: 7, at: 8) === fourth)
        // The end of what had the number before must not end it.
        #expect(store.created(12, path: Self.path("/"), at: 40 * Self.second) == nil)
        #expect(store.container(group: 7, at: 41 * Self.second) === fourth)
        #expect(store.evictions == 0)
    }

    @Test func adopted() throws {
        let store = ContainerStore()
        let identity = ContainerIdentity(runtime: .containerd, id: "web")
        let container = try #require(
            store.adopt(4, as: identity, path: Self.path("/default/web"), isNew: true, at: 1))
        #expect(store.container(group: 4, at: 2) === container)
        #expect(container.state == .created)
        #expect(store.adopt(4, as: identity, path: Self.path("/default/web"), isNew: true, at: 2) == nil)
        // Its own event, which the walk overtook, and a group inside.
        #expect(store.created(4, path: Self.path("/default/web"), at: 2) == nil)
        #expect(store.created(5, path: Self.path("/default/web/init.scope"), at: 2) == nil)
        #expect(store.container(group: 4, at: 2) === container)
        #expect(store.container(group: 5, at: 2) === container)
        #expect(store.created(6, path: Self.path("/default/web2"), at: 2) == nil)
        #expect(store.container(group: 6, at: 2) == nil)
        #expect(store.removed(5, at: 3) == nil)
        #expect(store.resolve("web") == [4])
        #expect(store.removed(4, at: 3) === container)
    }

    @Test func resolving() {
        let store = ContainerStore()
        _ = store.created(1, path: Self.path("/docker/\(Self.id)"), at: 1)
        _ = store.created(2, path: Self.path("/docker/\(Self.id)/x"), at: 1)
        _ = store.created(3, path: Self.path("/docker/\(Self.other)"), at: 1)
        let third = "ffffffffffffffff" + Self.id.dropFirst(16)
        _ = store.created(4, path: Self.path("/docker/\(third)"), at: 1)
        #expect(store.resolve(Self.id) == [1, 2])
        #expect(store.resolve(Self.other) == [3])
        // Both begin so.
        #expect(store.resolve(String(Self.id.prefix(12))) == [])
        #expect(store.resolve(String(Self.id.prefix(16))) == [1, 2])
        #expect(store.resolve(String(third.prefix(12))) == [4])
        #expect(store.resolve(String(third.prefix(11))) == [])
        #expect(store.resolve("") == [])
        var details = ContainerDetails()
        details.name = "web"
        store.set(details, for: 3)
        store.set(details, for: 4)
        #expect(store.resolve("web") == [3, 4])
        #expect(store.resolve("we") == [])
        // A name does not take an id over.
        details.name = Self.id
        store.set(details, for: 4)
        #expect(store.resolve(Self.id) == [1, 2])
        _ = store.removed(2, at: 2)
        #expect(store.resolve(Self.id) == [1])
        _ = store.removed(1, at: 2)
        #expect(store.resolve(String(Self.other.prefix(12))) == [3])
    }

    @Test func detailsAreBounded() throws {
        var limits = ContainerStore.Limits()
        limits.detailBytes = 1000
        let store = ContainerStore(limits: limits)
        let container = try #require(store.created(1, path: Self.path("/docker/\(Self.id)"), at: 1))
        let empty = store.byteCount
        var details = ContainerDetails()
        details.name = "web"
        for number in 0..<100 { details.labels["label\(number)"] = "x" }
        store.set(details, for: 1)
        #expect(container.details?.labels == [:])
        #expect(container.details?.name == "web")
        #expect(store.cutDetails == 1)
        #expect(store.byteCount == empty + 3)
        details.labels = ["a": "b"]
        store.set(details, for: 1)
        #expect(container.details?.labels == ["a": "b"])
        #expect(store.byteCount == empty + 3 + 66)
        details.name = String(repeating: "x", count: 1001)
        store.set(details, for: 1)
        #expect(container.details?.name == "web")
        store.set(nil, for: 1)
        #expect(container.details?.name == "web")
        #expect(store.set(details, for: 99) == nil)
    }

    @Test func groupsOfOneContainerAreBounded() throws {
        var limits = ContainerStore.Limits()
        limits.groupsOfOne = 10
        let store = ContainerStore(limits: limits)
        let victim = try #require(store.created(1, path: Self.path("/docker/\(Self.other)"), at: 1))
        let container = try #require(store.created(2, path: Self.path("/docker/\(Self.id)"), at: 1))
        for group in 10..<1000 as Range<UInt64> {
            _ = store.created(group, path: Self.path("/docker/\(Self.id)/\(group)"), at: group)
        }
        #expect(store.groupCount == 11)
        #expect(store.groupEvictions == 981)
        #expect(store.container(group: 2, at: 1000) === container)
        #expect(store.container(group: 999, at: 1000) === container)
        #expect(store.container(group: 10, at: 1000) == nil)
        #expect(store.container(group: 1, at: 1000) === victim)
        #expect(store.evictions == 0)
    }

    @Test func whatIsForgottenFirst() {
        var limits = ContainerStore.Limits()
        limits.groups = 80
        let store = ContainerStore(limits: limits)
        let path = { (number: Int) in
            Self.path("/docker/" + String(repeating: "0", count: 60) + String(1000 + number))
        }
        for number in 0..<80 {
            _ = store.created(UInt64(number + 1), path: path(number), at: UInt64(number + 1))
            if number < 30 { _ = store.started(UInt64(number + 1), at: 100) }
        }
        for number in 70..<75 { _ = store.removed(UInt64(number + 1), at: 200) }
        #expect(store.evictions == 0)
        _ = store.created(1000, path: path(1000), at: 300)
        #expect(store.evictions == 11)
        #expect(store.groupCount == 70)
        let known = { (group: UInt64) in store.container(group: group, at: 301) != nil }
        // The removed ones, then the oldest of those that never started; who started, and the new one, stay.
        #expect((71...75).allSatisfy { !known($0) })
        #expect((1...30).allSatisfy(known))
        #expect((31...36).allSatisfy { !known($0) })
        #expect((37...70).allSatisfy(known))
        #expect(known(1000))
    }

    @Test func bytesAreBounded() {
        var limits = ContainerStore.Limits()
        limits.bytes = 100_000
        let store = ContainerStore(limits: limits)
        var random = SplitMix64(seed: 3)
        for number in 0..<2000 {
            let id = String(repeating: "0", count: 56) + String(10_000_000 + number)
            _ = store.created(UInt64(number), path: Self.path("/docker/\(id)"), at: UInt64(number))
            var details = ContainerDetails()
            details.image = String(repeating: "i", count: random.below(3000))
            store.set(details, for: UInt64(number))
            #expect(store.byteCount <= limits.bytes)
        }
        #expect(store.evictions > 1000)
        #expect(store.containers.count > 20)
    }

    /// Against a model that keeps all and looks at every group's whole history.
    @Test(arguments: [1, 2, 3, 4] as [UInt64])
    func anyOrder(_ seed: UInt64) {
        var random = SplitMix64(seed: seed)
        let store = ContainerStore()
        var model: [UInt64: (id: String?, removed: UInt64?)] = [:]
        var time: UInt64 = 1
        var found = 0
        for step in 0..<6000 {
            time += UInt64(random.below(4_000_000_000))
            // The kernel counts ids on, and does not use them again.
            let group = UInt64(step / 20 + random.below(40))
            let id = String(repeating: "0", count: 60) + String(1000 + group / 4)
            let path =
                group % 4 == 3
                ? "/system.slice/\(group)" : "/docker/\(id)" + (group % 4 == 0 ? "" : "/\(group)")
            switch random.below(5) {
            case 0, 1:
                if model[group] == nil {
                    _ = store.created(group, path: Array(path.utf8), at: time)
                    model[group] = (group % 4 == 3 ? nil : id, nil)
                }
            case 2:
                // A group goes after those in it.
                if group % 4 == 0 {
                    for inside in group + 1..<group + 3
                    where model[inside] != nil && model[inside]?.removed == nil {
                        _ = store.removed(inside, at: time)
                        model[inside]?.removed = time
                    }
                }
                if model[group] != nil, model[group]?.removed == nil {
                    _ = store.removed(group, at: time)
                    model[group]?.removed = time
                }
            default:
                let asked =
                    random.below(3) == 0 ? time : time - min(time, UInt64(random.below(60)) * Self.second)
                var expected = model[group]?.id
                if let removed = model[group]?.removed, time > removed + 30 * Self.second { expected = nil }
                let answer = store.container(group: group, at: asked)?.identity.id
                if answer != nil { found += 1 }
                // What is past its time may be known until the next change, for records of before.
                if answer != expected { #expect(expected == nil && asked < time, "\(group) at \(asked)") }
            }
        }
        #expect(found > 300)
        #expect(store.evictions == 0)
        #expect(store.groupEvictions == 0)
    }
}
