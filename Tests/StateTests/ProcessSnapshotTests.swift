import Foundation
import TestSupport
import Testing

@testable import State

/// What there was before the first record: rows, `/proc` and folders that look like it.
@Suite struct ProcessSnapshotTests {
    private let tick = ProcessSnapshot.tickNanoseconds

    private func key(_ process: UInt32, _ start: UInt64) -> ProcessKey {
        ProcessKey(process: process, start: start)
    }

    private func row(
        _ process: UInt32, _ parent: UInt32, ticks: UInt64, _ path: String?, seen: UInt64 = 0
    ) -> ProcessRow {
        var row = ProcessRow(
            process: process, parent: parent, start: .ticks(ticks), user: process,
            name: Array("n\(process)".utf8),
            executable: path.map { Array($0.utf8) }, arguments: path.map { Array("\($0)\0-x\0".utf8) })
        row.seen = seen
        return row
    }

    // MARK: Entering rows

    @Test func rowsAreFoundByExactStarts() throws {
        let tree = ProcessTree(procRoot: nil)
        // Children before their parents.
        tree.enter(
            ProcessSnapshot(
                rows: [
                    row(30, 20, ticks: 300, "/c"), row(20, 1, ticks: 200, "/b"), row(1, 0, ticks: 1, "/init"),
                    row(2, 0, ticks: 1, ""), row(40, 39, ticks: 400, "/orphan"),
                    row(41, 30, ticks: 299, "/older"),
                ], began: 1000 * tick))
        #expect(tree.livingCount == 6)
        #expect(tree.faults == [])
        let exact = key(30, 300 * tick + 12345)
        #expect(tree.path(exact, 1001 * tick) == "/c")
        // It has run that as long as anybody knows.
        #expect(tree.path(exact, 1) == "/c")
        let info = try #require(tree.process(exact, at: 1001 * tick))
        #expect(info.key == exact)
        #expect(!info.isStartInTicks)
        #expect(!info.isParentCreator)
        #expect(info.user == 30)
        #expect(info.name.bytes == Array("n30".utf8))
        #expect(info.arguments == Array("/c\0-x\0".utf8))
        #expect(info.parent == key(20, 200 * tick))
        #expect(tree.processes.first { $0.key.process == 20 }?.isStartInTicks == true)
        #expect(tree.lineage(exact, .max) == ([20, 1], .root))
        // Neither another tick nor, once that is known, another nanosecond.
        #expect(tree.path(key(30, 301 * tick), .max) == "")
        #expect(tree.path(key(30, exact.start + 1), .max) == "")
        // Whoever only knows ticks finds it still.
        #expect(tree.path(key(30, 300 * tick), .max) == "/c")
        // A parent cannot be younger, and must be there.
        #expect(tree.lineage(key(40, 400 * tick + 1), .max) == ([0], .unknown))
        #expect(tree.lineage(key(41, 299 * tick + 1), .max) == ([0], .unknown))
        #expect(tree.count == 6)
        #expect(tree.faults == [])
    }

    @Test func recordsGoOnFromRows() throws {
        let tree = ProcessTree(procRoot: nil)
        tree.enter(
            ProcessSnapshot(
                rows: [row(1, 0, ticks: 1, "/init"), row(20, 1, ticks: 200, "/b", seen: 1000 * tick)],
                began: 999 * tick))
        var life = Lifecycle(tree)
        let (parent, child) = (key(20, 200 * tick + 7), key(21, 1100 * tick))
        life.fork(parent, child, at: child.start + 1)
        #expect(tree.path(child, child.start + 1) == "/b")
        #expect(tree.lineage(child, child.start).numbers == [20, 1])
        #expect(tree.count == 3)
        life.exec(parent, "/new", at: 1200 * tick)
        // This record was made before the row was seen, which so tells of what came after it.
        life.exec(parent, "/between", at: 900 * tick)
        #expect(tree.path(parent, 1200 * tick) == "/new")
        #expect(tree.path(parent, 1199 * tick) == "/b")
        #expect(tree.path(parent, 999 * tick) == "/between")
        #expect(tree.path(parent, 899 * tick) == "")
        // When the first of many go, what was seen does not stand for them.
        for index in 0..<6 { life.exec(parent, "/more", at: 1210 * tick + UInt64(index)) }
        #expect(tree.losses.images == 1)
        #expect(tree.path(parent, 1000 * tick) == "/b")
        #expect(tree.path(parent, 999 * tick) == "")
        life.exit(parent, at: 1300 * tick)
        #expect(tree.processes.map(\.key.process) == [1, 21])
        #expect(tree.lineage(child, .max).numbers == [20, 1])
        #expect(tree.losses.ends == 0)
        #expect(tree.faults == [])
    }

    @Test func rowsCompleteWhatRecordsTold() throws {
        let tree = ProcessTree(procRoot: nil)
        var life = Lifecycle(tree)
        let (known, forked, ended) = (
            key(10, 500 * tick + 3), key(11, 600 * tick + 4), key(12, 610 * tick + 5)
        )
        life.exec(known, "/known", at: 700 * tick, parent: key(9, 1))
        // Made by somebody of whom nothing is known, and so is what it runs.
        life.fork(key(8, 2), forked, at: forked.start + 1)
        life.fork(forked, ended, at: ended.start + 1)
        life.exit(ended, at: 710 * tick)
        // Nobody told the end of this one.
        life.fork(forked, key(13, 620 * tick), at: 620 * tick + 1)
        // This one runs something else than was seen, and this one came later.
        let (changed, later) = (key(14, 630 * tick), key(15, 721 * tick))
        life.exec(changed, "/changed", at: 719 * tick, parent: key(9, 1))
        life.fork(changed, later, at: later.start + 1)
        let snapshot = ProcessSnapshot(
            rows: [
                row(10, 1, ticks: 500, "/known"), row(14, 1, ticks: 630, "/other"),
                row(11, 1, ticks: 600, "/forked"),
                row(12, 11, ticks: 610, "/ended"),
                row(1, 0, ticks: 0, "/init"), row(8, 1, ticks: 0, "/maker"),
            ], began: 720 * tick)
        tree.enter(snapshot)
        #expect(tree.path(known, 700 * tick) == "/known")
        #expect(tree.path(known, 600 * tick) == "")
        #expect(tree.process(known, at: .max)?.arguments == Array("/known\0-x\0".utf8))
        #expect(tree.path(forked, 601 * tick) == "/forked")
        #expect(tree.processes.map(\.key.process) == [1, 8, 10, 11, 14, 15])
        #expect(tree.path(changed, .max) == "/changed")
        #expect(tree.process(changed, at: .max)?.arguments == nil)
        // Parents that records told stay.
        #expect(tree.lineage(known, .max).numbers == [-9])
        #expect(tree.lineage(forked, .max).numbers == [8, 1])
        #expect(tree.process(key(13, 620 * tick), at: .max)?.end == 720 * tick)
        #expect(tree.losses.ends == 1)
        #expect(tree.faults == [])
        // The same again changes nothing.
        let before = tree.tree.map(\.process)
        tree.enter(snapshot)
        #expect(tree.tree.map(\.process) == before)
        #expect(tree.faults == [])
        // One that is not whole says nothing of who is missing.
        tree.enter(ProcessSnapshot(rows: [], began: 730 * tick, isWhole: false))
        #expect(tree.livingCount == 6)
    }

    @Test func hostileRowsAreHarmless() {
        let tree = ProcessTree(memoryLimit: 64 << 10, procRoot: nil)
        var random = SplitMix64(seed: 11)
        for _ in 0..<20 {
            let rows = (0..<300).map { _ in
                var row = ProcessRow(
                    process: random.below(9) == 0
                        ? UInt32(truncatingIfNeeded: random.next()) : UInt32(random.below(90)),
                    parent: UInt32(random.below(90)),
                    start: random.below(2) == 0 ? .ticks(random.number()) : .nanoseconds(random.number()),
                    user: 0, name: random.bytes(random.below(40)),
                    executable: random.bytes(random.below(9) == 0 ? random.below(6000) : 3),
                    arguments: random.bytes(random.below(9) == 0 ? random.below(6000) : 3))
                row.seen = random.number()
                row.hasEnded = random.below(4) == 0
                return row
            }
            tree.enter(ProcessSnapshot(rows: rows, began: random.number(), isWhole: random.below(2) == 0))
            #expect(tree.memory <= 64 << 10)
            #expect(tree.faults == [])
            for process in tree.processes { #expect(tree.lineage(process.key, .max).numbers.count < 64) }
        }
        #expect(tree.losses.living + tree.losses.ended > 0)
    }

    // MARK: /proc

    @Test func procIsWhatItSays() throws {
        let child = Process()
        child.executableURL = URL(filePath: "/bin/sh")
        child.arguments = ["-c", "read line; :", "a b", "", "ü"]
        let input = Pipe()
        child.standardInput = input
        try child.run()
        defer {
            try? input.fileHandleForWriting.close()
            child.waitUntilExit()
        }
        let number = UInt32(child.processIdentifier)
        let own = UInt32(getpid())
        let shell = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(own)/exe")
        // Its arguments are the shell's once it has executed that.
        let line = Array("/bin/sh\0-c\0read line; :\0a b\0\0ü\0".utf8)
        for _ in 0..<500 where ProcessSnapshot.row(of: number, arguments: true)?.arguments != line {
            usleep(2000)
        }

        let snapshot = try ProcessSnapshot.read()
        #expect(snapshot.isWhole)
        #expect(snapshot.leftOut == 0)
        let numbers = snapshot.rows.map(\.process)
        #expect(Set(numbers).count == numbers.count)
        let mine = try #require(snapshot.rows.first { $0.process == own })
        #expect(mine.executable == Array(shell.utf8))
        #expect(mine.parent == UInt32(getppid()))
        #expect(mine.user == getuid())
        #expect(mine.seen >= snapshot.began)
        let theirs = try #require(snapshot.rows.first { $0.process == number })
        #expect(theirs.arguments == line)
        #expect(theirs.parent == own)
        #expect(theirs.name == Array("sh".utf8))
        #expect(!theirs.areArgumentsTruncated)
        let stat = try #require(ProcessSnapshot.row(of: number))
        #expect(stat.start == theirs.start)
        #expect(stat.arguments == nil)

        let tree = ProcessTree(procRoot: nil)
        tree.enter(snapshot)
        #expect(tree.faults == [])
        let start = try #require(theirs.startNanoseconds)
        let exact = key(number, start + 1)
        #expect(
            tree.path(exact, .max)
                == (try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(number)/exe")))
        #expect(tree.lineage(exact, .max).numbers.starts(with: [Int(own), Int(getppid())]))
        #expect(tree.process(exact, at: .max)?.arguments == line)
    }

    @Test func whatDoesNotFitIsLeftOutAndCounted() throws {
        let one = try ProcessSnapshot.read(limit: 1)
        #expect(one.rows.count == 1)
        #expect(!one.isWhole)
        #expect(one.leftOut > 0)
        let bare = try ProcessSnapshot.read(textLimit: 0)
        #expect(bare.leftOut > 0)
        #expect(bare.isWhole)
        #expect(bare.rows.allSatisfy { ($0.arguments ?? []).isEmpty && ($0.executable ?? []).isEmpty })
        #expect(throws: ProcessSnapshotError.self) { try ProcessSnapshot.read(root: "/nowhere/at/all") }
    }

    /// Asks for processes that no record told of.
    @Test func theUnknownIsAskedForOnce() throws {
        let proc = try FakeProc()
        try proc.add(50, parent: 1, ticks: 700, name: "a) R 1 (b", executable: "/opt/a (deleted)")
        try proc.add(1, parent: 0, ticks: 0, name: "init", executable: "/init")
        let tree = ProcessTree(procRoot: proc.path)
        let exact = key(50, 700 * tick + 99)
        #expect(tree.path(exact, .max) == "/opt/a")
        #expect(tree.named(exact, .max) == "a) R 1 (b")
        #expect(tree.process(exact, at: .max)?.user == 1234)
        // It is not asked for again, and knows its parent only if that was known.
        try proc.remove(50)
        #expect(tree.path(exact, .max) == "/opt/a")
        #expect(tree.lineage(exact, .max).numbers == [0])
        // Another start is another process, and is not believed.
        try proc.add(50, parent: 1, ticks: 800, name: "other", executable: "/other")
        let gone = key(50, 750 * tick)
        #expect(tree.path(gone, .max) == "")
        #expect(tree.process(gone, at: .max) == nil)
        // Not even when it shows up with that start: it was asked for.
        try proc.remove(50)
        try proc.add(50, parent: 1, ticks: 750, name: "late", executable: "/late")
        #expect(tree.path(gone, .max) == "")
        // A record tells that it lives after all.
        Lifecycle(tree).exec(gone, "/record", at: ProcessSnapshot.now() + 1000)
        #expect(tree.path(gone, .max) == "/record")
        #expect(tree.process(gone, at: .max)?.end == nil)
        // Also one that is there but does not show what it runs is asked for once.
        try proc.add(51, parent: 1, ticks: 700, name: "hidden", executable: nil)
        #expect(tree.named(key(51, 700 * tick), .max) == "hidden")
        try proc.link("51/exe", to: "/shown")
        #expect(tree.path(key(51, 700 * tick), .max) == "")
        #expect(tree.faults == [])
    }

    @Test func ancestorsAreAskedForToo() throws {
        let proc = try FakeProc()
        try proc.add(60, parent: 50, ticks: 600, name: "c", executable: "/c")
        try proc.add(50, parent: 1, ticks: 500, name: "b", executable: "/b")
        try proc.add(1, parent: 0, ticks: 0, name: "init", executable: "/init")
        let tree = ProcessTree(procRoot: proc.path)
        tree.enter(ProcessSnapshot(rows: [row(1, 0, ticks: 0, "/init")], began: 1))
        Lifecycle(tree).exec(key(61, 700 * tick), "/d", at: 800 * tick, parent: key(60, 600 * tick + 1))
        _ = tree.path(key(50, 500 * tick + 5), .max)
        #expect(tree.lineage(key(61, 700 * tick), .max) == ([60, 50, 1], .root))
        #expect(tree.faults == [])
    }

    @Test func questionsAreBounded() throws {
        let proc = try FakeProc()
        let tree = ProcessTree(procRoot: proc.path)
        for number in 1...2000 { _ = tree.path(key(UInt32(number), 5), .max) }
        #expect(tree.losses.questions > 500)
        #expect(tree.count >= 256)
        #expect(UInt64(tree.count) + tree.losses.questions == 2000)
    }

    // MARK: Parsing

    @Test func linesOfStat() throws {
        func line(_ name: String, state: String = "S", flags: Int = 0, threads: Int = 1) -> [UInt8] {
            Array(
                "7 (\(name)) \(state) 3 7 7 0 -1 \(flags) 0 0 0 0 0 0 0 0 20 0 \(threads) 0 4242 0 0 18446744073709551615\n"
                    .utf8)
        }
        for name in [
            "a", "", "a b", ")", "(", ") R 9 (", "a\nb", "((((", "x) S 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9",
        ] {
            let parsed = try #require(StatLine(line(name)))
            #expect(parsed.name == Array(name.utf8))
            #expect(parsed.parent == 3)
            #expect(parsed.startTicks == 4242)
            #expect(!parsed.hasEnded)
            #expect(!parsed.isOfKernel)
        }
        #expect(StatLine(line("z", state: "Z"))?.hasEnded == true)
        #expect(StatLine(line("z", state: "X"))?.hasEnded == true)
        // Its other threads still run.
        #expect(StatLine(line("z", state: "Z", threads: 2))?.hasEnded == false)
        #expect(StatLine(line("k", flags: 0x0020_8040))?.isOfKernel == true)
        for broken in [
            "", "(", ")", "()", ")(", "7 a S 3", "7 (a) S 3",
            "7 (a) S -3 7 7 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 4 0",
            // As the kernel takes it apart: not without a parent, but gone.
            "7 (a) X 0 -1 -1 0 -1 4227148 27 0 0 0 0 0 0 0 20 0 0 0 24788 0",
        ] {
            #expect(StatLine(Array(broken.utf8)) == nil, "\(broken)")
        }
        var random = SplitMix64(seed: 3)
        let whole = line("name")
        for _ in 0..<5000 {
            var bytes = whole
            for _ in 0..<1 + random.below(4) { bytes[random.below(bytes.count)] = UInt8(random.below(256)) }
            _ = StatLine(Array(bytes.prefix(random.below(bytes.count + 1))))
            _ = StatLine(random.bytes(random.below(100)))
        }
    }

    @Test func linesOfStatus() {
        #expect(ProcessSnapshot.user(Array("Name:\ta\nUid:\t5\t6\t7\t8\nGid:\t1\n".utf8)) == 5)
        // The kernel writes the end of a line in a name as two characters.
        #expect(ProcessSnapshot.user(Array("Name:\ta\\nUid:\t9\nUid:\t5\t6\n".utf8)) == 5)
        #expect(ProcessSnapshot.user(Array("Uid:\t4294967295\t0\n".utf8)) == 4_294_967_295)
        for broken in ["", "Uid:", "Uid:\n", "Uid:\tx\n", "Uid:\t-1\n", "Uid:\t4294967296\n", " Uid:\t5\n"] {
            #expect(ProcessSnapshot.user(Array(broken.utf8)) == nil, "\(broken)")
        }
    }

    @Test func foldersThatOnlyLookLikeProc() throws {
        let proc = try FakeProc()
        try proc.add(
            5, parent: 1, ticks: 9, name: "ok", executable: "/ok",
            arguments: Array(repeating: 0x61, count: 5000))
        try proc.add(6, parent: 1, ticks: 9, name: "zombie", state: "Z", executable: "/z")
        for name in ["0", "007", "-1", "4294967296", "self", "12x"] { try proc.folder(name) }
        // No folder, a folder without anything, one that is elsewhere, and one without an executable.
        try proc.file("70", "not a folder")
        try proc.folder("71")
        try proc.link("72", to: "5")
        try proc.add(73, parent: 1, ticks: 9, name: "none", executable: nil)
        try proc.folder("74/stat")
        let snapshot = try ProcessSnapshot.read(root: proc.path)
        let rows = snapshot.rows.sorted { $0.process < $1.process }
        #expect(rows.map(\.process) == [5, 6, 73])
        #expect(rows.map(\.hasEnded) == [false, true, false])
        #expect(rows[0].executable == Array("/ok".utf8))
        #expect(rows[0].arguments?.count == 4096)
        #expect(rows[0].areArgumentsTruncated)
        #expect(rows[2].executable == nil)
    }
}

/// A folder that looks like `/proc`.
private final class FakeProc {
    let path: String

    init() throws {
        path = FileManager.default.temporaryDirectory.appending(path: "apus-proc-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func folder(_ name: String) throws {
        try FileManager.default.createDirectory(atPath: "\(path)/\(name)", withIntermediateDirectories: true)
    }

    func file(_ name: String, _ text: String) throws {
        try Data(text.utf8).write(to: URL(filePath: "\(path)/\(name)"))
    }

    func link(_ name: String, to target: String) throws {
        try FileManager.default.createSymbolicLink(atPath: "\(path)/\(name)", withDestinationPath: target)
    }

    func add(
        _ process: Int, parent: Int, ticks: Int, name: String, state: String = "S", executable: String?,
        arguments: [UInt8] = []
    ) throws {
        try folder("\(process)")
        try file(
            "\(process)/stat",
            "\(process) (\(name)) \(state) \(parent) 7 7 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 \(ticks) 0 0\n")
        try file("\(process)/status", "Name:\tx\nUid:\t1234\t0\t0\t0\n")
        try Data(arguments).write(to: URL(filePath: "\(path)/\(process)/cmdline"))
        if let executable { try link("\(process)/exe", to: executable) }
    }

    func remove(_ process: Int) throws { try FileManager.default.removeItem(atPath: "\(path)/\(process)") }
}
