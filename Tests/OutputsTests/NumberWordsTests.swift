import Catalog
import TestSupport
import Testing

@testable import Outputs

/// Numbers by the names of constants, and by words that are no tables.
@Suite struct NumberWordsTests {
    /// What a number of an argument is in words, or nothing.
    private static func words(_ place: String, _ value: UInt64) throws -> String? {
        let parts = place.split(separator: ".")
        let event = try #require(Catalog.builtIn[String(parts[0])])
        let field = try #require(event.fields.first { $0.name == parts[1] })
        let words = NumberWords(field)
        var isSaid = false
        let bytes = written { isSaid = words.append(value, to: &$0) }
        #expect(isSaid || bytes.isEmpty)
        return isSaid ? text(bytes) : nil
    }

    @Test(arguments: [
        (UInt64(0o644), "0644"), (0o7, "007"), (0, "000"), (0o777, "0777"), (0o4755, "04755"),
        (0o100644, "S_IFREG|0644"), (0o40755, "S_IFDIR|0755"), (0o120777, "S_IFLNK|0777"),
        (0o20620, "S_IFCHR|0620"), (0o60660, "S_IFBLK|0660"), (0o10600, "S_IFIFO|0600"),
        (0o140777, "S_IFSOCK|0777"), (0o100000, "S_IFREG|000"), (0o104755, "S_IFREG|S_ISUID|0755"),
        (0o102755, "S_IFREG|S_ISGID|0755"), (0o41777, "S_IFDIR|S_ISVTX|0777"),
        (0o47000, "S_IFDIR|S_ISUID|S_ISGID|S_ISVTX|000"), (0o170000, "0170000"), (0o30644, "030644"),
    ])
    func permissionsAndKindsOfFiles(_ mode: UInt64, _ words: String) throws {
        #expect(try Self.words("mknod.mode", mode) == words)
    }

    @Test(
        arguments: [
            (0xffff_ff9c, "AT_FDCWD"), (0xffff_ffff_ffff_ff9c, "AT_FDCWD"), (0x1_ffff_ff9c, "AT_FDCWD"),
            (3, nil),
            (0, nil), (0xffff_ffff, nil), (.max, nil), (0xff9c, nil),
        ] as [(UInt64, String?)])
    func folders(_ descriptor: UInt64, _ words: String?) throws {
        #expect(try Self.words("openat.dirfd", descriptor) == words)
    }

    @Test(
        arguments: [
            (-2, "-ENOENT"), (-1, "-EPERM"), (-11, "-EAGAIN"), (-512, "-ERESTARTSYS"), (-4095, "-4095"),
            (-4096, nil),
            (0, nil), (3, nil), (.max, nil), (.min, nil),
        ] as [(Int64, String?)])
    func results(_ result: Int64, _ words: String?) throws {
        #expect(try Self.words("openat.returnValue", UInt64(bitPattern: result)) == words)
    }

    /// Above an argument's type a register may have anything.
    @Test(
        arguments: [
            ("openat.flags", 0x80241, "O_WRONLY|O_CREAT|O_TRUNC|O_CLOEXEC"), ("openat.flags", 0, "O_RDONLY"),
            ("openat.flags", 0xffff_ffff_0000_0002, "O_RDWR"), ("kill.sig", 9, "SIGKILL"),
            ("kill.sig", 0x5_0000_0009, "SIGKILL"), ("kill.sig", .max, "-1"), ("kill.sig", 0xffff_ffff, "-1"),
            ("kill.sig", 99, "99"), ("mmap.prot", 0x3, "PROT_READ|PROT_WRITE"), ("mmap.prot", 0, "PROT_NONE"),
            ("unlinkat.flags", 0x200, "AT_REMOVEDIR"), ("unlinkat.flags", 0, "0"),
            ("unlinkat.flags", 0x4, "0x4"),
            ("unlinkat.flags", 0xffff_fdff_0000_0200, "AT_REMOVEDIR"),
        ] as [(String, UInt64, String)])
    func numbersOfTables(_ place: String, _ value: UInt64, _ words: String) throws {
        #expect(try Self.words(place, value) == words)
    }

    @Test func numbersWithoutATableAreNotSaid() throws {
        #expect(try Self.words("kill.pid", 9) == nil)
        #expect(try Self.words("read.buf", 9) == nil)
        #expect(try Self.words("fstat.statbuf", 0) == nil)
    }

    @Test func octalDigits() {
        var random = SplitMix64(seed: 83)
        for value in [0, 7, 8, 63, 64, .max, .max - 7, 1 << 63] + (0..<500).map({ _ in random.number() }) {
            #expect(text(written { $0.append(octal: value) }) == String(value, radix: 8))
        }
    }

    /// More bits than modes have, as an argument of 64 bits may.
    @Test func modesOfAllBits() {
        #expect(text(written { $0.append(mode: .max) }) == "01777777777777777777777")
        #expect(text(written { $0.append(mode: 0o1_100644) }) == "S_IFREG|01000644")
    }

    /// `new_encode_dev` of include/linux/kdev_t.h.
    @Test(arguments: [(0x8, 0x1), (0xfff, 0xfffff), (0x103, 0x12345), (1, 255), (1, 256)])
    func devices(_ major: UInt64, _ minor: UInt64) {
        let encoded = minor & 0xff | major << 8 | (minor & ~0xff) << 12
        let shown = text(written { $0.append(device: encoded) })
        #expect(shown == "makedev(0x\(String(major, radix: 16)), 0x\(String(minor, radix: 16)))")
    }

    /// Encoders make so much room, and write without looking.
    @Test func thereIsRoomForEachNumber() {
        var random = SplitMix64(seed: 84)
        var all: [String: NumberWords] = [:]
        for event in Catalog.builtIn.events {
            for field in event.fields {
                all["\(event.name).\(field.name)"] = NumberWords(field)
                for member in field.structure?.members ?? [] {
                    all["\(field.structure?.name ?? "").\(member.name)"] = NumberWords(member)
                }
            }
        }
        for (place, words) in all.sorted(by: { $0.key < $1.key }) {
            // The third is the kind of the longest name, with all else that modes may have.
            for value in [0, .max, ~0o30000] + (0..<6).map({ _ in random.number() }) {
                let bytes = written(65536) { _ = words.append(value, to: &$0) }
                #expect(bytes.count <= words.room, "\(place) \(value): \(text(bytes))")
                #expect(bytes.allSatisfy { (0x20..<0x7f).contains($0) }, "\(place) \(value): \(text(bytes))")
            }
        }
    }
}
