internal import Catalog

/// Which rule of a policy decides which event. A rule that names an event goes before one that has it through
/// a set or a prefix; of those, the first.
struct RuleChoice {
    private let catalog: Catalog
    private var rules: [PolicyRule] = []
    /// By rule, through sets and prefixes.
    private var broad: [Set<Int>] = []
    /// The rule that names the event.
    private var owners: [Int: Int] = [:]
    /// Events that are taken out, chosen or not.
    private(set) var removed: Set<Int> = []
    private(set) var diagnostics: [PolicyDiagnostic] = []

    init(catalog: Catalog) { self.catalog = catalog }

    /// Takes a rule in, whose events are not known yet.
    mutating func add(_ rule: PolicyRule) throws(PolicyError) {
        var rule = rule
        var list = trimmed(rule.event.value)
        guard !list.isEmpty else {
            throw PolicyError("the event is empty; write a name, or a set of events")
        }
        // A list ends with the selector, as the words behind it are its values.
        if let start = Self.threat(in: list) {
            rule.threat = try ThreatSelector(String(list[start...]))
            list = trimmed(String(list[..<start]))
            if list.hasSuffix(",") { list.removeLast() }
        }
        let words = list.isEmpty ? [] : try EventWord.parse(list, in: catalog, takesSets: true)
        if rule.threat == nil, words.allSatisfy(\.isRemoval), !rule.filters.isEmpty || !rule.actions.isEmpty {
            throw PolicyError(
                "the rule only takes events out; remove its filters and actions, or name an event")
        }
        var chosen: Set<Int> = []
        for word in words {
            if word.isRemoval {
                removed.formUnion(word.events)
            } else if word.isName {
                for event in word.events {
                    let isHere = !rule.named.insert(event).inserted
                    guard owners[event] == nil, !isHere else {
                        let line =
                            isHere ? rule.event.position.line : rules[owners[event] ?? 0].event.position.line
                        throw PolicyError(
                            "event '\(catalog.events[event].name)' is named twice, in line \(line) too; join the two"
                        )
                    }
                }
            } else {
                chosen.formUnion(word.events)
            }
        }
        for event in rule.named { owners[event] = rules.count }
        rules.append(rule)
        broad.append(chosen)
    }

    /// Where a selector starts: at a word that begins with `threat.`.
    private static func threat(in list: String) -> String.Index? {
        var start = list.startIndex
        while true {
            let rest = list[start...]
            let word = rest.drop { $0 == " " || $0 == "\t" }
            if word.hasPrefix(ThreatSelector.prefix) { return word.startIndex }
            guard let comma = rest.firstIndex(of: ",") else { return nil }
            start = list.index(after: comma)
        }
    }

    /// Whether nothing is chosen.
    var isEmpty: Bool { rules.allSatisfy { $0.events.isEmpty && $0.threat == nil } }

    /// The rules with their events.
    mutating func finish() -> [PolicyRule] {
        var first: [Int: Int] = [:]
        for index in rules.indices {
            let wanted = rules[index].named.union(broad[index])
            var events = wanted.subtracting(removed)
            rules[index].named.subtract(removed)
            let isRemoval = wanted.isEmpty && rules[index].threat == nil
            let remaining = events.count
            var shadows: Set<Int> = []
            for event in events.subtracting(rules[index].named) {
                if owners[event] != nil {
                    events.remove(event)
                } else if let earlier = first[event] {
                    events.remove(event)
                    if texts(rules[earlier].filters) != texts(rules[index].filters) {
                        shadows.insert(earlier)
                    }
                } else {
                    first[event] = index
                }
            }
            rules[index].events = events.sorted()
            let position = rules[index].event.position
            if let earlier = shadows.min() {
                warn(
                    "some of these events have the filters of the rule in line \(rules[earlier].event.position.line), which comes first; name the events that need others",
                    position)
            }
            if events.isEmpty && rules[index].threat == nil && !isRemoval && shadows.isEmpty {
                warn(
                    remaining == 0
                        ? "the rule has no event left, as the policy takes them out again; remove one of both"
                        : "the rule has no event left, as other rules have them all; remove it", position)
            }
        }
        return rules
    }

    private func texts(_ filters: [Located<String>]) -> [String] { filters.map(\.value).sorted() }

    private mutating func warn(_ message: String, _ position: SourcePosition) {
        diagnostics.append(PolicyDiagnostic(message, at: position, severity: .warning))
    }
}
