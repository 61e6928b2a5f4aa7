internal import CSystem
internal import Expressions
internal import Glibc

/// A command that waits, forked but not executed, until its hooks are attached.
struct TracedCommand: ~Copyable {
    private var child: apus_child
    private(set) var status: Int32?
    private var isReaped = false
    private let name: String

    var pid: UInt32 { UInt32(bitPattern: child.pid) }

    /// Finds the program as a shell would and forks.
    init(_ words: [[UInt8]]) throws(AgentError) {
        let path = try Self.find(words[0])
        var child = apus_child(pid: 0, gate: -1, report: -1)
        let result = unsafe Self.withCStrings(words) { arguments in
            unsafe path.withCString { unsafe apus_spawn_at_gate($0, arguments, environ, &child) }
        }
        guard result == 0 else {
            throw unsafe AgentError("the command cannot be started: \(String(cString: strerror(-result)))")
        }
        self.child = child
        name = printable(String(decoding: words[0], as: UTF8.self))
    }

    /// Without the gate's byte the child ends by itself.
    deinit {
        if child.gate >= 0 { close(child.gate) }
        if child.report >= 0 { close(child.report) }
        if !isReaped { _ = waitpid(child.pid, nil, WNOHANG) }
    }

    /// Lets it execute.
    mutating func start() { unsafe apus_open_gate(&child) }

    /// Its exit status once it has ended: what it gave, or 128 + the signal that killed it.
    mutating func poll() -> Int32? {
        if let status { return status }
        var raw: Int32 = 0
        guard unsafe waitpid(child.pid, &raw, WNOHANG) == child.pid else { return nil }
        isReaped = true
        status = raw & 0x7f == 0 ? raw >> 8 & 0xff : 128 + raw & 0x7f
        return status
    }

    func signal(_ number: Int32) {
        if !isReaped { kill(child.pid, number) }
    }

    /// That and why the kernel refused to execute it, or nil. To be asked once it has ended.
    mutating func refusal() -> String? {
        let error = unsafe apus_execve_error(&child)
        guard error != 0 else { return nil }
        return unsafe "the command '\(name)' cannot be executed: \(String(cString: strerror(error)))"
    }

    // Paths are bytes: a name need not be UTF-8.

    private static func find(_ name: [UInt8]) throws(AgentError) -> [UInt8] {
        let shown = printable(String(decoding: name, as: UTF8.self))
        if name.contains(UInt8(ascii: "/")) {
            guard exists(name) else { throw AgentError("the command '\(shown)' does not exist", status: 127) }
            guard isExecutable(name) else {
                throw AgentError("'\(shown)' is not an executable file", status: 126)
            }
            return name
        }
        var denied: [UInt8]?
        let path = unsafe getenv("PATH").map {
            unsafe Array(UnsafeRawBufferPointer(start: $0, count: strlen($0)))
        }
        let folders = path ?? Array("/usr/bin:/bin".utf8)
        for folder in folders.split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false) {
            let candidate =
                (folder.isEmpty ? [UInt8(ascii: ".")] : Array(folder)) + [UInt8(ascii: "/")] + name
            if isExecutable(candidate) { return candidate }
            if isFile(candidate) { denied = candidate }
        }
        if let denied {
            let shown = printable(String(decoding: denied, as: UTF8.self))
            throw AgentError("'\(shown)' is not executable", status: 126)
        }
        throw AgentError("the command '\(shown)' does not exist in PATH", status: 127)
    }

    private static func exists(_ path: [UInt8]) -> Bool {
        unsafe path.withCString { unsafe access($0, F_OK) } == 0
    }

    private static func isExecutable(_ path: [UInt8]) -> Bool {
        let mayExecute = unsafe path.withCString { unsafe access($0, X_OK) } == 0
        return mayExecute && isFile(path)
    }

    private static func isFile(_ path: [UInt8]) -> Bool {
        var information = stat()
        let status = unsafe path.withCString { unsafe stat($0, &information) }
        return status == 0 && information.st_mode & S_IFMT == S_IFREG
    }

    private static func withCStrings<Result>(
        _ words: [[UInt8]], _ body: (UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>) -> Result
    ) -> Result {
        var pointers = unsafe words.map { word in unsafe word.withCString { unsafe strdup($0) } }
        unsafe pointers.append(nil)
        defer { unsafe pointers.forEach { unsafe free($0) } }
        return unsafe pointers.withUnsafeMutableBufferPointer {
            unsafe body($0.baseAddress.unsafelyUnwrapped)
        }
    }
}

extension [UInt8] {
    /// The bytes with a NUL behind them.
    fileprivate func withCString<Result>(_ body: (UnsafePointer<CChar>) -> Result) -> Result {
        unsafe (self + [0]).withUnsafeBytes { bytes in
            unsafe body(bytes.baseAddress.unsafelyUnwrapped.assumingMemoryBound(to: CChar.self))
        }
    }
}
