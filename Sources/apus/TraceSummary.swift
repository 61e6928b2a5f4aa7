internal import Agent
internal import Glibc
internal import Probes

/// What `apus trace` says of a run on standard error: what became of everything, and what may be missing.
struct TraceSummary {
    private let result: TraceResult
    /// It goes on.
    private let isInterim: Bool

    init(_ result: TraceResult, isInterim: Bool = false) {
        self.result = result
        self.isInterim = isInterim
    }

    func print() {
        for line in lines { Console.note(line) }
    }

    var lines: [String] {
        let milliseconds = Int(result.seconds * 1000)
        let time = "\(milliseconds / 1000).\(String(String(1000 + milliseconds % 1000).dropFirst())) s"
        let start = isInterim ? "so far " : ""
        var lines = [
            "\(start)delivered \(result.delivered) lost \(result.lostTotal) filtered \(result.filtered) in \(time)",
            sum,
        ]
        lines += losses
        if result.undelivered > 0 {
            lines.append("undelivered \(result.undelivered): an output did not take them")
        }
        if result.unspilled > 0 {
            lines.append(
                "without their long arguments: \(result.unspilled); too many long calls were in progress")
        }
        if result.stateLost > 0 {
            lines.append(
                "lost \(result.stateLost) records about processes: some paths of executables may be missing")
        }
        if result.evictedProcesses > 0 {
            lines.append("forgot \(result.evictedProcesses) processes: their table was full")
        }
        if result.evictedContainers > 0 {
            lines.append(
                "forgot \(result.evictedContainers) containers or control groups: their table was full")
        }
        if result.unknownGroups > 0 {
            lines.append(
                "scopes of containers do not know \(result.unknownGroups) control groups: their table was full"
            )
        }
        if result.missingHashes > 0 {
            lines.append("\(result.missingHashes) files have no hash: they changed, went, or were too many")
        }
        if let refusal = result.commandRefusal { lines.append(refusal) }
        if result.escaped > 0 {
            lines.append("\(result.escaped) processes are missing: the table of the tree scope was full")
        }
        if !result.refusedRuns.isEmpty {
            let most = result.refusedRuns.sorted { ($1.value, $0.key) < ($0.value, $1.key) }
            let names = most.prefix(4).map { "\($0.key) \($0.value)" } + (most.count > 4 ? ["..."] : [])
            lines.append(
                "the kernel refused \(most.reduce(0) { $0 &+ $1.value }) runs of hooks (\(names.joined(separator: ", "))): so many events may be missing"
            )
        }
        if result.unpaired > 0 {
            lines.append(
                "\(result.unpaired) returns of kernel functions were missed: as many events are missing")
        }
        if result.malformed > 0 { lines.append("malformed records: \(result.malformed)") }
        if !isInterim && (result.unaccounted != 0 || result.waiting != 0) {
            let missing = result.unaccounted != 0 ? result.unaccounted : result.waiting
            lines.append("records unaccounted for: \(missing); please report this")
        }
        return lines
    }

    /// What was emitted, and that it is the sum of its parts.
    private var sum: String {
        var parts = ["\(result.delivered) delivered", "\(result.lostTotal) lost"]
        if result.undeliveredToFirst > 0 { parts.append("\(result.undeliveredToFirst) undelivered") }
        if result.filteredLater > 0 { parts.append("\(result.filteredLater) filtered by Apus itself") }
        if isInterim && result.waiting != 0 { parts.append("\(result.waiting) in the rings") }
        return
            "emitted \(result.emitted) = \(parts.joined(separator: " + ")); filtered in the kernel \(result.filteredInKernel)"
    }

    private var losses: [String] {
        var lines = result.losses.prefix(10).map {
            "lost \($0.count) of \($0.event): \(Self.reason($0.cause))"
        }
        if result.losses.count > 10 {
            let rest = result.losses.dropFirst(10).reduce(0) { $0 &+ $1.count }
            lines.append("lost \(rest) of others")
        }
        return lines
    }

    private static func reason(_ cause: LossCause) -> String {
        switch cause {
        case .ringFull: "the ring was full; make it larger with --buffers"
        case .noScratch: "too many were being made at once"
        case .shed: "the ring was nearly full, and they give way first; make it larger with --buffers"
        case .rateLimit: "they were over the limit"
        }
    }
}
