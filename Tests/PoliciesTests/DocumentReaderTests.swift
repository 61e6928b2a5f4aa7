import Testing

@testable import Policies

/// Trees of YAML and JSON, and what is refused.
@Suite struct DocumentReaderTests {
    /// A tree as text: scalars with their places, plain ones without quotes.
    private func show(_ node: DocumentNode) -> String {
        let place = "@\(node.position.line):\(node.position.column)"
        return switch node.content {
        case .scalar(let text, let style): (style == .plain ? text : "'\(text)'") + place
        case .sequence(let items): "[\(items.map(show).joined(separator: " "))]" + place
        case .mapping(let entries):
            "{"
                + entries.map {
                    "\($0.key.value)@\($0.key.position.line):\($0.key.position.column)=\(show($0.value))"
                }.joined(separator: " ") + "}" + place
        }
    }

    private func read(_ text: String, _ file: String = "f.yaml") -> (trees: [String], faults: [String]) {
        let read = DocumentReader.read(Array(text.utf8), file: file)
        return (read.documents.map(show), read.diagnostics.map(\.description))
    }

    @Test(arguments: [
        ("a: b", ["{a@1:1=b@1:4}@1:1"]),
        ("a:\n  - x\n  - 'y z'\n", ["{a@1:1=[x@2:5 'y z'@3:5]@2:3}@1:1"]),
        ("a:\n- x\n", ["{a@1:1=[x@2:3]@2:1}@1:1"]),
        ("ä: ö\nb: \"\\u00e4\"", ["{ä@1:1=ö@1:4 b@2:1='ä'@2:4}@1:1"]),
        ("# only\n\n  a: x", ["{a@3:3=x@3:6}@3:3"]),
        ("a:\nb: ~", ["{a@1:1=@1:3 b@2:1=~@2:4}@1:1"]),
        ("---\na: 1\n---\nb: 2\n...\n", ["{a@2:1=1@2:4}@2:1", "{b@4:1=2@4:4}@4:1"]),
        // Documents that say nothing are none.
        ("", []), ("# nothing\n", []), ("---\n---\na: 1\n---\n", ["{a@3:1=1@3:4}@3:1"]),
        ("\u{feff}a: b", ["{a@1:1=b@1:4}@1:1"]),
        ("a: b\r\nc: d\r\n", ["{a@1:1=b@1:4 c@2:1=d@2:4}@1:1"]),
        ("a: !!str 12", ["{a@1:1=12@1:4}@1:1"]),
        ("- - x\n  - y", ["[[x@1:5 y@2:5]@1:3]@1:1"]),
        ("'<<': x", ["{<<@1:1=x@1:7}@1:1"]),
        ("a: >\n  long\n  text\n", ["{a@1:1='long text\n'@1:4}@1:1"]),
    ])
    func yaml(_ text: String, _ expected: [String]) {
        let read = read(text)
        #expect(read.trees == expected)
        #expect(read.faults == [])
    }

    @Test(arguments: [
        (#"{"a": "b"}"#, "{a@1:2='b'@1:7}@1:1"),
        (#"{"a":"b","c":[1,true,null]}"#, "{a@1:2='b'@1:6 c@1:10=[1@1:15 true@1:17 null@1:22]@1:14}@1:1"),
        (
            "{\n\t\"a\":\t\"b\tc\",\n\t\"d\": [\n\t\t\"e\"\n\t]\n}",
            "{a@2:2='b\tc'@2:7 d@3:2=['e'@4:3]@3:7}@1:1"
        ),
        (#"{"a": "\ud83d\ude00 \u20ac \/ \\ud83d"}"#, "{a@1:2='😀 € / \\ud83d'@1:7}@1:1"),
        (#"{"a": "say \"\t\"", "b": 1}"#, "{a@1:2='say \"\t\"'@1:7 b@1:21=1@1:26}@1:1"),
        ("  \n {}", "{}@2:2"),
        ("[]", "[]@1:1"),
    ])
    func json(_ text: String, _ expected: String) {
        for file in ["f.json", "f.yaml"] {
            let read = read(text, file)
            #expect(read.faults == [])
            #expect(read.trees == [expected], "\(file)")
        }
    }

    @Test(arguments: [
        (
            "a: 1\n\tb: 2",
            "f.yaml:2:1: error: this is no valid YAML (found a tab character that violates indentation); "
                + "indent with spaces, not tabs"
        ),
        (
            "a: @b",
            "f.yaml:1:4: error: this is no valid YAML (found character that cannot start any token); "
                + "indent with spaces, not tabs, and put quotes round a text that starts with @ or `"
        ),
        (
            "a: b: c",
            "f.yaml:1:5: error: this is no valid YAML (mapping values are not allowed in this context); "
                + "put quotes round a text that holds ': ', and each key on a line of its own"
        ),
        (
            "a: 1\n b: 2\nc\n",
            "f.yaml:2:3: error: this is no valid YAML (mapping values are not allowed in this context); "
                + "put quotes round a text that holds ': ', and each key on a line of its own"
        ),
        (
            "a: 1\nb\nc: 2",
            "f.yaml:3:1: error: this is no valid YAML (could not find expected ':'); "
                + "write ': ' between the key and its value"
        ),
        (
            "a:\n  - x\n b: 1",
            "f.yaml:3:2: error: this is no valid YAML (did not find expected key); "
                + "let the lines of one list or mapping start in one column, and nothing follow a closing quote"
        ),
        (
            "a:\n  - 'x' y\n",
            "f.yaml:2:9: error: this is no valid YAML (did not find expected '-' indicator); "
                + "let the lines of one list or mapping start in one column, and nothing follow a closing quote"
        ),
        (
            "a: - b",
            "f.yaml:1:4: error: this is no valid YAML (block sequence entries are not allowed in this context); "
                + "write the first '- ' of a list on a line of its own"
        ),
        (
            "a: *",
            "f.yaml:1:5: error: this is no valid YAML (did not find expected alphabetic or numeric character); "
                + "put quotes round a text that starts with * or &"
        ),
        (
            "- !a!b c",
            "f.yaml:1:3: error: this is no valid YAML (found undefined tag handle); "
                + "put quotes round a text that starts with !"
        ),
        (
            "{a: 1} b",
            "f.yaml:1:8: error: this is no valid JSON (did not find expected <document start>); "
                + "write --- between two documents"
        ),
        (
            "a: |x\n  b",
            "f.yaml:1:5: error: this is no valid YAML (did not find expected comment or line break); "
        ),
        (
            "a: b\nc: \"open\nd: e\n",
            "f.yaml:2:4: error: this is no valid YAML (found unexpected end of stream); "
                + "close the quotes that open here"
        ),
        (
            "a: [1, 2\nb: 3\n",
            "f.yaml:2:2: error: this is no valid YAML (did not find expected ',' or ']'); "
                + "write a comma between two items, and close the bracket behind the last one"
        ),
        (
            "a: \"\\d\"",
            "f.yaml:1:5: error: this is no valid YAML (found unknown escape character); "
                + "write \\\\ for a backslash, or take single quotes"
        ),
        (
            "{\"a\": 1\n \"b\": 2}",
            "f.yaml:2:5: error: this is no valid JSON (did not find expected ',' or '}'); "
                + "write a comma between two items, and close the bracket behind the last one"
        ),
        (
            "a: *b",
            "f.yaml:1:4: error: aliases ('*') are not read; "
                + "put quotes round a text that starts with *, or write it out"
        ),
        (
            "*b : 1",
            "f.yaml:1:1: error: aliases ('*') are not read; "
                + "put quotes round a text that starts with *, or write it out"
        ),
        (
            "a: &b c",
            "f.yaml:1:4: error: anchors ('&') are not read; "
                + "put quotes round a text that starts with &, or remove it"
        ),
        ("a: &b [c]", "f.yaml:1:4: error: anchors ('&') are not read;"),
        ("a: &b {c: d}", "f.yaml:1:4: error: anchors ('&') are not read;"),
        ("&b a: c", "f.yaml:1:1: error: anchors ('&') are not read;"),
        ("a: !x b", "f.yaml:1:4: error: tags ('!') are not read; put quotes round a text that starts with !"),
        ("a: !!int 1", "f.yaml:1:4: error: tags ('!') are not read;"),
        ("a: !!seq [b]", "f.yaml:1:4: error: tags ('!') are not read;"),
        ("<<: {a: b}", "f.yaml:1:1: error: merge keys ('<<') are not read; write the keys out"),
        ("? [a]\n: b", "f.yaml:1:3: error: a key is a text; put quotes round it if it is meant as one"),
        ("a: 1\nb: 2\na: 3", "f.yaml:3:1: error: key 'a' stands twice, in line 1 too; remove one"),
        ("\"\\e[2J\": 1\n\"\\e[2J\": 2", "f.yaml:2:1: error: key '\\x1b[2J' stands twice, in line 1 too;"),
        (
            "a: \"x\\0y\"",
            "f.yaml:1:4: error: this text holds a NUL, which no name and no path can; remove it"
        ),
        (
            "a: b\nc: \u{1b}[2J",
            "f.yaml:2:4: error: the file holds the control character U+1b here; remove it"
        ),
        ("ä\u{9b}2J", "f.yaml:1:2: error: the file holds the control character U+9b here; remove it"),
        ("a: \0", "f.yaml:1:4: error: the file holds the control character U+0 here; remove it"),
    ])
    func mistakes(_ text: String, _ expected: String) {
        let faults = read(text).faults
        #expect(faults.count == 1)
        #expect(faults.first?.hasPrefix(expected) == true, "\(faults)")
    }

    @Test func theRestIsReadBehindAKeyThatStandsTwice() {
        let read = read("a: 1\na: 2\nb:\n  c: 1\n  c: 2\n---\nd: 1\n")
        #expect(read.trees.count == 2)
        #expect(
            read.faults == [
                "f.yaml:2:1: error: key 'a' stands twice, in line 1 too; remove one",
                "f.yaml:5:3: error: key 'c' stands twice, in line 4 too; remove one",
            ])
        #expect(read.trees.first == "{a@1:1=1@1:4 b@3:1={c@4:3=1@4:6}@4:3}@1:1")
    }

    @Test func documentsBeforeAFaultAreKept() {
        let read = read("a: 1\n---\nb: [\n")
        #expect(read.trees == ["{a@1:1=1@1:4}@1:1"])
        #expect(read.faults.count == 1)
    }

    @Test(
        arguments: [
            ([0x61, 0x3a, 0x20, 0xff], "f.yaml:1:4"), ([0x61, 0x0a, 0xc3], "f.yaml:2:1"),
            ([0xc3, 0xa4, 0xed, 0xa0, 0x80], "f.yaml:1:2"),
            // UTF-16, either way round.
            ([0xff, 0xfe, 0x61, 0x00], "f.yaml:1:1"), ([0xfe, 0xff, 0x00, 0x61], "f.yaml:1:1"),
        ] as [([UInt8], String)])
    func otherEncodings(_ bytes: [UInt8], _ place: String) {
        let read = DocumentReader.read(bytes, file: "f.yaml")
        #expect(read.documents.isEmpty)
        #expect(
            read.diagnostics.map(\.description) == [
                "\(place): error: the file is no UTF-8 here; save it as UTF-8"
            ])
    }

    // MARK: Bounds

    @Test func anAliasBombIsRefusedAtItsFirstAnchor() {
        var bomb = "a: &a [x, x, x, x, x, x, x, x]\n"
        for (last, next) in zip("abcdefgh", "bcdefghi") {
            bomb +=
                "\(next): &\(next) [" + repeatElement("*\(last)", count: 8).joined(separator: ", ") + "]\n"
        }
        let read = read(bomb)
        #expect(read.trees == [])
        #expect(read.faults.map { $0.prefix(11) } == ["f.yaml:1:4:"])
    }

    @Test func nestingIsBounded() {
        let limit = DocumentReader.depthLimit
        func nested(_ depth: Int) -> [String] {
            [
                String(repeating: "[", count: depth) + String(repeating: "]", count: depth),
                String(repeating: "- ", count: depth - 1) + "x",
                (0..<depth - 1).map { String(repeating: " ", count: $0) + "a:\n" }.joined()
                    + String(repeating: " ", count: depth) + "x",
                String(repeating: "{a: ", count: depth - 1) + "x" + String(repeating: "}", count: depth - 1),
            ]
        }
        for text in nested(limit) { #expect(read(text).faults == [], "\(text)") }
        for depth in [limit + 1, 10_000] {
            for text in nested(depth) where text.utf8.count <= DocumentReader.sizeLimit {
                let faults = read(text).faults
                #expect(faults.count == 1)
                #expect(
                    faults.first?.hasSuffix(
                        "error: this is nested deeper than 32 levels, and a policy needs six") == true,
                    "\(faults)")
            }
        }
    }

    @Test func nodesAreBounded() {
        let limit = DocumentReader.nodeLimit
        #expect(read(String(repeating: "- x\n", count: limit - 1)).faults == [])
        #expect(
            read(String(repeating: "- x\n", count: limit)).faults == [
                "f.yaml:20000:3: error: the file has more than 20000 values; split it"
            ])
        // They are counted over all documents.
        #expect(read(String(repeating: "- x\n---\n", count: limit)).faults.count == 1)
    }

    @Test func textsAreBounded() {
        let limit = DocumentReader.textLimit
        #expect(read("a: " + String(repeating: "x", count: limit)).faults == [])
        #expect(
            read("a: " + String(repeating: "x", count: limit + 1)).faults == [
                "f.yaml:1:4: error: this text is longer than 16384 bytes; shorten it"
            ])
        #expect(read("? " + String(repeating: "x", count: limit + 1) + "\n: a").faults.count == 1)
    }

    @Test func filesAreBounded() {
        let full = "a: b #" + String(repeating: "x", count: DocumentReader.sizeLimit - 6)
        #expect(read(full).faults == [])
        #expect(read(full + "x").faults == ["f.yaml:1:1: error: the file is larger than 1 MiB; split it"])
    }
}
