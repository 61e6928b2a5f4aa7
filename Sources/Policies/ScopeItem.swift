internal import Catalog
internal import Expressions

/// One item of a scope, taken apart: `comm!=cat,dog` is `comm`, `!=` and `cat,dog`.
struct ScopeItem {
    enum Operation: String {
        case lessOrEqual = "<="
        case greaterOrEqual = ">="
        case notEqual = "!="
        case equal = "="
        case less = "<"
        case greater = ">"
    }

    /// The key by its main name.
    let name: String
    /// Nil for a bare word.
    let operation: Operation?
    private let list: String
    private let text: String

    /// The item for messages.
    var shown: String { printable(text) }

    /// Keys that are no restrictions of the kernel's maps; ``ScopeKey`` has the others.
    private static let words = ["exec", "container", "not-container", "follow", "global"]
    private static let aliases = ["executable", "bin", "binary"]

    init(_ item: String) throws(PolicyError) {
        text = trimmed(item)
        let name: String
        if let (start, operation, list) = Self.split(text) {
            (name, self.operation, self.list) = (start, operation, list)
        } else {
            (name, self.operation, self.list) = (text, nil, "")
        }
        self.name = Self.aliases.contains(name) ? "exec" : name
        guard Self.words.contains(self.name) || ScopeKey(rawValue: name) != nil else { throw unknownKey }
    }

    /// An item without the spaces around its key, its operator and its values, as policies may have them.
    static func withoutSpaces(_ item: String) -> String {
        guard let (name, operation, list) = split(item) else { return trimmed(item) }
        let values = list.split(separator: ",", omittingEmptySubsequences: false).map { trimmed(String($0)) }
        return trimmed(name) + operation.rawValue + values.joined(separator: ",")
    }

    static func split(_ item: String) -> (String, Operation, String)? {
        guard let start = item.firstIndex(where: { "=!<>".contains($0) }) else { return nil }
        let rest = item[start...]
        for text in ["<=", ">=", "!=", "=", "<", ">"] where rest.hasPrefix(text) {
            guard let operation = Operation(rawValue: text) else { continue }
            return (String(item[..<start]), operation, String(rest.dropFirst(text.count)))
        }
        return nil
    }

    // MARK: Values

    /// At least one, none empty.
    func values() throws(PolicyError) -> [String] {
        let values = list.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
        guard !values.contains("") else { throw PolicyError("scope '\(shown)' has an empty value") }
        return values
    }

    /// Whether the value is a word that is no value of the key. Such a word stands alone.
    func isFlag(_ word: String) throws(PolicyError) -> Bool {
        guard operation == .equal || operation == .notEqual else { return false }
        let values = try values()
        guard values.contains(word) else { return false }
        guard values.count == 1 else {
            throw PolicyError(
                "scope '\(shown)': \(word) stands alone; write \(name)\(operation?.rawValue ?? "=")\(word) as an item of its own"
            )
        }
        return true
    }

    func value(
        _ text: String, _ key: ScopeKey, _ resolveGroup: (String) -> UInt64?
    ) throws(PolicyError) -> ScopeValue {
        switch key {
        case .pid, .uid, .mntns, .pidns, .tree:
            return .number(UInt64(try number(text)))
        case .cgroup:
            if let id = UInt64(text) { return .number(id) }
            if let id = resolveGroup(text) { return .number(id) }
            throw PolicyError(
                "scope '\(shown)': '\(printable(text))' is neither the id of a control group nor the path of one, below the mount of version 2 where there is one"
            )
        case .comm, .uts:
            try checkLength(text, key.nameLimit)
            return .name(Array(text.utf8))
        }
    }

    func number(_ text: String) throws(PolicyError) -> UInt32 {
        guard let number = UInt32(text) else {
            throw PolicyError("scope '\(shown)': '\(printable(text))' is no number from 0 to \(UInt32.max)")
        }
        return number
    }

    /// A name with stars: `ba*`, `*sh` or `*as*`.
    func pattern(_ text: String, limit: Int) throws(PolicyError) -> StringPattern {
        let isOpenBefore = text.hasPrefix("*")
        let isOpenBehind = text.hasSuffix("*")
        var part = text[...]
        if isOpenBefore { part = part.dropFirst() }
        if isOpenBehind { part = part.dropLast() }
        guard !part.isEmpty, !part.contains("*") else {
            throw PolicyError(
                "scope '\(shown)': '\(printable(text))' is no pattern; write x*, *x or *x* with a name for x")
        }
        try checkLength(String(part), limit)
        let kind: StringPattern.Kind = isOpenBefore ? (isOpenBehind ? .contains : .suffix) : .prefix
        return StringPattern(kind, Array(part.utf8))
    }

    private func checkLength(_ text: String, _ limit: Int) throws(PolicyError) {
        guard text.utf8.count <= limit else {
            throw PolicyError(
                "scope '\(shown)': the kernel keeps \(limit) bytes of a \(name); write its first \(limit)")
        }
    }

    /// A path, which a mount namespace and `:` may precede.
    func executable(
        _ text: String, _ hostMountNamespace: UInt32?
    ) throws(PolicyError) -> ExecutablePath {
        var namespace: UInt32?
        var path = text
        if !text.hasPrefix("/"), let colon = text.firstIndex(of: ":") {
            let prefix = text[..<colon]
            path = String(text[text.index(after: colon)...])
            if prefix == "host" {
                guard let hostMountNamespace else {
                    throw PolicyError(
                        "scope '\(shown)': the host's mount namespace is not known here; write its number for host"
                    )
                }
                namespace = hostMountNamespace
            } else {
                guard let number = UInt32(prefix) else {
                    throw PolicyError(
                        "scope '\(shown)': '\(printable(String(prefix)))' is no mount namespace; write host:/PATH, its number and :/PATH, or /PATH"
                    )
                }
                namespace = number
            }
        }
        guard path.hasPrefix("/") else {
            throw PolicyError(
                "scope '\(shown)': '\(printable(path))' is no absolute path; write it from / on")
        }
        guard path.utf8.count <= 256 else {
            throw PolicyError("scope '\(shown)': a path has at most 256 bytes here; write comm=NAME instead")
        }
        guard !path.contains("*") else {
            throw PolicyError("scope '\(shown)': exec takes whole paths, without *; comm takes patterns")
        }
        // The kernel's own spelling of a path has none of these, so it would never be the same.
        let parts = path.dropFirst().split(separator: "/", omittingEmptySubsequences: false)
        guard !parts.contains(where: { $0.isEmpty || $0 == "." || $0 == ".." }) else {
            throw PolicyError(
                "scope '\(shown)': write the path of a file as the kernel does, without //, . and ..")
        }
        return ExecutablePath(namespace: namespace, bytes: Array(path.utf8))
    }

    // MARK: Mistakes

    var equalityOnly: PolicyError {
        PolicyError("scope '\(shown)': \(name) takes = and != only, not \(operation?.rawValue ?? "")")
    }

    var unknownKey: PolicyError {
        let keys = ScopeKey.allCases.map(\.rawValue) + Self.words
        return PolicyError(
            "unknown scope key '\(printable(name))'; "
                + (question(name, among: keys) ?? "there are \(keys.joined(separator: ", "))"))
    }
}

extension ScopeKey {
    /// Bytes that the kernel keeps of a name.
    var nameLimit: Int { self == .comm ? 15 : 63 }
    var takesPatterns: Bool { self == .comm || self == .uts }
}

/// Text without the spaces around it.
func trimmed(_ text: String) -> String {
    let isSpace: (Character) -> Bool = { $0 == " " || $0 == "\t" }
    guard let start = text.firstIndex(where: { !isSpace($0) }),
        let end = text.lastIndex(where: { !isSpace($0) })
    else { return "" }
    return String(text[start...end])
}

/// The question whether a name near to a mistyped one was meant; nil when there is none. Long names are not
/// compared, which would take long too.
func question(_ name: String, among names: [String]) -> String? {
    guard !name.isEmpty, name.utf8.count <= 64 else { return nil }
    let near = Catalog.nearest(to: name, among: names)
    return near.isEmpty ? nil : "did you mean \(near.joined(separator: ", "))?"
}
