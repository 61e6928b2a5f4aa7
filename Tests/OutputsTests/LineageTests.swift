import Catalog
import Events
import Foundation
import TestSupport
import Testing

@testable import Outputs

/// Who made a process, in JSON and in tables; and that nothing old is shown of it.
struct LineageTests {
    private final class Family {
        var ancestors: [ShownAncestor] = []
        var asked = 0
    }

    private static func ancestor(
        _ process: UInt32, _ name: [UInt8], _ path: String = "", _ arguments: String? = nil
    ) -> ShownAncestor {
        var ancestor = ShownAncestor()
        ancestor.process = process
        ancestor.start = UInt64(process) * 1_000_000_000
        ancestor.user = 7
        ancestor.name = name
        ancestor.executable = Array(path.utf8)
        ancestor.arguments = arguments.map { Array($0.utf8) }
        return ancestor
    }

    private static let unknown = {
        var ancestor = ShownAncestor()
        ancestor.isUnknown = true
        return ancestor
    }()

    private func family() -> Family {
        let family = Family()
        family.ancestors = [
            Self.ancestor(1000, Array("ba\nsh".utf8), "/bin/\"bash", "bash\0-c\0\u{1}\0"),
            Self.ancestor(1, Array("systemd".utf8), "/sbin/init"),
        ]
        return family
    }

    private func source(_ family: Family) -> LineageSource {
        { _, _, _ in
            family.asked += 1
            return family.ancestors
        }
    }

    private func json(_ family: Family) -> EventEncoder {
        EventEncoder(
            clock: Clock(bootOffset: newYear), policyNames: ["p"], executable: { _, _, _ in [] },
            lineage: source(family))
    }

    private func ancestors(_ line: [UInt8]) throws -> [[String: Any]] {
        let event = try #require(
            try JSONSerialization.jsonObject(with: Data(line)) as? [String: Any])
        let workload = try #require(event["workload"] as? [String: Any])
        let process = try #require(workload["process"] as? [String: Any])
        return try #require(process["ancestors"] as? [[String: Any]])
    }

    @Test func jsonHasThemAll() throws {
        let family = family()
        family.ancestors.append(Self.unknown)
        var encoder = json(family)
        let found = try ancestors(jsonLine(sampleRecord(.getpid, systemCall: 39).build(), &encoder))
        #expect(found.count == 3)
        #expect(found[0]["host_pid"] as? Int == 1000)
        // Of the parent alone the number in its own namespace is known.
        #expect(found[0]["pid"] as? Int == 1000)
        #expect(found[1]["pid"] == nil)
        #expect((found[0]["thread"] as? [String: Any])?["name"] as? String == "ba\nsh")
        #expect((found[0]["executable"] as? [String: Any])?["path"] as? String == "/bin/\"bash")
        #expect(found[0]["args"] as? [String] == ["bash", "-c", "\u{1}"])
        #expect((found[1]["real_user"] as? [String: Any])?["id"] as? Int == 7)
        #expect(found[1]["args"] == nil)
        #expect(found[2]["unknown"] as? Bool == true && found[2].count == 1)
    }

    @Test func anExecutionOfAParentIsSeenByItsChildren() throws {
        let family = family()
        var encoder = json(family)
        let record = sampleRecord(.getpid, systemCall: 39).build()
        _ = jsonLine(record, &encoder)
        _ = jsonLine(record, &encoder)
        #expect(family.asked == 1)
        family.ancestors[1].name = Array("init".utf8)
        encoder.forget(process: 1, isParent: true)
        let found = try ancestors(jsonLine(record, &encoder))
        #expect((found[1]["thread"] as? [String: Any])?["name"] as? String == "init")
    }

    @Test func tablesHaveAColumn() {
        let family = family()
        var table = TableEncoder(clock: Clock(bootOffset: newYear), columns: 0, lineage: source(family))
        let record = sampleRecord(.getpid, systemCall: 39).build()
        let line = text(tableLine(record, &table))
        #expect(line.contains(#" systemd:1>ba\nsh:1000 "#), "\(line)")
        let header = text(written { table.encodeHeader(into: &$0) })
        let column = header.range(of: "LINEAGE").map {
            header.distance(from: header.startIndex, to: $0.lowerBound)
        }
        let place = line.range(of: "systemd:1").map {
            line.distance(from: line.startIndex, to: $0.lowerBound)
        }
        #expect(column == place)
        // Another program of the parent.
        family.ancestors[0].name = Array("zsh".utf8)
        #expect(text(tableLine(record, &table)) == line)
        table.forgetLineage()
        #expect(text(tableLine(record, &table)).contains("systemd:1>zsh:1000 "))
    }

    /// On a terminal the nearest ones are kept.
    @Test(arguments: [60, 80, 100, 129, 130, 200]) func terminalsKeepTheEnd(_ columns: Int) {
        let family = family()
        family.ancestors = (0..<30).map { Self.ancestor(UInt32(900 - $0), Array("größe".utf8)) }
        var table = TableEncoder(clock: Clock(bootOffset: newYear), columns: columns, lineage: source(family))
        let line = text(tableLine(sampleRecord(.getpid, systemCall: 39).build(), &table))
        if columns >= 80 { #expect(line.contains("größe:900 "), "\(line)") }
        #expect(line.contains("…"))
        #expect(!line.contains("\u{fffd}"))
        let plain = line.replacing(/\u{1b}\[[0-9]*m/, with: "")
        #expect(plain.count <= columns + 1, "\(plain.count)")
    }

    @Test func withoutAnyThereIsADash() {
        let family = Family()
        var table = TableEncoder(clock: Clock(bootOffset: newYear), columns: 0, lineage: source(family))
        #expect(text(tableLine(sampleRecord(.getpid, systemCall: 39).build(), &table)).contains(" - "))
    }
}
