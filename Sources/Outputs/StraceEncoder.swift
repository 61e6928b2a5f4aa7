public import Catalog
internal import Events
internal import Glibc
internal import Symbols

/// Writes system calls as strace does, one line each, when they have returned:
///
///     [pid 4711] openat(AT_FDCWD, "/etc/passwd", O_RDONLY|O_CLOEXEC) = 3
///
/// A signal is `--- SIGCHLD {si_signo=SIGCHLD, …} ---`, the end of a process `+++ exited with 0 +++`. Another event is
/// `--- name {field=value, …} ---`.
public struct StraceEncoder: ~Copyable {
    private let catalog: Catalog
    private var layouts: FieldLayouts
    /// `-1 ENOENT (No such file or directory)`, by number.
    private let failures: [[UInt8]]
    private let environment: EnvironmentField
    private let clock: Clock
    private let signals: StraceSignal
    /// Behind each call stands how long it took, in seconds: `<0.000012>`.
    private let showsDurations: Bool
    /// Behind each descriptor stands what it is open on: `3</etc/passwd>`.
    private let showsDescriptors: Bool

    public init(
        catalog: Catalog = .builtIn, clock: Clock, redaction: SecretRedaction = SecretRedaction(),
        showsDurations: Bool = false, showsDescriptors: Bool = false
    ) {
        self.catalog = catalog
        self.clock = clock
        self.showsDurations = showsDurations
        self.showsDescriptors = showsDescriptors
        signals = StraceSignal(catalog)
        environment = EnvironmentField(catalog, redaction)
        layouts = FieldLayouts(catalog)
        let errors = SymbolTable.named("errno")
        failures = (0...Int(NumberWords.failures.lowerBound.magnitude)).map { number in
            var text = ByteBuffer(capacity: 256)
            let restart = Self.restarts[number]
            text.append(restart == nil ? "-1" : "?")
            if number > 0, let errors {
                text.append(" ")
                text.append(UInt64(number), by: errors, width: 32, unknown: .decimal)
            }
            if let restart {
                text.append(" (\(restart))")
            } else if (1...Self.lastOfPrograms).contains(number) {
                text.append(" (\(unsafe String(cString: strerror(Int32(number))).prefix(128)))")
            }
            return unsafe text.withBytes { unsafe Array($0) }
        }
    }

    /// EHWPOISON: what programs see ends here (include/uapi/asm-generic/errno.h).
    private static let lastOfPrograms = 133

    /// What the kernel means by numbers that programs never see (include/linux/errno.h).
    private static let restarts = [
        512: "To be restarted if SA_RESTART is set", 513: "To be restarted",
        514: "To be restarted if no handler", 516: "Interrupted by signal",
    ]

    mutating func encode(_ event: EventView, index: Int, into buffer: inout ByteBuffer) {
        let definition = catalog.events[index]
        let isSignal = definition.id == .signal_deliver
        if isSignal && !signals.isShown(event) { return }
        let layout = layouts.of(definition, event)
        buffer.reserve(512 + StraceSignal.room + event.byteCount * 8)
        buffer.append("[pid ")
        buffer.append(decimal: UInt64(event.hostThread))
        buffer.append("] ")
        switch definition.source {
        case .systemCall(_, _, let trait):
            buffer.append(definition.name)
            append(layout, event, returns: trait != .noReturn, &buffer)
            if showsDurations, let duration = event.duration { append(duration: duration, &buffer) }
        case .hooks where definition.id == .sched_process_exit: append(end: event, &buffer)
        case .hooks where isSignal:
            buffer.append("--- ")
            signals.append(event, to: &buffer)
            buffer.append(" ---")
        case .hooks, .agent:
            buffer.append("--- ")
            buffer.append(definition.name)
            buffer.append(" {")
            append(fieldsOf: event, layout, count: layout.fields.count, isNamed: true, &buffer)
            buffer.append("} ---")
        }
        buffer.append("\n")
    }

    /// Bytes of what is written between two reservations, beside texts and words.
    private static let slack = 512

    // MARK: Calls

    private func append(
        _ layout: EventLayout, _ event: EventView, returns: Bool, _ buffer: inout ByteBuffer
    ) {
        let count = layout.fields.count - 1
        buffer.append("(")
        if layout.isClone {
            append(argumentsOfClone: event, layout, count, &buffer)
        } else {
            append(fieldsOf: event, layout, count: count, isNamed: false, &buffer)
        }
        buffer.append(") = ")
        guard returns, let value = event.value(count) else { return buffer.append("?") }
        let result = Int64(bitPattern: value)
        if NumberWords.failures.contains(result) { return buffer.append(failures[Int(-result)]) }
        let after = Self.slack + event.byteCount * 8
        buffer.append(value, as: layout.result, after: after)
        switch layout.result {
        case .number: append(descriptor: count, event, after, &buffer)
        case .waiting: buffer.append(leftBy: event, layout, isOver: result == 0, after: after)
        case .address, .mode, .named: break
        }
    }

    /// In seconds, to the microsecond, as strace has it: what is less is rounded. At most 26 bytes.
    private func append(duration: UInt64, _ buffer: inout ByteBuffer) {
        let microseconds = duration / 1000 + (duration % 1000 >= 500 ? 1 : 0)
        buffer.append(" <")
        buffer.append(decimal: microseconds / 1_000_000)
        buffer.append(".")
        for unit in [10000, 100, 1] as [UInt64] {
            buffer.append(twoDigits: Int(microseconds / unit % 100))
        }
        buffer.append(">")
    }

    private func append(end event: EventView, _ buffer: inout ByteBuffer) {
        if let signal = event.value(1), signal != 0 {
            buffer.append("+++ killed by ")
            buffer.append(signal: UInt32(truncatingIfNeeded: signal))
        } else {
            buffer.append("+++ exited with ")
            buffer.append(decimal: event.value(0) ?? 0)
        }
        buffer.append(" +++")
    }

    // MARK: Arguments

    private func append(
        fieldsOf event: EventView, _ layout: EventLayout, count: Int, isNamed: Bool,
        _ buffer: inout ByteBuffer
    ) {
        // What is written after an argument still needs its room.
        let after = Self.slack + event.byteCount * 8
        var isFirst = true
        for number in layout.used {
            guard number < count, let value = event.value(number) else { continue }
            let argument = layout.fields[number]
            if argument.isModeOfOpening, !Self.makesFile(event.value(number - 1) ?? 0) { continue }
            if !isFirst { buffer.append(", ") }
            isFirst = false
            if isNamed {
                buffer.append(argument.name)
                buffer.append("=")
            }
            append(field: number, value, event, layout, count: count, after, &buffer)
        }
    }

    /// What strace names them, in its order, and the flags without which the call does not look at them.
    private static let argumentsOfClone: [(label: StaticString, index: Int, flags: UInt64)] = [
        ("child_stack=", 1, .max), (", flags=", 0, .max),
        (", parent_tid=", 2, 0x10_1000),  // CLONE_PARENT_SETTID, CLONE_PIDFD
        (", tls=", 4, 0x8_0000),  // CLONE_SETTLS
        (", child_tidptr=", 3, 0x120_0000),  // CLONE_CHILD_SETTID, CLONE_CHILD_CLEARTID
    ]

    private func append(
        argumentsOfClone event: EventView, _ layout: EventLayout, _ count: Int, _ buffer: inout ByteBuffer
    ) {
        let after = Self.slack + event.byteCount * 8
        for (label, index, flags) in Self.argumentsOfClone {
            guard flags == .max || flags & (event.value(0) ?? 0) != 0, let value = event.value(index) else {
                continue
            }
            buffer.append(label)
            append(field: index, value, event, layout, count: count, after, &buffer)
        }
    }

    private func append(
        field number: Int, _ value: UInt64, _ event: EventView, _ layout: EventLayout, count: Int,
        _ after: Int, _ buffer: inout ByteBuffer
    ) {
        let argument = layout.fields[number]
        buffer.reserve(argument.words.room + after)
        if argument.words.append(value, to: &buffer) {
            return append(descriptor: number, event, after, &buffer)
        }
        let structure = layout.structure(of: number, event)
        if argument.isCountedByResult, value != 0, event.value(count) == 0,
            argument.type != .string || argument.roomArgument.flatMap({ event.value($0) }) != 0
        {
            buffer.append(argument.isArray ? "[]" : "\"\"")
        } else if argument.structure != nil, structure == nil {
            append(address: value, &buffer)
        } else {
            append(event, number, value, argument, structure, after, &buffer)
        }
    }

    private static func makesFile(_ flags: UInt64) -> Bool {
        flags & UInt64(O_CREAT | 0o20000000) != 0  // __O_TMPFILE
    }

    private func append(
        _ event: EventView, _ number: Int, _ value: UInt64, _ argument: FieldLayout,
        _ structure: StructureLayout?, _ after: Int, _ buffer: inout ByteBuffer
    ) {
        switch argument.type {
        case .int32, .uint32, .uint16, .int64, .uint64, .time, .bool:
            buffer.append(plain: value, argument.type, clock)
            append(descriptor: number, event, after, &buffer)
        case .pointer:
            if let waited = argument.waited, let blob = event.given(number) {
                return buffer.append(
                    blob, of: event, as: waited.given, isArray: argument.isArray,
                    bits: argument.countOfBits.flatMap { event.value($0) }, .words, after: after)
            }
            guard let blob = event.blob(number) else {
                if value != 0, let count = argument.count ?? argument.lengthArgument, event.value(count) == 0,
                    argument.structure == nil || argument.isArray
                {
                    return buffer.append(argument.isArray ? "[]" : "\"\"")
                }
                return append(address: value, &buffer)
            }
            if let structure {
                append(blob, value, structure, argument, number, event, after, &buffer)
            } else {
                buffer.reserve(blob.bytes.byteCount * 4 + 8 + after)
                buffer.append(cString: blob.bytes)
                if blob.isTruncated { buffer.append("...") }
            }
        case .string:
            guard var text = event.string(number) else { return append(address: value, &buffer) }
            if argument.isWhole, let all = event.blob(number) { text = all.bytes }
            buffer.reserve(text.byteCount * 4 + 8 + after)
            buffer.append(cString: text)
            if event.blob(number)?.isTruncated == true { buffer.append("...") }
        case .stringArray, .int32Pair, .timespec, .socketAddress, .bytes, .uint64Array, .credentials:
            guard let blob = event.blob(number) else { return append(address: value, &buffer) }
            append(blob, value, argument, number, event, after, &buffer)
        }
    }

    private func append(
        descriptor number: Int, _ event: EventView, _ after: Int, _ buffer: inout ByteBuffer
    ) {
        guard showsDescriptors, let descriptor = event.descriptor(number) else { return }
        buffer.append(descriptor, of: event, .strace, after: after)
    }

    private func append(
        _ blob: BlobView, _ value: UInt64, _ layout: StructureLayout, _ argument: FieldLayout, _ number: Int,
        _ event: EventView, _ after: Int, _ buffer: inout ByteBuffer
    ) {
        let bits = argument.countOfBits.flatMap { event.value($0) }
        if argument.moment == .changed {
            if append(lengths: event.given(number), blob, &buffer) { return }
        } else if argument.moment != .left, blob.isResult, let given = event.given(number) {
            buffer.append(
                given, of: event, as: layout, isArray: argument.isArray, bits: bits, .words, after: after)
            if argument.moment == .given { return }
            buffer.append(" => ")
        }
        // Fewer bytes than its first member has tell nothing.
        if !argument.isArray && !layout.shows(blob.bytes.byteCount) { return append(address: value, &buffer) }
        buffer.append(
            blob, of: event, as: layout, isArray: argument.isArray, bits: bits, .words, after: after)
    }

    private func append(lengths given: BlobView?, _ left: BlobView, _ buffer: inout ByteBuffer) -> Bool {
        guard left.isResult, let given, given.bytes.byteCount >= 4, left.bytes.byteCount >= 4 else {
            return false
        }
        let room = unsafe given.bytes.unsafeLoadUnaligned(as: Int32.self)
        let length = unsafe left.bytes.unsafeLoadUnaligned(as: Int32.self)
        if room == length { return false }
        buffer.append("[")
        buffer.append(decimal: Int64(room))
        buffer.append(" => ")
        buffer.append(decimal: Int64(length))
        buffer.append("]")
        return true
    }

    private func append(address: UInt64, _ buffer: inout ByteBuffer) {
        if address == 0 { buffer.append("NULL") } else { buffer.append(hexadecimal: address) }
    }

    private func append(
        _ blob: BlobView, _ value: UInt64, _ argument: FieldLayout, _ number: Int, _ event: EventView,
        _ after: Int, _ buffer: inout ByteBuffer
    ) {
        let bytes = blob.bytes
        switch argument.type {
        case .stringArray where argument.isEnvironment:
            append(address: value, &buffer)
            buffer.append(" /* ")
            buffer.append(decimal: UInt64(blob.count))
            buffer.append(blob.count == 1 ? " var */" : " vars */")
        case .stringArray:
            buffer.append("[")
            var isFirst = true
            // Of a text with a secret nothing behind it either.
            environment.forEachShown(blob, at: number, of: event) { head, isHidden, _ in
                buffer.reserve(head.byteCount * 4 + 8 + after)
                if !isFirst { buffer.append(", ") }
                isFirst = false
                if blob.hasGaps, BlobView.isGap(head) { return buffer.append("...") }
                buffer.append(cString: head)
                if isHidden { buffer.append(SecretRedaction.mark) }
            }
            buffer.append(blob.isTruncated ? ", ...]" : "]")
        case .int32Pair:
            guard bytes.byteCount >= 8 else { return append(address: value, &buffer) }
            guard showsDescriptors else { return buffer.append(int32Pair: bytes, separator: ", ") }
            buffer.append(descriptors: blob, of: event, separator: ", ", .strace, after: after)
        case .timespec:
            guard let time = Timespec(bytes) else { return append(address: value, &buffer) }
            buffer.append("{tv_sec=")
            buffer.append(decimal: time.seconds)
            buffer.append(", tv_nsec=")
            buffer.append(decimal: time.nanoseconds)
            buffer.append("}")
        case .socketAddress:
            guard let address = SocketAddress(bytes) else { return append(address: value, &buffer) }
            buffer.append(words: address, bytes)
        case .bytes:
            buffer.reserve(bytes.byteCount * 4 + 8 + after)
            buffer.append(cString: bytes)
            if blob.isTruncated { buffer.append("...") }
        case .uint64Array: buffer.append(hexadecimals: bytes, separator: ", ")
        case .credentials:
            guard let credentials = Credentials(bytes) else { return append(address: value, &buffer) }
            buffer.reserve(1024 + after)
            buffer.append(words: credentials)
        case .int32, .uint32, .int64, .uint64, .uint16, .bool, .pointer, .time, .string: return
        }
    }
}

extension ByteBuffer {
    /// Text as C source has it, in quotes: what is not printable ASCII is `\n` and the like, or octal. At most four bytes
    /// for each and two more; the room is the caller's.
    mutating func append(cString bytes: RawSpan) {
        append("\"")
        append(cText: bytes, escapesAngles: false)
        append("\"")
    }

    /// The same without quotes, and where it stands in angle brackets with these as octal numbers.
    mutating func append(cText bytes: RawSpan, escapesAngles: Bool) {
        for at in 0..<bytes.byteCount {
            let byte = unsafe bytes.unsafeLoad(fromByteOffset: at, as: UInt8.self)
            switch byte {
            case UInt8(ascii: "\""): append("\\\"")
            case UInt8(ascii: "\\"): append("\\\\")
            case 0x09: append("\\t")
            case 0x0a: append("\\n")
            case 0x0b: append("\\v")
            case 0x0c: append("\\f")
            case 0x0d: append("\\r")
            case 0x20..<0x7f where !(escapesAngles && (byte == 0x3c || byte == 0x3e)): append(byte)
            default:
                append("\\")
                // As short as it can be, but before an octal digit.
                let next =
                    at + 1 < bytes.byteCount
                    ? unsafe bytes.unsafeLoad(fromByteOffset: at + 1, as: UInt8.self) : 0
                if (UInt8(ascii: "0")...UInt8(ascii: "7")).contains(next) {
                    append(UInt8(ascii: "0") + byte >> 6)
                    append(UInt8(ascii: "0") + byte >> 3 & 7)
                    append(UInt8(ascii: "0") + byte & 7)
                } else {
                    append(octal: UInt64(byte))
                }
            }
        }
    }
}
