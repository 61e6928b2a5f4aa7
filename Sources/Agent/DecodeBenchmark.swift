internal import CContract
internal import Catalog
internal import Events
internal import Outputs

/// Decodes and encodes made-up records of `openat`, `read` and `mprotect`, as fast as it can, on this thread.
public enum DecodeBenchmark {
    public struct Rate: Sendable {
        public let name: String
        public let eventsPerSecond: Int
    }

    public static func run() -> [Rate] {
        [
            measure("read (three arguments) to JSON", read()),
            measure("openat (with its path) to JSON", openat()),
            measure("mprotect (three arguments) to decoded JSON", mprotect(), isDecoded: true),
        ]
    }

    private static func measure(_ name: String, _ record: [UInt8], isDecoded: Bool = false) -> Rate {
        let catalog = Catalog.builtIn
        var encoder = JSONEncoder(
            clock: Clock(), policyNames: ["default"], executable: { _, _, _ in Array("/usr/bin/cat".utf8) },
            isDecoded: isDecoded)
        var best = Int.max
        let count = 200_000
        guard let event = EventView(unsafe record.span.bytes), let index = catalog.index(of: event.event)
        else {
            return Rate(name: name, eventsPerSecond: 0)
        }
        for _ in 0..<7 {
            let before = Clock.sinceBoot()
            unsafe JSONEncoder.measure(&encoder, record.span.bytes, index: index, count: count)
            best = min(best, Int(Clock.sinceBoot() - before))
        }
        return Rate(name: name, eventsPerSecond: count * 1_000_000_000 / max(1, best))
    }

    private static func read() -> [UInt8] {
        record(of: .read, values: [3, 0x7ffc_0000_1000, 4096, 17], blob: nil)
    }

    private static func mprotect() -> [UInt8] {
        record(of: .mprotect, values: [0x7ffc_0000_1000, 4096, 3, 0], blob: nil)
    }

    private static func openat() -> [UInt8] {
        record(
            of: .openat, values: [UInt64(bitPattern: -100), 0x7ffc_0000_1000, 0x80000, 0, 3],
            blob: (1, Array("/etc/hostname".utf8)))
    }

    private static func record(of id: EventID, values: [UInt64], blob: (field: UInt8, bytes: [UInt8])?)
        -> [UInt8]
    {
        var header = apus_record()
        header.time = 12_345_678_912_345
        header.event = id.rawValue
        header.policies = 1
        header.thread_start = 1_000_000_000
        header.process_start = 1_000_000_000
        header.parent_start = 500_000_000
        (header.host_tid, header.host_pid, header.host_ppid) = (4321, 4321, 1000)
        (header.tid, header.pid, header.ppid) = (4321, 4321, 1000)
        header.syscall = Int32(id.rawValue) - 1
        return recordBytes(
            header, name: "cat", values: values,
            blobs: blob.map { [RecordBlob(Int($0.field), $0.bytes)] } ?? [])
    }
}
