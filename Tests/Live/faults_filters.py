"""Filters: what the kernel decides, what user space decides and what the test decides of the same calls."""

import json
import os
import re
import subprocess

from faults_policies import policy, write
from faults_scope import named_copies
from support import HERE, Tracer, Waiting, check, comm, data, pid, refused, reviewed, trace

EVENTS = "openat,close,lseek,munmap,execve,sched_process_exec"
NEVER = "*99999999999*"  # user space has to look for it


def filtered(folder):
    """The program that makes calls for filters; built once."""
    program = os.path.join(os.path.dirname(folder), "filtered")
    if not os.path.exists(program):
        subprocess.run(["gcc", "-static", "-O1", "-pthread", "-Wall", "-Werror", "-o", program,
                        os.path.join(HERE, "scenarios/filtered.c")], check=True)
    return program


def value(event, field):
    return data(event).get(field)


def uid(event):
    return event["workload"]["process"]["real_user"]["id"]


def text(field, holds):
    """Whether a string is there, and such."""
    return lambda event: value(event, field) is not None and holds(value(event, field))


def number(field, holds):
    return lambda event: value(event, field) is not None and holds(value(event, field))


def path(holds):
    return text("pathname", holds)


def result(holds):
    return number("returnValue", holds)


# An event, its filters, and what they mean. Text is compared as JSON has it: no filter looks for what it replaced.
CASES = [
    ("openat", [], lambda event: True),
    ("openat", ["data.pathname=/etc/passwd"], path(lambda p: p == "/etc/passwd")),
    ("openat", ["data.pathname=/etc/passwd,/etc,a"], path(lambda p: p in ("/etc/passwd", "/etc", "a"))),
    ("openat", ["data.pathname=/etc*"], path(lambda p: p.startswith("/etc"))),
    ("openat", ["data.pathname=/etc/*"], path(lambda p: p.startswith("/etc/"))),
    ("openat", ["data.pathname=*.so"], path(lambda p: p.endswith(".so"))),
    ("openat", ["data.pathname=*so,*.1,a*"], path(lambda p: p.endswith(("so", ".1")) or p.startswith("a"))),
    ("openat", ["data.pathname=*tc*"], path(lambda p: "tc" in p)),
    ("openat", ["data.pathname=/etc*,*assw*"], path(lambda p: p.startswith("/etc") or "assw" in p)),
    ("openat", ["data.pathname!=/etc/passwd"], path(lambda p: p != "/etc/passwd")),
    ("openat", ["data.pathname!=/etc*,*.so,aa"], path(
        lambda p: not (p.startswith("/etc") or p.endswith(".so") or p == "aa"))),
    ("openat", ["data.pathname!=/etc*", "data.pathname!=*.so"], path(
        lambda p: not (p.startswith("/etc") or p.endswith(".so")))),
    ("openat", ["data.pathname=/etc/*", "data.pathname!=/*"], path(lambda p: p.startswith("/etc/"))),
    ("openat", ["data.pathname=/etc*", "retval<0"], lambda e: path(
        lambda p: p.startswith("/etc"))(e) and value(e, "returnValue") < 0),
    ("openat", ["data.pathname=/caf\u00e9"], path(lambda p: p == "/caf\u00e9")),
    ("openat", ["data.pathname=*\u00e9,*\u00c9"], path(lambda p: p.endswith(("\u00e9", "\u00c9")))),
    ("openat", ["data.pathname=/long/*"], path(lambda p: p.startswith("/long/"))),
    ("openat", ["data.pathname=*/end"], path(lambda p: p.endswith("/end"))),
    ("openat", ["data.pathname=/long/" + 54 * "x" + "/end"], path(lambda p: len(p) == 64 and p[:6] == "/long/")),
    ("openat", ["data.pathname=/long/" + 54 * "x" + "*"], path(lambda p: p.startswith("/long/" + 54 * "x"))),
    ("openat", ["data.pathname=*" + 60 * "x" + "/end"], path(lambda p: p.endswith(60 * "x" + "/end"))),
    ("openat", ["data.pathname=/long/" + 4085 * "x" + "*"], path(lambda p: len(p) == 4095)),
    ("openat", ["retval<0"], result(lambda r: r < 0)),
    ("openat", ["retval>=0"], result(lambda r: r >= 0)),
    ("openat", ["retval=-2,-14"], result(lambda r: r in (-2, -14))),
    ("openat", ["retval!=-2"], result(lambda r: r != -2)),
    ("openat", ["retval>-14", "retval<=-2"], result(lambda r: -14 < r <= -2)),
    ("openat", ["retval<-9", "retval!=-14", "retval=-2"], result(lambda r: r == -2 or (r < -9 and r != -14))),
    ("openat", ["data.dirfd=-100"], number("dirfd", lambda n: n == -100)),
    ("openat", ["data.dirfd!=-100"], number("dirfd", lambda n: n != -100)),
    ("openat", ["data.dirfd>2147483646"], number("dirfd", lambda n: n == 0x7fffffff)),
    ("openat", ["data.flags=2"], number("flags", lambda n: n == 2)),
    ("openat", ["data.mode=0xffff"], number("mode", lambda n: n == 0xffff)),
    ("openat", ["data.mode>0"], number("mode", lambda n: n > 0)),
    ("openat", ["comm=bobcat"], lambda e: comm(e) == "bobcat"),
    ("openat", ["scope.uid=4321", "data.pathname=*a*"], lambda e: uid(e) == 4321
     and "a" in (value(e, "pathname") or "")),
    ("close", ["data.fd=1000,1002,-1"], number("fd", lambda n: n in (1000, 1002, -1))),
    ("close", ["data.fd<0"], number("fd", lambda n: n < 0)),
    ("close", ["data.fd>=65535"], number("fd", lambda n: n >= 65535)),
    ("close", ["data.fd=-2147483648,2147483647"], number("fd", lambda n: n in (-2**31, 2**31 - 1))),
    ("close", ["data.fd!=1000", "data.fd>999"], number("fd", lambda n: n > 999 and n != 1000)),
    ("close", ["data.fd=10*"], number("fd", lambda n: str(n).startswith("10"))),
    ("close", ["retval=0"], result(lambda r: r == 0)),
    ("close", ["comm=ca*"], lambda e: comm(e).startswith("ca")),
    ("close", ["comm=*cat"], lambda e: comm(e).endswith("cat")),
    ("close", ["comm!=ca*,filtered"], lambda e: not comm(e).startswith("ca") and comm(e) != "filtered"),
    ("close", ["processName=fifteen-bytes-x"], lambda e: comm(e) == "fifteen-bytes-x"),
    ("close", ["scope.uid=1234"], lambda e: uid(e) == 1234),
    ("close", ["uid!=0"], lambda e: uid(e) != 0),
    ("close", ["syscall=close", "data.fd=1001"], number("fd", lambda n: n == 1001)),
    ("close", ["syscall=openat"], lambda e: False),
    ("lseek", ["data.offset<0"], number("offset", lambda n: n < 0)),
    ("lseek", ["data.offset=9223372036854775807,-9223372036854775808"], number(
        "offset", lambda n: n in (2**63 - 1, -2**63))),
    ("lseek", ["data.offset>=9223372036854775806"], number("offset", lambda n: n >= 2**63 - 2)),
    ("munmap", ["data.addr>0x7fffffffffffffff"], number("addr", lambda n: int(n) > 2**63 - 1)),
    ("munmap", ["data.addr>=0x7fffffffffffffff", "data.addr<0xffffffffffffffff"], number(
        "addr", lambda n: 2**63 - 1 <= int(n) < 2**64 - 1)),
    ("execve", ["data.pathname=*/cat"], path(lambda p: p.endswith("/cat"))),
    ("execve", ["retval=0"], result(lambda r: r == 0)),
    ("execve", ["data.pathname=*/dog,*/none", "retval<0"], lambda e: value(e, "returnValue") < 0 and value(
        e, "pathname").endswith(("/dog", "/none"))),
    ("sched_process_exec", ["data.pathname=*/cat,*/dog"], path(lambda p: p.endswith(("/cat", "/dog")))),
    ("sched_process_exec", ["comm=cat*"], lambda e: comm(e).startswith("cat")),
    ("sched_process_exec", ["data.prev_comm=filtered", "data.pathname!=*/cat"], lambda e: value(
        e, "prev_comm") == "filtered" and not value(e, "pathname").endswith("/cat")),
    ("sched_process_exec", ["data.invoked_from_kernel=true"], lambda e: value(e, "invoked_from_kernel")),
    ("sched_process_exec", ["data.argv=quit"], lambda e: "quit" in (value(e, "argv") or [])),
]


def by_user_space(filters):
    """The same filters, so that the kernel cannot decide any: each thing is also looked for in the middle."""
    spread = []
    for item in filters:
        name = re.match(r"[\w.]+", item).group()
        if name in ("syscall", "data.invoked_from_kernel"):
            continue
        negated = all("!=" in other for other in filters if other.startswith(name))
        spread.append(f"{name}{'!=' if negated else '='}{NEVER}")
    return [*filters, *spread]


def identity(event):
    """What two tracers must say alike."""
    return json.dumps([event["name"], event["workload"]["process"]["thread"]["host_tid"], uid(event), comm(event),
                       event["data"]])


def by_thread(events):
    found = {}
    for event in events:
        found.setdefault(event["workload"]["process"]["thread"]["host_tid"], []).append(event)
    return found


def compare(seen, reference, cases, what):
    """The policies of each event, and that those without any are missing."""
    threads = by_thread(seen)
    counts = [0] * len(cases)
    for thread, events in by_thread(reference).items():
        wanted = []
        for event in events:
            names = [f"p{number}" for number, (name, _, holds) in enumerate(cases)
                     if name == event["name"] and holds(event)]
            if names:
                wanted.append((identity(event), sorted(names)))
            for name in names:
                counts[int(name[1:])] += 1
        found = [(identity(event), sorted(event["policies"]["matched"])) for event in threads.pop(thread, [])]
        for one, other in zip(wanted, found):
            difference = [cases[int(name[1:])][:2] for name in set(one[1]) ^ set(other[1])]
            check(one == other, f"{what}: {one[0][:700]} is of {one[1]}, found {other[0][:700]} of {other[1]}: "
                  f"{difference if one[0] == other[0] else ''}")
        check(len(wanted) == len(found), f"{what}: {len(found)} events of a thread, not {len(wanted)}")
    check(not threads, f"{what}: events of threads that did nothing: {list(threads)}")
    return counts


def decided(apus, folder, cases, hooks):
    """One run of the calls, seen without filters, with the kernel's, and with those of user space."""
    program = filtered(folder)
    named_copies(program, folder, "cat", "ca", "dog", "cat-and-dog-and-more")
    script = f"exec {program} varied {folder}"
    with Waiting(script) as work:
        scope = f"tree={work.pid}"
        paths = []
        for name, change in (("kernel", lambda filters: filters), ("user", by_user_space)):
            text = "---\n".join(policy(f"p{index}", (event, *change(filters)), scope=scope)
                                for index, (event, filters, _) in enumerate(cases))
            paths.append(write(folder, text, f"{name}.yaml"))
        with Tracer(apus, folder, ["--hooks", hooks, "--events", EVENTS, "--scope", scope]) as reference, \
                Tracer(apus, folder, ["--hooks", hooks, "--policy", paths[0]]) as kernel, \
                Tracer(apus, folder, ["--hooks", hooks, "--policy", paths[1]]) as user:
            work.go()
            runs = [reviewed(tracer.end()) for tracer in (reference, kernel, user)]
    # Before it executed the program the shell made calls of its own, which all three saw.
    counts = compare(runs[1].events, runs[0].events, cases, "kernel")
    compare(runs[2].events, runs[0].events, cases, "user space")
    never = [cases[index][:2] for index, count in enumerate(counts) if count == 0]
    return never, runs


def filters_of_all_kinds(apus, scenario, folder):
    """64 policies, each with its own filters."""
    check(len(CASES) == 64, f"{len(CASES)} policies")
    for hooks in ("all", "each"):
        never, runs = decided(apus, folder, CASES, hooks)
        # Few may match nothing, or the test shows nothing.
        check(len(never) <= 2, f"never matched: {never}")
        check(runs[1].filtered > 0, f"nothing was filtered: {runs[1]}")


def filters_of_the_command_line(apus, scenario, folder):
    """One policy of several events, as items of --events."""
    program = filtered(folder)
    named_copies(program, folder, "cat", "ca", "dog", "cat-and-dog-and-more")
    for wanted in ([1], [3, 22], [6, 36, 51, 61], [7], [10, 42], [35], [44, 59]):
        cases = [CASES[index] for index in wanted]
        with Waiting(f"exec {program} varied {folder}") as work:
            scope = ["--scope", f"tree={work.pid}"]
            items = []
            for name, filters, _ in cases:
                for item in filters:
                    prefix = "" if item.startswith(("data.", "retval", "scope.")) else "scope."
                    items += ["--events", f"{name}.{prefix}{item}"]
            with Tracer(apus, folder, ["--events", EVENTS, *scope]) as reference, \
                    Tracer(apus, folder, [*items, *scope]) as kernel:
                work.go()
                runs = [reviewed(tracer.end()) for tracer in (reference, kernel)]
        together = {}
        for name, _, holds in cases:
            together.setdefault(name, []).append(holds)
        expected = [(name, [], lambda event, all_of=all_of: all(holds(event) for holds in all_of))
                    for name, all_of in together.items()]
        for event in runs[1].events:
            check(event["policies"]["matched"] == ["default"], event)
            event["policies"]["matched"] = [f"p{list(together).index(event['name'])}"]
        counts = compare(runs[1].events, runs[0].events, expected, items)
        check(all(counts), f"{items}: nothing matched")


def filters_by_process(apus, scenario, folder):
    """hostPid and hostTid, of processes whose numbers are known before."""
    program = filtered(folder)
    stop = os.path.join(folder, "stop")
    with open(stop, "w", encoding="utf-8"):
        pass
    script = f"{program} count {stop} 0 1; exec {program} varied {folder}"
    with Waiting(script) as one, Waiting(script) as two:
        scope = ["--scope", f"tree={one.pid},{two.pid}"]
        with Tracer(apus, folder, ["--events", "close", *scope]) as whole, \
                Tracer(apus, folder, ["--events", f"close.scope.hostPid={one.pid}", *scope]) as only, \
                Tracer(apus, folder, ["--events", f"close.scope.hostPid!={one.pid}", *scope]) as others, \
                Tracer(apus, folder, ["--events", f"close.scope.hostParentProcessId={two.pid}", *scope]) as children:
            one.go()
            two.go()
            runs = [reviewed(tracer.end()) for tracer in (whole, only, others, children)]
    parent = lambda event: event["workload"]["process"]["ancestors"][0]["host_pid"]  # noqa: E731
    for run_, holds in zip(runs[1:], (lambda e: pid(e) == one.pid, lambda e: pid(e) != one.pid,
                                      lambda e: parent(e) == two.pid)):
        wanted = sorted(identity(event) for event in runs[0].events if holds(event))
        check(wanted and sorted(identity(event) for event in run_.events) == wanted, run_)


def filters_that_are_wrong(apus, scenario, folder):
    for item, *gist in (
        ("openat.data.nothing=1", "no field 'nothing'"), ("openat.data.pathname=", "lacks a value"),
        ("openat.data.dirfd=x", "'x'"), ("openat.retval=", "lacks a value"), ("nothing.data.x=1", "unknown event"),
        ("openat.pathname=/x", "openat.data.FIELD"), ("openat.data.pathname=*", "*"), ("openat.data.pathname<x", "<"),
    ):
        refused([apus, "trace", "--events", item, "--", "true"], 2, *gist)


def scopes_with_patterns(apus, scenario, folder):
    """Names with stars, which records are tested for."""
    one, two, three = named_copies(scenario, folder, "cat", "cow", "bobcat")
    script = ["sh", "-c", f"{one} flood 11; {two} flood 22; {three} flood 33"]
    for scope, wanted in (
        (["comm=c*"], {"cat": 11, "cow": 22}), (["comm=*cat"], {"cat": 11, "bobcat": 33}),
        (["comm=*o*"], {"cow": 22, "bobcat": 33}), (["comm!=c*", "comm!=sh"], {"bobcat": 33}),
        (["comm!=*at", "comm!=s*"], {"cow": 22}), (["comm=c*,bobcat", "uid=0"], {"cat": 11, "cow": 22, "bobcat": 33}),
        (["comm=c*", "uid=4321"], {}),
    ):
        options = ["--hooks", "all", "--events", "getppid", *(word for s in scope for word in ("--scope", s))]
        seen = trace(apus, folder, options, script)
        found = {}
        for event in seen.events:
            found[comm(event)] = found.get(comm(event), 0) + 1
        shown = {name: count for name, count in found.items() if name not in ("sh", "dash")}
        check(shown == wanted, f"{scope}: {found}")


def agents_events_are_filtered(apus, scenario, folder):
    """What Apus tells at start is an event like others: policies choose it, and filters."""
    text = "---\n".join((
        policy("a", ("openat", "data.pathname=/no-such-path")),
        policy("b", ("init_namespaces", "data.pid<4294967295")),
        policy("c", ("init_namespaces", "data.pid=4294967295"), ("tracee_info",)),
        policy("d", ("init_namespaces",)),
    ))
    seen = trace(apus, folder, ["--policy", write(folder, text)], ["true"])
    found = {event["name"]: event["policies"]["matched"] for event in seen.events}
    check(found == {"init_namespaces": ["b", "d"], "tracee_info": ["c"]}, found)
    none = trace(apus, folder, ["--events", "init_namespaces.data.pid=4294967295"], ["true"])
    check(not none.events, none.events)


TESTS = [
    filters_of_all_kinds, filters_of_the_command_line, filters_by_process, filters_that_are_wrong,
    scopes_with_patterns, agents_events_are_filtered,
]
