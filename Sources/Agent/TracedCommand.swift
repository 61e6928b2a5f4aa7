internal import CSystem
internal import Glibc

/// A command that waits, forked but not executed, until its hooks are attached.
struct TracedCommand: ~Copyable {
    private var child: apus_child
    private(set) var status: Int32?
    private var isReaped = false

    var pid: UInt32 { UInt32(bitPattern: child.pid) }

    /// Finds the program as a shell would and forks.
    init(_ words: [String]) throws(AgentError) {
        let path = try Self.find(words[0])
        var child = apus_child(pid: 0, gate: -1)
        let result = unsafe Self.withCStrings(words) { arguments in
            unsafe path.withCString { unsafe apus_spawn_at_gate($0, arguments, environ, &child) }
        }
        guard result == 0 else {
            throw unsafe AgentError("the command cannot be started: \(String(cString: strerror(-result)))")
        }
        self.child = child
    }

    /// Without the gate's byte the child ends by itself.
    deinit {
        if child.gate >= 0 { close(child.gate) }
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

    private static func find(_ name: String) throws(AgentError) -> String {
        if name.contains("/") {
            try check(name)
            return name
        }
        var denied: String?
        let path = unsafe getenv("PATH").map { unsafe String(cString: $0) } ?? "/usr/bin:/bin"
        for folder in path.split(separator: ":", omittingEmptySubsequences: false) where !name.isEmpty {
            let candidate = (folder.isEmpty ? "." : String(folder)) + "/" + name
            if isFile(candidate) {
                if unsafe access(candidate, X_OK) == 0 { return candidate }
                denied = candidate
            }
        }
        if let denied { throw AgentError("'\(denied)' is not executable", status: 126) }
        throw AgentError("the command '\(name)' does not exist in PATH", status: 127)
    }

    private static func check(_ path: String) throws(AgentError) {
        guard unsafe access(path, F_OK) == 0 else {
            throw AgentError("the command '\(path)' does not exist", status: 127)
        }
        guard isFile(path), unsafe access(path, X_OK) == 0 else {
            throw AgentError("'\(path)' is not an executable file", status: 126)
        }
    }

    private static func isFile(_ path: String) -> Bool {
        var information = stat()
        return unsafe stat(path, &information) == 0 && information.st_mode & S_IFMT == S_IFREG
    }

    private static func withCStrings<Result>(
        _ words: [String], _ body: (UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>) -> Result
    ) -> Result {
        var pointers = unsafe words.map { unsafe strdup($0) }
        unsafe pointers.append(nil)
        defer { unsafe pointers.forEach { unsafe free($0) } }
        return unsafe pointers.withUnsafeMutableBufferPointer {
            unsafe body($0.baseAddress.unsafelyUnwrapped)
        }
    }
}
