internal import Glibc

/// Two of the numbers in `/proc/PID/stat`.
public struct ProcessStat: Sendable {
    public let parent: UInt32
    /// Start since boot in clock ticks.
    public let startTicks: UInt64

    /// Nil where there is no such process.
    public init?(of process: UInt32) {
        let descriptor = unsafe open("/proc/\(process)/stat", O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var buffer = [UInt8](repeating: 0, count: 1024)
        let count = unsafe buffer.withUnsafeMutableBytes { unsafe read(descriptor, $0.baseAddress, $0.count) }
        guard count > 0, let line = StatLine(Array(buffer[..<count])) else { return nil }
        parent = line.parent
        startTicks = line.startTicks
    }
}
