import TestSupport
import Testing

@testable import State

/// Trees fed with records; nobody is asked.
@Suite struct ProcessTreeTests {
    private typealias Key = ProcessKey
    private let first = Lifecycle.first

    private func key(_ process: UInt32, _ start: UInt64) -> ProcessKey { Key(process: process, start: start) }

    private func life(grace: UInt64 = 60_000_000_000, programs: Int = 8) -> Lifecycle {
        Lifecycle(ProcessTree(grace: grace, programsEach: programs, procRoot: nil))
    }

    @Test func programsAreThoseOfTheTime() throws {
        var life = life()
        let shell = key(10, 5000)
        life.fork(first, shell, at: 5001, name: "init", user: 0)
        life.exec(shell, "/bin/sh", at: 6000, arguments: Array("sh\0-c\0".utf8), name: "sh", user: 7)
        let child = key(11, 7000)
        // The thread that forks may have taken another name and user.
        life.fork(shell, child, at: 7001, name: "worker", user: 9)
        life.exec(child, "/bin/ls", at: 8000, name: "ls", interpreter: "/lib/ld.so")
        life.exec(child, "/bin/cat", at: 9000, name: "cat")
        // A thread is no process, and no fork changes a program.
        life.fork(child, key(11, 9500), at: 9501, thread: 99)
        let tree = life.tree
        #expect(tree.count == 3)

        #expect(tree.path(child, 7000) == "/bin/sh")
        #expect(tree.path(child, 7999) == "/bin/sh")
        #expect(tree.path(child, 8000) == "/bin/ls")
        #expect(tree.path(child, 8999) == "/bin/ls")
        #expect(tree.path(child, 9000) == "/bin/cat")
        #expect(tree.path(child, .max) == "/bin/cat")
        #expect(tree.path(shell, 5500) == "")
        #expect(tree.path(shell, 8500) == "/bin/sh")
        #expect(tree.named(child, 7999) == "worker")
        #expect(tree.named(shell, 7999) == "sh")
        #expect(tree.named(child, 8000) == "ls")
        #expect(tree.named(child, 9000) == "cat")
        #expect(tree.named(shell, 5500) == "init")

        let before = try #require(tree.process(child, at: 7500))
        #expect(before.parent == shell)
        #expect(before.isParentCreator)
        #expect(before.user == 9)
        #expect(before.arguments == Array("sh\0-c\0".utf8))
        #expect(before.interpreter == [])
        let between = try #require(tree.process(child, at: 8500))
        #expect(between.interpreter == Array("/lib/ld.so".utf8))
        #expect(between.arguments == nil)
        #expect(between.programSince == 8000)
        #expect(between.user == 0)
    }

    @Test func lineageGoesToTheRoot() {
        var life = life()
        let (a, b, c) = (key(10, 2000), key(11, 3000), key(12, 4000))
        life.fork(first, a, at: 2001)
        life.exec(a, "/a", at: 2100)
        life.fork(a, b, at: 3001)
        life.exec(b, "/b", at: 3100)
        life.fork(b, c, at: 4001)
        life.exec(a, "/a2", at: 5000)
        let tree = life.tree
        #expect(tree.lineage(c, 4500) == ([11, 10, 1], .root))
        var paths: [String] = []
        tree.ancestry(of: c, at: 4500) { paths.append(String(decoding: $0.executable, as: UTF8.self)) }
        #expect(paths == ["/b", "/a", ""])
        paths = []
        tree.ancestry(of: c, at: 5500) { paths.append(String(decoding: $0.executable, as: UTF8.self)) }
        #expect(paths == ["/b", "/a2", ""])
        #expect(tree.lineage(c, 4500, limit: 2) == ([11, 10], .limit))
        #expect(tree.lineage(c, 4500, limit: 3) == ([11, 10, 1], .root))
        #expect(tree.lineage(c, 4500, limit: 0) == ([], .limit))
        #expect(tree.lineage(first, 4500) == ([], .root))
    }

    /// Who made a process stays its parent when another takes over.
    @Test func anEndedParentStaysTheParent() throws {
        var life = life(grace: 1000)
        let (parent, child) = (key(10, 2000), key(11, 3000))
        life.fork(first, parent, at: 2001)
        life.exec(parent, "/daemonize", at: 2100)
        life.fork(parent, child, at: 3001)
        life.exit(parent, at: 4000)
        // Process 1 is the parent now, and records say so.
        life.exec(child, "/daemon", at: 1_000_000, parent: first)
        let tree = life.tree
        #expect(tree.lineage(child, 1_000_000) == ([10, 1], .root))
        let info = try #require(tree.process(parent, at: 1_000_000))
        #expect(info.end == 4000)
        #expect(tree.process(parent, at: 3999)?.end == nil)
        #expect(tree.processes.map(\.key.process) == [1, 11])
        // With its last child it goes, as its own time is over.
        life.exit(child, at: 1_000_001)
        #expect(tree.count == 3)
        life.exec(first, "/init", at: 1_000_500)
        #expect(tree.count == 3)
        life.exec(first, "/init", at: 1_001_001)
        #expect(tree.count == 1)
        #expect(tree.path(child, 1_000_000) == "")
        #expect(tree.losses == ProcessTreeLosses())
    }

    /// A process of which only a child told is known as long as it has that child.
    @Test func aMereKeyGoesWithItsLastChild() {
        var life = life()
        let (unknown, process) = (key(9, 1500), key(10, 2000))
        life.exec(process, "/p", at: 2500, parent: unknown)
        #expect(life.tree.count == 2)
        #expect(life.tree.lineage(process, 2500) == ([-9], .unknown))
        life.fork(first, process, at: 2001)
        #expect(life.tree.count == 2)
        #expect(life.tree.lineage(process, 2500) == ([1], .root))
        #expect(life.tree.faults == [])
    }

    @Test func exitOfAThreadIsNoEnd() {
        var life = life()
        let process = key(10, 2000)
        life.fork(first, process, at: 2001)
        life.exit(process, at: 3000, isLast: false)
        #expect(life.tree.process(process, at: 3000)?.end == nil)
        #expect(life.tree.livingCount == 2)
        // Two last threads may both say so.
        life.exit(process, at: 4000)
        life.exit(process, at: 3900)
        #expect(life.tree.process(process, at: 5000)?.end == 4000)
        #expect(life.tree.livingCount == 1)
    }

    @Test func aNumberIsUsedAgainWithinAMillisecond() {
        var life = life()
        let (old, new) = (key(10, 2_000_000), key(10, 2_300_000))
        life.fork(first, old, at: 2_000_001)
        life.exec(old, "/old", at: 2_100_000)
        life.exit(old, at: 2_200_000)
        life.fork(first, new, at: 2_300_001)
        life.exec(new, "/new", at: 2_400_000)
        let tree = life.tree
        #expect(tree.path(old, 2_150_000) == "/old")
        #expect(tree.path(old, 2_500_000) == "/old")
        #expect(tree.path(new, 2_500_000) == "/new")
        #expect(tree.count == 3)
        // No record told the end of this one, but its number is another's.
        life.fork(first, key(10, 2_600_000), at: 2_600_001)
        #expect(tree.process(new, at: .max)?.end == 2_600_000)
        #expect(tree.losses.ends == 1)
        #expect(tree.livingCount == 2)
        // A late record of the one before changes nothing of that.
        life.exec(new, "/late", at: 2_550_000)
        #expect(tree.processes.map(\.key.start) == [1000, 2_600_000])
        #expect(tree.path(new, 2_560_000) == "/late")
        life.exit(new, at: 2_590_000)
        #expect(tree.process(new, at: .max)?.end == 2_590_000)
    }

    @Test func missingRecordsLeaveGapsThatShow() throws {
        var life = life()
        let (parent, process, child) = (key(9, 1500), key(10, 2000), key(11, 3000))
        // Its fork was lost.
        life.exec(process, "/p", at: 2500, parent: parent)
        life.fork(process, child, at: 3001, grandparent: parent)
        let tree = life.tree
        #expect(tree.lineage(child, 3100) == ([10, -9], .unknown))
        #expect(tree.process(parent, at: 3100) == nil)
        let info = try #require(tree.process(process, at: 2500))
        #expect(info.parent == parent)
        #expect(!info.isParentCreator)
        // What it ran before is not known.
        #expect(tree.path(process, 2400) == "")
        #expect(tree.path(process, 2500) == "/p")
        #expect(tree.path(child, 3100) == "/p")
        #expect(tree.livingCount == 2)
        // The parent shows itself: the gap is filled, up to its own parent.
        life.exec(parent, "/parent", at: 4000, parent: first)
        #expect(tree.lineage(child, 4100) == ([10, 9, -1], .unknown))
        // The fork comes late, and tells another parent: that is who made it.
        let maker = key(8, 1800)
        life.fork(maker, process, at: 2001, grandparent: parent)
        #expect(tree.lineage(child, 4100) == ([10, 8, 9, -1], .unknown))
        #expect(tree.process(process, at: 4100)?.isParentCreator == true)
        #expect(tree.lineage(key(77, 7), 1) == ([0], .unknown))
        // The end of a process of which nothing was known is kept with what the record tells.
        life.exit(key(30, 4200), at: 5000, parent: process)
        #expect(tree.lineage(key(30, 4200), 5000).numbers == [10, 8, 9, -1])
        #expect(tree.process(key(30, 4200), at: 5000)?.end == 5000)
    }

    @Test func theOrderOfRecordsDoesNotMatter() {
        let (a, b) = (key(10, 2000), key(11, 3000))
        typealias Step = (inout Lifecycle) -> Void
        let first = first
        let steps: [Step] = [
            { $0.fork(first, a, at: 2001) }, { $0.exec(a, "/a", at: 2100) },
            { $0.exec(b, "/b1", at: 3200, parent: a) }, { $0.exec(b, "/b2", at: 3300, parent: a) },
            { $0.exit(b, at: 3400, parent: a) },
        ]
        var random = SplitMix64(seed: 4)
        for _ in 0..<100 {
            var life = life()
            // The parent's program must be known when the fork comes, to be the child's too.
            for step in steps[..<2] { step(&life) }
            var rest: [Step] = steps[2...] + [{ $0.fork(a, b, at: 3001) }]
            rest.shuffle(using: &random)
            for step in rest { step(&life) }
            let tree = life.tree
            #expect([3100, 3250, 3350].map { tree.path(b, $0) } == ["/a", "/b1", "/b2"])
            #expect(tree.lineage(b, 3350) == ([10, 1], .root))
            #expect(tree.process(b, at: 3400)?.end == 3400)
            #expect(tree.process(b, at: 3399)?.end == nil)
            #expect(tree.livingCount == 2)
            #expect(tree.count == 3)
        }
    }

    @Test func oldProgramsGoFirst() {
        var life = life(programs: 3)
        let process = key(10, 2000)
        life.fork(first, process, at: 2001)
        for index in 1...5 { life.exec(process, "/p\(index)", at: 2000 + UInt64(index) * 100) }
        let tree = life.tree
        #expect(tree.losses.images == 3)
        #expect(tree.path(process, 2550) == "/p5")
        #expect(tree.path(process, 2350) == "/p3")
        #expect(tree.path(process, 2250) == "")
        // One that comes late and is older than all is the one to go.
        life.exec(process, "/p0", at: 2050)
        #expect(tree.losses.images == 4)
        #expect(tree.path(process, 2350) == "/p3")
        // The same record again changes nothing.
        life.exec(process, "/p5", at: 2500)
        #expect(tree.losses.images == 4)
        #expect(tree.path(process, 2450) == "/p4")
    }

    @Test func argumentsAreBounded() throws {
        let life = life()
        let process = key(10, 2000)
        let bytes = [UInt8](repeating: 0x61, count: 8191) + [0]
        life.exec(process, "/a", at: 2500, arguments: bytes)
        let info = try #require(life.tree.process(process, at: 2500))
        #expect(info.arguments == Array(bytes.prefix(4096)))
        #expect(info.areArgumentsTruncated)
        life.exec(process, "/a", at: 2600, arguments: Array(bytes.suffix(4096)))
        #expect(life.tree.process(process, at: 2600)?.areArgumentsTruncated == false)
        life.exec(process, String(repeating: "p", count: 5000), at: 2700)
        #expect(life.tree.executable(of: process, at: 2700).count == 4096)
        // No path at all is not the path of before.
        life.exec(process, nil, at: 2800)
        #expect(life.tree.path(process, 2800) == "")
    }

    @Test func nonsenseIsHarmless() {
        var life = life()
        let (a, b) = (key(10, 2000), key(11, 2000))
        let tree = life.tree
        // Its own child, each the other's, a child older than its parent, numbers that are none.
        life.fork(a, a, at: 2001)
        life.exec(a, "/a", at: 2100, parent: a)
        life.fork(a, b, at: 2200, grandparent: b)
        life.fork(b, a, at: 2201, grandparent: a)
        life.fork(b, key(12, 1), at: 2300)
        life.fork(key(0, 0), key(13, 5000), at: 5001)
        life.fork(first, key(0, 6000), at: 6001)
        life.exec(key(0, 0), "/zero", at: 6002)
        life.exit(key(0, 0), at: 6003)
        life.exec(key(14, .max), "/end", at: .max, parent: key(15, .max))
        life.exec(key(16, .max), "/end", at: 0, parent: key(16, .max - 1))
        for process in [a, b, key(12, 1), key(14, .max), key(16, .max)] {
            #expect(tree.lineage(process, 3000).numbers.count < 64)
        }
        #expect(tree.path(key(0, 0), 7000) == "")
        #expect(tree.tree.count >= tree.livingCount)
    }

    @Test func theTreeShowsAllWhoLiveBelowTheirParents() {
        var life = life()
        let (a, b, c, d) = (key(20, 2000), key(15, 3000), key(30, 4000), key(16, 4500))
        life.fork(first, a, at: 2001)
        life.fork(first, b, at: 3001)
        life.fork(a, c, at: 4001)
        life.fork(a, d, at: 4501)
        life.exec(key(40, 5000), "/lost", at: 5001, parent: key(39, 4900))
        life.exit(a, at: 6000)
        life.exit(b, at: 6001)
        let tree = life.tree
        #expect(tree.processes.map(\.key.process) == [1, 16, 30, 40])
        let lines = tree.tree
        #expect(lines.map(\.process.key.process) == [1, 20, 16, 30, 39, 40])
        #expect(lines.map(\.depth) == [0, 1, 2, 2, 0, 1])
        #expect(lines.map(\.process.isUnknown) == [false, false, false, false, true, false])
        #expect(lines.map { $0.process.end == nil } == [true, false, true, true, true, true])
    }
}
