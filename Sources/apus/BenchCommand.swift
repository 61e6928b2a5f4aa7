internal import Agent
internal import Probes

enum BenchCommand {
    static let command = Command(
        name: "bench",
        about: "Measure Apus itself: decoding, or what its programs cost the kernel's verifier.",
        operands: "decode | verifier"
    ) { arguments in
        switch arguments.operands {
        case ["decode"]:
            for rate in DecodeBenchmark.run() {
                Console.out("\(rate.name): \(rate.eventsPerSecond) events/s\n")
            }
            return 0
        case ["verifier"]: return try verifier()
        default: throw UsageError("name what to measure: decode or verifier")
        }
    }

    /// One line for each program that this kernel has a place for: its name, and the instructions that the
    /// verifier processed, or why it refused it.
    private static func verifier() throws -> Int32 {
        let report: VerifierReport
        do { report = try VerifierReport(Features()) } catch { throw AgentError(error.description) }
        for (program, count) in report.instructions.sorted(by: { $0.key < $1.key }) {
            Console.out("\(program)\t\(count)\n")
        }
        for (program, reason) in report.refused.sorted(by: { $0.key < $1.key }) {
            Console.out("\(program)\trefused: \(reason)\n")
        }
        return report.refused.isEmpty ? 0 : 1
    }
}
