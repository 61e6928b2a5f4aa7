import Foundation
import Testing

/// JSON as values that compare exactly: strings by their scalars, not by what looks the same.
indirect enum JSONValue: Equatable {
    case number(Double)
    case string([UInt32])
    case array([JSONValue])
    case object([String: JSONValue])

    /// The library reads some fractions as a neighbour of the nearest number; integers of 32 bits
    /// are far enough from each other.
    static func == (a: JSONValue, b: JSONValue) -> Bool {
        switch (a, b) {
        case (.number(let a), .number(let b)): a == b || abs(a - b) <= 1e-15 * abs(a)
        case (.string(let a), .string(let b)): a == b
        case (.array(let a), .array(let b)): a == b
        case (.object(let a), .object(let b)): a == b
        default: false
        }
    }

    static func text(_ bytes: [UInt8]) -> JSONValue {
        string(String(decoding: bytes, as: UTF8.self))
    }

    static func string(_ text: String) -> JSONValue { .string(text.unicodeScalars.map(\.value)) }

    static func integer<T: BinaryInteger>(_ value: T) -> JSONValue { .number(Double(value)) }

    init(parsing line: [UInt8]) throws {
        self = try JSONValue(JSONSerialization.jsonObject(with: Data(line)))
    }

    private init(_ any: Any) throws {
        switch any {
        case let text as String: self = .string(text)
        case let number as NSNumber: self = .number(number.doubleValue)
        case let array as [Any]: self = .array(try array.map { try JSONValue($0) })
        case let object as [String: Any]: self = .object(try object.mapValues { try JSONValue($0) })
        default:
            Issue.record("neither text, number, array nor object: \(any)")
            self = .array([])
        }
    }

    subscript(key: String) -> JSONValue? {
        if case .object(let members) = self { members[key] } else { nil }
    }
}
