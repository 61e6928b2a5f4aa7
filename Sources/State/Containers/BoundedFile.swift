internal import Glibc

/// Files that others write: read whole, up to a limit, or not at all.
package enum BoundedFile {
    package enum Failure: Error, Equatable {
        case missing
        case tooLarge
        /// It is no ordinary file: a link, a pipe, a directory.
        case notAFile
        case unreadable(errno: Int32)
    }

    /// - Parameter path: its last component may not be a link. What is before it is trusted.
    package static func read(_ path: String, limit: Int) throws(Failure) -> [UInt8] {
        // A pipe must not make us wait.
        let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY)
        guard descriptor >= 0 else { throw failure(errno) }
        defer { close(descriptor) }
        var information = stat()
        guard unsafe fstat(descriptor, &information) == 0 else { throw failure(errno) }
        guard information.st_mode & S_IFMT == S_IFREG else { throw .notAFile }
        guard information.st_size <= limit else { throw .tooLarge }
        return try read(descriptor, limit: limit)
    }

    /// Files of `/proc` say that they are empty, so only the end tells the size.
    private static func read(_ descriptor: Int32, limit: Int) throws(Failure) -> [UInt8] {
        var bytes: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 16384)
        while true {
            let count = unsafe piece.withUnsafeMutableBytes {
                unsafe Glibc.read(descriptor, $0.baseAddress, $0.count)
            }
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw failure(errno) }
            guard count > 0 else { return bytes }
            guard bytes.count + count <= limit else { throw .tooLarge }
            bytes += piece[..<count]
        }
    }

    private static func failure(_ number: Int32) -> Failure {
        switch number {
        case ENOENT, ENOTDIR, ESRCH: .missing
        case ELOOP: .notAFile
        default: .unreadable(errno: number)
        }
    }
}

/// The entries of a directory.
package enum Directory {
    /// Calls the body with each name but `.` and `..`, and whether the entry may be a directory (some file systems do
    /// not say). False ends it.
    package static func forEachEntry(of descriptor: consuming Int32, _ body: ([UInt8], Bool) -> Bool) -> Bool
    {
        guard let stream = unsafe fdopendir(descriptor) else {
            close(descriptor)
            return false
        }
        defer { unsafe _ = closedir(stream) }
        while let entry = unsafe readdir(stream) {
            let kind = unsafe entry.pointee.d_type
            let name = unsafe withUnsafeBytes(of: &entry.pointee.d_name) {
                unsafe Array($0.prefix { $0 != 0 })
            }
            if name == [UInt8(ascii: ".")] || name == Array("..".utf8) { continue }
            guard body(name, kind == DT_DIR || kind == DT_UNKNOWN) else { return true }
        }
        return true
    }

    /// The directories in a directory by name, at most `limit`; none where it cannot be read.
    package static func subdirectories(_ path: String, limit: Int) -> [String] {
        let descriptor = unsafe open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW)
        guard descriptor >= 0 else { return [] }
        var names: [String] = []
        _ = forEachEntry(of: descriptor) { name, mayBeDirectory in
            if mayBeDirectory { names.append(String(decoding: name, as: UTF8.self)) }
            return names.count < limit
        }
        return names
    }
}
