import Glibc
import Synchronization
import TestSupport
import Testing

@testable import Agent

@Suite struct ExecutableHashesTests {
    /// Stands for the thread's work: holds it until it is let go, and counts.
    private final class Work: Sendable {
        let isHeld = Mutex(false)
        /// An inode that is let go alone.
        let free = Mutex<UInt64>(0)
        let seen = Mutex<[ExecutableFile]>([])
        let result = Mutex<Result<HexDigest, ExecutableFile.Reason>>(.success(.init(.init(repeating: 0xab))))

        func compute(_ file: ExecutableFile) throws(ExecutableFile.Reason) -> HexDigest {
            seen.withLock { $0.append(file) }
            while isHeld.withLock({ $0 }), free.withLock({ $0 }) != file.inode { usleep(1000) }
            return try result.withLock { $0 }.get()
        }

        var count: Int { seen.withLock { $0.count } }
    }

    private static let digest = HexDigest(.init(repeating: 0xab))

    private func hashes(
        _ work: Work, _ mode: HashMode = .devInode, _ limits: ExecutableHashes.Limits = .init()
    ) -> ExecutableHashes {
        ExecutableHashes(mode: mode, limits: limits) { file, _, _ throws(ExecutableFile.Reason) in
            try work.compute(file)
        }
    }

    private func ask(
        _ hashes: ExecutableHashes, inode: UInt64 = 1, device: UInt32 = 1, changed: UInt64 = 1,
        process: UInt32 = 1, image: String = ""
    ) -> ExecutableHashes.Answer {
        let path = Array("/bin/x".utf8)
        var file = unsafe ExecutableHashes.File(
            .executable, of: process, path: path.span.bytes, device: device, inode: inode, changed: changed)
        file.image = image
        return hashes.digest(of: file)
    }

    private func wait(_ what: String = "", _ isTrue: () -> Bool) throws {
        for _ in 0..<5000 {
            if isTrue() { return }
            usleep(1000)
        }
        Issue.record("waited 5 s: \(what)")
        throw CancellationError()
    }

    @Test func aRealFile() throws {
        let hashes = ExecutableHashes(mode: .devInode)
        defer { hashes.end() }
        let program = try file("/usr/bin/sleep")
        func ask() -> ExecutableHashes.Answer {
            unsafe hashes.digest(
                of: .init(
                    program.kind, of: program.process, path: program.path.span.bytes, device: program.device,
                    inode: program.inode, changed: program.changed))
        }
        #expect(ask() == .pending)
        try wait { ask() != .pending }
        #expect(try ask() == .known(program.digest(limit: 1 << 30) { true }))
        #expect(hashes.counters.hashed == 1 && hashes.counters.failed == 0 && hashes.counters.hits > 0)
    }

    @Test func askedOnceAndThenKnown() throws {
        let work = Work()
        work.isHeld.withLock { $0 = true }
        let hashes = hashes(work)
        defer { hashes.end() }
        #expect(ask(hashes) == .pending)
        #expect(ask(hashes, process: 2) == .pending)
        work.isHeld.withLock { $0 = false }
        try wait { hashes.counters.hashed == 1 }
        #expect(ask(hashes) == .known(Self.digest))
        #expect(ask(hashes, process: 3) == .known(Self.digest))
        #expect(work.count == 1)
        #expect(hashes.counters == .init(hashed: 1, hits: 2))
        #expect(work.seen.withLock { $0.first?.path } == Array("/bin/x".utf8))
    }

    @Test(arguments: [
        // What differs, and whether that is another file: by device, inode, time, image.
        (HashMode.inode, false, true, true, false), (.devInode, true, true, true, false),
        (.digestInode, true, true, true, true),
    ])
    func modes(_ mode: HashMode, _ device: Bool, _ inode: Bool, _ changed: Bool, _ image: Bool) throws {
        let work = Work()
        let hashes = hashes(work, mode)
        defer { hashes.end() }
        _ = ask(hashes)
        try wait { hashes.counters.hashed == 1 }
        #expect((ask(hashes, device: 2) == .pending) == device)
        #expect((ask(hashes, inode: 2) == .pending) == inode)
        #expect((ask(hashes, changed: 2) == .pending) == changed)
        #expect((ask(hashes, image: "sha256:1") == .pending) == image)
    }

    @Test func anImageStandsForItsDevice() throws {
        let work = Work()
        let hashes = hashes(work, .digestInode)
        defer { hashes.end() }
        _ = ask(hashes, device: 1, image: "sha256:1")
        try wait { hashes.counters.hashed == 1 }
        #expect(ask(hashes, device: 2, image: "sha256:1") == .known(Self.digest))
        #expect(ask(hashes, device: 1, image: "sha256:2") == .pending)
        #expect(ask(hashes, device: 1) == .pending)
    }

    @Test func noModeNoHash() {
        let work = Work()
        let hashes = hashes(work, .none)
        #expect(ask(hashes) == .unavailable(.ended))
        #expect(work.count == 0)
    }

    @Test func aReasonHoldsForItsProcess() throws {
        let work = Work()
        work.result.withLock { $0 = .failure(.vanished) }
        let hashes = hashes(work)
        defer { hashes.end() }
        #expect(ask(hashes, process: 1) == .pending)
        try wait { hashes.counters.failed == 1 }
        #expect(ask(hashes, process: 1) == .unavailable(.vanished))
        #expect(ask(hashes, process: 1) == .unavailable(.vanished))
        work.result.withLock { $0 = .success(Self.digest) }
        #expect(ask(hashes, process: 2) == .pending)
        try wait { hashes.counters.hashed == 1 }
        #expect(ask(hashes, process: 1) == .known(Self.digest))
        // No other process sees another size.
        work.result.withLock { $0 = .failure(.tooLarge) }
        #expect(ask(hashes, inode: 2, process: 1) == .pending)
        try wait { hashes.counters.failed == 2 }
        #expect(ask(hashes, inode: 2, process: 2) == .unavailable(.tooLarge))
        #expect(work.count == 3)
    }

    @Test func aFullQueue() throws {
        let work = Work()
        work.isHeld.withLock { $0 = true }
        let hashes = hashes(work, .devInode, .init(answers: 8, requests: 3))
        defer { hashes.end() }
        #expect(ask(hashes, inode: 100) == .pending)
        try wait { work.count == 1 }
        for inode in 1...3 { #expect(ask(hashes, inode: UInt64(inode)) == .pending) }
        #expect(ask(hashes, inode: 4) == .unavailable(.busy))
        #expect(ask(hashes, inode: 4) == .unavailable(.busy))
        #expect(ask(hashes, inode: 1) == .pending)
        #expect(hashes.counters == .init(refused: 2))
        work.isHeld.withLock { $0 = false }
        try wait { hashes.counters.hashed == 4 }
        // What was refused may be asked again.
        #expect(ask(hashes, inode: 4) == .pending)
        try wait { ask(hashes, inode: 4) == .known(Self.digest) }
    }

    @Test func aFewAnswersAreKept() throws {
        let work = Work()
        let hashes = hashes(work, .devInode, .init(answers: 4, requests: 100))
        defer { hashes.end() }
        var asked: UInt64 = 0
        func ask(_ inode: UInt64) throws {
            asked += 1
            #expect(self.ask(hashes, inode: inode) == .pending, "\(inode)")
            try wait { hashes.counters.hashed == asked }
        }
        for inode in 1...4 { try ask(UInt64(inode)) }
        #expect(hashes.counters.evicted == 0)
        // Those that are used stay.
        for inode in [1, 3, 4] as [UInt64] { #expect(self.ask(hashes, inode: inode) == .known(Self.digest)) }
        try ask(5)
        #expect(hashes.counters.evicted == 1)
        for inode in [1, 3, 4, 5] as [UInt64] {
            #expect(self.ask(hashes, inode: inode) == .known(Self.digest), "\(inode)")
        }
        for inode in 6...30 { try ask(UInt64(inode)) }
        #expect(hashes.counters.evicted == 26)
        // What waits is not forgotten, though there is no room for another.
        work.isHeld.withLock { $0 = true }
        for inode in 41...44 { #expect(self.ask(hashes, inode: UInt64(inode)) == .pending) }
        #expect(self.ask(hashes, inode: 45) == .unavailable(.busy))
        work.isHeld.withLock { $0 = false }
        try wait { hashes.counters.hashed == asked + 4 }
        for inode in 41...44 { #expect(self.ask(hashes, inode: UInt64(inode)) == .known(Self.digest)) }
    }

    @Test func aFileThatHangsStopsOnlyItsThread() throws {
        let work = Work()
        work.isHeld.withLock { $0 = true }
        let hashes = hashes(work, .devInode, .init(patience: 30_000_000, hangingThreads: 2))
        defer { hashes.end() }
        #expect(ask(hashes, inode: 1) == .pending)
        try wait { work.count == 1 }
        #expect(ask(hashes, inode: 2) == .pending)
        try wait { ask(hashes, inode: 1) == .unavailable(.hangs) }
        // Another thread took the second, and a third takes the last.
        try wait { work.count == 2 }
        #expect(ask(hashes, inode: 3) == .pending)
        try wait { ask(hashes, inode: 2) == .unavailable(.hangs) && work.count == 3 }
        // No more threads than that.
        usleep(100_000)
        #expect(ask(hashes, inode: 3) == .pending)
        #expect(hashes.counters == .init(failed: 2))
        work.free.withLock { $0 = 3 }
        try wait { ask(hashes, inode: 3) == .known(Self.digest) }
        work.isHeld.withLock { $0 = false }
        // What comes too late is no answer any more, for that process.
        #expect(ask(hashes, inode: 1) == .unavailable(.hangs))
        #expect(ask(hashes, inode: 1, process: 2) == .pending)
        try wait { ask(hashes, inode: 1) == .known(Self.digest) }
    }

    @Test func theEnd() throws {
        let work = Work()
        work.isHeld.withLock { $0 = true }
        weak var gone: ExecutableHashes?
        try {
            let hashes = hashes(work)
            gone = hashes
            #expect(ask(hashes) == .pending)
            try wait { work.count == 1 }
            #expect(ask(hashes, inode: 2) == .pending)
            hashes.end()
            #expect(ask(hashes) == .unavailable(.ended))
        }()
        work.isHeld.withLock { $0 = false }
        try wait("its thread goes") { gone == nil }
        #expect(work.count == 1)
    }

    @Test func manyThatAsk() throws {
        let work = Work()
        let hashes = hashes(work, .devInode, .init(answers: 64, requests: 16))
        defer { hashes.end() }
        var random = SplitMix64(seed: 52)
        var (asked, refused, hits) = (0, 0, 0)
        for round in 0..<1_000_000 {
            if round >= 20_000 && hits > 0 && hashes.counters.evicted > 0 { break }
            switch ask(hashes, inode: random.next() % 200) {
            case .pending: asked += 1
            case .known(let digest):
                hits += 1
                #expect(digest == Self.digest)
            case .unavailable(let reason):
                refused += 1
                #expect(reason == .busy)
            }
        }
        let counters = hashes.counters
        #expect(counters.hits == hits && counters.refused == refused && counters.failed == 0)
        #expect(counters.hashed <= asked && hits > 0 && counters.evicted > 0)
    }
}
