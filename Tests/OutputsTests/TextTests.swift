import Foundation
import TestSupport
import Testing

@testable import Outputs

@Suite struct TextTests {
    private static let numbers: [UInt64] = {
        var random = SplitMix64(seed: 5)
        var numbers: [UInt64] = [0, .max]
        for shift in 0..<64 as Range<UInt64> {
            let power: UInt64 = 1 << shift
            numbers += [power, power - 1]
        }
        var power: UInt64 = 1
        for _ in 0..<20 {
            numbers += [power, power - 1, power + 1]
            power &*= 10
        }
        for _ in 0..<2000 { numbers.append(random.number()) }
        return numbers
    }()

    @Test func decimalNumbers() {
        for number in Self.numbers {
            let signed = Int64(bitPattern: number)
            #expect(text(written { $0.append(decimal: number) }) == "\(number)")
            #expect(text(written { $0.append(decimal: signed) }) == "\(signed)")
        }
        for number in 0..<100 {
            let digits = number < 10 ? "0\(number)" : "\(number)"
            #expect(text(written { $0.append(twoDigits: number) }) == digits)
        }
    }

    @Test func hexadecimalNumbers() {
        for number in Self.numbers {
            #expect(
                text(written { $0.append(hexadecimal: number) })
                    == "0x" + String(number, radix: 16))
        }
    }

    @Test func buffersGrowAndShrink() {
        var buffer = ByteBuffer(capacity: 1)
        for number in 0..<1000 {
            buffer.reserve(8)
            buffer.append(decimal: UInt64(number))
        }
        #expect(buffer.count == 10 + 180 + 2700)
        buffer.truncate(to: 10)
        let kept = unsafe buffer.withBytes { unsafe Array($0) }
        #expect(text(kept) == "0123456789")
        buffer.truncate(to: 100)
        #expect(buffer.count == 10)
        buffer.removeAll()
        #expect(buffer.count == 0)
        #expect(
            text(
                written {
                    $0.append("a000")
                    $0.dropTrailingZeros(downTo: 2)
                }) == "a0")
    }

    @Test func jsonStrings() throws {
        let cases: [([UInt8], String)] = [
            ([], #""""#), (Array("/etc/hostname".utf8), #""/etc/hostname""#),
            (Array(#"a"b\c"#.utf8), #""a\"b\\c""#), ([0x0a, 0x0d, 0x09], #""\n\r\t""#),
            ([0, 0x01, 0x1f, 0x7f], #""\u0000\u0001\u001f\u007f""#),
            (Array("\u{80}\u{9f}\u{a0}".utf8), "\"\\u0080\\u009f\u{a0}\""),
            (Array("käse 日本語 🐧".utf8), "\"käse 日本語 🐧\""),
            (Array("\u{2028}".utf8), #""\u2028""#), ([0x80], "\"\u{fffd}\""),
            ([0x61, 0xe2, 0x82, 0x62], "\"a\u{fffd}b\""),
            ([0xed, 0xa0, 0x80], "\"\u{fffd}\u{fffd}\u{fffd}\""),
        ]
        for (bytes, expected) in cases {
            #expect(text(written { unsafe $0.append(jsonString: bytes.span.bytes) }) == expected)
        }
    }

    /// Every byte at every place of a word: the fast path must not let a bad one through.
    @Test func everyByteAtEveryPlace() throws {
        for byte in UInt8.min...UInt8.max {
            for place in 0..<19 {
                var bytes = [UInt8](repeating: 0x61, count: 19)
                bytes[place] = byte
                let line = written { unsafe $0.append(jsonString: bytes.span.bytes) }
                let isPlain = (0x20..<0x7f).contains(byte) && byte != 0x22 && byte != 0x5c
                #expect((line == [0x22] + bytes + [0x22]) == isPlain, "\(byte) at \(place)")
            }
        }
    }

    @Test func jsonStringsAgainstFoundation() throws {
        var random = SplitMix64(seed: 6)
        for _ in 0..<4000 {
            let bytes = random.text()
            let line = written { unsafe $0.append(jsonString: bytes.span.bytes) }
            let array = [UInt8(ascii: "[")] + line + [UInt8(ascii: "]")]
            let parsed = try JSONSerialization.jsonObject(with: Data(array)) as? [String]
            #expect(parsed?.first?.unicodeScalars.elementsEqual(text(bytes).unicodeScalars) == true)
            #expect(line.count <= ByteBuffer.jsonRoom(bytes.count))
        }
    }

    @Test func visibleText() {
        let cases: [([UInt8], String)] = [
            (Array("a b".utf8), "a b"), ([0x0a, 0x09], #"\n\t"#),
            ([0, 0x0d, 0x1b, 0x7f], #"\x00\x0d\x1b\x7f"#), (Array("\u{9b}2J".utf8), #"\x9b2J"#),
            (Array("käse 🐧".utf8), "käse 🐧"), ([0xc3, 0x28], "\u{fffd}("),
            (Array("a\u{202e}b\u{200b}\u{feff}".utf8), "a\u{fffd}b\u{fffd}\u{fffd}"),
        ]
        for (bytes, expected) in cases {
            #expect(text(written(0) { unsafe $0.append(visible: bytes.span.bytes) }) == expected)
        }
    }

    @Test func outputRequests() throws {
        #expect(try OutputRequest.parse("json") == [OutputRequest(format: .json, path: nil)])
        #expect(try OutputRequest.parse("none") == [OutputRequest(format: .none, path: nil)])
        #expect(
            try OutputRequest.parse("table:/tmp/a:b,c") == [
                OutputRequest(format: .table, path: "/tmp/a:b"),
                OutputRequest(format: .table, path: "c"),
            ])
        for text in ["", "xml", "JSON", "none:x", "json:", "json:a,", "table:,a"] {
            #expect(throws: OutputError.self, "\(text)") { try OutputRequest.parse(text) }
        }
    }
}
