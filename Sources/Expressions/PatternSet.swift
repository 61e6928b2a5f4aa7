/// String patterns, arranged so that one binary search for each kind decides; only those that may match
/// anywhere are tried one by one.
struct PatternSet: Sendable {
    /// All patterns' bytes one behind the other; those of suffixes from their end.
    private let pool: [UInt8]
    /// By kind, and within a kind in the order of their bytes. No prefix begins with another one, since the
    /// shorter would do, and so with suffixes from their end; hence only the last one that is not behind the
    /// text can match.
    private let entries: [Range<Int32>]
    private let exact: Range<Int>
    private let prefixes: Range<Int>
    private let suffixes: Range<Int>
    private let contained: Range<Int>

    init(_ patterns: Set<StringPattern>) {
        var pool: [UInt8] = []
        var entries: [Range<Int32>] = []
        func add(_ kind: StringPattern.Kind) -> Range<Int> {
            let start = entries.count
            let texts = patterns.filter { $0.kind == kind }.map {
                kind == .suffix ? $0.bytes.reversed() : $0.bytes
            }
            var last: [UInt8]?
            for text in texts.sorted(by: { $0.lexicographicallyPrecedes($1) }) {
                if kind == .prefix || kind == .suffix, let last, text.starts(with: last) { continue }
                last = text
                entries.append(Int32(clamping: pool.count)..<Int32(clamping: pool.count + text.count))
                pool += text
            }
            return start..<entries.count
        }
        exact = add(.exact)
        prefixes = add(.prefix)
        suffixes = add(.suffix)
        contained = add(.contains)
        self.pool = pool
        self.entries = entries
    }

    func matches(_ text: RawSpan) -> Bool {
        if !exact.isEmpty, let found = last(in: exact, notBehind: text, isReversed: false),
            entries[found].count == text.byteCount, agrees(found, text, isReversed: false)
        {
            return true
        }
        if !prefixes.isEmpty, let found = last(in: prefixes, notBehind: text, isReversed: false),
            agrees(found, text, isReversed: false)
        {
            return true
        }
        if !suffixes.isEmpty, let found = last(in: suffixes, notBehind: text, isReversed: true),
            agrees(found, text, isReversed: true)
        {
            return true
        }
        for index in contained {
            let entry = entries[index]
            if unsafe text.contains(pool.span.bytes.extracting(Int(entry.lowerBound)..<Int(entry.upperBound)))
            {
                return true
            }
        }
        return false
    }

    /// The pattern at an index is how the text starts (or ends, reversed).
    private func agrees(_ index: Int, _ text: RawSpan, isReversed: Bool) -> Bool {
        let length = entries[index].count
        return length <= text.byteCount && order(index, text, isReversed) == .inside
    }

    private enum Order {
        /// The pattern is before the text, behind it, or how it starts.
        case before, behind, inside
    }

    private func last(in range: Range<Int>, notBehind text: RawSpan, isReversed: Bool) -> Int? {
        var (low, high) = (range.lowerBound, range.upperBound)
        while low < high {
            let middle = low + (high - low) / 2
            if order(middle, text, isReversed) == .behind { high = middle } else { low = middle + 1 }
        }
        return low > range.lowerBound ? low - 1 : nil
    }

    private func order(_ index: Int, _ text: RawSpan, _ isReversed: Bool) -> Order {
        let entry = entries[index]
        let count = min(entry.count, text.byteCount)
        let start = Int(entry.lowerBound)
        for at in 0..<count {
            let place = isReversed ? text.byteCount - 1 - at : at
            let (a, b) = (pool[start + at], unsafe text.unsafeLoad(fromByteOffset: place, as: UInt8.self))
            if a != b { return a < b ? .before : .behind }
        }
        return entry.count <= text.byteCount ? .inside : .behind
    }
}

extension RawSpan {
    /// As `memcmp`, the shorter first where one is how the other starts.
    @inline(__always)
    func order(before other: RawSpan) -> Int {
        for at in 0..<Swift.min(byteCount, other.byteCount) {
            let a = unsafe unsafeLoad(fromByteOffset: at, as: UInt8.self)
            let b = unsafe other.unsafeLoad(fromByteOffset: at, as: UInt8.self)
            if a != b { return a < b ? -1 : 1 }
        }
        return byteCount == other.byteCount ? 0 : byteCount < other.byteCount ? -1 : 1
    }

    /// Whether it has the other's bytes at a place; false where it ends before.
    @inline(__always)
    func has(_ other: RawSpan, at place: Int) -> Bool {
        guard place >= 0, place <= byteCount, other.byteCount <= byteCount - place else { return false }
        for at in 0..<other.byteCount
        where unsafe unsafeLoad(fromByteOffset: place + at, as: UInt8.self)
            != other.unsafeLoad(fromByteOffset: at, as: UInt8.self)
        {
            return false
        }
        return true
    }

    func contains(_ other: RawSpan) -> Bool {
        guard other.byteCount > 0 else { return true }
        guard other.byteCount <= byteCount else { return false }
        let first = unsafe other.unsafeLoad(fromByteOffset: 0, as: UInt8.self)
        for place in 0...byteCount - other.byteCount
        where unsafe unsafeLoad(fromByteOffset: place, as: UInt8.self) == first && has(other, at: place) {
            return true
        }
        return false
    }
}
