internal import Glibc

/// The host: its system, its kernel, since when it runs, and the namespaces of its first process. Read once; what
/// cannot be read is nil.
public struct HostSystem: Sendable {
    /// Of `os-release` (os-release(5)). Names may be any text, of 1,024 bytes at most.
    public struct Release: Equatable, Sendable {
        /// `debian`; `linux` where the file names none, as the manual page says.
        public var id = "linux"
        /// `12`
        public var version: String?
        /// `Debian GNU/Linux 12 (bookworm)`
        public var name: String?
        public init() {}
    }

    /// Inode numbers of namespaces (namespaces(7)).
    public struct Namespaces: Equatable, Sendable {
        public var cgroup: UInt32?
        public var ipc: UInt32?
        public var mount: UInt32?
        public var network: UInt32?
        public var pid: UInt32?
        public var time: UInt32?
        public var user: UInt32?
        public var uts: UInt32?
        public init() {}

        /// Of a process. Nil for what is not there, and for all where its owner is another and we are not root.
        public init(ofProcess process: UInt32, procRoot: String = "/proc") {
            let number = { (name: String) -> UInt32? in
                var information = stat()
                guard unsafe stat("\(procRoot)/\(process)/ns/\(name)", &information) == 0 else { return nil }
                return UInt32(truncatingIfNeeded: information.st_ino)
            }
            cgroup = number("cgroup")
            ipc = number("ipc")
            mount = number("mnt")
            network = number("net")
            pid = number("pid")
            time = number("time")
            user = number("user")
            uts = number("uts")
        }
    }

    public var release: Release?
    /// `6.12.48`
    public var kernelRelease: String
    /// What `uname -v` says.
    public var kernelVersion: String
    /// `x86_64`
    public var architecture: String
    public var hostName: String
    /// Seconds from 1970 to boot, as the kernel has it (`btime` in `/proc/stat`).
    public var bootSecond: UInt64?
    /// Nanoseconds from 1970 to boot: the difference of two clocks, now. It moves where the date is set.
    public var bootTime: UInt64
    /// Another one for each boot: a UUID.
    public var bootID: String?
    /// Of machine-id(5): 32 hexadecimal digits.
    public var machineID: String?
    /// Of process 1.
    public var namespaces: Namespaces
    /// CPUs in use, 1 at least.
    public var processors: Int

    /// - Parameter root: what stands before the paths of all files.
    public init(root: String = "") {
        release = ["/etc/os-release", "/usr/lib/os-release"].lazy
            .compactMap { Self.resolved(root + $0) }.compactMap { Self.read($0, limit: 64 << 10) }.first
            .map(Self.release)
        var name = utsname()
        unsafe uname(&name)
        kernelRelease = unsafe withUnsafeBytes(of: &name.release) { unsafe Self.text($0) }
        kernelVersion = unsafe withUnsafeBytes(of: &name.version) { unsafe Self.text($0) }
        architecture = unsafe withUnsafeBytes(of: &name.machine) { unsafe Self.text($0) }
        hostName = unsafe withUnsafeBytes(of: &name.nodename) { unsafe Self.text($0) }
        bootSecond = Self.read(root + "/proc/stat", limit: 4 << 20).flatMap(Self.bootSecond)
        bootTime = Self.bootTime()
        bootID = Self.read(root + "/proc/sys/kernel/random/boot_id", limit: 256)
            .flatMap { Self.word($0, digits: 32) }
        machineID = Self.read(root + "/etc/machine-id", limit: 256).flatMap { Self.word($0, digits: 32) }
        namespaces = Namespaces(ofProcess: 1, procRoot: root + "/proc")
        processors = max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN)))
    }

    private static func read(_ path: String, limit: Int) -> [UInt8]? {
        try? BoundedFile.read(path, limit: limit)
    }

    /// Where links lead: `/etc/os-release` is one nearly everywhere.
    private static func resolved(_ path: String) -> String? {
        guard let real = unsafe realpath(path, nil) else { return nil }
        defer { unsafe free(real) }
        return unsafe String(cString: real)
    }

    private static func text(_ bytes: UnsafeRawBufferPointer) -> String {
        unsafe String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
    }

    /// The difference of the closest of some readings: the two clocks cannot be read at once.
    private static func bootTime() -> UInt64 {
        var best: UInt64 = .max
        var result: UInt64 = 0
        for _ in 0..<8 {
            let before = ProcessSnapshot.now()
            var time = timespec()
            unsafe clock_gettime(CLOCK_REALTIME, &time)
            let after = ProcessSnapshot.now()
            let real = UInt64(max(0, time.tv_sec)) &* 1_000_000_000 &+ UInt64(max(0, time.tv_nsec))
            guard after >= before, after - before < best else { continue }
            best = after - before
            let boot = before + best / 2
            result = real > boot ? real - boot : 0
        }
        return result
    }

    static func bootSecond(_ stat: [UInt8]) -> UInt64? {
        for line in stat.split(separator: UInt8(ascii: "\n")) where line.starts(with: "btime ".utf8) {
            return UInt64(String(decoding: line.dropFirst("btime ".utf8.count), as: UTF8.self))
        }
        return nil
    }

    /// The first line, if it is hexadecimal digits, so many, and dashes.
    static func word(_ bytes: [UInt8], digits: Int) -> String? {
        let line = bytes.prefix { $0 != UInt8(ascii: "\n") }
        let isDigit = { (byte: UInt8) in
            (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
                || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains(byte)
        }
        guard line.count(where: isDigit) == digits,
            line.allSatisfy({ isDigit($0) || $0 == UInt8(ascii: "-") }), line.count <= digits + 8
        else { return nil }
        return String(decoding: line, as: UTF8.self)
    }

    // MARK: os-release

    static let valueLimit = 1024

    /// Lines `NAME=VALUE`, where values are quoted as a shell would have it. A later line of the same name counts.
    static func release(_ text: [UInt8]) -> Release {
        var release = Release()
        for line in text.split(separator: UInt8(ascii: "\n")) {
            guard let equals = line.firstIndex(of: UInt8(ascii: "=")) else { continue }
            guard let value = unquoted(line[(equals + 1)...]) else { continue }
            switch String(decoding: line[..<equals], as: UTF8.self) {
            case "ID": if !value.isEmpty { release.id = value }
            case "VERSION_ID": release.version = value
            case "PRETTY_NAME": release.name = value
            default: break
            }
        }
        return release
    }

    /// A word without its quotes: `'…'` is what it is, in `"…"` a backslash stands before `$`, `"`, `\` and `` ` ``,
    /// outside of both before anything. What is behind the word is not looked at. Nil where a quote is open, or where
    /// it is too long.
    static func unquoted(_ word: ArraySlice<UInt8>) -> String? {
        var bytes: [UInt8] = []
        var quote: UInt8?
        var at = word.startIndex
        while at < word.endIndex {
            let byte = word[at]
            at += 1
            switch (byte, quote) {
            case (UInt8(ascii: "'"), nil), (UInt8(ascii: "\""), nil): quote = byte
            case (let byte, let open?) where byte == open: quote = nil
            case (UInt8(ascii: "\\"), nil), (UInt8(ascii: "\\"), UInt8(ascii: "\"")):
                guard at < word.endIndex else { return nil }
                let next = word[at]
                at += 1
                if quote != nil, !"$\"\\`".utf8.contains(next) { bytes.append(byte) }
                bytes.append(next)
            case (UInt8(ascii: " "), nil), (UInt8(ascii: "\t"), nil), (UInt8(ascii: "\r"), nil):
                at = word.endIndex
            default: bytes.append(byte)
            }
            guard bytes.count <= valueLimit else { return nil }
        }
        return quote == nil ? String(decoding: bytes, as: UTF8.self) : nil
    }
}
