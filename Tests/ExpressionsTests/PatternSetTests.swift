import TestSupport
import Testing

@testable import Expressions

@Suite struct PatternSetTests {
    @Test func agreesWithEachPattern() {
        var random = SplitMix64(seed: 11)
        var found = 0
        for round in 0..<4000 {
            var patterns: Set<StringPattern> = []
            for _ in 0..<random.below(round % 3 == 0 ? 40 : 4) {
                let kind: StringPattern.Kind = [.exact, .prefix, .suffix, .contains][random.below(4)]
                patterns.insert(StringPattern(kind, text(&random)))
            }
            let set = PatternSet(patterns)
            for _ in 0..<5 {
                let text = text(&random)
                let expected = patterns.contains { $0.matches(text) }
                let matches = unsafe set.matches(text.span.bytes)
                #expect(matches == expected, "\(patterns) \(text)")
                found += expected ? 1 : 0
            }
        }
        #expect(found > 2000 && found < 18_000, "\(found)")
    }

    private func text(_ random: inout SplitMix64) -> [UInt8] {
        (0..<random.below(6)).map { _ in [0x61, 0x62, 0xff][random.below(3)] }
    }

    @Test(
        arguments: [
            (.exact, "ab", ["ab"], ["a", "abc", "", "AB"]), (.exact, "", [""], ["a"]),
            (.prefix, "ab", ["ab", "abc"], ["a", "xab", ""]),
            (.suffix, "ab", ["ab", "xab"], ["abx", "b", ""]),
            (.contains, "ab", ["ab", "xaby", "aab"], ["a", "axb", ""]), (.prefix, "", ["", "a"], []),
            (.contains, "", ["", "a"], []), (.suffix, "", ["", "a"], []),
        ] as [(StringPattern.Kind, String, [String], [String])])
    func kinds(_ kind: StringPattern.Kind, _ pattern: String, _ matching: [String], _ other: [String]) {
        let pattern = StringPattern(kind, Array(pattern.utf8))
        for text in matching { #expect(pattern.matches(Array(text.utf8)), "\(text)") }
        for text in other { #expect(!pattern.matches(Array(text.utf8)), "\(text)") }
    }
}

@Suite struct NumberRangesTests {
    /// Numbers near the ends of 64 bits, where the arithmetic could go wrong.
    private static let numbers: [UInt64] = Array(0..<12) + (0..<12).map { UInt64.max - $0 }

    private func random(_ random: inout SplitMix64) -> (NumberRanges, Set<UInt64>) {
        var ranges: [ClosedRange<UInt64>] = []
        for _ in 0..<random.below(5) {
            let (a, b) = (Self.numbers[random.below(24)], Self.numbers[random.below(24)])
            ranges.append(min(a, b)...max(a, b))
        }
        return (NumberRanges(ranges), Set(Self.numbers.filter { n in ranges.contains { $0.contains(n) } }))
    }

    private func members(_ set: NumberRanges) -> Set<UInt64> {
        Set(Self.numbers.filter { number in set.ranges.contains { $0.contains(number) } })
    }

    @Test func setsOfNumbers() {
        var generator = SplitMix64(seed: 12)
        for _ in 0..<4000 {
            let (a, inA) = random(&generator)
            let (b, inB) = random(&generator)
            #expect(members(a) == inA)
            #expect(members(a.union(b)) == inA.union(inB))
            #expect(members(a.intersection(b)) == inA.intersection(inB))
            #expect(members(a.complement(in: 0...UInt64.max)) == Set(Self.numbers).subtracting(inA))
            #expect(members(a.complement(in: 3...8)) == Set(3...8).subtracting(inA))
            #expect(a.complement(in: 0...UInt64.max).complement(in: 0...UInt64.max) == a)
            for set in [a.union(b), a.intersection(b), a.complement(in: 0...UInt64.max)] {
                // Ascending, and apart.
                for (range, next) in zip(set.ranges, set.ranges.dropFirst()) {
                    #expect(range.upperBound < next.lowerBound && next.lowerBound - range.upperBound > 1)
                }
            }
        }
    }
}
