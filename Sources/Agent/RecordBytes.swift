internal import CContract

/// What a field's pointer led to.
struct RecordBlob {
    var field: UInt8
    /// Of a string array.
    var elements: UInt16 = 1
    var bytes: [UInt8]

    init(_ field: Int, _ bytes: [UInt8]) {
        self.field = UInt8(truncatingIfNeeded: field)
        self.bytes = bytes
    }

    init(_ field: Int, strings: [String]) {
        self.init(field, strings.flatMap { Array($0.utf8) + [0] })
        elements = UInt16(truncatingIfNeeded: strings.count)
    }
}

/// A record as the kernel programs make it, from its parts: the header is completed with what follows from
/// the others.
func recordBytes(
    _ header: apus_record, name: String, values: [UInt64], blobs: [RecordBlob]
) -> [UInt8] {
    var header = header
    var data: [UInt8] = []
    for value in values { data += rawBytes(of: value) }
    for blob in blobs {
        data += rawBytes(
            of: apus_blob(
                field: blob.field, flags: 0, count: blob.elements, length: UInt32(blob.bytes.count)))
        data += blob.bytes
        while data.count % 8 != 0 { data.append(0) }
    }
    header.value_count = UInt8(values.count)
    header.size = UInt32(MemoryLayout<apus_record>.size + data.count)
    unsafe withUnsafeMutableBytes(of: &header.comm) { unsafe $0.copyBytes(from: name.utf8) }
    return rawBytes(of: header) + data
}

private func rawBytes<T: BitwiseCopyable>(of value: T) -> [UInt8] {
    unsafe withUnsafeBytes(of: value) { unsafe Array($0) }
}
