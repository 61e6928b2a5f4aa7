import CContract

/// Makes records as the kernel programs do, and as they never would.
struct RecordBuilder {
    struct Blob {
        var field: UInt8
        var bytes: [UInt8]
        var flags: UInt8 = 0
        var count: UInt16 = 1
    }

    var header = apus_record()
    var values: [UInt64] = []
    var blobs: [Blob] = []

    init(values: [UInt64] = [], blobs: [Blob] = []) {
        self.values = values
        self.blobs = blobs
    }

    /// At most 16 bytes.
    mutating func setName(_ name: [UInt8]) {
        unsafe withUnsafeMutableBytes(of: &header.comm) { place in
            for index in place.indices {
                unsafe place[index] = index < name.count ? name[index] : 0
            }
        }
    }

    func build() -> [UInt8] {
        var tail: [UInt8] = []
        for value in values { tail += bytes(of: value) }
        for blob in blobs {
            tail += [blob.field, blob.flags]
            tail += bytes(of: blob.count)
            tail += bytes(of: UInt32(blob.bytes.count))
            tail += blob.bytes
            // The padding may be anything; zeros would hide a reader that runs on.
            while tail.count % 8 != 0 { tail.append(0x55) }
        }
        var header = header
        header.value_count = UInt8(values.count)
        header.size = UInt32(MemoryLayout<apus_record>.size + tail.count)
        return bytes(of: header) + tail
    }

    private func bytes<T: BitwiseCopyable>(of value: T) -> [UInt8] {
        unsafe withUnsafeBytes(of: value) { unsafe Array($0) }
    }
}

/// A small generator with a seed, so that a failure comes again.
struct SplitMix64: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var bits = state
        bits = (bits ^ bits >> 30) &* 0xbf58_476d_1ce4_e5b9
        bits = (bits ^ bits >> 27) &* 0x94d0_49bb_1331_11eb
        return bits ^ bits >> 31
    }

    /// From 0 to below a limit; the slight bias does not matter here.
    mutating func below(_ limit: Int) -> Int { Int(next() % UInt64(limit)) }

    mutating func bytes(_ count: Int) -> [UInt8] {
        (0..<count).map { _ in UInt8(truncatingIfNeeded: next()) }
    }
}
