/// The 32-bit name of a thread or process in the output: MurmurHash3 (x86, 32 bits, seed 0) of its
/// host number and its start time since boot, rounded down to 100 ms, as 12 little-endian bytes.
///
/// Unique only within a host and only likely so: keys inside Apus are (number, start time).
public func entityID(number: UInt32, start: UInt64) -> UInt32 {
    let rounded = start / 100_000_000 * 100_000_000
    var hash: UInt32 = 0
    for word in [number, UInt32(truncatingIfNeeded: rounded), UInt32(truncatingIfNeeded: rounded >> 32)] {
        var k = word &* 0xcc9e_2d51
        k = k << 15 | k >> 17
        hash ^= k &* 0x1b87_3593
        hash = hash << 13 | hash >> 19
        hash = hash &* 5 &+ 0xe654_6b64
    }
    hash ^= 12
    hash ^= hash >> 16
    hash = hash &* 0x85eb_ca6b
    hash ^= hash >> 13
    hash = hash &* 0xc2b2_ae35
    return hash ^ hash >> 16
}
