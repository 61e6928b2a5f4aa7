internal import Catalog
internal import Expressions

/// Makes policies of trees, and collects everything that is wrong with them.
struct DocumentCheck {
    /// Of a file. Who has more has another problem.
    private static let diagnosticLimit = 100
    private static let ruleLimit = 500
    /// Of a list of texts.
    private static let itemLimit = 1_000

    let file: String
    let catalog: Catalog
    private(set) var diagnostics: [PolicyDiagnostic] = []

    init(file: String, catalog: Catalog) {
        self.file = file
        self.catalog = catalog
    }

    /// Whether there are so many mistakes already that no more are looked for.
    var isFull: Bool { diagnostics.count > Self.diagnosticLimit }

    mutating func add(_ diagnostic: PolicyDiagnostic) {
        if diagnostics.count == Self.diagnosticLimit {
            let message = "there are more than \(Self.diagnosticLimit) mistakes; correct these first"
            diagnostics.append(PolicyDiagnostic(message, at: diagnostic.position))
        } else if !isFull {
            diagnostics.append(diagnostic)
        }
    }

    mutating func error(_ message: String, at position: SourcePosition) {
        add(PolicyDiagnostic(message, at: position))
    }

    mutating func warning(_ message: String, at position: SourcePosition) {
        add(PolicyDiagnostic(message, at: position, severity: .warning))
    }

    // MARK: Documents

    private typealias Fields = [String: DocumentNode]

    /// Nil when the node is nothing like a policy.
    mutating func document(_ node: DocumentNode) -> PolicyDocument? {
        guard !isFull else { return nil }
        guard case .mapping(let entries) = node.content else {
            error("this is no policy; write type: policy, name, scope and rules", at: node.position)
            return nil
        }
        let fields = Fields(entries.map { ($0.key.value, $0.value) }) { first, _ in first }
        if let type = fields["type"], text(type)?.value.lowercased() == "policy" {
            return plain(node)
        }
        if fields["apiVersion"] != nil && fields["kind"] != nil { return resource(node) }
        if let type = fields["type"] {
            if let text = text(type, reports: true)?.value {
                error("unknown type '\(printable(text))'; write type: policy", at: type.position)
            }
        } else if ["apiVersion", "kind", "metadata", "spec"].contains(where: { fields[$0] != nil }) {
            error(
                "a policy for Kubernetes needs both apiVersion: \(Self.apiVersion) and kind: Policy",
                at: node.position)
        } else {
            error(
                "this is no policy; start it with type: policy, or with apiVersion: \(Self.apiVersion) and kind: Policy",
                at: node.position)
        }
        return nil
    }

    private static let apiVersion = "tracee.aquasec.com/v1beta1"
    private static let bodyKeys = ["scope", "rules", "defaultActions", "limits"]

    private mutating func plain(_ node: DocumentNode) -> PolicyDocument {
        let fields = fields(node, ["type", "name", "description", "version"] + Self.bodyKeys, "a policy")
        var document = start(.plain, node, fields["name"])
        document.description = optionalText(fields["description"])
        document.version = optionalText(fields["version"])
        readBody(fields, of: node, into: &document)
        return document
    }

    private mutating func resource(_ node: DocumentNode) -> PolicyDocument {
        let fields = fields(
            node, ["apiVersion", "kind", "metadata", "spec", "status"], "a policy for Kubernetes")
        for (key, expected) in [("apiVersion", Self.apiVersion), ("kind", "Policy")] {
            guard let value = fields[key], let text = text(value, reports: true) else { continue }
            if text.value != expected {
                error(
                    "unknown \(key) '\(printable(text.value))'; write \(key): \(expected)", at: text.position)
            }
        }
        // Kubernetes has many more keys there, and adds to them.
        let metadata = fields["metadata"].map { self.fields($0, nil, "metadata") } ?? [:]
        let annotations = metadata["annotations"].map { self.fields($0, nil, "annotations") } ?? [:]
        var document = start(.resource, node, metadata["name"], "metadata.name")
        document.description = optionalText(annotations["description"])
        if let spec = fields["spec"] {
            readBody(self.fields(spec, Self.bodyKeys, "the spec of a policy"), of: spec, into: &document)
        } else {
            error("the policy has no spec; write spec with scope and rules", at: node.position)
        }
        return document
    }

    private mutating func start(
        _ form: PolicyDocument.Form, _ node: DocumentNode, _ name: DocumentNode?, _ key: String = "name"
    ) -> PolicyDocument {
        var located = Located("", at: node.position)
        if let name, !name.isNull {
            if let text = text(name, reports: true) {
                located = text
                if !Self.isSubdomain(text.value) {
                    error(
                        "'\(printable(text.value))' is no name of a policy; write small letters, digits, '-' and '.', 253 at most, with a letter or digit at both ends of each part",
                        at: text.position)
                }
            }
        } else {
            error("the policy has no name; write \(key)", at: name?.position ?? node.position)
        }
        return PolicyDocument(form: form, position: node.position, name: located)
    }

    /// A DNS subdomain as Kubernetes has them (RFC 1123).
    private static func isSubdomain(_ name: String) -> Bool {
        guard name.utf8.count <= 253 else { return false }
        return name.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false).allSatisfy {
            guard let first = $0.first, let last = $0.last else { return false }
            let dash = UInt8(ascii: "-")
            return first != dash && last != dash
                && $0.allSatisfy {
                    switch $0 {
                    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"), dash:
                        true
                    default: false
                    }
                }
        }
    }

    private mutating func readBody(
        _ fields: Fields, of node: DocumentNode, into document: inout PolicyDocument
    ) {
        document.scopeItems = texts(fields["scope"], "scope")
        if document.scopeItems.isEmpty && isAbsentOrEmpty(fields["scope"]) {
            error(
                "the policy has no scope; write whom it traces, or global for everything",
                at: fields["scope"]?.position ?? node.position)
        }
        checkScope(document.scopeItems)
        document.defaultActions = actions(fields["defaultActions"], "defaultActions")
        document.limits = texts(fields["limits"], "limits")
        readRules(fields["rules"], of: node, into: &document)
    }

    private mutating func checkScope(_ items: [Located<String>]) {
        var scope = Scope()
        let global = items.first { trimmed($0.value) == "global" }
        if let global, items.count > 1 {
            error("global means everything and stands alone; remove it or the others", at: global.position)
        }
        for item in items where !isFull && (items.count == 1 || trimmed(item.value) != "global") {
            do throws(PolicyError) {
                // Numbers of this host do not matter for what is right.
                try scope.add(ScopeItem.withoutSpaces(item.value), hostMountNamespace: 0) { _ in 0 }
            } catch {
                self.error(error.description, at: item.position)
            }
        }
    }

    // MARK: Rules

    private mutating func readRules(
        _ node: DocumentNode?, of parent: DocumentNode, into document: inout PolicyDocument
    ) {
        guard let node, !isAbsentOrEmpty(node) else {
            error(
                "the policy has no rules; write rules with an event each",
                at: node?.position ?? parent.position)
            return
        }
        guard case .sequence(let items) = node.content else {
            error("rules is a list; write each rule behind '- '", at: node.position)
            return
        }
        guard items.count <= Self.ruleLimit else {
            error(
                "the policy has more than \(Self.ruleLimit) rules; split it",
                at: items[Self.ruleLimit].position)
            return
        }
        var choice = RuleChoice(catalog: catalog)
        let before = diagnostics.count
        for item in items where !isFull {
            let fields = fields(item, ["event", "filters", "actions"], "a rule")
            guard case .mapping = item.content else { continue }
            let filters = texts(fields["filters"], "filters", insideQuotes: true)
            for filter in filters where trimmed(filter.value).isEmpty {
                error(
                    "the filter is empty; write one like data.pathname=/etc/*, or remove it",
                    at: filter.position)
            }
            let actions = actions(fields["actions"], "actions")
            guard let event = fields["event"], !event.isNull else {
                error(
                    "the rule has no event; write event with a name, or a set of events",
                    at: fields["event"]?.position ?? item.position)
                continue
            }
            guard let text = text(event, reports: true) else { continue }
            do throws(PolicyError) {
                try choice.add(
                    PolicyRule(event: text, events: [], named: [], filters: filters, actions: actions))
            } catch {
                self.error(error.description, at: text.position)
            }
        }
        document.rules = choice.finish()
        document.removed = choice.removed
        if choice.isEmpty && diagnostics.count == before {
            error(
                "no event is left: the rules only take events out; choose some, as tag=default",
                at: node.position)
        } else {
            for diagnostic in choice.diagnostics { add(diagnostic) }
        }
    }

    private mutating func actions(_ node: DocumentNode?, _ key: String) -> [Located<String>] {
        let actions = texts(node, key)
        for action in actions where action.value != "log" && action.value != "print" {
            error(
                "unknown action '\(printable(action.value))'; there are log and print, which mean the same",
                at: action.position)
        }
        return actions
    }

    // MARK: Nodes

    /// The values of a mapping by their keys. Others than the known ones are reported; nil knows all.
    private mutating func fields(_ node: DocumentNode, _ known: [String]?, _ name: String) -> Fields {
        if known == nil && node.isNull { return [:] }
        guard case .mapping(let entries) = node.content else {
            error("\(name) has keys; write it as KEY: VALUE", at: node.position)
            return [:]
        }
        var fields: Fields = [:]
        for (key, value) in entries {
            if let known, !known.contains(key.value) {
                let hint = question(key.value, among: known) ?? "\(name) has \(known.joined(separator: ", "))"
                error("unknown key '\(printable(key.value))'; \(hint)", at: key.position)
            } else {
                fields[key.value] = value
            }
        }
        return fields
    }

    private mutating func text(_ node: DocumentNode, reports: Bool = false) -> Located<String>? {
        guard case .scalar(let text, _) = node.content else {
            if reports {
                error("a text is expected here; put quotes round one that holds ': '", at: node.position)
            }
            return nil
        }
        return Located(text, at: node.position)
    }

    private mutating func optionalText(_ node: DocumentNode?) -> Located<String>? {
        guard let node, !node.isNull else { return nil }
        return text(node, reports: true)
    }

    /// A list of texts; nothing is an empty one.
    /// - Parameter insideQuotes: whether the places are those of the texts' first characters.
    private mutating func texts(
        _ node: DocumentNode?, _ key: String, insideQuotes: Bool = false
    ) -> [Located<String>] {
        guard let node, !node.isNull else { return [] }
        guard case .sequence(let items) = node.content else {
            error("\(key) is a list; write each of its items behind '- '", at: node.position)
            return []
        }
        guard items.count <= Self.itemLimit else {
            error(
                "the list \(key) has more than \(Self.itemLimit) items; split it, or join items with commas",
                at: items[Self.itemLimit].position)
            return []
        }
        return items.compactMap {
            var text = text($0, reports: true)
            if insideQuotes, case .scalar(_, .quoted) = $0.content { text?.position.column += 1 }
            return text
        }
    }

    private func isAbsentOrEmpty(_ node: DocumentNode?) -> Bool {
        guard let node else { return true }
        if case .sequence(let items) = node.content { return items.isEmpty }
        return node.isNull
    }
}
