import Foundation
import Outputs
import Runtimes
import State
import Synchronization
import TestSupport
import Testing

@testable import Agent

@Suite struct LiveTreeTests {
    /// Numbers and depths; the parent is the last with a smaller depth.
    private func processes(
        _ rows: [(UInt32, Int)], kernel: Set<UInt32> = [], container: [UInt32: String] = [:]
    )
        -> [ShownProcess]
    {
        var above: [UInt32] = []
        return rows.map { number, depth in
            var process = ShownProcess(process: number, start: UInt64(number))
            above.removeLast(max(0, above.count - depth))
            process.depth = depth
            if let parent = above.last { process.parent = .init(process: parent, start: UInt64(parent)) }
            process.isKernelThread = kernel.contains(number)
            if let id = container[number] {
                process.container = ShownContainer()
                process.container?.id = id
                process.container?.name = "n-" + id.prefix(3)
            }
            above.append(number)
            return process
        }
    }

    private var host: [ShownProcess] {
        let long = String(repeating: "c", count: 12)
        return processes(
            [(1, 0), (10, 1), (11, 2), (12, 2), (20, 1), (21, 2), (22, 3), (2, 0), (3, 1), (30, 2), (40, 0)],
            kernel: [2, 3],
            container: [11: "abc" + long, 21: "abd" + long, 22: "abd" + long, 40: "abc" + long])
    }

    private func shown(
        _ pids: [UInt32] = [], _ container: String? = nil, all: Bool = false
    ) throws -> [String] {
        var selection = LiveTree.Selection()
        selection.processes = pids
        selection.container = container
        selection.showsKernelThreads = all
        return try LiveTree.select(selection, from: host).map { "\($0.process)/\($0.level)" }
    }

    @Test func threadsOfTheKernelAreHidden() throws {
        // But for those that made others.
        #expect(
            try shown() == [
                "1/0", "10/1", "11/2", "12/2", "20/1", "21/2", "22/3", "2/0", "3/1", "30/2", "40/0",
            ])
        let quiet = host.filter { $0.process != 30 }
        #expect(
            try LiveTree.select(.init(), from: quiet).map(\.process) == [1, 10, 11, 12, 20, 21, 22, 40])
        var all = LiveTree.Selection()
        all.showsKernelThreads = true
        #expect(try LiveTree.select(all, from: quiet).count == quiet.count)
    }

    @Test func subtreesWithThoseAboveThem() throws {
        #expect(try shown([20]) == ["1/0", "20/1", "21/2", "22/3"])
        #expect(try shown([22, 11]) == ["1/0", "10/1", "11/2", "20/1", "21/2", "22/3"])
        #expect(try shown([3]) == ["2/0", "3/1", "30/2"])
        #expect(throws: AgentError.self) { try shown([20, 999]) }
    }

    @Test func containers() throws {
        #expect(try shown([], "n-abd") == ["21/0", "22/1"])
        #expect(try shown([], "abccccccccccccc") == ["11/0", "40/0"])
        #expect(try shown([], "abdcccccccccc") == ["21/0", "22/1"])
        #expect(try shown([22], "n-abd") == ["22/0"])
        for word in ["abcc", "", "nothing", "n-", "cccccccccccc"] {
            #expect(throws: AgentError.self, "\(word)") { try shown([], word) }
        }
    }

    @Test func ourselves() throws {
        let tree = try LiveTree.read()
        let own = try #require(tree.processes.first { $0.process == UInt32(getpid()) })
        #expect(own.parent?.process == UInt32(getppid()) || own.isParentUnknown)
        #expect(own.user == getuid() && !own.isKernelThread && !own.hasEnded)
        #expect(
            own.executable
                == Array(try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe").utf8))
        let age = Date().timeIntervalSince1970 - Double(own.start) / 1e9
        #expect(age >= 0 && age < 36000)
        var above: [Int] = []
        for process in tree.processes {
            above.removeLast(max(0, above.count - process.depth))
            #expect(above.count == process.depth)
            #expect((process.depth == 0) == (process.parent == nil))
            above.append(process.depth)
        }
    }
}

@Suite struct LiveArgumentsTests {
    /// A folder like /proc. What is nil is a pipe that nobody writes to, so that who opens it waits.
    private func withRoot(_ files: [UInt32: [UInt8]?], _ body: (String) throws -> Void) throws {
        let root = NSTemporaryDirectory() + "apus-arguments-\(UUID().uuidString)"
        defer { try? FileManager.default.removeItem(atPath: root) }
        for (process, bytes) in files {
            let folder = "\(root)/\(process)"
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
            if let bytes {
                try Data(bytes).write(to: URL(fileURLWithPath: folder + "/cmdline"))
            } else {
                try #require(unsafe mkfifo(folder + "/cmdline", 0o600) == 0)
            }
        }
        try body(root)
    }

    @Test func ofAnyLength() throws {
        var random = SplitMix64(seed: 31)
        var files: [UInt32: [UInt8]?] = [:]
        for process in 1...300 as ClosedRange<UInt32> { files[process] = random.bytes(random.below(9000)) }
        for (process, length) in [(1, 0), (2, 4095), (3, 4096), (4, 4097), (5, 8192), (6, 8193)] {
            files[UInt32(process)] = random.bytes(length)
        }
        try withRoot(files) { root in
            let numbers = Array(1...310 as ClosedRange<UInt32>)
            let read = LiveArguments(numbers, root: root)
            #expect(read.found.count == 300 && read.stuck.isEmpty && read.leftOut == 0)
            for (process, bytes) in files {
                let bytes = try #require(bytes)
                let wanted = LiveArguments.Arguments(
                    bytes: Array(bytes.prefix(4096)), isTruncated: bytes.count > 4096)
                #expect(read.found[process] == wanted, "\(process)")
            }
            #expect(LiveArguments([], root: root).found.isEmpty)
        }
    }

    @Test func whoHangsIsLeftBehind() throws {
        var files: [UInt32: [UInt8]?] = [:]
        for process in 1...50 as ClosedRange<UInt32> { files[process] = [65, 0] }
        for process in [1, 50] as [UInt32] { files[process] = .some(nil) }
        try withRoot(files) { root in
            let read = LiveArguments(Array(1...50), root: root, patience: 1500)
            #expect(read.stuck == [1, 50] && read.leftOut == 0 && read.found.count == 48)
        }
    }

    @Test func manyWhoHangAreNotWaitedFor() throws {
        var files: [UInt32: [UInt8]?] = [:]
        for process in 1...50 as ClosedRange<UInt32> { files[process] = process < 10 ? [65, 0] : .some(nil) }
        try withRoot(files) { root in
            let read = LiveArguments(Array(1...50), root: root, patience: 1500, attempts: 2)
            #expect(read.stuck == [10, 11] && read.leftOut == 39 && read.found.count == 9)
        }
    }
}

@Suite struct NameSearchTests {
    private struct Source: ContainerSource {
        var seconds: Double = 0
        var image: String?
        var isBroken = false
        let asked = Counter()

        func details(of container: ContainerIdentity) throws(RuntimeError) -> ContainerDetails? {
            asked.count.withLock { $0 += 1 }
            if seconds > 0 { Thread.sleep(forTimeInterval: seconds) }
            if isBroken { throw RuntimeError("broken") }
            guard let image else { return nil }
            var details = ContainerDetails()
            details.name = "of \(container.id)"
            details.image = image
            return details
        }
    }

    private final class Counter: Sendable {
        let count = Mutex(0)
    }

    private let questions: [NameSearch.Question] = (1...5).map {
        (UInt64($0), ContainerIdentity(runtime: .unknown, id: "c\($0)"))
    }

    private func search(_ sources: [Source], seconds: Double = 5) -> (NameSearch.Outcome, seconds: Double) {
        let began = Clock.sinceBoot()
        let outcome = NameSearch.run(
            questions, sources.enumerated().map { .init(name: "s\($0)", asked: $1) },
            until: began + UInt64(seconds * 1e9))
        return (outcome, Double(Clock.sinceBoot() - began) / 1e9)
    }

    @Test func theFirstThatTellsTheImage() {
        let (outcome, _) = search([Source(), Source(image: ""), Source(image: "b"), Source(image: "c")])
        #expect(Set(outcome.answers.map(\.group)) == [1, 2, 3, 4, 5])
        #expect(outcome.answers.count == 5 && outcome.answers.allSatisfy { $0.details.image == "b" })
        #expect(outcome.notes.isEmpty)
        #expect(search([Source(image: "")]).0.answers.count == 5)
        #expect(search([Source()]).0.answers.isEmpty && search([]).0.answers.isEmpty)
    }

    @Test func whoFailsIsAskedOnce() {
        let broken = Source(isBroken: true)
        let (outcome, _) = search([broken, Source(image: "b")])
        #expect(outcome.answers.count == 5 && outcome.notes == ["broken"])
        #expect(broken.asked.count.withLock { $0 } == 1)
    }

    @Test func whoHangsIsNotWaitedFor() {
        let (outcome, seconds) = search([Source(image: "a"), Source(seconds: 30)], seconds: 0.3)
        #expect(outcome.answers.count == 5)
        #expect(outcome.notes.count == 1 && outcome.notes[0].hasPrefix("s1 did not answer in time"))
        #expect(seconds >= 0.3 && seconds < 20)
    }
}
