import Foundation
import TestSupport
import Testing

@testable import State

@Suite struct KernelSymbolStoreTests {
    private func table(_ text: [UInt8], pieces: Int = 1 << 20, limit: Int = 1 << 20) -> SymbolTable {
        var builder = SymbolTable.Builder(byteLimit: limit)
        for start in stride(from: 0, to: text.count, by: pieces) {
            builder.feed(text[start..<min(text.count, start + pieces)])
        }
        builder.end()
        return builder.finished()
    }

    private let text = """
        0000000000000000 A __per_cpu_start
        ffffffff81000100 t local_one
        ffffffff81000100 T global_one
        ffffffff81000100 T later_one
        ffffffff81000200 t do_x
        ffffffffc0000000 t init_module\t[ext4]
        ffffffffc0000040 t ext4_x\t[ext4]
        ffffffff81000080 T first
        ffffffffc0001000 t bpf_prog_1\t[bpf]
        nonsense
        ffffffff8100zz80 T wrong
        ffffffff81000300 T
        """

    @Test func addresses() {
        let bytes = Array(text.utf8)
        for pieces in [1, 2, 7, 64, 1 << 20] {
            let table = table(bytes, pieces: pieces)
            #expect(table.addresses.count == 6 && table.leftOut == 0)
            let wanted: [(UInt64, String, String?, UInt64)] = [
                (0xffff_ffff_8100_0080, "first", nil, 0), (0xffff_ffff_8100_00ff, "first", nil, 0x7f),
                (0xffff_ffff_8100_0100, "global_one", nil, 0),
                (0xffff_ffff_8100_01ff, "global_one", nil, 0xff),
                (0xffff_ffff_8100_0201, "do_x", nil, 1), (0xffff_ffff_c000_0041, "ext4_x", "ext4", 1),
                (0xffff_ffff_c000_1fff, "bpf_prog_1", "bpf", 0xfff),
            ]
            for (address, name, module, offset) in wanted {
                let symbol = KernelSymbolStore.Symbol(name: name, module: module, offset: offset)
                #expect(table.symbol(of: address) == symbol, "\(pieces) \(String(address, radix: 16))")
            }
            for nothing in [0, 1, 0xffff_ffff_8100_007f, 0xffff_ffff_8110_0200, .max] as [UInt64] {
                #expect(table.symbol(of: nothing) == nil)
            }
        }
    }

    @Test func whatIsTooMuchIsLeftOut() {
        let many = (1...1000).map { "ffffffff81\(String(format: "%06x", $0)) T name_\($0)\n" }.joined()
        let table = table(Array(many.utf8), limit: 10_000)
        #expect(table.byteCount <= 10_000 && table.leftOut > 0)
        #expect(table.addresses.count + table.leftOut == 1000)
        let long = "ffffffff81000000 T \(String(repeating: "n", count: 2000))\nffffffff81000001 T fine\n"
        for pieces in [3, 5000] {
            let table = self.table(Array(long.utf8), pieces: pieces)
            #expect(table.addresses == [0xffff_ffff_8100_0001])
        }
    }

    @Test func anyText() {
        var random = SplitMix64(seed: 14)
        let letters = Array("0123456789abcdef Tt\t[]\n\0\u{ff}".utf8)
        var kept = 0
        for round in 0..<2000 {
            var bytes = Array(text.utf8)
            for _ in 0..<random.below(40) {
                bytes[random.below(bytes.count)] = letters[random.below(letters.count)]
            }
            let one = table(bytes)
            let other = table(bytes, pieces: 1 + random.below(50))
            #expect(one.addresses == other.addresses, "round \(round)")
            #expect(
                one.addresses == one.addresses.sorted() && Set(one.addresses).count == one.addresses.count)
            for address in one.addresses {
                let symbol = one.symbol(of: address)
                #expect(symbol == other.symbol(of: address) && symbol?.offset == 0)
            }
            kept += one.addresses.count
        }
        #expect(kept > 4000)
        #expect(table(random.bytes(50_000)).addresses.isEmpty)
    }

    @Test func hiddenAddressesAreUnavailable() throws {
        let path = NSTemporaryDirectory() + "apus-symbols-\(UUID().uuidString)"
        defer { try? FileManager.default.removeItem(atPath: path) }
        try "0000000000000000 T a\n0000000000000000 t b\t[c]\n".write(
            toFile: path, atomically: true, encoding: .utf8)
        let store = KernelSymbolStore(path: path)
        #expect(store.state == .unread)
        #expect(store.name(of: 1) == nil)
        guard case .unavailable(let reason) = store.state else {
            Issue.record("\(store.state)")
            return
        }
        #expect(reason.contains("kptr_restrict"))
        try "00000000c1000000 T a\n".write(toFile: path, atomically: true, encoding: .utf8)
        #expect(store.name(of: 0xc100_0000) == nil)
        store.forget()
        #expect(store.name(of: 0xc100_0001)?.name == "a")
        #expect(store.state == .ready)
        let missing = KernelSymbolStore(path: path + "x")
        #expect(missing.name(of: 1) == nil)
        #expect(missing.state != .unread && missing.state != .ready)
    }

    @Test(.enabled(if: geteuid() == 0)) func thisKernel() throws {
        let store = KernelSymbolStore()
        let bytes = try BoundedFile.read("/proc/kallsyms", limit: 128 << 20)
        let endings = ["vfs_read", "security_file_open"].map { (name: $0, bytes: Array(" T \($0)".utf8)) }
        var sampled = 0
        for line in bytes.split(separator: 10) {
            guard let name = endings.first(where: { line.dropFirst(16) == $0.bytes[...] })?.name else {
                continue
            }
            let address = try #require(UInt64(String(decoding: line.prefix(16), as: UTF8.self), radix: 16))
            try #require(address != 0)
            let symbol = KernelSymbolStore.Symbol(name: name, module: nil, offset: 1)
            #expect(store.name(of: address + 1) == symbol)
            sampled += 1
        }
        #expect(sampled == 2 && store.state == .ready && store.leftOut == 0)
        #expect(store.byteCount < 16 << 20 && store.count > 50_000)
    }
}
