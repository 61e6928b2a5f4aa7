internal import CSymbols

/// Names of constants of the kernel: those of one enumeration, or the flags of one kind of argument.
///
/// Tables are written by hand (`Catalog/symbols`), names and values come from the kernel's UAPI headers
/// (`Scripts/generate-symbols`). A copy is an address; nothing but what gives strings or arrays allocates.
@safe public struct SymbolTable: @unchecked Sendable {  // Constants of the binary, which nobody changes.
    private let table: UnsafePointer<apus_symbol_table>

    public enum Kind: Sendable {
        /// A value has one name.
        case enumeration
        /// Bits have names.
        case flags
    }

    /// A piece of a value as it is printed.
    public enum Part: Sendable {
        case name(SymbolName)
        /// What has no name: of flags the bits that are left, or 0 where no bit is set.
        case number(UInt64)
    }

    private init(_ table: UnsafePointer<apus_symbol_table>) { unsafe self.table = table }

    /// The table of a name, or nothing. For start-up: keep what it gives.
    public static func named(_ name: String) -> SymbolTable? {
        let tables = unsafe apus_symbol_tables()
        for index in 0..<apus_symbol_table_count() {
            let table = unsafe SymbolTable(tables + index)
            if table.tableName.equals(name.utf8) { return table }
        }
        return nil
    }

    /// All tables, sorted by name.
    public static var all: [SymbolTable] {
        let tables = unsafe apus_symbol_tables()
        return (0..<apus_symbol_table_count()).map { unsafe SymbolTable(tables + $0) }
    }

    public var name: String { tableName.text }

    public var kind: Kind {
        unsafe table.pointee.kind == UInt8(truncatingIfNeeded: APUS_FLAGS.rawValue) ? .flags : .enumeration
    }

    // MARK: Names of a value

    /// Hands over the parts of a value in the order of printing: names, then at most one number. There is at
    /// least one part, and of an enumeration exactly one. No bit is in two parts, and all together are the value.
    ///
    /// - Parameters:
    ///   - value: What is above `width` bits is left out, so it does not matter whether it was extended with its
    ///     sign: -100 of 32 bits may be 0xffffff9c or 0xffffffffffffff9c. As a number it would be the first.
    ///   - width: Bits of the argument's type, 1 to 64.
    ///   - body: Its names are to be joined by `|`. Numbers of flags are usually printed in hexadecimal.
    public func forEachPart(of value: UInt64, width: Int = 64, _ body: (Part) -> Void) {
        let unused = UInt64(truncatingIfNeeded: 64 - min(max(width, 1), 64))
        let bits = (value << unused) >> unused
        var named = forEachName(of: bits, body)
        if kind == .enumeration && !named.isAny {
            let extended = Int64(bitPattern: value << unused) >> Int64(bitPattern: unused)
            if unused > 0 && extended < 0 { named = forEachName(of: UInt64(bitPattern: extended), body) }
            if !named.isAny { body(.number(bits)) }
        } else if named.rest != 0 || !named.isAny {
            body(.number(named.rest))
        }
    }

    private struct Named {
        var isAny = false
        /// Bits that have no name.
        var rest: UInt64 = 0
    }

    private func forEachName(of value: UInt64, _ body: (Part) -> Void) -> Named {
        if kind == .enumeration { return nameOne(value, ownSymbols, body) }
        let fields = fields
        let leading = unsafe Int(table.pointee.leading)
        var named = Named()
        var flags = value
        for index in fields.indices { flags &= ~fields[index].mask }
        for index in 0..<leading { forEachName(ofField: fields[index], in: value, &named, body) }
        forEachName(ofFlags: flags, &named, body)
        for index in leading..<fields.count { forEachName(ofField: fields[index], in: value, &named, body) }
        let zero = unsafe table.pointee.zero
        if !named.isAny && named.rest == 0 && zero != APUS_NO_SYMBOL {
            named.isAny = true
            body(.name(symbolName(Int(zero))))
        }
        return named
    }

    private func forEachName(
        ofField field: apus_symbol_field, in value: UInt64, _ named: inout Named, _ body: (Part) -> Void
    ) {
        let bits = value & field.mask
        let found: Named
        if field.table == APUS_NO_TABLE {
            found = nameOne(bits, Int(field.first)..<Int(field.first) + Int(field.count), body)
        } else {
            found = other(field).forEachName(of: bits, body)
        }
        named.isAny = named.isAny || found.isAny
        named.rest |= found.rest
    }

    /// A flag never has bits below the one that it stands at, so each bit is looked at once.
    private func forEachName(ofFlags flags: UInt64, _ named: inout Named, _ body: (Part) -> Void) {
        let symbols = symbols
        let starts = starts
        guard starts.count > 64 else {
            named.rest |= flags
            return
        }
        var flags = flags
        while flags != 0 {
            let bit = flags.trailingZeroBitCount
            var index = Int(starts[bit])
            let end = Int(starts[bit + 1])
            while index < end && symbols[index].value & ~flags != 0 { index += 1 }
            if index < end {
                flags &= ~symbols[index].value
                named.isAny = true
                body(.name(symbolName(index)))
            } else {
                flags &= ~(1 << UInt64(bit))
                named.rest |= 1 << UInt64(bit)
            }
        }
    }

    /// The name of a whole value among symbols that are sorted by value.
    private func nameOne(_ value: UInt64, _ range: Range<Int>, _ body: (Part) -> Void) -> Named {
        let symbols = symbols
        var low = range.lowerBound
        var high = range.upperBound
        while low < high {
            let middle = (low + high) / 2
            if symbols[middle].value < value { low = middle + 1 } else { high = middle }
        }
        guard low < range.upperBound, symbols[low].value == value else {
            return Named(isAny: false, rest: value)
        }
        body(.name(symbolName(low)))
        return Named(isAny: true, rest: 0)
    }

    // MARK: Values of a name

    /// The value of a constant, also of one that another of the same value is printed instead of, and of those
    /// of fields that another table prints. A negative one is extended to 64 bits. Looks at all names.
    public func value(ofName name: String) -> UInt64? {
        let symbols = symbols
        for index in symbols.indices where symbolName(index).equals(name.utf8) { return symbols[index].value }
        let fields = fields
        for index in fields.indices where fields[index].table != APUS_NO_TABLE {
            if let value = other(fields[index]).value(ofName: name) { return value }
        }
        return nil
    }

    /// Bytes that all names together take, with something between them: no value is printed in more, but for its number.
    /// Looks at all names.
    public var longestText: Int {
        var (sum, longest) = (0, 0)
        forEachSymbol { name, _ in
            sum += name.bytes.byteCount + 1
            longest = max(longest, name.bytes.byteCount + 1)
        }
        guard kind == .flags else { return longest }
        let fields = fields
        for index in fields.indices where fields[index].table != APUS_NO_TABLE {
            sum += other(fields[index]).longestText
        }
        return sum
    }

    /// All names with their values, but those of fields that another table prints.
    public func forEachSymbol(_ body: (_ name: SymbolName, _ value: UInt64) -> Void) {
        let symbols = symbols
        for index in symbols.indices { body(symbolName(index), symbols[index].value) }
    }

    /// Of flags the bits that another table prints, with that table.
    public var tablesOfBits: [(mask: UInt64, table: SymbolTable)] {
        let fields = fields
        return fields.indices.compactMap { index in
            fields[index].table == APUS_NO_TABLE ? nil : (fields[index].mask, other(fields[index]))
        }
    }

    // MARK: The C side

    private var symbols: Span<apus_symbol> {
        @_lifetime(immortal)
        get {
            let all = unsafe UnsafeBufferPointer(
                start: table.pointee.symbols, count: Int(table.pointee.count))
            return unsafe _overrideLifetime(Span(_unsafeElements: all), copying: ())
        }
    }

    private var fields: Span<apus_symbol_field> {
        @_lifetime(immortal)
        get {
            let all = unsafe UnsafeBufferPointer(
                start: table.pointee.fields, count: Int(table.pointee.field_count))
            return unsafe _overrideLifetime(Span(_unsafeElements: all), copying: ())
        }
    }

    /// Of flags where the symbols of each bit begin; empty where there are none.
    private var starts: Span<UInt16> {
        @_lifetime(immortal)
        get {
            let start = unsafe table.pointee.bits
            let all = unsafe UnsafeBufferPointer(start: start, count: start == nil ? 0 : 65)
            return unsafe _overrideLifetime(Span(_unsafeElements: all), copying: ())
        }
    }

    /// Symbols that are printed and of no field.
    private var ownSymbols: Range<Int> { unsafe Int(table.pointee.first)..<Int(table.pointee.end) }

    private var tableName: SymbolName {
        unsafe SymbolName(table.pointee.name, Int(table.pointee.name_length))
    }

    private func symbolName(_ index: Int) -> SymbolName {
        let symbol = symbols[index]
        return unsafe SymbolName(table.pointee.text + Int(symbol.name), Int(symbol.length))
    }

    private func other(_ field: apus_symbol_field) -> SymbolTable {
        unsafe SymbolTable(apus_symbol_tables() + Int(field.table))
    }
}
