/// Seconds and nanoseconds as the kernel takes and gives them: what a caller gives may be no time.
public struct Timespec: Sendable {
    public let seconds: Int64
    public let nanoseconds: Int64

    /// 16 bytes, or 8 of a 32-bit caller. Nil for fewer.
    public init?(_ bytes: RawSpan) {
        switch bytes.byteCount {
        case 16...:
            seconds = unsafe bytes.unsafeLoadUnaligned(fromByteOffset: 0, as: Int64.self)
            nanoseconds = unsafe bytes.unsafeLoadUnaligned(fromByteOffset: 8, as: Int64.self)
        case 8:
            seconds = Int64(unsafe bytes.unsafeLoadUnaligned(fromByteOffset: 0, as: Int32.self))
            nanoseconds = Int64(unsafe bytes.unsafeLoadUnaligned(fromByteOffset: 4, as: Int32.self))
        default: return nil
        }
    }

    /// Since 1970, and with no more nanoseconds than a second has.
    public var isTime: Bool { seconds >= 0 && (0..<1_000_000_000).contains(nanoseconds) }
}
