public import Catalog
public import Events
internal import Glibc

/// The executables of processes, by (host number, start time). Fed by the lifecycle events; a process
/// that began before them is asked of `/proc` once. Bounded: the oldest half goes when it is full.
public final class ProcessTable {
    private struct Key: Hashable {
        let process: UInt32
        let start: UInt64
    }

    private var executables: [Key: [UInt8]] = [:]
    private var order: [Key] = []
    /// Processes forgotten because the table was full.
    public private(set) var evictions: UInt64 = 0
    private let limit: Int

    private let forkChild: (pid: Int, process: Int, start: Int)
    private let execPath: Int

    public init(limit: Int = 32768, catalog: Catalog = .builtIn) {
        self.limit = limit
        let fork = catalog["sched_process_fork"]?.fields.map(\.name) ?? []
        let place = { (name: String) in fork.firstIndex(of: name) ?? 0 }
        forkChild = (place("child_tid"), place("child_pid"), place("start_time"))
        execPath = catalog["sched_process_exec"]?.fields.firstIndex { $0.name == "pathname" } ?? 0
    }

    /// Takes a lifecycle event in. Returns the process whose executable changed, if one did.
    public func update(_ event: EventView) -> UInt32? {
        switch event.event {
        case .sched_process_exec:
            let key = Key(process: event.hostProcess, start: event.processStart)
            if let blob = event.blob(execPath) { set(key, Self.bytes(blob.bytes)) } else { set(key, []) }
            return event.hostProcess
        case .sched_process_fork:
            guard let thread = event.value(forkChild.pid), let process = event.value(forkChild.process),
                let start = event.value(forkChild.start), thread == process
            else { return nil }
            let parent = Key(process: event.hostProcess, start: event.processStart)
            if let path = executables[parent] {
                set(Key(process: UInt32(truncatingIfNeeded: process), start: start), path)
            }
            return nil
        default:
            return nil
        }
    }

    /// Path of a process's executable; empty when it is not known.
    public func executable(process: UInt32, start: UInt64) -> [UInt8] {
        let key = Key(process: process, start: start)
        if let known = executables[key] { return known }
        let found = Self.ask(process, start: start)
        set(key, found)
        return found
    }

    private func set(_ key: Key, _ path: [UInt8]) {
        if executables.updateValue(path, forKey: key) == nil { order.append(key) }
        guard executables.count > limit else { return }
        let half = order.count / 2
        for key in order[..<half] { executables[key] = nil }
        order.removeFirst(half)
        evictions += UInt64(half)
    }

    /// Reads `/proc/PID/exe`, if the process there is the one that started then: a number is used again.
    private static func ask(_ process: UInt32, start: UInt64) -> [UInt8] {
        guard ProcessStat(of: process)?.startTicks == start / ProcessStat.tickNanoseconds else { return [] }
        var buffer = [UInt8](repeating: 0, count: 4096)
        let count = unsafe buffer.withUnsafeMutableBytes { bytes in
            unsafe readlink(
                "/proc/\(process)/exe",
                bytes.baseAddress.unsafelyUnwrapped.assumingMemoryBound(to: CChar.self), bytes.count)
        }
        guard count > 0 else { return [] }
        let path = buffer[..<count]
        let deleted = Array(" (deleted)".utf8)
        return Array(path.suffix(deleted.count) == deleted[...] ? path.dropLast(deleted.count) : path)
    }

    private static func bytes(_ span: RawSpan) -> [UInt8] {
        unsafe span.withUnsafeBytes { unsafe Array($0) }
    }
}
