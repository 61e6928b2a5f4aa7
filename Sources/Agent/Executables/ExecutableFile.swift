internal import Glibc
internal import State

/// A file that was executed or mapped as code, as an event tells of it: what is opened later must be the same.
struct ExecutableFile: Sendable {
    /// Where it is looked for.
    enum Kind: Sendable {
        /// `/proc/PID/exe`, and then as a library.
        case executable
        /// By its path below the roots of the process, of a neighbour, of ourselves and of the first process.
        case library
    }

    /// Why there is no digest.
    enum Reason: String, Error, CaseIterable {
        /// The process is gone, or the file has no name any more.
        case vanished = "the process or the file is gone"
        case changed = "the file is another than the event's"
        case notRegular = "it is no regular file"
        case tooLarge = "the file is larger than the limit"
        case unreadable = "the file cannot be read"
        /// It took a thread more than ``ExecutableHashes/patience`` without a byte.
        case hangs = "its file system does not answer"
        /// So much is asked for that this was not taken; asked again it may be.
        case busy = "too many files wait"
        case ended = "hashing has ended"

        /// No other process sees the file otherwise.
        var isFinal: Bool { self == .notRegular || self == .tooLarge }
    }

    var kind: Kind
    /// Its number on the host.
    var process: UInt32
    /// Another process that may have the same root, as its parent: for when the process itself is gone. 0 for none.
    var neighbour: UInt32
    /// Absolute, in the process's mount namespace.
    var path: [UInt8]
    /// `s_dev` of the super block, as the kernel keeps it: major << 20 | minor.
    var device: UInt32
    var inode: UInt64
    /// Last change of the inode, ns since 1970.
    var changed: UInt64

    private static let block = 1 << 20
    // Glibc's headers show them to GNU sources only: asm-generic/fcntl.h.
    private static let pathOnly: Int32 = 0o10_000_000
    private static let keepAccessTime: Int32 = 0o1_000_000

    /// Reads the file and gives its SHA-256. May take as long as its file system likes.
    /// - Parameter goesOn: is asked before each block of 1 MiB; false ends it.
    /// - Parameter limit: bytes that the file may have.
    func digest(limit: Int, _ goesOn: () -> Bool) throws(Reason) -> HexDigest {
        let found = try locate()
        defer { close(found) }
        var before = stat()
        guard unsafe fstat(found, &before) == 0 else { throw .unreadable }
        guard before.st_mode & S_IFMT == S_IFREG else { throw .notRegular }
        guard before.st_size <= limit else { throw .tooLarge }
        let file = try Self.reopen(found)
        defer { close(file) }
        let room = max(4096, min(Self.block, Int(before.st_size) + 1))
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: room, alignment: 64)
        defer { unsafe buffer.deallocate() }
        var hasher = SHA256Hasher()
        var total = 0
        while true {
            guard goesOn() else { throw .ended }
            let count = unsafe read(file, buffer.baseAddress, buffer.count)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw .unreadable }
            guard count > 0 else { break }
            total += count
            guard total <= limit else { throw .tooLarge }
            unsafe hasher.update(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
        }
        // Written meanwhile: what was read may never have been in it at one time.
        var after = stat()
        guard unsafe fstat(file, &after) == 0, Self.changed(after) == changed, after.st_size == total else {
            throw .changed
        }
        return HexDigest(hasher.finalize())
    }

    // MARK: Finding it

    /// Gives a descriptor that names the file and opens nothing (`O_PATH`): what turned into a device or a pipe must
    /// not be opened, as that alone may do something.
    private func locate() throws(Reason) -> Int32 {
        var reason = Reason.vanished
        func accept(_ descriptor: Int32, of process: String) -> Bool {
            guard descriptor >= 0 else {
                let isGone = [ENOENT, ESRCH, ENOTDIR, ELOOP].contains(errno)
                if !isGone, reason == .vanished, process == "\(self.process)" { reason = .unreadable }
                return false
            }
            if isSame(descriptor, seenBy: process) { return true }
            close(descriptor)
            reason = .changed
            return false
        }
        if kind == .executable {
            let program = unsafe Glibc.open("/proc/\(process)/exe", Self.pathOnly | O_CLOEXEC)
            if accept(program, of: "\(process)") { return program }
        }
        // We and the first process see the host's files. Those of a process that ended at once are mostly among them,
        // and that it is the same file is checked.
        for process in ["\(process)", "\(neighbour)", "self", "1"] where process != "0" {
            let file = open(below: process)
            if accept(file, of: process) { return file }
        }
        throw reason
    }

    /// Walks the path without following links: the kernel's paths have none, and a link made since could lead anywhere.
    private func open(below process: String) -> Int32 {
        guard path.first == UInt8(ascii: "/"), path.count < PATH_MAX, !path.contains(0) else {
            errno = ENOENT
            return -1
        }
        var here = unsafe Glibc.open(
            "/proc/\(process)/root", Self.pathOnly | O_DIRECTORY | O_CLOEXEC)
        let names = path.split(separator: UInt8(ascii: "/"))
        for (number, name) in names.enumerated() where here >= 0 {
            guard !name.elementsEqual(".".utf8), !name.elementsEqual("..".utf8) else {
                close(here)
                errno = ENOENT
                return -1
            }
            let isLast = number == names.count - 1
            let above = here
            let flags = Self.pathOnly | O_NOFOLLOW | O_CLOEXEC | (isLast ? 0 : O_DIRECTORY)
            here = unsafe openat(above, name.map { CChar(bitPattern: $0) } + [0], flags)
            let code = errno
            close(above)
            errno = code
        }
        return here
    }

    private static func reopen(_ found: Int32) throws(Reason) -> Int32 {
        let path = "/proc/self/fd/\(found)"
        let flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY
        // When a file was read last is evidence, and not ours to change.
        var file = unsafe Glibc.open(path, flags | keepAccessTime)
        if file < 0, errno == EPERM { file = unsafe Glibc.open(path, flags) }
        guard file >= 0 else { throw .unreadable }
        return file
    }

    // MARK: The same file

    private func isSame(_ descriptor: Int32, seenBy process: String) -> Bool {
        var found = stat()
        guard unsafe fstat(descriptor, &found) == 0, found.st_ino == inode, Self.changed(found) == changed
        else {
            return false
        }
        return Self.kernelDevice(UInt64(found.st_dev)) == device
            || Self.mountedDevice(descriptor, process) == device
    }

    private static func changed(_ found: stat) -> UInt64 {
        UInt64(bitPattern: Int64(found.st_ctim.tv_sec)) &* 1_000_000_000
            &+ UInt64(bitPattern: Int64(found.st_ctim.tv_nsec))
    }

    /// The kernel's own form (MKDEV, include/linux/kdev_t.h) of a device as `stat` gives it: there its lower 32 bits are
    /// minor bits 0 to 7, major, minor bits 8 to 19 (new_encode_dev).
    static func kernelDevice(_ device: UInt64) -> UInt32 {
        let major = UInt32(truncatingIfNeeded: device >> 8) & 0xfff
        let minor =
            UInt32(truncatingIfNeeded: device) & 0xff | UInt32(truncatingIfNeeded: device >> 12) & 0xfff00
        return major << 20 | minor
    }

    /// The device of the super block behind a descriptor, by the table of mounts of a process that sees it. btrfs and
    /// overlayfs number their subvolumes and layers, so that `stat` shows others (fs/btrfs/inode.c,
    /// fs/overlayfs/inode.c). Inode and time alone would not do: a FUSE mount on the path can show any.
    private static func mountedDevice(_ descriptor: Int32, _ process: String) -> UInt32? {
        // mnt_id of fdinfo is the first word of a line of mountinfo, and MAJOR:MINOR the third: proc(5).
        guard let information = try? BoundedFile.read("/proc/self/fdinfo/\(descriptor)", limit: 4096),
            let line = information.split(separator: UInt8(ascii: "\n")).first(where: {
                $0.starts(with: "mnt_id:".utf8)
            }),
            let mounts = try? BoundedFile.read("/proc/\(process)/mountinfo", limit: 16 << 20)
        else { return nil }
        let wanted = line.dropFirst("mnt_id:".utf8.count).drop {
            $0 == UInt8(ascii: "\t") || $0 == UInt8(ascii: " ")
        }
        for mount in mounts.split(separator: UInt8(ascii: "\n")) {
            let words = mount.split(separator: UInt8(ascii: " "), maxSplits: 3)
            guard words.count == 4, words[0] == wanted else { continue }
            let numbers = words[2].split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false)
                .map { UInt32(String(decoding: $0, as: UTF8.self)) }
            guard numbers.count == 2, let major = numbers[0], let minor = numbers[1], major < 1 << 12,
                minor < 1 << 20
            else { return nil }
            return major << 20 | minor
        }
        return nil
    }
}
