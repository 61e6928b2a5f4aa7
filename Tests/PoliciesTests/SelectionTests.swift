import Catalog
import Policies
import Testing

@Suite struct SelectionTests {
    private func names(_ items: String...) throws -> [String] {
        try EventSelection(items).events.map { Catalog.builtIn.events[$0].name }
    }

    private func members(_ set: String) -> Set<String> {
        Set(Catalog.builtIn.events.filter { $0.sets.contains(set) }.map(\.name))
    }

    private func starting(_ prefix: String) -> Set<String> {
        Set(Catalog.builtIn.events.map(\.name).filter { $0.hasPrefix(prefix) })
    }

    @Test func lists() throws {
        #expect(try names("openat") == ["openat"])
        #expect(try names("openat,close") == ["close", "openat"])
        #expect(try names("openat", "close", "openat") == ["close", "openat"])
        #expect(try names("task_rename,read") == ["task_rename", "read"])
    }

    @Test func indexesAscend() throws {
        let selection = try EventSelection(["tag=fs", "task_rename,read,sched_process_exec"])
        #expect(selection.events == selection.events.sorted())
        #expect(Set(selection.events).count == selection.events.count)
    }

    @Test func prefixes() throws {
        #expect(try Set(names("open*")) == starting("open"))
        #expect(starting("open").count > 3)
        #expect(try Set(names("open*,sched_*")) == starting("open").union(starting("sched_")))
        #expect(try names("*").count == Catalog.builtIn.events.count)
    }

    @Test func sets() throws {
        #expect(try Set(names("tag=net")) == members("net"))
        #expect(try Set(names("tag=net,fs")) == members("net").union(members("fs")))
        #expect(try Set(names("tag=net", "task_rename")) == members("net").union(["task_rename"]))
    }

    @Test func removal() throws {
        #expect(try names("openat,close,-close") == ["openat"])
        #expect(try names("-close,openat,close") == ["openat"])
        #expect(try Set(names("tag=fs", "-open*")) == members("fs").subtracting(starting("open")))
        #expect(
            try Set(names("tag=fs", "-tag=fs_sync,fs_info"))
                == members("fs")
                .subtracting(members("fs_sync")).subtracting(members("fs_info")))
        // Behind -tag= are sets that go, up to the next word that says what it is.
        #expect(
            try Set(names("-tag=fs_sync,fs_info,tag=fs,net"))
                == members("fs").union(members("net"))
                .subtracting(members("fs_sync")).subtracting(members("fs_info")))
        #expect(
            try Set(names("tag=fs,-tag=fs_sync,-openat"))
                == members("fs").subtracting(members("fs_sync")).subtracting(["openat"]))
        #expect(try Set(names("open*,-openat")) == starting("open").subtracting(["openat"]))
    }

    @Test func nothingChosenIsTheDefaultAndExecutionsAndExits() throws {
        let standard = members("default").union(["sched_process_exec", "sched_process_exit"])
        #expect(try Set(names()) == standard)
        #expect(try Set(names("-ptrace")) == standard.subtracting(["ptrace"]))
        #expect(try names("-tag=default") == ["sched_process_exit"])
        #expect(try EventSelection([]).named == [])
    }

    @Test func namedAreThoseThatWereWrittenOut() throws {
        let catalog = Catalog.builtIn
        let openat = try #require(catalog["openat"]).index
        let close = try #require(catalog["close"]).index
        let selection = try EventSelection(["openat,close,-close,open*", "tag=net"])
        #expect(selection.named == [openat])
        #expect(try EventSelection(["open*"]).named == [])
        #expect(try EventSelection(["close,-openat"]).named == [close])
    }

    @Test func whatCannotBeGivenIsTakenOut() throws {
        let catalog = Catalog.builtIn
        var selection = try EventSelection(["openat,close,read"])
        let openat = try #require(catalog["openat"]).index
        selection.remove([openat, 100_000])
        #expect(selection.events.map { catalog.events[$0].name } == ["read", "close"])
        #expect(selection.named == Set(selection.events))
    }

    @Test(arguments: [
        ("opnat", "unknown event 'opnat'; did you mean openat"),
        ("OPENAT", "unknown event 'OPENAT'; did you mean openat"),
        ("-opnat", "unknown event 'opnat'; did you mean openat"),
        ("openat,clsoe", "unknown event 'clsoe'; did you mean close"),
        (
            "nothing_like_an_event",
            "unknown event 'nothing_like_an_event'; `apus events list` shows"
        ),
        ("op*at", "unknown event 'op*at';"),
        ("", "an event name is empty in the list"),
        ("openat,", "an event name is empty in the list"),
        ("openat,,close", "an event name is empty in the list"),
        ("-", "an event name is empty in the list"),
        ("fs", "'fs' is a set of events, not an event; write tag=fs"),
        ("openat,default", "'default' is a set of events, not an event; write tag=default"),
        ("nosuch*", "no event's name starts with 'nosuch'; `apus events list` shows all"),
        ("**", "no event's name starts with '*'; `apus events list` shows all"),
        ("tag=nett", "unknown set 'nett'; did you mean net"),
        ("tag=fs,nett", "unknown set 'nett'; did you mean net"),
        ("-tag=nett", "unknown set 'nett'; did you mean net"),
        ("tag=nothing_like_a_set", "unknown set 'nothing_like_a_set'; `apus events list` shows them"),
        ("tag=", "unknown set ''"),
        ("tag=fs,", "unknown set ''"),
        ("openat,-openat", "no event is left: every chosen one was removed again"),
        ("-*", "no event is left: every chosen one was removed again"),
        ("\u{1b}[31m", "unknown event '\\x1b[31m';"),
    ])
    func mistakes(_ item: String, _ expected: String) throws {
        let error = try #require(throws: PolicyError.self) { try EventSelection([item]) }
        #expect(error.description.hasPrefix(expected), "\(error)")
        #expect(error.description.unicodeScalars.allSatisfy { $0.value >= 0x20 })
    }
}
