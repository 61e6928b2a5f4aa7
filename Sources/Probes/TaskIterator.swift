internal import CContract
internal import CLibbpf
internal import CSystem
internal import Glibc

/// A process that was there when it was looked at.
public struct SnapshotProcess: Sendable {
    /// As the host sees them.
    public let pid: UInt32
    public let parent: UInt32
    /// Nanoseconds since boot.
    public let start: UInt64
    public let parentStart: UInt64
    public let uid: UInt32
    /// Its id, in the hierarchy whose groups events carry.
    public let controlGroup: UInt64
    /// At most 15 bytes; any bytes but NUL.
    public let name: [UInt8]
}

extension Sensor {
    /// All processes, by the kernel's own iterator; nil where it has none. What begins after this was called is told by
    /// the hooks.
    public func snapshot() -> [SnapshotProcess]? {
        guard let link = try? loaded.attach(SensorPlan.snapshot) else { return nil }
        let raw = bpf_iter_create(link.descriptor)
        guard raw >= 0 else { return nil }
        let descriptor = OwnedDescriptor(raw)
        let size = MemoryLayout<apus_task>.size
        var rows: [SnapshotProcess] = []
        var buffer = [UInt8](repeating: 0, count: size * 512)
        var filled = 0
        // The kernel has at most four million processes (PID_MAX_LIMIT).
        while rows.count < 1 << 22 {
            let count = unsafe buffer.withUnsafeMutableBytes {
                unsafe read(descriptor.raw, $0.baseAddress.unsafelyUnwrapped + filled, $0.count - filled)
            }
            if count < 0 && errno == EAGAIN { continue }
            guard count > 0 else { break }
            filled += count
            for index in 0..<filled / size {
                let row = unsafe buffer.withUnsafeBytes {
                    unsafe $0.loadUnaligned(fromByteOffset: index * size, as: apus_task.self)
                }
                rows.append(SnapshotProcess(row))
            }
            let rest = filled % size
            buffer.replaceSubrange(0..<rest, with: buffer[(filled - rest)..<filled])
            filled = rest
        }
        return rows
    }
}

extension SnapshotProcess {
    fileprivate init(_ row: apus_task) {
        pid = row.pid
        parent = row.ppid
        start = row.start
        parentStart = row.parent_start
        uid = row.uid
        controlGroup = row.cgroup_id
        name = unsafe withUnsafeBytes(of: row.comm) { unsafe Array($0.prefix { $0 != 0 }) }
    }
}
