public import Catalog
internal import Expressions
internal import Glibc

extension PolicyDocument {
    /// Files that are read at most.
    private static let fileLimit = 1_000

    /// Reads policies from files, and from the files of directories that end in `.yaml`, `.yml` or `.json`;
    /// not from directories in them, nor from hidden files.
    /// - Returns: all documents in the order of the files, also those with errors (see
    ///   ``parse(_:file:catalog:)``), and all that is wrong with any of them, by file and line. Nothing is to
    ///   be used when a diagnostic is an error.
    public static func load(
        paths: [String], catalog: Catalog = .builtIn
    ) -> (documents: [PolicyDocument], diagnostics: [PolicyDiagnostic]) {
        var documents: [PolicyDocument] = []
        var diagnostics: [PolicyDiagnostic] = []
        var left = fileLimit
        for path in paths {
            do throws(PolicyDiagnostic) {
                for file in try PolicyFile.files(path) {
                    left -= 1
                    guard left >= 0 else {
                        throw PolicyDiagnostic(
                            "there are more than \(fileLimit) files; give fewer of them", at: nil)
                    }
                    do throws(PolicyDiagnostic) {
                        guard documents.count <= countLimit, let bytes = try file.read() else { continue }
                        let read = parse(bytes, file: file.path, catalog: catalog)
                        documents += read.documents
                        diagnostics += read.diagnostics
                    } catch {
                        diagnostics.append(error)
                    }
                }
            } catch {
                diagnostics.append(error)
            }
        }
        diagnostics += together(documents)
        return (documents, diagnostics.sorted { $0.position.isBefore($1.position) })
    }

    /// What is wrong with policies beside each other: two of one name, or too many.
    public static func together(_ documents: [PolicyDocument]) -> [PolicyDiagnostic] {
        var diagnostics: [PolicyDiagnostic] = []
        var places: [String: SourcePosition] = [:]
        for document in documents where !document.name.value.isEmpty {
            let name = document.name
            if let place = places[name.value] {
                diagnostics.append(
                    PolicyDiagnostic(
                        "policy '\(printable(name.value))' stands at \(place) already; give one of them another name",
                        at: name.position))
            } else {
                places[name.value] = name.position
            }
        }
        if documents.count > countLimit {
            diagnostics.append(
                PolicyDiagnostic(
                    "there are more than \(countLimit) policies, which is as many as can be used at once; this is the first too many",
                    at: documents[countLimit].position))
        }
        return diagnostics
    }
}

/// A file that may hold policies.
private struct PolicyFile {
    let path: String
    /// Found in a directory, where other things than files are nobody's mistake.
    let isListed: Bool

    /// The file of a path, or those of a directory, by name.
    static func files(_ path: String) throws(PolicyDiagnostic) -> [PolicyFile] {
        let shown = printable(path)
        guard !path.isEmpty else {
            throw PolicyDiagnostic("the path of a policy is empty; write a file or a directory", at: nil)
        }
        guard !path.utf8.contains(0) else {
            throw PolicyDiagnostic("the path '\(shown)' holds a NUL; write a file or a directory", at: nil)
        }
        var information = stat()
        guard unsafe stat(path, &information) == 0 else { throw failure(path, errno) }
        guard information.st_mode & S_IFMT == S_IFDIR else {
            return [PolicyFile(path: path, isListed: false)]
        }
        guard let folder = unsafe opendir(path) else { throw failure(path, errno) }
        defer { unsafe _ = closedir(folder) }
        var names: [String] = []
        while let entry = unsafe readdir(folder) {
            let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) {
                unsafe $0.withMemoryRebound(to: CChar.self, capacity: 256) { unsafe String(cString: $0) }
            }
            guard !name.hasPrefix("."), [".yaml", ".yml", ".json"].contains(where: name.hasSuffix) else {
                continue
            }
            names.append(name)
            guard names.count <= 10_000 else {
                throw PolicyDiagnostic(
                    "'\(shown)' holds more than 10000 files; give a smaller directory", at: nil)
            }
        }
        guard !names.isEmpty else {
            throw PolicyDiagnostic(
                "'\(shown)' holds no policies; they are files that end in .yaml, .yml or .json", at: nil)
        }
        let start = path.hasSuffix("/") ? path : path + "/"
        return names.sorted().map { PolicyFile(path: start + $0, isListed: true) }
    }

    /// The bytes, one more than the limit at most; nil for a directory in a directory.
    func read() throws(PolicyDiagnostic) -> [UInt8]? {
        // Links are followed, as Kubernetes mounts files as such. Whoever opens a pipe must not wait.
        let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)
        guard descriptor >= 0 else { throw Self.failure(path, errno) }
        defer { close(descriptor) }
        var information = stat()
        guard unsafe fstat(descriptor, &information) == 0 else { throw Self.failure(path, errno) }
        let kind = information.st_mode & S_IFMT
        if kind == S_IFDIR && isListed { return nil }
        guard kind == S_IFREG else {
            throw PolicyDiagnostic("'\(printable(path))' is no file; give a file or a directory", at: nil)
        }
        // The file may grow meanwhile, so its size is what comes.
        var bytes: [UInt8] = []
        var part = [UInt8](repeating: 0, count: 65_536)
        while bytes.count <= DocumentReader.sizeLimit {
            let count = unsafe Glibc.read(descriptor, &part, part.count)
            if count < 0 && errno == EINTR { continue }
            guard count >= 0 else { throw Self.failure(path, errno) }
            guard count > 0 else { break }
            bytes += part[..<count]
        }
        return bytes
    }

    private static func failure(_ path: String, _ error: Int32) -> PolicyDiagnostic {
        let reason = unsafe String(cString: strerror(error))
        return PolicyDiagnostic(
            "'\(printable(path))' cannot be read (\(reason)); give a file or a directory that can", at: nil)
    }
}
