import CContract
import Catalog
import Events
import TestSupport

@testable import Outputs

typealias EventEncoder = Outputs.JSONEncoder

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
    line(record, index) { encoder.encode($0, index: $1, into: &$2) }
}

/// The table's line of one record.
func tableLine(_ record: [UInt8], _ encoder: inout TableEncoder, index: Int? = nil) -> [UInt8] {
    line(record, index) { encoder.encode($0, index: $1, into: &$2) }
}

/// strace's line of one record.
func straceLine(_ record: [UInt8], _ encoder: inout StraceEncoder, index: Int? = nil) -> [UInt8] {
    line(record, index) { encoder.encode($0, index: $1, into: &$2) }
}

private func line(
    _ record: [UInt8], _ index: Int?, _ encode: (EventView, Int, inout ByteBuffer) -> Void
) -> [UInt8] {
    guard let event = unsafe EventView(record.span.bytes),
        let index = index ?? Catalog.builtIn.index(of: event.event)
    else { return Array("no event".utf8) }
    var buffer = ByteBuffer(capacity: 16)
    encode(event, index, &buffer)
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
