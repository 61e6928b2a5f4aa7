/// A small generator with a seed, so that a failure comes again.
public struct SplitMix64: RandomNumberGenerator {
    private var state: UInt64

    public init(seed: UInt64) { state = seed }

    public mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var bits = state
        bits = (bits ^ bits >> 30) &* 0xbf58_476d_1ce4_e5b9
        bits = (bits ^ bits >> 27) &* 0x94d0_49bb_1331_11eb
        return bits ^ bits >> 31
    }

    /// From 0 to below a limit; the slight bias does not matter here.
    public mutating func below(_ limit: Int) -> Int { Int(next() % UInt64(limit)) }

    public mutating func bytes(_ count: Int) -> [UInt8] {
        (0..<count).map { _ in UInt8(truncatingIfNeeded: next()) }
    }

    /// Numbers of all magnitudes, and the ends of the types.
    public mutating func number() -> UInt64 {
        let ends: [UInt64] = [
            0, 1, 9, 10, 99, 100, 0x7fff, 0x8000, 0xffff, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff,
            0x7fff_ffff_ffff_ffff, 0x8000_0000_0000_0000, .max,
        ]
        return below(4) == 0 ? ends[below(ends.count)] : next() >> UInt64(below(64))
    }

    /// Text as processes use it, and as they should not.
    public mutating func text(upTo limit: Int = 40) -> [UInt8] {
        let pieces: [[UInt8]] = [
            Array("/usr/lib/x86_64-linux-gnu".utf8), Array("\"quoted\"".utf8), [0x5c, 0x5c, 0x22],
            [0x0a], [0x0d, 0x09, 0x08, 0x0c], [0x1b, 0x5b, 0x32, 0x4a], [0x7f], [0xc2, 0x9b],
            Array("käse".utf8), Array("日本語".utf8), Array("🐧👩‍👩‍👧".utf8),
            Array("\u{2028}\u{202e}".utf8),
            Array("\u{ffff}\u{10ffff}\u{feff}".utf8),
            // What is no UTF-8: lone and missing continuations, overlong forms, surrogates.
            [0x80], [0xff, 0xfe], [0xc3], [0xe2, 0x82], [0xf0, 0x9f, 0x90], [0xc0, 0xaf],
            [0xe0, 0x80, 0xaf], [0xed, 0xa0, 0x80], [0xf4, 0x90, 0x80, 0x80], [0xf8, 0x88],
            [0xf0, 0x80], [0xe2, 0x28, 0xa1],
        ]
        var text: [UInt8] = []
        for _ in 0..<below(6) {
            text += below(8) == 0 ? bytes(below(12)) : pieces[below(pieces.count)]
        }
        return Array(text.prefix(limit))
    }
}
