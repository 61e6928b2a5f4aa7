import Events
import TestSupport
import Testing

@Suite struct EntityIDTests {
    /// MurmurHash3 (x86, 32 bits) of any bytes, written from its description.
    private func murmur3(_ data: [UInt8], seed: UInt32 = 0) -> UInt32 {
        func rotate(_ value: UInt32, _ count: UInt32) -> UInt32 {
            value << count | value >> (32 - count)
        }
        func scramble(_ value: UInt32) -> UInt32 {
            rotate(value &* 0xcc9e_2d51, 15) &* 0x1b87_3593
        }
        var hash = seed
        var rest = data[...]
        while rest.count >= 4 {
            let word = rest.prefix(4).reversed().reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
            hash = rotate(hash ^ scramble(word), 13) &* 5 &+ 0xe654_6b64
            rest = rest.dropFirst(4)
        }
        hash ^= scramble(rest.reversed().reduce(UInt32(0)) { $0 << 8 | UInt32($1) })
        hash ^= UInt32(data.count)
        hash = (hash ^ hash >> 16) &* 0x85eb_ca6b
        hash = (hash ^ hash >> 13) &* 0xc2b2_ae35
        return hash ^ hash >> 16
    }

    /// The function above is itself held against published vectors.
    @Test func publishedVectors() {
        #expect(murmur3([]) == 0)
        #expect(murmur3([], seed: 1) == 0x514e_28b7)
        #expect(murmur3([0xff, 0xff, 0xff, 0xff]) == 0x7629_3b50)
        #expect(murmur3([0x21, 0x43, 0x65, 0x87]) == 0xf55b_516b)
        #expect(murmur3([0x21, 0x43, 0x65]) == 0x7e4a_8634)
        #expect(murmur3(Array("test".utf8)) == 0xba6b_d213)
        #expect(murmur3(Array("Hello, world!".utf8)) == 0xc036_3e43)
        #expect(
            murmur3(Array("The quick brown fox jumps over the lazy dog".utf8)) == 0x2e4f_f723)
        #expect(murmur3(Array("aaaa".utf8), seed: 0x9747_b28c) == 0x5a97_808a)
    }

    @Test(
        arguments: [
            (0, 0, 3_644_920_907), (1, 0, 3_563_421_123), (1000, 50_000_000_000, 907_831_694),
            (1234, 97_445_600_000_001, 2_183_183_527), (.max, .max, 3_060_412_975),
        ] as [(UInt32, UInt64, UInt32)])
    func knownIDs(_ number: UInt32, _ start: UInt64, _ expected: UInt32) {
        #expect(entityID(number: number, start: start) == expected)
    }

    @Test func itIsTheHashOfTwelveBytes() {
        var random = SplitMix64(seed: 2)
        for _ in 0..<2000 {
            let number = UInt32(truncatingIfNeeded: random.next())
            let start = random.next() >> UInt64(random.below(40))
            let rounded = start - start % 100_000_000
            let data =
                (0..<4).map { UInt8(truncatingIfNeeded: number >> ($0 * 8)) }
                + (0..<8).map { UInt8(truncatingIfNeeded: rounded >> ($0 * 8)) }
            #expect(entityID(number: number, start: start) == murmur3(data))
        }
    }

    @Test func startsWithinATenthOfASecondAreTheSame() {
        let id = entityID(number: 7, start: 12_345_600_000_000)
        #expect(entityID(number: 7, start: 12_345_699_999_999) == id)
        #expect(entityID(number: 7, start: 12_345_700_000_000) != id)
        #expect(entityID(number: 8, start: 12_345_600_000_000) != id)
    }
}
