"""Who made a process, and what its program was: told by events, and compared with what the processes themselves know."""

import contextlib
import os
import select
import shutil
import signal
import subprocess
import time
from random import Random

from faults_accounting import TINY
from faults_ps import TICKS, read, seconds, stat, text
from lineage import Forest, steps
from support import HERE, NOWHERE, Tracer, check, comm, data, pid, reviewed, run, trace, wait_until

BOOT = time.clock_gettime(time.CLOCK_REALTIME) - time.clock_gettime(time.CLOCK_BOOTTIME)


def forest(folder):
    """The program, with its copy beside it; built once."""
    place = os.path.join(os.path.dirname(folder), "forest")
    if not os.path.exists(place):
        os.mkdir(place)
        source = os.path.join(HERE, "scenarios/forest.c")
        subprocess.run(["gcc", "-static", "-O1", "-o", f"{place}/forest", source], check=True)
        shutil.copy(f"{place}/forest", f"{place}/sapling")
    return place


def parents(process):
    """Numbers of those above a process, nearest first, as /proc has them now."""
    above = [stat(process)[1]]
    while above[-1]:
        above.append(stat(above[-1])[1])
    return above[:-1]


def fork_storm(apus, scenario, folder):
    """20,000 processes in trees of depth 10, on all CPUs: each says who made it, and is believed to the letter."""
    trees, depth, place = 2000, 10, forest(folder)
    result = trace(apus, folder, ["--events", "openat.data.pathname=/forest/*", "--enrichment", "lineage"],
                   [f"{place}/forest", str(trees), str(depth)], whole=False)
    seen = Forest(result.path, place, trees, depth)
    fault = seen.fault(result.lost)
    check(not fault, fault)
    check(result.lost == 0, f"{result}")
    # Above the first process is Apus, then we, then those above us.
    check(seen.above[0][2] == os.path.realpath(apus), f"{seen.above}")
    above = [step and step[0] for step in seen.above[1:]]
    check(is_same(above, [os.getpid(), *parents(os.getpid())]), f"{above}, not {parents(os.getpid())}")


def lost_records(apus, scenario, folder):
    """Where records about processes are lost, it may be unknown who made one; nobody else is named instead."""
    place = forest(folder)
    events = os.path.join(folder, "events.json")
    result = run([apus, "trace", "--events", "openat", "--enrichment", "lineage", *TINY, "--output", f"json:{events}",
                  "--", f"{place}/forest", "400", "10"])
    check(result.status == 0 and "records about processes" in result.err, f"{result}")
    seen = Forest(events, place, 400, 10, may_be_unknown=True)
    fault = seen.fault(result.lost)
    check(not fault, fault)
    check(seen.incomplete, "all is known")


def is_same(shown, known):
    # Some hosts hide the first process from the kernel's iterators.
    return shown == known or (shown[-1] is None and shown[:-1] == known[:-1])


class Member:
    """A process of a grove, and who made it, as we know it."""

    def __init__(self, name, pid, maker, program):
        self.name, self.pid, self.maker, self.program = name, pid, maker, program
        self.lives = True

    @property
    def makers(self):
        """Those above, nearest first, up to the first member."""
        above, one = [], self.maker
        while one:
            above.append(one)
            one = one.maker
        return above


class Grove:
    """Processes that do as they are told, and make each other."""

    def __init__(self, folder):
        self.place, self.folder = forest(folder), os.path.join(folder, "grove")
        os.mkdir(self.folder)
        self.members, self.count, self.answers, self.rest = {}, 0, {}, ""
        self.process = subprocess.Popen(
            [f"{self.place}/forest", "member", self.pipe()], stdin=NOWHERE, stdout=subprocess.PIPE,
            start_new_session=True)
        self.first = self.enter(self.answer(self.last), None, f"{self.place}/forest")
        self.tell(self.first, "reap")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.communicate(timeout=10)

    def pipe(self):
        """A new member's name."""
        self.count += 1
        self.last = os.path.join(self.folder, str(self.count))
        os.mkfifo(self.last)
        return self.last

    def enter(self, answer, maker, program):
        self.members[answer[0]] = Member(answer[0], answer[1], maker, program)
        return self.members[answer[0]]

    def order(self, member, command):
        file = os.open(member.name, os.O_WRONLY | os.O_NONBLOCK)
        os.write(file, os.fsencode(command) + b"\0")
        os.close(file)

    def answer(self, name):
        """What a member said: its name, its number and who made it."""
        while name not in self.answers:
            ready, _, _ = select.select([self.process.stdout], [], [], 10)
            check(ready, f"{name} does not answer")
            lines = (self.rest + os.read(self.process.stdout.fileno(), 65536).decode()).split("\n")
            self.rest = lines.pop()
            for line in lines:
                said, number, maker = line.split()
                self.answers[said] = (said, int(number), int(maker))
        return self.answers.pop(name)

    def tell(self, member, command):
        self.order(member, command)
        self.answer(member.name)

    def begin(self, member, what, program=None):
        """Orders something that changes the grove; what is returned must be called to wait for it."""
        if what == "end":
            self.order(member, what)
            return lambda: self.ended(member)
        if what == "exec":
            self.order(member, b"exec " + os.fsencode(program))
            return lambda: self.executed(member, program)
        name = self.pipe()
        self.order(member, f"{what} {name}")
        return lambda: self.made(name, member)

    def ended(self, member):
        wait_until(lambda: not os.path.exists(f"/proc/{member.pid}"), f"{member.pid} has ended")
        member.lives = False

    def executed(self, member, program):
        self.answer(member.name)
        member.program = program

    def made(self, name, member):
        answer = self.answer(name)
        if answer[2] != member.pid:
            # By a child that has ended.
            member = Member(None, answer[2], member, member.program)
            member.lives = False
        return self.enter(answer, member, member.program)

    def do(self, member, what, program=None):
        return self.begin(member, what, program)()

    def living(self):
        return [member for member in self.members.values() if member.lives]

    def change(self, random, spared=None):
        """Begins some change that leaves the first member alone, and another one; those above that one are changed more
        often than others."""
        near = [member for member in spared.makers if member.lives] if spared else []
        others = [member for member in self.living() if member is not spared]
        one = random.choice(near if near and random.random() < 0.3 else others)
        what = random.choice(["fork", "fork", "orphan", "orphan", "exec", "end", "end"])
        if what in ("exec", "end") and one is self.first:
            what = "fork"
        if len(self.living()) > 250:
            what, one = "end", random.choice([member for member in self.living()[1:] if member is not spared])
        return one, self.begin(one, what, f"{self.place}/{random.choice(['forest', 'sapling'])}")


def seen_now(process):
    """A process and those above, as /proc has them: number, start in ticks, name and program of each; None where one of
    them ended meanwhile."""
    line = []
    try:
        for one in [process, *parents(process)]:
            program = None
            with contextlib.suppress(PermissionError):
                program = os.readlink(f"/proc/{one}/exe")
            line.append((one, stat(one)[2], read(one, "comm")[:-1].decode(), program))
    except (FileNotFoundError, ProcessLookupError):
        return None
    return line


def told(event):
    """The moment of an event, if it is one of ours."""
    return data(event)["pathname"].rpartition("/")[2]


def ancestry_as_proc_has_it(apus, scenario, folder):
    """At a thousand moments: those above are who made each other, and /proc agrees while they live."""
    random, moments, changed, after = Random(5), {}, 0, 0
    with Grove(folder) as grove:
        for _ in range(50):
            grove.do(grove.first, "fork")
        for _ in range(300):
            grove.change(random)[1]()
        # Who made these nobody can tell any more: their parents are what is to be shown.
        by_number = {member.pid: member for member in grove.living()}
        for member in grove.living():
            if member is not grove.first:
                member.maker = by_number[parents(member.pid)[0]]
        rest = parents(grove.first.pid)
        with Tracer(apus, folder, ["--events", "openat.data.pathname=/moment/*", "--tree", str(grove.first.pid)]) as tracer:
            for moment in range(1000):
                one, other, wait = random.choice(grove.living()), None, None
                line = seen_now(one.pid)
                if random.random() < 0.5:
                    other, wait = grove.change(random, one)
                grove.tell(one, f"open /moment/{moment}")
                if seen_now(one.pid) != line:
                    line = None
                changed += line is None
                moments[str(moment)] = (one, line, [
                    (maker.pid, maker.program, maker.lives, maker is other) for maker in one.makers])
                if wait:
                    wait()
            result = reviewed(tracer.end())
        for event in result.events:
            one, line, makers = moments.pop(told(event))
            found = steps(event)
            check(pid(event) == one.pid, event)
            wanted = [maker[0] for maker in makers] + rest
            check(is_same([step and step[0] for step in found], wanted), f"made by {wanted}: {event}")
            for step, (number, program, lives, may_change) in zip(found, makers):
                # One that ended, and whose maker was there before, is not asked any more what it ran.
                ran = (os.path.basename(program), program if lives or step[2] else None)
                check(step[1:] == ran or may_change, f"{number} ran {program}: {event}")
            if line and [number for number, _, _, _ in line[1:]] == wanted:
                after += 1
                agree(event, line)
    check(not moments, f"{len(moments)} events are missing")
    # By far the most moments are still, and makers live at a part of them.
    check(changed < 100 and 300 < after < 1000, f"{changed} changed meanwhile, {after} are as /proc has them")


def agree(event, line):
    """Of an event and of those above, all that /proc tells."""
    process = event["workload"]["process"]
    for shown, (number, ticks, name, program) in zip([process, *process["ancestors"]], line):
        if shown.get("unknown"):
            continue
        started = ticks / TICKS + BOOT
        check(abs(seconds(shown["thread"]["start_time"]) - started) < 0.02, f"{number} started at {started}: {shown}")
        check(shown["thread"]["name"] == name, f"{number} is {name}: {shown}")
        if program:
            check(shown["executable"]["path"] == program.removesuffix(" (deleted)"), f"{number} runs {program}: {shown}")


HOSTILE_NAMES = [b"a\nb>c:1", b"\x1b[2J\x07\x7f", b">1>2>", b"\xff\xfe\xc3", "größe".encode(), b'"\\']


def a_tree_that_runs(apus, scenario, folder):
    """--tree: what is in the tree and what is made later, with those above it, in JSON and in a table."""
    table = os.path.join(folder, "table")
    with Grove(folder) as other, Grove(os.path.join(folder, "grove")) as grove:
        line = [grove.first]
        for number, name in enumerate(HOSTILE_NAMES):
            program = os.fsencode(grove.folder) + b"/%d-" % number + name
            shutil.copy(f"{grove.place}/forest", program)
            line.append(grove.do(line[-1], "fork"))
            grove.do(line[-1], "exec", program)
        orphan = grove.do(grove.first, "orphan")
        check(parents(orphan.pid)[0] == grove.first.pid, "it is somebody else's")
        wanted = {}

        def tell(member, above):
            wanted[member.pid] = [one.pid for one in above] + rest
            grove.tell(member, f"open /moment/{member.pid}")

        rest = parents(grove.first.pid)
        options = ["--events", "openat.data.pathname=/moment/*", "--tree", str(grove.first.pid), "--output", f"table:{table}"]
        with Tracer(apus, folder, options) as tracer:
            for number, member in enumerate(line):
                tell(member, line[:number][::-1])
            tell(orphan, [grove.first])
            later = grove.do(line[-1], "fork")
            tell(later, line[::-1])
            other.tell(other.first, "open /moment/other")
            result = reviewed(tracer.end())
        names = {}
        for event in result.events:
            process = pid(event)
            check(told(event) == str(process), f"nobody's: {event}")
            found = steps(event)
            check(is_same([step and step[0] for step in found], wanted.pop(process)), f"{event}")
            names[process] = comm(event)
        check(not wanted, f"missing: {wanted}")
        for number, name in enumerate(HOSTILE_NAMES):
            check(names[line[number + 1].pid] == text(name_of(number, name)), f"{name}: {names}")
    with open(table, "rb") as file:
        lines = file.read().split(b"\n")
    check(lines.pop() == b"" and len(lines) == result.delivered + 1, f"{lines}")
    check(b" LINEAGE " in lines[0], f"{lines[0]}")
    for shown in lines:
        check(all(byte >= 32 and byte != 127 for byte in shown), f"controls: {shown}")
        shown.decode()
    # The last one's is whole, the first process first.
    shown = lines[-1].decode()
    check(f">forest:{grove.first.pid}>0-a\\nb>c:1:{line[1].pid}>" in shown, shown)
    check(f":{line[-1].pid} " in shown, shown)


def name_of(number, name):
    return (b"%d-" % number + name)[:15]


TESTS = [fork_storm, lost_records, ancestry_as_proc_has_it, a_tree_that_runs]
