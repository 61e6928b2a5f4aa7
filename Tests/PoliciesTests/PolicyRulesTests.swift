import Catalog
import Testing

@testable import Policies

/// Which rule of a policy decides which event.
@Suite struct PolicyRulesTests {
    private func policy(_ events: [String], filters: [Int: String] = [:]) -> (
        rules: [PolicyRule], notes: [String]
    ) {
        var text = "type: policy\nname: a\nscope: [global]\nrules:\n"
        for (index, event) in events.enumerated() {
            text += "- {event: '\(event)', filters: [\(filters[index].map { "'\($0)'" } ?? "")]}\n"
        }
        let parsed = PolicyDocument.parse(Array(text.utf8), file: "p.yaml")
        return (parsed.documents.first?.rules ?? [], parsed.diagnostics.map(\.description))
    }

    private func set(_ name: String) -> Set<String> {
        Set(Catalog.builtIn.events.filter { $0.sets.contains(name) }.map(\.name))
    }

    private func starting(_ prefix: String) -> Set<String> {
        Set(Catalog.builtIn.events.map(\.name).filter { $0.hasPrefix(prefix) })
    }

    private func names(_ rule: PolicyRule) -> Set<String> {
        Set(rule.events.map { Catalog.builtIn.events[$0].name })
    }

    @Test func selections() throws {
        let cases: [(String, Set<String>)] = [
            ("openat", ["openat"]), ("openat, close", ["openat", "close"]), ("open*", starting("open")),
            ("tag=fs", set("fs")), ("tag=fs,net", set("fs").union(set("net"))),
            // Bare sets, which the command line does not take.
            ("fs", set("fs")), ("net,openat", set("net").union(["openat"])), (" proc ", set("proc")),
            ("open*,-openat", starting("open").subtracting(["openat"])),
            ("fs,-tag=fs_sync,fs_info", set("fs").subtracting(set("fs_sync")).subtracting(set("fs_info"))),
            ("fs,-fs_sync", set("fs").subtracting(set("fs_sync"))),
            ("fs,fs,tag=fs", set("fs")), ("*", Set(Catalog.builtIn.events.map(\.name))),
        ]
        for (event, expected) in cases {
            let (rules, notes) = policy([event])
            let rule = try #require(rules.first)
            #expect(names(rule) == expected, "\(event)")
            #expect(rule.events == rule.events.sorted())
            #expect(notes == [], "\(event)")
        }
    }

    @Test func theRuleThatNamesAnEventHasIt() {
        // Whichever comes first.
        for events in [["tag=fs", "openat,close"], ["openat,close", "tag=fs"]] {
            let (rules, notes) = policy(events, filters: [0: "retval=0"])
            let named = rules.first { $0.event.value == "openat,close" }
            let broad = rules.first { $0.event.value == "tag=fs" }
            #expect(named.map(names) == ["openat", "close"])
            #expect(broad.map(names) == set("fs").subtracting(["openat", "close"]))
            #expect(named?.named.count == 2 && broad?.named == [])
            #expect(notes == [])
        }
    }

    @Test func ofTwoSetsTheFirstHasIt() throws {
        let (rules, notes) = policy(["open*", "tag=fs"])
        #expect(rules.map(names) == [starting("open"), set("fs").subtracting(starting("open"))])
        #expect(notes == [])
        // Other filters would be lost silently.
        let differ = policy(["open*", "tag=fs"], filters: [1: "retval=0"])
        #expect(
            differ.notes == [
                "p.yaml:6:11: warning: some of these events have the filters of the rule in line 5, which comes "
                    + "first; name the events that need others"
            ])
        #expect(policy(["open*", "tag=fs"], filters: [0: "retval=0", 1: "retval=0"]).notes == [])
    }

    @Test func removalsHoldForTheWholePolicy() {
        for events in [["-openat", "open*"], ["open*", "-openat"]] {
            let (rules, notes) = policy(events)
            #expect(rules.map(names).contains(starting("open").subtracting(["openat"])))
            #expect(notes == [])
        }
    }

    @Test func rulesWithoutEventsAreTold() {
        #expect(
            policy(["openat", "close,-close"]).notes == [
                "p.yaml:6:11: warning: the rule has no event left, as the policy takes them out again; "
                    + "remove one of both"
            ])
        let (rules, notes) = policy(["openat", "openat*", "openat2"])
        #expect(
            rules.map(names) == [
                ["openat"], starting("openat").subtracting(["openat", "openat2"]), ["openat2"],
            ])
        #expect(
            notes == [
                "p.yaml:6:11: warning: the rule has no event left, as other rules have them all; remove it"
            ])
    }

    @Test func threats() throws {
        let (rules, notes) = policy([
            "threat.severity>=high", "openat, threat.mitre.tactic=Persistence,Impact", "-close",
        ])
        #expect(notes == [])
        #expect(
            rules.map(\.threat) == [
                .severity([.high, .critical]), .text(.tactic, ["Persistence", "Impact"], isNegated: false),
                nil,
            ])
        #expect(rules.map(names) == [[], ["openat"], []])
        // Alone it is enough, with filters too.
        let alone = policy(["threat.name=x"], filters: [0: "hostPid=1"])
        #expect(alone.notes == [])
        #expect(alone.rules.first?.filters.count == 1)
    }
}
