import Foundation
import Testing

/// A file of the package, with what tests look for in it. Tests and documents are left out.
struct PackageFile: Sendable {
    /// Below the package's folder.
    let path: String
    /// Without comments as C and Swift have them.
    let code: String
    /// Its identifiers.
    let words: Set<String>

    /// The events that a catalogue file has entries of.
    var entries: [String] {
        code.split(separator: "\n").filter { $0.hasPrefix("event ") }
            .map { String($0.split(separator: " ")[1]) }
    }

    private init(_ path: String, _ text: String) {
        self.path = path
        code = Self.withoutComments(text)
        words = Set(code.utf8.split(whereSeparator: { !Self.isOfName($0) }).map { String(Substring($0)) })
    }

    static func all() throws -> [PackageFile] { try shared.get() }

    private static let shared = Result { try read() }

    /// What the build makes lies in hidden folders.
    private static func read() throws -> [PackageFile] {
        let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().path
        var files: [PackageFile] = []
        for top in try FileManager.default.contentsOfDirectory(atPath: root) {
            if top.hasPrefix(".") || ["Tests", "Docs"].contains(top) { continue }
            var paths = [top]
            if let below = FileManager.default.enumerator(atPath: "\(root)/\(top)") {
                for case let path as String in below { paths.append("\(top)/\(path)") }
            }
            for path in paths where !path.hasSuffix(".md") {
                guard let data = FileManager.default.contents(atPath: "\(root)/\(path)") else { continue }
                files.append(PackageFile(path, String(decoding: data, as: UTF8.self)))
            }
        }
        try #require(files.contains { $0.path == "Package.swift" }, "the package is not at \(root)")
        return files.sorted { $0.path < $1.path }
    }

    private static func isOfName(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"):
            true
        default: false
        }
    }

    private static func withoutComments(_ text: String) -> String {
        var code = ""
        var rest = text[...]
        while let start = rest.range(of: "/*") {
            code += rest[..<start.lowerBound]
            guard let end = rest[start.upperBound...].range(of: "*/") else { return code }
            rest = rest[end.upperBound...]
        }
        code += rest
        return code.split(separator: "\n", omittingEmptySubsequences: false)
            .map { line in line.range(of: "//").map { line[..<$0.lowerBound] } ?? line }
            .joined(separator: "\n")
    }
}
