internal import Catalog

extension PolicyExplanation {
    private static let width = 80

    // MARK: Text

    /// For a person, in 80 columns.
    var page: String {
        var text = ""
        for policy in policies { text += (text.isEmpty ? "" : "\n") + page(policy) }
        if systemCalls != nil || !notes.isEmpty || unknown != nil { text += "\n" }
        if let systemCalls { text += Self.wrapped("System calls: \(systemCalls.cost).", indent: 2) }
        if let unknown { text += Self.wrapped("What this kernel gives is not known: \(unknown)", indent: 2) }
        for note in notes { text += Self.wrapped("Note: \(note).", indent: 2) }
        return text
    }

    private func page(_ policy: Explained) -> String {
        var text = Self.wrapped(
            "Policy \(Words.shown(policy.name))" + (policy.position.map { "  (\($0))" } ?? ""), indent: 0)
        if let about = policy.about { text += Self.wrapped(Words.shown(about), indent: 0) }
        if policy.scope.isEmpty {
            text += "Scope: the whole host\n"
        } else {
            text += "Scope, decided by the kernel:\n"
        }
        for item in policy.scope { text += Self.wrapped(item, indent: 2) }
        for note in policy.scopeNotes { text += Self.wrapped("! \(note)", indent: 2) }
        if policy.rules.isEmpty { text += "\n  No event is chosen.\n" }
        for rule in policy.rules { text += page(rule) }
        return text
    }

    private func page(_ rule: Rule) -> String {
        var text = ""
        for (place, group) in rule.groups.enumerated() {
            let names = group.events.map(\.name)
            text += "\n"
            if let written = rule.text, place == 0, Set(Self.words(written)) != Set(names) {
                text += Self.wrapped("Rule \(Words.shown(written)), line \(rule.line ?? 0)", indent: 2)
            }
            let start = names.count == 1 ? "" : "\(names.count) events: "
            text += Self.wrapped(Self.some(names, start), indent: 2, more: 2)
            if group.parts.isEmpty { text += "    no filters: all that the scope takes\n" }
            for part in group.parts { text += page(part) }
            for note in group.notes { text += Self.wrapped("! \(note)", indent: 4) }
            text += hooks(group)
        }
        return text
    }

    private func page(_ part: Part) -> String {
        var text = ""
        for filter in part.filters { text += Self.wrapped(Words.shown(filter), indent: 4) }
        for condition in part.kernel { text += Self.wrapped("kernel      \(condition)", indent: 6, more: 12) }
        if let later = part.later { text += Self.wrapped("user space  \(later)", indent: 6, more: 12) }
        if let never = part.never { text += Self.wrapped("! never matches: \(never)", indent: 6) }
        for note in part.notes { text += Self.wrapped("! \(note)", indent: 6) }
        return text
    }

    /// Hooks and what this kernel lacks.
    private func hooks(_ group: Group) -> String {
        var text = ""
        let shown = group.hooks.count > 7 ? Array(group.hooks.prefix(6)) : group.hooks
        for hook in shown { text += Self.wrapped("hook  \(hook)", indent: 4, more: 6) }
        if shown.count < group.hooks.count {
            text += "    and \(group.hooks.count - shown.count) more hooks\n"
        }
        var reasons: [(reason: String, events: [String])] = []
        for (event, reason) in group.absent {
            if let place = reasons.firstIndex(where: { $0.reason == reason }) {
                reasons[place].events.append(event)
            } else {
                reasons.append((reason, [event]))
            }
        }
        for (reason, events) in reasons {
            let names = group.events.count == 1 ? "it" : Self.some(events, "")
            text += Self.wrapped("! this kernel cannot give \(names): \(reason)", indent: 4)
        }
        return text
    }

    private static func words(_ list: String) -> [String] {
        list.split(separator: ",").map { String($0.drop { $0 == " " }.prefix { $0 != " " }) }
    }

    /// Not more names than a person reads.
    private static func some(_ names: [String], _ start: String) -> String {
        guard names.count > 14 else { return start + names.joined(separator: ", ") }
        return start + names.prefix(12).joined(separator: ", ") + " and \(names.count - 12) more"
    }

    /// Lines of at most 80 columns, broken at spaces and behind commas; a longer word stands alone.
    /// - Parameter more: by how much the lines after the first are indented further.
    private static func wrapped(_ text: String, indent: Int, more: Int = 2) -> String {
        let margin = String(repeating: " ", count: indent)
        var lines: [String] = []
        var line = margin
        var isStart = true
        for word in text.split(separator: " ", omittingEmptySubsequences: false) {
            var gap = isStart ? "" : " "
            // Parts that end with a comma, but for the last.
            var rest = word[...]
            repeat {
                let end = rest.firstIndex(of: ",").map { rest.index(after: $0) } ?? rest.endIndex
                let part = rest[..<end]
                if !isStart, !part.isEmpty, line.count + gap.count + part.count > width {
                    while line.hasSuffix(" ") { line.removeLast() }
                    lines.append(line)
                    line = margin + String(repeating: " ", count: more)
                    gap = ""
                }
                line += gap + part
                (rest, gap, isStart) = (rest[end...], "", false)
            } while !rest.isEmpty
        }
        return (lines + [line]).map { $0 + "\n" }.joined()
    }

    // MARK: JSON

    var document: JSONText {
        var members: [(String, JSONText)] = [("policies", .list(policies.map(document)))]
        if let systemCalls { members.append(("system_calls", .text(systemCalls.cost))) }
        if let unknown { members.append(("kernel_unknown", .text(unknown))) }
        members.append(("notes", .list(notes.map(JSONText.text))))
        return .object(members)
    }

    private func document(_ policy: Explained) -> JSONText {
        var members: [(String, JSONText)] = [("name", .text(policy.name))]
        if let position = policy.position { members.append(("position", .text(position))) }
        if let about = policy.about { members.append(("description", .text(about))) }
        members += [
            ("scope", .list(policy.scope.map(JSONText.text))),
            ("scope_notes", .list(policy.scopeNotes.map(JSONText.text))),
            ("rules", .list(policy.rules.flatMap { rule in rule.groups.map { document($0, rule) } })),
        ]
        return .object(members)
    }

    private func document(_ group: Group, _ rule: Rule) -> JSONText {
        var members: [(String, JSONText)] = []
        if let text = rule.text { members.append(("event", .text(text))) }
        if let line = rule.line { members.append(("line", .number(line))) }
        members += [
            ("events", .list(group.events.map { .text($0.name) })),
            ("filters", .list(group.parts.map(document))),
            ("notes", .list(group.notes.map(JSONText.text))),
            ("hooks", .list(group.hooks.map(JSONText.text))),
            (
                "absent",
                .list(
                    group.absent.map { .object([("event", .text($0.event)), ("reason", .text($0.reason))]) })
            ),
        ]
        return .object(members)
    }

    private func document(_ part: Part) -> JSONText {
        var members: [(String, JSONText)] = [
            ("filters", .list(part.filters.map(JSONText.text))),
            ("kernel", .list(part.kernel.map(JSONText.text))),
        ]
        if let later = part.later { members.append(("user_space", .text(later))) }
        if let never = part.never { members.append(("never", .text(never))) }
        if !part.notes.isEmpty { members.append(("notes", .list(part.notes.map(JSONText.text)))) }
        return .object(members)
    }
}
