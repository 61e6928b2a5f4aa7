import CContract
import Catalog
import Events

@testable import Outputs

typealias EventEncoder = Outputs.JSONEncoder

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

    /// Numbers of all magnitudes, and the ends of the types.
    mutating func number() -> UInt64 {
        let ends: [UInt64] = [
            0, 1, 9, 10, 99, 100, 0x7fff, 0x8000, 0xffff, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff,
            0x7fff_ffff_ffff_ffff, 0x8000_0000_0000_0000, .max,
        ]
        return below(4) == 0 ? ends[below(ends.count)] : next() >> UInt64(below(64))
    }

    /// Text as processes use it, and as they should not.
    mutating func text(upTo limit: Int = 40) -> [UInt8] {
        let pieces: [[UInt8]] = [
            Array("/usr/lib/x86_64-linux-gnu".utf8), Array("\"quoted\"".utf8), [0x5c, 0x5c, 0x22],
            [0x0a], [0x0d, 0x09, 0x08, 0x0c], [0x1b, 0x5b, 0x32, 0x4a], [0x7f], [0xc2, 0x9b],
            Array("käse".utf8), Array("日本語".utf8), Array("🐧👩‍👩‍👧".utf8),
            Array("\u{2028}\u{202e}".utf8),
            Array("\u{ffff}\u{10ffff}\u{feff}".utf8),
            // What is no UTF-8: lone and missing continuations, overlong forms, surrogates.
            [0x80], [0xff, 0xfe], [0xc3], [0xe2, 0x82], [0xf0, 0x9f, 0x90], [0xc0, 0xaf],
            [0xe0, 0x80, 0xaf], [0xed, 0xa0, 0x80], [0xf4, 0x90, 0x80, 0x80], [0xf8, 0x88],
            [0xf0, 0x80], [0xe2, 0x28, 0xa1],
        ]
        var text: [UInt8] = []
        for _ in 0..<below(6) {
            text += below(8) == 0 ? bytes(below(12)) : pieces[below(pieces.count)]
        }
        return Array(text.prefix(limit))
    }
}

/// Runs a body on a buffer and gives what it wrote.
func written(_ room: Int = 8192, _ body: (inout ByteBuffer) -> Void) -> [UInt8] {
    var buffer = ByteBuffer(capacity: 16)
    buffer.reserve(room)
    body(&buffer)
    return unsafe buffer.withBytes { unsafe Array($0) }
}

func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }

/// The JSON line of one record, as an encoder in any state writes it.
func jsonLine(_ record: [UInt8], _ encoder: inout EventEncoder, index: Int? = nil) -> [UInt8] {
    guard let event = unsafe EventView(record.span.bytes),
        let index = index ?? Catalog.builtIn.index(of: event.event)
    else { return Array("no event".utf8) }
    var buffer = ByteBuffer(capacity: 16)
    encoder.encode(event, index: index, into: &buffer)
    return unsafe buffer.withBytes { unsafe Array($0) }
}

/// The table's line of one record.
func tableLine(_ record: [UInt8], _ encoder: inout TableEncoder, index: Int? = nil) -> [UInt8] {
    guard let event = unsafe EventView(record.span.bytes),
        let index = index ?? Catalog.builtIn.index(of: event.event)
    else { return Array("no event".utf8) }
    var buffer = ByteBuffer(capacity: 16)
    encoder.encode(event, index: index, into: &buffer)
    return unsafe buffer.withBytes { unsafe Array($0) }
}

/// 2026-01-01, so that a record's time since boot is a date of that day.
let newYear: UInt64 = 1_767_225_600_000_000_000

/// A record of `cat` on the second of January, without values.
func sampleRecord(_ event: EventID, systemCall: Int32) -> RecordBuilder {
    var record = RecordBuilder()
    record.header.event = event.rawValue
    record.header.syscall = systemCall
    record.header.policies = 1
    record.header.time = 97_445_678_901_234
    record.header.thread_start = 97_445_600_000_001
    record.header.process_start = 97_445_600_000_001
    record.header.parent_start = 50_000_000_000
    (record.header.host_tid, record.header.host_pid, record.header.host_ppid) = (1234, 1234, 1000)
    (record.header.tid, record.header.pid, record.header.ppid) = (1234, 1234, 1000)
    record.setName(Array("cat".utf8))
    return record
}
