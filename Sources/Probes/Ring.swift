internal import CLibbpf
internal import CSystem
internal import Glibc

/// The reader's side of one BPF ring buffer, by the layout of `kernel/bpf/ringbuf.c` (5.8 to 6.18):
/// a page with the consumer's position, a page with the producer's, and the data mapped twice in a
/// row, so that a record that wraps is contiguous. A record is preceded by 8 bytes: its length with
/// two flags, and an offset that only the kernel needs.
///
/// libbpf's reader hands over records in the order of one ring. This one can look at the next record
/// without taking it, which merging several rings by time needs.
@safe final class Ring {
    let descriptor: OwnedDescriptor
    private let consumer: UnsafeMutableRawPointer
    private let producer: UnsafeMutableRawPointer
    private let data: UnsafeRawPointer
    private let mask: UInt64
    private let pageSize: Int
    private var position: UInt64
    private var end: UInt64

    private static let busy: UInt32 = 1 << 31
    private static let discarded: UInt32 = 1 << 30
    private static let headerBytes: UInt64 = 8

    /// Takes over the descriptor of a ring buffer map of `size` bytes, a power of two of pages.
    init(_ descriptor: consuming OwnedDescriptor, size: Int) throws(ProbeError) {
        pageSize = sysconf(Int32(_SC_PAGESIZE))
        let first = unsafe mmap(nil, pageSize, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor.raw, 0)
        guard let first = unsafe first, unsafe first != MAP_FAILED else {
            throw ProbeError("a ring buffer cannot be mapped: \(BPFObject.errnoText(errno))")
        }
        let second = unsafe mmap(
            nil, pageSize + 2 * size, PROT_READ, MAP_SHARED, descriptor.raw, off_t(pageSize))
        guard let second = unsafe second, unsafe second != MAP_FAILED else {
            let error = errno
            unsafe munmap(first, pageSize)
            throw ProbeError("a ring buffer cannot be mapped: \(BPFObject.errnoText(error))")
        }
        self.descriptor = descriptor
        unsafe consumer = first
        unsafe producer = second
        unsafe data = UnsafeRawPointer(second + pageSize)
        mask = UInt64(size) - 1
        position = unsafe apus_load_acquire_u64(first)
        end = position
    }

    deinit {
        unsafe munmap(consumer, pageSize)
        unsafe munmap(producer, pageSize + 2 * Int(mask + 1))
    }

    /// Learns how far the kernel has written.
    func refresh() { end = unsafe apus_load_acquire_u64(producer) }

    /// Bytes that wait to be read.
    var pending: UInt64 { end - position }

    /// Bytes that the ring holds.
    var size: UInt64 { mask + 1 }

    /// The next record, still in the ring; nil when there is none or it is not finished.
    /// It is valid until ``advance(past:)``.
    @inline(__always)
    func peek() -> UnsafeRawBufferPointer? {
        while position < end {
            let header = unsafe data + Int(position & mask)
            let word = unsafe apus_load_acquire_u32(header)
            if word & Self.busy != 0 { return nil }
            let length = Int(word & ~Self.discarded)
            guard word & Self.discarded != 0 else {
                return unsafe UnsafeRawBufferPointer(start: header + Int(Self.headerBytes), count: length)
            }
            skip(length)
        }
        return nil
    }

    /// The next record is still being written: what is behind it may be older than what other rings have.
    var isUnfinished: Bool { position < end }

    /// Takes the record that ``peek()`` showed.
    @inline(__always)
    func advance(past record: UnsafeRawBufferPointer) { skip(record.count) }

    private func skip(_ length: Int) {
        position += (UInt64(length) + Self.headerBytes + 7) & ~7
    }

    /// Gives the room of what was taken back to the kernel.
    func release() { unsafe apus_store_release_u64(consumer, position) }
}

/// All rings, read as one stream in the order of the records' times.
public final class RingSet {
    private let rings: [Ring]
    /// Since when the lifecycle's ring has had a record at its head that is still being written, ns since boot; 0 for it
    /// has none. All CPUs write into that one, so what is behind may be older than what comes next elsewhere.
    private var unfinishedSince: UInt64 = 0
    /// A program may be interrupted while it writes. For longer than this nobody waits for one.
    private static let longestWait: UInt64 = 20_000_000

    init(_ rings: [Ring]) { self.rings = rings }

    /// Of the first ring behind that of the lifecycle.
    var firstBulkDescriptor: Int32 { rings.count > 1 ? rings[1].descriptor.raw : -1 }

    /// Rings behind that of the lifecycle.
    var bulkCount: Int { rings.count - 1 }

    /// Hands over, oldest first, the records that were stamped up to `limit` (ns since boot).
    ///
    /// With a limit of the current time, taken before the call, the records of one thread come in its
    /// own order even when it moved between CPUs: what it emitted before is finished and visible, or, in the
    /// lifecycle's ring, behind a record that another CPU still writes. There this ends, and the next call goes on.
    /// - Returns: how many were handed over.
    public func drain(until limit: UInt64, _ body: (RawSpan) -> Void) -> Int {
        for ring in rings { ring.refresh() }
        var count = 0
        if rings.count == 1 {
            count = drainOne(rings[0], until: limit, body)
            rings[0].release()
            return count
        }
        var heads = unsafe rings.map { unsafe $0.peek() }
        let waits = mayWait()
        var times = rings.indices.map { unsafe Self.time(heads[$0], rings[$0], waits && $0 == 0) }
        while true {
            // The earliest ring, and how far it leads: a run of records is taken without comparing again.
            var first = 0
            var second = UInt64.max
            for index in 1..<times.count {
                if times[index] < times[first] {
                    second = times[first]
                    first = index
                } else if times[index] < second {
                    second = times[index]
                }
            }
            guard times[first] <= limit, times[first] != .max, unsafe heads[first] != nil else { break }
            let ring = rings[first]
            var taken = 0
            while times[first] <= second, times[first] <= limit, let record = unsafe heads[first] {
                body(
                    unsafe RawSpan(
                        _unsafeStart: record.baseAddress.unsafelyUnwrapped, byteCount: record.count))
                unsafe ring.advance(past: record)
                taken += 1
                if taken & 63 == 0 { ring.release() }
                unsafe heads[first] = ring.peek()
                times[first] = unsafe Self.time(heads[first], ring, waits && first == 0)
            }
            ring.release()
            count += taken
        }
        for ring in rings { ring.release() }
        return count
    }

    private func drainOne(_ ring: Ring, until limit: UInt64, _ body: (RawSpan) -> Void) -> Int {
        var count = 0
        while let record = unsafe ring.peek(), unsafe Self.time(record) <= limit {
            body(unsafe RawSpan(_unsafeStart: record.baseAddress.unsafelyUnwrapped, byteCount: record.count))
            unsafe ring.advance(past: record)
            count += 1
            if count & 63 == 0 { ring.release() }
        }
        return count
    }

    /// Whether some ring is more than half full.
    public var isFilling: Bool { rings.contains { $0.pending > $0.size / 2 } }

    /// The lifecycle's ring has a record at its head that is still being written, and not for long.
    public var isUnfinished: Bool {
        unsafe rings[0].peek() == nil && rings[0].isUnfinished
            && (unfinishedSince == 0 || Self.now() &- unfinishedSince < Self.longestWait)
    }

    /// Whether a record that is being written is waited for.
    private func mayWait() -> Bool {
        guard unsafe rings[0].peek() == nil, rings[0].isUnfinished else {
            unfinishedSince = 0
            return true
        }
        let now = Self.now()
        if unfinishedSince == 0 { unfinishedSince = now }
        return now &- unfinishedSince < Self.longestWait
    }

    private static func now() -> UInt64 {
        var time = timespec()
        unsafe clock_gettime(CLOCK_BOOTTIME, &time)
        return UInt64(time.tv_sec) &* 1_000_000_000 &+ UInt64(time.tv_nsec)
    }

    /// Of what comes next from a ring: 0 for a record that is still being written and waited for, the greatest for none.
    @inline(__always)
    private static func time(_ record: UnsafeRawBufferPointer?, _ ring: Ring, _ waits: Bool) -> UInt64 {
        if unsafe record == nil, waits, ring.isUnfinished { return 0 }
        return unsafe time(record)
    }

    @inline(__always)
    private static func time(_ record: UnsafeRawBufferPointer?) -> UInt64 {
        guard let record = unsafe record, record.count >= 8 else { return unsafe record == nil ? .max : 0 }
        return unsafe record.loadUnaligned(as: UInt64.self)
    }
}
