import CContract
import Catalog
import Expressions
import TestSupport
import Testing

/// What filters mean: whether they match a record.
@Suite struct FilterTests {
    private func openat(_ change: (inout RecordBuilder) throws -> Void = { _ in }) throws -> RecordBuilder {
        var record = RecordBuilder(try event("openat"))
        try change(&record)
        return record
    }

    @Test(
        arguments: [
            ("retval=5", [5], [4, 6, -5]), ("retval=0x10", [16], [10]), ("retval=-2", [-2], [2, 0]),
            ("retval=1,-1,3", [1, -1, 3], [0, 2]), ("retval!=0", [1, -1], [0]),
            ("retval!=0,1", [2, -1], [0, 1]), ("retval<0", [-1, .min], [0, 1]),
            ("retval<=0", [0, -1], [1]), ("retval>0", [1, .max], [0, -1]), ("retval>=0", [0, 1], [-1]),
            ("retval=1*", [1, 10, 19], [2, 21, -1]), ("retval=*5", [5, 15, -5], [50]),
            ("retval=*5*", [5, 151, 56], [4]), ("retval!=-*", [0, 7], [-1]), ("data.returnValue=5", [5], [6]),
            ("args.returnValue=5", [5], [6]), ("retval=0007", [7], [0]), ("retval=0xFf", [255], [0]),
            ("retval=-9223372036854775808", [.min], [0, .max]), ("retval>=9223372036854775807", [.max], [0]),
        ] as [(String, [Int64], [Int64])])
    func returnValues(_ filter: String, _ matching: [Int64], _ other: [Int64]) throws {
        let event = try event("openat")
        for value in matching {
            let record = try openat { try $0.set("returnValue", value) }
            #expect(try meaning([filter], event, record) == .yes, "\(value)")
        }
        for value in other {
            let record = try openat { try $0.set("returnValue", value) }
            #expect(try meaning([filter], event, record) == .no, "\(value)")
        }
    }

    /// Section by section: equal set, then not-equal set, then bounds, then whether there were only `!=`.
    @Test(
        arguments: [
            (["retval!=1", "retval!=2"], [0, 3], [1, 2]),
            (["retval=1", "retval=2"], [1, 2], [0, 3]),
            (["retval=1,2", "retval!=2"], [1, 2], [0, 3]),
            (["retval=1", "retval!=2"], [1], [0, 2]),
            (["retval>10", "retval<20"], [11, 19], [10, 20, 0]),
            (["retval>10", "retval<20", "retval<15"], [11, 14], [10, 15, 19]),
            (["retval>10", "retval>12"], [13], [11, 12]),
            (["retval>10", "retval=3"], [3, 11], [4, 10]),
            (["retval>10", "retval!=15"], [11], [10, 15]),
            (["retval>10", "retval!=15", "retval=15"], [11, 15], [10]),
            (["retval>10", "retval!=1*"], [20], [11, 5, 110]),
            (["retval<5", "retval>10"], [], [4, 5, 7, 11]),
            (["retval<5", "retval>10", "retval=7"], [7], [4, 11]),
        ] as [([String], [Int64], [Int64])])
    func numbersTogether(_ filters: [String], _ matching: [Int64], _ other: [Int64]) throws {
        let event = try event("openat")
        for order in [filters, filters.reversed()] {
            for value in matching {
                let record = try openat { try $0.set("returnValue", value) }
                #expect(try meaning(order, event, record) == .yes, "\(value)")
            }
            for value in other {
                let record = try openat { try $0.set("returnValue", value) }
                #expect(try meaning(order, event, record) == .no, "\(value)")
            }
        }
    }

    @Test(
        arguments: [
            (
                ["data.pathname=/etc/passwd"], ["/etc/passwd"],
                ["/etc/passwd2", "/etc/passw", "x/etc/passwd", ""]
            ),
            (["data.pathname=/etc/*"], ["/etc/", "/etc/passwd"], ["/etc", "/usr/etc/"]),
            (["data.pathname=*.so"], ["x.so", ".so"], ["x.so.1", "so"]),
            (["data.pathname=*lib*"], ["lib", "/usr/lib/x"], ["li", "/usr"]),
            (["args.pathname=a,b"], ["a", "b"], ["c", "a,b"]),
            (["data.pathname!=a,b"], ["c", ""], ["a", "b"]),
            (["data.pathname!=/proc/*", "data.pathname!=*.so"], ["/etc"], ["/proc/1", "x.so"]),
            (["data.pathname=/etc/*", "data.pathname!=/etc/passwd"], ["/etc/x", "/etc/passwd"], ["/usr"]),
            (["data.pathname=a=b"], ["a=b"], ["a"]), (["data.pathname=<>"], ["<>"], ["<"]),
            (["data.pathname= x"], [" x"], ["x"]), (["data.pathname=käse*"], ["käsebrot"], ["kase"]),
            (["data.pathname=/etc/*,*.so,*lib*,x"], ["/etc/1", "1.so", "1lib1", "x"], ["y", "/etc"]),
        ] as [([String], [String], [String])])
    func strings(_ filters: [String], _ matching: [String], _ other: [String]) throws {
        let event = try event("openat")
        for text in matching {
            let record = try openat { try $0.set("pathname", text) }
            #expect(try meaning(filters, event, record) == .yes, "\(text)")
        }
        for text in other {
            let record = try openat { try $0.set("pathname", text) }
            #expect(try meaning(filters, event, record) == .no, "\(text)")
        }
        #expect(try meaning(filters, event, try openat()) == .unknown)
    }

    @Test func differentFieldsMustAllMatch() throws {
        let event = try event("openat")
        let record = try openat {
            try $0.set("pathname", "/etc/passwd")
            try $0.set("returnValue", Int64(3))
            $0.setName(Array("cat".utf8))
        }
        let filters = ["data.pathname=/etc/*", "comm=cat,dog", "retval>=0"]
        #expect(try meaning(filters, event, record) == .yes)
        #expect(try meaning(filters + ["retval!=3"], event, record) == .no)
        #expect(try meaning(filters + ["data.dirfd=1"], event, record) == .no)
        #expect(try meaning(filters + ["comm=x"], event, record) == .yes)
        #expect(try meaning([], event, record) == .yes)
        // What is not known cannot outweigh a no.
        #expect(try meaning(filters + ["containerId!=x"], event, record) == .unknown)
        #expect(try meaning(filters + ["containerId!=x", "data.dirfd=1"], event, record) == .no)
    }

    @Test(
        arguments: [
            (["data.process_group_exit"], true, false), (["data.process_group_exit=true"], true, false),
            (["data.process_group_exit=false"], false, true), (["data.not-process_group_exit"], false, true),
            (["not-data.process_group_exit"], false, true), (["args.process_group_exit"], true, false),
            (["data.process_group_exit!=false"], true, false),
            (["data.process_group_exit!=true"], false, true),
            (["data.process_group_exit=true,false"], true, true),
            (["data.process_group_exit", "not-data.process_group_exit"], true, true),
            (["not-data.not-process_group_exit"], true, false),
        ] as [([String], Bool, Bool)])
    func truthValues(_ filters: [String], _ ofTrue: Bool, _ ofFalse: Bool) throws {
        let event = try event("sched_process_exit")
        for (value, expected) in [(1, ofTrue), (255, ofTrue), (0, ofFalse)] as [(UInt64, Bool)] {
            var record = RecordBuilder(event)
            try record.set("process_group_exit", value)
            #expect(try meaning(filters, event, record) == Truth(expected), "\(value)")
        }
    }

    /// The bits above the type are not part of the value.
    @Test(
        arguments: [
            ("openat", "data.dirfd=-100", 0xffff_ff9c), ("openat", "data.dirfd=-100", 0x1234_ffff_ff9c),
            ("openat", "data.mode=420", 0xffff_0000_01a4), ("openat", "data.mode<421", 0xffff_0000_01a4),
            ("sched_process_exec", "data.dev=7", 0xff_0000_0007), ("openat", "data.dirfd<0", 0xffff_ffff),
            ("openat", "data.dirfd>=2147483647", 0xff_7fff_ffff),
        ] as [(String, String, UInt64)])
    func widths(_ name: String, _ filter: String, _ value: UInt64) throws {
        let event = try event(name)
        var record = RecordBuilder(event)
        let field = String(
            try #require(filter.split(separator: ".").last?.split { "=<>!".contains($0) }.first))
        try record.set(field, value)
        #expect(try meaning([filter], event, record) == .yes)
    }

    @Test func pointersAndTimes() throws {
        let mmap = try event("mmap")
        var record = RecordBuilder(mmap)
        try record.set("addr", 0xffff_8000_0000_1000 as UInt64)
        for filter in [
            "data.addr=0xffff800000001000", "data.addr=18446603336221200384", "data.addr=0xffff8*",
            "data.addr=1844*", "data.addr=*1000", "data.addr=*384", "data.addr>9223372036854775808",
        ] {
            #expect(try meaning([filter], mmap, record) == .yes, "\(filter)")
        }
        #expect(try meaning(["data.addr=0xfff*", "data.addr!=0x1000"], mmap, record) == .yes)
        #expect(try meaning(["data.addr=4096"], mmap, record) == .no)
        // A time in the record counts from boot, in the output and so in filters from 1970.
        let fork = try event("sched_process_fork")
        record = RecordBuilder(fork)
        try record.set("start_time", 41 as UInt64)
        let context = EvaluationContext(bootOffset: 1_000_000)
        #expect(try meaning(["data.start_time=1000041"], fork, record, context) == .yes)
        #expect(try meaning(["data.start_time=10000*"], fork, record, context) == .yes)
        #expect(try meaning(["data.start_time<1000041"], fork, record, context) == .no)
        #expect(try meaning(["data.start_time=41"], fork, record, context) == .no)
    }

    @Test func systemCalls() throws {
        let event = try event("sched_process_exec")
        func matches(_ filter: String, _ number: Int32, isCompat: Bool = false) throws -> Bool {
            var record = RecordBuilder(event)
            record.header.syscall = number
            record.header.flags = isCompat ? UInt8(APUS_RECORD_COMPAT) : 0
            let truth = try meaning([filter], event, record)
            #expect(truth != .unknown)
            return truth == .yes
        }
        for filter in [
            "syscall=openat", "syscall=257", "scope.syscall=openat", "syscall=opena*", "syscall=0x101",
        ] {
            #expect(try matches(filter, 257), "\(filter)")
            // The i386 number of openat, and what the x86-64 number is there.
            #expect(try matches(filter, 295, isCompat: true), "\(filter)")
            #expect(try !matches(filter, 257, isCompat: true), "\(filter)")
            #expect(try !matches(filter, 295), "\(filter)")
            #expect(try !matches(filter, -1), "\(filter)")
            #expect(try !matches(filter, -1, isCompat: true), "\(filter)")
        }
        #expect(try matches("syscall=open*", 2))
        #expect(try matches("syscall=read,close", 3))
        #expect(try matches("syscall=waitpid", 7, isCompat: true))
        #expect(try !matches("syscall=waitpid", 7))
        #expect(try matches("syscall=100000", 100_000))
        // No call in progress is none of those named.
        #expect(try matches("syscall!=openat", -1))
        #expect(try !matches("syscall!=openat", 257))

        // Among the data it is the call in progress too, but a filter of its own.
        let enter = try self.enter(295, isCompat: true)
        #expect(try meaning(["data.syscall=openat"], enter.event, enter.record) == .yes)
        #expect(try meaning(["data.syscall=openat", "syscall=read"], enter.event, enter.record) == .no)
        #expect(try meaning(["data.syscall=openat", "data.syscall=read"], enter.event, enter.record) == .yes)
        #expect(try meaning(["data.syscall=257"], enter.event, enter.record) == .yes)
    }

    private func enter(_ number: Int32, isCompat: Bool) throws -> (
        event: EventDefinition, record: RecordBuilder
    ) {
        let event = try event("sys_enter")
        var record = RecordBuilder(event)
        record.header.syscall = number
        record.header.flags = isCompat ? UInt8(APUS_RECORD_COMPAT) : 0
        try record.set("syscall", Int64(number))
        return (event, record)
    }

    @Test func aRecordWithFewerFieldsIsUnknown() throws {
        let event = try event("openat")
        var record = RecordBuilder(event)
        record.values = []
        for filter in ["retval=0", "retval!=0", "data.dirfd<5", "data.dirfd=1*", "data.pathname!=x"] {
            #expect(try meaning([filter], event, record) == .unknown)
        }
        #expect(try meaning(["uid=0"], event, record) == .yes)
    }

    @Test func parentsAreTheirOwn() throws {
        let event = try event("openat")
        var record = RecordBuilder(event)
        record.header.host_pid = 1
        record.header.host_ppid = 2
        #expect(try meaning(["hostParentProcessId=2"], event, record) == .yes)
        #expect(try meaning(["hostParentProcessId=1"], event, record) == .no)
    }

    @Test func equalFiltersGiveEqualExpressions() throws {
        let event = try event("openat")
        let first = try Filter.parse("retval=3,1,2,0x10,-5", event: event)
        let second = try Filter.parse("retval=-5,16,1,2,3", event: event)
        #expect(Filter.combine([first]) == Filter.combine([second]))
        #expect(first == second)
    }
}
