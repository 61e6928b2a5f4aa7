internal import Glibc

/// What lies at an address of the kernel, from `/proc/kallsyms`. The file is read when somebody asks first, and kept in
/// some 5 MB for 120,000 symbols. For one thread.
///
/// `Probes` has a reader of its own for this file: that one looks for the addresses of a few names and keeps nothing
/// else, and neither module may use the other.
public final class KernelSymbolStore {
    /// What an address belongs to.
    public struct Symbol: Equatable, Sendable {
        public var name: String
        /// The module; `bpf` for programs, nil for the kernel itself.
        public var module: String?
        /// Bytes behind the beginning of the symbol.
        public var offset: UInt64
    }

    public enum State: Equatable, Sendable {
        /// Nobody asked yet.
        case unread
        case ready
        /// Why there is nothing: one sentence that says what to do.
        case unavailable(String)
    }

    public private(set) var state = State.unread
    private let path: String
    private let byteLimit: Int
    private var table = SymbolTable()

    /// Farther behind the last symbol before it, an address belongs to none: the file does not tell sizes.
    public static let offsetLimit: UInt64 = 1 << 20
    /// Bytes of the file that are read.
    static let fileLimit = 128 << 20

    /// - Parameter byteLimit: of what is kept; symbols beyond are left out, and counted.
    public init(path: String = "/proc/kallsyms", byteLimit: Int = 16 << 20) {
        self.path = path
        self.byteLimit = byteLimit
    }

    /// Symbols that are kept. Of several on one address it is one: a global one before a local one, else the first.
    public var count: Int { table.addresses.count }
    /// Bytes that the symbols take.
    public var byteCount: Int { table.byteCount }
    /// Symbols that were left out, as there were too many.
    public var leftOut: Int { table.leftOut }

    /// What lies at an address; nil where that is not known.
    public func name(of address: UInt64) -> Symbol? {
        if state == .unread { read() }
        return table.symbol(of: address)
    }

    /// Forgets all, so that it is read again when it is asked for: a module was loaded or removed.
    public func forget() {
        table = SymbolTable()
        state = .unread
    }

    private func read() {
        let file = unsafe open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)
        guard file >= 0 else {
            let reason = unsafe String(cString: strerror(errno))
            state = .unavailable("\(path) cannot be read (\(reason)); run Apus as root on a kernel with it")
            return
        }
        defer { close(file) }
        var builder = SymbolTable.Builder(byteLimit: byteLimit)
        var piece = [UInt8](repeating: 0, count: 64 << 10)
        var total = 0
        while total < Self.fileLimit {
            let count = unsafe piece.withUnsafeMutableBytes {
                unsafe Glibc.read(file, $0.baseAddress, $0.count)
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { break }
            total += count
            builder.feed(piece[..<count])
        }
        builder.end()
        guard builder.hasAddresses else {
            state = .unavailable(
                "\(path) hides all addresses; run Apus as root, with CAP_SYSLOG and kernel.kptr_restrict below 2"
            )
            return
        }
        table = builder.finished()
        state = .ready
    }
}

/// Symbols in the order of their addresses.
struct SymbolTable {
    private(set) var addresses: [UInt64] = []
    /// Where the name of each begins in `text`; it ends before the next 0.
    private var names: [UInt32] = []
    /// The module of each, by number; 0 is the kernel.
    private var modules: [UInt16] = []
    private var text: [UInt8] = []
    private var moduleNames: [String] = []
    private(set) var leftOut = 0

    var byteCount: Int {
        addresses.count * 8 + names.count * 4 + modules.count * 2 + text.count + moduleNames.count * 64
    }

    func symbol(of address: UInt64) -> KernelSymbolStore.Symbol? {
        // The last that does not begin behind it.
        var (low, high) = (0, addresses.count)
        while low < high {
            let middle = low + (high - low) / 2
            if addresses[middle] <= address { low = middle + 1 } else { high = middle }
        }
        guard low > 0 else { return nil }
        let offset = address - addresses[low - 1]
        guard offset < KernelSymbolStore.offsetLimit else { return nil }
        let name = text[Int(names[low - 1])...].prefix { $0 != 0 }
        let module = Int(modules[low - 1])
        return KernelSymbolStore.Symbol(
            name: String(decoding: name, as: UTF8.self), module: module == 0 ? nil : moduleNames[module - 1],
            offset: offset)
    }

    /// Takes the file in pieces.
    struct Builder {
        private struct Row {
            var address: UInt64
            var name: UInt32
            var module: UInt16
            var isGlobal: Bool
        }

        private let byteLimit: Int
        private var rows: [Row] = []
        private var text: [UInt8] = []
        private var moduleNumbers: [[UInt8]: UInt16] = [:]
        private var moduleNames: [String] = []
        private var line: [UInt8] = []
        private var isTooLong = false
        private var leftOut = 0
        /// There was an address that is not 0.
        private(set) var hasAddresses = false

        /// `KSYM_NAME_LEN` is 512 since 6.1 (include/linux/kallsyms.h), and a module's name is below 56 bytes.
        private static let lineLimit = 1024
        private static let moduleLimit = 8192
        private static let rowBytes = 14

        init(byteLimit: Int) { self.byteLimit = byteLimit }

        mutating func feed(_ piece: ArraySlice<UInt8>) {
            var at = piece.startIndex
            while at < piece.endIndex {
                let end = piece[at...].firstIndex(of: UInt8(ascii: "\n")) ?? piece.endIndex
                if line.isEmpty, end < piece.endIndex, !isTooLong {
                    take(piece[at..<end])
                } else {
                    if line.count + (end - at) <= Self.lineLimit {
                        line += piece[at..<end]
                    } else {
                        isTooLong = true
                    }
                    if end < piece.endIndex { endLine() }
                }
                at = end + 1
            }
        }

        mutating func end() { endLine() }

        private mutating func endLine() {
            if !isTooLong { take(line[...]) }
            line.removeAll(keepingCapacity: true)
            isTooLong = false
        }

        /// `ffffffff81000000 T _text`, with a tab and `[MODULE]` behind it for modules.
        private mutating func take(_ line: ArraySlice<UInt8>) {
            let start = line.startIndex
            // Addresses have 16 digits, or 8.
            guard let gap = line.firstIndex(of: UInt8(ascii: " ")), gap - start <= 16, gap > start,
                line.endIndex - gap > 3, line[gap + 2] == UInt8(ascii: " "), line.count <= Self.lineLimit
            else { return }
            var address: UInt64 = 0
            for byte in line[start..<gap] {
                guard let digit = Self.digit(byte) else { return }
                address = address << 4 | UInt64(digit)
            }
            // Hidden, or the first variable of a CPU.
            guard address != 0 else { return }
            hasAddresses = true
            let type = line[gap + 1]
            let words = line[(gap + 3)...].split(separator: UInt8(ascii: "\t"), maxSplits: 1)
            guard let name = words.first, !name.contains(0) else { return }
            guard
                (rows.count + 1) * Self.rowBytes + text.count + name.count + moduleNames.count * 64
                    < byteLimit,
                let module = number(ofModule: words.count > 1 ? words[1] : []),
                let place = UInt32(exactly: text.count)
            else {
                leftOut += 1
                return
            }
            text += name
            text.append(0)
            rows.append(Row(address: address, name: place, module: module, isGlobal: type & 0x20 == 0))
        }

        private static func digit(_ byte: UInt8) -> UInt8? {
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
            case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
            default: nil
            }
        }

        private mutating func number(ofModule word: ArraySlice<UInt8>) -> UInt16? {
            guard word.count > 2, word.first == UInt8(ascii: "["), word.last == UInt8(ascii: "]") else {
                return 0
            }
            let name = Array(word.dropFirst().dropLast())
            if let known = moduleNumbers[name] { return known }
            guard moduleNames.count < Self.moduleLimit else { return nil }
            moduleNames.append(String(decoding: name, as: UTF8.self))
            let number = UInt16(moduleNames.count)
            moduleNumbers[name] = number
            return number
        }

        consuming func finished() -> SymbolTable {
            // The order of the file decides between those of one address.
            rows.sort {
                ($0.address, $0.isGlobal ? 0 : 1, $0.name) < ($1.address, $1.isGlobal ? 0 : 1, $1.name)
            }
            var table = SymbolTable()
            let kept = rows.indices.filter { $0 == 0 || rows[$0].address != rows[$0 - 1].address }
            table.addresses.reserveCapacity(kept.count)
            table.names.reserveCapacity(kept.count)
            table.modules.reserveCapacity(kept.count)
            table.text.reserveCapacity(kept.count * 24)
            for index in kept {
                let row = rows[index]
                table.addresses.append(row.address)
                table.names.append(UInt32(table.text.count))
                table.modules.append(row.module)
                table.text += text[Int(row.name)...].prefix { $0 != 0 }
                table.text.append(0)
            }
            table.moduleNames = moduleNames
            table.leftOut = leftOut
            return table
        }
    }
}
