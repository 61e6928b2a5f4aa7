public import Probes

/// What became of everything: at the end of a run, or up to a moment of it.
public struct TraceResult: Sendable {
    /// Events that were lost, by cause, most first.
    public struct Loss: Sendable, Equatable {
        public var event: String
        public var cause: LossCause
        public var count: UInt64
    }

    /// Events that reached the first output.
    public var delivered: UInt64 = 0
    public private(set) var losses: [Loss] = []
    /// By the kernel, and by Apus what the kernel left.
    public var filtered: UInt64 { filteredInKernel + filteredLater }
    public var filteredInKernel: UInt64 = 0
    public var filteredLater: UInt64 = 0
    /// Events that were encoded, or should have been, and that an output did not take.
    public var undelivered: UInt64 = 0
    /// Events delivered without their long inputs.
    public var unspilled: UInt64 = 0
    /// Records about processes, asked for by nobody, that were lost: paths may be missing.
    public var stateLost: UInt64 = 0
    public var malformed: UInt64 = 0
    /// Runs of hooks that the kernel refused, by program; what they would have reported is lost.
    public var refusedRuns: [String: UInt64] = [:]
    /// Returns of kernel functions that were missed, or whose entry was not kept.
    public var unpaired: UInt64 = 0
    /// Records that the kernel says it emitted and that did not come. At the end always 0, or a bug.
    public var unaccounted: Int64 = 0
    public var evictedProcesses: UInt64 = 0
    /// Containers, and control groups in them, that were forgotten before their time.
    public var evictedContainers: UInt64 = 0
    /// Control groups that the kernel's scopes of containers had no room for.
    public var unknownGroups: UInt64 = 0
    /// Executables and libraries whose hash was asked for and did not come.
    public var missingHashes: UInt64 = 0
    public internal(set) var seconds: Double
    /// Exit status of the command, or 0.
    public let status: Int32
    /// That and why the kernel refused to execute the command, if it did.
    public var commandRefusal: String?
    /// Processes that escaped a tree scope, as its table was full.
    public var escaped: UInt64 = 0
    /// The errno with which an output failed, or 0.
    public var outputFailure: Int32 = 0

    /// Events that Apus itself made.
    var made: UInt64 = 0
    /// Events that went to the outputs.
    var handedOver: UInt64 = 0 { didSet { delivered = handedOver } }
    var receivedForState: UInt64 = 0
    private var emittedToRings: UInt64 = 0
    /// Of what went to the first output, what it did not take.
    public private(set) var undeliveredToFirst: UInt64 = 0

    public var lostTotal: UInt64 { losses.reduce(0) { $0 &+ $1.count } }

    /// All that policies asked for and that happened, and what Apus itself had to tell.
    public var emitted: UInt64 { emittedToRings &- receivedForState &+ made &+ lostTotal }
    /// What is in the rings still: emitted, but neither delivered, lost nor filtered by Apus itself. Negative where
    /// more came than was emitted, which is a bug.
    public var waiting: Int64 {
        Int64(bitPattern: emitted &- delivered &- undeliveredToFirst &- lostTotal &- filteredLater)
    }

    init(seconds: Double, status: Int32) {
        self.seconds = seconds
        self.status = status
    }

    /// Takes in what the kernel counted of an event.
    mutating func add(_ counts: EventCounts, received: UInt64, isWanted: Bool, name: String) {
        stateLost &+= counts.stateLost
        emittedToRings &+= counts.emitted
        unaccounted &+= Int64(bitPattern: counts.emitted &- received)
        guard isWanted else { return }
        filteredInKernel &+= counts.filtered
        unspilled &+= counts.unspilled
        for (cause, count) in zip(LossCause.allCases, counts.lost) where count > 0 {
            losses.append(Loss(event: name, cause: cause, count: count))
        }
    }

    mutating func sort() {
        losses.sort { $0.count == $1.count ? $0.event < $1.event : $0.count > $1.count }
    }

    /// The first output is closed.
    mutating func finish(delivered: UInt64, undelivered: UInt64) {
        self.delivered = delivered
        undeliveredToFirst = undelivered
    }
}
