/// How long something took, many times: counted in steps, of which each power of two has 32. So it takes 15 KiB whatever
/// happens, and what it tells is at most 1.6 percent off (half of a 32nd), but for the largest, which is exact.
struct LatencyHistogram {
    private var steps = [UInt64](repeating: 0, count: Self.step(of: .max) + 1)
    private(set) var count: UInt64 = 0
    /// Of all times, in ns; no more than fits.
    private(set) var sum: UInt64 = 0
    private(set) var largest: UInt64 = 0

    /// Powers of two below this one have less than 32 numbers, which are steps of their own.
    private static let exact = 5

    static func step(of nanoseconds: UInt64) -> Int {
        let power = 63 - (nanoseconds | 1).leadingZeroBitCount
        guard power >= exact else { return Int(nanoseconds) }
        // The leading one and the five bits behind it: 32 to 63.
        return (power - exact) << exact + Int(nanoseconds >> UInt64(power - exact))
    }

    /// The number in the middle of a step.
    static func middle(of step: Int) -> UInt64 {
        guard step >= 2 << exact else { return UInt64(step) }
        let shift = UInt64(step >> exact - 1)
        let low = UInt64(step & (1 << exact - 1) + 1 << exact) << shift
        return low + 1 << (shift - 1)
    }

    mutating func add(_ nanoseconds: UInt64) {
        steps[Self.step(of: nanoseconds)] &+= 1
        count &+= 1
        largest = max(largest, nanoseconds)
        sum = Self.sum(sum, nanoseconds)
    }

    mutating func add(_ other: LatencyHistogram) {
        for step in steps.indices { steps[step] &+= other.steps[step] }
        count &+= other.count
        largest = max(largest, other.largest)
        sum = Self.sum(sum, other.sum)
    }

    /// The time, in ns, that so many of a hundred took at most; 0 where there were none.
    func percentile(_ percent: UInt64) -> UInt64 {
        // Of 200 the 99th percentile is the 198th, of 3 the third.
        let (whole, rest) = count.quotientAndRemainder(dividingBy: 100)
        let rank = whole * percent + (rest * percent + 99) / 100
        var seen: UInt64 = 0
        for step in steps.indices where steps[step] > 0 {
            seen &+= steps[step]
            if seen >= rank { return min(Self.middle(of: step), largest) }
        }
        return 0
    }

    private static func sum(_ a: UInt64, _ b: UInt64) -> UInt64 {
        let (sum, isTooLarge) = a.addingReportingOverflow(b)
        return isTooLarge ? .max : sum
    }
}
