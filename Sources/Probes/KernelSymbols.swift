public import Catalog
internal import Glibc

/// A function of the kernel that a program can be attached to.
public struct KernelFunction: Sendable {
    /// Its number in the kernel's BTF.
    public let id: UInt32
    public let parameters: [ParameterShape]
}

/// Addresses of some of the kernel's functions, from `/proc/kallsyms`.
struct KernelSymbols: Sendable {
    /// By name; several where static functions share it. 0 where the kernel hides addresses.
    private(set) var addresses: [String: [UInt64]] = [:]

    /// None.
    init() {}

    init(_ names: Set<String>, path: String = "/proc/kallsyms") {
        let wanted = NameFilter(names)
        guard let bytes = readFile(path, limit: 64 << 20) else { return }
        var at = 0
        // Sixteen digits, a space, a letter, a space, the name up to a newline, or to a tab and a module: a
        // function of a module may have the name of another, and no type that anybody has checked.
        while at + 20 < bytes.count {
            let type = bytes[at + 17]
            var end = at + 19
            while end < bytes.count, bytes[end] > UInt8(ascii: " ") { end += 1 }
            let isText = type | 0x20 == UInt8(ascii: "t") || type | 0x20 == UInt8(ascii: "w")
            if isText, end < bytes.count, bytes[end] != UInt8(ascii: "\t"),
                wanted.mayContain(bytes, at: at + 19)
            {
                let name = String(decoding: bytes[(at + 19)..<end], as: UTF8.self)
                if names.contains(name) {
                    let text = String(decoding: bytes[at..<(at + 16)], as: UTF8.self)
                    addresses[name, default: []].append(UInt64(text, radix: 16) ?? 0)
                }
            }
            while end < bytes.count, bytes[end] != UInt8(ascii: "\n") { end += 1 }
            at = end + 1
        }
    }
}

/// Says quickly of most names that they are not among a few wanted ones.
struct NameFilter {
    let names: Set<String>
    private var marks = [Bool](repeating: false, count: 1 << 12)

    init(_ names: Set<String>) {
        self.names = names
        for name in names {
            let bytes = Array(name.utf8)
            marks[Self.mark(bytes, 0)] = true
        }
    }

    /// The name goes up to a byte that is no letter, digit or sign.
    func mayContain(_ bytes: [UInt8], at start: Int) -> Bool { marks[Self.mark(bytes, start)] }

    /// FNV-1a, folded.
    private static func mark(_ bytes: [UInt8], _ start: Int) -> Int {
        var hash: UInt32 = 2_166_136_261
        var at = start
        while at < bytes.count, bytes[at] > UInt8(ascii: " ") {
            hash = (hash ^ UInt32(bytes[at])) &* 16_777_619
            at += 1
        }
        return Int((hash ^ hash >> 12) & 0xfff)
    }
}
