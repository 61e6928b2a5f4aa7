internal import Expressions

/// How grave what a detector found is.
public enum ThreatSeverity: UInt8, CaseIterable, Comparable, Sendable {
    case info, low, medium, high, critical

    /// By name, as `high`, or by number, 0 to 4.
    init?(_ text: String) {
        let named = Self.allCases.first { "\($0)" == text }
        guard let severity = named ?? UInt8(text).flatMap(Self.init) else { return nil }
        self = severity
    }

    public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
}

/// Chooses events by what is known of the threat: `threat.severity>=high`, `threat.mitre.tactic=Persistence`.
public enum ThreatSelector: Hashable, Sendable {
    /// The severity is one of these. Not empty.
    case severity(Set<ThreatSeverity>)
    /// The property is one of these texts, letter by letter; or, negated, is none of them.
    case text(Property, Set<String>, isNegated: Bool)

    public enum Property: String, CaseIterable, Sendable {
        case name
        case technique = "mitre.technique"
        case tactic = "mitre.tactic"
    }

    static let prefix = "threat."

    /// Parses `threat.PROPERTY OPERATOR VALUE,VALUE`.
    public init(_ text: String) throws(PolicyError) {
        let shown = printable(text)
        let known = "threat.severity, threat.name, threat.mitre.technique and threat.mitre.tactic"
        let item = ScopeItem.withoutSpaces(text)
        guard let (name, operation, list) = ScopeItem.split(item) else {
            throw PolicyError("'\(shown)' lacks an operator; write it like threat.severity=critical")
        }
        let values = list.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
        guard !values.contains("") else { throw PolicyError("'\(shown)' has an empty value") }
        if name == "threat.severity" {
            self = .severity(try Self.severities(values, operation, shown))
            return
        }
        guard name.hasPrefix(Self.prefix),
            let property = Property(rawValue: String(name.dropFirst(Self.prefix.count)))
        else {
            let names = ["threat.severity"] + Property.allCases.map { Self.prefix + $0.rawValue }
            throw PolicyError(
                "unknown property '\(printable(name))'; \(question(name, among: names) ?? "there are \(known)")"
            )
        }
        guard operation == .equal || operation == .notEqual else {
            throw PolicyError("'\(shown)': \(name) takes = and != only, not \(operation.rawValue)")
        }
        self = .text(property, Set(values), isNegated: operation == .notEqual)
    }

    private static func severities(
        _ values: [String], _ operation: ScopeItem.Operation, _ shown: String
    ) throws(PolicyError) -> Set<ThreatSeverity> {
        var named: Set<ThreatSeverity> = []
        for value in values {
            guard let severity = ThreatSeverity(value) else {
                throw PolicyError(
                    "'\(shown)': '\(printable(value))' is no severity; there are info, low, medium, high and critical, or 0 to 4"
                )
            }
            named.insert(severity)
        }
        guard operation == .equal || operation == .notEqual || values.count == 1, let bound = named.first
        else {
            throw PolicyError("'\(shown)': \(operation.rawValue) takes one severity")
        }
        let chosen = ThreatSeverity.allCases.filter {
            switch operation {
            case .equal: named.contains($0)
            case .notEqual: !named.contains($0)
            case .less: $0 < bound
            case .lessOrEqual: $0 <= bound
            case .greater: $0 > bound
            case .greaterOrEqual: $0 >= bound
            }
        }
        guard !chosen.isEmpty else { throw PolicyError("'\(shown)' can match nothing") }
        return Set(chosen)
    }
}
