/// A table from hashes to places in an array: open addressing, one word for each slot, so that a search seldom looks
/// at anything but the table. The array itself says whether a place is the one that was meant.
struct FlatIndex {
    static let none = UInt32.max

    /// The hash in the upper half; the place + 1 in the lower, 0 where nothing is.
    private var slots: [UInt64]
    private var count = 0

    init() { slots = Array(repeating: 0, count: 64) }

    var byteCount: Int { slots.count * 8 }

    /// Bytes of a table for as many places, at most.
    static func byteCount(for places: Int) -> Int {
        var slots = 64
        while slots / 4 * 3 < places { slots *= 2 }
        return slots * 8
    }

    @inline(__always)
    func find(_ hash: UInt32, where isMeant: (Int) -> Bool) -> UInt32 {
        let mask = slots.count - 1
        var at = Int(hash) & mask
        while true {
            let slot = slots[at]
            if slot == 0 { return Self.none }
            if UInt32(truncatingIfNeeded: slot >> 32) == hash {
                let place = UInt32(truncatingIfNeeded: slot) &- 1
                if isMeant(Int(place)) { return place }
            }
            at = (at + 1) & mask
        }
    }

    /// Adds a place, which must not be there.
    mutating func insert(_ place: UInt32, hash: UInt32) {
        // A table that is never full always has an end to each search.
        if count >= slots.count / 4 * 3 { grow() }
        put(UInt64(hash) << 32 | UInt64(place) + 1)
        count += 1
    }

    mutating func remove(_ place: UInt32, hash: UInt32) {
        let mask = slots.count - 1
        let meant = UInt64(hash) << 32 | UInt64(place) + 1
        var hole = Int(hash) & mask
        while slots[hole] != meant {
            if slots[hole] == 0 { return }
            hole = (hole + 1) & mask
        }
        count -= 1
        // What would no longer be found across the hole moves into it.
        var next = (hole + 1) & mask
        while slots[next] != 0 {
            let home = Int(slots[next] >> 32) & mask
            if (next - home) & mask >= (next - hole) & mask {
                slots[hole] = slots[next]
                hole = next
            }
            next = (next + 1) & mask
        }
        slots[hole] = 0
    }

    private mutating func put(_ slot: UInt64) {
        let mask = slots.count - 1
        var at = Int(slot >> 32) & mask
        while slots[at] != 0 { at = (at + 1) & mask }
        slots[at] = slot
    }

    private mutating func grow() {
        let old = slots
        slots = Array(repeating: 0, count: old.count * 2)
        for slot in old where slot != 0 { put(slot) }
    }
}

/// Hashes with a seed of their own, so that nobody can choose numbers or texts that fall together.
struct FlatHash {
    private let first = UInt64.random(in: .min ... .max)
    private let second = UInt64.random(in: .min ... .max) | 1

    @inline(__always)
    private func mix(_ a: UInt64, _ b: UInt64) -> UInt64 {
        let product = a.multipliedFullWidth(by: b)
        return product.high ^ product.low
    }

    @inline(__always)
    func callAsFunction(_ number: UInt64, _ other: UInt64 = 0) -> UInt32 {
        let mixed = mix(mix(number ^ first, second) ^ other, second ^ 0x9e37_79b9_7f4a_7c15)
        return UInt32(truncatingIfNeeded: mixed >> 32)
    }

    @inline(__always)
    func callAsFunction(_ bytes: RawSpan) -> UInt32 {
        let count = bytes.byteCount
        var state = first ^ UInt64(count)
        var at = 0
        while at + 8 <= count {
            let word = unsafe bytes.unsafeLoadUnaligned(fromByteOffset: at, as: UInt64.self)
            state = mix(state ^ word, second)
            at += 8
        }
        var rest: UInt64 = 0
        while at < count {
            rest = rest << 8 | UInt64(unsafe bytes.unsafeLoad(fromByteOffset: at, as: UInt8.self))
            at += 1
        }
        return self(state ^ rest, UInt64(count))
    }
}
