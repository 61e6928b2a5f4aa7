internal import Catalog
internal import Events
internal import Symbols

/// What stands beside the data of a message: descriptors, credentials, times (`struct cmsghdr`, include/linux/socket.h).
struct ControlMessages {
    private let levels = NumberWords("socket_level", width: 32)
    private let ofSockets = NumberWords("control_message", width: 32)
    private let ofIP = NumberWords("ip_option", width: 32)
    private let ofIPv6 = NumberWords("ipv6_option", width: 32)
    private let others = NumberWords.hexadecimal(width: 32)

    static let shared = ControlMessages()

    // Levels and kinds (include/linux/socket.h, include/uapi/asm-generic/socket.h, include/uapi/linux/in.h).
    private static let (ip, socket, ipv6): (Int32, Int32, Int32) = (0, 1, 41)
    private static let (rights, credentials): (Int32, Int32) = (1, 2)
    private static let (time, timeInNanoseconds): (Int32, Int32) = (29, 35)
    private static let (ipTOS, ipTTL, ipPacket): (Int32, Int32, Int32) = (1, 2, 8)
    private static let head = 16

    /// The most that `bytes` take in any form: each message names three numbers, and a descriptor may have 12 bytes.
    static func room(_ bytes: Int) -> Int { (bytes / head + 1) * 320 + bytes * 6 }

    /// `[{cmsg_len=20, cmsg_level=SOL_SOCKET, cmsg_type=SCM_RIGHTS, cmsg_data=[3]}]`. The room is the caller's, but for what
    /// descriptors are open on.
    /// - Parameters:
    ///   - size: Bytes that are shown at most. Where the blob is cut there are more messages.
    ///   - after: Room that is left behind a descriptor.
    func append(
        _ blob: borrowing BlobView, of event: borrowing EventView, size: Int, _ style: StructureStyle,
        after: Int, to buffer: inout ByteBuffer
    ) {
        let bytes = blob.bytes.extracting(first: min(blob.bytes.byteCount, size))
        buffer.append("[")
        var at = 0
        while at + Self.head <= bytes.byteCount {
            let length = unsafe bytes.unsafeLoadUnaligned(fromByteOffset: at, as: UInt64.self)
            let rest = bytes.byteCount - at
            if at > 0 { buffer.append(style == .json ? "," : ", ") }
            append(
                bytes.extracting(at..<at + min(rest, Int(clamping: length < 16 ? 16 : length))), length,
                blob.field, event, style, after, &buffer)
            // The next begins at a multiple of eight; one that is too short or too long is the last.
            guard length >= 16, length <= UInt64(rest) else { break }
            at += (Int(clamping: length) + 7) & ~7
        }
        if blob.isTruncated && style == .words { buffer.append(at > 0 ? ", ..." : "...") }
        buffer.append("]")
    }

    private func append(
        _ message: RawSpan, _ length: UInt64, _ field: Int, _ event: borrowing EventView,
        _ style: StructureStyle, _ after: Int, _ buffer: inout ByteBuffer
    ) {
        let level = number(message, 8)
        let kind = number(message, 12)
        let names =
            switch level {
            case Self.socket: ofSockets
            case Self.ip: ofIP
            case Self.ipv6: ofIPv6
            default: others
            }
        let isJSON = style == .json
        buffer.append(isJSON ? "{\"cmsg_len\":\"" : "{cmsg_len=")
        buffer.append(decimal: length)
        buffer.append(isJSON ? "\",\"cmsg_level\":\"" : ", cmsg_level=")
        _ = levels.append(UInt64(UInt32(bitPattern: level)), to: &buffer)
        buffer.append(isJSON ? "\",\"cmsg_type\":\"" : ", cmsg_type=")
        _ = names.append(UInt64(UInt32(bitPattern: kind)), to: &buffer)
        if isJSON { buffer.append("\"") }
        let data = message.extracting(droppingFirst: Self.head)
        if data.byteCount > 0 {
            buffer.append(isJSON ? ",\"cmsg_data\":" : ", cmsg_data=")
            if level == Self.socket && kind == Self.rights && data.byteCount >= 4 {
                append(descriptors: data, field, event, style, after, &buffer)
            } else {
                append(data, level, kind, style, &buffer)
            }
        }
        buffer.append("}")
    }

    private func append(
        descriptors data: RawSpan, _ field: Int, _ event: borrowing EventView, _ style: StructureStyle,
        _ after: Int, _ buffer: inout ByteBuffer
    ) {
        buffer.append("[")
        for at in stride(from: 0, to: data.byteCount & ~3, by: 4) {
            if at > 0 { buffer.append(style == .json ? "," : ", ") }
            buffer.append(
                descriptor: Int64(number(data, at)), in: field, of: event, style, after: after)
        }
        buffer.append("]")
    }

    private func append(
        _ data: RawSpan, _ level: Int32, _ kind: Int32, _ style: StructureStyle, _ buffer: inout ByteBuffer
    ) {
        let isJSON = style == .json
        switch (level, kind) {
        case (Self.socket, Self.credentials) where data.byteCount >= 12:
            buffer.append(isJSON ? "{\"pid\":" : "{pid=")
            buffer.append(decimal: Int64(number(data, 0)))
            buffer.append(isJSON ? ",\"uid\":" : ", uid=")
            buffer.append(decimal: UInt64(UInt32(bitPattern: number(data, 4))))
            buffer.append(isJSON ? ",\"gid\":" : ", gid=")
            buffer.append(decimal: UInt64(UInt32(bitPattern: number(data, 8))))
            buffer.append("}")
        case (Self.socket, Self.time), (Self.socket, Self.timeInNanoseconds):
            guard let time = Timespec(data) else { return append(data, style, &buffer) }
            buffer.append(isJSON ? "{\"tv_sec\":\"" : "{tv_sec=")
            buffer.append(decimal: time.seconds)
            if isJSON {
                buffer.append(kind == Self.time ? "\",\"tv_usec\":\"" : "\",\"tv_nsec\":\"")
            } else {
                buffer.append(kind == Self.time ? ", tv_usec=" : ", tv_nsec=")
            }
            buffer.append(decimal: time.nanoseconds)
            buffer.append(isJSON ? "\"}" : "}")
        case (Self.ip, Self.ipTTL) where data.byteCount == 4:
            buffer.append("[")
            buffer.append(decimal: Int64(number(data, 0)))
            buffer.append("]")
        case (Self.ip, Self.ipTOS) where data.byteCount == 1 && !isJSON:
            buffer.append("[")
            buffer.append(bits: UInt64(unsafe data.unsafeLoad(fromByteOffset: 0, as: UInt8.self)))
            buffer.append("]")
        default: append(data, style, &buffer)
        }
    }

    private func append(_ data: RawSpan, _ style: StructureStyle, _ buffer: inout ByteBuffer) {
        if style == .json { buffer.append(jsonBytes: data) } else { buffer.append(hexadecimalText: data) }
    }

    private func number(_ bytes: RawSpan, _ at: Int) -> Int32 {
        guard at + 4 <= bytes.byteCount else { return 0 }
        return unsafe bytes.unsafeLoadUnaligned(fromByteOffset: at, as: Int32.self)
    }
}

extension ByteBuffer {
    /// `"\x01\xff"`: bytes that are no text. Four for each and two more; the room is the caller's.
    mutating func append(hexadecimalText bytes: RawSpan) {
        append("\"")
        for at in 0..<bytes.byteCount {
            let byte = unsafe bytes.unsafeLoad(fromByteOffset: at, as: UInt8.self)
            append("\\x")
            append(UInt64(byte), hexadecimalDigits: 2)
        }
        append("\"")
    }
}
