import Events
import Foundation
import TestSupport
import Testing

@testable import Outputs

@Suite struct AddressAndTimeTests {
    // MARK: Addresses

    @Test func ipv4() {
        var random = SplitMix64(seed: 7)
        let addresses = [0, .max, 0x7f00_0001] + (0..<500).map { _ in random.next() >> 32 }
        for address in addresses {
            let bits = UInt32(truncatingIfNeeded: address)
            let expected = [24, 16, 8, 0].map { "\(bits >> UInt32($0) & 255)" }
            #expect(text(written { $0.append(ipv4: bits) }) == expected.joined(separator: "."))
        }
    }

    @Test func ipv6() {
        let cases: [([UInt16], String)] = [
            ([0, 0, 0, 0, 0, 0, 0, 0], "::"), ([0, 0, 0, 0, 0, 0, 0, 1], "::1"),
            ([1, 0, 0, 0, 0, 0, 0, 0], "1::"), ([0xfe80, 0, 0, 0, 0, 0, 0, 0xa], "fe80::a"),
            ([0x2001, 0xdb8, 0, 1, 0, 0, 0, 1], "2001:db8:0:1::1"),
            ([0x2001, 0xdb8, 0, 0, 1, 0, 0, 1], "2001:db8::1:0:0:1"),
            ([1, 0, 2, 3, 4, 5, 6, 7], "1:0:2:3:4:5:6:7"),
            ([0, 1, 2, 3, 4, 5, 6, 0], "0:1:2:3:4:5:6:0"),
            ([0, 0, 1, 2, 3, 4, 0, 0], "::1:2:3:4:0:0"), ([0, 0, 1, 2, 3, 0, 0, 0], "0:0:1:2:3::"),
            ([0, 0, 0, 0, 0, 0xffff, 0x7f00, 1], "::ffff:127.0.0.1"),
            // IPv4-compatible addresses are deprecated and written as any other.
            ([0, 0, 0, 0, 0, 0, 0x0102, 0x0304], "::102:304"),
            (
                [0xabcd, 0xef01, 0x2345, 0x6789, 0x10, 0x100, 0x1000, 0xf],
                "abcd:ef01:2345:6789:10:100:1000:f"
            ),
        ]
        for (groups, expected) in cases { #expect(ours(groups) == expected) }
    }

    @Test func ipv6AgainstTheLibrary() {
        var random = SplitMix64(seed: 8)
        for _ in 0..<10_000 {
            let zeros = random.next()
            var groups = (0..<8).map { group -> UInt16 in
                guard zeros >> UInt64(group) & 1 == 1 else { return 0 }
                return UInt16(truncatingIfNeeded: random.next()) >> UInt16(random.below(16))
            }
            if random.below(50) == 0 {
                groups.replaceSubrange(0..<6, with: [0, 0, 0, 0, 0, 0xffff])
            }
            // The library writes these with a dotted end; see above.
            if groups[..<6].allSatisfy({ $0 == 0 }) && groups[6] != 0 { continue }
            #expect(ours(groups) == theirs(groups), "\(groups)")
        }
        for count in [0, 15, 17] {
            let bytes = [UInt8](repeating: 1, count: count)
            #expect(written { unsafe $0.append(ipv6: bytes.span.bytes) } == [])
        }
    }

    private func bytes(_ groups: [UInt16]) -> [UInt8] {
        groups.flatMap { [UInt8($0 >> 8), UInt8($0 & 255)] }
    }

    private func ours(_ groups: [UInt16]) -> String {
        let bytes = bytes(groups)
        return text(written { unsafe $0.append(ipv6: bytes.span.bytes) })
    }

    private func theirs(_ groups: [UInt16]) -> String {
        var place = [CChar](repeating: 0, count: 64)
        unsafe _ = inet_ntop(AF_INET6, bytes(groups), &place, 64)
        return text(place.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) })
    }

    // MARK: Times

    private func date(_ nanoseconds: UInt64, _ cache: inout CachedSecond) -> String {
        var copy = cache
        let line = text(written { copy.append(nanoseconds, to: &$0) })
        cache = copy
        return line
    }

    @Test func datesAgainstFoundation() {
        var random = SplitMix64(seed: 9)
        var cache = CachedSecond()
        let formatter = ISO8601DateFormatter()
        var seconds = [
            0, 59, 86_399, 86_400, 951_782_399, 951_782_400, 951_868_800, 1_709_164_800,
            1_767_225_599, 4_107_542_399, 4_107_542_400, 7_258_118_399,
        ]
        for _ in 0..<5000 { seconds.append(random.below(7_258_118_400)) }
        for second in seconds {
            let day = formatter.string(from: Date(timeIntervalSince1970: Double(second))).dropLast()
            let nanoseconds = [0, random.below(1_000_000_000), random.below(1000) * 1_000_000]
            for fraction in nanoseconds {
                // Nine digits without the zeros at the end.
                var digits = String("\(1_000_000_000 + fraction)".dropFirst())
                while digits.hasSuffix("0") { digits.removeLast() }
                let expected = digits.isEmpty ? "\(day)Z" : "\(day).\(digits)Z"
                let time = UInt64(second) * 1_000_000_000 + UInt64(fraction)
                #expect(date(time, &cache) == expected)
            }
        }
    }

    @Test func timesOfTheDay() {
        var cache = CachedSecond()
        let time = newYear + 11_045 * 1_000_000_000
        #expect(text(Array(cache.timeOfDay(time))) == "03:04:05")
        #expect(text(Array(cache.timeOfDay(time + 999_999_999))) == "03:04:05")
        #expect(text(Array(cache.timeOfDay(time + 1_000_000_000))) == "03:04:06")
        #expect(date(time, &cache) == "2026-01-01T03:04:05Z")
    }

    @Test func theLastTime() {
        var cache = CachedSecond()
        #expect(date(.max, &cache) == "2554-07-21T23:34:33.709551615Z")
    }

    @Test func clocks() {
        let clock = Clock()
        let now = Double(clock.bootOffset + Clock.sinceBoot()) / 1e9
        #expect(abs(now - Date().timeIntervalSince1970) < 5)
    }

    private func timespec(_ words: [Int64]) -> String {
        let bytes = words.flatMap { word in
            (0..<8).map { UInt8(truncatingIfNeeded: word >> ($0 * 8)) }
        }
        return text(written { buffer in unsafe Timespec(bytes.span.bytes)?.append(to: &buffer) })
    }

    @Test func timespecs() {
        #expect(timespec([1, 500_000_000]) == "1.5")
        #expect(timespec([0, 0]) == "0")
        #expect(timespec([10, 10]) == "10.00000001")
        #expect(timespec([.max, 999_999_999]) == "9223372036854775807.999999999")
        // UTIME_NOW and UTIME_OMIT, and what no clock shows.
        #expect(Double(timespec([0, 0x3fff_ffff])) == Double(0x3fff_ffff) / 1e9)
        #expect(Double(timespec([1, 0x3fff_fffe])) == 1 + Double(0x3fff_fffe) / 1e9)
        #expect(Double(timespec([-1, 500_000_000])) == -0.5)
        #expect(Double(timespec([1, -1])) == 1 - 1e-9)
        #expect(Double(timespec([.min, .min])) != nil)
        for count in 0..<24 where count != 8 && count < 16 {
            let bytes = [UInt8](repeating: 1, count: count)
            #expect(unsafe Timespec(bytes.span.bytes) == nil)
        }
    }
}
