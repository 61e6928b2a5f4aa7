internal import Agent
internal import Outputs

/// The option `--enrichment`: what is added to events besides what the kernel tells at once.
enum Enrichment {
    static let about =
        "environment: add the environment to sched_process_exec, secrets hidden; environment=PATH,LANG*: only these of it. executable-hash: add the SHA-256 of programs and libraries to sched_process_exec and shared_object_loaded; executable-hash.mode=none|inode|dev-inode|digest-inode: by what a file is known again (default dev-inode). lineage: who made each process, up to the first. decoded-data: names of flags and constants, and structures by their members, also in JSON (tables always have them). fd-paths: what each descriptor of a system call is open on, a path or a socket, as the kernel has it at that moment. payload=BYTES: so much of what is read and written (default 32). container.docker.socket=PATH, and podman, containerd, crio: ask this socket for the names of containers (default: those that are there ordinarily)"

    static let choices =
        ["environment", "decoded-data", "fd-paths", "executable-hash", "lineage", "payload", "container"]
        + HashMode.allCases.map { "executable-hash.mode=\($0.rawValue)" }

    /// Sets what one value of the option asks for. A later one goes before an earlier one.
    static func set(_ text: String, _ request: inout TraceRequest) throws {
        let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(
            String.init)
        switch parts[0] {
        case "environment":
            let names = try parts.count == 2 ? names(parts[1]) : []
            request.wantsEnvironment = true
            for index in request.outputs.indices {
                request.outputs[index].redaction = SecretRedaction(names: names)
            }
        case "executable-hash":
            guard parts.count == 1 else {
                throw UsageError(
                    "enrichment 'executable-hash' takes no value; its mode is executable-hash.mode=\(modes)")
            }
            request.executableHash = request.executableHash ?? .devInode
        case "executable-hash.mode":
            guard parts.count == 2, let mode = HashMode(rawValue: parts[1]) else {
                throw UsageError(
                    "enrichment 'executable-hash.mode' is \(modes), not '\(parts.dropFirst().first ?? "")'")
            }
            request.executableHash = mode
        case "decoded-data" where parts.count == 1:
            for index in request.outputs.indices { request.outputs[index].isDecoded = true }
        case "fd-paths" where parts.count == 1:
            for index in request.outputs.indices { request.outputs[index].showsDescriptors = true }
        case "payload":
            let bytes = parts.count == 1 ? 32 : Int(parts[1]) ?? 0
            guard (1...4096).contains(bytes) else {
                throw UsageError("enrichment 'payload' takes a number of bytes from 1 to 4096: payload=BYTES")
            }
            for index in request.outputs.indices { request.outputs[index].payload = bytes }
        case "lineage" where parts.count == 1: request.wantsLineage = true
        // Names are always asked for.
        case "container" where parts.count == 1: break
        case "container.docker.socket": request.runtimes.docker = try socket(parts)
        case "container.podman.socket": request.runtimes.podman = try socket(parts)
        case "container.containerd.socket": request.runtimes.containerd = try socket(parts)
        case "container.crio.socket": request.runtimes.crio = try socket(parts)
        case "container.cgroupfs.path": request.controlGroups = try path(parts)
        // Tracee takes a path only with this, if it found another; here a path that is given is taken.
        case "container.cgroupfs.force" where parts.count == 1: break
        default:
            throw UsageError(
                "unknown enrichment '\(text)'; there are environment, decoded-data, fd-paths, executable-hash, executable-hash.mode, lineage, payload, "
                    + "container, container.cgroupfs.path and container.RUNTIME.socket for docker, podman, "
                    + "containerd and crio")
        }
    }

    private static func path(_ parts: [String]) throws -> String {
        guard parts.count == 2, parts[1].hasPrefix("/") else {
            throw UsageError("enrichment '\(parts[0])' takes an absolute path: \(parts[0])=/PATH")
        }
        return parts[1]
    }

    private static func socket(_ parts: [String]) throws -> String {
        let path = try path(parts)
        guard path.utf8.count <= 107 else {
            throw UsageError("enrichment '\(parts[0])' takes a path of at most 107 bytes, as sockets do")
        }
        return path
    }

    private static var modes: String { HashMode.allCases.map(\.rawValue).joined(separator: "|") }

    /// Names of variables, by comma.
    private static func names(_ text: String) throws -> [String] {
        let names = text.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
        guard names.allSatisfy({ !$0.isEmpty && !$0.contains("=") }) else {
            throw UsageError(
                "enrichment 'environment' takes names of variables by comma, as environment=PATH,LANG*, not '\(text)'"
            )
        }
        guard names.count <= 256 else {
            throw UsageError("enrichment 'environment' takes at most 256 names, not \(names.count)")
        }
        return names
    }
}
