internal import CContract
public import Catalog

/// A record as it lies in ring or file memory. It reads fields where they are asked for and copies
/// nothing; it cannot outlive the memory. Construction checks every length once, so that reading a
/// hostile record stays inside it.
public struct EventView: ~Escapable {
    private let bytes: RawSpan
    private let valueCount: Int
    /// Bit set of policies; 0 when the record is for the state stores only. The kernel's, until those are
    /// taken out that user space decided against.
    public var policies: UInt64

    private static let headerBytes = MemoryLayout<apus_record>.size

    /// Nil when the bytes are no whole record.
    @inline(__always)
    @_lifetime(copy bytes)
    public init?(_ bytes: RawSpan) {
        guard bytes.byteCount >= Self.headerBytes else { return nil }
        let size = Int(unsafe bytes.unsafeLoadUnaligned(fromByteOffset: 12, as: UInt32.self))
        let count = Int(unsafe bytes.unsafeLoadUnaligned(fromByteOffset: 99, as: UInt8.self))
        guard size <= bytes.byteCount, Self.headerBytes + count * 8 <= size else { return nil }
        self.bytes = bytes.extracting(first: size)
        valueCount = count
        policies = unsafe bytes.unsafeLoadUnaligned(fromByteOffset: 16, as: UInt64.self)
    }

    /// Reads a header field; the offsets are those of `struct apus_record`, asserted in the tests.
    @inline(__always)
    private func load<T: BitwiseCopyable>(_ offset: Int, as type: T.Type) -> T {
        unsafe bytes.unsafeLoadUnaligned(fromByteOffset: offset, as: T.self)
    }

    /// Nanoseconds since boot.
    @inline(__always) public var time: UInt64 { load(0, as: UInt64.self) }
    @inline(__always) public var event: EventID { EventID(rawValue: load(8, as: UInt32.self)) }
    @inline(__always) public var cgroup: UInt64 { load(24, as: UInt64.self) }
    @inline(__always) public var threadStart: UInt64 { load(32, as: UInt64.self) }
    @inline(__always) public var processStart: UInt64 { load(40, as: UInt64.self) }
    @inline(__always) public var parentStart: UInt64 { load(48, as: UInt64.self) }
    @inline(__always) public var hostThread: UInt32 { load(56, as: UInt32.self) }
    @inline(__always) public var hostProcess: UInt32 { load(60, as: UInt32.self) }
    @inline(__always) public var hostParent: UInt32 { load(64, as: UInt32.self) }
    @inline(__always) public var thread: UInt32 { load(68, as: UInt32.self) }
    @inline(__always) public var process: UInt32 { load(72, as: UInt32.self) }
    @inline(__always) public var parent: UInt32 { load(76, as: UInt32.self) }
    @inline(__always) public var user: UInt32 { load(80, as: UInt32.self) }
    @inline(__always) public var mountNamespace: UInt32 { load(84, as: UInt32.self) }
    @inline(__always) public var pidNamespace: UInt32 { load(88, as: UInt32.self) }
    /// Number of the system call in progress; -1 for none.
    @inline(__always) public var systemCall: Int32 { load(92, as: Int32.self) }
    @inline(__always) public var processor: UInt16 { load(96, as: UInt16.self) }
    /// A 32-bit system call is in progress.
    @inline(__always) public var isCompat: Bool { load(98, as: UInt8.self) & UInt8(APUS_RECORD_COMPAT) != 0 }
    /// Number of the plan that judged it, whose policies ``policies`` are.
    @inline(__always) public var plan: UInt32 { load(100, as: UInt32.self) }
    /// The kernel's filters were not asked.
    @inline(__always) public var isUndecided: Bool {
        load(98, as: UInt8.self) & UInt8(APUS_RECORD_UNDECIDED) != 0
    }
    /// Name of the thread: 16 bytes with at least one NUL, or whatever was sent.
    @inline(__always) public var name: RawSpan {
        @_lifetime(copy self) get { Self.untilNUL(bytes.extracting(104..<120)) }
    }

    /// What identifies the thread and what the output says of it, to compare quickly.
    @inline(__always) public var identity: ThreadIdentity {
        ThreadIdentity(
            threadStart: threadStart, processStart: processStart, parentStart: parentStart,
            threads: load(56, as: UInt64.self), hostParentAndThread: load(64, as: UInt64.self),
            processAndParent: load(72, as: UInt64.self), user: user,
            name: (load(104, as: UInt64.self), load(112, as: UInt64.self)))
    }

    /// The 64-bit value of a field: the scalar itself, or the address that a pointer held.
    /// Nil when the record has fewer fields than the catalogue says.
    @inline(__always)
    public func value(_ field: Int) -> UInt64? {
        guard field >= 0, field < valueCount else { return nil }
        return load(Self.headerBytes + field * 8, as: UInt64.self)
    }

    /// What was read through the pointer of a field; nil when nothing was.
    @inline(__always)
    @_lifetime(copy self)
    public func blob(_ field: Int) -> BlobView? {
        var at = Self.headerBytes + valueCount * 8
        while at + 8 <= bytes.byteCount {
            let length = Int(load(at + 4, as: UInt32.self))
            guard length <= bytes.byteCount - at - 8 else { return nil }
            if Int(load(at, as: UInt8.self)) == field {
                return BlobView(
                    bytes: bytes.extracting(at + 8..<at + 8 + length), flags: load(at + 1, as: UInt8.self),
                    count: load(at + 2, as: UInt16.self))
            }
            at += 8 + (length + 7) & ~7
        }
        return nil
    }

    /// The text of a string field; nil when it was not read. What a call wrote with a length may
    /// count the NUL at its end, which is no part of the text.
    @inline(__always)
    @_lifetime(copy self)
    public func string(_ field: Int) -> RawSpan? {
        guard let blob = blob(field) else { return nil }
        let bytes = blob.bytes
        let count = bytes.byteCount
        if count > 0, unsafe bytes.unsafeLoad(fromByteOffset: count - 1, as: UInt8.self) == 0 {
            return bytes.extracting(first: count - 1)
        }
        return bytes
    }

    @inline(__always)
    @_lifetime(copy bytes)
    static func untilNUL(_ bytes: RawSpan) -> RawSpan {
        var length = 0
        while length < bytes.byteCount, unsafe bytes.unsafeLoad(fromByteOffset: length, as: UInt8.self) != 0 {
            length += 1
        }
        return bytes.extracting(first: length)
    }

    /// Bytes of the whole record.
    public var byteCount: Int { bytes.byteCount }
}

/// What was read through a pointer.
public struct BlobView: ~Escapable {
    public let bytes: RawSpan
    private let flags: UInt8
    /// Elements of a string array; 1 otherwise.
    public let count: UInt16

    @_lifetime(copy bytes)
    init(bytes: RawSpan, flags: UInt8, count: UInt16) {
        self.bytes = bytes
        self.flags = flags
        self.count = count
    }

    /// There was more than the limit.
    public var isTruncated: Bool { flags & UInt8(APUS_BLOB_TRUNCATED) != 0 }
    /// An input that was not in memory at entry and was read at exit.
    public var wasReadAtExit: Bool { flags & UInt8(APUS_BLOB_AT_EXIT) != 0 }

    /// Calls the body with each NUL-terminated string, without its NUL.
    @inline(__always)
    public func forEachString(_ body: (RawSpan) -> Void) {
        var at = 0
        for _ in 0..<count {
            guard at < bytes.byteCount else { return }
            let string = EventView.untilNUL(bytes.extracting(droppingFirst: at))
            body(string)
            at += string.byteCount + 1
        }
    }
}

/// Everything about a thread that the output shows, as integers.
public struct ThreadIdentity: Equatable, Sendable {
    public var threadStart: UInt64
    public var processStart: UInt64
    public var parentStart: UInt64
    var threads: UInt64
    var hostParentAndThread: UInt64
    var processAndParent: UInt64
    public var user: UInt32
    var name: (UInt64, UInt64)

    public static let none = ThreadIdentity(
        threadStart: 0, processStart: 0, parentStart: 0, threads: 0, hostParentAndThread: 0,
        processAndParent: 0, user: 0, name: (0, 0))

    public var hostThread: UInt32 { UInt32(truncatingIfNeeded: threads) }
    public var hostProcess: UInt32 { UInt32(truncatingIfNeeded: threads >> 32) }
    public var hostParent: UInt32 { UInt32(truncatingIfNeeded: hostParentAndThread) }
    public var thread: UInt32 { UInt32(truncatingIfNeeded: hostParentAndThread >> 32) }
    public var process: UInt32 { UInt32(truncatingIfNeeded: processAndParent) }
    public var parent: UInt32 { UInt32(truncatingIfNeeded: processAndParent >> 32) }

    @inline(__always)
    public static func == (a: Self, b: Self) -> Bool {
        a.threadStart == b.threadStart && a.threads == b.threads && a.name.0 == b.name.0
            && a.name.1 == b.name.1 && a.processStart == b.processStart && a.parentStart == b.parentStart
            && a.hostParentAndThread == b.hostParentAndThread && a.processAndParent == b.processAndParent
            && a.user == b.user
    }
}
