import Foundation
import Testing

@testable import Agent

@Suite struct SHA256Tests {
    private func digest(_ bytes: [UInt8], pieces: [Int] = []) -> String {
        var hasher = SHA256Hasher()
        var at = 0
        for piece in pieces + [bytes.count] {
            let end = min(bytes.count, at + piece)
            unsafe hasher.update(Array(bytes[at..<end]).span.bytes)
            at = end
        }
        return HexDigest(hasher.finalize()).description
    }

    /// FIPS 180-4's examples, and the empty message.
    @Test func knownDigests() {
        #expect(digest([]) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
        #expect(
            digest(Array("abc".utf8)) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
        #expect(
            digest(Array("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq".utf8))
                == "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1")
        let million = [UInt8](repeating: UInt8(ascii: "a"), count: 1_000_000)
        let wanted = "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"
        #expect(digest(million) == wanted)
        #expect(digest(million, pieces: [1, 63, 64, 65, 127, 0, 999]) == wanted)
    }

    @Test func aHasherBeginsAnew() {
        var hasher = SHA256Hasher()
        let first = HexDigest(hasher.finalize())
        #expect(HexDigest(hasher.finalize()) == first)
        unsafe hasher.update([1].span.bytes)
        #expect(HexDigest(hasher.finalize()) != first)
    }
}

/// A folder that goes with its test.
private final class Folder {
    let path: String

    init() throws {
        path = NSTemporaryDirectory() + "apus-hashes-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func write(_ name: String, _ bytes: [UInt8]) throws -> String {
        let file = "\(path)/\(name)"
        try Data(bytes).write(to: URL(fileURLWithPath: file))
        return file
    }
}

/// The file at a path as an event would tell of it.
func file(
    _ path: String, _ kind: ExecutableFile.Kind = .library, of process: UInt32 = UInt32(getpid())
) throws -> ExecutableFile {
    var found = stat()
    let status = unsafe lstat(path, &found)
    try #require(status == 0)
    return ExecutableFile(
        kind: kind, process: process, neighbour: 0, path: Array(path.utf8),
        device: ExecutableFile.kernelDevice(UInt64(found.st_dev)), inode: UInt64(found.st_ino),
        changed: UInt64(found.st_ctim.tv_sec) * 1_000_000_000 + UInt64(found.st_ctim.tv_nsec))
}

private func resize(_ path: String, _ size: Int) { unsafe truncate(path, size) }

/// A process that is gone.
private func endedProcess() throws -> UInt32 {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/true")
    try process.run()
    process.waitUntilExit()
    return UInt32(process.processIdentifier)
}

@Suite struct ExecutableFileTests {
    private func digest(_ file: ExecutableFile, limit: Int = 512 << 20) throws(ExecutableFile.Reason)
        -> String
    {
        try file.digest(limit: limit) { true }.description
    }

    private func output(_ words: String...) throws -> String {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: words[0])
        process.arguments = Array(words.dropFirst())
        let pipe = Pipe()
        process.standardOutput = pipe
        try process.run()
        let data = pipe.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return String(decoding: data, as: UTF8.self)
    }

    @Test(arguments: ["/bin/sh", "/proc/self/exe", "/lib64/ld-linux-x86-64.so.2"])
    func asSha256sumSays(_ path: String) throws {
        let name = URL(fileURLWithPath: path).resolvingSymlinksInPath().path
        let wanted = try output("/usr/bin/sha256sum", name).prefix(64)
        #expect(try digest(file(name)) == wanted)
    }

    @Test func byTheProgramOfTheProcess() throws {
        let folder = try Folder()
        let copy = "\(folder.path)/sleep"
        try FileManager.default.copyItem(atPath: "/bin/sleep", toPath: copy)
        let process = Process()
        process.executableURL = URL(fileURLWithPath: copy)
        process.arguments = ["60"]
        try process.run()
        defer {
            kill(process.processIdentifier, SIGKILL)
            process.waitUntilExit()
        }
        let wanted = try output("/usr/bin/sha256sum", "/bin/sleep").prefix(64)
        let program = try file(copy, .executable, of: UInt32(process.processIdentifier))
        #expect(try digest(program) == wanted)
        // It has no name any more, and its inode was changed by that.
        try FileManager.default.removeItem(atPath: copy)
        #expect(throws: ExecutableFile.Reason.changed) { try digest(program) }
        var deleted = stat()
        let status = unsafe stat("/proc/\(process.processIdentifier)/exe", &deleted)
        try #require(status == 0)
        var known = program
        known.changed = UInt64(deleted.st_ctim.tv_sec) * 1_000_000_000 + UInt64(deleted.st_ctim.tv_nsec)
        #expect(try digest(known) == wanted)
        // As a library it is looked for by its path alone.
        known.kind = .library
        #expect(throws: ExecutableFile.Reason.vanished) { try digest(known) }
    }

    /// An overlay of two file systems, in a mount namespace of its own. Its files have the devices of their layers, and
    /// its directories the overlay's, which the kernel's events tell.
    @Test(.enabled(if: geteuid() == 0, "mounts need root"))
    func filesOfAnOverlay() throws {
        let folder = try Folder()
        let script = """
            set -e
            cd $0
            mkdir lower upper over
            cp /bin/sleep lower/sleep
            mount -t tmpfs none upper
            mkdir upper/files upper/work
            mount -t overlay -o lowerdir=lower,upperdir=upper/files,workdir=upper/work none over
            stat -c '%d %i %.9Z' over over/sleep
            exec over/sleep 60
            """
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/unshare")
        process.arguments = ["--mount", "--propagation", "private", "sh", "-c", script, folder.path]
        let pipe = Pipe()
        process.standardOutput = pipe
        try process.run()
        defer {
            kill(process.processIdentifier, SIGKILL)
            process.waitUntilExit()
        }
        var text = ""
        while text.count(where: { $0 == "\n" }) < 2 {
            let data = pipe.fileHandleForReading.availableData
            try #require(!data.isEmpty, "\(text)")
            text += String(decoding: data, as: UTF8.self)
        }
        let words = text.split { " .\n".contains($0) }.compactMap { UInt64($0) }
        try #require(words.count == 8)
        var file = ExecutableFile(
            kind: .library, process: UInt32(process.processIdentifier), neighbour: 0,
            path: Array("\(folder.path)/over/sleep".utf8), device: ExecutableFile.kernelDevice(words[0]),
            inode: words[5], changed: words[6] * 1_000_000_000 + words[7])
        // Else this shows nothing.
        #expect(words[0] != words[4])
        let wanted = try output("/usr/bin/sha256sum", "/bin/sleep").prefix(64)
        #expect(try digest(file) == wanted)
        file.device ^= 1
        #expect(throws: ExecutableFile.Reason.changed) { try digest(file) }
        file.device ^= 1
        // The neighbour's root has it too, where the process is gone.
        (file.neighbour, file.process) = (file.process, try endedProcess())
        #expect(try digest(file) == wanted)
        file.neighbour = 0
        #expect(throws: ExecutableFile.Reason.vanished) { try digest(file) }
        // The program of the process, as soon as it runs.
        (file.kind, file.process) = (.executable, UInt32(process.processIdentifier))
        file.path = []
        var found: String?
        for _ in 0..<1000 where found == nil {
            found = try? digest(file)
            if found == nil { usleep(5000) }
        }
        #expect(found == String(wanted))
    }

    @Test func aProcessThatIsGone() throws {
        let folder = try Folder()
        let path = try folder.write("a", [1, 2, 3])
        var gone = try file(path, .executable, of: endedProcess())
        let wanted = "039058c6f2c0cb492c533b0a4d14ef77cc0f78abccced5287d84a1a2011cfb81"
        // The host's file is still there, and it is the same.
        #expect(try digest(gone) == wanted)
        try FileManager.default.removeItem(atPath: path)
        #expect(throws: ExecutableFile.Reason.vanished) { try digest(gone) }
        gone.path = Array("/\(folder.path)/b/c".utf8)
        #expect(throws: ExecutableFile.Reason.vanished) { try digest(gone) }
    }

    @Test func aFileThatChanged() throws {
        let folder = try Folder()
        let path = try folder.write("a", [1])
        let before = try file(path)
        for change in [
            \ExecutableFile.changed, \ExecutableFile.inode,
        ] as [WritableKeyPath<ExecutableFile, UInt64>] {
            var other = before
            other[keyPath: change] ^= 1
            #expect(throws: ExecutableFile.Reason.changed) { try digest(other) }
        }
        var other = before
        other.device ^= 1
        #expect(throws: ExecutableFile.Reason.changed) { try digest(other) }
        usleep(20_000)
        _ = try folder.write("a", [2])
        #expect(throws: ExecutableFile.Reason.changed) { try digest(before) }
        #expect(try file(path).digest(limit: 1) { true } != HexDigest(.init(repeating: 0)))
    }

    @Test func aFileThatChangesMeanwhile() throws {
        let folder = try Folder()
        let path = try folder.write("a", [UInt8](repeating: 1, count: 3 << 20))
        let before = try file(path)
        var blocks = 0
        #expect(throws: ExecutableFile.Reason.changed) {
            try before.digest(limit: 4 << 20) {
                blocks += 1
                if blocks == 2 { resize(path, 2 << 20) }
                return true
            }
        }
        #expect(blocks > 2)
        let grown = try file(path)
        #expect(throws: ExecutableFile.Reason.tooLarge) {
            try grown.digest(limit: 4 << 20) {
                resize(path, 5 << 20)
                return true
            }
        }
    }

    @Test func nothingButRegularFiles() throws {
        let folder = try Folder()
        let pipe = "\(folder.path)/pipe"
        unsafe mkfifo(pipe, 0o600)
        // One that writes would wake it; nobody does, and nothing waits.
        #expect(throws: ExecutableFile.Reason.notRegular) { try digest(file(pipe)) }
        #expect(throws: ExecutableFile.Reason.notRegular) { try digest(file(folder.path)) }
        #expect(throws: ExecutableFile.Reason.notRegular) { try digest(file("/dev/zero")) }
        #expect(throws: ExecutableFile.Reason.notRegular) { try digest(file("/")) }
        let link = "\(folder.path)/link"
        unsafe symlink("/dev/zero", link)
        #expect(throws: ExecutableFile.Reason.notRegular) { try digest(file(link)) }
        // What the event told of became a link.
        let path = try folder.write("a", [1])
        let before = try file(path)
        try FileManager.default.removeItem(atPath: path)
        unsafe symlink("/dev/zero", path)
        #expect(throws: ExecutableFile.Reason.changed) { try digest(before) }
    }

    @Test func linksOnTheWayAreNotFollowed() throws {
        let folder = try Folder()
        let path = try folder.write("a", [1])
        unsafe symlink(folder.path, "\(folder.path)/there")
        var through = try file(path)
        #expect(try digest(through).count == 64)
        through.path = Array("\(folder.path)/there/a".utf8)
        #expect(throws: ExecutableFile.Reason.vanished) { try digest(through) }
        for odd in [
            "a", "", "\(folder.path)/../\(folder.path)/a", "\(folder.path)/./a", path + "\0", path + "/",
        ] {
            through.path = Array(odd.utf8)
            // A slash at the end leads to the same.
            let result = Result { try digest(through) }
            #expect((try? result.get()) == nil || odd.hasSuffix("/"), "\(odd)")
        }
        through.path = Array(("/" + String(repeating: "a/", count: 5000)).utf8)
        #expect(throws: ExecutableFile.Reason.vanished) { try digest(through) }
    }

    @Test func filesUpToALimit() throws {
        let folder = try Folder()
        let path = try folder.write("a", [UInt8](repeating: 7, count: 1 << 20))
        #expect(try digest(file(path), limit: 1 << 20).count == 64)
        #expect(throws: ExecutableFile.Reason.tooLarge) { try digest(file(path), limit: 1 << 20 - 1) }
        // It says that it is small, and has no end.
        #expect(throws: ExecutableFile.Reason.self) { try digest(file("/proc/kallsyms"), limit: 1000) }
        let empty = try folder.write("empty", [])
        #expect(try digest(file(empty)).hasPrefix("e3b0c44298fc1c14"))
    }

    @Test func aHashThatIsNotWantedAnyMore() throws {
        let folder = try Folder()
        let path = try folder.write("a", [1])
        let file = try file(path)
        #expect(throws: ExecutableFile.Reason.ended) { try file.digest(limit: 100) { false } }
    }

    /// What stat gives is packed otherwise: include/linux/kdev_t.h.
    @Test func devices() {
        #expect(ExecutableFile.kernelDevice(UInt64(makedev(8, 1))) == 8 << 20 | 1)
        #expect(ExecutableFile.kernelDevice(UInt64(makedev(0, 0xfffff))) == 0xfffff)
        #expect(ExecutableFile.kernelDevice(UInt64(makedev(0xfff, 0x12345))) == 0xfff << 20 | 0x12345)
    }

    private func makedev(_ major: UInt64, _ minor: UInt64) -> UInt64 {
        minor & 0xff | major << 8 | (minor & ~0xff) << 12
    }
}
