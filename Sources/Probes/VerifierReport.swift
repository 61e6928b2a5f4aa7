internal import CContract
internal import CLibbpf
internal import CSystem
public import Catalog
internal import Policies

/// How much work the running kernel's verifier has with each program, when everything is asked for.
public struct VerifierReport: Sendable {
    /// Instructions that the verifier processed, by program.
    public private(set) var instructions: [String: Int] = [:]
    /// Programs that it refused, with the end of what it said.
    public private(set) var refused: [String: String] = [:]

    /// Loads every program that this kernel has a place for, and attaches none.
    public init(_ features: Features, catalog: Catalog = .builtIn) throws(ProbeError) {
        apus_raise_memlock()
        var request = SensorRequest()
        for event in catalog.events { request.events[event.index] = .max }
        request.targets.structures = true
        request.targets.descriptors = true
        request.targets.payload = 4096
        request.isChangeable = true  // so that nothing is known before, and nothing left out
        var programs = Set(SensorPlan.systemCallPrograms + ["sched_process_free"])
        for event in catalog.events {
            guard case .hooks(let hooks) = event.source else { continue }
            for hook in hooks {
                programs.formUnion(features.options(of: hook).attachments.flatMap(\.attachment.programs))
            }
        }
        while true {
            let logs = VerifierLogs(programs)
            do {
                _ = try LoadedPrograms(programs) { object throws(ProbeError) in
                    try Sensor.prepare(object, request, absent: [], features, catalog)
                    for program in programs { try object.logVerifier(of: program, to: logs) }
                }
                for program in programs { instructions[program] = logs.instructions(program) }
                return
            } catch {
                switch error {
                case .other(let error): throw error
                case .program(let program, let reason):
                    guard programs.remove(program) != nil else {
                        throw ProbeError("\(program): \(reason)")
                    }
                    refused[program] = "\(reason): \(logs.end(of: program))"
                }
            }
        }
    }
}

/// A buffer for each program, into which the kernel writes what its verifier says.
@safe final class VerifierLogs {
    static let bytes = 1 << 16
    private let memory: UnsafeMutableRawPointer
    private let places: [String: Int]

    init(_ programs: Set<String>) {
        var places: [String: Int] = [:]
        for (index, program) in programs.enumerated() { places[program] = index * Self.bytes }
        self.places = places
        unsafe memory = .allocate(byteCount: max(1, programs.count) * Self.bytes, alignment: 8)
        unsafe memory.initializeMemory(as: UInt8.self, repeating: 0, count: programs.count * Self.bytes)
    }

    deinit { unsafe memory.deallocate() }

    /// Valid while this lives.
    func buffer(_ program: String) -> UnsafeMutableRawPointer? {
        unsafe places[program].map { unsafe memory + $0 }
    }

    private func text(_ program: String) -> String {
        guard let place = places[program] else { return "" }
        return unsafe String(cString: (memory + place).assumingMemoryBound(to: CChar.self))
    }

    /// From `processed 2131 insns (limit 1000000) ...`, the verifier's last line.
    func instructions(_ program: String) -> Int? {
        let words = text(program).split(separator: " ")
        guard let place = words.lastIndex(where: { $0.hasSuffix("processed") }), place + 1 < words.count
        else { return nil }
        return Int(words[place + 1])
    }

    func end(of program: String) -> String {
        text(program).split(separator: "\n").suffix(6).joined(separator: "; ")
    }
}
