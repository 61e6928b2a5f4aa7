internal import Glibc

/// Names of users and groups from `/etc/passwd` and `/etc/group` (passwd(5), group(5)).
///
/// Only from these files: what the C library would ask besides (LDAP, systemd's own users) comes by plugins, which a
/// static binary has none of, and which may wait for a network. A number whose name is not there has none.
///
/// A container has files of its own, so there the same number may have another name. For one thread.
public final class Accounts {
    /// A file with more bytes is not taken: its names are those of before.
    public static let fileLimit = 1 << 20
    /// Names kept of each file.
    public static let entryLimit = 65_536
    /// A line with a longer name is left out.
    public static let nameLimit = 256

    private var users: NameFile
    private var groups: NameFile
    private let interval: UInt64
    private var looked: UInt64?

    /// - Parameters:
    ///   - root: what stands before the paths of the files.
    ///   - interval: nanoseconds for which the files are not looked at again.
    public init(root: String = "", interval: UInt64 = 3_000_000_000) {
        users = NameFile(path: root + "/etc/passwd")
        groups = NameFile(path: root + "/etc/group")
        self.interval = interval
    }

    /// What a user is called; nil where no file says so.
    public func name(ofUser user: UInt32) -> String? {
        look()
        return users.names[user]
    }

    /// What a group is called; nil where no file says so.
    public func name(ofGroup group: UInt32) -> String? {
        look()
        return groups.names[group]
    }

    /// Lines that were left out: without a number or a name, and those beyond the limits.
    public var leftOut: Int { users.leftOut + groups.leftOut }
    /// A file is there and was not taken: it is too long, no ordinary file, or it cannot be read.
    public var hasFailed: Bool { users.hasFailed || groups.hasFailed }

    private func look() {
        let now = ProcessSnapshot.now()
        if let looked, now >= looked, now - looked < interval { return }
        looked = now
        users.look()
        groups.look()
    }

    /// One of the two files, as it was when it was read last.
    private struct NameFile {
        let path: String
        var names: [UInt32: String] = [:]
        var leftOut = 0
        var hasFailed = false
        private var stamp: Stamp?

        /// By what a changed file is known.
        private struct Stamp: Equatable {
            var device: UInt64
            var inode: UInt64
            var size: Int64
            var second: Int
            var nanosecond: Int
        }

        init(path: String) { self.path = path }

        /// Reads the file if it is another than before.
        mutating func look() {
            var information = stat()
            guard unsafe lstat(path, &information) == 0 else {
                if errno == ENOENT || errno == ENOTDIR { self = NameFile(path: path) }
                return
            }
            // Taken before the file is read: if it changes meanwhile, it is read once more the next time.
            let new = Stamp(
                device: UInt64(information.st_dev), inode: UInt64(information.st_ino),
                size: Int64(information.st_size), second: information.st_mtim.tv_sec,
                nanosecond: information.st_mtim.tv_nsec)
            guard new != stamp else { return }
            stamp = new
            guard let bytes = try? BoundedFile.read(path, limit: Accounts.fileLimit) else {
                hasFailed = true
                return
            }
            hasFailed = false
            (names, leftOut) = Accounts.parse(bytes)
        }
    }

    /// Lines `NAME:PASSWORD:NUMBER[:…]`. The first line of a number counts, as in the C library.
    static func parse(_ text: [UInt8]) -> (names: [UInt32: String], leftOut: Int) {
        var names: [UInt32: String] = [:]
        var leftOut = 0
        for line in text.split(separator: UInt8(ascii: "\n")) {
            if line.first == UInt8(ascii: "#") { continue }
            let parts = line.split(
                separator: UInt8(ascii: ":"), maxSplits: 3, omittingEmptySubsequences: false)
            guard parts.count >= 3, !parts[0].isEmpty, parts[0].count <= nameLimit,
                parts[2].count <= 10, let number = UInt32(String(decoding: parts[2], as: UTF8.self))
            else {
                leftOut += 1
                continue
            }
            guard names[number] == nil else { continue }
            guard names.count < entryLimit else {
                leftOut += 1
                continue
            }
            names[number] = String(decoding: parts[0], as: UTF8.self)
        }
        return (names, leftOut)
    }
}
