import Foundation
import TestSupport
import Testing

@testable import Probes

@Suite struct KernelSymbolsTests {
    /// Reads symbols from a file with these bytes.
    static func symbols(_ names: Set<String>, _ bytes: [UInt8]) throws -> KernelSymbols {
        let path = FileManager.default.temporaryDirectory.appending(path: "apus-\(UUID().uuidString)").path
        try Data(bytes).write(to: URL(filePath: path))
        defer { try? FileManager.default.removeItem(atPath: path) }
        return KernelSymbols(names, path: path)
    }

    private static let text = """
        0000000000000000 A fixed_percpu_data
        ffffffff81000000 T _text
        ffffffff81000040 T vfs_write
        ffffffff81000080 t vfs_writev
        ffffffff810000c0 t twice
        ffffffff81000100 D vfs_read
        ffffffff81000140 b twice
        ffffffff81000180 t twice
        ffffffff810001c0 W weak
        ffffffff81000200 w weaker
        ffffffff81000240 t twice.cold
        ffffffffc0000000 t in_module\t[some]
        ffffffffc0000040 t twice\t[other]
        ffffffff81000280 T x

        """

    @Test func functionsByName() throws {
        let names: Set = [
            "vfs_write", "vfs_read", "twice", "weak", "weaker", "in_module", "absent", "x", "vfs_",
            "fixed_percpu_data",
        ]
        let symbols = try Self.symbols(names, Array(Self.text.utf8))
        #expect(
            symbols.addresses == [
                "vfs_write": [0xffff_ffff_8100_0040],
                "twice": [0xffff_ffff_8100_00c0, 0xffff_ffff_8100_0180],
                "weak": [0xffff_ffff_8100_01c0], "weaker": [0xffff_ffff_8100_0200],
                "x": [0xffff_ffff_8100_0280],
            ])
    }

    @Test func hiddenAddressesAreZero() throws {
        let text = "0000000000000000 T vfs_write\n0000000000000000 t twice\n0000000000000000 t twice\n"
        let symbols = try Self.symbols(["vfs_write", "twice"], Array(text.utf8))
        #expect(symbols.addresses == ["vfs_write": [0], "twice": [0, 0]])
    }

    @Test func nothingToRead() throws {
        #expect(KernelSymbols(["vfs_write"], path: "/nonexistent/kallsyms").addresses.isEmpty)
        #expect(try Self.symbols(["vfs_write"], []).addresses.isEmpty)
        #expect(try Self.symbols([], Array(Self.text.utf8)).addresses.isEmpty)
        #expect(KernelSymbols().addresses.isEmpty)
    }

    @Test func anyBytes() async {
        await #expect(processExitsWith: .success) {
            var random = SplitMix64(seed: 51)
            let text = Array(KernelSymbolsTests.text.utf8)
            for round in 0..<400 {
                var bytes = round % 4 == 0 ? random.bytes(random.below(400)) : text
                if round % 4 == 1 { bytes.removeLast(random.below(bytes.count)) }
                for _ in 0..<random.below(20) where !bytes.isEmpty {
                    bytes[random.below(bytes.count)] = [0, 9, 10, 32, 0x74, 0xff][random.below(6)]
                }
                _ = try KernelSymbolsTests.symbols(["twice", "x", "", "vfs_write"], bytes)
            }
        }
    }
}

@Suite struct NameFilterTests {
    /// Random names as the kernel has them.
    private static func name(_ random: inout SplitMix64) -> String {
        let letters = Array("abcdefghijklmnopqrstuvwxyz0123456789__.")
        return String((0...random.below(30)).map { _ in letters[random.below(letters.count)] })
    }

    @Test func itKnowsItsNamesWhereverTheyStand() {
        var random = SplitMix64(seed: 61)
        for _ in 0..<40 {
            let names = Set((0..<random.below(90)).map { _ in Self.name(&random) })
            let filter = NameFilter(names)
            for name in names {
                for end in [[], [0], [9], [10], [32], [0, 0x61]] as [[UInt8]] {
                    let before = random.bytes(random.below(5))
                    #expect(
                        filter.mayContain(before + Array(name.utf8) + end, at: before.count), "\(name) \(end)"
                    )
                }
            }
        }
    }

    @Test func itRefusesNearlyAllOthers() {
        var random = SplitMix64(seed: 62)
        let names = Set((0..<90).map { _ in Self.name(&random) })
        let filter = NameFilter(names)
        let others = (0..<20_000).map { _ in Self.name(&random) }.filter { !names.contains($0) }
        let taken = others.count { filter.mayContain(Array($0.utf8), at: 0) }
        // 90 marks of 4096 are 2.2 %.
        #expect(taken * 100 < others.count * 4, "\(taken) of \(others.count)")
        #expect(!NameFilter([]).mayContain(Array("vfs_write".utf8), at: 0))
    }

    @Test func theEndOfTheBytesIsTheEndOfAName() {
        let filter = NameFilter(["vfs_write"])
        let bytes = Array("vfs_write".utf8)
        #expect(filter.mayContain(bytes, at: 0))
        for start in 1...bytes.count + 9 { _ = filter.mayContain(bytes, at: start) }
    }
}
