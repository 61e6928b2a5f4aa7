import Catalog
import Foundation
import Testing

@testable import EventPages

/// What is written by hand and recorded for the pages.
@Suite struct ReferenceTextTests {
    private let reference = EventReference.builtIn
    private let catalog = Catalog.builtIn
    private let lines = ReferenceLine.all(
        in: embeddedTexts.first { $0.name == "notes" }?.text.description ?? "")

    @Test func linesAreOfAKindAndNameWhatThereIs() {
        #expect(lines.count > 150)
        for line in lines {
            #expect(ReferenceLine.kinds.contains(line.kind), "\(line)")
            #expect(!line.names.isEmpty && (line.kind == "related" || line.text.hasSuffix(".")), "\(line)")
            if line.kind == "set" {
                for name in line.names { #expect(catalog.sets.contains(name), "no set \(name)") }
                continue
            }
            let others = line.kind == "related" ? line.text.split(separator: " ").map(String.init) : []
            for name in line.names + others { #expect(catalog[name] != nil, "no event \(name)") }
            #expect(Set(line.names + others).count == line.names.count + others.count, "\(line)")
            #expect(line.kind == "related" || line.text.count < 500, "\(line)")
        }
        for kind in ["set", "note"] {
            let names = lines.filter { $0.kind == kind }.flatMap(\.names)
            #expect(Set(names).count == names.count, "a second \(kind) of the same name")
        }
        #expect(Set(catalog.sets) == Set(reference.sets.keys), "each set is described")
    }

    /// Names of constants in notes are those of the tables.
    @Test func constantsAreSpelledRight() {
        let known = Set(Constants.all.flatMap { $0.symbols.map(\.name) })
        let others: Set<String> = [
            "LD_PRELOAD", "CAP_SYS_ADMIN", "CAP_SYS_MODULE", "CAP_SYS_PTRACE", "CAP_DAC_READ_SEARCH",
            "CAP_BPF",
        ]
        for line in lines where line.kind == "note" {
            for code in line.text.split(separator: "`", omittingEmptySubsequences: false).enumerated()
            where code.offset % 2 == 1 {
                let word = code.element.drop { $0 == "-" }
                let isConstant =
                    word.count > 3 && word.contains { $0.isLetter }
                    && word.allSatisfy { $0.isUppercase || $0.isNumber || $0 == "_" }
                if isConstant {
                    #expect(known.contains(String(word)) || others.contains(String(word)), "\(word)")
                }
            }
        }
    }

    @Test func linesGoOnWhereIndented() {
        let lines = ReferenceLine.all(in: "# no\nnote a b: one\n    two\n\nset c: three\nodd\n")
        #expect(lines.map(\.kind) == ["note", "set", "odd"])
        #expect(lines[0].names == ["a", "b"] && lines[0].text == "one two")
        #expect(lines[2].names == [] && lines[2].text == "")
    }

    /// An example is of the event as it is: another field in the catalogue, and it must be recorded again.
    @Test func examplesHaveTheFieldsOfTheirEvents() throws {
        #expect(reference.examples.count > 300)
        for (name, example) in reference.examples {
            let event = try #require(catalog[name], "no event \(name); run Scripts/record-examples")
            let data = try #require(example.data, "\(name)")
            let fields = try #require(
                try JSONSerialization.jsonObject(with: Data(data.utf8)) as? [[String: Any]], "\(name)")
            let names = fields.compactMap { $0["name"] as? String }
            let wanted = event.fields.map(\.name)
            #expect(
                names == wanted || names == Array(wanted.prefix(event.kernelFieldCount)),
                "the example of \(name) has other fields; run Scripts/record-examples")
            #expect(example.line.map { $0.utf8.count < 400 } ?? true, "\(name)")
        }
    }

    @Test func relatedEvents() throws {
        for event in catalog.events {
            let related = reference.related(to: event)
            #expect(
                related.count <= 8 && !related.contains(event.name) && Set(related).count == related.count)
            for name in related { #expect(catalog[name] != nil, "\(name) of \(event.name)") }
        }
        func related(_ name: String) throws -> [String] { reference.related(to: try #require(catalog[name])) }
        #expect(try related("execve").prefix(2) == ["sched_process_exec", "security_bprm_check"])
        #expect(try related("security_bprm_check").contains("execveat"))
        #expect(try related("fchown").contains("lchown16"))
        #expect(try related("mq_open").contains("mq_notify"))
        #expect(try related("module_load").contains("finit_module"))
    }

    @Test(arguments: [
        ("fchownat", "lchown16"), ("openat2", "open"), ("rt_sigaction", "sigaction"), ("dup3", "dup"),
        ("newfstatat", "statx"), ("pselect6_time32", "select"), ("clone3", "vfork"), ("umount2", "umount"),
        ("io_pgetevents_time32", "io_pgetevents"), ("clock_gettime32", "clock_gettime"),
    ])
    func stems(one: String, other: String) { #expect(Kinship.stem(one) == Kinship.stem(other)) }

    @Test func stemsOfOthersDiffer() {
        for (one, other) in [
            ("statfs", "stat"), ("timer_create", "timerfd_create"), ("shmat", "shmdt"), ("brk", "break"),
        ] {
            #expect(Kinship.stem(one) != Kinship.stem(other))
        }
    }

    // MARK: The matrix

    @Test func matrixIsThatOfTheCatalogue() {
        let matrix = reference.matrix
        #expect(matrix.kernels == ["5.10", "6.1", "6.12", "7"])
        for event in catalog.events where !event.isSystemCall {
            #expect(
                matrix.cells[event.name]?.count == 4, "\(event.name); run make kernel-matrix, then make docs")
        }
        for kernel in matrix.kernels {
            let lacking = matrix.lacking[kernel] ?? []
            #expect(lacking.contains("create_module") && !lacking.contains("openat"))
            for name in lacking { #expect(catalog[name]?.isSystemCall == true, "\(name)") }
        }
        #expect(matrix.lacking["5.10"]?.contains("cachestat") == true)
        #expect(matrix.lacking["7"]?.contains("cachestat") == false)
    }

    @Test func matrixOfAnything() {
        let text = """
            * 1.0: Made 1.0.1
            | event | 1.0 | host x | 2.0 |
            | --- | --- | --- | --- |
            | a | fentry | – [1] | – [2] |
            | b | given [2] | x |
            ||
            ## Notes
            1. one: two
            2. why
            * 1.0: none
            """
        let matrix = KernelMatrix(text)
        #expect(matrix.kernels == ["1.0", "2.0"])
        #expect(matrix.cells["a"] == ["fentry", "–: why"])
        #expect(matrix.cells["b"] == ["given: why", "?"])
        #expect(matrix.lacking["1.0"] == ["none"])
        #expect(KernelMatrix("").kernels.isEmpty)
    }

    // MARK: Text

    @Test func marks() {
        #expect(PageText.unmarked("a `b` [`c<d>`](e.md#f) [g] `[h]` [i](j)") == "a b c<d> [g] [h] i")
        #expect(PageText.unmarked("a [ `") == "a [ ")
        #expect(PageText.wrapped("aa bb  cc dd", indent: 2, width: 8) == "aa bb\n  cc dd")
        #expect(PageText.wrapped("aaaaaaaaaa b", indent: 2, width: 8) == "aaaaaaaaaa\n  b")
        var page = PageText("t", remark: "r")
        page.add(
            "S",
            [
                .paragraph("a*b `c*d` <e"),
                .table(header: ["x", "y"], rows: [["`a|b`", "c"], ["d", "long e"]]),
            ])
        #expect(
            page.markdown
                == "# t\n\n## S\n\na\\*b `c*d` \\<e\n\n| x | y |\n| --- | --- |\n| `a\\|b` | c |\n| d | long e |\n"
        )
        #expect(page.terminal == "t  (r)\n\nS:\n  a*b c*d <e\n\n  a|b  c\n  d    long e\n")
    }

    @Test func jsonIsALineForEachField() {
        #expect(
            EventReference.jsonLines(#"[{"name":"a","str":"},{x"},{"name":"b"}]"#) == [
                #"[{"name":"a","str":"},{x"},"#, #" {"name":"b"}]"#,
            ])
        #expect(EventReference.jsonLines("[]") == ["[]"])
    }

    @Test func longTablesAreCut() throws {
        let signal = try #require(Constants("signal"))
        #expect(signal.line(limit: Constants.shortCount).hasSuffix(" and \(signal.symbols.count - 12) more"))
        #expect(!signal.line().contains("more"))
        let clone = try #require(Constants("clone_flags"))
        #expect(clone.list().contains("the bits 0xff as [`signal`](constants.md#signal)"))
        #expect(Constants("dir_fd") == nil)
    }
}
