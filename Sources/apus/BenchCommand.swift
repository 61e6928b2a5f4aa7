internal import Agent

enum BenchCommand {
    static let command = Command(
        name: "bench", about: "Measure Apus itself, without the kernel.", operands: "decode"
    ) { arguments in
        guard arguments.operands == ["decode"] else { throw UsageError("name what to measure: decode") }
        let rates = DecodeBenchmark.run()
        for rate in rates { Console.out("\(rate.name): \(rate.eventsPerSecond) events/s\n") }
        return 0
    }
}
