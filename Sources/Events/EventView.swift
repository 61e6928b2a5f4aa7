internal import CContract
public import Catalog

/// A record as it lies in ring or file memory. It reads fields where they are asked for and copies
/// nothing; it cannot outlive the memory. Construction checks every length once, so that reading a
/// hostile record stays inside it.
public struct EventView: ~Escapable {
    private let bytes: RawSpan
    /// Values before the blobs, and how many of them are fields of the event.
    private let valueCount: Int
    private let fieldCount: Int
    /// A bit for each field that has no value in this record.
    private let absent: UInt64
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
        let flags = unsafe bytes.unsafeLoadUnaligned(fromByteOffset: 98, as: UInt8.self)
        var fields = count
        var absent: UInt64 = 0
        if flags & UInt8(APUS_RECORD_TIMED | APUS_RECORD_ABSENT) != 0 {
            if flags & UInt8(APUS_RECORD_TIMED) != 0 { fields -= 1 }
            if flags & UInt8(APUS_RECORD_ABSENT) != 0 { fields -= 1 }
            guard fields >= 0 else { return nil }
            if flags & UInt8(APUS_RECORD_ABSENT) != 0 {
                absent = unsafe bytes.unsafeLoadUnaligned(
                    fromByteOffset: Self.headerBytes + (count - 1) * 8, as: UInt64.self)
            }
        }
        self.bytes = bytes.extracting(first: size)
        valueCount = count
        fieldCount = fields
        self.absent = absent
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
    /// Nil when the record has fewer fields than the catalogue says, or this one does not apply.
    @inline(__always)
    public func value(_ field: Int) -> UInt64? {
        guard field >= 0, field < fieldCount, absent >> UInt64(field) & 1 == 0 else { return nil }
        return load(Self.headerBytes + field * 8, as: UInt64.self)
    }

    /// Nanoseconds from a system call's entry to its return, by the clock on the wall. Nil where nobody asked for it or
    /// the call had begun before it could be seen, and for what is no call.
    @inline(__always)
    public var duration: UInt64? {
        guard load(98, as: UInt8.self) & UInt8(APUS_RECORD_TIMED) != 0 else { return nil }
        let entered = load(Self.headerBytes + fieldCount * 8, as: UInt64.self)
        return time >= entered ? time - entered : nil
    }

    /// What was read through the pointer of a field; nil when nothing was. What was read twice, as the call changes it or
    /// not all of it was in memory before, is as it was read last.
    @inline(__always)
    @_lifetime(copy self)
    public func blob(_ field: Int) -> BlobView? {
        var at = Self.headerBytes + valueCount * 8
        var found: Int?
        while let next = end(ofBlobAt: at) {
            let flags = load(at + 1, as: UInt8.self)
            if Int(load(at, as: UInt8.self)) == field && flags & BlobView.plainMask == 0 { found = at }
            at = next
        }
        guard let found else { return nil }
        return view(ofBlobAt: found)
    }

    /// Of what a call changes, what it was given; nil where that was not read.
    @_lifetime(copy self)
    public func given(_ field: Int) -> BlobView? {
        first(field, BlobView.plainMask | UInt8(APUS_BLOB_RESULT), equals: 0)
    }

    /// The 32 bits at `offset` in what a call was given, for a blob of what it left, and the other way round; nil where that
    /// was not read, as behind pointers in structures, and where a failed call left nothing.
    public func changed(_ offset: Int, in blob: borrowing BlobView) -> Int32? {
        guard blob.level == 0, let other = blob.isResult ? given(blob.field) : self.blob(blob.field),
            other.isResult != blob.isResult, offset >= 0, offset + 4 <= other.bytes.byteCount,
            blob.isResult || Int64(bitPattern: value(fieldCount - 1) ?? 0) >= 0
        else { return nil }
        return unsafe other.bytes.unsafeLoadUnaligned(fromByteOffset: offset, as: Int32.self)
    }

    /// What the descriptor that a field is was open on: an argument when the call was entered, a result when it returned.
    /// Nil where it was not open or nobody asked.
    @_lifetime(copy self)
    public func descriptor(_ field: Int) -> DescriptorView? {
        guard let blob = first(field, BlobView.plainMask, equals: UInt8(APUS_BLOB_DESCRIPTOR)),
            blob.count == 1
        else { return nil }
        return DescriptorView(blob)
    }

    /// The same of a descriptor by its number, which stands in what a field points at.
    @_lifetime(copy self)
    public func descriptor(_ number: Int64, in field: Int) -> DescriptorView? {
        var at = Self.headerBytes + valueCount * 8
        while let next = end(ofBlobAt: at) {
            if Int(load(at, as: UInt8.self)) == field, let found = heldDescriptor(at),
                Int64(found.number) == number
            {
                return found
            }
            at = next
        }
        return nil
    }

    /// Whether what a field points at has more descriptors than were told.
    public func hasMoreDescriptors(in field: Int) -> Bool {
        var at = Self.headerBytes + valueCount * 8
        while let next = end(ofBlobAt: at) {
            if load(at + 1, as: UInt8.self) == UInt8(APUS_BLOB_DESCRIPTOR | APUS_BLOB_TRUNCATED) {
                return Int(load(at, as: UInt8.self)) <= field
            }
            at = next
        }
        return false
    }

    /// `at` must be that of a whole blob.
    @_lifetime(copy self)
    private func heldDescriptor(_ at: Int) -> DescriptorView? {
        guard load(at + 1, as: UInt8.self) == UInt8(APUS_BLOB_DESCRIPTOR), load(at + 2, as: UInt16.self) == 0
        else { return nil }
        return DescriptorView(view(ofBlobAt: at))
    }

    /// The first blob of a field whose flags are those, of the flags in a mask.
    @_lifetime(copy self)
    private func first(_ field: Int, _ mask: UInt8, equals flags: UInt8) -> BlobView? {
        var at = Self.headerBytes + valueCount * 8
        while let next = end(ofBlobAt: at) {
            if Int(load(at, as: UInt8.self)) == field, load(at + 1, as: UInt8.self) & mask == flags {
                return view(ofBlobAt: at)
            }
            at = next
        }
        return nil
    }

    /// A part of what is told of a descriptor.
    @_lifetime(copy self)
    public func part(_ part: DescriptorView.Part, of descriptor: borrowing DescriptorView) -> BlobView? {
        blob(behind: descriptor.blob, at: Int(part.rawValue))
    }

    /// What the pointer at an offset of a blob leads to; nil when nothing was read there.
    @_lifetime(copy self)
    public func blob(behind parent: borrowing BlobView, at offset: Int) -> BlobView? {
        var at = parent.end
        while let next = end(ofBlobAt: at) {
            let level = load(at + 1, as: UInt8.self) & BlobView.levelMask
            guard level > parent.level else { return nil }
            if level == parent.level + BlobView.levelStep, Int(load(at + 2, as: UInt16.self)) == offset {
                return view(ofBlobAt: at)
            }
            at = next
        }
        return nil
    }

    /// Where the next one is; nil where there is no whole blob.
    @inline(__always)
    private func end(ofBlobAt at: Int) -> Int? {
        guard at + 8 <= bytes.byteCount else { return nil }
        let length = Int(load(at + 4, as: UInt32.self))
        guard length <= bytes.byteCount - at - 8 else { return nil }
        return at + 8 + (length + 7) & ~7
    }

    /// `at` must be that of a whole blob.
    @inline(__always)
    @_lifetime(copy self)
    private func view(ofBlobAt at: Int) -> BlobView {
        let length = Int(load(at + 4, as: UInt32.self))
        return BlobView(
            field: Int(load(at, as: UInt8.self)), bytes: bytes.extracting(at + 8..<at + 8 + length),
            flags: load(at + 1, as: UInt8.self),
            count: load(at + 2, as: UInt16.self), end: at + 8 + (length + 7) & ~7)
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

    /// Text in so many bytes, which a NUL ends if there is one.
    @inline(__always)
    @_lifetime(copy bytes)
    package static func untilNUL(_ bytes: RawSpan) -> RawSpan {
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
    /// The field that led to it, perhaps by way of another blob.
    public let field: Int
    public let bytes: RawSpan
    private let flags: UInt8
    /// Elements of a string array; 1 otherwise.
    public let count: UInt16
    /// Where the next blob of the record begins.
    fileprivate let end: Int

    fileprivate static let levelStep = UInt8(1 << APUS_BLOB_LEVEL_SHIFT)
    fileprivate static let levelMask = UInt8(APUS_BLOB_LEVELS << APUS_BLOB_LEVEL_SHIFT)
    /// A field's own has none of these.
    fileprivate static let plainMask = levelMask | UInt8(APUS_BLOB_DESCRIPTOR)

    @_lifetime(copy bytes)
    fileprivate init(field: Int, bytes: RawSpan, flags: UInt8, count: UInt16, end: Int) {
        self.field = field
        self.bytes = bytes
        self.flags = flags
        self.count = count
        self.end = end
    }

    /// How many pointers away it is from the field's own.
    fileprivate var level: UInt8 { flags & Self.levelMask }

    /// It is what a call left of what it was given.
    public var isResult: Bool { flags & UInt8(APUS_BLOB_RESULT) != 0 }
    /// There was more than the limit.
    public var isTruncated: Bool { flags & UInt8(APUS_BLOB_TRUNCATED) != 0 }
    /// Of a string array: an ellipsis stands for each string that was not in memory.
    public var hasGaps: Bool { flags & UInt8(APUS_BLOB_GAPS) != 0 }
    /// Whether a string of an array that ``hasGaps`` is such an ellipsis.
    public static func isGap(_ string: RawSpan) -> Bool {
        guard string.byteCount == 3 else { return false }
        let first = unsafe string.unsafeLoadUnaligned(as: UInt16.self)
        return unsafe first == 0x80e2 && string.unsafeLoad(fromByteOffset: 2, as: UInt8.self) == 0xa6
    }
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
