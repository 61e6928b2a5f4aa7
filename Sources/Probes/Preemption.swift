internal import CSystem
internal import Glibc

/// Whether the kernel lets another task run in the middle of a BPF program.
///
/// It then refuses to run the program for that task, so that events are missing. Programs of trampolines,
/// of BTF tracepoints and of the perf tracepoints of single system calls are affected (seen on 7.2); those
/// of kprobes and of the perf tracepoints of `raw_syscalls` are not. `present` means that programs run
/// undisturbed.
enum Preemption {
    static var state: FeatureState {
        var name = utsname()
        unsafe uname(&name)
        guard text(&name.version).contains("PREEMPT") else { return .present }
        let release = text(&name.release)
        // What is in force, where that file may be read: `none voluntary (full) lazy`.
        if let line = words("/sys/kernel/debug/sched/preempt"),
            let chosen = line.first(where: { $0.hasPrefix("(") })
        {
            return state(ofMode: chosen.dropFirst().dropLast())
        }
        // What the kernel was told at boot, and else how it was built.
        if let told = words("/proc/cmdline")?.last(where: { $0.hasPrefix("preempt=") }) {
            return state(ofMode: told.dropFirst("preempt=".count))
        }
        if let built = words("/boot/config-\(release)") ?? configuration() {
            let isCalm =
                built.contains("CONFIG_PREEMPT_NONE=y") || built.contains("CONFIG_PREEMPT_VOLUNTARY=y")
            return isCalm ? .present : preemptible
        }
        return preemptible
    }

    private static func state(ofMode mode: Substring) -> FeatureState {
        mode == "none" || mode == "voluntary" ? .present : preemptible
    }

    private static var preemptible: FeatureState {
        .absent("this kernel preempts programs: hooks are taken that it does not, where there are such")
    }

    private static func words(_ path: String) -> [Substring]? {
        guard let bytes = readFile(path, limit: 1 << 20), !bytes.isEmpty else { return nil }
        return String(decoding: bytes, as: UTF8.self).split(whereSeparator: { $0 == " " || $0 == "\n" })
    }

    /// The kernel's own copy of its configuration, where it has one.
    private static func configuration() -> [Substring]? {
        var bytes = [UInt8](repeating: 0, count: 1 << 20)
        let count = unsafe bytes.withUnsafeMutableBytes {
            unsafe apus_read_gzip("/proc/config.gz", $0.baseAddress, $0.count)
        }
        guard count > 0 else { return nil }
        return String(decoding: bytes[..<Int(count)], as: UTF8.self).split(separator: "\n")
    }

    private static func text<T>(_ bytes: inout T) -> String {
        unsafe withUnsafeBytes(of: &bytes) { bytes in
            unsafe String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
        }
    }
}
