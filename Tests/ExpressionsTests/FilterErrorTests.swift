import Catalog
import Expressions
import TestSupport
import Testing

@Suite struct FilterErrorTests {
    private static let long = String(repeating: "x", count: 4097)

    @Test(
        arguments: [
            ("openat", "", 0, "the filter is empty; write one as data.NAME=VALUE or comm=VALUE"),
            ("openat", "=1", 0, "there is no field before '='; write FIELD=VALUE"),
            ("openat", "!=1", 0, "there is no field before '!'; write FIELD=VALUE"),
            (
                "openat", "comm =bash", 4,
                "there is a space around 'comm'; write it and the operator without spaces"
            ),
            (
                "openat", " comm=bash", 0,
                "there is a space around 'comm'; write it and the operator without spaces"
            ),
            ("openat", "comm", 0, "comm is not true or false; write comm=VALUE"),
            (
                "openat", "pathname", 0,
                "'pathname' has no operator; write FIELD=VALUE, as data.NAME=VALUE or comm=VALUE"
            ),
            (
                "openat", "not-data.pathname", 0,
                "data.pathname is not true or false; write data.pathname=VALUE"
            ),
            (
                "openat", "not-data.pathnam", 9,
                "event openat has no field 'pathnam'; did you mean pathname?"
            ),
            (
                "openat", "data.pathnam=/etc", 5,
                "event openat has no field 'pathnam'; did you mean pathname?"
            ),
            (
                "openat", "args.pathnam=/etc", 5,
                "event openat has no field 'pathnam'; did you mean pathname?"
            ),
            (
                "openat", "data.zzzzzzzzz=/etc", 5,
                "event openat has no field 'zzzzzzzzz'; it has dirfd, pathname, flags, mode, returnValue"
            ),
            ("openat", "data.=/etc", 5, "'data.' lacks the name of a field; write data.NAME=VALUE"),
            ("sched_process_fork", "data.nothing_like_it!=1", 5, "event sched_process_fork has no field"),
            ("openat", "data.comm=x", 5, "event openat has no field 'comm'; write comm without data."),
            ("openat", "pathname=x", 0, "'pathname' is a field of the event; write data.pathname"),
            ("openat", "comn=x", 0, "unknown field 'comn'; did you mean comm"),
            ("openat", "scope.comn=x", 6, "unknown field 'comn'; did you mean comm"),
            (
                "openat", "openat.data.pathname=x", 0,
                "'openat.data.pathname' is no field; in a rule, write its filter without the event"
            ),
            (
                "openat", "nothinglikethis=x", 0,
                "unknown field 'nothinglikethis'; write data.NAME for a field of the event, retval, or one of"
            ),
            ("sys_enter", "retval=0", 0, "event sys_enter has no return value; filter its data"),
            ("openat", "retval", 0, "retval is not true or false; write retval=VALUE"),
            ("openat", "retval=", 7, "'retval=' lacks a value; write one behind it"),
            ("openat", "retval<=", 8, "'retval<=' lacks a value; write one behind it"),
            (
                "openat", "retval=x", 7,
                "retval: 'x' is no number; write one from -9223372036854775808 to 9223372036854775807"
            ),
            ("openat", "retval=1,,2", 9, "retval has an empty value in its list; take out a comma"),
            ("openat", "retval=1,", 9, "retval has an empty value in its list; take out a comma"),
            ("openat", "retval=,1", 7, "retval has an empty value in its list; take out a comma"),
            ("openat", "retval==1", 6, "'==' is no operator; write retval=VALUE"),
            ("openat", "retval!1", 6, "'!' is no operator; write retval!=VALUE"),
            ("openat", "retval<1,2", 9, "< takes one number; write retval<NUMBER"),
            ("openat", "retval=<1", 7, "retval: '<1' is no number"),
            ("openat", "retval=+1", 7, "retval: '+1' is no number"),
            ("openat", "retval=1 ", 7, "retval: '1 ' is no number"),
            ("openat", "retval=0x", 7, "retval: '0x' is no number"),
            ("openat", "retval=-", 7, "retval: '-' is no number"),
            ("openat", "retval=0xg", 7, "retval: '0xg' is no number"),
            (
                "openat", "retval=9223372036854775808", 7,
                "retval: 9223372036854775808 is outside of what it can be; write a number from -9223372036854775808"
            ),
            ("openat", "retval=-9223372036854775809", 7, "retval: -9223372036854775809 is outside"),
            ("openat", "retval=99999999999999999999", 7, "retval: 99999999999999999999 is outside"),
            ("openat", "retval<-9223372036854775808", 7, "retval is never < -9223372036854775808; write"),
            ("openat", "retval>9223372036854775807", 7, "retval is never > 9223372036854775807; write"),
            (
                "openat", "data.dirfd=1,2147483648", 13,
                "data.dirfd: 2147483648 is outside of what it can be; write a number from -2147483648 to 2147483647"
            ),
            ("openat", "data.dirfd=-2147483649", 11, "data.dirfd: -2147483649 is outside"),
            ("openat", "data.mode=65536", 10, "data.mode: 65536 is outside of what it can be; write"),
            (
                "openat", "uid=-1", 4,
                "uid: -1 is outside of what it can be; write a number from 0 to 4294967295"
            ),
            ("openat", "uid=4294967296", 4, "uid: 4294967296 is outside"),
            ("openat", "uid<0", 4, "uid is never < 0; write a number from 0 to 4294967295"),
            ("openat", "uid>4294967295", 4, "uid is never > 4294967295; write"),
            ("openat", "processorId=65536", 12, "processorId: 65536 is outside"),
            ("openat", "cgroupId=18446744073709551616", 9, "cgroupId: 18446744073709551616 is outside"),
            ("openat", "uid=root", 4, "uid: 'root' is no number; write one from 0 to 4294967295"),
            ("openat", "comm>a", 4, "comm takes = and != only, not >; write comm=VALUE"),
            ("openat", "data.pathname<=a", 13, "data.pathname takes = and != only, not <=; write"),
            ("openat", "container>true", 9, "container takes = and != only, not >; write container=VALUE"),
            ("openat", "syscall<5", 7, "syscall takes = and != only, not <; write syscall=VALUE"),
            ("sys_enter", "data.syscall>5", 12, "data.syscall takes = and != only, not >; write"),
            ("connect", "data.addr<1", 9, "data.addr takes = and != only, not <; write data.addr=VALUE"),
            (
                "openat", "comm=*", 5,
                "'*' matches everything; leave the filter out, or write text beside the *"
            ),
            ("openat", "comm=bash,**", 10, "'**' matches everything"),
            ("openat", "data.dirfd=*", 11, "'*' matches everything"),
            ("openat", "syscall=*", 8, "'*' matches everything"),
            (
                "openat", "data.pathname=/a*b", 14,
                "'/a*b' has a * inside; write it at the start, the end or both"
            ),
            ("openat", "data.pathname=***", 14, "'***' has a * inside"),
            (
                "openat", "comm=0123456789abcdef", 5,
                "'0123456789abcdef' cannot match, since comm has at most 15 bytes; write at most so many"
            ),
            ("openat", "data.pathname=" + long, 14, "'xxxx"),
            ("openat", "data.dirfd=a*", 11, "data.dirfd: 'a*' is no number; write digits beside the *"),
            (
                "openat", "container=started,x", 18,
                "container is true or false, not 'x'; write containerId=ID"
            ),
            ("openat", "host=started", 5, "host is true or false, not 'started'; write containerId=ID"),
            ("openat", "podSandbox=1", 11, "podSandbox is true or false, not '1'; write podSandbox=true"),
            ("openat", "syscall=opena", 8, "unknown system call 'opena'; did you mean open"),
            (
                "openat", "syscall=zzzzzzzz", 8,
                "unknown system call 'zzzzzzzz'; `apus events list` shows all"
            ),
            ("openat", "syscall=sched_process_exec", 8, "unknown system call 'sched_process_exec'"),
            ("openat", "syscall=zz*", 8, "no system call's name matches 'zz*'; `apus events list` shows all"),
            (
                "openat", "syscall=-1", 8,
                "syscall: -1 is no number of a system call; write a number from 0 to"
            ),
            ("sys_enter", "data.syscall=2147483648", 13, "data.syscall: 2147483648 is no number of a"),
            ("openat", "\u{1b}[2J=1", 0, "unknown field '\\x1b[2J'; "),
            ("openat", "comm=\u{1b}*\u{9b}", 5, "'\\x1b*\\x9b' has a * inside"),
        ] as [(String, String, Int, String)])
    func mistakes(_ name: String, _ text: String, _ offset: Int, _ message: String) throws {
        let event = try event(name)
        let error = try #require(throws: ExpressionError.self) { try Filter.parse(text, event: event) }
        #expect(error.description.hasPrefix(message), "\(error)")
        #expect(error.offset == offset)
        #expect(error.description.utf8.count < 1000)
    }

    @Test func textHasABound() throws {
        let event = try event("openat")
        let values = (0..<13_000).map { "\($0 % 10)" }.joined(separator: ",")
        let text = "retval=" + String(values.prefix(65_529))
        #expect(text.utf8.count == 25_999 + 7)
        #expect(throws: Never.self) { try Filter.parse(text, event: event) }
        let error = try #require(throws: ExpressionError.self) {
            try Filter.parse("comm=" + String(repeating: "a,", count: 40_000), event: event)
        }
        #expect(error.description == "a filter has at most 65536 bytes; split it into several")
    }

    /// Whatever is written, parsing ends, and a message fits a terminal.
    @Test func randomTextDoesNoHarm() throws {
        var random = SplitMix64(seed: 20_261_122)
        let pieces = [
            "data.", "args.", "scope.", "not-", "retval", "comm", "syscall", "pathname", "dirfd", "=", "!=",
            "<",
            ">=", "!", "*", ",", "0x", "-", "1", "18446744073709551615", "true", "openat", "container",
            "\u{0}",
            "é", " ", "uid", "\u{9b}", "argv", "addr",
        ]
        let events = Catalog.builtIn.events
        var accepted = 0
        for round in 0..<8000 {
            let event = events[random.below(events.count)]
            var text = ""
            if round % 2 == 0, let field = event.fields.randomElement(using: &random) {
                text = "data.\(field.name)" + ["=", "!=", "<", ">="][random.below(4)]
                text += ["1", "0x10", "1*", "true", "read", "1,2"][random.below(6)]
            }
            for _ in 0..<random.below(round % 2 == 0 ? 2 : 7) {
                text +=
                    random.below(12) == 0
                    ? String(decoding: random.text(), as: UTF8.self) : pieces[random.below(pieces.count)]
            }
            do throws(ExpressionError) {
                let filter = try Filter.parse(text, event: event)
                accepted += 1
                #expect(throws: Never.self) { try Filter.combine([filter]).check() }
            } catch {
                #expect(error.offset >= 0 && error.offset <= text.utf8.count, "\(text.debugDescription)")
                let isPrintable = error.description.unicodeScalars.allSatisfy {
                    $0.value >= 0x20 && !(0x7f..<0xa0).contains($0.value)
                }
                #expect(isPrintable, "\(error.description.debugDescription)")
            }
        }
        #expect(accepted > 1000)
    }
}
