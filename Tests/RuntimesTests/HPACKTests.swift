import TestSupport
import Testing

@testable import Runtimes

@Suite struct HPACKTests {
    private func bytes(_ hex: String) -> [UInt8] {
        let digits = hex.filter { !$0.isWhitespace }.compactMap(\.hexDigitValue)
        return stride(from: 0, to: digits.count - 1, by: 2).map { UInt8(digits[$0] * 16 + digits[$0 + 1]) }
    }

    private func text(_ fields: [HPACK.Field]) -> [String] {
        fields.map {
            String(decoding: $0.name, as: UTF8.self) + ": " + String(decoding: $0.value, as: UTF8.self)
        }
    }

    /// The lengths leave no code unused: so none is wrong alone.
    @Test func theCodeIsWhole() {
        #expect(Huffman.symbols.reduce(0) { $0 + $1.symbols.count << (30 - $1.length) } == 1 << 30)
        #expect(Huffman.symbols.flatMap(\.symbols).sorted() == Array(0...256))
        for row in Huffman.symbols { #expect(row.symbols == row.symbols.sorted()) }
    }

    /// RFC 7541, C.4 and C.6: examples of texts.
    @Test(
        arguments: [
            ("f1e3c2e5f23a6ba0ab90f4ff", "www.example.com"), ("a8eb10649cbf", "no-cache"),
            ("25a849e95ba97d7f", "custom-key"), ("25a849e95bb8e8b4bf", "custom-value"), ("6402", "302"),
            ("aec3771a4b", "private"),
            ("d07abe941054d444a8200595040b8166e082a62d1bff", "Mon, 21 Oct 2013 20:13:21 GMT"),
            ("9d29ad171863c78f0b97c8e9ae82ae43d3", "https://www.example.com"), ("9bd9ab", "gzip"),
            (
                "94e7821dd7f2e6c7b335dfdfcd5b3960d5af27087f3672c1ab270fb5291f9587316065c003ed4ee5b1063d5007",
                "foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1"
            ),
        ])
    func textsOfTheStandard(_ hex: String, _ text: String) throws {
        #expect(String(decoding: try Huffman.decode(bytes(hex)[...]), as: UTF8.self) == text)
    }

    /// Codes of all symbols, put together by the rule of the standard and read one by one.
    @Test func allSymbols() throws {
        var code = 0
        var last = Huffman.symbols[0].length
        for row in Huffman.symbols {
            code <<= row.length - last
            last = row.length
            for symbol in row.symbols {
                var bits = (0..<row.length).map { code >> (row.length - 1 - $0) & 1 }
                while bits.count % 8 != 0 { bits.append(1) }
                let packed = stride(from: 0, to: bits.count, by: 8).map { start in
                    UInt8(bits[start..<start + 8].reduce(0) { $0 << 1 | $1 })
                }
                if symbol == 256 {
                    #expect(throws: HPACK.Failure.malformed) { try Huffman.decode(packed[...]) }
                } else {
                    #expect(try Huffman.decode(packed[...]) == [UInt8(symbol)])
                }
                code += 1
            }
        }
    }

    /// RFC 7541, C.6: three answers on one connection whose table holds 256 bytes.
    @Test func answersOfTheStandard() throws {
        var table = HPACK()
        let first = try table.decode(
            bytes(
                "3fe101"
                    + "488264025885aec3771a4b6196d07abe941054d444a8200595040b8166e082a62d1bff6e919d29ad171863c78f0b97c8e9ae82ae43d3"
            ))
        #expect(
            text(first) == [
                ":status: 302", "cache-control: private", "date: Mon, 21 Oct 2013 20:13:21 GMT",
                "location: https://www.example.com",
            ])
        #expect(
            text(try table.decode(bytes("4883640effc1c0bf"))) == [
                ":status: 307", "cache-control: private", "date: Mon, 21 Oct 2013 20:13:21 GMT",
                "location: https://www.example.com",
            ])
        let third = try table.decode(
            bytes(
                "88c16196d07abe941054d444a8200595040b8166e084a62d1bffc05a839bd9ab77ad94e7821dd7f2e6c7b335dfdfcd5b3960d5af27087f3672c1ab270fb5291f9587316065c003ed4ee5b1063d5007"
            ))
        #expect(
            text(third) == [
                ":status: 200", "cache-control: private", "date: Mon, 21 Oct 2013 20:13:22 GMT",
                "location: https://www.example.com", "content-encoding: gzip",
                "set-cookie: foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1",
            ])
    }

    @Test func whatWeSendIsRead() throws {
        var table = HPACK()
        for length in [0, 1, 126, 127, 128, 254, 255, 256, 5000] {
            let value = String(repeating: "v", count: length)
            #expect(text(try table.decode(HPACK.literal("name", value))) == ["name: " + value])
        }
    }

    @Test(arguments: [
        "80", "c0", "ff", "ffffffffffff", "7f", "40", "4001", "400161", "40016105", "3fe21f", "8821",
        "4081ff0161", "be",
    ])
    func brokenBlocks(_ hex: String) {
        var table = HPACK()
        #expect(throws: HPACK.Failure.malformed) { try table.decode(bytes(hex)) }
    }

    @Test func bombs() throws {
        // One long field, told again and again by a byte each.
        var table = HPACK()
        let block = HPACK.literal("n", String(repeating: "v", count: 4000))
        _ = try table.decode([0x40] + block.dropFirst())
        #expect(throws: HPACK.Failure.tooLong) { try table.decode([UInt8](repeating: 0xbe, count: 10_000)) }
    }

    @Test func anything() {
        var random = SplitMix64(seed: 41)
        var (read, refused) = (0, 0)
        for _ in 0..<20_000 {
            var table = HPACK()
            for _ in 0..<3 {
                if (try? table.decode(random.bytes(random.below(12)))) != nil {
                    read += 1
                } else {
                    refused += 1
                }
            }
        }
        #expect(read > 1000 && refused > 1000)
    }
}
