internal import Glibc
internal import State

/// The processes that run now, from `/proc`.
enum RunningProcesses {
    /// A process and all that descend from it. Parents are re-read until nothing new is found, as
    /// processes fork meanwhile; later children follow in the kernel.
    static func tree(of root: UInt32) -> Set<UInt32> {
        var members: Set<UInt32> = [root]
        for _ in 0..<8 {
            let parents = parents()
            let before = members.count
            var hasGrown = true
            while hasGrown {
                hasGrown = false
                for (process, parent) in parents where members.contains(parent) {
                    if members.insert(process).inserted { hasGrown = true }
                }
            }
            if members.count == before { break }
        }
        return members
    }

    static func exists(_ process: UInt32) -> Bool { unsafe access("/proc/\(process)/stat", F_OK) == 0 }

    private static func parents() -> [UInt32: UInt32] {
        var parents: [UInt32: UInt32] = [:]
        for process in all() { parents[process] = ProcessStat(of: process)?.parent }
        return parents
    }

    /// All processes of the host.
    static func all() -> [UInt32] {
        guard let folder = unsafe opendir("/proc") else { return [] }
        defer { unsafe _ = closedir(folder) }
        var processes: [UInt32] = []
        while let entry = unsafe readdir(folder) {
            let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) {
                unsafe $0.withMemoryRebound(to: CChar.self, capacity: 256) { unsafe String(cString: $0) }
            }
            if let process = UInt32(name) { processes.append(process) }
        }
        return processes
    }

    struct Program: Equatable {
        var path: [UInt8]
        var mountNamespace: UInt32
    }

    /// What a process runs; nil for threads of the kernel, and for who is gone.
    static func program(of process: UInt32) -> Program? {
        var path = [CChar](repeating: 0, count: 4096)
        let length = unsafe readlink("/proc/\(process)/exe", &path, path.count)
        var namespace = stat()
        guard length > 0, length < path.count, unsafe stat("/proc/\(process)/ns/mnt", &namespace) == 0 else {
            return nil
        }
        return Program(
            path: path[..<length].map(UInt8.init(bitPattern:)),
            mountNamespace: UInt32(truncatingIfNeeded: namespace.st_ino))
    }
}
