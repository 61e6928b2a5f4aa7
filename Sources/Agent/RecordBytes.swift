internal import CContract

/// A record as the kernel programs make it, from its parts: the header is completed with what follows from
/// the others.
func recordBytes(
    _ header: apus_record, name: String, values: [UInt64], blobs: [(field: UInt8, bytes: [UInt8])]
) -> [UInt8] {
    var header = header
    var data: [UInt8] = []
    for value in values { data += bytes(of: value) }
    for (field, content) in blobs {
        data += bytes(of: apus_blob(field: field, flags: 0, count: 1, length: UInt32(content.count)))
        data += content
        while data.count % 8 != 0 { data.append(0) }
    }
    header.value_count = UInt8(values.count)
    header.size = UInt32(MemoryLayout<apus_record>.size + data.count)
    unsafe withUnsafeMutableBytes(of: &header.comm) { unsafe $0.copyBytes(from: name.utf8) }
    return bytes(of: header) + data
}

private func bytes<T: BitwiseCopyable>(of value: T) -> [UInt8] {
    unsafe withUnsafeBytes(of: value) { unsafe Array($0) }
}
