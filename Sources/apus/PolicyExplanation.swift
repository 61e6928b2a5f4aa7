internal import Catalog
internal import Expressions
internal import Policies
internal import Probes

/// What policies come to on this kernel: rule by rule what the kernel decides, what is left, what is hooked,
/// and what can never be.
struct PolicyExplanation {
    /// What is said of one field by all of a rule's filters on it.
    struct Part: Hashable {
        /// As they were written.
        var filters: [String]
        /// What the kernel decides, in words.
        var kernel: [String] = []
        /// Why something is left to user space.
        var later: String?
        /// Why it never matches.
        var never: String?
        var notes: [String] = []
        /// The caller can change the value while the kernel reads it.
        var isRaceable = false
    }

    /// Events of one rule that have the same filters.
    struct Group {
        var events: [EventDefinition]
        var parts: [Part]
        var notes: [String] = []
        var hooks: [String] = []
        var absent: [(event: String, reason: String)] = []
    }

    /// As it was written, with its events.
    struct Rule {
        var text: String?
        var line: Int?
        var groups: [Group]
    }

    struct Explained {
        var name: String
        var position: String?
        var about: String?
        /// All of it is decided by the kernel.
        var scope: [String]
        var scopeNotes: [String]
        var rules: [Rule]
    }

    private(set) var policies: [Explained] = []
    /// About all policies.
    private(set) var notes: [String] = []
    /// Why it is not known what this kernel gives.
    let unknown: String?
    /// How system calls are hooked, and what that costs.
    private(set) var systemCalls: (way: String, cost: String)?

    private let plan: PolicyPlan
    private let features: Features
    private let catalog: Catalog
    /// The events that this kernel does not give, or perhaps not, by index.
    private let unavailable: [Int: FeatureState]

    /// - Parameter documents: of the policies; empty for the command line's.
    init(_ plan: PolicyPlan, _ documents: [PolicyDocument], _ features: Features, _ catalog: Catalog) {
        self.plan = plan
        self.features = features
        self.catalog = catalog
        unknown = features.missingRequirement?.reason
        let events = plan.events.keys.map { catalog.events[$0] }
        let unavailable = features.unavailable(events, .auto)
        self.unavailable = unavailable
        systemCalls = Self.systemCalls(
            events.filter { $0.isSystemCall && unavailable[$0.index] == nil }, features)
        for (number, policy) in plan.policies.enumerated() {
            let document = documents.indices.contains(number) ? documents[number] : nil
            var explained = Explained(
                name: policy.name, position: policy.position?.description,
                about: document?.description?.value, scope: Words.items(policy.scope),
                scopeNotes: ScopeLimits.notes(policy.scope), rules: [])
            if let document {
                for rule in document.rules where !rule.events.isEmpty {
                    explained.rules.append(
                        Rule(
                            text: rule.event.value, line: rule.event.position.line,
                            groups: groups(rule.events, policy, number)))
                }
            } else {
                explained.rules = [Rule(groups: groups(policy.rules.keys.sorted(), policy, number))]
            }
            policies.append(explained)
        }
        notes = overlaps()
    }

    // MARK: Rules

    private func groups(_ events: [Int], _ policy: Policy, _ number: Int) -> [Group] {
        var groups: [Group] = []
        var places: [[Part]: Int] = [:]
        for index in events {
            guard let rule = policy.rules[index] else { continue }
            let event = catalog.events[index]
            let parts = parts(rule, event, policy, number)
            if let place = places[parts] {
                groups[place].events.append(event)
            } else {
                places[parts] = groups.count
                groups.append(Group(events: [event], parts: parts))
            }
        }
        for place in groups.indices {
            groups[place].events.sort { $0.name < $1.name }
            finish(&groups[place])
        }
        return groups
    }

    private func finish(_ group: inout Group) {
        for part in group.parts where part.isRaceable {
            let field = part.filters[0].prefix { !"=!<>".contains($0) }
            let instead = Set(group.events.map { Self.ofTheKernel[$0.name] })
            var note = "\(field) is read from the caller's memory, which it may change meanwhile"
            if instead.count == 1, case let name?? = instead.first, catalog[name] != nil {
                note += "; \(name) has what the kernel used"
            }
            group.notes.append(note)
        }
        guard unknown == nil else { return }
        var hooks: [String] = []
        for event in group.events {
            if let reason = unavailable[event.index]?.reason {
                group.absent.append((event.name, reason))
                continue
            }
            guard case .hooks = event.source else { continue }
            for hook in EventsCommands.hooks(event, features) where !hooks.contains(hook) {
                hooks.append(hook)
            }
        }
        let given = group.events.filter { event in !group.absent.contains { $0.event == event.name } }
        let calls = given.count { if case .systemCall = $0.source { true } else { false } }
        if calls > 0, let way = systemCalls?.way {
            hooks.append("\(Words.count(calls, "system call")): by \(way)")
        }
        if given.contains(where: { $0.source == .agent }) {
            hooks.append("none: the agent tells it at start")
        }
        group.hooks = hooks
    }

    /// Events with the kernel's own value of what callers say in a system call.
    private static let ofTheKernel = [
        "open": "security_file_open", "openat": "security_file_open", "openat2": "security_file_open",
        "creat": "security_file_open", "execve": "sched_process_exec", "execveat": "sched_process_exec",
        "unlink": "security_inode_unlink", "unlinkat": "security_inode_unlink",
        "connect": "security_socket_connect", "bind": "security_socket_bind",
    ]

    // MARK: Filters

    private func parts(_ rule: Policy.Rule, _ event: EventDefinition, _ policy: Policy, _ number: Int)
        -> [Part]
    {
        var order: [String] = []
        var filters: [String: [(text: String, filter: Filter)]] = [:]
        for text in rule.filters {
            guard let filter = try? Filter.parse(text, event: event, in: catalog) else { continue }
            let key = "\(Self.isOfEvent(text)) \(filter.field.subject)"
            if filters[key] == nil { order.append(key) }
            filters[key, default: []].append((text, filter))
        }
        return order.compactMap { part(filters[$0] ?? [], event, policy, number) }
    }

    private static func isOfEvent(_ text: String) -> Bool {
        ["data.", "args.", "retval", "not-data.", "not-args."].contains { text.hasPrefix($0) }
    }

    private func part(
        _ filters: [(text: String, filter: Filter)], _ event: EventDefinition, _ policy: Policy, _ number: Int
    ) -> Part? {
        guard let field = filters.first?.filter.field else { return nil }
        var part = Part(filters: filters.map(\.text))
        let name = Self.name(filters[0].text)
        let (tests, rest) = Filter.combine(filters.map(\.filter)).split()
        for test in tests {
            if case .numbers([], _) = test.condition {
                part.never = "no number is in all of these ranges"
            } else if let reason = refusal(test, event, number) {
                part.later = reason
            } else {
                part.kernel.append("\(name): \(Words.condition(test, type: field.type, catalog))")
            }
            if part.never == nil, let reason = ScopeLimits.contradiction(test, policy.scope) {
                part.never = reason
            }
        }
        if rest != nil { part.later = Self.reason(field) }
        let operations = filters.map { Self.operation($0.text) }
        if operations.contains("=") && operations.contains("!=")
            && !operations.contains(where: { $0 == "<" || $0 == ">" })
        {
            part.notes.append("!= changes nothing here: only what = names matches")
        }
        if case .data(let index) = field.subject, event.fields[index].provenance.contains(.raceable) {
            part.isRaceable = true
        }
        return part
    }

    /// What stands before the operator, as users write it.
    private static func name(_ text: String) -> String {
        var name = text.prefix { !"=!<>".contains($0) }
        for prefix in ["not-", "scope.", "not-"] where name.hasPrefix(prefix) {
            name = name.dropFirst(prefix.count)
        }
        for prefix in ["data.", "args."] where name.hasPrefix(prefix + "not-") {
            return Words.shown(prefix + name.dropFirst(prefix.count + 4))
        }
        return Words.shown(String(name))
    }

    private static func operation(_ text: String) -> String {
        guard let start = text.firstIndex(where: { "=!<>".contains($0) }) else { return "=" }
        return text[start] == "!" ? "!=" : String(text[start])
    }

    /// Why the kernel cannot decide a condition on a field.
    private static func reason(_ field: FieldReference) -> String {
        if case .identity(let identity) = field.subject {
            switch identity.origin {
            case .host: return "the kernel's records do not name the host"
            case .enrichment: return "runtimes tell it, not the kernel"
            case .record: break
            }
        }
        if field.isOfAgent { return "Apus adds it to what the kernel tells" }
        switch field.type {
        case .time: return "the kernel's clock is another than the one shown"
        case .int32, .uint32, .int64, .uint64, .uint16, .pointer, .bool:
            return "a number with a * is compared as text"
        case .string: return "the kernel compares whole texts, beginnings and endings only"
        case .stringArray: return "the kernel does not compare lists of strings"
        case .socketAddress: return "the kernel does not compare addresses"
        case .bytes, .uint64Array, .credentials, .int32Pair, .timespec:
            return "the kernel does not compare a \(field.type.rawValue)"
        }
    }

    // MARK: What the kernel's tables do not take

    private func refusal(_ test: FieldTest, _ event: EventDefinition, _ policy: Int) -> String? {
        guard let refused = plan.refusals[event.index],
            refused.contains(where: { $0.policy == policy && $0.test == test })
        else { return nil }
        var alone = FilterTables()
        guard alone.add(event, [(policy, test)]).isEmpty else {
            return "the kernel compares whole texts, beginnings and endings, not *parts*"
        }
        return "the kernel's tables of filters are full"
    }

    // MARK: All policies

    private static func systemCalls(
        _ calls: [EventDefinition], _ features: Features
    ) -> (way: String, cost: String)? {
        let count = calls.count
        guard count > 0 else { return nil }
        if features.suitsSingleHooks(calls) {
            return (
                count == 1 ? "its own tracepoints" : "their own tracepoints",
                "\(count) traced, by tracepoints of \(count == 1 ? "its" : "their") own; other calls run no program"
            )
        }
        let way =
            features[.undisturbedPrograms].isPresent
            ? "tp_btf:sys_enter and tp_btf:sys_exit"
            : "the perf tracepoints raw_syscalls:sys_enter and sys_exit"
        return (way, "\(count) traced, by hooks that every call of every process passes")
    }

    /// Policies that ask the same of the same events.
    private func overlaps() -> [String] {
        struct Sharing: Hashable {
            var names: [String]
            var hasFilters: Bool
        }
        var shared: [Sharing: [String]] = [:]
        for index in plan.events.keys.sorted() {
            var same: [Set<String>: [String]] = [:]
            for policy in plan.policies {
                guard let rule = policy.rules[index] else { continue }
                same[Set(rule.filters), default: []].append(policy.name)
            }
            for (filters, names) in same where names.count > 1 {
                shared[Sharing(names: names, hasFilters: !filters.isEmpty), default: []].append(
                    catalog.events[index].name)
            }
        }
        let sorted = shared.sorted {
            $0.key.names == $1.key.names
                ? !$0.key.hasFilters && $1.key.hasFilters
                : $0.key.names.lexicographicallyPrecedes($1.key.names)
        }
        return sorted.map { sharing, events in
            let names = sharing.names
            let policies =
                names.count > 4
                ? "\(names.count) policies"
                : names.dropLast().joined(separator: ", ") + " and " + (names.last ?? "")
            let text = events.count > 4 ? "the same \(events.count) events" : events.joined(separator: ", ")
            return
                "\(policies) ask for \(text) \(sharing.hasFilters ? "with the same filters" : "without filters")"
        }
    }
}
