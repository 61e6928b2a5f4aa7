import Symbols
import TestSupport
import Testing

/// Values as `man 2` and the kernel's headers have them, written down by hand.
@Suite struct SymbolTableTests {
    @Test(arguments: [
        (0, "O_RDONLY"),
        (0x8_0000, "O_RDONLY|O_CLOEXEC"),
        (0x241, "O_WRONLY|O_CREAT|O_TRUNC"),
        (0x9_0802, "O_RDWR|O_NONBLOCK|O_CLOEXEC|O_DIRECTORY"),
        // O_SYNC has the bit of O_DSYNC, and O_TMPFILE that of O_DIRECTORY.
        (0x10_1001, "O_WRONLY|O_SYNC"),
        (0x1001, "O_WRONLY|O_DSYNC"),
        (0x10_0001, "O_WRONLY|0x100000"),
        (0x41_0002, "O_RDWR|O_TMPFILE"),
        (0x40_0002, "O_RDWR|0x400000"),
        (0x1_0000, "O_RDONLY|O_DIRECTORY"),
        (0x83, "O_ACCMODE|O_EXCL"),
        (0x8000_0000, "O_RDONLY|0x80000000"),
    ]) func flagsOfOpen(_ value: UInt64, _ text: String) throws {
        let table = try SymbolTable.required("open_flags")
        #expect(table.kind == .flags)
        #expect(table.text(of: value, width: 32) == text)
        #expect(table.text(of: value | 0xffff_ffff_0000_0000, width: 32) == text)
    }

    /// Its low byte is the signal that the parent gets.
    @Test(arguments: [
        (0x0120_0011, "CLONE_CHILD_CLEARTID|CLONE_CHILD_SETTID|SIGCHLD"),
        (0x4111, "CLONE_VM|CLONE_VFORK|SIGCHLD"),
        (0x11, "SIGCHLD"),
        (0x100, "CLONE_VM"),
        (0x0200_0000_0100, "CLONE_VM|0x20000000000"),
        (0x8000_0077, "CLONE_IO|0x77"),
        (0, "0x0"),
    ]) func flagsOfClone(_ value: UInt64, _ text: String) throws {
        #expect(try SymbolTable.required("clone_flags").text(of: value) == text)
    }

    /// Bits that together are one value: 0 has no name, nor 7.
    @Test(arguments: [
        (1, "SOCK_STREAM"),
        (0x8_0802, "SOCK_DGRAM|SOCK_CLOEXEC|SOCK_NONBLOCK"),
        (0x8_0000, "SOCK_CLOEXEC"),
        (7, "0x7"),
        (0x8_0017, "SOCK_CLOEXEC|0x17"),
        (0, "0x0"),
    ]) func typesOfSockets(_ value: UInt64, _ text: String) throws {
        #expect(try SymbolTable.required("socket_type").text(of: value, width: 32) == text)
    }

    @Test(arguments: [
        (0x22, "MAP_PRIVATE|MAP_ANONYMOUS"),
        (0x5404_0022, "MAP_PRIVATE|MAP_ANONYMOUS|MAP_HUGETLB|MAP_HUGE_2MB"),
        (0x0404_0022, "MAP_PRIVATE|MAP_ANONYMOUS|MAP_HUGETLB|0x4000000"),
    ]) func flagsOfMmap(_ value: UInt64, _ text: String) throws {
        #expect(try SymbolTable.required("mmap_flags").text(of: value) == text)
    }

    @Test(arguments: [
        (0, "SEEK_SET"), (1, "SEEK_CUR"), (4, "SEEK_HOLE"), (5, "0x5"), (UInt64.max, "0xffffffff"),
    ]) func whence(_ value: UInt64, _ text: String) throws {
        let table = try SymbolTable.required("whence")
        #expect(table.kind == .enumeration)
        #expect(table.text(of: value, width: 32) == text)
    }

    /// An int, extended to 64 bits with its sign, or not.
    @Test func negativeValues() throws {
        let table = try SymbolTable.required("rusage_who")
        #expect(table.text(of: 0xffff_ffff, width: 32) == "RUSAGE_CHILDREN")
        #expect(table.text(of: .max, width: 32) == "RUSAGE_CHILDREN")
        #expect(table.text(of: .max, width: 64) == "RUSAGE_CHILDREN")
        #expect(table.text(of: 0xffff_ffff, width: 64) == "0xffffffff")
        #expect(table.text(of: 0xffff_fffd, width: 32) == "0xfffffffd")
        #expect(table.value(ofName: "RUSAGE_CHILDREN") == .max)
    }

    @Test func valuesOfNames() throws {
        let flags = try SymbolTable.required("open_flags")
        #expect(flags.value(ofName: "O_RDONLY") == 0)
        #expect(flags.value(ofName: "O_TMPFILE") == 0x41_0000)
        #expect(flags.value(ofName: "O_CLOEXE") == nil)
        #expect(flags.value(ofName: "O_CLOEXECO") == nil)
        #expect(flags.value(ofName: "") == nil)
        #expect(flags.value(ofName: "SIGCHLD") == nil)
        // Of a field that another table prints.
        #expect(try SymbolTable.required("clone_flags").value(ofName: "SIGCHLD") == 17)
    }

    @Test func tablesByName() {
        let names = SymbolTable.all.map(\.name)
        #expect(names.count > 10)
        #expect(names == names.sorted() && Set(names).count == names.count)
        for name in names { #expect(SymbolTable.named(name)?.name == name) }
        #expect(SymbolTable.named("open_flag") == nil)
        #expect(SymbolTable.named("") == nil)
    }

    // MARK: Every table

    @Test func namesAreUnique() {
        for table in SymbolTable.all {
            var names: Set<String> = []
            table.forEachSymbol { name, value in
                #expect(names.insert(name.text).inserted, "\(table.name) has \(name.text) twice")
                #expect(table.value(ofName: name.text) == value, "\(table.name) \(name.text)")
            }
        }
    }

    @Test func everyNameIsPrinted() throws {
        for table in SymbolTable.all {
            table.forEachSymbol { name, value in
                let text = table.text(of: value)
                #expect(!text.contains("0x"), "\(table.name) \(name.text): \(text)")
            }
        }
    }

    @Test func partsAreTheValue() throws {
        var random = SplitMix64(seed: 7)
        for table in SymbolTable.all {
            var constants: [UInt64] = []
            table.forEachSymbol { _, value in constants.append(value) }
            for round in 0..<160 {
                var value = round & 1 == 0 ? random.number() : 0
                for _ in 0..<random.below(6) where !constants.isEmpty {
                    value |= constants[random.below(constants.count)]
                }
                if round & 15 == 1 { value = constants.randomElement(using: &random) ?? 0 }
                for width in [64, 32, 16, random.below(200) - 60] {
                    let isRight = try Self.isWhole(table, value, width)
                    #expect(
                        isRight, "\(table.name) \(value) \(width): \(table.text(of: value, width: width))")
                }
            }
        }
    }

    /// Whether the parts of a value are the value again, each bit once, and no name was forgotten.
    private static func isWhole(_ table: SymbolTable, _ value: UInt64, _ width: Int) throws -> Bool {
        let width = min(max(width, 1), 64)
        let mask = UInt64.max >> UInt64(64 - width)
        let parts = table.parts(of: value, width: width)
        var whole: UInt64 = 0
        for (index, part) in parts.enumerated() {
            switch part {
            case .name(let name):
                let bits = try #require(table.value(ofName: name.text))
                if table.kind == .flags && (whole & bits != 0 || bits & ~mask != 0) { return false }
                whole |= bits
            case .number(let rest):
                if index + 1 != parts.count || whole & rest != 0 { return false }
                if table.kind == .flags {
                    if rest == 0 && parts.count > 1 { return false }
                    guard case .number(let again) = table.parts(of: rest).last, again == rest else {
                        return false
                    }
                }
                whole |= rest
            }
        }
        return whole & mask == value & mask && (table.kind == .flags ? !parts.isEmpty : parts.count == 1)
    }
}
