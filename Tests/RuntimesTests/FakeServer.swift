import Foundation
import Testing

/// A server that answers each connection as it is told, on a thread of its own.
final class FakeServer: @unchecked Sendable {
    enum Act {
        case answer([UInt8])
        /// Takes the request and says no more.
        case hang
        /// Part of an answer, and then nothing, with the connection open.
        case stall([UInt8])
        /// Sends without end.
        case flood
        /// A byte now and then.
        case drip([UInt8])
    }

    let folder: Folder
    var path: String { folder.path + "/s" }
    private let descriptor: Int32
    private let lock = NSLock()
    private var seen: [[UInt8]] = []
    private var isOver = false
    private let ended = DispatchSemaphore(value: 0)

    var requests: [[UInt8]] { lock.withLock { seen } }

    /// - Parameters:
    ///   - isWhole: whether that is all of a request.
    ///   - acts: what to do on it.
    init(
        isWhole: @escaping @Sendable ([UInt8]) -> Bool, _ acts: @escaping @Sendable ([UInt8]) -> Act
    ) throws {
        folder = try Folder()
        descriptor = try listening(at: folder.path + "/s", queue: 8)
        Thread { [self] in
            while true {
                let connection = accept(descriptor, nil, nil)
                guard connection >= 0 else { break }
                serve(connection, isWhole, acts)
                close(connection)
            }
            ended.signal()
        }.start()
    }

    func end() {
        lock.withLock { isOver = true }
        shutdown(descriptor, Int32(SHUT_RDWR))
        _ = ended.wait(timeout: .now() + 10)
        close(descriptor)
    }

    private func serve(_ connection: Int32, _ isWhole: ([UInt8]) -> Bool, _ acts: ([UInt8]) -> Act) {
        var request: [UInt8] = []
        while !isWhole(request) {
            var piece = [UInt8](repeating: 0, count: 4096)
            let count = unsafe recv(connection, &piece, piece.count, 0)
            guard count > 0 else { return }
            request += piece[..<count]
        }
        lock.withLock { seen.append(request) }
        func say(_ bytes: [UInt8]) -> Bool {
            var at = 0
            while at < bytes.count {
                let count = unsafe send(
                    connection, Array(bytes[at...]), bytes.count - at, Int32(MSG_NOSIGNAL))
                guard count > 0 else { return false }
                at += count
            }
            return true
        }
        /// Until the other side goes.
        func wait() {
            var byte: UInt8 = 0
            _ = unsafe recv(connection, &byte, 1, 0)
        }
        switch acts(request) {
        case .answer(let bytes): _ = say(bytes)
        case .hang: wait()
        case .stall(let bytes):
            _ = say(bytes)
            wait()
        case .flood: while say([UInt8](repeating: 0x20, count: 65536)) {}
        case .drip(let bytes):
            for byte in bytes {
                guard say([byte]) else { return }
                usleep(20_000)
            }
        }
    }
}

/// A socket that waits for connections at a path.
func listening(at path: String, queue: Int32) throws -> Int32 {
    let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    let bytes = Array(path.utf8)
    unsafe withUnsafeMutableBytes(of: &address.sun_path) { place in
        for index in bytes.indices { unsafe place[index] = bytes[index] }
    }
    let status = unsafe withUnsafePointer(to: &address) { address in
        unsafe address.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            unsafe bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
        }
    }
    try #require(status == 0 && listen(descriptor, queue) == 0)
    return descriptor
}
