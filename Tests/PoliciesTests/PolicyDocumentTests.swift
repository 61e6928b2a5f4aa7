import Catalog
import Testing

@testable import Policies

/// Both forms of policies, and what is wrong with one document.
@Suite struct PolicyDocumentTests {
    private func parse(
        _ text: String, _ file: String = "p.yaml"
    ) -> (documents: [PolicyDocument], diagnostics: [String]) {
        let parsed = PolicyDocument.parse(Array(text.utf8), file: file)
        return (parsed.documents, parsed.diagnostics.map(\.description))
    }

    private func names(_ events: [Int]) -> [String] { events.map { Catalog.builtIn.events[$0].name } }

    private static let plain = """
        # A comment does not matter.
        type: Policy
        name: web.shells-1
        description: "Shells of web servers"
        version: 1.0
        scope:
          - uid != 0
          - comm=nginx, apache2
          - follow
        rules:
          - event: sched_process_exec
            filters:
              - data.pathname=/bin/*
              - "retval<0"
            actions: [log]
          - event: tag=fs
        defaultActions:
          - print
        limits:
          - 100/s
        """

    private static let resource = """
        apiVersion: tracee.aquasec.com/v1beta1
        kind: Policy
        metadata:
          name: web.shells-1
          namespace: ignored
          labels: {app: web}
          annotations:
            description: Shells of web servers
            other.example/key: whatever
          creationTimestamp: null
        spec:
          scope:
            - uid != 0
            - comm=nginx, apache2
            - follow
          rules:
            - event: sched_process_exec
              filters:
                - data.pathname=/bin/*
                - retval<0
              actions: [log]
            - event: tag=fs
          defaultActions:
            - print
          limits:
            - 100/s
        status: {}
        """

    private static let json = """
        {
        \t"type": "policy",
        \t"name": "web.shells-1",
        \t"description": "Shells of web servers",
        \t"scope": ["uid != 0", "comm=nginx, apache2", "follow"],
        \t"rules": [
        \t\t{
        \t\t\t"event": "sched_process_exec",
        \t\t\t"filters": ["data.pathname=/bin/*", "retval<0"],
        \t\t\t"actions": ["log"]
        \t\t},
        \t\t{"event": "tag=fs", "filters": null}
        \t],
        \t"defaultActions": ["print"],
        \t"limits": ["100/s"]
        }
        """

    private static let jsonResource = """
        {"apiVersion": "tracee.aquasec.com/v1beta1", "kind": "Policy",
         "metadata": {"name": "web.shells-1", "annotations": {"description": "Shells of web servers"}},
         "spec": {"scope": ["uid != 0", "comm=nginx, apache2", "follow"],
          "rules": [
           {"event": "sched_process_exec", "filters": ["data.pathname=/bin/*", "retval<0"], "actions": ["log"]},
           {"event": "tag=fs"}],
          "defaultActions": ["print"], "limits": ["100/s"]}}
        """

    @Test(arguments: [(plain, "p.yaml"), (resource, "p.yml"), (json, "p.json"), (jsonResource, "p.json")])
    func bothFormsSayTheSame(_ text: String, _ file: String) throws {
        let (documents, diagnostics) = parse(text, file)
        #expect(diagnostics == [])
        let document = try #require(documents.first)
        #expect(documents.count == 1)
        #expect(document.form == (text.contains("apiVersion") ? .resource : .plain))
        #expect(document.name.value == "web.shells-1")
        #expect(document.description?.value == "Shells of web servers")
        #expect(document.scopeItems.map(\.value) == ["uid != 0", "comm=nginx, apache2", "follow"])
        #expect(document.defaultActions.map(\.value) == ["print"])
        #expect(document.limits.map(\.value) == ["100/s"])
        #expect(document.rules.map(\.event.value) == ["sched_process_exec", "tag=fs"])
        let rule = try #require(document.rules.first)
        #expect(names(rule.events) == ["sched_process_exec"])
        #expect(rule.named == Set(rule.events))
        #expect(rule.filters.map(\.value) == ["data.pathname=/bin/*", "retval<0"])
        #expect(rule.actions.map(\.value) == ["log"])
        let fs = document.rules[1]
        #expect(fs.events == Catalog.builtIn.events.filter { $0.sets.contains("fs") }.map(\.index))
        #expect(fs.named == [] && fs.filters == [] && fs.actions == [])

        let scope = try document.scope(hostMountNamespace: nil)
        #expect(scope.follows)
        #expect(scope.restrictions[.uid]?.excluded == [.number(0)])
        #expect(
            scope.restrictions[.comm]?.included == [.name(Array("nginx".utf8)), .name(Array("apache2".utf8))])
    }

    @Test func everythingHasItsPlace() throws {
        let plain = try #require(parse(Self.plain).documents.first)
        let place = { (line: Int, column: Int) in SourcePosition(file: "p.yaml", line: line, column: column) }
        #expect(plain.position == place(2, 1))
        #expect(plain.name.position == place(3, 7))
        #expect(plain.description?.position == place(4, 14))
        #expect(plain.version == Located("1.0", at: place(5, 10)))
        #expect(plain.scopeItems.map(\.position) == [place(7, 5), place(8, 5), place(9, 5)])
        #expect(plain.rules.map(\.event.position) == [place(11, 12), place(16, 12)])
        #expect(plain.rules.first?.filters.map(\.position) == [place(13, 9), place(14, 10)])
        #expect(plain.rules.first?.actions.map(\.position) == [place(15, 15)])
        #expect(plain.defaultActions.map(\.position) == [place(18, 5)])
        #expect(plain.limits.map(\.position) == [place(20, 5)])
        let resource = try #require(parse(Self.resource).documents.first)
        #expect(resource.name.position == place(4, 9))
        #expect(resource.description?.position == place(8, 18))
        #expect(resource.rules.first?.filters.first?.position == place(19, 11))
    }

    @Test func severalDocumentsOfAFile() {
        let (documents, diagnostics) = parse("---\n\(Self.plain)\n---\n# nothing\n---\n\(Self.resource)\n")
        #expect(diagnostics == [])
        #expect(documents.map(\.form) == [.plain, .resource])
    }

    @Test func scopesAreResolvedLate() throws {
        let text = """
            type: policy
            name: a
            scope: ["exec=host:/bin/sh", "cgroup=web.slice"]
            rules: [{event: openat}]
            """
        let (documents, diagnostics) = parse(text)
        #expect(diagnostics == [])
        let document = try #require(documents.first)
        let scope = try document.scope(hostMountNamespace: 7) { $0 == "web.slice" ? 4711 : nil }
        #expect(scope.executables.included == [ExecutablePath(namespace: 7, bytes: Array("/bin/sh".utf8))])
        #expect(scope.restrictions[.cgroup]?.included == [.number(4711)])
        let error = try #require(throws: PolicyDiagnostic.self) { try document.scope(hostMountNamespace: 7) }
        #expect(error.description.hasPrefix("p.yaml:3:30: error: scope 'cgroup=web.slice': 'web.slice' is"))
    }

    // MARK: Mistakes

    /// A policy of the plain form with one part changed.
    private static func policy(
        type: String = "type: policy", name: String = "name: a", scope: String = "scope: [global]",
        rules: String = "rules: [{event: openat}]", more: String = ""
    ) -> String {
        [type, name, scope, rules, more].filter { !$0.isEmpty }.joined(separator: "\n")
    }

    private static let formMistakes: [(String, String)] = [
        ("", "1:1: error: the file holds no policy; write one"),
        ("# nothing\n---\n", "1:1: error: the file holds no policy; write one"),
        ("text", "1:1: error: this is no policy; write type: policy, name, scope and rules"),
        ("[a]", "1:1: error: this is no policy; write type: policy, name, scope and rules"),
        (
            "name: a\nscope: [global]",
            "1:1: error: this is no policy; start it with type: policy, "
                + "or with apiVersion: tracee.aquasec.com/v1beta1 and kind: Policy"
        ),
        ("{}", "1:1: error: this is no policy; start it with type: policy, or with apiVersion:"),
        (policy(type: "type: detector"), "1:7: error: unknown type 'detector'; write type: policy"),
        (policy(type: "type: "), "1:6: error: unknown type ''; write type: policy"),
        (
            policy(type: "type: [policy]"),
            "1:7: error: a text is expected here; put quotes round one that holds ': '"
        ),
        (
            "kind: Policy\nmetadata: {name: a}",
            "1:1: error: a policy for Kubernetes needs both apiVersion: tracee.aquasec.com/v1beta1 and kind: Policy"
        ),
        ("spec: {}", "1:1: error: a policy for Kubernetes needs both apiVersion:"),
    ]

    private static let nameMistakes: [(String, String)] = [
        (policy(name: ""), "1:1: error: the policy has no name; write name"),
        (policy(name: "name:"), "2:6: error: the policy has no name; write name"),
        (policy(name: "name: ~"), "2:7: error: the policy has no name; write name"),
        (policy(name: "name: ''"), "2:7: error: '' is no name of a policy; write"),
        (policy(name: "name: Web"), "2:7: error: 'Web' is no name of a policy; write"),
        (policy(name: "name: a_b"), "2:7: error: 'a_b' is no name of a policy; write"),
        (policy(name: "name: -a"), "2:7: error: '-a' is no name of a policy; write"),
        (policy(name: "name: a-"), "2:7: error: 'a-' is no name of a policy; write"),
        (policy(name: "name: a..b"), "2:7: error: 'a..b' is no name of a policy; write"),
        (policy(name: "name: a.-b"), "2:7: error: 'a.-b' is no name of a policy; write"),
        (policy(name: "name: käse"), "2:7: error: 'käse' is no name of a policy; write"),
        (policy(name: "name: \"\\e[2J\""), "2:7: error: '\\x1b[2J' is no name of a policy; write"),
        (policy(name: "name: {a: b}"), "2:7: error: a text is expected here; put quotes round"),
        (
            policy(name: "name: " + String(repeating: "a", count: 254)),
            "2:7: error: '\(String(repeating: "a", count: 200))…' is no name of a policy; write small letters, "
                + "digits, '-' and '.', 253 at most, with a letter or digit at both ends of each part"
        ),
    ]

    private static let keyMistakes: [(String, String)] = [
        (policy(more: "scop: []"), "5:1: error: unknown key 'scop'; did you mean scope?"),
        (policy(more: "Name: b"), "5:1: error: unknown key 'Name'; did you mean name"),
        (
            policy(more: "severity: 3"),
            "5:1: error: unknown key 'severity'; a policy has type, name, description, version, scope, rules, "
                + "defaultActions, limits"
        ),
        (policy(more: "\"\\x1b[2J\": 3"), "5:1: error: unknown key '\\x1b[2J'; a policy has type"),
        (policy(more: "name: b"), "5:1: error: key 'name' stands twice, in line 2 too; remove one"),
        (policy(more: "description: [a]"), "5:14: error: a text is expected here; put quotes round one"),
        (
            policy(more: "defaultActions: log"),
            "5:17: error: defaultActions is a list; write each of its items"
        ),
        (policy(more: "limits: {a: b}"), "5:9: error: limits is a list; write each of its items behind '- '"),
        (policy(more: "limits: [[a]]"), "5:10: error: a text is expected here; put quotes round one"),
    ]

    private static let scopeMistakes: [(String, String)] = [
        (
            policy(scope: ""),
            "1:1: error: the policy has no scope; write whom it traces, or global for everything"
        ),
        (policy(scope: "scope:"), "3:7: error: the policy has no scope; write whom it traces"),
        (policy(scope: "scope: []"), "3:8: error: the policy has no scope; write whom it traces"),
        (policy(scope: "scope: global"), "3:8: error: scope is a list; write each of its items behind '- '"),
        (
            policy(scope: "scope: {uid: 0}"),
            "3:8: error: scope is a list; write each of its items behind '- '"
        ),
        (policy(scope: "scope:\n  - uid: 0"), "4:5: error: a text is expected here; put quotes round one"),
        (
            policy(scope: "scope: [global, uid=0]"),
            "3:9: error: global means everything and stands alone; remove it or the others"
        ),
        (
            policy(scope: "scope: [uid=0, ' global ']"),
            "3:16: error: global means everything and stands alone;"
        ),
        (policy(scope: "scope: [global, global]"), "3:9: error: global means everything and stands alone;"),
        (policy(scope: "scope: [udi=0]"), "3:9: error: unknown scope key 'udi'; did you mean uid"),
        (policy(scope: "scope: [u=0]"), "3:9: error: unknown scope key 'u'; did you mean uid, uts?"),
        (policy(scope: "scope: ['']"), "3:9: error: unknown scope key ''; there are pid, uid, comm"),
        (policy(scope: "scope: [uid]"), "3:9: error: scope 'uid' lacks an operator; write uid=VALUE"),
        (policy(scope: "scope: [uid=x]"), "3:9: error: scope 'uid=x': 'x' is no number from 0 to 4294967295"),
        (policy(scope: "scope: ['uid=']"), "3:9: error: scope 'uid=' has an empty value"),
        (policy(scope: "scope: ['uid=1, ,2']"), "3:9: error: scope 'uid=1,,2' has an empty value"),
        (policy(scope: "scope: ['comm>a']"), "3:9: error: scope 'comm>a': comm takes = and != only, not >"),
        (
            policy(scope: "scope: [exec=ls]"),
            "3:9: error: scope 'exec=ls': 'ls' is no absolute path; write it"
        ),
        (
            policy(scope: "scope: [container, not-container]"),
            "3:20: error: scope 'not-container' can match nothing beside the items before it"
        ),
        (policy(scope: "scope: [\"\\e[2J\"]"), "3:9: error: unknown scope key '\\x1b[2J'; there are"),
    ]

    private static let ruleMistakes: [(String, String)] = [
        (policy(rules: ""), "1:1: error: the policy has no rules; write rules with an event each"),
        (policy(rules: "rules:"), "4:7: error: the policy has no rules; write rules with an event each"),
        (policy(rules: "rules: []"), "4:8: error: the policy has no rules; write rules with an event each"),
        (policy(rules: "rules: {event: openat}"), "4:8: error: rules is a list; write each rule behind '- '"),
        (policy(rules: "rules: [openat]"), "4:9: error: a rule has keys; write it as KEY: VALUE"),
        (
            policy(rules: "rules: [{}]"),
            "4:9: error: the rule has no event; write event with a name, or a set"
        ),
        (
            policy(rules: "rules: [{event: }]"),
            "4:17: error: the rule has no event; write event with a name, or a set of events"
        ),
        (policy(rules: "rules: [{event: ''}]"), "4:17: error: the event is empty; write a name, or a set"),
        (
            policy(rules: "rules: [{event: [a]}]"),
            "4:17: error: a text is expected here; put quotes round one"
        ),
        (
            policy(rules: "rules: [{event: opnat}]"),
            "4:17: error: unknown event 'opnat'; did you mean openat, openat2?"
        ),
        (
            policy(rules: "rules: [{event: nothing_like_an_event}]"),
            "4:17: error: unknown event 'nothing_like_an_event'; `apus events list` shows all"
        ),
        (
            policy(rules: "rules: [{event: defualt}]"),
            "4:17: error: unknown event 'defualt'; did you mean default?"
        ),
        (policy(rules: "rules: [{event: nosuch*}]"), "4:17: error: no event's name starts with 'nosuch';"),
        (policy(rules: "rules: [{event: tag=nett}]"), "4:17: error: unknown set 'nett'; did you mean net"),
        (policy(rules: "rules: [{event: 'openat,'}]"), "4:17: error: an event name is empty in the list"),
        (policy(rules: "rules: [{event: '-'}]"), "4:17: error: an event name is empty in the list"),
        (policy(rules: "rules: [{event: \"\\e[2J\"}]"), "4:17: error: unknown event '\\x1b[2J'; `apus"),
        (
            policy(rules: "rules: [{event: threat.severty=1}]"),
            "4:17: error: unknown property 'threat.severty'; did you mean threat.severity?"
        ),
        (
            policy(rules: "rules: [{event: 'threat.severity=9'}]"),
            "4:17: error: 'threat.severity=9': '9' is no severity; there are info, low"
        ),
        (
            policy(rules: "rules:\n- event: openat\n- event: close\n- event: openat"),
            "7:10: error: event 'openat' is named twice, in line 5 too; join the two"
        ),
        (
            policy(rules: "rules:\n- event: openat,close,openat"),
            "5:10: error: event 'openat' is named twice, in line 5 too; join the two"
        ),
        (
            policy(rules: "rules:\n- event: openat\n- event: tag=fs\n- event: 'close , openat'"),
            "7:10: error: event 'openat' is named twice, in line 5 too; join the two"
        ),
        (
            policy(rules: "rules: [{event: -openat}]"),
            "4:8: error: no event is left: the rules only take events out; choose some, as tag=default"
        ),
        (
            policy(rules: "rules: [{event: 'openat,-openat'}]"),
            "4:8: error: no event is left: the rules only take events out; choose some, as tag=default"
        ),
        (
            policy(rules: "rules: [{event: open*}, {event: -openat, filters: [retval=0]}]"),
            "4:33: error: the rule only takes events out; remove its filters and actions, or name an event"
        ),
        (
            policy(rules: "rules: [{event: openat, filter: [retval=0]}]"),
            "4:25: error: unknown key 'filter'; did"
        ),
        (
            policy(rules: "rules: [{event: openat, filters: retval=0}]"),
            "4:34: error: filters is a list; write"
        ),
        (
            policy(rules: "rules: [{event: openat, filters: ['']}]"),
            "4:36: error: the filter is empty; write one like data.pathname=/etc/*, or remove it"
        ),
        (policy(rules: "rules: [{event: openat, filters: ['  ']}]"), "4:36: error: the filter is empty;"),
        (policy(rules: "rules:\n- event: openat\n  filters:\n  -"), "7:4: error: the filter is empty;"),
        (
            policy(rules: "rules: [{event: openat, filters: [{retval: 0}]}]"),
            "4:35: error: a text is expected here; put quotes round one that holds ': '"
        ),
        (
            policy(rules: "rules: [{event: openat, actions: [webhook]}]"),
            "4:35: error: unknown action 'webhook'; there are log and print, which mean the same"
        ),
        (policy(more: "defaultActions: [LOG]"), "5:18: error: unknown action 'LOG'; there are log and print"),
        (policy(more: "defaultActions: ['']"), "5:18: error: unknown action ''; there are log and print"),
    ]

    @Test(arguments: formMistakes + nameMistakes + keyMistakes + scopeMistakes + ruleMistakes)
    func mistakes(_ text: String, _ expected: String) {
        let diagnostics = parse(text).diagnostics
        #expect(diagnostics.count == 1, "\(diagnostics)")
        #expect(diagnostics.first?.hasPrefix("p.yaml:" + expected) == true, "\(diagnostics)")
        #expect(diagnostics.allSatisfy { $0.unicodeScalars.allSatisfy { $0.value >= 0x20 } })
    }

    @Test(arguments: [
        (
            ["tracee.aquasec.com/v1beta1", "tracee.aquasec.com/v1"],
            "1:13: error: unknown apiVersion 'tracee.aquasec.com/v1'; "
                + "write apiVersion: tracee.aquasec.com/v1beta1"
        ),
        (["kind: Policy", "kind: policy"], "2:7: error: unknown kind 'policy'; write kind: Policy"),
        (["kind: Policy", "kind: [Policy]"], "2:7: error: a text is expected here; put quotes round"),
        (["  name: web.shells-1\n", ""], "1:1: error: the policy has no name; write metadata.name"),
        (["name: web.shells-1", "name: Web"], "4:9: error: 'Web' is no name of a policy; write small"),
        (["status:", "stats:"], "27:1: error: unknown key 'stats'; did you mean status?"),
        (
            ["  limits:", "  name:"],
            "25:3: error: unknown key 'name'; the spec of a policy has scope, rules, defaultActions, limits"
        ),
        (["labels: {app: web}", "labels: [1, 2]"], ""),
        (
            ["description: Shells of web servers", "description: [a]"],
            "8:18: error: a text is expected here;"
        ),
    ])
    func mistakesInResources(_ change: [String], _ expected: String) {
        let diagnostics = parse(Self.resource.replacing(change[0], with: change[1])).diagnostics
        #expect(Self.resource.contains(change[0]))
        if expected.isEmpty {
            #expect(diagnostics == [])
        } else {
            #expect(diagnostics.count == 1, "\(diagnostics)")
            #expect(diagnostics.first?.hasPrefix("p.yaml:" + expected) == true, "\(diagnostics)")
        }
    }

    @Test func resourcesNeedASpec() {
        let head = "apiVersion: tracee.aquasec.com/v1beta1\nkind: Policy\nmetadata: {name: a}\n"
        #expect(
            parse(head).diagnostics == [
                "p.yaml:1:1: error: the policy has no spec; write spec with scope and rules"
            ])
        #expect(
            parse(head + "spec: []").diagnostics.first
                == "p.yaml:4:7: error: the spec of a policy has keys; write it as KEY: VALUE")
        #expect(
            parse(head.replacing("{name: a}", with: "a") + "spec: {scope: [global], rules: [{event: close}]}")
                .diagnostics == [
                    "p.yaml:1:1: error: the policy has no name; write metadata.name",
                    "p.yaml:3:11: error: metadata has keys; write it as KEY: VALUE",
                ])
    }

    @Test func allMistakesAreFoundAtOnce() throws {
        let text = """
            type: policy
            name: A
            scope: [pid=x, uid=y]
            rules:
              - event: opnat
              - event: openat
                filters: ['']
                actions: [bark]
              - evnt: close
            color: red
            """
        let parsed = PolicyDocument.parse(Array(text.utf8), file: "p.yaml")
        #expect(
            parsed.diagnostics.map { [$0.position?.line, $0.position?.column] } == [
                [2, 7], [3, 9], [3, 16], [5, 12], [7, 16], [8, 15], [9, 5], [9, 5], [10, 1],
            ])
        // What is right of it is there, so that its filters can be checked too.
        let document = try #require(parsed.documents.first)
        #expect(document.rules.map(\.event.value) == ["openat"])
        #expect(document.scopeItems.count == 2)
    }

    @Test func mistakesAreBounded() {
        let rules = (0..<400).map { "  - event: nothing_like_this_\($0)\n" }.joined()
        let diagnostics = parse("type: policy\nname: a\nscope: [global]\nrules:\n" + rules).diagnostics
        #expect(diagnostics.count == 101)
        #expect(
            diagnostics.last
                == "p.yaml:105:12: error: there are more than 100 mistakes; correct these first")
        let many = (0..<501).map { _ in "  - event: openat\n" }.joined()
        #expect(
            parse("type: policy\nname: a\nscope: [global]\nrules:\n" + many).diagnostics == [
                "p.yaml:505:5: error: the policy has more than 500 rules; split it"
            ])
    }
}
