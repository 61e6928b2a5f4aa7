import CContract
import Events
import TestSupport
import Testing

/// Values behind the fields of a record: when a call was entered, and which fields do not apply.
@Suite struct FurtherValuesTests {
    private static let timed = UInt8(APUS_RECORD_TIMED)
    private static let absent = UInt8(APUS_RECORD_ABSENT)

    /// Two fields and what follows them; the blob of field 1.
    private static func record(_ flags: UInt8, _ further: [UInt64], time: UInt64 = 1000) -> [UInt8] {
        var record = RecordBuilder(
            values: [7, 8] + further, blobs: [RecordBuilder.Blob(field: 1, bytes: Array("text".utf8))])
        record.header.flags = flags
        record.header.time = time
        return record.build()
    }

    @Test func withoutFlagsAllValuesAreFields() {
        let bytes = Self.record(0, [9])
        guard let event = unsafe EventView(bytes.span.bytes) else {
            Issue.record("a whole record was refused")
            return
        }
        #expect(event.value(2) == 9)
        #expect(event.value(3) == nil)
        #expect(event.duration == nil)
    }

    @Test func theTimeOfEntryIsNoField() {
        let bytes = Self.record(Self.timed, [400])
        guard let event = unsafe EventView(bytes.span.bytes) else {
            Issue.record("a whole record was refused")
            return
        }
        #expect(event.duration == 600)
        #expect(event.value(1) == 8)
        #expect(event.value(2) == nil)
        #expect(event.string(1)?.byteCount == 4)
        #expect(event.string(0)?.byteCount == nil)
    }

    @Test func aCallThatReturnedBeforeItsEntryHasNoDuration() {
        let bytes = Self.record(Self.timed, [1001])
        guard let event = unsafe EventView(bytes.span.bytes) else {
            Issue.record("a whole record was refused")
            return
        }
        #expect(event.duration == nil)
    }

    @Test func fieldsThatDoNotApplyHaveNoValue() {
        let bytes = Self.record(Self.absent, [0b01])
        guard let event = unsafe EventView(bytes.span.bytes) else {
            Issue.record("a whole record was refused")
            return
        }
        #expect(event.value(0) == nil)
        #expect(event.value(1) == 8)
        #expect(event.value(2) == nil)
        #expect(event.value(64) == nil)
        #expect(event.duration == nil)
        #expect(event.string(1)?.byteCount == 4)
    }

    @Test func bothTheTimeFirst() {
        let bytes = Self.record(Self.timed | Self.absent, [990, 0b10])
        guard let event = unsafe EventView(bytes.span.bytes) else {
            Issue.record("a whole record was refused")
            return
        }
        #expect(event.duration == 10)
        #expect(event.value(0) == 7)
        #expect(event.value(1) == nil)
        #expect(event.value(2) == nil)
    }

    /// A record that says of itself to have values which it does not have.
    @Test(arguments: [(timed, 0), (absent, 0), (timed | absent, 0), (timed | absent, 1)])
    func whatHasTooFewValuesIsNoRecord(_ flags: UInt8, _ count: Int) {
        var record = RecordBuilder(values: Array(repeating: 1, count: count))
        record.header.flags = flags
        let bytes = record.build()
        if unsafe EventView(bytes.span.bytes) != nil { Issue.record("a record without its values") }
    }
}
