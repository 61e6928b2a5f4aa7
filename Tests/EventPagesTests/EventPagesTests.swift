import Foundation
import Testing

@testable import Catalog
@testable import EventPages

@Suite struct EventPagesTests {
    private let reference = EventReference.builtIn
    private static let files = EventReference.builtIn.files
    private static let root = URL(filePath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent()

    private func page(_ name: String) throws -> PageText {
        reference.page(of: try #require(Catalog.builtIn[name]))
    }

    // MARK: The committed pages

    /// Files that differ from what would be written, those that are missing, and those that are too many.
    private static func differences(_ files: [(path: String, text: String)], in folder: URL) -> [String] {
        var different: [String] = []
        for file in files {
            let data = FileManager.default.contents(atPath: folder.appending(path: file.path).path)
            if data != Data(file.text.utf8) { different.append(file.path) }
        }
        let below = FileManager.default.enumerator(atPath: folder.path)?.allObjects as? [String] ?? []
        let known = Set(files.map(\.path) + ["sets"])
        return different + below.filter { !known.contains($0) }
    }

    @Test func committedPagesAreWhatWouldBeWritten() {
        let different = Self.differences(Self.files, in: Self.root.appending(path: "Docs/events"))
        #expect(
            different.isEmpty,
            "run `make docs` and look at what changed in Docs/events: \(different.prefix(20).joined(separator: ", "))"
        )
    }

    @Test func changesAreSeen() throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "pages-\(UUID())")
        defer { try? FileManager.default.removeItem(at: folder) }
        try FileManager.default.createDirectory(
            at: folder.appending(path: "sets"), withIntermediateDirectories: true)
        let files = Self.files
        for file in files { try Data(file.text.utf8).write(to: folder.appending(path: file.path)) }
        #expect(Self.differences(files, in: folder) == [])
        try Data("left".utf8).write(to: folder.appending(path: "gone.md"))
        try FileManager.default.removeItem(at: folder.appending(path: "sets/fs.md"))
        try Data("changed".utf8).write(to: folder.appending(path: "openat.md"))
        #expect(Set(Self.differences(files, in: folder)) == ["gone.md", "openat.md", "sets/fs.md"])
    }

    /// What stands in a row is on the page.
    @Test(arguments: [
        ("Closes it.", "Shuts it."), ("| 9 |", "| 19 |"), ("int32<at_flags>", "int32"), ("{in}", "{out}"),
        ("fs,", "net,"), ("name:", "path:"), ("(no-return)", ""),
    ])
    func rowAndPageChangeTogether(old: String, new: String) throws {
        let row =
            "made (no-return) | 9 | 8 | 7 | fs,x | name: string, s: pointer<pair>{in}, flags: int32<at_flags> | Closes it.\n"
        let structure = "struct pair 8\nmember a: int32 0\nmember b: int32 4\n"
        func text(_ row: String) throws -> String {
            let events = try CatalogParser.parse([("a", Substring(structure)), ("b", Substring(row))])
            let reference = EventReference(catalog: Catalog(events: events), texts: [:])
            return reference.page(of: try #require(events.first)).markdown
        }
        #expect(row.contains(old))
        #expect(try text(row) != text(row.replacing(old, with: new)))
    }

    @Test func pagesAreShort() {
        for file in Self.files where !file.path.contains("/") {
            guard !["README.md", "constants.md", "structures.md"].contains(file.path) else { continue }
            let isLong = Catalog.builtIn[String(file.path.dropLast(3))]?.forms != nil
            #expect(file.text.utf8.count < (isLong ? 60_000 : 10_000), "\(file.path)")
            #expect(file.text.hasPrefix("# \(file.path.dropLast(3))\n"))
        }
    }

    // MARK: What is on a page

    @Test func pageOfASystemCall() throws {
        let text = try page("waitid").terminal
        for part in [
            "waitid  (id 248)\n", "247 on x86-64, 284 on i386", "pointer<child_siginfo>", "WNOHANG=1",
            "address of child_siginfo, written by the call", "si_status: int32", "and 52 more",
            "wait4, waitpid",
        ] {
            #expect(text.contains(part), "\(part)")
        }
        #expect(!text.contains("`") && !text.contains(".md"))
        #expect(
            try page("mseal").markdown.contains("| 5.10, 6.1 | –: this kernel does not implement the call |"))
    }

    @Test func pageOfACallWithForms() throws {
        let text = try page("fcntl").terminal
        for part in [
            "decided by cmd.", "F_SETFD: fd, cmd, arg: uint32<descriptor_flags>\n",
            "F_GETFL: fd, cmd; result: open_flags\n", "arg: pointer<flock>{in}", "any other: ",
            "l_whence",
        ] {
            #expect(text.contains(part), "\(part)")
        }
        #expect(try page("futex").markdown.contains("`futex_op & 0x7f`"))
    }

    @Test func pageOfAnotherEvent() throws {
        let text = try page("security_file_open").markdown
        for part in [
            "| `pathname` | `string` | K | absolute path", "| 5.10, 6.1, 6.12 | fentry |",
            "`entry:security_file_open`",
            "[`int32<open_flags>`](constants.md#open_flags)", "## Security\n", "## Example\n",
            "[open](open.md)",
        ] {
            #expect(text.contains(part), "\(part)")
        }
    }

    @Test func runningKernel() throws {
        let event = try #require(Catalog.builtIn["openat"])
        let kernel = KernelHooks(answer: "gives it", lines: ["one", "two"])
        let text = reference.page(of: event, kernel: kernel).terminal
        #expect(text.contains("This kernel:  gives it\n"))
        #expect(text.contains("  this kernel: one\n  this kernel: two\n"))
    }

    @Test func everyLinkLeadsSomewhere() {
        let files = Dictionary(uniqueKeysWithValues: Self.files.map { ($0.path, $0.text) })
        for (path, text) in files {
            let folder = path.hasPrefix("sets/") ? "sets/" : ""
            for part in text.split(separator: "](").dropFirst() {
                guard let target = part.split(separator: ")").first, !target.hasPrefix("../k"),
                    !target.hasPrefix("../p")
                else { continue }
                let halves = target.split(separator: "#")
                let place = halves[0].hasPrefix("../") ? String(halves[0].dropFirst(3)) : folder + halves[0]
                #expect(files[place] != nil, "\(target) on \(path)")
                if halves.count == 2 {
                    #expect(files[place]?.contains("\n## \(halves[1])\n") == true, "\(target)")
                }
            }
        }
    }
}
