import Foundation
import State
import TestSupport
import Testing

@testable import Runtimes

@Suite struct DockerSocketTests {
    private static let id = String(repeating: "0123456789abcdef", count: 4)
    private static let digest = "sha256:" + String(repeating: "ab", count: 32)
    private static let image = "sha256:" + String(repeating: "cd", count: 32)
    private static let container = """
        {"Id":"\(id)","Name":"/web","Image":"\(image)","Config":{"Image":"nginx:1.27","Labels":{"tier":"front"}}}
        """
    private static let identity = ContainerIdentity(runtime: .docker, id: id)

    private static func ok(_ body: String) -> [UInt8] {
        Array(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)"
                .utf8)
    }

    private static func chunked(_ body: String) -> [UInt8] {
        var text = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        var rest = Array(body.utf8)[...]
        while !rest.isEmpty {
            let piece = rest.prefix(7)
            text += String(piece.count, radix: 16) + "\r\n" + String(decoding: piece, as: UTF8.self) + "\r\n"
            rest = rest.dropFirst(7)
        }
        return Array((text + "0\r\n\r\n").utf8)
    }

    private func ask(
        _ identity: ContainerIdentity = Self.identity, milliseconds: Int = 2000,
        _ acts: @escaping @Sendable (String) -> FakeServer.Act
    ) throws -> (Result<ContainerDetails?, any Error>, [String], Double) {
        let server = try FakeServer(isWhole: { $0.suffix(4).elementsEqual("\r\n\r\n".utf8) }) { request in
            acts(
                String(String(decoding: request, as: UTF8.self).split(separator: " ").dropFirst().first ?? "")
            )
        }
        defer { server.end() }
        let start = Date()
        let result = Result<ContainerDetails?, any Error> {
            try DockerSocket(path: server.path, timeoutMilliseconds: milliseconds).details(of: identity)
        }
        return (
            result, server.requests.map { String(decoding: $0, as: UTF8.self) },
            Date().timeIntervalSince(start)
        )
    }

    @Test(arguments: [false, true])
    func theRightAnswer(_ isChunked: Bool) throws {
        let (result, requests, _) = try ask { path in
            let body =
                path.hasPrefix("/images/")
                ? #"{"RepoDigests":["none","docker.io/library/nginx@\#(Self.digest)"]}"# : Self.container
            return .answer(isChunked ? Self.chunked(body) : Self.ok(body))
        }
        let details = try #require(try result.get())
        #expect(details.name == "web")
        #expect(details.image == "nginx:1.27")
        #expect(details.labels == ["tier": "front"])
        #expect(details.imageDigest == Self.digest)
        #expect(requests.count == 2)
        #expect(requests.first?.hasPrefix("GET /containers/\(Self.id)/json HTTP/1.1\r\nHost: ") == true)
        #expect(requests.last?.hasPrefix("GET /images/\(Self.image)/json HTTP/1.1\r\n") == true)
    }

    @Test func theDigestIsNotNeeded() throws {
        let (result, _, _) = try ask {
            $0.hasPrefix("/images/") ? .answer([1, 2, 3]) : .answer(Self.ok(Self.container))
        }
        #expect(try result.get()?.name == "web")
        #expect(try result.get()?.imageDigest == "")
        // Where the manifest is told nobody else is asked.
        let named = Self.container.dropLast() + #","ImageManifestDescriptor":{"digest":"\#(Self.digest)"}}"#
        let (told, requests, _) = try ask { _ in .answer(Self.ok(String(named))) }
        #expect(try told.get()?.imageDigest == Self.digest)
        #expect(requests.count == 1)
    }

    @Test func unknownAndStrange() throws {
        let missing = Array("HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\n{}".utf8)
        #expect(try ask { _ in .answer(missing) }.0.get() == nil)
        // Another container, found by name.
        let other = Self.container.replacing(Self.id, with: String(repeating: "0", count: 64))
        #expect(try ask { _ in .answer(Self.ok(other)) }.0.get() == nil)
        #expect(try ask { _ in .answer(Self.ok("[]")) }.0.get() == nil)
        // Not its own, and no id.
        for identity in [
            ContainerIdentity(runtime: .crio, id: Self.id),
            ContainerIdentity(runtime: .docker, id: "../info"),
            ContainerIdentity(runtime: .docker, id: "a b"),
            ContainerIdentity(runtime: .docker, id: "x\r\nA: b"),
        ] {
            let (result, requests, _) = try ask(identity) { _ in .answer(Self.ok(Self.container)) }
            #expect(try result.get() == nil)
            #expect(requests.isEmpty)
        }
    }

    @Test func redirectsAreNotFollowed() throws {
        let (result, requests, _) = try ask { _ in
            .answer(
                Array("HTTP/1.1 301 Moved\r\nLocation: /containers/x/json\r\nContent-Length: 0\r\n\r\n".utf8))
        }
        #expect(throws: RuntimeError.self) { try result.get() }
        #expect(requests.count == 1)
    }

    @Test(
        arguments: [
            "", "garbage", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"Id\":",
            "HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n{]}",
            "HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"Id",
        ])
    func brokenAnswers(_ text: String) throws {
        let (result, _, seconds) = try ask { _ in .answer(Array(text.utf8)) }
        let error = #expect(throws: RuntimeError.self) { try result.get() }
        #expect(error?.description.contains("/s ") == true)
        #expect(seconds < 1.5)
    }

    @Test(arguments: [0, 1, 2])
    func whoHangsIsLeft(_ way: Int) throws {
        let half = Array("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{".utf8)
        let (result, _, seconds) = try ask(milliseconds: 150) { _ in
            switch way {
            case 0: .hang
            case 1: .stall(half)
            default: .drip(half + half + half)
            }
        }
        let error = #expect(throws: RuntimeError.self) { try result.get() }
        #expect(error?.description.contains("did not answer within 150 ms") == true)
        #expect(seconds >= 0.149 && seconds < 1.5)
    }

    @Test func hugeAnswers() throws {
        let huge = Array("HTTP/1.1 200 OK\r\n\r\n".utf8) + [UInt8](repeating: 0x20, count: 5 << 20)
        for act in [FakeServer.Act.answer(huge), .flood] {
            let (result, _, _) = try ask { _ in act }
            let error = #expect(throws: RuntimeError.self) { try result.get() }
            #expect(error?.description.contains("4 MiB") == true)
        }
    }

    @Test func nobodyListens() throws {
        let folder = try Folder()
        #expect(try DockerSocket(path: folder.path + "/none").details(of: Self.identity) == nil)
        try folder.write("/file", "")
        #expect(try DockerSocket(path: folder.path + "/file").details(of: Self.identity) == nil)
        #expect(throws: RuntimeError.self) {
            try DockerSocket(path: "/" + String(repeating: "x", count: 107)).details(of: Self.identity)
        }
        #expect(throws: RuntimeError.self) { try DockerSocket(path: "").details(of: Self.identity) }
    }

    /// A full queue of connections: nobody accepts.
    @Test func nobodyAccepts() throws {
        let folder = try Folder()
        let listener = try listening(at: folder.path + "/s", queue: 0)
        defer { close(listener) }
        for _ in 0..<3 {
            let start = Date()
            #expect(throws: RuntimeError.self) {
                try DockerSocket(path: folder.path + "/s", timeoutMilliseconds: 100).details(
                    of: Self.identity)
            }
            #expect(Date().timeIntervalSince(start) < 1.5)
        }
    }
}
