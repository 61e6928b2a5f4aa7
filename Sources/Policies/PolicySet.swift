public import Catalog
public import Expressions

/// One policy, checked: whom it traces, and what of which events it wants.
public struct Policy: Sendable {
    public let name: String
    /// Where it is written; nil for the command line's.
    public let position: SourcePosition?
    public internal(set) var scope: Scope
    /// By dense index of the event.
    public internal(set) var rules: [Int: Rule] = [:]
    /// Of what Apus itself has to tell, what the policy does not want to know: dense indexes.
    public internal(set) var unreported: Set<Int> = []
    public internal(set) var limits: [RateLimit.Subject: RateLimit] = [:]

    /// What a policy wants of one event.
    public struct Rule: Sendable {
        /// As written; all must hold.
        public internal(set) var filters: [String] = []
        /// What they mean together; nil for everything.
        public internal(set) var expression: Expression?
        /// The event was asked for by its name: that this kernel cannot give it is worth saying.
        public internal(set) var isNamed = false
    }

    /// How filters without a policy file are called in the output.
    public static let commandLineName = "default"
}

/// All policies that are in force together, at most 64: a policy's number is its bit in records.
public struct PolicySet: Sendable {
    public private(set) var policies: [Policy]

    /// Restricts all policies to a process and its descendants.
    public mutating func restrict(toTreeOf process: UInt32) {
        for index in policies.indices { policies[index].scope.include(.tree, .number(UInt64(process))) }
    }

    /// Dense indexes of all events that any policy wants, ascending.
    public var events: [Int] { Set(policies.flatMap(\.rules.keys)).sorted() }
    /// Of them, those that a policy asks for by name.
    public var namedEvents: Set<Int> {
        Set(policies.flatMap { $0.rules.filter(\.value.isNamed).keys })
    }

    /// The host's things that scopes may name.
    public struct Host {
        public var mountNamespace: UInt32?
        public var controlGroup: (String) -> UInt64?
        public init(mountNamespace: UInt32? = nil, controlGroup: @escaping (String) -> UInt64? = { _ in nil })
        {
            self.mountNamespace = mountNamespace
            self.controlGroup = controlGroup
        }
    }

    /// The policies of files and directories.
    /// - Returns: nil when a diagnostic is an error. All that is wrong is told at once.
    public static func load(
        paths: [String], host: Host = Host(), catalog: Catalog = .builtIn
    ) -> (set: PolicySet?, diagnostics: [PolicyDiagnostic]) {
        let read = PolicyDocument.load(paths: paths, catalog: catalog)
        let checked = check(read.documents, host: host, catalog: catalog)
        // Some mistakes in scopes are found twice.
        let diagnostics = Set(read.diagnostics + checked.diagnostics).sorted {
            $0.position == $1.position ? $0.message < $1.message : $0.position.isBefore($1.position)
        }
        let isWrong = diagnostics.contains { $0.severity == .error }
        return (isWrong ? nil : PolicySet(policies: checked.policies), diagnostics)
    }

    /// Makes policies of documents that are well-formed each by itself.
    static func check(
        _ documents: [PolicyDocument], host: Host, catalog: Catalog
    ) -> (policies: [Policy], diagnostics: [PolicyDiagnostic]) {
        var policies: [Policy] = []
        var diagnostics: [PolicyDiagnostic] = []
        for document in documents.prefix(PolicyDocument.countLimit) {
            var scope = Scope()
            do throws(PolicyDiagnostic) {
                scope = try document.scope(
                    hostMountNamespace: host.mountNamespace, resolveGroup: host.controlGroup)
            } catch {
                diagnostics.append(error)
            }
            var policy = Policy(name: document.name.value, position: document.position, scope: scope)
            for rule in document.rules {
                let filters = rule.filters.map { (text: $0.value, position: Optional($0.position)) }
                var leftOut: [PolicyDiagnostic] = []
                for event in rule.events {
                    var mistakes: [PolicyDiagnostic] = []
                    var made = Policy.Rule.make(filters, catalog.events[event], catalog, &mistakes)
                    made.isNamed = rule.named.contains(event)
                    if mistakes.isEmpty {
                        policy.rules[event] = made
                    } else if made.isNamed {
                        diagnostics += mistakes
                    } else {
                        // A set's events have different fields: what has not the field cannot match.
                        leftOut.append(mistakes[0])
                    }
                }
                if leftOut.count == rule.events.count, let first = leftOut.first {
                    diagnostics.append(first)
                } else if let first = leftOut.first {
                    let message =
                        "\(leftOut.count) of the rule's \(rule.events.count) events cannot match and are left out; of the first: \(first.message)"
                    diagnostics.append(PolicyDiagnostic(message, at: first.position, severity: .warning))
                }
            }
            policy.unreported = document.removed.filter { catalog.events[$0].source == .agent }
            for limit in document.limits {
                do throws(PolicyError) {
                    try policy.limits.add(RateLimit(limit.value))
                } catch {
                    diagnostics.append(PolicyDiagnostic(error.description, at: limit.position))
                }
            }
            policies.append(policy)
        }
        return (policies, diagnostics)
    }

    /// The one policy of the command line's `--scope` and `--events` items.
    public init(
        events items: [String], scopes: [String], limits: [String] = [], host: Host = Host(),
        catalog: Catalog = .builtIn
    ) throws(PolicyError) {
        var scope = Scope()
        for item in scopes {
            try scope.add(item, hostMountNamespace: host.mountNamespace, resolveGroup: host.controlGroup)
        }
        var selectors: [String] = []
        var filters: [Int: [(text: String, position: SourcePosition?)]] = [:]
        for item in items {
            if let (event, filter) = try Self.filter(item, catalog) {
                filters[event, default: []].append((filter, nil))
            } else {
                selectors.append(item)
            }
        }
        var policy = Policy(name: Policy.commandLineName, position: nil, scope: scope)
        if !selectors.isEmpty || filters.isEmpty {
            let selection = try EventSelection(selectors, in: catalog)
            for event in selection.events {
                policy.rules[event] = Policy.Rule(isNamed: selection.named.contains(event))
            }
            policy.unreported = selection.removed.filter { catalog.events[$0].source == .agent }
        }
        var diagnostics: [PolicyDiagnostic] = []
        for (event, filters) in filters.sorted(by: { $0.key < $1.key }) {
            policy.rules[event] = .make(filters, catalog.events[event], catalog, &diagnostics)
            policy.rules[event]?.isNamed = true
        }
        if let first = diagnostics.first { throw PolicyError(first.message) }
        for limit in limits { try policy.limits.add(RateLimit(limit)) }
        policies = [policy]
    }

    init(policies: [Policy]) { self.policies = policies }

    /// Splits `openat.data.pathname=/etc/*`; nil for what chooses events.
    private static func filter(_ item: String, _ catalog: Catalog) throws(PolicyError) -> (Int, String)? {
        let end = item.firstIndex { "=!<>".contains($0) } ?? item.endIndex
        guard let dot = item[..<end].firstIndex(of: ".") else { return nil }
        let name = String(item[..<dot])
        let filter = String(item[item.index(after: dot)...])
        guard !name.hasPrefix("tag=") && !name.hasPrefix("threat") else { return nil }
        guard let event = catalog[name] else {
            throw PolicyError(
                "unknown event '\(printable(name))' in '\(printable(item))'; `apus events list` shows all")
        }
        guard ["data.", "args.", "retval", "scope."].contains(where: filter.hasPrefix) else {
            throw PolicyError(
                "'\(printable(item))' is no filter; write \(name).data.FIELD=VALUE, \(name).retval<0 or \(name).scope.FIELD=VALUE"
            )
        }
        return (event.index, filter)
    }
}

extension Policy.Rule {
    fileprivate static func make(
        _ filters: [(text: String, position: SourcePosition?)], _ event: EventDefinition, _ catalog: Catalog,
        _ diagnostics: inout [PolicyDiagnostic]
    ) -> Policy.Rule {
        var rule = Policy.Rule(filters: filters.map(\.text))
        var parsed: [Filter] = []
        for (text, position) in filters {
            do throws(ExpressionError) {
                parsed.append(try Filter.parse(text, event: event, in: catalog))
            } catch {
                var position = position
                // A quoted text with escapes may be off by some columns.
                position?.column += error.offset
                let message = "\(error.description) (in the filter '\(printable(text))' of \(event.name))"
                diagnostics.append(PolicyDiagnostic(message, at: position))
            }
        }
        if !parsed.isEmpty { rule.expression = Filter.combine(parsed) }
        return rule
    }
}
