"""Policies that change while events flow: nothing is lost, nothing is seen twice, and each event has the policies
of one set."""

import os
import re
import signal
import subprocess
import threading
import time

from faults_filters import filtered, value
from faults_policies import policy, write
from support import Tracer, Waiting, check, pid, read_events, reviewed, run, wait_until

IN_FORCE = "policies are in force now"
STAY = "the policies stay as they were"


def said(tracer, words):
    return tracer.error().count(words)


def reload(tracer, words=IN_FORCE, change=None):
    """Has policies read again, and waits until that is said."""
    other = STAY if words == IN_FORCE else IN_FORCE
    before, others = said(tracer, words), said(tracer, other)
    if change:
        change()
    else:
        tracer.process.send_signal(signal.SIGHUP)
    wait_until(lambda: said(tracer, words) > before or said(tracer, other) > others
               or tracer.process.poll() is not None, "it says what became of the policies", 20)
    check(tracer.process.poll() is None, f"it ended: {tracer.error()}")
    # The file's change alone may have come before the signal.
    check(said(tracer, words) > before or words != IN_FORCE, f"it does not say {words!r}: {tracer.error()}")
    wait_until(lambda: said(tracer, words) > before, f"it says {words!r}")


def replace(folder, text, name="policy.yaml"):
    """As an editor does it: there is never half a file."""
    os.rename(write(folder, text, f".{name}.new"), os.path.join(folder, name))


class Counting(Waiting):
    """Makes numbered calls, once it goes, until it is told to stop."""

    made = 0

    def __init__(self, folder, pause, threads):
        Counting.made += 1
        self.stop = os.path.join(folder, f"stop.{Counting.made}")
        super().__init__(f"exec {filtered(folder)} count {self.stop} {pause} {threads}")

    def start(self):
        self.process.stdin.write("go\n")
        self.process.stdin.flush()

    def end(self):
        """How many calls each thread made."""
        with open(self.stop, "w", encoding="utf-8"):
            pass
        return sorted(map(int, self.process.communicate(timeout=30)[0].split()))


def numbers(events, name):
    """The numbers of each thread's calls, in the order in which they were seen, with their policies."""
    found = {}
    for event in events:
        if event["name"] != name:
            continue
        if name == "openat":
            number = int(value(event, "pathname").rsplit("/", 1)[1])
        else:
            number = value(event, "fd") - 1000000
        found.setdefault(event["workload"]["process"]["thread"]["host_tid"], []).append(
            (number, tuple(event.get("policies", {}).get("matched", ()))))
    return found


def policies_that_take_turns(apus, scenario, folder):
    """All sets want all calls, in different words and under different names and numbers."""
    for hooks in ("all", "each"):
        with Counting(folder, 100, 3) as work:
            tree = f"tree={work.pid}"
            # Different filters, so that what was read at entry is judged by another set at exit.
            sets = [
                [policy("a", ("openat", "data.pathname=/numbered/*"), scope=tree),
                 policy("b", ("close", "data.fd>=1000000"), scope=tree)],
                [policy("nobody", ("mkdirat", "data.pathname=/none*"), ("lseek",), scope=tree),
                 policy("c", ("close", "data.fd>1000000", "comm=filt*"), scope=tree),
                 policy("d", ("openat", "data.pathname!=/other*", "retval<0"), scope=tree),
                 policy("nothing", ("close", "data.fd=5"), ("openat", "data.pathname=*.so"), scope=tree)],
                [policy(f"e{number}", ("openat", f"data.pathname=*{number}"), scope=tree) for number in range(10)]
                + [policy("f", ("close", "data.fd>1000000", "data.fd<100000000"), scope=tree)],
            ]
            wanted = {
                "openat": lambda n: [("a",), ("d",), (f"e{n % 10}",)],
                "close": lambda n: [("b",), ("c",), ("f",)],
            }
            file = write(folder, "---\n".join(sets[0]))
            with Tracer(apus, folder, ["--hooks", hooks, "--policy", file]) as tracer:
                work.start()
                for turn in range(1, 7):
                    replace(folder, "---\n".join(sets[turn % 3]))
                    # The file's change alone would do, later.
                    reload(tracer)
                made = work.end()
                seen = reviewed(tracer.end())
        check(min(made) > 1000, f"too few calls: {made}")
        for name, allowed in wanted.items():
            threads = numbers(seen.events, name)
            # The loader of the shell's program opens nothing: it is static.
            check(sorted(len(calls) for calls in threads.values()) == made,
                  f"{hooks}: {name}: {[len(calls) for calls in threads.values()]}, not {made}: {seen}")
            for calls in threads.values():
                turns = []
                for position, (number, policies) in enumerate(calls, 1):
                    check(number == position, f"{name} {number} is the {position}th")
                    check(policies in allowed(number), f"{name} {number} is of {policies}")
                    turn = allowed(number).index(policies)
                    if not turns or turns[-1] != turn:
                        turns.append(turn)
                # A call that was on its way is judged whole, by one set or the next.
                check(len(turns) >= 5 and all((b - a) % 3 == 1 for a, b in zip(turns, turns[1:])),
                      f"{hooks}: {name}: the sets took turns as {turns}")


def folders_are_watched(apus, scenario, folder):
    """Files that come, change and go; what is no policy does not matter."""
    home = os.path.join(folder, "policies")
    os.mkdir(home)
    with Counting(folder, 2000, 1) as work:
        tree = f"tree={work.pid}"
        write(home, policy("a", ("close", "data.fd>=1000000"), scope=tree), "a.yaml")
        with Tracer(apus, folder, ["--policy", home]) as tracer:
            work.start()

            def current():
                """The policies of the last event."""
                with open(tracer.path, "rb") as file:
                    found = re.findall(rb'"matched":\[([^]]*)\]', file.read())
                return found and found[-1].decode().replace('"', "")

            wait_until(lambda: current() == "a", "a alone")
            write(home, policy("b", ("close", "data.fd>=1000000"), scope=tree), "b.yaml")
            wait_until(lambda: current() == "a,b", "a and b")
            replace(home, policy("c", ("close", "data.fd>=1000000"), scope=tree), "a.yaml")
            wait_until(lambda: current() == "c,b", "c and b")
            os.remove(os.path.join(home, "b.yaml"))
            wait_until(lambda: current() == "c", "c alone")
            # All gone: the old ones stay.
            reload(tracer, STAY, lambda: os.remove(os.path.join(home, "a.yaml")))
            check(current() == "c", current())
            # Its name is none of a policy's.
            write(home, policy("d", ("openat",), ("close", "data.fd>=1000000"), scope=tree), "d.yaml.new")
            wait_until(lambda: said(tracer, STAY) == 2, "it says so again")
            os.rename(os.path.join(home, "d.yaml.new"), os.path.join(home, "d.yaml"))
            wait_until(lambda: current() == "d", "d alone")
            made = work.end()
            seen = reviewed(tracer.end())
    calls = list(numbers(seen.events, "close").values())
    check(len(calls) == 1 and [number for number, _ in calls[0]] == list(range(1, made[0] + 1)), "calls are missing")


def broken_policies_change_nothing(apus, scenario, folder):
    with Counting(folder, 1000, 1) as work:
        tree = f"tree={work.pid}"
        good = policy("a", ("close", "data.fd>=1000000"), scope=tree)
        file = write(folder, good)
        with Tracer(apus, folder, ["--policy", file]) as tracer:
            work.start()
            for text, place in (
                (policy("b", ("close",), ("clsoe",), scope=tree), "policy.yaml:6:12: error:"),
                (policy("b", ("close", "data.none=1"), scope=tree), "policy.yaml:7:"),
                ("type: policy\nname: [", "policy.yaml:"),
                (good + "---\n" + good, "policy.yaml:"),
                (policy("b", ("close",), scope="tree=4194304"), "no such process"),
                ("", "holds no policy"),
            ):
                replace(folder, text)
                reload(tracer, STAY)
                check(place in tracer.error(), f"{place!r} is not in {tracer.error()!r}")
            check(IN_FORCE not in tracer.error(), tracer.error())
            os.remove(file)
            reload(tracer, STAY)
            replace(folder, policy("b", ("close", "data.fd>=1000000"), scope=tree))
            reload(tracer)
            made = work.end()
            seen = reviewed(tracer.end())
    calls = list(numbers(seen.events, "close").values())
    check([number for number, _ in calls[0]] == list(range(1, made[0] + 1)), "calls are missing")
    check({policies for _, policies in calls[0]} == {("a",), ("b",)}, "a, then b")


def wrong_policies_at_start(apus, scenario, folder):
    for text, *gist in (
        (policy("a", ("opneat",)), "policy.yaml:5:12: error: ", "openat"),
        (policy("a", ("openat", "data.pathnam=/x")), "policy.yaml:7:15: error: ", "pathname"),
        (policy("a", ("openat", "data.pathname=/x", "retval<x")), "policy.yaml:8:", "'x'"),
        ("type: policy\n", "policy.yaml:1:1: error: "),
    ):
        result = run([apus, "trace", "--policy", write(folder, text), "--", "true"])
        check(result.status == 2 and not result.out, f"{text}: {result}")
        for words in gist:
            check(words in result.err, f"{words!r} is not in {result.err!r}")
    many = "---\n".join(policy(f"p{number}", ("close",)) for number in range(65))
    result = run([apus, "trace", "--policy", write(folder, many), "--", "true"])
    check(result.status == 2 and "more than 64 policies" in result.err, result)


def attached(tracer):
    """How many hooks a process holds, by kind."""
    found = {}
    folder = f"/proc/{tracer.process.pid}/fd"
    for name in os.listdir(folder):
        try:
            kind = os.readlink(f"{folder}/{name}")
        except OSError:
            continue
        if "perf_event" in kind or "bpf_link" in kind:
            found[kind] = found.get(kind, 0) + 1
    return found


def changed_files_and_a_signal(apus, scenario, folder):
    """Together they are one change."""
    with Waiting("exit") as work:
        def text(turn):
            return policy(f"p{turn}", ("openat", f"data.pathname=/{turn}"), scope=f"tree={work.pid}")

        with Tracer(apus, folder, ["--policy", write(folder, text(0))]) as tracer:
            for turn in range(1, 4):
                replace(folder, text(turn))
                reload(tracer)
                time.sleep(0.6)  # the file's change alone would have been taken by now
                check(said(tracer, IN_FORCE) == turn, f"{turn} changes: {tracer.error()}")
            reviewed(tracer.end())


def hooks_that_nobody_needs(apus, scenario, folder):
    """After a change there are as many as if it had begun so."""
    small = policy("a", ("openat", "data.pathname=/x"))
    large = policy("a", *((name,) for name in "openat,close,read,write,mkdirat,lseek,munmap,dup,dup3,fsync".split(",")),
                   ("sched_process_exec",), ("sched_process_exit",), ("task_rename",), ("cgroup_mkdir",))
    others = policy("a", ("task_rename",), ("lseek",))
    with Waiting("exit") as work:
        tree = f"scope: [tree={work.pid}]"
        texts = {name: text.replace("scope: [global]", tree) for name, text in
                 (("small", small), ("large", large), ("others", others))}
        counts = {}
        for name, text in texts.items():
            with Tracer(apus, folder, ["--hooks", "each", "--policy", write(folder, text)]) as tracer:
                counts[name] = attached(tracer)
        check(sum(counts["large"].values()) > sum(counts["small"].values()) + 8, counts)
        with Tracer(apus, folder, ["--hooks", "each", "--policy", write(folder, texts["small"])]) as tracer:
            for name in ("large", "small", "others", "large", "others", "small", "small"):
                replace(folder, texts[name])
                reload(tracer)
                wait_until(lambda n=name: attached(tracer) == counts[n],
                           f"{name} has {counts[name]}; there are {attached(tracer)}")
            reviewed(tracer.end())


def scopes_that_change(apus, scenario, folder):
    """What an earlier set said of a process, a name or a user is forgotten."""
    one, two = Counting(folder, 2000, 1), None
    try:
        two = Counting(folder, 2000, 1)
        both = f"pid={one.pid},{two.pid}"

        def text(*scope):
            return "type: policy\nname: a\nscope: [" + ", ".join(f"'{item}'" for item in scope) + "]\nrules:\n" \
                "  - event: close\n    filters: [data.fd>=1000000]\n"

        file = write(folder, text(f"tree={one.pid}"))
        with Tracer(apus, folder, ["--policy", file]) as tracer:
            one.start()
            two.start()
            for scope, wanted in (
                ([f"tree={two.pid}"], {two.pid}), ([f"tree={two.pid}", "comm=filtered"], {two.pid}),
                ([f"tree={one.pid}"], {one.pid}), ([f"pid={two.pid}"], {two.pid}),
                ([f"tree={one.pid},{two.pid}"], {one.pid, two.pid}), ([f"tree={one.pid}", "uid=4321"], set()),
                ([f"pid={one.pid}"], {one.pid}), ([both, f"uid={os.getuid()}"], {one.pid, two.pid}),
                ([both, "comm=none"], set()), ([both, "comm!=none"], {one.pid, two.pid}),
                ([both, "comm=filt*"], {one.pid, two.pid}), ([both, "uid=4321"], set()),
                ([f"tree={two.pid}"], {two.pid}),
            ):
                replace(folder, text(*scope))
                reload(tracer)
                # What was on its way comes first.
                def fresh(wanted=wanted):
                    size = os.path.getsize(tracer.path)
                    threading.Event().wait(0.15)
                    with open(tracer.path, "rb") as events:
                        events.seek(size)
                        lines = events.read().split(b"\n")[1:-1]
                    found = {int(number) for line in lines
                             for number in re.findall(rb'"host_pid":(\d+),"pid"', line)[:1]}
                    return found == wanted
                wait_until(fresh, f"{scope} takes {wanted} (one is {one.pid}, two is {two.pid})", 3)
            one.end()
            two.end()
            reviewed(tracer.end())
    finally:
        for work in (one, two):
            if work:
                work.__exit__()


def commands_under_changing_policies(apus, scenario, folder):
    """With a command all sets are restricted to it and its descendants."""
    program = filtered(folder)
    stop = os.path.join(folder, "stop")
    home = os.path.join(folder, "policies")
    os.mkdir(home)
    write(home, policy("a", ("close", "data.fd>=1000000")))
    script = f"({program} count {stop} 1000 1 & wait); {program} count {stop} 0 1"
    with Counting(folder, 1000, 1) as neighbour:
        neighbour.start()
        path = os.path.join(folder, "events")
        log = os.path.join(folder, "log")
        with open(log, "w", encoding="utf-8") as err, subprocess.Popen(
                [apus, "trace", "--policy", home, "--output", f"json:{path}", "--", "sh", "-c", script],
                stderr=err, stdout=subprocess.PIPE, text=True) as tracer:
            try:
                wait_until(lambda: os.path.exists(path) and os.path.getsize(path) > 1000, "events")
                for number in range(4):
                    replace(home, policy(f"b{number}", ("close", "data.fd>=1000000")))
                    wait_until(lambda n=number: f'"b{n}"' in open(path, encoding="utf-8").read(),
                               f"b{number} has events")
            finally:
                with open(stop, "w", encoding="utf-8"):
                    pass
                made = tracer.communicate(timeout=20)[0].split()
        neighbour.end()
    events = read_events(path)
    check(tracer.returncode == 0, open(log, encoding="utf-8").read())
    check(neighbour.pid not in {pid(event) for event in events}, "a neighbour was traced")
    calls = [[number for number, _ in calls] for calls in numbers(events, "close").values()]
    check(sorted(calls) == sorted(list(range(1, int(count) + 1)) for count in made if count != "0"),
          f"{made}: {[len(each) for each in calls]}")


TESTS = [
    policies_that_take_turns, folders_are_watched, broken_policies_change_nothing, wrong_policies_at_start,
    changed_files_and_a_signal, hooks_that_nobody_needs, scopes_that_change, commands_under_changing_policies,
]
