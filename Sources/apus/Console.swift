internal import Glibc

/// What goes to the terminal beside events.
enum Console {
    static func out(_ text: String) { write(text, STDOUT_FILENO) }

    /// A line on standard error, marked as ours.
    static func note(_ text: String) { write("apus: \(text)\n", STDERR_FILENO) }

    /// A line on standard error that says itself where it is from, as `FILE:LINE:COLUMN: error: ...`.
    static func complain(_ text: String) { write(text + "\n", STDERR_FILENO) }

    private static func write(_ text: String, _ descriptor: Int32) {
        _ = write(Array(text.utf8), to: descriptor)
    }

    /// Writes all of it, however often that takes. False where it cannot be written; errno says why.
    static func write(_ bytes: [UInt8], to descriptor: Int32) -> Bool {
        unsafe bytes.withUnsafeBytes { bytes in
            var at = 0
            while at < bytes.count {
                let rest = unsafe UnsafeRawBufferPointer(rebasing: bytes[at...])
                let count = unsafe Glibc.write(descriptor, rest.baseAddress, rest.count)
                if count < 0, errno == EINTR { continue }
                guard count > 0 else { return false }
                at += count
            }
            return true
        }
    }
}

/// What was wrong with the command line.
struct UsageError: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}
