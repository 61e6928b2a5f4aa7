/// A name of a constant, in memory that is always there.
@safe public struct SymbolName: @unchecked Sendable {  // Bytes of the binary, which nobody changes.
    private let start: UnsafePointer<CChar>
    private let count: Int

    /// `count` bytes must stand there as long as the process runs.
    @unsafe init(_ start: UnsafePointer<CChar>, _ count: Int) {
        unsafe self.start = start
        self.count = count
    }

    /// The name's bytes: capital letters, digits and `_`. They stay, so the span may be kept.
    public var bytes: RawSpan {
        @_lifetime(immortal)
        get {
            let span = unsafe RawSpan(_unsafeStart: UnsafeRawPointer(start), byteCount: count)
            return unsafe _overrideLifetime(span, copying: ())
        }
    }

    /// For what is done once, as it may allocate.
    public var text: String {
        unsafe String(
            decoding: UnsafeRawBufferPointer(start: UnsafeRawPointer(start), count: count), as: UTF8.self)
    }

    func equals(_ utf8: String.UTF8View) -> Bool {
        guard utf8.count == count else { return false }
        return unsafe UnsafeRawBufferPointer(start: UnsafeRawPointer(start), count: count).elementsEqual(utf8)
    }
}
