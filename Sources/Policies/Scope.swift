internal import Catalog

/// Whom one policy traces: restrictions by key, all of which must hold.
public struct Scope: Sendable {
    /// For one key: a value in `included` matches; else one in `excluded` does not; else the range
    /// decides; else only a restriction that just excludes matches.
    public struct Restriction: Sendable, Equatable {
        public var included: Set<ScopeValue> = []
        public var excluded: Set<ScopeValue> = []
        public var range: ClosedRange<UInt32>?
    }

    public internal(set) var restrictions: [ScopeKey: Restriction] = [:]

    public init() {}

    /// Parses one `--scope` item, as `uid=0,1000`, `comm!=bash` or `pid>100`, and adds it.
    /// - Parameter resolveGroup: gives the id of a control group by its path.
    public mutating func add(
        _ item: String, resolveGroup: (String) -> UInt64? = { _ in nil }
    ) throws(PolicyError) {
        guard let (name, operation, list) = Self.split(item) else {
            if let key = ScopeKey(rawValue: item) {
                throw PolicyError("scope '\(printable(item))' lacks an operator; write \(key.rawValue)=VALUE")
            }
            throw Self.unknownKey(item)
        }
        guard let key = ScopeKey(rawValue: name) else { throw Self.unknownKey(name) }
        let texts = list.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
        guard !texts.contains("") else { throw PolicyError("scope '\(printable(item))' has an empty value") }
        var restriction = restrictions[key] ?? Restriction()
        switch operation {
        case .equal, .notEqual:
            for text in texts {
                let value = try Self.value(text, key, item, resolveGroup)
                if operation == .equal {
                    restriction.included.insert(value)
                } else {
                    restriction.excluded.insert(value)
                }
            }
        case .less, .lessOrEqual, .greater, .greaterOrEqual:
            guard key.takesRange else {
                throw PolicyError(
                    "scope '\(printable(item))': \(printable(name)) takes = and != only, not \(operation.rawValue)"
                )
            }
            guard texts.count == 1 else {
                throw PolicyError("scope '\(printable(item))': \(operation.rawValue) takes one number")
            }
            let bound = try Self.number(texts[0], item)
            restriction.range = try Self.narrow(restriction.range ?? 0...UInt32.max, operation, bound, item)
        }
        restrictions[key] = restriction
    }

    /// Adds a value as `=` does.
    public mutating func include(_ key: ScopeKey, _ value: ScopeValue) {
        restrictions[key, default: Restriction()].included.insert(value)
    }

    enum Operation: String {
        case lessOrEqual = "<="
        case greaterOrEqual = ">="
        case notEqual = "!="
        case equal = "="
        case less = "<"
        case greater = ">"
    }

    private static func split(_ item: String) -> (String, Operation, String)? {
        guard let start = item.firstIndex(where: { "=!<>".contains($0) }) else { return nil }
        let rest = item[start...]
        for text in ["<=", ">=", "!=", "=", "<", ">"] where rest.hasPrefix(text) {
            guard let operation = Operation(rawValue: text) else { continue }
            return (String(item[..<start]), operation, String(rest.dropFirst(text.count)))
        }
        return nil
    }

    private static func unknownKey(_ name: String) -> PolicyError {
        let keys = ScopeKey.allCases.map(\.rawValue)
        let near = Catalog.nearest(to: name, among: keys)
        let hint =
            near.isEmpty
            ? "there are \(keys.joined(separator: ", "))" : "did you mean \(near.joined(separator: ", "))?"
        return PolicyError("unknown scope key '\(printable(name))'; \(hint)")
    }

    private static func value(
        _ text: String, _ key: ScopeKey, _ item: String, _ resolveGroup: (String) -> UInt64?
    ) throws(PolicyError) -> ScopeValue {
        switch key {
        case .pid, .uid, .mntns, .pidns, .tree:
            return .number(UInt64(try number(text, item)))
        case .cgroup:
            if let id = UInt64(text) { return .number(id) }
            if let id = resolveGroup(text) { return .number(id) }
            throw PolicyError(
                "scope '\(printable(item))': '\(printable(text))' is neither the id of a control group nor the path of one in the v2 hierarchy"
            )
        case .comm, .uts:
            let limit = key == .comm ? 15 : 63
            guard !text.contains("*") else {
                throw PolicyError("scope '\(printable(item))': \(key.rawValue) takes whole names, without *")
            }
            guard text.utf8.count <= limit else {
                throw PolicyError(
                    "scope '\(printable(item))': the kernel keeps \(limit) bytes of a \(key.rawValue); write its first \(limit)"
                )
            }
            return .name(Array(text.utf8))
        }
    }

    private static func number(_ text: String, _ item: String) throws(PolicyError) -> UInt32 {
        guard let number = UInt32(text) else {
            throw PolicyError(
                "scope '\(printable(item))': '\(printable(text))' is no number from 0 to \(UInt32.max)")
        }
        return number
    }

    private static func narrow(
        _ range: ClosedRange<UInt32>, _ operation: Operation, _ bound: UInt32, _ item: String
    ) throws(PolicyError) -> ClosedRange<UInt32> {
        var (low, high) = (UInt64(range.lowerBound), UInt64(range.upperBound))
        switch operation {
        case .less: high = min(high, UInt64(bound) &- 1)
        case .lessOrEqual: high = min(high, UInt64(bound))
        case .greater: low = max(low, UInt64(bound) + 1)
        case .greaterOrEqual: low = max(low, UInt64(bound))
        case .equal, .notEqual: break
        }
        guard low <= high, high <= UInt64(UInt32.max), !(operation == .less && bound == 0) else {
            throw PolicyError("scope '\(printable(item))' can match nothing")
        }
        return UInt32(low)...UInt32(high)
    }
}

/// What is wrong with what the user asked for, in a sentence.
public struct PolicyError: Error, CustomStringConvertible, Sendable {
    public let description: String
    public init(_ description: String) { self.description = description }
}

/// Text from outside with control characters shown, for messages.
func printable(_ text: String) -> String {
    var shown = ""
    for scalar in text.unicodeScalars {
        if scalar.value < 32 || (127..<160).contains(scalar.value) {
            shown += "\\x" + String(scalar.value + 256, radix: 16).dropFirst()
        } else {
            shown.unicodeScalars.append(scalar)
        }
    }
    return shown
}
