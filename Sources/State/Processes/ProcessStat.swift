internal import Glibc

/// Two of the numbers in `/proc/PID/stat`.
public struct ProcessStat: Sendable {
    public let parent: UInt32
    /// Start since boot in clock ticks.
    public let startTicks: UInt64

    /// Clock ticks are this long.
    public static let tickNanoseconds = 1_000_000_000 / UInt64(max(1, sysconf(Int32(_SC_CLK_TCK))))

    /// Nil where there is no such process. The name, which may hold anything, ends at the last
    /// parenthesis; fields 4 and 22 are counted from there (proc(5)).
    public init?(of process: UInt32) {
        let descriptor = unsafe open("/proc/\(process)/stat", O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var buffer = [UInt8](repeating: 0, count: 1024)
        let count = unsafe buffer.withUnsafeMutableBytes { unsafe read(descriptor, $0.baseAddress, $0.count) }
        guard count > 0, let name = buffer[..<count].lastIndex(of: UInt8(ascii: ")")) else { return nil }
        let fields = buffer[(name + 1)..<count].split(separator: UInt8(ascii: " "))
        guard fields.count > 19, let parent = UInt32(String(decoding: fields[1], as: UTF8.self)),
            let start = UInt64(String(decoding: fields[19], as: UTF8.self))
        else { return nil }
        self.parent = parent
        startTicks = start
    }
}
