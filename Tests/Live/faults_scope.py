"""Scopes, with real processes: within trees of our own, so that nobody else is traced."""

import os
import re
import subprocess

from support import (
    LIFECYCLE, Failure, Tracer, Waiting, check, comm, path_of, pid, read_events, refused, reviewed, trace, wait_until)

OPENED = ["--hooks", "all", "--events", "getppid"]


def counts(events):
    """How many events each name of a thread had."""
    found = {}
    for event in events:
        found[comm(event)] = found.get(comm(event), 0) + 1
    return found


def named_copies(scenario, folder, *names):
    """The scenario under other names, so that its processes are called so."""
    for name in names:
        if not os.path.exists(os.path.join(folder, name)):
            os.link(scenario, os.path.join(folder, name))
    return [os.path.join(folder, name) for name in names]


def expect(seen, wanted, what):
    found = {name: count for name, count in counts(seen.events).items() if name not in ("sh", "dash")}
    check(found == wanted, f"{what}: {found}, not {wanted}: {seen}")


def by_comm(apus, scenario, folder):
    one, two, three = named_copies(scenario, folder, "one", "two", "three")
    script = ["sh", "-c", f"{one} flood 11; {two} flood 22; {three} flood 33"]

    def scoped(wanted, *scopes):
        options = [word for scope in scopes for word in ("--scope", scope)]
        expect(trace(apus, folder, [*OPENED, *options], script), wanted, scopes)

    scoped({"one": 11, "two": 22, "three": 33})
    scoped({"one": 11}, "comm=one")
    scoped({"one": 11, "three": 33}, "comm=one,three")
    scoped({"two": 22, "three": 33}, "comm!=one", "comm!=sh")
    scoped({"three": 33}, "comm!=one,two,sh")
    scoped({}, "comm=o")
    scoped({}, "comm=one", "uid=4321")
    seen = trace(apus, folder, [*OPENED, "--scope", "comm=two"], script)
    check(seen.filtered >= 44, f"what was left out is not counted: {seen}")


def by_long_comm(apus, scenario, folder):
    (long,) = named_copies(scenario, folder, "a-rather-long-name")
    expect(trace(apus, folder, [*OPENED, "--scope", "comm=a-rather-long-n"], [long, "flood", "5"]),
           {"a-rather-long-n": 5}, "15 bytes")
    refused([apus, "trace", "--scope", "comm=a-rather-long-na", "--", "true"], 2, "15 bytes")


def by_pid(apus, scenario, folder):
    """Three processes that wait, and then each makes its own number of calls."""
    works = [Waiting(f"exec {scenario} flood {count}") for count in (11, 22, 33)]
    try:
        first, second, third = sorted(works, key=lambda work: work.pid)
        sizes = {work.pid: count for work, count in zip(works, (11, 22, 33))}
        tree = "tree=" + ",".join(str(work.pid) for work in works)

        def start(*scopes):
            return Tracer(apus, folder, [*OPENED, "--scope", tree, *(w for s in scopes for w in ("--scope", s))])

        wanted = [
            ((f"pid={first.pid}",), [first]),
            ((f"pid={first.pid},{third.pid}",), [first, third]),
            ((f"pid!={second.pid}",), [first, third]),
            ((f"pid!={second.pid}", f"pid!={third.pid}"), [first]),
            ((f"pid>{first.pid}",), [second, third]),
            ((f"pid>={second.pid}", f"pid<={second.pid}"), [second]),
            ((f"pid<{second.pid}",), [first]),
            ((f"pid>{first.pid}", f"pid!={third.pid}"), [second]),
            ((f"pid<{second.pid}", f"pid={third.pid}"), [first, third]),
        ]
        tracers = []
        try:
            for scopes, _ in wanted:
                tracers.append(start(*scopes).__enter__())
            for work in works:
                work.go()
            for tracer, (scopes, expected) in zip(tracers, wanted):
                seen = reviewed(tracer.end())
                found = {}
                for event in seen.events:
                    found[pid(event)] = found.get(pid(event), 0) + 1
                check(found == {work.pid: sizes[work.pid] for work in expected}, f"{scopes}: {found}, of {sizes}")
        finally:
            for tracer in tracers:
                tracer.__exit__()
    finally:
        for work in works:
            work.__exit__()


def by_uid(apus, scenario, folder):
    one, two, three = named_copies(scenario, folder, "one", "two", "three")
    switch = "setpriv --reuid %d --clear-groups --"
    script = ["sh", "-c", f"{one} flood 11; {switch % 1234} {two} flood 22; {switch % 4321} {three} flood 33"]
    for wanted, scope in (
        ({"two": 22}, ["uid=1234"]),
        ({"two": 22, "three": 33}, ["uid!=0"]),
        ({"two": 22, "three": 33}, ["uid>0"]),
        ({"one": 11, "two": 22}, ["uid<4321"]),
        ({"two": 22}, ["uid>=1234", "uid<=1234"]),
        ({"one": 11, "three": 33}, ["uid=0,4321"]),
        ({"three": 33}, ["uid>0", "uid!=1234"]),
    ):
        seen = trace(apus, folder, [*OPENED, *(w for s in scope for w in ("--scope", s))], script)
        expect(seen, wanted, scope)
    check({event["workload"]["process"]["real_user"]["id"] for event in seen.events} == {4321}, seen.events[:1])


def by_namespace(apus, scenario, folder):
    """A child in new namespaces and one outside; numbers are those that /proc shows."""
    inside, outside = named_copies(scenario, folder, "inside", "outside")
    # It tells its namespaces, waits in them, and only then makes calls.
    script = f"{outside} flood 22; unshare -m -u -p -f sh -c 'hostname apus-test; readlink /proc/self/ns/mnt " \
        f"/proc/self/ns/uts /proc/self/ns/pid; read go; exec {inside} flood 11'; {outside} flood 22"
    with subprocess.Popen(["sh", "-c", f"read go; {script}"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          text=True) as work:
        try:
            work.stdin.write("go\n")
            work.stdin.flush()
            # The first outside flood, then the three links.
            lines = [work.stdout.readline() for _ in range(4)]
            mount, _, process = (re.search(r"\[(\d+)\]", line).group(1) for line in lines[1:])
            wanted = [
                ([f"mntns={mount}"], {"inside": 11}), ([f"mntns!={mount}"], {"outside": 22}),
                ([f"pidns={process}"], {"inside": 11}), ([f"pidns!={process}"], {"outside": 22}),
                (["uts=apus-test"], {"inside": 11}), (["uts!=apus-test"], {"outside": 22}),
                ([f"mntns={mount}", f"pidns!={process}"], {}),
            ]
            tracers = [Tracer(apus, folder, [*OPENED, "--scope", f"tree={work.pid}",
                                             *(w for s in scope for w in ("--scope", s))]) for scope, _ in wanted]
            try:
                for tracer in tracers:
                    tracer.__enter__()
                work.communicate("go\n", timeout=20)
                for tracer, (scope, expected) in zip(tracers, wanted):
                    expect(reviewed(tracer.end()), expected, scope)
                    numbers = {event["workload"]["process"]["pid"] == event["workload"]["process"]["host_pid"]
                               for event in read_events(tracer.path) if comm(event) == "inside"}
                    check(True not in numbers, "a number in the pid namespace is the host's")
            finally:
                for tracer in tracers:
                    tracer.__exit__()
        finally:
            work.kill()


def unified():
    """Where the v2 hierarchy is mounted."""
    with open("/proc/self/mounts", encoding="utf-8") as file:
        for line in file:
            words = line.split()
            if words[2] == "cgroup2":
                return words[1]
    raise Failure("this machine has no v2 control groups mounted")


def by_control_group(apus, scenario, folder):
    group = f"{unified()}/apus-test-{os.getpid()}"
    one, two = named_copies(scenario, folder, "one", "two")
    os.mkdir(group)
    try:
        number = os.stat(group).st_ino
        script = ["sh", "-c", f"{one} flood 11; echo $$ >{group}/cgroup.procs; {two} flood 22"]
        for scope, wanted in (
            (f"cgroup={group}", {"two": 22}), (f"cgroup={number}", {"two": 22}), (f"cgroup!={number}", {"one": 11}),
        ):
            expect(trace(apus, folder, [*OPENED, "--scope", scope], script), wanted, scope)
        refused([apus, "trace", "--scope", f"cgroup={group}/none", "--", "true"], 2, "control group")
        refused([apus, "trace", "--scope", "cgroup=/tmp", "--", "true"], 2, "control group")
    finally:
        os.rmdir(group)


def by_tree(apus, scenario, folder):
    """Processes that already run when tracing begins: children, grandchildren and orphans of them."""
    one, two, three = named_copies(scenario, folder, "one", "two", "three")
    pipe = os.path.join(folder, "go")
    os.mkfifo(pipe)
    ready = os.path.join(folder, "ready")
    script = f"(sh -c 'read x <{pipe}; {one} flood 11') & (sh -c 'read x <{pipe}; {two} flood 22; {one} flood 11') & " \
        f"touch {ready}; wait; {three} flood 33"
    with subprocess.Popen(["sh", "-c", script], stdout=subprocess.DEVNULL) as work, \
            Waiting(f"exec {three} flood 7") as other:
        try:
            wait_until(lambda: os.path.exists(ready), "the shell has children")
            children = open(f"/proc/{work.pid}/task/{work.pid}/children", encoding="utf-8").read().split()
            with Tracer(apus, folder, [*OPENED, "--scope", f"tree={work.pid}"]) as whole, \
                    Tracer(apus, folder, [*OPENED, "--scope", f"tree={work.pid},{other.pid}", "--scope",
                                          f"tree!={children[0]}"]) as part, \
                    Tracer(apus, folder, [*OPENED, "--scope", f"tree={children[1]}"]) as child:
                with open(pipe, "w", encoding="utf-8") as file:
                    file.write("go\ngo\n")
                work.wait(20)
                other.go()
                expect(reviewed(whole.end()), {"one": 22, "two": 22, "three": 33}, "tree=")
                expect(reviewed(child.end()), {"one": 11, "two": 22}, "tree= of a child")
                seen = reviewed(part.end())
                # `=` wins over `!=` for a process that both name: see the help of scopes.
                check(counts(seen.events).get("three") == 40, f"tree= of two: {counts(seen.events)}")
        finally:
            work.kill()


def tree_excluded(apus, scenario, folder):
    """tree!= with a command: all of the command but the named process and what descends from it."""
    one, two = named_copies(scenario, folder, "one", "two")
    with Waiting(f"{one} flood 11; {one} flood 11; exec {two} flood 22") as work, \
            Waiting(f"exec {two} flood 5") as other, \
            Tracer(apus, folder, [*OPENED, "--scope", f"pid>={min(work.pid, other.pid)}", "--scope",
                                  f"tree!={work.pid}", "--scope", "comm=one,two"]) as tracer:
        other.go()
        work.go()
        expect(reviewed(tracer.end()), {"two": 5}, "tree!=")


def itself_excluded(apus, scenario, folder):
    """An apus in the traced tree: the one that traces does not see itself, and the other sees it."""
    with Waiting(f"exec {apus} trace --events write,openat,bpf --output json:{folder}/inner --scope pid=$$ -- "
                 f"{scenario} flood 3", cwd=folder) as inner:
        with Tracer(apus, folder, ["--events", "openat,write,bpf", "--scope", f"tree={inner.pid}"]) as outer:
            inner.go()
            seen = reviewed(outer.end())
        check(any(comm(event) == "apus" for event in seen.events), "the outer one did not see the inner one")
        with open(f"{folder}/inner", encoding="utf-8") as file:
            check(file.read() == "", "it traced itself")


def only_descendants(apus, scenario, folder):
    """The command's own life is traced and nothing else: a busy neighbour is not."""
    with subprocess.Popen(["sh", "-c", "while :; do /bin/true; done"]) as neighbour:
        try:
            seen = trace(apus, folder, ["--events", LIFECYCLE], ["sh", "-c", "/bin/true; /bin/true"])
        finally:
            neighbour.kill()
    names = [event["name"] for event in seen.events]
    check(names.count("sched_process_exec") == 3 and names.count("sched_process_exit") == 3, names)
    check(all(path_of(event) != apus for event in seen.events), "events of apus itself")


TESTS = [
    by_comm, by_long_comm, by_pid, by_uid, by_namespace, by_control_group, by_tree, tree_excluded, itself_excluded,
    only_descendants,
]
