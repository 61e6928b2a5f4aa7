import Testing

@testable import Probes

@Suite struct VerifierLogsTests {
    private func logs(_ text: String) -> VerifierLogs {
        let logs = VerifierLogs(["one", "two"])
        let bytes = Array(text.utf8)
        if let buffer = unsafe logs.buffer("two") {
            for (index, byte) in bytes.enumerated() {
                unsafe buffer.storeBytes(of: byte, toByteOffset: index, as: UInt8.self)
            }
        }
        return logs
    }

    @Test func instructionsAreInTheLastLine() {
        let logs = logs(
            "0: R1=ctx() R10=fp0\nverification time 1234 usec\nstack depth 64+0\n"
                + "processed 2131 insns (limit 1000000) max_states_per_insn 4 total_states 97\n")
        #expect(logs.instructions("two") == 2131)
        #expect(logs.instructions("one") == nil)
        #expect(logs.instructions("three") == nil)
        unsafe #expect(logs.buffer("three") == nil)
        #expect(logs.end(of: "one") == "")
        #expect(logs.end(of: "two").hasPrefix("0: R1=ctx()"))
    }

    @Test(arguments: ["processed", "processed insns", "nothing here", ""])
    func withoutANumber(_ text: String) {
        #expect(logs(text).instructions("two") == nil)
    }

    @Test func theEndIsSixLines() {
        let logs = logs((1...9).map { "line \($0)" }.joined(separator: "\n"))
        #expect(logs.end(of: "two") == (4...9).map { "line \($0)" }.joined(separator: "; "))
    }
}
