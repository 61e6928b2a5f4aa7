import Testing

@testable import Policies

@Suite struct ScopeTests {
    private func scope(_ items: String...) throws -> Scope {
        var scope = Scope()
        for item in items { try scope.add(item) { $0 == "system.slice" ? 4711 : nil } }
        return scope
    }

    private func restriction(_ key: ScopeKey, _ items: String...) throws -> Scope.Restriction {
        var scope = Scope()
        for item in items { try scope.add(item) { $0 == "system.slice" ? 4711 : nil } }
        #expect(Array(scope.restrictions.keys) == [key])
        return try #require(scope.restrictions[key])
    }

    private func names(_ names: String...) -> Set<ScopeValue> {
        Set(names.map { .name(Array($0.utf8)) })
    }

    @Test(arguments: ["pid", "uid", "mntns", "pidns", "cgroup", "tree"])
    func numbers(_ name: String) throws {
        let key = try #require(ScopeKey(rawValue: name))
        let equal = try restriction(key, "\(name)=0,17,4294967295")
        #expect(equal.included == [.number(0), .number(17), .number(4_294_967_295)])
        #expect(equal.excluded == [])
        #expect(equal.range == nil)
        let unequal = try restriction(key, "\(name)!=17,18")
        #expect(unequal.included == [])
        #expect(unequal.excluded == [.number(17), .number(18)])
    }

    @Test(arguments: ["comm", "uts"]) func texts(_ name: String) throws {
        let key = try #require(ScopeKey(rawValue: name))
        #expect(try restriction(key, "\(name)=cat,my cat").included == names("cat", "my cat"))
        #expect(try restriction(key, "\(name)!=cat").excluded == names("cat"))
        // Only the first operator counts.
        #expect(try restriction(key, "\(name)=a=b").included == names("a=b"))
        #expect(try restriction(key, "\(name)!=<>").excluded == names("<>"))
        #expect(try restriction(key, "\(name)=käse").included == names("käse"))
    }

    @Test func controlGroups() throws {
        #expect(
            try restriction(.cgroup, "cgroup=system.slice,99").included == [
                .number(4711), .number(99),
            ])
        #expect(try restriction(.cgroup, "cgroup!=system.slice").excluded == [.number(4711)])
        #expect(
            try restriction(.cgroup, "cgroup=18446744073709551615").included == [.number(.max)])
        var scope = Scope()
        let error = try #require(throws: PolicyError.self) { try scope.add("cgroup=user.slice") }
        #expect(
            error.description
                == "scope 'cgroup=user.slice': 'user.slice' is neither the id of a control group "
                + "nor the path of one, below the mount of version 2 where there is one")
    }

    @Test(
        arguments: [
            (["pid<10"], 0...9), (["pid<=10"], 0...10), (["pid>10"], 11...UInt32.max),
            (["pid>=10"], 10...UInt32.max), (["pid>10", "pid<=20"], 11...20),
            (["pid<=20", "pid>10", "pid<15"], 11...14), (["pid>=7", "pid<=7"], 7...7),
            (["pid>4294967294"], UInt32.max...UInt32.max), (["pid<1"], 0...0),
            (["pid<=4294967295"], 0...UInt32.max), (["pid>=0"], 0...UInt32.max),
        ] as [([String], ClosedRange<UInt32>)])
    func ranges(_ items: [String], _ expected: ClosedRange<UInt32>) throws {
        for key in ["pid", "uid"] {
            var scope = Scope()
            for item in items { try scope.add(key + item.dropFirst(3)) }
            let range = try #require(ScopeKey(rawValue: key))
            #expect(
                scope.restrictions[range]
                    == {
                        var restriction = Scope.Restriction()
                        restriction.range = expected
                        return restriction
                    }())
        }
    }

    @Test func itemsOfOneKeyAddUp() throws {
        let all = try restriction(.uid, "uid=1", "uid!=2,3", "uid>100", "uid=4", "uid<=200")
        #expect(all.included == [.number(1), .number(4)])
        #expect(all.excluded == [.number(2), .number(3)])
        #expect(all.range == 101...200)
    }

    @Test func keysStandBesideEachOther() throws {
        var both = try scope("pid=1", "comm=cat")
        #expect(Set(both.restrictions.keys) == [.pid, .comm])
        both.include(.tree, .number(42))
        both.include(.pid, .number(2))
        #expect(both.restrictions[.tree]?.included == [.number(42)])
        #expect(both.restrictions[.pid]?.included == [.number(1), .number(2)])
    }

    @Test func lengthsThatTheKernelKeeps() throws {
        let fifteen = String(repeating: "c", count: 15)
        #expect(try restriction(.comm, "comm=\(fifteen)").included == names(fifteen))
        #expect(throws: PolicyError.self) { try scope("comm=\(fifteen)c") }
        // Bytes count, not letters.
        #expect(throws: PolicyError.self) { try scope("comm=\(String(repeating: "ä", count: 8))") }
        let long = String(repeating: "h", count: 63)
        #expect(try restriction(.uts, "uts=\(long)").included == names(long))
        #expect(throws: PolicyError.self) { try scope("uts=\(long)h") }
    }

    @Test func anItemWithAMistakeChangesNothing() throws {
        var restricted = try scope("pid=1", "pid<100")
        let before = restricted.restrictions
        for item in ["pid=2,x", "pid!=3,", "pid>100", "pid>=4294967296", "uid=x", "comm=a*b", "comm=**"] {
            #expect(throws: PolicyError.self) { try restricted.add(item) }
        }
        #expect(restricted.restrictions == before)
    }

    @Test(arguments: [
        ("pid", "scope 'pid' lacks an operator; write pid=VALUE"),
        ("comm", "scope 'comm' lacks an operator; write comm=VALUE"),
        ("pdi=1", "unknown scope key 'pdi'; did you mean pid, uid?"),
        ("pidn", "unknown scope key 'pidn'; did you mean pid, pidns, uid?"),
        ("PID=1", "unknown scope key 'PID'; did you mean pid"),
        (
            "image=x",
            "unknown scope key 'image'; there are pid, uid, comm, mntns, pidns, uts, cgroup, tree, exec, "
                + "container, not-container, follow, global"
        ),
        ("", "unknown scope key ''"), ("=1", "unknown scope key ''"),
        ("pid !=1", "unknown scope key 'pid '; did you mean pid"),
        ("pid!1", "unknown scope key 'pid!1'"),
        ("\u{1b}]0;x=1", "unknown scope key '\\x1b]0;x'"),
        ("pid=", "scope 'pid=' has an empty value"),
        ("pid=1,,2", "scope 'pid=1,,2' has an empty value"),
        ("pid<", "scope 'pid<' has an empty value"),
        ("pid=one", "scope 'pid=one': 'one' is no number from 0 to 4294967295"),
        ("pid=-1", "scope 'pid=-1': '-1' is no number from 0 to 4294967295"),
        ("pid=4294967296", "scope 'pid=4294967296': '4294967296' is no number from 0"),
        ("pid=1.5", "scope 'pid=1.5': '1.5' is no number from 0 to 4294967295"),
        ("pid= 1", "scope 'pid= 1': ' 1' is no number from 0 to 4294967295"),
        ("pid==1", "scope 'pid==1': '=1' is no number from 0 to 4294967295"),
        ("pid=<1", "scope 'pid=<1': '<1' is no number from 0 to 4294967295"),
        ("uid>1,2", "scope 'uid>1,2': > takes one number"),
        ("uid>x", "scope 'uid>x': 'x' is no number from 0 to 4294967295"),
        ("comm>cat", "scope 'comm>cat': comm takes = and != only, not >"),
        ("mntns<=5", "scope 'mntns<=5': mntns takes = and != only, not <="),
        ("cgroup<5", "scope 'cgroup<5': cgroup takes = and != only, not <"),
        ("tree>=5", "scope 'tree>=5': tree takes = and != only, not >="),
        ("pid<0", "scope 'pid<0' can match nothing"),
        ("uid>4294967295", "scope 'uid>4294967295' can match nothing"),
        ("comm=c*t", "scope 'comm=c*t': 'c*t' is no pattern; write x*, *x or *x* with a name for x"),
        (
            "comm=0123456789abcdef",
            "scope 'comm=0123456789abcdef': the kernel keeps 15 bytes of a comm; write its first 15"
        ),
        ("uts=**", "scope 'uts=**': '**' is no pattern; write x*, *x or *x* with a name for x"),
    ])
    func mistakes(_ item: String, _ expected: String) throws {
        let error = try #require(throws: PolicyError.self) { try scope(item) }
        #expect(error.description.hasPrefix(expected), "\(error)")
    }

    /// What was typed may have been pasted; its control characters must not reach the terminal.
    @Test(arguments: [
        "\u{1b}[2J", "pid=\u{1b}[2J", "pid=\u{1b}[2J,", "pid>1,\u{1b}[2J", "comm>\u{1b}[2J",
        "comm=\u{1b}[2J*b", "cgroup=\u{1b}[2J", "pid=\u{9b}2J", "\u{9b}2J=1", "comm=,\u{7f}",
    ])
    func messagesHaveNoControlCharacters(_ item: String) throws {
        let error = try #require(throws: PolicyError.self) { try scope(item) }
        let isPrintable = error.description.unicodeScalars.allSatisfy {
            $0.value >= 0x20 && !(0x7f..<0xa0).contains($0.value)
        }
        #expect(isPrintable, "\(error.description.debugDescription)")
    }

    @Test func rangesThatExcludeEachOther() throws {
        let error = try #require(throws: PolicyError.self) { try scope("pid>100", "pid<=100") }
        #expect(error.description == "scope 'pid<=100' can match nothing")
        #expect(throws: PolicyError.self) { try scope("pid<5", "pid>=5") }
    }
}
