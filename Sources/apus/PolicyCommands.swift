internal import Agent
internal import Catalog
internal import Policies
internal import Probes

/// `policy check` and `policy explain`: what policies mean, without tracing.
enum PolicyCommands {
    private static let json = Option("json", "j", "print JSON")

    static let check = Command(
        name: "policy check", about: "Say what is wrong with policies. Needs no root.", options: [json],
        operands: "PATH...",
        details: """
            A PATH is a file, or a directory with files that end in .yaml, .yml or .json. Status 2: something is
            wrong.

            """
    ) { arguments in
        let read = try read(arguments)
        if arguments.switches.contains("json") {
            let document: [(String, JSONText)] = [
                ("policies", .list(read.policies.map(document))),
                ("diagnostics", .list(read.diagnostics.map(document))),
            ]
            Console.out(JSONText.object(document).line + "\n")
        } else {
            for line in lines(read.diagnostics) { Console.out(line + "\n") }
            for policy in read.policies { Console.out(line(policy) + "\n") }
        }
        return read.isWrong ? 2 : 0
    }

    static let explain = Command(
        name: "policy explain",
        about: "Explain policies: what the kernel decides, what is left, what it hooks.",
        options: [
            Option("events", "e", value: "LIST", "instead of policies: events and filters, as of apus trace"),
            Option("scope", "s", value: "KEY=VALUE", "instead of policies: whom to trace, as of apus trace"),
            json,
        ],
        operands: "[PATH...]",
        details: """
            Examples:
              apus policy explain /etc/apus/policies
              apus policy explain --events 'openat.data.pathname=/etc/*' --scope comm=cat

            """
    ) { arguments in
        let read = try read(arguments)
        for line in lines(read.diagnostics) { Console.complain(line) }
        guard let plan = read.plan else { return 2 }
        let features = Features(for: plan.policies.flatMap(\.rules.keys).map { Catalog.builtIn.events[$0] })
        let explanation = PolicyExplanation(plan, read.documents, features, .builtIn)
        Console.out(
            arguments.switches.contains("json") ? explanation.document.line + "\n" : explanation.page)
        return 0
    }

    // MARK: Reading

    private struct Read {
        var policies: [(policy: Policy, rules: Int)] = []
        /// Empty for the command line's policy.
        var documents: [PolicyDocument] = []
        var diagnostics: [PolicyDiagnostic] = []
        /// Nil when something is wrong.
        var plan: PolicyPlan?
        var isWrong: Bool { plan == nil }
    }

    private static func read(_ arguments: Arguments) throws -> Read {
        if arguments.hasSeparator { throw UsageError("nothing is run here; leave out --") }
        var read = Read()
        let events = arguments.values["events"] ?? []
        let scopes = arguments.values["scope"] ?? []
        let set: PolicySet?
        if events.isEmpty && scopes.isEmpty {
            guard !arguments.operands.isEmpty else {
                throw UsageError("name a file of policies, or a directory of such files")
            }
            (set, read.diagnostics) = PolicySet.load(paths: arguments.operands, host: LoadedPolicies.host())
            read.documents = PolicyDocument.load(paths: arguments.operands).documents
        } else {
            guard arguments.operands.isEmpty else {
                throw UsageError(
                    "policies and --events or --scope do not go together; write events and scope into the policy"
                )
            }
            do throws(PolicyError) {
                set = try PolicySet(events: events, scopes: scopes, host: LoadedPolicies.host())
            } catch {
                throw UsageError(error.description)
            }
        }
        guard let set else { return read }
        do throws(PolicyError) {
            read.plan = try PolicyPlan(set)
        } catch {
            read.diagnostics.append(PolicyDiagnostic(error.description, at: nil))
            return read
        }
        for (number, policy) in set.policies.enumerated() {
            let document = read.documents.indices.contains(number) ? read.documents[number] : nil
            for rule in document?.rules ?? [] where rule.threat != nil {
                read.diagnostics.append(
                    PolicyDiagnostic(
                        "threat. chooses among detectors, and there are none yet, so it chooses nothing",
                        at: rule.event.position, severity: .warning))
            }
            read.policies.append((policy, document?.rules.count ?? 1))
        }
        return read
    }

    // MARK: Output of check

    /// One filter may be wrong for each event of a set: three of one place are enough.
    private static func lines(_ diagnostics: [PolicyDiagnostic]) -> [String] {
        var lines: [String] = []
        var counts: [SourcePosition: Int] = [:]
        for diagnostic in diagnostics {
            if let position = diagnostic.position { counts[position, default: 0] += 1 }
        }
        var seen: [SourcePosition: Int] = [:]
        for diagnostic in diagnostics {
            guard let position = diagnostic.position else {
                lines.append(diagnostic.description)
                continue
            }
            let place = seen[position, default: 0]
            seen[position] = place + 1
            if place < 3 { lines.append(diagnostic.description) }
            if place == 3, let count = counts[position] {
                lines.append("\(position): and \(Words.count(count - 3, "more mistake")) in this place")
            }
        }
        return lines
    }

    private static func line(_ policy: (policy: Policy, rules: Int)) -> String {
        let names = names(policy.policy)
        let start =
            "\(policy.policy.name): \(Words.count(policy.rules, "rule")), \(Words.count(names.count, "event"))"
        return names.isEmpty ? start : Words.listed(names, after: start + ": ", width: 80)
    }

    private static func names(_ policy: Policy) -> [String] {
        policy.rules.keys.map { Catalog.builtIn.events[$0].name }.sorted()
    }

    private static func document(_ policy: (policy: Policy, rules: Int)) -> JSONText {
        .object([
            ("name", .text(policy.policy.name)),
            ("position", .text(policy.policy.position?.description ?? "")),
            ("rules", .number(policy.rules)),
            ("events", .list(names(policy.policy).map(JSONText.text))),
        ])
    }

    private static func document(_ diagnostic: PolicyDiagnostic) -> JSONText {
        var members: [(String, JSONText)] = []
        if let position = diagnostic.position {
            members += [
                ("file", .text(position.file)), ("line", .number(position.line)),
                ("column", .number(position.column)),
            ]
        }
        members += [
            ("severity", .text(diagnostic.severity.rawValue)), ("message", .text(diagnostic.message)),
        ]
        return .object(members)
    }
}
