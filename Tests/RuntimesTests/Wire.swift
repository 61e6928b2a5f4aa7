@testable import Runtimes

/// What a server of gRPC says, frame by frame.
enum Wire {
    static func number(_ value: Int, _ bytes: Int = 4) -> [UInt8] {
        (0..<bytes).map { UInt8(truncatingIfNeeded: value >> (8 * (bytes - 1 - $0))) }
    }

    static func frame(_ kind: UInt8, _ flags: UInt8, _ stream: Int, _ content: [UInt8]) -> [UInt8] {
        number(content.count, 3) + [kind, flags] + number(stream) + content
    }

    static let settings = frame(4, 0, 0, number(3, 2) + number(100))
    /// `:status: 200` and `content-type: application/grpc`, which goes into the table.
    static let head = frame(1, 4, 1, [0x88, 0x5f, 0x10] + Array("application/grpc".utf8))

    static func trailer(_ status: Int) -> [UInt8] {
        let text = Array(String(status).utf8)
        return frame(1, 5, 1, [0x40, 11] + Array("grpc-status".utf8) + [UInt8(text.count)] + text + [0xbe])
    }

    static func message(_ content: [UInt8]) -> [UInt8] { [0] + number(content.count) + content }

    static func answer(_ content: [UInt8]) -> [UInt8] {
        settings + frame(4, 1, 0, []) + head + frame(0, 0, 1, message(content)) + trailer(0)
    }

    /// Field blocks and messages of a request.
    static func read(_ request: [UInt8]) -> (fields: [String: String], message: [UInt8], isWhole: Bool) {
        var at = 24
        var (fields, message, isWhole): ([String: String], [UInt8], Bool) = ([:], [], false)
        while request.count - at >= 9 {
            let length = request[at..<at + 3].reduce(0) { $0 << 8 | Int($1) }
            guard request.count - at - 9 >= length else { break }
            let content = Array(request[at + 9..<at + 9 + length])
            if request[at + 3] == 1 {
                var table = HPACK()
                for field in (try? table.decode(content)) ?? [] {
                    fields[String(decoding: field.name, as: UTF8.self)] = String(
                        decoding: field.value, as: UTF8.self)
                }
            }
            if request[at + 3] == 0 {
                message += content
                isWhole = request[at + 4] & 1 != 0
            }
            at += 9 + length
        }
        return (fields, message, isWhole)
    }

    static func field(_ number: Int, _ content: [UInt8]) -> [UInt8] {
        Protobuf.message(number, "").dropLast() + varint(content.count) + content
    }

    static func field(_ number: Int, _ text: String) -> [UInt8] { field(number, Array(text.utf8)) }

    static func map(_ number: Int, _ map: [(String, String)]) -> [UInt8] {
        map.flatMap { field(number, field(1, $0.0) + field(2, $0.1)) }
    }

    private static func varint(_ value: Int) -> [UInt8] {
        value < 128 ? [UInt8(value)] : [UInt8(value & 127) | 128] + varint(value >> 7)
    }
}
