import Foundation
import Policies
import Testing

/// Loading of files and directories.
@Suite struct PolicyFilesTests {
    /// A directory of its own, which the test removes.
    private struct Folder {
        let path: String

        init() throws {
            path = NSTemporaryDirectory() + "apus-policies-\(UUID().uuidString)"
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        }

        func write(_ name: String, _ text: String) throws {
            try Data(text.utf8).write(to: URL(filePath: path + "/" + name))
        }

        func make(_ name: String) throws {
            try FileManager.default.createDirectory(
                atPath: path + "/" + name, withIntermediateDirectories: true)
        }

        func link(_ name: String, to target: String) throws {
            try FileManager.default.createSymbolicLink(
                atPath: path + "/" + name, withDestinationPath: target)
        }

        func remove() { try? FileManager.default.removeItem(atPath: path) }

        /// Without the folder's random name.
        func plain(_ diagnostics: [PolicyDiagnostic]) -> [String] {
            diagnostics.map { $0.description.replacing(path, with: "DIR") }
        }
    }

    private func policy(_ name: String, event: String = "openat") -> String {
        "type: policy\nname: \(name)\nscope: [global]\nrules: [{event: \(event)}]\n"
    }

    private func load(_ paths: String...) -> (documents: [PolicyDocument], diagnostics: [PolicyDiagnostic]) {
        PolicyDocument.load(paths: paths)
    }

    @Test func directoriesAreReadByName() throws {
        let folder = try Folder()
        defer { folder.remove() }
        try folder.write("b.yaml", policy("b"))
        try folder.write("a.yml", policy("a1") + "---\n" + policy("a2"))
        try folder.write(
            "c.json", #"{"type":"policy","name":"c","scope":["global"],"rules":[{"event":"close"}]}"#)
        for name in [
            "x.yaml~", ".hidden.yaml", "#x.yaml#", ".#x.yaml", "x.txt", "yaml", "x.yaml.bak", "x.YAML.swp",
        ] {
            try folder.write(name, "not a policy")
        }
        // Not below, and a directory by such a name is none of our business.
        try folder.make("below.yaml")
        try folder.write("below.yaml/d.yaml", policy("d"))
        for path in [folder.path, folder.path + "/"] {
            let (documents, diagnostics) = load(path)
            #expect(diagnostics == [])
            #expect(documents.map(\.name.value) == ["a1", "a2", "b", "c"])
            #expect(documents.first?.name.position.file == folder.path + "/a.yml")
        }
    }

    @Test func filesAreReadWhateverTheirName() throws {
        let folder = try Folder()
        defer { folder.remove() }
        try folder.write("one", policy("a"))
        try folder.write("two.yaml~", policy("b"))
        let (documents, diagnostics) = load(folder.path + "/two.yaml~", folder.path + "/one")
        #expect(diagnostics == [])
        #expect(documents.map(\.name.value) == ["b", "a"])
        #expect(load().documents.isEmpty && load().diagnostics.isEmpty)
    }

    /// As Kubernetes mounts a ConfigMap.
    @Test func linksAreFollowed() throws {
        let folder = try Folder()
        defer { folder.remove() }
        try folder.make("..2026")
        try folder.write("..2026/p.yaml", policy("a"))
        try folder.link("..data", to: "..2026")
        try folder.link("p.yaml", to: "..data/p.yaml")
        #expect(load(folder.path).documents.map(\.name.value) == ["a"])
        #expect(load(folder.path + "/p.yaml").documents.map(\.name.value) == ["a"])
        try folder.link("q.yaml", to: "nowhere")
        #expect(
            folder.plain(load(folder.path).diagnostics) == [
                "error: 'DIR/q.yaml' cannot be read (No such file or directory); "
                    + "give a file or a directory that can"
            ])
    }

    @Test func pathsThatHoldNoPolicies() throws {
        let folder = try Folder()
        defer { folder.remove() }
        try folder.make("empty")
        try folder.write("text.yaml", "")
        #expect(
            folder.plain(
                load("", folder.path + "/empty", folder.path + "/none.yaml", "/dev/zero", "a\u{1b}[2J")
                    .diagnostics)
                == [
                    "error: the path of a policy is empty; write a file or a directory",
                    "error: 'DIR/empty' holds no policies; they are files that end in .yaml, .yml or .json",
                    "error: 'DIR/none.yaml' cannot be read (No such file or directory); "
                        + "give a file or a directory that can",
                    "error: '/dev/zero' is no file; give a file or a directory",
                    "error: 'a\\x1b[2J' cannot be read (No such file or directory); "
                        + "give a file or a directory that can",
                ])
        #expect(
            folder.plain(load(folder.path + "/text.yaml").diagnostics) == [
                "DIR/text.yaml:1:1: error: the file holds no policy; write one"
            ])
        #expect(
            load("a\0b").diagnostics.map(\.description) == [
                "error: the path 'a\\x00b' holds a NUL; write a file or a directory"
            ])
    }

    /// Nobody writes into it, so that reading it would wait for ever.
    @Test(.timeLimit(.minutes(1))) func pipesAreRefused() throws {
        let folder = try Folder()
        defer { folder.remove() }
        #expect(unsafe mkfifo(folder.path + "/p.yaml", 0o600) == 0)
        let expected = ["error: 'DIR/p.yaml' is no file; give a file or a directory"]
        #expect(folder.plain(load(folder.path).diagnostics) == expected)
        #expect(folder.plain(load(folder.path + "/p.yaml").diagnostics) == expected)
    }

    @Test func largeFilesAreRefused() throws {
        let folder = try Folder()
        defer { folder.remove() }
        try folder.write("p.yaml", policy("a") + "#" + String(repeating: "x", count: 1 << 20))
        #expect(
            folder.plain(load(folder.path).diagnostics) == [
                "DIR/p.yaml:1:1: error: the file is larger than 1 MiB; split it"
            ])
    }

    @Test func allFilesAreChecked() throws {
        let folder = try Folder()
        defer { folder.remove() }
        try folder.write("b.yaml", policy("b", event: "opnat") + "---\n" + policy("B"))
        try folder.write("a.yaml", "type: [")
        try folder.write("c.yaml", policy("c"))
        let (documents, diagnostics) = load(
            folder.path + "/c.yaml", folder.path + "/b.yaml", folder.path + "/a.yaml")
        #expect(documents.map(\.name.value) == ["c", "b", "B"])
        #expect(
            folder.plain(diagnostics).map { $0.prefix { $0 != ";" && $0 != "(" } } == [
                "DIR/a.yaml:2:1: error: this is no valid YAML ",
                "DIR/b.yaml:4:17: error: unknown event 'opnat'",
                "DIR/b.yaml:7:7: error: 'B' is no name of a policy",
            ])
    }

    @Test func namesAreUnique() throws {
        let folder = try Folder()
        defer { folder.remove() }
        try folder.write("a.yaml", policy("one") + "---\n" + policy("one"))
        try folder.write("b.yaml", policy("two") + "---\n" + policy("one"))
        #expect(
            folder.plain(load(folder.path).diagnostics) == [
                "DIR/a.yaml:7:7: error: policy 'one' stands at DIR/a.yaml:2:7 already; give one of them another name",
                "DIR/b.yaml:7:7: error: policy 'one' stands at DIR/a.yaml:2:7 already; give one of them another name",
            ])
        // The same file twice is no better.
        #expect(load(folder.path + "/b.yaml", folder.path + "/b.yaml").diagnostics.count == 2)
    }

    @Test func policiesAreCounted() throws {
        let folder = try Folder()
        defer { folder.remove() }
        for number in 10..<74 { try folder.write("\(number).yaml", policy("p\(number)")) }
        #expect(load(folder.path).diagnostics == [])
        #expect(load(folder.path).documents.count == PolicyDocument.countLimit)
        try folder.write("74.yaml", policy("p74"))
        try folder.write("75.yaml", policy("p75"))
        #expect(
            folder.plain(load(folder.path).diagnostics) == [
                "DIR/74.yaml:1:1: error: there are more than 64 policies, which is as many as can be used at once; "
                    + "this is the first too many"
            ])
    }
}
