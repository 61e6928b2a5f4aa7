internal import Glibc

/// What goes to the terminal beside events.
enum Console {
    static func out(_ text: String) { write(text, STDOUT_FILENO) }

    /// A line on standard error, marked as ours.
    static func note(_ text: String) { write("apus: \(text)\n", STDERR_FILENO) }

    /// A line on standard error that says itself where it is from, as `FILE:LINE:COLUMN: error: ...`.
    static func complain(_ text: String) { write(text + "\n", STDERR_FILENO) }

    private static func write(_ text: String, _ descriptor: Int32) {
        var text = text
        text.withUTF8 { bytes in
            var at = 0
            while at < bytes.count {
                let count = unsafe Glibc.write(
                    descriptor, bytes.baseAddress.unsafelyUnwrapped + at, bytes.count - at)
                if count <= 0 && errno != EINTR { return }
                at += max(0, count)
            }
        }
    }
}

/// What was wrong with the command line.
struct UsageError: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}
