import Expressions
import Testing

@testable import Policies

/// The items that are no plain restriction of a key.
@Suite struct ScopeItemTests {
    private func scope(_ items: String...) throws -> Scope {
        var scope = Scope()
        for item in items { try scope.add(item, hostMountNamespace: 4_026_531_841) }
        return scope
    }

    private func path(_ path: String, _ namespace: UInt32? = nil) -> ExecutablePath {
        ExecutablePath(namespace: namespace, bytes: Array(path.utf8))
    }

    private func pattern(_ kind: StringPattern.Kind, _ text: String) -> StringPattern {
        StringPattern(kind, Array(text.utf8))
    }

    @Test func anEmptyScopeSaysNothing() throws {
        let empty = Scope()
        #expect(empty.isEmpty)
        #expect(empty.executables.isEmpty && empty.containers.isEmpty && empty.isNew == nil)
        for item in [
            "pid=1", "pid=new", "exec=/a", "container", "not-container", "follow", "global", "uid>0",
        ] {
            #expect(try !scope(item).isEmpty, "\(item)")
        }
    }

    @Test(arguments: ["exec", "executable", "bin", "binary"]) func executables(_ name: String) throws {
        let scope = try scope("\(name)=/usr/bin/ls,host:/bin/sh,4026532448:/a b", "\(name)!=/usr/bin/id:x")
        #expect(
            scope.executables.included == [
                path("/usr/bin/ls"), path("/bin/sh", 4_026_531_841), path("/a b", 4_026_532_448),
            ])
        #expect(scope.executables.excluded == [path("/usr/bin/id:x")])
        #expect(scope.restrictions.isEmpty)
    }

    @Test func executablesHaveALongestPath() throws {
        let longest = "/" + String(repeating: "a", count: 255)
        #expect(try scope("exec=\(longest)").executables.included == [path(longest)])
        #expect(throws: PolicyError.self) { try scope("exec=\(longest)a") }
        #expect(try scope("exec=host:\(longest)").executables.included == [path(longest, 4_026_531_841)])
    }

    @Test func theHostsNamespaceMayBeUnknown() throws {
        var scope = Scope()
        let error = try #require(throws: PolicyError.self) { try scope.add("exec=host:/bin/sh") }
        #expect(
            error.description
                == "scope 'exec=host:/bin/sh': the host's mount namespace is not known here; "
                + "write its number for host")
        try scope.add("exec=7:/bin/sh")
        #expect(scope.executables.included == [path("/bin/sh", 7)])
    }

    @Test func containers() throws {
        #expect(try scope("container").containers.isContainer == true)
        #expect(try scope("not-container").containers.isContainer == false)
        #expect(try scope("container=new").containers.isNew == true)
        #expect(try scope("container!=new").containers.isNew == false)
        #expect(try scope("container=started").containers.isStarted == true)
        #expect(try scope("container!=started").containers.isStarted == false)
        // All of these need a container.
        for item in ["=new", "!=new", "=started", "!=started", "=ab12"] {
            #expect(try scope("container" + item).containers.isContainer == true, "\(item)")
        }
        let named = try scope("container=ab12,cd34", "container!=ef").containers
        #expect(named.included == ["ab12", "cd34"])
        #expect(named.excluded == ["ef"])
        // The host is none of the containers that are left out.
        #expect(try scope("container!=ef").containers.isContainer == nil)
        #expect(try scope("container", "container=new").containers.isNew == true)
    }

    @Test func flags() throws {
        #expect(try scope("pid=new").isNew == true)
        #expect(try scope("pid!=new").isNew == false)
        #expect(try scope("pid=new").restrictions.isEmpty)
        #expect(try scope("follow").follows)
        #expect(try scope("comm=sh", "follow").restrictions[.comm]?.included == [.name(Array("sh".utf8))])
        let global = try scope("global")
        #expect(global.isGlobal && global.restrictions.isEmpty)
    }

    @Test(arguments: ["comm", "uts"]) func patterns(_ name: String) throws {
        let key = try #require(ScopeKey(rawValue: name))
        let scope = try scope("\(name)=ba*,*sh,*as*,dash", "\(name)!=x*,y")
        let restriction = try #require(scope.restrictions[key])
        #expect(
            restriction.includedPatterns == [
                pattern(.prefix, "ba"), pattern(.suffix, "sh"), pattern(.contains, "as"),
            ])
        #expect(restriction.included == [.name(Array("dash".utf8))])
        #expect(restriction.excludedPatterns == [pattern(.prefix, "x")])
        #expect(restriction.excluded == [.name(Array("y".utf8))])
    }

    @Test func spacesAroundDoNotCount() throws {
        #expect(try scope(" uid=7\t").restrictions[.uid]?.included == [.number(7)])
        #expect(try scope("  container ").containers.isContainer == true)
        // Inside they do, but not in policies.
        #expect(try scope("comm= sh").restrictions[.comm]?.included == [.name(Array(" sh".utf8))])
        #expect(ScopeItem.withoutSpaces(" uid != 0 , 1 ") == "uid!=0,1")
        #expect(ScopeItem.withoutSpaces("comm=my cat") == "comm=my cat")
        #expect(ScopeItem.withoutSpaces("\tfollow ") == "follow")
        #expect(ScopeItem.withoutSpaces(" ") == "")
    }

    @Test(arguments: [
        (["exec"], "scope 'exec' lacks an operator; write exec=/PATH"),
        (["bin=ls"], "scope 'bin=ls': 'ls' is no absolute path; write it from / on"),
        (["exec="], "scope 'exec=' has an empty value"),
        (["exec=/a,"], "scope 'exec=/a,' has an empty value"),
        (["exec>/a"], "scope 'exec>/a': exec takes = and != only, not >"),
        (["exec=host:ls"], "scope 'exec=host:ls': 'ls' is no absolute path; write it from / on"),
        (["exec=host:"], "scope 'exec=host:': '' is no absolute path; write it from / on"),
        (
            ["exec=guest:/ls"],
            "scope 'exec=guest:/ls': 'guest' is no mount namespace; "
                + "write host:/PATH, its number and :/PATH, or /PATH"
        ),
        (
            ["exec=4294967296:/ls"],
            "scope 'exec=4294967296:/ls': '4294967296' is no mount namespace; "
                + "write host:/PATH, its number and :/PATH, or /PATH"
        ),
        (
            ["exec=/usr/bin/*"],
            "scope 'exec=/usr/bin/*': exec takes whole paths, without *; comm takes patterns"
        ),
        (
            ["exec=/usr//ls"],
            "scope 'exec=/usr//ls': write the path of a file as the kernel does, without //, . and .."
        ),
        (["exec=/a/../ls"], "scope 'exec=/a/../ls': write the path of a file as the kernel does,"),
        (["exec=/a/./ls"], "scope 'exec=/a/./ls': write the path of a file as the kernel does,"),
        (["exec=/bin/"], "scope 'exec=/bin/': write the path of a file as the kernel does,"),
        (["follow=1"], "scope 'follow=1': follow takes no value; write follow"),
        (["global!=x"], "scope 'global!=x': global takes no value; write global"),
        (["not-container=x"], "scope 'not-container=x': not-container takes no value; write not-container"),
        (
            ["global", "pid=1"],
            "scope 'pid=1': global means everything and stands alone; remove it or the others"
        ),
        (["pid=1", "global"], "scope 'global': global means everything and stands alone;"),
        (["follow", "global"], "scope 'global': global means everything and stands alone;"),
        (["global", "global"], "scope 'global': global means everything and stands alone;"),
        (["container>a"], "scope 'container>a': container takes = and != only, not >"),
        (["container="], "scope 'container=' has an empty value"),
        (["container!=a,"], "scope 'container!=a,' has an empty value"),
        (
            ["container=a/b"],
            "scope 'container=a/b': 'a/b' is no id of a container; write its digits, or the first of them"
        ),
        (
            ["container=new,ab"],
            "scope 'container=new,ab': new stands alone; write container=new as an item of its own"
        ),
        (["container!=ab,started"], "scope 'container!=ab,started': started stands alone; write container!="),
        (["pid=new,1"], "scope 'pid=new,1': new stands alone; write pid=new as an item of its own"),
        (["pid>new"], "scope 'pid>new': 'new' is no number from 0 to 4294967295"),
        (["uid=new"], "scope 'uid=new': 'new' is no number from 0 to 4294967295"),
        (
            ["container", "not-container"],
            "scope 'not-container' can match nothing beside the items before it"
        ),
        (["not-container", "container=new"], "scope 'container=new' can match nothing beside the items"),
        (["not-container", "container=ab"], "scope 'container=ab' can match nothing beside the items"),
        (["container=new", "container!=new"], "scope 'container!=new' can match nothing beside the items"),
        (["container!=started", "container=started"], "scope 'container=started' can match nothing"),
        (["pid=new", "pid!=new"], "scope 'pid!=new' can match nothing beside the items before it"),
        (["containr"], "unknown scope key 'containr'; did you mean container?"),
        (["exce=/a"], "unknown scope key 'exce'; did you mean exec?"),
        (["folow"], "unknown scope key 'folow'; did you mean follow?"),
        (["comm=*"], "scope 'comm=*': '*' is no pattern; write x*, *x or *x* with a name for x"),
        (["comm=a*b*"], "scope 'comm=a*b*': 'a*b*' is no pattern;"),
        (
            ["comm=0123456789abcdef*"],
            "scope 'comm=0123456789abcdef*': the kernel keeps 15 bytes of a comm; write its first 15"
        ),
        (["\u{1b}[2Jexec=/a"], "unknown scope key '\\x1b[2Jexec'"),
        (["exec=\u{1b}[2J"], "scope 'exec=\\x1b[2J': '\\x1b[2J' is no absolute path"),
        (["container=\u{9b}2J"], "scope 'container=\\x9b2J': '\\x9b2J' is no id of a container"),
        (["exec=/\u{202e}*"], "scope 'exec=/\\u{202e}*': exec takes whole paths"),
    ])
    func mistakes(_ items: [String], _ expected: String) throws {
        var scope = Scope()
        for item in items.dropLast() { try scope.add(item, hostMountNamespace: 1) }
        let before = scope
        let error = try #require(throws: PolicyError.self) {
            try scope.add(try #require(items.last), hostMountNamespace: 1)
        }
        #expect(error.description.hasPrefix(expected), "\(error)")
        // A mistake changes nothing.
        #expect(scope.restrictions == before.restrictions)
        #expect(scope.executables == before.executables && scope.containers == before.containers)
        #expect(scope.isNew == before.isNew && scope.follows == before.follows)
        #expect(scope.isGlobal == before.isGlobal)
    }

    @Test func longItemsAreCutInMessages() throws {
        let error = try #require(throws: PolicyError.self) {
            try scope("pid=" + String(repeating: "x", count: 100_000))
        }
        #expect(error.description.utf8.count < 1_000)
        let unknown = try #require(throws: PolicyError.self) {
            try scope(String(repeating: "k", count: 100_000) + "=1")
        }
        #expect(unknown.description.utf8.count < 1_000)
    }
}
