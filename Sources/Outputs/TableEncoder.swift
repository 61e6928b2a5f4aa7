public import Catalog
internal import Events
internal import Glibc

/// Writes events as lines of a table for people. On a terminal lines are cut to its width, a narrow one
/// shows fewer columns, and names of events are coloured by family; elsewhere nothing is cut.
public struct TableEncoder: ~Copyable {
    private let catalog: Catalog
    private let clock: Clock
    private let columns: Int
    /// Too few columns for all of them.
    private let isNarrow: Bool
    /// On a narrower terminal whole lines are cut.
    private let leastColumns: Int
    private let hasColour: Bool
    private let environment: EnvironmentField
    /// Behind each descriptor stands what it is open on: `3</etc/passwd>`.
    private let showsDescriptors: Bool
    private var layouts: FieldLayouts
    private var time = CachedSecond()
    private let zoneOffset: Int
    /// Nil where no lineage is shown.
    private var lineage: LineageCells?

    /// - Parameter columns: width of the terminal; 0 where the output is none.
    public init(
        catalog: Catalog = .builtIn, clock: Clock, columns: Int,
        lineage: LineageSource? = nil, redaction: SecretRedaction = SecretRedaction(),
        showsDescriptors: Bool = false
    ) {
        self.showsDescriptors = showsDescriptors
        self.catalog = catalog
        self.lineage = lineage.map { LineageCells($0) }
        environment = EnvironmentField(catalog, redaction)
        layouts = FieldLayouts(catalog)
        self.clock = clock
        self.columns = columns
        isNarrow = (1..<130).contains(columns)
        // Set to anything but nothing: no-color.org.
        let plain = unsafe getenv("NO_COLOR").map { unsafe $0.pointee != 0 } ?? false
        leastColumns = lineage == nil ? 60 : 84
        // A cut must not leave a colour on.
        hasColour = columns >= leastColumns && !plain
        var now = Glibc.time(nil)
        var local = unsafe tm()
        unsafe localtime_r(&now, &local)
        zoneOffset = unsafe Int(local.tm_gmtoff)
    }

    /// A process that others come from executed another program.
    mutating func forgetLineage() { lineage?.forget() }

    mutating func encodeHeader(into buffer: inout ByteBuffer) {
        buffer.reserve(256)
        if hasColour { buffer.append("\u{1b}[1m") }
        let start = buffer.count
        if isNarrow {
            buffer.append("TIME     COMM         PID     ")
            if lineage != nil { buffer.append("LINEAGE                 ") }
            buffer.append("EVENT                ARGS")
            if columns < leastColumns { buffer.cut(from: start, toWidth: columns) }
        } else {
            buffer.append("TIME             UID    COMM             PID     TID     ")
            if lineage != nil { buffer.append("LINEAGE                                 ") }
            buffer.append("EVENT                     ARGS")
        }
        if hasColour { buffer.append("\u{1b}[0m") }
        buffer.append("\n")
    }

    mutating func encode(_ event: EventView, index: Int, into buffer: inout ByteBuffer) {
        let definition = catalog.events[index]
        buffer.reserve(512 + event.byteCount * 8)
        // A hostile record may hold any time.
        let zone = UInt64(bitPattern: Int64(zoneOffset) &* 1_000_000_000)
        let stamp = event.time &+ clock.bootOffset &+ zone
        let line = buffer.count
        let isNarrow = isNarrow
        var column = Self.cell(isNarrow ? 9 : 17, &buffer) {
            for byte in time.timeOfDay(stamp) { $0.append(byte) }
            if isNarrow { return }
            $0.append(".")
            let micros = Int(stamp / 1000 % 1_000_000)
            $0.append(twoDigits: micros / 10_000)
            $0.append(twoDigits: micros / 100)
            $0.append(twoDigits: micros)
        }
        if !isNarrow { column += Self.cell(7, &buffer) { $0.append(decimal: UInt64(event.user)) } }
        column += Self.cell(isNarrow ? 13 : 17, isCut: columns > 0, &buffer) {
            $0.append(visible: event.name)
        }
        column += Self.cell(8, &buffer) { $0.append(decimal: UInt64(event.hostProcess)) }
        if !isNarrow { column += Self.cell(8, &buffer) { $0.append(decimal: UInt64(event.hostThread)) } }
        if let text = lineage?.text(of: event) {
            buffer.reserve(text.count + 1024)
            column += Self.cell(isNarrow ? 24 : 40, isCut: columns > 0, keepsEnd: true, &buffer) {
                unsafe $0.append(text.span.bytes)
            }
        }
        if hasColour { buffer.append(colour(of: definition)) }
        column += Self.cell(isNarrow ? 21 : 26, isCut: isNarrow, &buffer) { $0.append(definition.name) }
        if hasColour { buffer.append("\u{1b}[0m") }
        let arguments = buffer.count
        // What follows a field still needs its room.
        let after = 512 + event.byteCount * 8
        let kernelFieldCount = definition.kernelFieldCount
        let form = layouts.of(definition, event)
        for (field, layout) in form.fields.enumerated() {
            // What the agent adds, when it is asked for.
            if field >= kernelFieldCount && event.value(field) == nil { break }
            if field > 0 { buffer.append(", ") }
            buffer.append(layout.name)
            buffer.append(": ")
            if let structure = form.structure(of: field, event), let blob = form.blob(field, event) {
                buffer.append(
                    blob, of: event, as: structure, isArray: layout.isArray,
                    bits: layout.countOfBits.flatMap { event.value($0) }, .words, after: after)
                continue
            }
            buffer.reserve(layout.words.room + after)
            let value = event.value(field)
            var isSaid = false
            if let value { isSaid = layout.words.append(value, to: &buffer) }
            if !isSaid, let value, definition.isSystemCall, field == form.fields.count - 1 {
                buffer.append(value, as: form.result, after: after)
            } else if !isSaid {
                append(event, field, layout, &buffer)
            }
            if showsDescriptors, let descriptor = event.descriptor(field) {
                buffer.append(descriptor, of: event, .table, after: after)
            }
        }
        if columns >= leastColumns {
            buffer.cut(from: arguments, toWidth: max(1, columns - column))
        } else if columns > 0 {
            buffer.cut(from: line, toWidth: columns)
        }
        buffer.append("\n")
    }

    /// Writes one cell, at least a space wider than its text, which may be cut to fit. Returns the
    /// columns it takes.
    private static func cell(
        _ width: Int, isCut: Bool = false, keepsEnd: Bool = false, _ buffer: inout ByteBuffer,
        _ body: (inout ByteBuffer) -> Void
    ) -> Int {
        let start = buffer.count
        body(&buffer)
        if isCut && keepsEnd { buffer.cutStart(from: start, toWidth: width - 1) }
        if isCut { buffer.cut(from: start, toWidth: width - 1) }
        let used = buffer.width(from: start)
        let spaces = max(1, width - used)
        buffer.pad(to: buffer.count + spaces)
        return used + spaces
    }

    private func colour(of event: EventDefinition) -> StaticString {
        guard case .systemCall = event.source else { return "\u{1b}[35m" }
        if event.sets.contains("net") { return "\u{1b}[34m" }
        if event.sets.contains("fs") { return "\u{1b}[32m" }
        if event.sets.contains("proc") { return "\u{1b}[33m" }
        return "\u{1b}[36m"
    }

    private func append(
        _ event: EventView, _ index: Int, _ field: FieldLayout, _ buffer: inout ByteBuffer
    ) {
        guard let value = event.value(index) else { return buffer.append("-") }
        switch field.type {
        case .int32, .uint32, .uint16, .int64, .uint64, .time, .bool:
            buffer.append(plain: value, field.type, clock)
        case .pointer:
            guard field.isBuffer, let payload = event.blob(index) else {
                return buffer.append(hexadecimal: value)
            }
            buffer.append(visible: payload.bytes)
            if payload.isTruncated { buffer.append("…") }
        case .string where event.string(index) != nil:
            if let text = event.string(index) { buffer.append(visible: text) }
            if event.blob(index)?.isTruncated == true { buffer.append("…") }
        case .string, .stringArray, .int32Pair, .timespec, .socketAddress, .bytes, .uint64Array, .credentials:
            guard let blob = event.blob(index) else {
                // Nothing was read: a null pointer, or memory that is not there.
                if value == 0 { buffer.append("-") } else { buffer.append(hexadecimal: value) }
                return
            }
            append(blob, field.type, index, event, &buffer)
            if blob.isTruncated { buffer.append("…") }
        }
    }

    private func append(
        _ blob: BlobView, _ type: FieldType, _ index: Int, _ event: EventView, _ buffer: inout ByteBuffer
    ) {
        let bytes = blob.bytes
        switch type {
        case .stringArray:
            buffer.append("[")
            var isFirst = true
            environment.forEachShown(blob, at: index, of: event) { head, isHidden, tail in
                if !isFirst { buffer.append(" ") }
                isFirst = false
                buffer.append(visible: head)
                guard isHidden else { return }
                buffer.reserve(3)
                buffer.append(SecretRedaction.mark)
                buffer.append(visible: tail)
            }
            buffer.append("]")
        case .int32Pair:
            guard bytes.byteCount >= 8 else { return }
            guard showsDescriptors else { return buffer.append(int32Pair: bytes, separator: " ") }
            buffer.append(
                descriptors: blob, of: event, separator: " ", .table, after: 512 + event.byteCount * 8)
        case .timespec: Timespec(bytes)?.append(to: &buffer)
        case .socketAddress:
            guard let address = SocketAddress(bytes) else { return }
            append(address, &buffer)
        case .bytes: buffer.append(visible: bytes)
        case .uint64Array: buffer.append(hexadecimals: bytes, separator: " ")
        case .credentials:
            guard let credentials = Credentials(bytes) else { return }
            buffer.append(words: credentials)
        case .int32, .uint32, .int64, .uint64, .uint16, .bool, .pointer, .time, .string: return
        }
    }

    private func append(_ address: borrowing SocketAddress, _ buffer: inout ByteBuffer) {
        switch address {
        case .ipv4(let bits, let port):
            buffer.append(ipv4: bits)
            buffer.append(":")
            buffer.append(decimal: UInt64(port))
        case .ipv6(let bytes, let port, _, _):
            buffer.append("[")
            buffer.append(ipv6: bytes)
            buffer.append("]:")
            buffer.append(decimal: UInt64(port))
        case .unix(let path, let isAbstract):
            if isAbstract { buffer.append("@") }
            buffer.append(visible: path)
        case .other(let family): buffer.append(SocketAddress.familyName(family))
        }
    }
}

extension ByteBuffer {
    /// Appends spaces up to a length.
    mutating func pad(to length: Int) {
        reserve(max(0, length - count) + 1)
        while count < length { append(UInt8(ascii: " ")) }
    }

    /// Columns that what was written since `start` takes.
    func width(from start: Int) -> Int {
        unsafe withBytes { bytes in
            unsafe bytes[start...].reduce(0) { $0 + Self.columns(of: $1) }
        }
    }

    /// Cuts what was written since `start` to a number of columns by leaving its beginning out, with an ellipsis.
    mutating func cutStart(from start: Int, toWidth limit: Int) {
        var over = width(from: start) - limit
        guard over > 0 else { return }
        // For the ellipsis.
        over += 1
        var rest = unsafe withBytes { unsafe Array($0[start...]) }
        while over > 0, let first = rest.first {
            over -= Self.columns(of: first)
            rest.removeFirst()
        }
        // Not in the middle of a scalar.
        while let first = rest.first, first & 0xc0 == 0x80 { rest.removeFirst() }
        truncate(to: start)
        append("…")
        unsafe append(rest.span.bytes)
    }

    /// Cuts what was written since `start` to a number of columns, with an ellipsis.
    mutating func cut(from start: Int, toWidth limit: Int) {
        guard width(from: start) > limit else { return }
        var at = start
        var seen = 0
        unsafe withBytes { bytes in
            while at < bytes.count {
                seen += unsafe Self.columns(of: bytes[at])
                if seen > limit - 1 { break }
                at += 1
            }
            // Not in the middle of a scalar.
            while unsafe at > start && at < bytes.count && bytes[at] & 0xc0 == 0x80 { at -= 1 }
        }
        truncate(to: at)
        append("…")
    }

    /// Columns that a scalar takes, told by its first byte alone, and 0 for the others: two from U+3000
    /// on (CJK, Hangul, emoji), which is right for nearly all, and never too few.
    private static func columns(of byte: UInt8) -> Int {
        if byte & 0xc0 == 0x80 { return 0 }
        return byte >= 0xe3 ? 2 : 1
    }
}
