import TestSupport
import Testing

@testable import Outputs

@Suite struct LatencyHistogramTests {
    @Test func stepsAreInOrderAndCoverAllNumbers() {
        #expect(LatencyHistogram.step(of: 0) == 0)
        #expect(LatencyHistogram.step(of: 1) == 1)
        #expect(LatencyHistogram.step(of: .max) == 1919)
        var last = -1
        for step in 0...1919 {
            let middle = LatencyHistogram.middle(of: step)
            #expect(LatencyHistogram.step(of: middle) == step)
            #expect(Int(last) < step)
            last = LatencyHistogram.step(of: middle)
        }
        // No number between two steps is in another.
        for power in 0..<64 as Range<UInt64> {
            let number: UInt64 = 1 << power
            #expect(
                LatencyHistogram.step(of: number) == LatencyHistogram.step(of: number - 1)
                    + (number > 0 ? 1 : 0))
        }
    }

    @Test func theMiddleIsAtMostASixtyFourthOff() {
        var random = SplitMix64(seed: 3)
        var worst = 0.0
        for _ in 0..<100_000 {
            let number = random.next() >> UInt64(random.below(64))
            let middle = LatencyHistogram.middle(of: LatencyHistogram.step(of: number))
            let error = Double(number > middle ? number - middle : middle - number)
            worst = max(worst, error / Double(max(1, number)))
        }
        #expect(worst <= 1.0 / 64)
        #expect(worst > 1.0 / 80)
    }

    @Test func percentilesAreThoseOfTheSortedTimes() {
        var random = SplitMix64(seed: 4)
        for count in [1, 2, 3, 99, 100, 101, 5000] {
            var histogram = LatencyHistogram()
            var times = (0..<count).map { _ in random.next() >> UInt64(20 + random.below(40)) }
            for time in times { histogram.add(time) }
            times.sort()
            #expect(histogram.count == UInt64(count))
            #expect(histogram.largest == times.last)
            for percent in [1, 50, 99, 100] {
                let exact = times[(percent * count + 99) / 100 - 1]
                let told = histogram.percentile(UInt64(percent))
                #expect(abs(Double(told) - Double(exact)) <= Double(exact) / 64, "\(percent) of \(count)")
            }
        }
    }

    @Test func ofNothingAllIsZero() {
        let histogram = LatencyHistogram()
        #expect(histogram.percentile(50) == 0)
        #expect(histogram.largest == 0 && histogram.sum == 0 && histogram.count == 0)
    }

    @Test func sumsStayWithinTheirBits() {
        var histogram = LatencyHistogram()
        histogram.add(.max)
        histogram.add(.max)
        var other = LatencyHistogram()
        other.add(5)
        other.add(histogram)
        #expect(other.sum == .max)
        #expect(other.count == 3)
        #expect(other.largest == .max)
        #expect(other.percentile(33) == 5)
    }
}
