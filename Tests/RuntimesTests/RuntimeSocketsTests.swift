import State
import Synchronization
import Testing

@testable import Runtimes

/// A source that tells what it is told to, and counts how often.
private final class Told: ContainerSource {
    private let details: ContainerDetails?
    private let work: @Sendable () -> Void
    private let fails: Bool
    private let times = Atomic(0)

    init(_ details: ContainerDetails?, fails: Bool = false, work: @escaping @Sendable () -> Void = {}) {
        (self.details, self.fails, self.work) = (details, fails, work)
    }

    var asked: Int { times.load(ordering: .relaxed) }

    func details(of container: ContainerIdentity) throws(RuntimeError) -> ContainerDetails? {
        times.add(1, ordering: .relaxed)
        work()
        if fails { throw RuntimeError("no answer") }
        return details
    }
}

private final class Time: Sendable {
    private let nanoseconds = Atomic<UInt64>(1)
    var now: UInt64 { nanoseconds.load(ordering: .relaxed) }
    func pass(milliseconds: UInt64) { nanoseconds.add(milliseconds * 1_000_000, ordering: .relaxed) }
}

@Suite struct RuntimeSocketsTests {
    private let identity = ContainerIdentity(runtime: .containerd, id: "web")
    private let digest = "sha256:" + String(repeating: "ab", count: 32)

    private func details(name: String = "", image: String = "", digest: String = "") -> ContainerDetails {
        var details = ContainerDetails()
        (details.name, details.image, details.imageDigest) = (name, image, digest)
        return details
    }

    @Test func eachForWhatIsMissing() {
        let all = [
            Told(nil), Told(details(name: "first")),
            Told(details(name: "x", image: "busybox:1", digest: digest)),
            Told(details(name: "y")),
        ]
        var sockets = RuntimeSockets(all)
        #expect(
            sockets.details(of: identity) == details(name: "first", image: "busybox:1", digest: digest))
        #expect(all.map(\.asked) == [1, 1, 1, 0])
        let known = details(name: "known", image: "busybox:1", digest: digest)
        #expect(sockets.details(of: identity, known: known) == known)
        #expect(all.map(\.asked) == [1, 1, 1, 0])
        var nobody = RuntimeSockets([Told(nil), Told(nil, fails: true)])
        #expect(nobody.details(of: identity) == nil)
        #expect(nobody.details(of: identity, known: details(name: "known")) == details(name: "known"))
    }

    @Test func whoHangsRests() {
        let time = Time()
        let slow = Told(nil, fails: true) { time.pass(milliseconds: 300) }
        let broken = Told(nil, fails: true)
        let good = Told(details(name: "web"))
        var sockets = RuntimeSockets([slow, broken, good]) { time.now }
        for _ in 0..<5 { #expect(sockets.details(of: identity)?.name == "web") }
        #expect([slow, broken, good].map(\.asked) == [1, 5, 5])
        time.pass(milliseconds: 1000)
        for _ in 0..<5 { _ = sockets.details(of: identity) }
        #expect(slow.asked == 2)
        time.pass(milliseconds: 1999)
        _ = sockets.details(of: identity)
        #expect(slow.asked == 2, "it rests longer each time")
        for _ in 0..<20 {
            time.pass(milliseconds: 30_000)
            _ = sockets.details(of: identity)
        }
        #expect(slow.asked == 22, "and not for ever")
        #expect(good.asked == 31)
    }

    @Test func whatIsAdded() {
        var known = details(image: "busybox:1")
        known.pod = ContainerDetails.Pod()
        known.pod?.name = "p-1"
        #expect(!known.isComplete)
        var other = details(name: "web", image: "other:1", digest: digest)
        other.labels = ["a": "b"]
        other.pod = ContainerDetails.Pod()
        other.pod?.name = "p-2"
        other.pod?.uid = "u"
        other.pod?.isSandbox = true
        known.fill(from: other)
        // The digest is of another image.
        #expect(known.imageDigest == "")
        #expect((known.name, known.image, known.labels) == ("web", "busybox:1", ["a": "b"]))
        #expect((known.pod?.name, known.pod?.uid, known.pod?.isSandbox) == ("p-1", "u", true))
        known.fill(from: details(image: "busybox:1", digest: digest))
        #expect(known.imageDigest == digest)
        #expect(known.isComplete)
        known.name = ""
        #expect(known.isComplete, "a sandbox has no name")
        known.pod?.isSandbox = false
        #expect(!known.isComplete)
    }
}
