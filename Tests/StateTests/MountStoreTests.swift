import Foundation
import TestSupport
import Testing

@testable import State

@Suite struct MountStoreTests {
    private let text = """
        22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
        23 22 0:5 / /proc rw,nosuid master:1 propagate_from:2 - proc proc rw
        24 22 8:2 /sub /mnt/a\\040b rw - xfs /dev/sd\\134b rw
        25 22 8:2 / /mnt rw - xfs /dev/sdb rw
        26 25 0:40 / /mnt/a rw - tmpfs  rw
        27 26 0:41 / /mnt/a rw - tmpfs tmpfs rw
        broken
        1 2 3 4 5 6 7 8 -
        28 22 8 / /x rw - a b c
        29 22 8:1 / x rw - a b c
        30 22 4096:1 / /x rw - a b c
        """

    private func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

    private func store() -> MountStore {
        let store = MountStore()
        store.take(bytes(text), of: 7)
        return store
    }

    @Test func lines() throws {
        let mounts = try #require(store().mounts(in: 7))
        #expect(mounts.map(\.id) == [22, 23, 24, 25, 26, 27])
        #expect(
            mounts[2]
                == Mount(
                    id: 24, parent: 22, major: 8, minor: 2, root: bytes("/sub"), place: bytes("/mnt/a b"),
                    type: bytes("xfs"), source: bytes("/dev/sd\\b")))
        #expect(mounts[2].device == 8 << 20 | 2)
        #expect(mounts[4].source.isEmpty && mounts[4].type == bytes("tmpfs"))
        #expect(store().mounts(in: 8) == nil)
    }

    @Test func octalEscapes() {
        for (word, plain) in [
            ("\\040", " "), ("\\0411", "!1"), ("\\04", "\\04"), ("\\400", "\\400"), ("\\08 ", "\\08 "),
            ("\\", "\\"),
            ("a\\012b\\134", "a\nb\\"), ("\\\\040", "\\ "),
        ] {
            #expect(Mount.unescaped(bytes(word)[...]) == bytes(plain), "\(word)")
        }
    }

    @Test func byPathAndDevice() {
        let store = store()
        for (path, mount) in [
            ("/", 22), ("/etc/x", 22), ("/process", 22), ("/proc", 23), ("/proc/1", 23), ("/mnt/a b/c", 24),
            ("/mnt/a bc", 25), ("/mnt/c", 25), ("/mnt/a/x", 27), ("/mnt/a", 27),
        ] {
            #expect(store.mount(holding: bytes(path), in: 7)?.id == UInt32(mount), "\(path)")
        }
        #expect(store.mount(holding: bytes("etc"), in: 7) == nil && store.mount(holding: [], in: 7) == nil)
        #expect(store.mount(ofDevice: 8 << 20 | 2, in: 7)?.id == 25)
        #expect(store.mount(ofDevice: 40, in: 7)?.id == 26)
        #expect(store.mount(ofDevice: 9, in: 7) == nil && store.mount(ofDevice: 40, in: 8) == nil)
    }

    @Test func theOneUsedLongestAgoGoes() {
        var limits = MountStore.Limits()
        limits.namespaces = 3
        limits.mounts = 2
        let store = MountStore(limits: limits)
        for namespace in 1...3 as ClosedRange<UInt32> { store.take(bytes(text), of: namespace) }
        #expect(store.leftOut == 12 && store.mounts(in: 1)?.count == 2)
        let full = store.byteCount
        store.take(bytes(text), of: 4)
        #expect(store.evictions == 1 && store.count == 3 && store.byteCount == full)
        #expect(store.knows(1) && !store.knows(2))
        // The same once more takes nobody's place.
        store.take(bytes(text), of: 4)
        #expect(store.evictions == 1 && store.byteCount == full)
        for namespace in [1, 3, 4] as [UInt32] { store.forget(namespace) }
        #expect(store.byteCount == 0)
    }

    @Test func bytesAreBounded() {
        var limits = MountStore.Limits()
        limits.bytes = 2000
        limits.textBytes = 1000
        let store = MountStore(limits: limits)
        for namespace in 1...50 as ClosedRange<UInt32> {
            store.take(bytes(text), of: namespace)
            #expect(store.byteCount <= limits.bytes || store.count == 1)
        }
        #expect(store.knows(50) && store.evictions >= 45)
        store.take([UInt8](repeating: 10, count: 1001), of: 50)
        #expect(!store.knows(50))
    }

    @Test func anyText() {
        var random = SplitMix64(seed: 13)
        var kept = 0
        for _ in 0..<2000 {
            var broken = bytes(text)
            for _ in 0..<1 + random.below(30) {
                broken[random.below(broken.count)] = bytes(" -\\\n/:0")[random.below(7)]
            }
            let store = MountStore()
            store.take(Array(broken[..<random.below(broken.count)]), of: 1)
            for mount in store.mounts(in: 1) ?? [] {
                kept += 1
                #expect(mount.place.first == UInt8(ascii: "/"))
                #expect(store.mount(holding: mount.place, in: 1)?.place == mount.place)
                #expect(store.mount(ofDevice: mount.device, in: 1)?.device == mount.device)
            }
        }
        #expect(kept > 1000)
        let noise = MountStore()
        noise.take(random.bytes(100_000), of: 1)
        #expect(noise.mounts(in: 1)?.isEmpty == true)
    }

    @Test func thisProcess() throws {
        let store = MountStore()
        let namespace = try #require(store.read(process: UInt32(getpid())))
        let mounts = try #require(store.mounts(in: namespace))
        let lines = try String(contentsOfFile: "/proc/self/mountinfo", encoding: .utf8).split(separator: "\n")
        #expect(mounts.count == lines.count)
        #expect(store.mount(holding: bytes("/proc/self/stat"), in: namespace)?.type == bytes("proc"))
        #expect(store.read(process: 4_194_305) == nil)
    }
}
