import Foundation
import TestSupport
import Testing

@testable import State

/// A root folder of our own, removed at the end.
private final class Root {
    let path: String
    init() throws {
        path = NSTemporaryDirectory() + "apus-host-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func write(_ name: String, _ bytes: [UInt8]) throws {
        let place = path + name
        try FileManager.default.createDirectory(
            atPath: (place as NSString).deletingLastPathComponent, withIntermediateDirectories: true)
        try Data(bytes).write(to: URL(fileURLWithPath: place))
    }

    func write(_ name: String, _ text: String) throws { try write(name, Array(text.utf8)) }
}

@Suite struct AccountsTests {
    @Test func namesAreThoseOfTheFirstLine() throws {
        let root = try Root()
        try root.write(
            "/etc/passwd", "root:x:0:0:root:/root:/bin/sh\ntoor:x:0:0::/:\nweb:x:33:33\n# a:x:4:4\nb::5")
        try root.write("/etc/group", "wheel:x:0:root\nstaff:x:50:\n")
        let accounts = Accounts(root: root.path)
        #expect(accounts.name(ofUser: 0) == "root")
        #expect(accounts.name(ofUser: 33) == "web")
        #expect(accounts.name(ofUser: 4) == nil)
        #expect(accounts.name(ofUser: 5) == "b")
        #expect(accounts.name(ofGroup: 50) == "staff")
        #expect(accounts.name(ofGroup: 33) == nil)
        #expect(accounts.leftOut == 0 && !accounts.hasFailed)
    }

    @Test func aChangedFileIsReadAgainAfterAWhile() throws {
        let root = try Root()
        try root.write("/etc/passwd", "one:x:7:7\n")
        let (eager, patient) = (Accounts(root: root.path, interval: 0), Accounts(root: root.path))
        #expect(eager.name(ofUser: 7) == "one" && patient.name(ofUser: 7) == "one")
        try root.write("/etc/passwd", "another:x:7:7\n")
        #expect(eager.name(ofUser: 7) == "another")
        #expect(patient.name(ofUser: 7) == "one")
        // One that cannot be taken leaves what was known; one that is gone does not.
        try root.write("/etc/passwd", [UInt8](repeating: 0x61, count: Accounts.fileLimit + 1))
        #expect(eager.name(ofUser: 7) == "another" && eager.hasFailed)
        try FileManager.default.removeItem(atPath: root.path + "/etc/passwd")
        #expect(eager.name(ofUser: 7) == nil && !eager.hasFailed)
        try FileManager.default.createSymbolicLink(
            atPath: root.path + "/etc/passwd", withDestinationPath: "/etc/passwd")
        #expect(eager.name(ofUser: 0) == nil && eager.hasFailed)
    }

    @Test func limits() {
        let long = String(repeating: "n", count: Accounts.nameLimit)
        let lines = [
            "\(long):x:1", "\(long)n:x:2", "a:x:4294967296", "b:x:-1", "c:x", ":x:3", "d:x:00000000009",
        ]
        let (names, leftOut) = Accounts.parse(Array(lines.joined(separator: "\n").utf8))
        #expect(names == [1: long] && leftOut == 6)
        let many = (0..<Accounts.entryLimit + 5).map { "u\($0):x:\($0)" }.joined(separator: "\n")
        let all = Accounts.parse(Array(many.utf8))
        #expect(all.names.count == Accounts.entryLimit && all.leftOut == 5)
    }

    @Test func anyText() {
        var random = SplitMix64(seed: 11)
        var found = 0
        for _ in 0..<2000 {
            var text = Array("root:x:0:0:root:/:/bin/sh\nweb:x:33:33::/:\n\n::\nx:y:z\n".utf8)
            for _ in 0..<random.below(12) { text[random.below(text.count)] = UInt8(random.below(256)) }
            let (names, leftOut) = Accounts.parse(text)
            #expect(names.count + leftOut <= text.count { $0 == 10 } + 1)
            #expect(names.values.allSatisfy { !$0.isEmpty })
            found += names.count
        }
        #expect(found > 2000)
        #expect(Accounts.parse(random.bytes(4096)).names.isEmpty)
    }
}

@Suite struct HostSystemTests {
    @Test func releasesAreQuotedAsForAShell() {
        let text = """
            # comment
            ID=de'bi'an
            VERSION_ID="1\\"2\\$\\n" # behind
            PRETTY_NAME='De\\bian "GNU"'\\ x
            ID=
            PRETTY
            """
        let release = HostSystem.release(Array(text.utf8))
        #expect(release.id == "debian")
        #expect(release.version == "1\"2$\\n")
        #expect(release.name == "De\\bian \"GNU\" x")
        var empty = HostSystem.Release()
        empty.id = "linux"
        #expect(HostSystem.release([]) == empty)
        for open in ["\"a", "'a", "a\\", "\"a\\"] {
            #expect(HostSystem.unquoted(Array(open.utf8)[...]) == nil)
        }
        let most = [UInt8](repeating: 0x61, count: HostSystem.valueLimit)
        #expect(HostSystem.unquoted(most[...])?.count == HostSystem.valueLimit)
        #expect(HostSystem.unquoted((most + [0x61])[...]) == nil)
    }

    @Test func anyRelease() {
        var random = SplitMix64(seed: 12)
        let letters = Array("ID=VERSION_'\"\\$` \n#\u{1}é".utf8)
        for _ in 0..<3000 {
            let text =
                Array("ID=".utf8) + (0..<random.below(40)).map { _ in letters[random.below(letters.count)] }
            let release = HostSystem.release(text)
            #expect(!release.id.isEmpty && release.id.utf8.count <= text.count * 3)
        }
    }

    @Test func numbersOfTheKernel() {
        #expect(
            HostSystem.bootSecond(Array("cpu 1 2\nbtime 1700000000\nprocesses 5\n".utf8)) == 1_700_000_000)
        #expect(HostSystem.bootSecond(Array("xbtime 5\nbtime -1".utf8)) == nil)
        let id = "0123456789abcdef0123456789abcdef"
        #expect(HostSystem.word(Array((id + "\nrest").utf8), digits: 32) == id)
        #expect(HostSystem.word(Array("01234567-89ab-cdef-0123-456789abcdef\n".utf8), digits: 32) != nil)
        for wrong in [id + "0", String(id.dropLast()), id.uppercased(), id + " ", "", id + "---------"] {
            #expect(HostSystem.word(Array(wrong.utf8), digits: 32) == nil, "\(wrong)")
        }
    }

    @Test func thisHost() throws {
        let system = HostSystem()
        let release = try String(contentsOfFile: "/proc/sys/kernel/osrelease", encoding: .utf8)
        #expect(system.kernelRelease + "\n" == release)
        #expect(system.processors == Foundation.ProcessInfo.processInfo.activeProcessorCount)
        #expect(!system.hostName.isEmpty && !system.architecture.isEmpty)
        let boot = try #require(system.bootSecond)
        #expect(boot.distance(to: system.bootTime / 1_000_000_000).magnitude <= 2)
        let own = HostSystem.Namespaces(ofProcess: UInt32(getpid()))
        for (name, number) in [
            ("mnt", own.mount), ("user", own.user), ("pid", own.pid), ("net", own.network),
        ] {
            let link = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/ns/\(name)")
            #expect(link == "\(name):[\(try #require(number))]")
        }
        // Without files there is what the kernel says itself.
        let root = try Root()
        let bare = HostSystem(root: root.path)
        #expect(bare.release == nil && bare.bootSecond == nil && bare.bootID == nil && bare.machineID == nil)
        #expect(bare.namespaces == HostSystem.Namespaces())
        #expect(bare.kernelRelease == system.kernelRelease)
    }
}
