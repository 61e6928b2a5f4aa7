import TestSupport
import Testing

@testable import Runtimes

@Suite struct HTTP2Tests {
    /// Feeds an answer in pieces of a size.
    private func run(_ bytes: [UInt8], by size: Int = .max, limit: Int = 1000) throws -> HTTP2Exchange {
        var exchange = HTTP2Exchange(path: "/s/M", namespace: nil, message: [1, 2], limit: limit)
        exchange.toSend = []
        var at = 0
        while at < bytes.count {
            let end = size < bytes.count - at ? at + size : bytes.count
            try exchange.feed(Array(bytes[at..<end]))
            at = end
        }
        return exchange
    }

    @Test func whatIsSent() {
        let exchange = HTTP2Exchange(path: "/s/M", namespace: "k8s.io", message: [1, 2], limit: 1000)
        #expect(exchange.toSend.prefix(24).elementsEqual("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8))
        let request = Wire.read(exchange.toSend)
        #expect(request.fields[":path"] == "/s/M")
        #expect(request.fields[":method"] == "POST")
        #expect(request.fields["te"] == "trailers")
        #expect(request.fields["content-type"] == "application/grpc")
        #expect(request.fields["containerd-namespace"] == "k8s.io")
        #expect(request.message == [0, 0, 0, 0, 2, 1, 2])
        #expect(request.isWhole)
    }

    @Test(arguments: [1, 2, 7, 1000])
    func anAnswer(_ size: Int) throws {
        let content = (0..<100).map { UInt8($0) }
        let message = Wire.message(content)
        let padded = [3] + Array(message[50...]) + [0, 0, 0]
        let answer =
            Wire.settings + Wire.frame(6, 0, 0, [1, 2, 3, 4, 5, 6, 7, 8])
            + Wire.frame(8, 0, 0, Wire.number(1000))
            // The head in three pieces.
            + Wire.frame(1, 0, 1, [0x88]) + Wire.frame(9, 0, 1, [0x5f, 0x10])
            + Wire.frame(9, 4, 1, Array("application/grpc".utf8)) + Wire.frame(0, 0, 1, Array(message[..<50]))
            + Wire.frame(0, 8, 1, padded) + Wire.frame(99, 0xff, 7, [1]) + Wire.trailer(0)
        let exchange = try run(answer, by: size)
        #expect(exchange.isWhole)
        #expect(exchange.status == 200)
        #expect(exchange.callStatus == 0)
        #expect(try exchange.message() == content)
        // Settings and the ping were acknowledged.
        #expect(exchange.toSend == Wire.frame(4, 1, 0, []) + Wire.frame(6, 1, 0, [1, 2, 3, 4, 5, 6, 7, 8]))
    }

    @Test func anErrorAlone() throws {
        let block = [0x88] + [0x40, 11] + Array("grpc-status".utf8) + [1, 0x35]
        let exchange = try run(Wire.settings + Wire.frame(1, 5, 1, block))
        #expect(exchange.isWhole)
        #expect(exchange.callStatus == 5)
        #expect(throws: HTTP2Exchange.Failure.malformed) { try exchange.message() }
    }

    @Test func brokenFrames() throws {
        let head = Wire.settings + Wire.head
        for (number, answer) in [
            // Not its settings first; pieces that do not belong; data before the head; pushes; broken lengths.
            Wire.head, Wire.frame(4, 1, 0, []), Wire.frame(4, 0, 0, [1]), Wire.frame(4, 0, 1, []),
            Wire.settings + Wire.frame(9, 4, 1, [0x88]), Wire.settings + Wire.frame(0, 0, 1, [1]),
            Wire.settings + Wire.frame(1, 0, 1, [0x88]) + Wire.frame(0, 0, 1, []),
            Wire.settings + Wire.frame(5, 4, 1, [0, 0, 0, 2]), Wire.settings + Wire.frame(6, 0, 0, [1]),
            Wire.settings + Wire.frame(7, 0, 0, [0]), Wire.settings + Wire.frame(1, 4, 3, [0x88]),
            Wire.settings + Wire.frame(1, 4, 1, [0x80]), Wire.settings + Wire.frame(1, 4, 1, []),
            Wire.settings + Wire.frame(1, 0x24, 1, [0x88]), head + Wire.frame(0, 8, 1, []),
            head + Wire.frame(0, 8, 1, [1]),
            head + Wire.frame(3, 0, 1, [0]),
        ].enumerated() {
            for size in [1, 1000] {
                #expect(throws: HTTP2Exchange.Failure.malformed, "\(number)") { try run(answer, by: size) }
            }
        }
        #expect(throws: HTTP2Exchange.Failure.ended(code: 8)) {
            try run(head + Wire.frame(3, 0, 1, Wire.number(8)))
        }
        #expect(throws: HTTP2Exchange.Failure.ended(code: 2)) {
            try run(head + Wire.frame(7, 0, 0, Wire.number(0) + Wire.number(2)))
        }
        // A going away that still answers what was begun.
        let polite = Wire.settings + Wire.frame(7, 0, 0, Wire.number(1) + Wire.number(0)) + Wire.answer([1])
        #expect(try run(polite).isWhole)
    }

    @Test func limits() {
        let head = Wire.settings + Wire.head
        for answer in [
            head + Wire.frame(0, 0, 1, [UInt8](repeating: 0, count: 1001)),
            Wire.number(16385, 3) + [0, 0, 0, 0, 0, 1],
            Wire.settings + Wire.frame(1, 0, 1, [])
                + (0..<5).flatMap { _ in Wire.frame(9, 0, 1, [UInt8](repeating: 0, count: 16384)) },
            Wire.settings + (0..<20_001).flatMap { _ in Wire.frame(8, 0, 0, Wire.number(1)) },
        ] {
            #expect(throws: HTTP2Exchange.Failure.tooLong) { try run(answer) }
        }
    }

    @Test func messagesThatAreNone() throws {
        for body in [
            [], [0, 0, 0, 0], [1, 0, 0, 0, 0], [0, 0, 0, 0, 1], [0, 0, 0, 0, 0, 9], [0, 255, 255, 255, 255],
        ]
            as [[UInt8]]
        {
            let exchange = try run(Wire.settings + Wire.head + Wire.frame(0, 1, 1, body))
            #expect(throws: HTTP2Exchange.Failure.malformed) { try exchange.message() }
        }
    }

    @Test func anything() {
        var random = SplitMix64(seed: 42)
        let good = Wire.answer([UInt8](repeating: 7, count: 40))
        var (whole, broken) = (0, 0)
        for _ in 0..<10_000 {
            var answer = good
            for _ in 0..<random.below(4) {
                answer[random.below(answer.count)] = UInt8(truncatingIfNeeded: random.next() & 15)
            }
            if let exchange = try? run(answer, by: 1 + random.below(60)), exchange.isWhole {
                _ = try? exchange.message()
                whole += 1
            } else {
                broken += 1
            }
        }
        #expect(whole > 1000 && broken > 1000)
    }
}
