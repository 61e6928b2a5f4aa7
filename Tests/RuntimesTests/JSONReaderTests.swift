import Foundation
import TestSupport
import Testing

@testable import Runtimes

@Suite struct JSONReaderTests {
    private func read(_ text: String) throws -> JSONReader.Value { try JSONReader(Array(text.utf8)).root }

    @Test func values() throws {
        let root = try read(
            #" {"a": "x", "n": -12, "f": 1.5e+3, "t": true, "no": false, "nil": null, "list": [1, [], {}, "z"], "": {}} "#
        )
        #expect(root["a"]?.string == "x")
        #expect(root["n"]?.integer == -12)
        #expect(root["f"]?.integer == nil)
        #expect(root["t"]?.bool == true)
        #expect(root["no"]?.bool == false)
        #expect(root["nil"]?.isNull == true)
        #expect(root["nil"]?.string == nil)
        let list = try #require(root["list"]?.elements)
        #expect(list.count == 4)
        #expect(list[0].integer == 1)
        #expect(list[1].isArray && list[1].elements.isEmpty)
        #expect(list[2].isObject)
        #expect(list[3].string == "z")
        #expect(root[""]?.isObject == true)
        #expect(root["missing"] == nil)
        #expect(root.string == nil)
        #expect(try read("99999999999999999999").integer == nil)
        #expect(try read("9223372036854775807").integer == .max)
        #expect(try read("-9223372036854775808").integer == .min)
    }

    @Test func ofSeveralMembersOfANameTheLast() throws {
        let root = try read(#"{"a":1,"b":{"a":9},"\u0061":2}"#)
        #expect(root["a"]?.integer == 2)
        var names: [String?] = []
        root.forEachMember { name, _ in
            names.append(name.string)
            return names.count < 2
        }
        #expect(names == ["a", "b"])
    }

    @Test func escapes() throws {
        #expect(try read(#""\"\\\/\b\f\n\r\t""#).string == "\"\\/\u{8}\u{c}\n\r\t")
        #expect(try read(#""a\u00e4b\ud83d\udc27c\u0000d\uFFFF""#).string == "aäb🐧c\0d\u{ffff}")
        #expect(try read("\"käse 🐧\u{7f}\"").string == "käse 🐧\u{7f}")
        // A letter and what joins it are one character, but two scalars.
        #expect(try read(#""e\u0301""#).string?.unicodeScalars.count == 2)
    }

    @Test(
        arguments: [
            "", " ", "nul", "nulll", "True", "01", "-", "+1", "1.", ".5", "1e", "1e+", "0x1", "NaN", "\"",
            "\"a", "'a'",
            "\"\\\"", "\"\\x\"", "\"\\u12\"", "\"\\u123g\"", "\"\\ud800\"", "\"\\udc00\"",
            "\"\\ud800\\u0041\"",
            "\"\\ud800\\n\"", "\"\n\"", "\"\t\"", "\"\0\"", "[", "]", "[1", "[1,", "[1,]", "[,1]", "[1 2]",
            "{", "}", "{]",
            "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{a:1}", "{\"a\" 1}", "{1:2}", "1 2", "[]]", "{}x",
            "\u{feff}1", "//\n1",
        ])
    func whatIsNoJSON(_ text: String) {
        #expect(throws: JSONReader.Failure.self) { try read(text) }
    }

    @Test func brokenUTF8() {
        for bytes in [
            [0x22, 0xff, 0x22], [0x22, 0xc0, 0xaf, 0x22], [0x22, 0xed, 0xa0, 0x80, 0x22], [0x22, 0xc3, 0x22],
        ]
            as [[UInt8]]
        {
            #expect(throws: JSONReader.Failure.malformed(at: 1)) { try JSONReader(bytes) }
        }
    }

    @Test func limits() throws {
        let deep = { (depth: Int) in
            String(repeating: "[", count: depth) + String(repeating: "]", count: depth)
        }
        _ = try read(deep(64))
        #expect(throws: JSONReader.Failure.tooDeep) { try read(deep(65)) }
        #expect(throws: JSONReader.Failure.tooDeep) { try read(String(repeating: "{\"a\":", count: 100_000)) }
        let many = { (count: Int) in "[" + String(repeating: "1,", count: count - 1) + "1]" }
        #expect(try read(many(199_999)).elements.count == 199_999)
        #expect(throws: JSONReader.Failure.tooManyValues) { try read(many(200_000)) }
        let long = { (count: Int) in [0x22] + [UInt8](repeating: 0x61, count: count - 2) + [0x22] }
        #expect(try JSONReader(long(4 << 20)).root.string?.utf8.count == 4 << 20 - 2)
        #expect(throws: JSONReader.Failure.tooLong) { try JSONReader(long(4 << 20 + 1)) }
    }

    /// What is written by another writer is read as it was.
    @Test func anyValueComesBack() throws {
        var random = SplitMix64(seed: 21)
        func make(_ depth: Int) -> Any {
            switch random.below(depth > 4 ? 4 : 6) {
            case 0: Int(Int32(truncatingIfNeeded: random.next()))
            case 1: String(decoding: random.text(), as: UTF8.self)
            case 2: random.below(2) == 0
            case 3: NSNull()
            case 4: (0..<random.below(5)).map { _ in make(depth + 1) }
            default:
                Dictionary(
                    (0..<random.below(5)).map { _ in
                        (String(decoding: random.text(upTo: 12), as: UTF8.self), make(depth + 1))
                    },
                    uniquingKeysWith: { $1 })
            }
        }
        func compare(_ value: JSONReader.Value, _ expected: Any) {
            switch expected {
            case let list as [Any]:
                #expect(value.isArray && value.elements.count == list.count)
                for (one, other) in zip(value.elements, list) { compare(one, other) }
            case let object as [String: Any]:
                #expect(value.isObject)
                for (name, member) in object {
                    guard let found = value[name] else {
                        Issue.record("\(name) is missing")
                        continue
                    }
                    compare(found, member)
                }
            case let text as String: #expect(value.string.map { Array($0.utf8) } == Array(text.utf8))
            case let truth as Bool: #expect(value.bool == truth)
            case let number as Int: #expect(value.integer == number)
            default: #expect(value.isNull)
            }
        }
        for _ in 0..<1500 {
            let value: [Any] = [make(0)]
            let options: JSONSerialization.WritingOptions = random.below(2) == 0 ? [] : .prettyPrinted
            compare(
                try JSONReader(Array(try JSONSerialization.data(withJSONObject: value, options: options)))
                    .root, value)
        }
    }

    /// Broken texts are refused or read, and whatever is read can be walked.
    @Test func anyBytes() {
        var random = SplitMix64(seed: 22)
        let seeds = [
            #"{"a":[1,2.5e3,{"b":"\u00e4\ud83d\udc27\n"},null,true],"c":{"d":"","e":[[[]]]}}"#,
            #"["\ud800\udc00","x"]"#,
        ].map { Array($0.utf8) }
        func walk(_ value: JSONReader.Value) -> Int {
            _ = (value.string, value.integer, value.bool)
            var count = 1
            for element in value.elements { count += walk(element) }
            value.forEachMember { name, member in
                count += walk(name) + walk(member)
                return true
            }
            return count
        }
        var (read, refused) = (0, 0)
        for _ in 0..<30_000 {
            var text = seeds[random.below(seeds.count)]
            for _ in 0..<random.below(4) {
                let place = random.below(text.count)
                switch random.below(3) {
                case 0: text[place] = Array("{}[]\",:\\u0dD8cCe1- ".utf8)[random.below(19)]
                case 1: text.remove(at: place)
                default: text.insert(UInt8(truncatingIfNeeded: random.next()), at: place)
                }
            }
            guard let reader = try? JSONReader(text) else {
                refused += 1
                continue
            }
            read += 1
            #expect(walk(reader.root) == reader.nodes.count)
        }
        #expect(read > 5000 && refused > 5000)
    }
}
