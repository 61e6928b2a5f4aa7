import TestSupport
import Testing

@testable import Runtimes

@Suite struct HTTPAnswerTests {
    /// In pieces of a size, and then the end.
    private func read(_ text: [UInt8], by size: Int = .max, limit: Int = 1000) throws -> (Int, [UInt8], Bool)
    {
        var answer = HTTPAnswer(limit: limit)
        var at = 0
        while at < text.count {
            let end = size < text.count - at ? at + size : text.count
            try answer.feed(Array(text[at..<end]))
            at = end
        }
        let isWhole = answer.isWhole
        try answer.end()
        return (answer.status, answer.body, isWhole)
    }

    static let good: [(String, String, Bool)] = [
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "hello", true),
        ("HTTP/1.1 200 OK\r\ncontent-LENGTH:5\r\nContent-Length: 5\r\n\r\nhelloX", "hello", true),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\n\r\n",
            "hello", true
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n0A\r\nhello12345\r\n0\r\nA: b\r\n\r\n",
            "hello12345", true
        ),
        ("HTTP/1.0 200 OK\r\n\r\nhello", "hello", false),
        ("HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", "", true),
        ("HTTP/1.1 204 Nothing\r\n\r\n", "", true),
    ]

    @Test(arguments: good.indices)
    func answers(_ index: Int) throws {
        let (text, body, isWhole) = Self.good[index]
        for size in [1, 2, 3, 7, 1000] {
            let (status, found, whole) = try read(Array(text.utf8), by: size)
            #expect(status == (text.contains("204") ? 204 : 200))
            #expect(String(decoding: found, as: UTF8.self) == body)
            #expect(whole == isWhole)
        }
    }

    @Test(
        arguments: [
            "", "x", "\r\n\r\n", "HTTP/1.1 200 OK\r\n", "HTTP/2 200 OK\r\n\r\n", "HTTP/1.1 20 OK\r\n\r\n",
            "HTTP/1.1 2000 OK\r\n\r\n", "HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 abc OK\r\n\r\n",
            "HTTP/1.1 200 OK\nContent-Length: 0\n\n", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell",
            "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 1x\r\n\r\na",
            "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", "HTTP/1.1 200 OK\r\nnonsense\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhello\r\n0\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-3\r\nhel\r\n0\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n+3\r\nhel\r\n0\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
        ])
    func whatIsNoAnswer(_ text: String) {
        for size in [1, 1000] {
            #expect(throws: HTTPAnswer.Failure.malformed, "\(size)") { try read(Array(text.utf8), by: size) }
        }
    }

    @Test func limits() {
        let head = "HTTP/1.1 200 OK\r\n"
        let long = String(repeating: "x", count: 70_000)
        for text in [
            head + "Content-Length: 1001\r\n\r\n", head + "\r\n" + long, head + "A: " + long + "\r\n\r\n",
            long,
            head + "Transfer-Encoding: chunked\r\n\r\n3e9\r\n" + long,
            head + "Transfer-Encoding: chunked\r\n\r\n" + long,
            head + "Transfer-Encoding: chunked\r\n\r\n0\r\n" + String(repeating: "a: b\r\n", count: 20_000),
        ] {
            for size in [1000, .max] {
                #expect(throws: HTTPAnswer.Failure.tooLong, "\(text.prefix(60))") {
                    try read(Array(text.utf8), by: size)
                }
            }
        }
    }

    @Test func anything() {
        var random = SplitMix64(seed: 31)
        var (whole, broken) = (0, 0)
        for _ in 0..<20_000 {
            var text = Array(Self.good[random.below(Self.good.count)].0.utf8)
            for _ in 0..<random.below(4) {
                text[random.below(text.count)] = Array("\r\n 0:;af15\0".utf8)[random.below(11)]
            }
            if let (_, body, _) = try? read(text, by: 1 + random.below(40), limit: 8) {
                whole += 1
                #expect(body.count <= 8)
            } else {
                broken += 1
            }
        }
        #expect(whole > 2000 && broken > 2000)
    }
}
