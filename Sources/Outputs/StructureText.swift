internal import Catalog
internal import Events

/// How structures are written.
enum StructureStyle {
    /// `{st_mode=S_IFREG|0644, st_size=5}`, as strace does.
    case words
    /// A JSON object; numbers of 64 bits are strings, as elsewhere.
    case json
}

extension ByteBuffer {
    /// Writes what a pointer led to: one structure, or the elements of an array, and what the pointers in it led to. Makes
    /// its own room and leaves `after`.
    /// - Parameter isArray: the field has as many as some argument says.
    /// - Parameter bits: how many bits a set has, where an argument says it.
    mutating func append(
        _ blob: borrowing BlobView, of event: borrowing EventView, as layout: StructureLayout, isArray: Bool,
        bits: UInt64? = nil, _ style: StructureStyle, after: Int
    ) {
        if let member = layout.members.first, member.type == .set {
            let after = layout.room + 16 + after
            reserve(after)
            let set = blob.bytes.extracting(first: min(blob.bytes.byteCount, layout.size))
            return layout.way == .words && style == .words
                ? append(wordsOf: set, bits: bits)
                : append(
                    set: set, bits: bits, ofDescriptors: member.isDescriptor ? blob.field : nil, event, style,
                    after)
        }
        let whole = blob.bytes.byteCount / layout.size
        let shown = min(whole, StructureLayout.elementLimit)
        let isCut = blob.isTruncated || shown < whole
        guard isArray else {
            reserve(layout.room + 16 + after)
            // Callers may give fewer bytes than there are, or more.
            append(blob, of: event, from: 0, as: layout, style, after)
            return
        }
        reserve(16 + after)
        append("[")
        for index in 0..<shown {
            if index > 0 { append(style == .json ? "," : ", ") }
            reserve(layout.room + 32 + after)
            if layout.isValue {
                append(blob, of: event, from: index * layout.size, layout.members[0], style, 32 + after)
            } else {
                append(blob, of: event, from: index * layout.size, as: layout, style, after)
            }
        }
        if isCut && style == .words { append(shown > 0 ? ", ..." : "...") }
        append("]")
    }

    /// The elements of an array of `struct pollfd` to which something happened.
    mutating func append(
        polled blob: borrowing BlobView, of event: borrowing EventView, as layout: StructureLayout, after: Int
    ) {
        reserve(16 + after)
        append("[")
        var isFirst = true
        for at in stride(from: 0, to: blob.bytes.byteCount - 7, by: 8)
        where unsafe blob.bytes.unsafeLoadUnaligned(fromByteOffset: at + 6, as: UInt16.self) != 0 {
            reserve(layout.room + 32 + after)
            if !isFirst { append(", ") }
            isFirst = false
            append(blob, of: event, from: at, as: layout, .words, after)
        }
        append("]")
    }

    private mutating func append(
        _ blob: borrowing BlobView, of event: borrowing EventView, from start: Int,
        as layout: StructureLayout,
        _ style: StructureStyle, _ after: Int
    ) {
        if append(blob, of: event, from: start, by: layout, style, after) { return }
        if layout.isValue {
            append(blob, of: event, from: start, value: layout.members[0], whole: layout.size, style, after)
        } else if style == .json {
            appendJSON(blob, of: event, from: start, layout, after)
        } else {
            appendWords(blob, of: event, from: start, layout, after)
        }
    }

    /// What is not written by its members alone; false where it is.
    private mutating func append(
        _ blob: borrowing BlobView, of event: borrowing EventView, from start: Int,
        by layout: StructureLayout,
        _ style: StructureStyle, _ after: Int
    ) -> Bool {
        let bytes = blob.bytes
        if layout.way == .controlMessages {
            ControlMessages.shared.append(
                blob, of: event, size: layout.size, style, after: layout.room + after, to: &self)
            return true
        }
        guard style == .words, start + layout.size <= bytes.byteCount else { return false }
        let one = bytes.extracting(start..<start + layout.size)
        switch layout.way {
        case .signal: SignalInformation.shared.append(one, to: &self)
        case .event: SignalInformation.shared.append(event: one, to: &self)
        case .capabilities: append(capabilities: one)
        case .fileTimes: append(fileTimes: one, layout)
        case .socketFilter, .seccompFilter:
            append(
                instruction: unsafe one.unsafeLoadUnaligned(fromByteOffset: 0, as: UInt64.self),
                isOfSeccomp: layout.way == .seccompFilter)
        case .members, .polled, .words, .controlMessages: return false
        }
        return true
    }

    /// - Parameter whole: Bytes of the structure: where a call may give other values, it has room for them.
    private mutating func append(
        _ blob: borrowing BlobView, of event: borrowing EventView, from start: Int,
        value: StructureLayout.Member, whole: Int, _ style: StructureStyle, _ after: Int
    ) {
        let bytes = blob.bytes
        // As much of a text as the caller said.
        if case .text(let count) = value.type, start == 0, bytes.byteCount < count {
            return style == .json ? append(jsonString: EventView.untilNUL(bytes)) : append(cString: bytes)
        }
        guard whole == value.type.size || bytes.byteCount == value.type.size else {
            let bytes = bytes.extracting(first: min(bytes.byteCount, whole))
            if style == .json { return append(jsonBytes: bytes) }
            append(cString: bytes)
            if blob.isTruncated { append("...") }
            return
        }
        // Sets of signals have brackets of their own.
        let hasBrackets = style == .words && value.type != .signals
        if hasBrackets { append("[") }
        append(blob, of: event, from: start, value, style, 16 + after)
        if hasBrackets { append("]") }
    }

    private mutating func appendJSON(
        _ blob: borrowing BlobView, of event: borrowing EventView, from start: Int, _ layout: StructureLayout,
        _ after: Int
    ) {
        let bytes = blob.bytes
        append("{")
        var isFirst = true
        let end = layout.end(in: bytes, from: start)
        for member in layout.members where start + member.offset + member.type.size <= end {
            if !shows(member, of: blob, of: event, from: start) { continue }
            append(isFirst ? "\"" : ",\"")
            isFirst = false
            append(member.name)
            append("\":")
            append(blob, of: event, from: start, member, .json, layout.room + after)
        }
        append("}")
    }

    private mutating func appendWords(
        _ blob: borrowing BlobView, of event: borrowing EventView, from start: Int, _ layout: StructureLayout,
        _ after: Int
    ) {
        let bytes = blob.bytes
        append("{")
        var isFirst = true
        var inside: [Int] = []
        let end = layout.end(in: bytes, from: start)
        for member in layout.members where start + member.offset + member.type.size <= end {
            if member.isShownIfSet && !isSet(member, in: blob, of: event, from: start) { continue }
            if let condition = member.condition, !condition.holds(layout, bytes, start) { continue }
            if !shows(member, of: blob, of: event, from: start) { continue }
            var common = 0
            while common < min(inside.count, member.groups.count), inside[common] == member.groups[common] {
                common += 1
            }
            for group in inside[common...].reversed() { append(layout.groups[group].closing) }
            if !isFirst { append(", ") }
            isFirst = false
            for group in member.groups[common...] { append(layout.groups[group].opening) }
            inside = member.groups
            append(member.label)
            append(blob, of: event, from: start, member, .words, layout.room + after)
            if layout.way == .polled, member.offset == 0, let number = member.number(in: bytes, from: start),
                Int64(bitPattern: number) < 0
            {
                break
            }
        }
        for group in inside.reversed() { append(layout.groups[group].closing) }
        append("}")
    }

    /// `[{tv_sec=5, tv_nsec=0}, UTIME_OMIT]`: of access and of change.
    private mutating func append(fileTimes bytes: RawSpan, _ layout: StructureLayout) {
        append("[")
        for index in stride(from: 0, to: layout.members.count - 1, by: 2) {
            let (seconds, part) = (layout.members[index], layout.members[index + 1])
            let value = part.number(in: bytes, from: 0) ?? 0
            if index > 0 { append(", ") }
            if append(nameOf: value, by: part.words) { continue }
            append("{")
            append(seconds.label)
            append(decimal: Int64(bitPattern: seconds.number(in: bytes, from: 0) ?? 0))
            append(", ")
            append(part.label)
            append(decimal: Int64(bitPattern: value))
            append("}")
        }
        append("]")
    }

    /// Whether a number is not 0, and a pointer leads to something.
    private func isSet(
        _ member: StructureLayout.Member, in blob: borrowing BlobView, of event: borrowing EventView,
        from start: Int
    ) -> Bool {
        guard member.number(in: blob.bytes, from: start) != 0 else { return false }
        guard case .pointer = member.type else { return true }
        return event.blob(behind: blob, at: start + member.offset)?.bytes.byteCount != 0
    }

    /// - Returns: false for what the call was to leave, and left not.
    private func shows(
        _ member: StructureLayout.Member, of blob: borrowing BlobView, of event: borrowing EventView,
        from start: Int
    ) -> Bool {
        member.change != .left || blob.isResult && !blob.wasReadAtExit
            || event.changed(start + member.offset, in: blob) != nil
    }

    private mutating func append(
        _ blob: borrowing BlobView, of event: borrowing EventView, from start: Int,
        _ member: StructureLayout.Member, _ style: StructureStyle, _ after: Int
    ) {
        let isJSON = style == .json
        let bytes = blob.bytes
        if case .text = member.type {
            guard let text = member.text(in: bytes, from: start) else { return append(isJSON ? "null" : "?") }
            if isJSON { append(jsonString: text) } else { append(cString: text) }
            return
        }
        guard var value = member.number(in: bytes, from: start) else { return append(isJSON ? "null" : "?") }
        if case .pointer(let pointer) = member.type {
            let room =
                member.roomAt.flatMap { event.changed(start + $0, in: blob) }.map { max(0, Int($0)) } ?? .max
            guard let target = event.blob(behind: blob, at: start + member.offset),
                isJSON || min(target.bytes.byteCount, room) >= member.least
            else {
                if isJSON { append("\"") }
                if isJSON || value != 0 { append(hexadecimal: value) } else { append("NULL") }
                if isJSON { append("\"") }
                return
            }
            return append(target, of: event, behind: pointer, as: member.target, room: room, style, after)
        }
        if member.isDescriptor && !(member.isShownIfSet && value == 0) {
            return append(
                descriptor: Int64(bitPattern: value), in: blob.field, of: event,
                isWide: member.type.size == 8, style,
                after: after)
        }
        if let change = member.change, let other = event.changed(start + member.offset, in: blob) {
            switch change {
            case .room where !isJSON && blob.isResult && other != Int32(truncatingIfNeeded: value):
                append(decimal: Int64(other))
                append(" => ")
            case .left where !blob.isResult: value = UInt64(UInt32(bitPattern: other))
            case .room, .left: break
            }
        }
        switch member.type {
        case .signed, .unsigned:
            if !isJSON, member.words.append(value, to: &self) { return }
            if case .names = member.words {
                append("\"")
                _ = member.words.append(value, to: &self)
                return append("\"")
            }
            let isWide = isJSON && member.type.size == 8
            if isWide { append("\"") }
            if case .signed = member.type {
                append(decimal: Int64(bitPattern: value))
            } else {
                append(decimal: value)
            }
            if isWide { append("\"") }
        case .hexadecimal, .address:
            if !isJSON, case .epollData = member.words, member.words.append(value, to: &self) { return }
            if isJSON { append("\"") }
            if !append(nameOf: value, by: member.words) {
                if isJSON {
                    append(hexadecimal: value)
                } else if member.type == .address && value == 0 {
                    append("NULL")
                } else {
                    append(bits: value)
                }
            }
            if isJSON { append("\"") }
        case .octal:
            if isJSON { append(decimal: value) } else { append(mode: value) }
        case .device:
            if isJSON { append(decimal: value) } else { append(device: value) }
        case .signals:
            if isJSON { append("[") }
            append(signals: value, style)
            if isJSON { append("]") }
        case .waitStatus:
            if isJSON {
                append(decimal: value)
            } else {
                append(waitStatus: UInt32(truncatingIfNeeded: value))
            }
        case .text, .pointer, .set: return
        }
    }

    /// What a pointer in a structure led to.
    private mutating func append(
        _ blob: borrowing BlobView, of event: borrowing EventView, behind pointer: PointerMember,
        as layout: StructureLayout?, room: Int, _ style: StructureStyle, _ after: Int
    ) {
        let bytes = blob.bytes
        let isJSON = style == .json
        switch pointer.target {
        case .structure(_, let isArray):
            guard let layout else { return append(isJSON ? "null" : "?") }
            append(blob, of: event, as: layout, isArray: isArray, style, after: after)
        case .text, .bytes:
            reserve((isJSON ? ByteBuffer.jsonRoom(bytes.byteCount) : bytes.byteCount * 4) + 32 + after)
            switch (isJSON, pointer.target) {
            case (true, .text): append(jsonString: bytes)
            case (true, _): append(jsonBytes: bytes)
            case (false, _):
                append(cString: bytes)
                if blob.isTruncated { append("...") }
            }
        case .socketAddress:
            reserve(ByteBuffer.jsonRoom(bytes.byteCount) + 256 + after)
            let bytes = bytes.extracting(first: min(bytes.byteCount, room))
            guard let address = SocketAddress(bytes) else { return append(isJSON ? "null" : "?") }
            if isJSON { append(json: address) } else { append(words: address, bytes) }
        }
    }

    /// The numbers of the bits that are set: `[0 3 4]`, in JSON with commas.
    /// - Parameter field: The one that leads there, where they are descriptors.
    private mutating func append(
        set bytes: RawSpan, bits: UInt64?, ofDescriptors field: Int?, _ event: borrowing EventView,
        _ style: StructureStyle, _ after: Int
    ) {
        append("[")
        var isFirst = true
        bytes.forEachBit(of: bits) { bit in
            if !isFirst { append(style == .json ? "," : " ") }
            isFirst = false
            guard let field else { return append(decimal: UInt64(bit)) }
            append(descriptor: Int64(bit), in: field, of: event, style, after: after)
        }
        append("]")
    }
}

extension ByteBuffer {
    /// `[0x00000000000003]`: the words that so many bits are in, with as many digits as the widest.
    private mutating func append(wordsOf bytes: RawSpan, bits: UInt64?) {
        let words = min((min(bits ?? .max, 1 << 32) + 62) / 64, UInt64(bytes.byteCount / 8))
        append("[")
        for index in 0..<Int(words) {
            if index > 0 { append(", ") }
            let word = unsafe bytes.unsafeLoadUnaligned(fromByteOffset: 8 * index, as: UInt64.self)
            guard word != 0 else {
                append("0000000000000000")
                continue
            }
            append("0x")
            append(word, hexadecimalDigits: max(14, 16 - word.leadingZeroBitCount / 4))
        }
        append("]")
    }
}

extension RawSpan {
    /// The numbers of the bits that are set, in order: of all bytes, or of so many bits.
    func forEachBit(of bits: UInt64?, _ body: (Int) -> Void) {
        for bit in 0..<Int(min(bits ?? .max, UInt64(byteCount * 8))) {
            let byte = unsafe unsafeLoad(fromByteOffset: bit >> 3, as: UInt8.self)
            if byte >> UInt8(bit & 7) & 1 == 1 { body(bit) }
        }
    }
}
