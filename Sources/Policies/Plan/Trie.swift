public import CContract

/// The beginnings, whole strings and endings that policies want, as tries in a double array: from state `s` a
/// byte leads to `base + byte`, if the check there is `s`. The kernel follows them a load a byte.
public struct TrieTable: Sendable {
    /// From ``first`` on; what is unused has a check of 0, which is no state.
    public private(set) var states: [apus_state] = []
    public private(set) var hits: [apus_hits] = [apus_hits()]
    /// Number of the first state.
    public let first: UInt32
    /// Number of the first hit.
    public let firstHit: UInt32
    let limit: Int
    /// Below it no state is free.
    private var firstFree = 0
    private var hitNumbers: [Hit: UInt32] = [Hit(whole: 0, beginning: 0): 0]

    private struct Hit: Hashable {
        var whole: UInt64
        var beginning: UInt64
    }

    /// - Parameter limit: of states.
    init(first: UInt32, firstHit: UInt32, limit: Int) {
        self.first = first
        self.firstHit = firstHit
        self.limit = limit
    }

    /// One pattern of a trie, in the order in which its bytes are followed.
    struct Entry {
        var bytes: [UInt8]
        var policies: UInt64
        /// The string has to end where the pattern does.
        var isWhole: Bool
    }

    /// A state under construction: its entries are those from `range` that share its first `depth` bytes.
    private struct Pending {
        var state: Int
        var range: Range<Int>
        var depth: Int
        var beginning: UInt64
    }

    /// Adds a trie: its root, or nil when there is no room.
    mutating func add(_ entries: [Entry]) -> UInt32? {
        let sorted = entries.sorted { $0.bytes.lexicographicallyPrecedes($1.bytes) }
        guard let root = take([0]) else { return nil }
        set(root.state, check: UInt32.max)  // nothing leads to it
        var queue = [Pending(state: root.state, range: 0..<sorted.count, depth: 0, beginning: 0)]
        var at = 0
        while at < queue.count {
            let pending = queue[at]
            at += 1
            var whole: UInt64 = 0
            var beginning = pending.beginning
            var next = pending.range.lowerBound
            while next < pending.range.upperBound, sorted[next].bytes.count == pending.depth {
                if sorted[next].isWhole {
                    whole |= sorted[next].policies
                } else {
                    beginning |= sorted[next].policies
                }
                next += 1
            }
            set(pending.state, hits: hit(whole, beginning))
            var children: [(byte: UInt8, range: Range<Int>)] = []
            while next < pending.range.upperBound {
                let byte = sorted[next].bytes[pending.depth]
                let start = next
                while next < pending.range.upperBound, sorted[next].bytes[pending.depth] == byte { next += 1 }
                children.append((byte, start..<next))
            }
            if children.isEmpty { continue }
            guard let place = take(children.map(\.byte)) else { return nil }
            set(pending.state, base: first &+ UInt32(truncatingIfNeeded: place.base))
            for child in children {
                let state = place.base + Int(child.byte)
                set(state, check: first + UInt32(pending.state))
                queue.append(
                    Pending(
                        state: state, range: child.range, depth: pending.depth + 1, beginning: beginning))
            }
        }
        return first + UInt32(root.state)
    }

    private mutating func hit(_ whole: UInt64, _ beginning: UInt64) -> UInt32 {
        let hit = Hit(whole: whole, beginning: beginning)
        if let number = hitNumbers[hit] { return firstHit + number }
        let number = UInt32(hits.count)
        hits.append(apus_hits(whole: whole, beginning: beginning))
        hitNumbers[hit] = number
        return firstHit + number
    }

    private mutating func set(_ state: Int, base: UInt32? = nil, check: UInt32? = nil, hits: UInt32? = nil) {
        if let base { states[state].base = base }
        if let check { states[state].check = check }
        if let hits { states[state].hits = hits }
    }

    /// Finds and takes free states for the children with these bytes: the lowest base from 0 on with room.
    private mutating func take(_ bytes: [UInt8]) -> (base: Int, state: Int)? {
        guard let lowest = bytes.first else { return nil }
        while firstFree < states.count, states[firstFree].check != 0 { firstFree += 1 }
        var free = max(firstFree, Int(lowest))
        while true {
            let base = free - Int(lowest)
            let end = base + 256
            guard end <= limit else { return nil }
            while states.count < end { states.append(apus_state()) }
            if bytes.allSatisfy({ states[base + Int($0)].check == 0 }) {
                for byte in bytes { states[base + Int(byte)].check = UInt32.max }
                return (base, base + Int(lowest))
            }
            free += 1
        }
    }
}
