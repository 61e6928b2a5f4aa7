import Testing

@testable import Agent

/// What waits to be shown keeps its order, and goes when it may.
struct HeldRecordsTests {
    private static func record(_ number: Int) -> [UInt8] {
        Array(repeating: UInt8(number & 255), count: 8 + number % 5 * 8)
    }

    private static func bytes(_ record: RawSpan) -> [UInt8] {
        unsafe record.withUnsafeBytes { unsafe Array($0) }
    }

    @Test func orderIsKeptWhateverWaits() {
        var held = HeldRecords()
        var next = 0
        var seen = 0
        for round in 0..<2000 {
            for _ in 0..<round % 7 {
                unsafe held.append(Self.record(next).span.bytes)
                next += 1
            }
            // Now and then all, mostly a few, of what is there.
            var left = round % 50 == 49 ? Int.max : round % 4
            held.release { record in
                guard left > 0 else { return false }
                left -= 1
                #expect(Self.bytes(record) == Self.record(seen))
                seen += 1
                return true
            }
            #expect(held.isEmpty == (seen == next))
        }
        #expect(seen > 5000)
    }

    @Test func itTellsWhenItIsFull() {
        var held = HeldRecords()
        let record = [UInt8](repeating: 7, count: 1 << 20)
        for number in 0..<HeldRecords.limit >> 20 {
            #expect(!held.isFull, "\(number)")
            unsafe held.append(record.span.bytes)
        }
        #expect(held.isFull)
        var first = true
        held.release { _ in
            defer { first = false }
            return first
        }
        #expect(!held.isFull)
    }
}
