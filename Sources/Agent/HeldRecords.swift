/// Copies of records that wait to be shown, in their order: until names are known that belong into them. What they tell
/// of processes and containers was taken in already.
struct HeldRecords {
    private var bytes: [UInt8] = []
    private var sizes: [Int] = []
    /// The first that is still held: its place among the sizes, and in the bytes.
    private var first = (number: 0, byte: 0)

    /// Bytes that are held at most.
    static let limit = 8 << 20

    var isEmpty: Bool { first.number == sizes.count }

    /// No more should be held.
    var isFull: Bool { bytes.count - first.byte >= Self.limit }

    mutating func append(_ record: RawSpan) {
        unsafe record.withUnsafeBytes { unsafe bytes.append(contentsOf: $0) }
        sizes.append(record.byteCount)
    }

    /// Hands over those that are held, oldest first, until one is not taken.
    mutating func release(_ body: (RawSpan) -> Bool) {
        while !isEmpty {
            let size = sizes[first.number]
            let isTaken = unsafe body(bytes.span.bytes.extracting(first.byte..<first.byte + size))
            guard isTaken else { break }
            first = (first.number + 1, first.byte + size)
        }
        guard isEmpty else {
            // What is done goes once it is most of it.
            guard first.byte > bytes.count / 2, first.byte > 65536 else { return }
            bytes.removeFirst(first.byte)
            sizes.removeFirst(first.number)
            first = (0, 0)
            return
        }
        bytes = []
        sizes = []
        first = (0, 0)
    }
}
