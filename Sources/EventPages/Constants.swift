internal import Symbols

/// A table of constants as the reference shows it.
public struct Constants: Sendable {
    public let name: String
    public let isFlags: Bool
    /// In the order of printing. Of enumerations negative values are extended to 64 bits.
    public let symbols: [(name: String, value: UInt64)]
    /// Bits that another table names.
    public let others: [(mask: UInt64, table: String)]

    /// Nil where a name is no table but a way to print numbers.
    public init?(_ name: String) {
        guard let table = SymbolTable.named(name) else { return nil }
        self.init(table)
    }

    init(_ table: SymbolTable) {
        name = table.name
        isFlags = table.kind == .flags
        var symbols: [(name: String, value: UInt64)] = []
        table.forEachSymbol { symbols.append(($0.text, $1)) }
        self.symbols = symbols
        others = table.tablesOfBits.map { ($0.mask, $0.table.name) }
    }

    static var all: [Constants] { SymbolTable.all.map(Constants.init) }

    /// A page names all of so many, and of more the first twelve.
    static let shortCount = 24
    private static let firstCount = 12

    /// The name, and constants with their values; all of them without a limit.
    func line(limit: Int? = nil) -> String {
        var line = "[`\(name)`](constants.md#\(name)) (\(isFlags ? "flags" : "one of")): "
        line += list(limit: limit)
        return line
    }

    func list(limit: Int? = nil) -> String {
        let shown =
            limit.map { symbols.count > $0 ? symbols.prefix(Self.firstCount) : symbols[...] } ?? symbols[...]
        let words = shown.map { "\($0.name)=\(text($0.value))" }
        var list = words.isEmpty ? "" : "`\(words.joined(separator: " "))`"
        if shown.count < symbols.count { list += " and \(symbols.count - shown.count) more" }
        for other in others {
            let bits =
                "the bits 0x\(String(other.mask, radix: 16)) as [`\(other.table)`](constants.md#\(other.table))"
            list += list.isEmpty ? bits : "; \(bits)"
        }
        return list
    }

    /// Flags and large numbers in hexadecimal.
    private func text(_ value: UInt64) -> String {
        let signed = Int64(bitPattern: value)
        if isFlags ? value < 10 : (-4095...4095).contains(signed) { return String(signed) }
        return "0x\(String(value, radix: 16))"
    }
}
