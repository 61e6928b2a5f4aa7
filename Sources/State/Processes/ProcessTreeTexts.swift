internal import Glibc

/// Paths and arguments, each kept once however many processes have it, and counted by who refers to it.
struct TextStore {
    static let none = FlatIndex.none

    private struct Entry {
        var bytes: [UInt8]
        var references: UInt32
        /// Of a free entry the next free one.
        var hash: UInt32
    }

    private var entries: [Entry] = []
    private var firstFree = Self.none
    private var index = FlatIndex()
    private let hash = FlatHash()
    /// Entries in use.
    private(set) var count = 0
    private var heapBytes = 0
    private let maximumCount: Int
    private let maximumHeapBytes: Int

    /// A heap's block has 8 bytes of its own and comes in steps of 16; an array has 32 before its elements.
    @inline(__always)
    private static func cost(_ count: Int) -> Int { count == 0 ? 0 : (count + 32 + 8 + 15) & ~15 }

    init(memoryLimit: Int) {
        // Room for texts of 88 bytes in the mean, with the block's own; shorter ones run out of entries first.
        maximumCount = max(16, memoryLimit / 160)
        let fixed = maximumCount * MemoryLayout<Entry>.stride + FlatIndex.byteCount(for: maximumCount)
        maximumHeapBytes = max(0, memoryLimit - fixed)
        // Untouched memory costs nothing, and an array that never grows is never there twice.
        entries.reserveCapacity(maximumCount)
    }

    /// Bytes taken.
    var memory: Int { heapBytes + entries.count * MemoryLayout<Entry>.stride + index.byteCount }

    @inline(__always)
    func hasRoom(for count: Int) -> Bool {
        self.count < maximumCount && Self.cost(count) <= maximumHeapBytes - heapBytes
    }

    /// The same for what may be left out: the last quarter is for what may not.
    func hasSpareRoom(for count: Int) -> Bool {
        self.count < maximumCount / 4 * 3 && Self.cost(count) <= maximumHeapBytes / 4 * 3 - heapBytes
    }

    /// Whether such a text could be kept in an empty store.
    func couldHold(_ count: Int) -> Bool { Self.cost(count) <= maximumHeapBytes }

    @inline(__always)
    subscript(_ text: UInt32) -> [UInt8] { text == Self.none ? [] : entries[Int(text)].bytes }

    /// Who refers to a text.
    func references(to text: UInt32) -> Int { Int(entries[Int(text)].references) }

    /// The text, with a reference more, if it is kept already.
    @inline(__always)
    mutating func existing(_ bytes: RawSpan) -> UInt32 {
        let found = find(bytes, hash(bytes))
        if found != Self.none { entries[Int(found)].references += 1 }
        return found
    }

    private func find(_ bytes: RawSpan, _ hash: UInt32) -> UInt32 {
        index.find(hash) { place in
            let kept = entries[place].bytes
            guard kept.count == bytes.byteCount else { return false }
            return unsafe kept.withUnsafeBytes { one in
                unsafe bytes.withUnsafeBytes { other in
                    // Both may be empty, and then nowhere.
                    guard let one = one.baseAddress, let other = other.baseAddress else {
                        return true
                    }
                    return unsafe memcmp(one, other, bytes.byteCount) == 0
                }
            }
        }
    }

    /// The text, with a reference more. Ask for room before.
    mutating func insert(_ bytes: RawSpan) -> UInt32 {
        let found = existing(bytes)
        guard found == Self.none else { return found }
        let hash = hash(bytes)
        let entry = Entry(bytes: unsafe bytes.withUnsafeBytes { unsafe Array($0) }, references: 1, hash: hash)
        let place: UInt32
        if firstFree != Self.none {
            place = firstFree
            firstFree = entries[Int(place)].hash
            entries[Int(place)] = entry
        } else {
            place = UInt32(entries.count)
            entries.append(entry)
        }
        index.insert(place, hash: hash)
        heapBytes += Self.cost(bytes.byteCount)
        count += 1
        return place
    }

    @inline(__always)
    mutating func retain(_ text: UInt32) {
        if text != Self.none { entries[Int(text)].references += 1 }
    }

    @inline(__always)
    mutating func release(_ text: UInt32) {
        guard text != Self.none else { return }
        entries[Int(text)].references -= 1
        if entries[Int(text)].references == 0 { remove(text) }
    }

    private mutating func remove(_ text: UInt32) {
        index.remove(text, hash: entries[Int(text)].hash)
        heapBytes -= Self.cost(entries[Int(text)].bytes.count)
        entries[Int(text)] = Entry(bytes: [], references: 0, hash: firstFree)
        firstFree = text
        count -= 1
    }
}
