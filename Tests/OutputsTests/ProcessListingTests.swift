import Foundation
import TestSupport
import Testing

@testable import Outputs

private func process(_ number: UInt32, _ level: Int, _ name: String = "sh") -> ShownProcess {
    var process = ShownProcess(process: number, start: newYear + UInt64(number) * 1_000_000_000)
    process.level = level
    process.depth = level
    process.name = Array(name.utf8)
    return process
}

@Suite struct ProcessListingTests {
    private func lines(_ processes: [ShownProcess], columns: Int = 0, zone: Int = 0) -> [String] {
        let table = ProcessListing.table(processes, columns: columns, now: newYear + 86_399_000_000_000) {
            _ in zone
        }
        let text = String(decoding: table, as: UTF8.self)
        #expect(text.hasSuffix("\n"))
        return text.dropLast().split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
    }

    /// The tree's column alone.
    private func drawing(_ levels: [Int], columns: Int = 0) -> [String] {
        let processes = levels.enumerated().map { process(UInt32($0 + 1), $1, "p\($0)") }
        return lines(processes, columns: columns).dropFirst().map { line in
            String(line.dropFirst(3 + 2 + 4 + 2 + 8 + 2 + 9 + 2))
        }
    }

    @Test func branches() {
        #expect(
            drawing([0, 1, 2, 2, 3, 1, 2, 0, 1])
                == ["p0", "├─p1", "│ ├─p2", "│ └─p3", "│   └─p4", "└─p5", "  └─p6", "p7", "└─p8"])
        #expect(drawing([0]) == ["p0"] && drawing([]) == [])
    }

    /// As a slower way says it: a branch is the last where no later one has its level before a lower level comes.
    @Test func branchesOfAnyTree() {
        var random = SplitMix64(seed: 21)
        for _ in 0..<300 {
            var levels: [Int] = []
            for _ in 0..<random.below(60) { levels.append(random.below((levels.last ?? -1) + 2)) }
            let branches = ProcessListing.branches(levels)
            let hasMore = { (index: Int, level: Int) in
                levels[(index + 1)...].prefix { $0 >= level }.contains(level)
            }
            for (index, level) in levels.enumerated() {
                #expect(branches[index].isLast == !hasMore(index, level))
                for above in 1..<max(1, level) where above < 64 {
                    #expect(branches[index].open >> UInt64(above) & 1 == (hasMore(index, above) ? 1 : 0))
                }
            }
        }
        // Levels that no tree has are no harm.
        let odd = (0..<500).map { _ in random.below(3) == 0 ? -5 : random.below(100_000) }
        #expect(ProcessListing.branches(odd).count == 500)
    }

    @Test func deepTreesAreDrawnInPart() throws {
        let deep = drawing((0..<200).map { $0 })
        #expect(
            deep[63].hasSuffix("└─p63") && deep[64].hasSuffix("  ┄64┄p64")
                && deep[199].hasSuffix("  ┄199┄p199"))
        #expect(deep.allSatisfy { $0.utf8.count < 250 })
        for line in drawing((0..<200).map { $0 }, columns: 80).dropFirst(20) { #expect(line.contains("p")) }
    }

    @Test func columns() {
        var web = process(1234, 0, "nginx")
        web.executable = Array("/usr/sbin/nginx".utf8)
        web.arguments = Array("nginx\0-g\0daemon off;\0\0".utf8)
        web.user = 33
        web.userName = "www-data"
        web.container = ShownContainer()
        web.container?.id = String(repeating: "ab", count: 32)
        web.container?.name = "web"
        web.runtime = "docker"
        var other = process(90_000, 1)
        other.container = web.container
        other.container?.name = ""
        other.arguments = Array("-sh\0".utf8)
        #expect(
            lines([web, other]) == [
                "PID    USER      START       CONTAINER     PROCESS",
                "1234   www-data  00:20:34    docker:web    nginx /usr/sbin/nginx -g daemon off; ''",
                "90000  0         2026-01-02  abababababab  └─sh -sh",
            ])
        // Local time, and the local day.
        #expect(lines([web], zone: 7200)[1].contains("  2026-01-01  "))
        #expect(lines([web], zone: -7200)[1].contains("  2025-12-31  "))
        #expect(lines([other], zone: 7200)[1].contains("  03:00:00  "))
    }

    @Test func marks() {
        var program = process(1, 0)
        program.executable = Array("/x\n".utf8)
        program.isDeleted = true
        program.arguments = Array("y\0".utf8)
        let shown = { (process: ShownProcess) in String(self.lines([process])[1].dropFirst(32)) }
        #expect(shown(program) == "sh /x\\n (deleted)")
        program.isMemoryFile = true
        #expect(shown(program) == "sh /x\\n (memfd)")
        program.arguments = Array("sh: a title\0".utf8)
        program.areArgumentsTruncated = true
        #expect(shown(program) == "sh /x\\n (memfd) sh: a title…")
        program.isParentUnknown = true
        #expect(shown(program).hasPrefix("?─sh "))
        program.hasEnded = true
        #expect(shown(program) == "?─sh (ended)")
        program.isKernelThread = true
        #expect(shown(program) == "?─[sh]")
    }

    @Test func linesFitATerminal() {
        var random = SplitMix64(seed: 22)
        for columns in [1, 7, 20, 40, 80, 109, 110, 160, 400] {
            let processes = (0..<40).map { number in
                var process = process(UInt32(truncatingIfNeeded: random.number()), random.below(30))
                process.name = random.text(upTo: 15)
                process.executable = random.text()
                process.arguments = random.text(upTo: 4096) + [UInt8](repeating: 0, count: random.below(3))
                process.start = random.number()
                process.userName = String(decoding: random.text(), as: UTF8.self)
                process.container = ShownContainer()
                process.container?.name = String(decoding: random.text(), as: UTF8.self)
                process.runtime = "docker"
                return process
            }
            let table = ProcessListing.table(processes, columns: columns, now: newYear) { _ in 3600 }
            let lines = table.split(separator: 10, omittingEmptySubsequences: false).dropFirst()
            #expect(lines.count == 41, "no line of text may break a line")
            for line in lines {
                var buffer = ByteBuffer(capacity: 16)
                buffer.reserve(line.count)
                buffer.append(Array(line))
                #expect(buffer.width(from: 0) <= columns)
                #expect(line.allSatisfy { $0 >= 32 && $0 != 127 })
            }
        }
    }

    @Test func documents() throws {
        var random = SplitMix64(seed: 23)
        for _ in 0..<200 {
            let processes = (0..<random.below(8)).map { number in
                var process = process(UInt32(truncatingIfNeeded: random.number()), number)
                process.start = random.number()
                process.name = random.text(upTo: 15)
                process.executable = random.text()
                process.isMemoryFile = random.below(2) == 0
                process.isDeleted = random.below(2) == 0
                if random.below(2) == 0 { process.arguments = random.text(upTo: 4096) }
                if random.below(2) == 0 { process.parent = .init(process: 7, start: random.number()) }
                process.isParentUnknown = process.parent == nil && random.below(2) == 0
                process.unknownParent = UInt32(random.below(2))
                process.userName = random.below(2) == 0 ? String(decoding: random.text(), as: UTF8.self) : nil
                return process
            }
            let bytes = ProcessListing.json(processes, source: "proc")
            let lines = bytes.split(separator: 10, omittingEmptySubsequences: false)
            #expect(lines.count == processes.count + 3 && lines[lines.count - 1].isEmpty)
            let document = try JSONSerialization.jsonObject(with: Data(bytes))
            let objects = try #require(document as? [[String: Any]])
            try #require(objects.count == processes.count)
            for (object, process) in zip(objects, processes) {
                #expect(object["pid"] as? UInt32 == process.process)
                #expect(object["name"] as? String == String(decoding: process.name, as: UTF8.self))
                let executable = object["executable"] as? [String: Any]
                #expect((executable == nil) == process.executable.isEmpty)
                #expect((executable?["memfd"] != nil) == (process.isMemoryFile && executable != nil))
                #expect((object["args"] == nil) == (process.arguments == nil))
                let parent = object["parent"] as? [String: Any]
                #expect((parent != nil) == (process.parent != nil || process.isParentUnknown))
                #expect((parent?["unknown"] as? Bool ?? false) == process.isParentUnknown)
            }
        }
    }

    @Test func members() {
        var shown = process(7, 1, "a\"")
        shown.parent = .init(process: 1, start: newYear)
        shown.executable = Array("/memfd:x".utf8)
        (shown.isDeleted, shown.isMemoryFile) = (true, true)
        shown.arguments = Array("x\0\0y z\0".utf8)
        shown.areArgumentsTruncated = true
        shown.userName = "me"
        shown.container = ShownContainer()
        shown.container?.id = "c1"
        shown.container?.podUID = "u"
        shown.runtime = "crio"
        var unknown = process(8, 0)
        unknown.isParentUnknown = true
        unknown.unknownParent = 6
        unknown.hasEnded = true
        unknown.user = 1000
        var thread = process(2, 0)
        thread.isKernelThread = true
        #expect(
            String(decoding: ProcessListing.json([shown, unknown, thread], source: "proc"), as: UTF8.self)
                == """
                [
                {"pid":7,"start_time":"2026-01-01T00:00:07Z","parent":{"pid":1,"start_time":"2026-01-01T00:00:00Z"},\
                "depth":1,"name":"a\\"","executable":{"path":"/memfd:x","deleted":true,"memfd":true},\
                "args":["x","","y z"],"args_truncated":true,"user":{"id":0,"name":"me"},"kernel_thread":false,\
                "container":{"id":"c1"},"k8s":{"pod":{"uid":"u"}},"runtime":"crio","source":"proc"},
                {"pid":8,"start_time":"2026-01-01T00:00:08Z","parent":{"pid":6,"unknown":true},"depth":0,"name":"sh",\
                "user":{"id":1000},"kernel_thread":false,"ended":true,"source":"proc"},
                {"pid":2,"start_time":"2026-01-01T00:00:02Z","parent":null,"depth":0,"name":"sh",\
                "user":{"id":0},"kernel_thread":true,"source":"proc"}
                ]

                """)
        #expect(ProcessListing.json([], source: "proc") == Array("[\n]\n".utf8))
    }
}
