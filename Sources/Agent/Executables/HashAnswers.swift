/// Digests by file, a limited number: where there is no room, one goes that was not asked for since the hand passed it
/// last (the clock algorithm).
struct HashAnswers {
    struct Key: Hashable {
        /// Digest of the container's image, in place of the device.
        var image: String
        var device: UInt32
        var inode: UInt64
        var changed: UInt64
    }

    private struct Entry {
        var key: Key
        var answer: ExecutableHashes.Answer
        /// For whom it was asked.
        var process: UInt32
        var wasUsed: Bool
    }

    private let limit: Int
    private var entries: [Entry] = []
    private var places: [Key: Int] = [:]
    private var hand = 0

    init(limit: Int) { self.limit = max(1, limit) }

    var count: Int { entries.count }

    /// Where a file's answer is.
    mutating func place(of key: Key) -> Int? {
        guard let place = places[key] else { return nil }
        entries[place].wasUsed = true
        return place
    }

    subscript(place: Int) -> ExecutableHashes.Answer {
        get { entries[place].answer }
        set { entries[place].answer = newValue }
    }

    func process(_ place: Int) -> UInt32 { entries[place].process }

    mutating func ask(_ place: Int, process: UInt32) {
        entries[place].answer = .pending
        entries[place].process = process
    }

    /// Gives a place for a new file; nil where all are of files that wait.
    mutating func makeRoom(for key: Key, evicted: inout UInt64) -> Int? {
        let entry = Entry(key: key, answer: .pending, process: 0, wasUsed: false)
        if entries.count < limit {
            places[key] = entries.count
            entries.append(entry)
            return entries.count - 1
        }
        // Twice around: the first time only takes marks away.
        for _ in 0..<limit * 2 {
            let place = hand
            hand = hand + 1 == limit ? 0 : hand + 1
            guard entries[place].answer != .pending else { continue }
            if entries[place].wasUsed {
                entries[place].wasUsed = false
                continue
            }
            evicted += 1
            places[entries[place].key] = nil
            places[key] = place
            entries[place] = entry
            return place
        }
        return nil
    }
}
