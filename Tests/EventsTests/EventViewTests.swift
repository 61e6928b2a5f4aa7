import CContract
import Catalog
import Events
import TestSupport
import Testing

@Suite struct EventViewTests {
    @Test func offsetsAreThoseOfTheContract() {
        typealias Layout = MemoryLayout<apus_record>
        #expect(Layout.size == 120)
        #expect(Layout.offset(of: \.time) == 0)
        #expect(Layout.offset(of: \.event) == 8)
        #expect(Layout.offset(of: \.size) == 12)
        #expect(Layout.offset(of: \.policies) == 16)
        #expect(Layout.offset(of: \.cgroup_id) == 24)
        #expect(Layout.offset(of: \.thread_start) == 32)
        #expect(Layout.offset(of: \.process_start) == 40)
        #expect(Layout.offset(of: \.parent_start) == 48)
        #expect(Layout.offset(of: \.host_tid) == 56)
        #expect(Layout.offset(of: \.host_pid) == 60)
        #expect(Layout.offset(of: \.host_ppid) == 64)
        #expect(Layout.offset(of: \.tid) == 68)
        #expect(Layout.offset(of: \.pid) == 72)
        #expect(Layout.offset(of: \.ppid) == 76)
        #expect(Layout.offset(of: \.uid) == 80)
        #expect(Layout.offset(of: \.mount_ns) == 84)
        #expect(Layout.offset(of: \.pid_ns) == 88)
        #expect(Layout.offset(of: \.syscall) == 92)
        #expect(Layout.offset(of: \.cpu) == 96)
        #expect(Layout.offset(of: \.flags) == 98)
        #expect(Layout.offset(of: \.value_count) == 99)
        #expect(Layout.offset(of: \.comm) == 104)
        #expect(MemoryLayout<apus_blob>.offset(of: \.field) == 0)
        #expect(MemoryLayout<apus_blob>.offset(of: \.flags) == 1)
        #expect(MemoryLayout<apus_blob>.offset(of: \.count) == 2)
        #expect(MemoryLayout<apus_blob>.offset(of: \.length) == 4)
    }

    /// Reads random headers through the view and through the struct: both must see the same.
    @Test func everyMemberIsReadFromItsPlace() throws {
        var random = SplitMix64(seed: 1)
        for _ in 0..<200 {
            var bytes = random.bytes(120)
            bytes.replaceSubrange(12..<16, with: [120, 0, 0, 0])
            bytes[99] = 0
            // What says of values to be there that are not.
            bytes[98] &= ~UInt8(APUS_RECORD_TIMED | APUS_RECORD_ABSENT)
            let header = unsafe bytes.withUnsafeBytes {
                unsafe $0.loadUnaligned(as: apus_record.self)
            }
            guard let event = unsafe EventView(bytes.span.bytes) else {
                Issue.record("a whole header was refused")
                return
            }
            #expect(event.time == header.time)
            #expect(event.event.rawValue == header.event)
            #expect(event.byteCount == 120)
            #expect(event.policies == header.policies)
            #expect(event.cgroup == header.cgroup_id)
            #expect(event.threadStart == header.thread_start)
            #expect(event.processStart == header.process_start)
            #expect(event.parentStart == header.parent_start)
            #expect(event.hostThread == header.host_tid)
            #expect(event.hostProcess == header.host_pid)
            #expect(event.hostParent == header.host_ppid)
            #expect(event.thread == header.tid)
            #expect(event.process == header.pid)
            #expect(event.parent == header.ppid)
            #expect(event.user == header.uid)
            #expect(event.mountNamespace == header.mount_ns)
            #expect(event.pidNamespace == header.pid_ns)
            #expect(event.systemCall == header.syscall)
            #expect(event.processor == header.cpu)
            #expect(event.isCompat == (header.flags & UInt8(APUS_RECORD_COMPAT) != 0))
            let identity = event.identity
            #expect(identity.threadStart == header.thread_start)
            #expect(identity.processStart == header.process_start)
            #expect(identity.parentStart == header.parent_start)
            #expect(identity.hostThread == header.host_tid)
            #expect(identity.hostProcess == header.host_pid)
            #expect(identity.hostParent == header.host_ppid)
            #expect(identity.thread == header.tid)
            #expect(identity.process == header.pid)
            #expect(identity.parent == header.ppid)
            #expect(identity.user == header.uid)
        }
    }

    @Test func identityIsAllThatTheOutputShowsOfAThread() {
        var record = RecordBuilder()
        record.setName(Array("0123456789abcde".utf8))
        let before = Self.identity(record.build())
        let changes: [(inout RecordBuilder) -> Void] = [
            { $0.header.thread_start = 1 }, { $0.header.process_start = 1 },
            { $0.header.parent_start = 1 }, { $0.header.host_tid = 1 },
            { $0.header.host_pid = 1 }, { $0.header.host_ppid = 1 }, { $0.header.tid = 1 },
            { $0.header.pid = 1 }, { $0.header.ppid = 1 }, { $0.header.uid = 1 },
            { $0.setName(Array("x123456789abcde".utf8)) },
            { $0.setName(Array("0123456789abcdx".utf8)) },
        ]
        for change in changes {
            var other = record
            change(&other)
            #expect(Self.identity(other.build()) != before)
        }
        var other = record
        other.header.time = 1
        other.header.event = 1
        other.header.cpu = 1
        other.header.syscall = 1
        #expect(Self.identity(other.build()) == before)
    }

    @Test(
        arguments: [
            ([], []), (Array("cat".utf8), Array("cat".utf8)),
            ([0x61, 0, 0x62], [0x61]),
            ([UInt8](repeating: 0x61, count: 15), [UInt8](repeating: 0x61, count: 15)),
            ([UInt8](repeating: 0xff, count: 16), [UInt8](repeating: 0xff, count: 16)),
        ] as [([UInt8], [UInt8])])
    func namesEndAtTheirNUL(_ name: [UInt8], _ expected: [UInt8]) throws {
        var record = RecordBuilder()
        record.setName(name)
        let bytes = record.build()
        guard let event = unsafe EventView(bytes.span.bytes) else {
            Issue.record("refused")
            return
        }
        let read = copy(event.name)
        #expect(read == expected)
    }

    @Test func whatIsNoWholeRecordIsRefused() {
        let whole = RecordBuilder(values: [1, 2, 3]).build()
        #expect(Self.accepts(whole))
        #expect(Self.accepts(whole + [1, 2, 3]))
        for count in 0..<whole.count { #expect(!Self.accepts(Array(whole[..<count])), "\(count)") }
        // A size that leaves no room for the header or the values.
        for size in [0, 119, 120, 143, 145, 255] as [UInt8] {
            var bytes = whole
            bytes[12] = size
            #expect(!Self.accepts(bytes), "\(size)")
        }
        var bytes = whole
        bytes[15] = 0x80
        #expect(!Self.accepts(bytes))
    }

    @Test func values() {
        let numbers: [UInt64] = [0, 1, .max, 0x0123_4567_89ab_cdef]
        let bytes = RecordBuilder(values: numbers).build() + [UInt8](repeating: 7, count: 64)
        guard let event = unsafe EventView(bytes.span.bytes) else {
            Issue.record("refused")
            return
        }
        #expect(event.byteCount == 152)
        for (field, number) in numbers.enumerated() { #expect(event.value(field) == number) }
        for field in [-1, 4, 5, 255, Int.max, Int.min] { #expect(event.value(field) == nil) }
        for field in -1...5 { #expect(string(of: bytes, field) == nil) }
    }

    @Test func blobs() {
        let bytes = RecordBuilder(
            values: [1, 2, 3, 4],
            blobs: [
                .init(field: 1, bytes: Array("/etc/hostname".utf8)),
                .init(field: 3, bytes: [], flags: UInt8(APUS_BLOB_AT_EXIT)),
                .init(
                    field: 0, bytes: [1, 2, 3, 4, 5, 6, 7, 8], flags: UInt8(APUS_BLOB_TRUNCATED),
                    count: 9),
            ]
        ).build()
        guard let event = unsafe EventView(bytes.span.bytes) else {
            Issue.record("refused")
            return
        }
        var seen: [String] = []
        for field in -1...5 {
            guard let blob = event.blob(field) else { continue }
            let content = copy(blob.bytes)
            seen.append(
                "\(field) \(content) \(blob.count) \(blob.isTruncated) \(blob.wasReadAtExit)")
        }
        #expect(
            seen == [
                "0 [1, 2, 3, 4, 5, 6, 7, 8] 9 true false",
                "1 \(Array("/etc/hostname".utf8)) 1 false false", "3 [] 1 false true",
            ])
    }

    @Test(
        arguments: [
            ([], []), ([0], []), ([0, 0], [0]), ([0x61, 0], [0x61]), ([0x61], [0x61]),
            ([0x61, 0, 0x62], [0x61, 0, 0x62]), ([0x61, 0, 0], [0x61, 0]),
        ] as [([UInt8], [UInt8])])
    func stringsLoseOneTrailingNUL(_ blob: [UInt8], _ expected: [UInt8]) {
        let bytes = RecordBuilder(values: [1], blobs: [.init(field: 0, bytes: blob)]).build()
        #expect(string(of: bytes, 0) == expected)
    }

    @Test func stringArrays() {
        let text = Array("ls\0\0-l\0x".utf8)
        #expect(Self.strings(text, count: 4) == ["ls", "", "-l", "x"])
        #expect(Self.strings(text, count: 2) == ["ls", ""])
        #expect(Self.strings(text, count: 0) == [])
        // More are announced than there are.
        #expect(Self.strings(text, count: 500) == ["ls", "", "-l", "x"])
        #expect(Self.strings([], count: 3) == [])
        #expect(Self.strings([0, 0], count: 3) == ["", ""])
    }

    @Test func aBlobThatLeavesTheRecordIsNotRead() {
        let builder = RecordBuilder(values: [1], blobs: [.init(field: 0, bytes: [1, 2, 3])])
        let place = 120 + 8 + 4
        for length in [9, 255, 0x7fff_ffff, 0xffff_ffff] as [UInt32] {
            var bytes = builder.build()
            for index in 0..<4 {
                bytes[place + index] = UInt8(truncatingIfNeeded: length >> (index * 8))
            }
            #expect(string(of: bytes + [UInt8](repeating: 0, count: 512), 0) == nil, "\(length)")
        }
    }

    // MARK: Helpers

    private static func accepts(_ bytes: [UInt8]) -> Bool {
        guard let event = unsafe EventView(bytes.span.bytes) else { return false }
        return event.byteCount <= bytes.count
    }

    private static func identity(_ bytes: [UInt8]) -> ThreadIdentity? {
        guard let event = unsafe EventView(bytes.span.bytes) else { return nil }
        return event.identity
    }

    private static func strings(_ blob: [UInt8], count: UInt16) -> [String] {
        let bytes = RecordBuilder(
            values: [1], blobs: [.init(field: 0, bytes: blob, count: count)]
        ).build()
        guard let event = unsafe EventView(bytes.span.bytes), let blob = event.blob(0) else {
            return ["no blob"]
        }
        var strings: [String] = []
        blob.forEachString { strings.append(String(decoding: copy($0), as: UTF8.self)) }
        return strings
    }
}

func copy(_ span: RawSpan) -> [UInt8] {
    unsafe span.withUnsafeBytes { unsafe Array($0) }
}

func string(of record: [UInt8], _ field: Int) -> [UInt8]? {
    guard let event = unsafe EventView(record.span.bytes), let text = event.string(field) else {
        return nil
    }
    return copy(text)
}
