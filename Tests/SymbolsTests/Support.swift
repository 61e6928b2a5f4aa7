import Foundation
import Symbols
import Testing

/// The repository.
let packageFolder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().path

extension SymbolTable {
    /// One that must be there.
    static func required(_ name: String) throws -> SymbolTable {
        try #require(SymbolTable.named(name), "there is no table \(name)")
    }

    func parts(of value: UInt64, width: Int = 64) -> [Part] {
        var parts: [Part] = []
        forEachPart(of: value, width: width) { parts.append($0) }
        return parts
    }

    /// Joined, with numbers in hexadecimal.
    func text(of value: UInt64, width: Int = 64) -> String {
        parts(of: value, width: width).map { part in
            switch part {
            case .name(let name): name.text
            case .number(let number): "0x" + String(number, radix: 16)
            }
        }.joined(separator: "|")
    }
}
