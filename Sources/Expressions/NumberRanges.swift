/// A set of 64-bit numbers as ranges: ascending, apart, inclusive. Signed numbers are kept with their sign bit
/// turned over, which puts them in order.
struct NumberRanges: Equatable {
    private(set) var ranges: [ClosedRange<UInt64>] = []

    private static let signBit: UInt64 = 1 << 63

    init() {}

    init(_ range: ClosedRange<UInt64>) { ranges = [range] }

    /// Ranges in any order, which may overlap or touch.
    init(_ unordered: [ClosedRange<UInt64>]) {
        for range in unordered.sorted(by: { $0.lowerBound < $1.lowerBound }) {
            guard let last = ranges.last, range.lowerBound == 0 || range.lowerBound - 1 <= last.upperBound
            else {
                ranges.append(range)
                continue
            }
            ranges[ranges.count - 1] = last.lowerBound...max(last.upperBound, range.upperBound)
        }
    }

    func union(_ other: NumberRanges) -> NumberRanges { NumberRanges(ranges + other.ranges) }

    func intersection(_ other: NumberRanges) -> NumberRanges {
        var result = NumberRanges()
        var (a, b) = (0, 0)
        while a < ranges.count, b < other.ranges.count {
            let low = max(ranges[a].lowerBound, other.ranges[b].lowerBound)
            let high = min(ranges[a].upperBound, other.ranges[b].upperBound)
            if low <= high { result.ranges.append(low...high) }
            if ranges[a].upperBound < other.ranges[b].upperBound { a += 1 } else { b += 1 }
        }
        return result
    }

    /// What of a range is not in the set.
    func complement(in all: ClosedRange<UInt64>) -> NumberRanges {
        var gaps = NumberRanges()
        var next: UInt64? = 0
        for range in ranges {
            if let start = next, start < range.lowerBound { gaps.ranges.append(start...range.lowerBound - 1) }
            next = range.upperBound == .max ? nil : range.upperBound + 1
        }
        if let next { gaps.ranges.append(next...UInt64.max) }
        return gaps.intersection(NumberRanges(all))
    }

    // MARK: As records have numbers

    static func key(_ bits: UInt64, isSigned: Bool) -> UInt64 { isSigned ? bits ^ signBit : bits }

    /// In the form of ``FieldCondition/numbers(_:isSigned:)``.
    func bounds(isSigned: Bool) -> [ClosedRange<Int64>] {
        var bounds: [ClosedRange<Int64>] = []
        for range in ranges {
            let (low, high) = (range.lowerBound, range.upperBound)
            if isSigned {
                bounds.append(
                    Int64(bitPattern: low ^ Self.signBit)...Int64(bitPattern: high ^ Self.signBit))
            } else if low < Self.signBit, high >= Self.signBit {
                bounds.append(Int64(bitPattern: low)...Int64.max)
                bounds.append(Int64.min...Int64(bitPattern: high))
            } else {
                bounds.append(Int64(bitPattern: low)...Int64(bitPattern: high))
            }
        }
        return bounds
    }
}
