internal import CSystem
internal import Glibc

/// The kernel's tracing file system: the system calls that this kernel has, and their tracepoints.
public struct Tracefs: ~Copyable {
    private let directory: OwnedDescriptor

    public init() throws(ProbeError) {
        let descriptor = apus_open_tracefs()
        guard descriptor >= 0 else {
            throw ProbeError("tracefs is neither mounted nor mountable (\(BPFObject.errnoText(-descriptor)))")
        }
        directory = OwnedDescriptor(descriptor)
    }

    /// Names, as in the kernel's definitions, of the system calls that have tracepoints.
    public borrowing func systemCalls() throws(ProbeError) -> Set<String> {
        let descriptor = unsafe openat(directory.raw, "events/syscalls", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else {
            throw ProbeError("tracefs has no events/syscalls: the kernel lacks CONFIG_FTRACE_SYSCALLS")
        }
        guard let stream = unsafe fdopendir(descriptor) else {
            close(descriptor)
            throw ProbeError("events/syscalls of tracefs cannot be listed")
        }
        defer { unsafe _ = closedir(stream) }
        var names: Set<String> = []
        while let entry = unsafe readdir(stream) {
            let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) {
                unsafe $0.withMemoryRebound(to: CChar.self, capacity: 256) { unsafe String(cString: $0) }
            }
            if name.hasPrefix("sys_enter_") { names.insert(String(name.dropFirst("sys_enter_".count))) }
        }
        return names
    }

    /// The number by which perf names a tracepoint of a system call.
    borrowing func tracepointID(_ definitionName: String, isExit: Bool) throws(ProbeError) -> UInt64 {
        let path = "events/syscalls/sys_\(isExit ? "exit" : "enter")_\(definitionName)/id"
        let descriptor = unsafe openat(directory.raw, path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw ProbeError("this kernel has no tracepoint \(path)") }
        let owned = OwnedDescriptor(descriptor)
        let text = String(decoding: readAll(owned.raw, limit: 64) ?? [], as: UTF8.self)
        guard let id = UInt64(text.prefix { $0.isNumber }) else {
            throw ProbeError("\(path) holds no number")
        }
        return id
    }
}
