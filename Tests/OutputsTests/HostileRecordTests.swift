import CContract
import Catalog
import Events
import Foundation
import TestSupport
import Testing

@testable import Outputs

/// Records that no kernel program writes. Each test runs in a process of its own, since what it
/// looks for would end that process.
@Suite struct HostileRecordTests {
    @Test func jsonOfAnyBytes() async {
        await #expect(processExitsWith: .success) {
            var random = SplitMix64(seed: 11)
            var encoder = EventEncoder(
                clock: Clock(bootOffset: newYear), policyNames: ["default"],
                executable: { _, _, _ in Array("/bin/\u{1b}\"".utf8) })
            var decoded = EventEncoder(
                clock: Clock(bootOffset: newYear), policyNames: ["default"], executable: { _, _, _ in [] },
                isDecoded: true, showsPayload: true, showsDescriptors: true)
            for _ in 0..<6000 {
                let index = random.below(Catalog.builtIn.events.count)
                let record = HostileRecordTests.record(&random)
                for line in [
                    jsonLine(record, &encoder, index: index), jsonLine(record, &decoded, index: index),
                ] {
                    #expect(line.last == 0x0a)
                    #expect(!line.dropLast().contains { $0 < 0x20 || $0 == 0x7f }, "\(record)")
                    #expect(throws: Never.self, "\(record)") {
                        _ = try JSONSerialization.jsonObject(with: Data(line))
                    }
                }
            }
        }
    }

    @Test func tableOfAnyBytes() async {
        await #expect(processExitsWith: .success) {
            var random = SplitMix64(seed: 12)
            var plain = TableEncoder(clock: Clock(bootOffset: newYear), columns: 0, showsDescriptors: true)
            var terminal = TableEncoder(clock: Clock(bootOffset: newYear), columns: 120)
            for _ in 0..<6000 {
                let index = random.below(Catalog.builtIn.events.count)
                let record = HostileRecordTests.record(&random)
                let line = tableLine(record, &plain, index: index)
                #expect(line.last == 0x0a)
                #expect(!line.dropLast().contains { $0 < 0x20 || $0 == 0x7f }, "\(record)")
                #expect(text(line).utf8.elementsEqual(line), "what is no UTF-8 was written")
                let cut = tableLine(record, &terminal, index: index)
                #expect(cut.last == 0x0a && !cut.dropLast().contains(0x0a))
            }
        }
    }

    @Test func straceOfAnyBytes() async {
        await #expect(processExitsWith: .success) {
            var random = SplitMix64(seed: 13)
            var encoder = StraceEncoder(clock: Clock(bootOffset: newYear), showsDescriptors: true)
            for _ in 0..<6000 {
                let index = random.below(Catalog.builtIn.events.count)
                let record = HostileRecordTests.record(&random)
                let line = straceLine(record, &encoder, index: index)
                #expect(line.last == 0x0a)
                #expect(!line.dropLast().contains { $0 < 0x20 || $0 >= 0x7f }, "\(record)")
            }
        }
    }

    @Test func jsonOfAnyTime() async {
        await #expect(processExitsWith: .success) {
            for offset in [0, newYear, .max] as [UInt64] {
                var encoder = EventEncoder(
                    clock: Clock(bootOffset: offset), policyNames: [], executable: { _, _, _ in [] })
                for time in HostileRecordTests.times {
                    var record = sampleRecord(.close, systemCall: 3)
                    record.header.time = time
                    record.header.thread_start = time
                    let line = text(jsonLine(record.build(), &encoder))
                    let stamp = #/"timestamp":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[.\d]*Z"/#
                    #expect(line.contains(stamp), "\(line)")
                }
            }
        }
    }

    @Test func tableOfAnyTime() async {
        await #expect(processExitsWith: .success) {
            for offset in [0, newYear, .max] as [UInt64] {
                var encoder = TableEncoder(clock: Clock(bootOffset: offset), columns: 0)
                for time in HostileRecordTests.times {
                    var record = sampleRecord(.close, systemCall: 3)
                    record.header.time = time
                    let line = text(tableLine(record.build(), &encoder))
                    #expect(line.contains(#/^\d\d:\d\d:\d\d\.\d{6}  0 /#))
                }
            }
        }
    }

    static let times: [UInt64] = [
        0, 1, 999_999_999, 1 << 53, .max >> 1, 1 << 63, .max - newYear, .max - 1, .max,
    ]

    /// One of any kind, with parts of any kind.
    private static func appendDescriptor(_ random: inout SplitMix64, to record: inout RecordBuilder) {
        let field = UInt8(random.below(6))
        let systems: [UInt32] = [0x5049_5045, 0x0904_1934, 0x6e73_6673, 0x5049_4446, 0x534f_434b, 0xef53]
        let told = apus_descriptor(
            inode: random.number(), peer: random.number(), number: Int32(random.below(5)),
            file_system: systems[random.below(6)], flags: UInt32(random.below(4)),
            family: [1, 2, 10, 16, 17][random.below(5)], protocol: UInt16(random.below(40)),
            port: UInt32(random.below(3)), reserved: 0)
        record.blobs.append(
            .init(
                field: field, bytes: unsafe withUnsafeBytes(of: told) { unsafe Array($0) },
                flags: UInt8(APUS_BLOB_DESCRIPTOR) | UInt8(random.below(8) / 7),
                count: UInt16(random.below(2))))
        for part in 0..<random.below(4) {
            var bytes = random.below(2) == 0 ? random.bytes(random.below(80)) : random.text()
            if random.below(2) == 0, bytes.count > 1 {
                (bytes[0], bytes[1]) = ([1, 2, 10, 16][random.below(4)], 0)
            }
            if part == 0, random.below(2) == 0 { bytes = Array("TCPv6".utf8) }
            record.blobs.append(
                .init(
                    field: field, bytes: bytes, flags: UInt8(random.below(2)) | 1 << 4,
                    count: UInt16(part)))
        }
    }

    /// Noise, valid records with bits turned, and valid ones with more text than any call has.
    static func record(_ random: inout SplitMix64) -> [UInt8] {
        var record = RecordBuilder(values: (0..<random.below(46)).map { _ in random.number() })
        record.setName(random.bytes(16))
        for _ in 0..<random.below(8) {
            if random.below(4) == 0 { appendDescriptor(&random, to: &record) }
            let limit = random.below(40) == 0 ? 4000 : 80
            var bytes = random.below(2) == 0 ? random.bytes(random.below(limit)) : random.text()
            if random.below(50) == 0 { bytes = [UInt8](repeating: 1, count: 4096) }
            if random.below(3) == 0, bytes.count > 1 {
                (bytes[0], bytes[1]) = ([1, 2, 10, 16][random.below(4)], 0)
            }
            record.blobs.append(
                .init(
                    field: UInt8(random.below(random.below(4) == 0 ? 46 : 20)), bytes: bytes,
                    flags: UInt8(random.below(4)),
                    count: UInt16(random.below(2) == 0 ? 1 : random.below(65536))))
        }
        var bytes = record.build()
        if random.below(2) == 0 {
            // Noise in the header, apart from how long the record says it is.
            let noise = random.bytes(120)
            for place in 0..<120 where !(12..<16).contains(place) && place != 99 {
                bytes[place] = noise[place]
            }
            // What says that there are values behind the fields, where there are none at all.
            if bytes[99] < 2 { bytes[98] &= ~UInt8(APUS_RECORD_TIMED | APUS_RECORD_ABSENT) }
        }
        var damaged = bytes
        for _ in 0..<random.below(12) {
            damaged[random.below(damaged.count)] ^= 1 << UInt8(random.below(8))
        }
        // Where the damage made it no record at all, there would be nothing to encode.
        return unsafe EventView(damaged.span.bytes) == nil ? bytes : damaged
    }
}
