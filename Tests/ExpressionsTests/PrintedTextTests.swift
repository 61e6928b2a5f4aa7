import Catalog
import Expressions
import Glibc
import TestSupport
import Testing

/// Fields that are no numbers and no strings are matched by what is printed of them.
@Suite struct PrintedTextTests {
    private func check(
        _ event: EventDefinition, _ field: String, _ record: RecordBuilder, _ matching: [String],
        _ other: [String]
    ) throws {
        for text in matching {
            #expect(try meaning(["data.\(field)=\(text)"], event, record) == .yes, "\(text)")
            #expect(try meaning(["data.\(field)!=\(text)"], event, record) == .no, "\(text)")
        }
        for text in other {
            #expect(try meaning(["data.\(field)=\(text)"], event, record) == .no, "\(text)")
            #expect(try meaning(["data.\(field)!=\(text)"], event, record) == .yes, "\(text)")
        }
        var absent = record
        absent.blobs = []
        #expect(try meaning(["data.\(field)!=xyz"], event, absent) == .unknown)
    }

    private func event(with type: FieldType) throws -> (EventDefinition, String) {
        let found = Catalog.builtIn.events.lazy.compactMap { event in
            event.fields.first { $0.type == type }.map { (event, $0.name) }
        }.first
        return try #require(found)
    }

    @Test func stringArrays() throws {
        let (event, field) = try event(with: .stringArray)
        var record = RecordBuilder(event)
        try record.set(field, Array("ls\0-l\0/tmp\0".utf8), count: 3)
        try check(
            event, field, record, ["ls", "-l", "/tmp", "/t*", "*mp", "*s*"], ["l", "ls -l", "[ls*", "x"])
    }

    @Test(
        arguments: [
            (
                [2, 0, 0x1f, 0x90, 127, 0, 0, 1], ["127.0.0.1", "127.*", "127.0.0.1:8080", "*:8080"],
                ["8080", "AF_INET"]
            ),
            ([2, 0, 0, 80, 255, 10, 0, 200], ["255.10.0.200", "*:80"], ["127.0.0.1"]),
            (
                [10, 0, 0, 53, 0, 0, 0, 0, 0x20, 1, 0xd, 0xb8] + [UInt8](repeating: 0, count: 11) + [0x1f],
                ["2001:db8::1f", "[2001:db8::1f]:53", "2001:*"], ["2001:db8::1f:53"]
            ),
            (
                [1, 0] + Array("/run/x.sock\0junk".utf8), ["/run/x.sock", "/run/*", "*.sock"],
                ["*junk*", "@*"]
            ),
            ([1, 0, 0] + Array("abstract".utf8), ["@abstract", "@*"], ["abstract"]),
            ([1, 0], [], ["x"]), ([16, 0, 0, 0], [], ["AF_NETLINK"]),
        ] as [([UInt8], [String], [String])])
    func socketAddresses(_ bytes: [UInt8], _ matching: [String], _ other: [String]) throws {
        let event = try named("connect")
        var record = RecordBuilder(event)
        try record.set("addr", bytes)
        try check(event, "addr", record, matching, other)
    }

    /// Compared with the C library, which prints the old IPv4-compatible form otherwise.
    @Test func randomAddresses() throws {
        var random = SplitMix64(seed: 6)
        let event = try named("connect")
        for _ in 0..<400 {
            var address = [UInt8](repeating: 0, count: 16)
            for group in 0..<8 where random.below(2) == 0 {
                address[group * 2] = UInt8(random.below(3) == 0 ? random.below(256) : 0)
                address[group * 2 + 1] = UInt8(random.below(256))
            }
            if address[0..<12].allSatisfy({ $0 == 0 }) { address[0] = 0x20 }
            var text = [CChar](repeating: 0, count: 64)
            _ = unsafe inet_ntop(AF_INET6, address, &text, 64)
            let expected = String(decoding: text.prefix { $0 != 0 }.map(UInt8.init), as: UTF8.self)
            var record = RecordBuilder(event)
            try record.set("addr", [10, 0, 0, 1, 0, 0, 0, 0] + address)
            #expect(try meaning(["data.addr=\(expected)"], event, record) == .yes, "\(expected)")
        }
    }

    @Test func mappedAddresses() throws {
        let event = try named("connect")
        var record = RecordBuilder(event)
        let address = [UInt8](repeating: 0, count: 10) + [255, 255, 10, 1, 2, 3]
        try record.set("addr", [10, 0, 0, 1, 0, 0, 0, 0] + address)
        try check(event, "addr", record, ["::ffff:10.1.2.3"], ["10.1.2.3"])
    }

    @Test func numbersInArrays() throws {
        let (pairs, pair) = try event(with: .int32Pair)
        var record = RecordBuilder(pairs)
        try record.set(pair, bytes(3 as Int32, -4 as Int32))
        try check(pairs, pair, record, ["3", "-4", "-*"], ["4", "34"])
        let (lists, list) = try event(with: .uint64Array)
        record = RecordBuilder(lists)
        try record.set(list, bytes(UInt64.max, 0 as UInt64, 0xabc as UInt64) + [1, 2, 3])
        try check(
            lists, list, record, ["18446744073709551615", "0", "0xabc", "0xff*", "2748", "0x0"], ["3", "abc"])
    }

    @Test func times() throws {
        let (event, field) = try event(with: .timespec)
        for (seconds, nanoseconds, text) in [
            (0, 0, "0"), (1, 500_000_000, "1.5"), (7, 1, "7.000000001"), (12, 120_000_000, "12.12"),
            (9_223_372_036_854_775_807, 999_999_999, "9223372036854775807.999999999"),
        ] as [(Int64, Int64, String)] {
            var record = RecordBuilder(event)
            try record.set(field, bytes(seconds, nanoseconds))
            try check(event, field, record, [text, text + "*"], [text + "0", "x"])
        }
        var record = RecordBuilder(event)
        try record.set(field, bytes(5 as Int32, 250_000_000 as Int32))
        try check(event, field, record, ["5.25"], ["5"])
        for (seconds, nanoseconds) in [(-1, 0), (0, 1_000_000_000), (0, -1)] as [(Int64, Int64)] {
            record = RecordBuilder(event)
            try record.set(field, bytes(seconds, nanoseconds))
            #expect(try meaning(["data.\(field)!=x"], event, record) == .unknown)
        }
    }

    @Test func credentials() throws {
        let (event, field) = try event(with: .credentials)
        var record = RecordBuilder(event)
        let ids = bytes(1, 2, 3, 4, 0, 6, 7, 8, 9, 10 as UInt32)
        try record.set(field, ids + bytes(0, 0x1ff, 0x3fff_ffff, 0, 1 as UInt64))
        try check(
            event, field, record,
            [
                "uid=1", "gid=2", "euid=0", "secure_bits=10", "cap_permitted=0x1ff", "cap_ambient=0x1",
                "euid=*",
            ],
            ["uid=0", "euid=1", "0", "cap_permitted=511"])
    }

    @Test func bytesAreMatchedAsTheyAre() throws {
        let (event, field) = try event(with: .bytes)
        var record = RecordBuilder(event)
        try record.set(field, Array("\u{7f}ELF\u{2}".utf8))
        try check(event, field, record, ["\u{7f}ELF*", "*ELF*"], ["ELF*", "f0VMRgI="])
    }

    private func named(_ name: String) throws -> EventDefinition {
        try #require(Catalog.builtIn[name])
    }
}
