public import CContract

/// Makes records as the kernel programs do, and as they never would.
public struct RecordBuilder {
    public struct Blob {
        public var field: UInt8
        public var bytes: [UInt8]
        public var flags: UInt8
        public var count: UInt16

        public init(field: UInt8, bytes: [UInt8], flags: UInt8 = 0, count: UInt16 = 1) {
            self.field = field
            self.bytes = bytes
            self.flags = flags
            self.count = count
        }
    }

    public var header = apus_record()
    public var values: [UInt64] = []
    public var blobs: [Blob] = []

    public init(values: [UInt64] = [], blobs: [Blob] = []) {
        self.values = values
        self.blobs = blobs
    }

    /// At most 16 bytes.
    public mutating func setName(_ name: [UInt8]) {
        unsafe withUnsafeMutableBytes(of: &header.comm) { place in
            for index in place.indices {
                unsafe place[index] = index < name.count ? name[index] : 0
            }
        }
    }

    public func build() -> [UInt8] {
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
