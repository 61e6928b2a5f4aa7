internal import Expressions

/// A place in a document.
public struct SourcePosition: Hashable, Sendable, Comparable, CustomStringConvertible {
    /// The file as it was named.
    public var file: String
    /// From 1.
    public var line: Int
    /// From 1, in characters (Unicode scalars).
    public var column: Int

    public init(file: String, line: Int, column: Int) {
        self.file = file
        self.line = line
        self.column = column
    }

    /// `FILE:LINE:COLUMN`.
    public var description: String { "\(printable(file)):\(line):\(column)" }

    public static func < (a: Self, b: Self) -> Bool {
        (a.file, a.line, a.column) < (b.file, b.line, b.column)
    }
}

/// What stands at a place in a document.
public struct Located<Value: Sendable>: Sendable {
    public var value: Value
    public var position: SourcePosition

    public init(_ value: Value, at position: SourcePosition) {
        self.value = value
        self.position = position
    }
}

extension Located: Equatable where Value: Equatable {}
extension Located: Hashable where Value: Hashable {}

/// What is wrong, or suspicious, in policies: a sentence that says what, and what to write instead.
public struct PolicyDiagnostic: Error, Hashable, Sendable, CustomStringConvertible {
    public enum Severity: String, Sendable { case error, warning }

    /// Nil where no place in a document is to blame.
    public var position: SourcePosition?
    public var severity: Severity
    /// Without control characters.
    public var message: String

    public init(_ message: String, at position: SourcePosition?, severity: Severity = .error) {
        self.message = message
        self.position = position
        self.severity = severity
    }

    /// `FILE:LINE:COLUMN: error: MESSAGE`, or `error: MESSAGE`.
    public var description: String {
        (position.map { "\($0): " } ?? "") + "\(severity.rawValue): \(message)"
    }
}

/// How a text is written: as it is, in quotes, or as a block of lines behind `|` or `>`.
enum ScalarStyle { case plain, quoted, block }

/// A value of a document, and where it starts.
struct DocumentNode {
    enum Content {
        case scalar(String, ScalarStyle)
        case sequence([DocumentNode])
        /// In the order of the document; no key stands twice.
        case mapping([(key: Located<String>, value: DocumentNode)])
    }

    let content: Content
    let position: SourcePosition

    /// Nothing was written, or that there is nothing.
    var isNull: Bool {
        guard case .scalar(let text, .plain) = content else { return false }
        return ["", "~", "null", "Null", "NULL"].contains(text)
    }
}
