"""Traced programs that want to hide, to mislead, or to break the tracer. See scenarios/hostile.c."""

import collections
import os
import shutil
import subprocess
import sys

from support import HERE, LIFECYCLE, check, comm, data, hostile, path_of, pid, run, shell, trace

LONGEST = "a" * 4095


def counts(seen):
    return collections.Counter(event["name"] for event in seen.events)


def paths(seen, name="openat"):
    return [data(event).get("pathname") for event in seen.named(name)]


def text_for_terminals(apus, scenario, folder):
    wanted = [
        "\x1b]0;owned\x07\x1b[2J\x1b[31mred\r\n\"},{\"name\":\"forged\"}\\",
        "\ufffd\ufffd\ufffd(\ufffd\ufffd\ufffd\ufffd\ufffd\ufffd\ufffd\ufffd\ufffd end",
        "\u202eright to left \x9b31m \u2028", "漢字漢字 \U0001f4a9", LONGEST,
    ]
    for hooks in ("each", "all"):
        seen = trace(apus, folder, ["--hooks", hooks, "--events", "openat"], [hostile(folder), "escapes"])
        found = [path.rstrip("\ufffd") if path else path for path in paths(seen)[-5:]]
        check([found[0], *found[2:]] == [wanted[0], *wanted[2:]], f"{hooks}: {[path[:60] for path in found]}")
        check(found[1].endswith(" end") and found[1].startswith("\ufffd\ufffd"), f"{hooks}: {found[1]!r}")
        with open(seen.path, "rb") as file:
            check(not set(file.read()) & set(b"\x1b\x07\x00\r\x7f"), "control characters in the JSON file")


def names_of_threads(apus, scenario, folder):
    seen = trace(apus, folder, ["--hooks", "all", "--events", "openat,task_rename"], [hostile(folder), "comm"])
    wanted = ["\x1b[2J\n\r\t\x07\x08\x7f\"\\,\x01\x02", "\x01" * 15, "\ufffd" * 15, "", " "]
    found = [comm(event) for event in seen.named("openat")[-5:]]
    check(found == wanted, found)
    check([data(event)["new_name"] for event in seen.named("task_rename")[-5:]] == wanted, "other new names")


def many_arguments(apus, scenario, folder):
    """However many follow, the first arguments are shown."""
    program, faults = hostile(folder), []
    for count, padding in ((10000, "x"), (10000, ""), (65536, ""), (65537, ""), (70000, "")):
        seen = trace(apus, folder, ["--events", "sched_process_exec,execve"],
                     [program, "many-arguments", str(count), padding, program, "nothing", "secret", "words"])
        for event in (seen.named("sched_process_exec")[-1], seen.named("execve")[-1]):
            shown = data(event)["argv"]
            if shown[:4] != [program, "nothing", "secret", "words"] or len(shown) < 200:
                faults.append(f"of {count} arguments {event['name']} shows {len(shown)}: {shown[:4]}")
    check(not faults, "; ".join(faults))


# In a folder and with an input whose paths are longer than a path may be: many programs with ever longer names.
FULL_RECORDS = """
import os, sys
os.chdir(sys.argv[1])
for level in range(17):
    os.mkdir("d" * 250)
    os.chdir("d" * 250)
os.link(sys.argv[2], "program")
os.dup2(os.open("input", os.O_RDONLY | os.O_CREAT, 0o600), 0)
for length in range(1400, 2200, 8):
    child = os.fork()
    if child == 0:
        os.execve("./" * (length // 2) + "program", ["x" * 9000, "nothing"], {"LONG": "y" * 9000})
    os.waitpid(child, 0)
"""


def full_records(apus, scenario, folder):
    """However much comes together, what has a place of its own is not written over."""
    program = f"{folder}/program"
    shutil.copy(hostile(folder), program)
    status = os.stat(program)
    seen = trace(apus, folder, ["--events", "sched_process_exec", "--enrichment", "environment"],
                 [sys.executable, "-c", FULL_RECORDS, folder, program])
    events = [data(event) for event in seen.named("sched_process_exec")[1:]]
    check(len(events) == 100, counts(seen))
    for event in events:
        check(event["inode"] in (status.st_ino, str(status.st_ino)) and event["inode_mode"] == status.st_mode,
              f"{event['cmdpath'].count('./')}: inode {event['inode']}, mode {event['inode_mode']}")
        check(event["pathname"].startswith("/") and len(event["pathname"]) > 4000, event["pathname"][:80])
        check(event["pwd"] == event["pathname"].removesuffix("/program")[:4095], event["pwd"])
    check({event["env"] is None for event in events} == {True, False}, "no record was full, or each was")


def dying_threads(apus, scenario, folder):
    for hooks in ("each", "all"):
        seen = trace(apus, folder, ["--hooks", hooks, "--events", "getppid,sched_process_exit,sched_process_fork"],
                     [hostile(folder), "dying-threads", "400", "50"])
        check(counts(seen) == {"getppid": 20000, "sched_process_exit": 401, "sched_process_fork": 400}, counts(seen))
        last = [event for event in seen.named("sched_process_exit") if data(event)["process_group_exit"]]
        check(len(last) == 1, f"{len(last)} exits of one process")


def all_threads_at_once(apus, scenario, folder):
    """Each thread's end is seen, also in a tree; the last of a process is one."""
    seen = trace(apus, folder, ["--events", "sched_process_exit"], [hostile(folder), "mass-exit", "100", "20"])
    last = collections.Counter(pid(event) for event in seen.events if data(event)["process_group_exit"])
    check(len(seen.events) == 2001, f"{len(seen.events)} exits of 2001: {seen}")
    check(len(last) == 101 and set(last.values()) == {1}, f"{sum(last.values())} last threads of {len(last)} processes")


def dead_leader(apus, scenario, folder):
    """The leader is a zombie; the process goes on in another thread."""
    seen = trace(apus, folder, ["--events", "getppid,sched_process_exit"],
                 [hostile(folder), "dead-leader", "500"], status=9)
    check(counts(seen) == {"getppid": 500, "sched_process_exit": 2}, counts(seen))
    check(all(path_of(event) == hostile(folder) for event in seen.events), "the executable is forgotten")
    last = [data(event)["process_group_exit"] for event in seen.named("sched_process_exit")]
    check(last == [False, True], last)


def memory_that_goes_away(apus, scenario, folder):
    for hooks in ("each", "all"):
        seen = trace(apus, folder, ["--hooks", hooks, "--events", "openat"], [hostile(folder), "unmapper", "20000"])
        check(len(seen.named("openat")) >= 20000, counts(seen))
        strange = [path for path in paths(seen)[-20000:] if path and path.strip("/")]
        check(not strange, f"paths that were never there: {strange[:3]}")


def bad_addresses(apus, scenario, folder):
    for hooks in ("each", "all"):
        seen = trace(apus, folder, ["--hooks", hooks, "--events", "openat,execve,connect,nanosleep"],
                     [hostile(folder), "bad-addresses"])
        check(counts(seen)["connect"] == 8 and counts(seen)["execve"] == 9, counts(seen))
        check(counts(seen)["openat"] == 10, counts(seen))
        check(paths(seen)[-2:] == ["/edge", None], f"{hooks}: {paths(seen)[-2:]}")
        check(paths(seen)[:8] == [None] * 8, paths(seen)[:8])


def execution_by_another_thread(apus, scenario, folder):
    """The thread that executes takes over the leader's number; its long arguments must not be mislaid."""
    program = hostile(folder)
    seen = trace(apus, folder, ["--events", "execve,sched_process_exec"],
                 [program, "thread-exec", "3", "/bin/true"])
    for name in ("sched_process_exec", "execve"):
        for event in seen.named(name)[1:]:
            check(data(event)["argv"] == ["/bin/true", "x" * 1999], f"{name}: {str(data(event)['argv'])[:80]}")
        check(len(seen.named(name)) == 4, counts(seen))


def blinded_by_executions(apus, scenario, folder):
    """What keeps long inputs is not used up by calls that end elsewhere than they began."""
    program, faults = hostile(folder), []
    for trick in ([program, "thread-exec", "100", "/bin/true"], [program, "high-bits-threads", "100"]):
        seen = trace(apus, folder, ["--hooks", "all", "--events", "execve,openat"],
                     shell(" ".join(trick) + f"; {program} long-path"))
        if paths(seen)[-1] != "p" * 2000:
            faults.append(f"after {trick[1]} a long path is not shown any more: {seen}")
        elif "without their long arguments" in seen.err:
            faults.append(f"{trick[1]}: {seen}")
    check(not faults, "; ".join(faults))


def high_bits(apus, scenario, folder):
    """The kernel looks at 32 bits of the number; so must we, or calls are hidden."""
    for hooks in ("each", "all"):
        seen = trace(apus, folder, ["--hooks", hooks, "--events", "getppid,openat"],
                     [hostile(folder), "high-bits", "10"])
        check(len(seen.named("getppid")) == 10 and paths(seen).count("/high/bits") == 10,
              f"--hooks {hooks}: of 10 each, {counts(seen)}")


def vfork(apus, scenario, folder):
    seen = trace(apus, folder, ["--hooks", "all", "--events", f"{LIFECYCLE},vfork,execve"],
                 [hostile(folder), "vfork", "/bin/false"], status=1)
    check(counts(seen) == {"sched_process_fork": 1, "sched_process_exec": 2, "sched_process_exit": 2, "vfork": 1,
                           "execve": 2}, counts(seen))
    child = data(seen.named("sched_process_fork")[0])["child_pid"]
    check(data(seen.named("vfork")[0])["returnValue"] == child, seen.named("vfork"))
    check(pid(seen.named("sched_process_exec")[1]) == child, "another process executed")


def fork_bomb(apus, scenario, folder):
    seen = trace(apus, folder, ["--events", f"getppid,{LIFECYCLE}"], [hostile(folder), "fork-bomb", "200"])
    check(counts(seen) == {"getppid": 200, "sched_process_fork": 200, "sched_process_exec": 1,
                           "sched_process_exit": 201}, counts(seen))
    check(all(path_of(event) == hostile(folder) for event in seen.events), "an executable is unknown")


def tampering_debugger(apus, scenario, folder):
    """What the kernel did is traced, not what the program asked for before its debugger came."""
    for hooks in ("each", "all"):
        seen = trace(apus, folder, ["--hooks", hooks, "--events", "getppid,getuid,ptrace"], [hostile(folder), "tamper"])
        check(counts(seen)["getppid"] == 7 and counts(seen)["getuid"] == 0, f"{hooks}: {counts(seen)}")


def filtered_calls(apus, scenario, folder):
    """A call that seccomp answered was tried: it is shown with its path and its error."""
    for hooks in ("each", "all"):
        seen = trace(apus, folder, ["--hooks", hooks, "--events", "openat"], [hostile(folder), "filtered"])
        check(seen.events and data(seen.events[-1])["pathname"] == "/filtered", f"{hooks}: {seen.events}")
        check(data(seen.events[-1])["returnValue"] == -1, f"{hooks}: {seen.events[-1]}")


def calls_of_32_bits(apus, scenario, folder):
    seen = trace(apus, folder, ["--hooks", "all", "--events", "open,getppid"], [hostile(folder), "int80"])
    check(counts(seen) == {"open": 2, "getppid": 3}, counts(seen))
    check(paths(seen, "open") == ["/int/0x80"] * 2, paths(seen, "open"))
    check(all(event["workload"]["process"]["thread"].get("compat") for event in seen.events), "compat is not said")


def programs_of_32_bits(apus, scenario, folder):
    """Executing one changes the mode of the thread in the middle of the call, and back."""
    program, source = os.path.join(folder, "small"), os.path.join(HERE, "scenarios/small32.c")
    built = subprocess.run(["gcc", "-m32", "-O1", "-static", "-nostdlib", "-ffreestanding", "-fno-pic", "-no-pie",
                            "-fno-stack-protector", "-o", program, source], check=False, capture_output=True)
    if built.returncode:
        return  # no compiler for 32 bits
    seen = trace(apus, folder, ["--hooks", "all", "--events", "execve,sched_process_exec"],
                 shell(f"exec {program} /bin/true {'y' * 600}"))
    executed = [data(event)["pathname"] for event in seen.named("sched_process_exec")]
    check([os.path.basename(path) for path in executed] == ["dash", "small", "true"], executed)
    found = [(path, data(event)["argv"]) for path, event in zip(paths(seen, "execve"), seen.named("execve"))]
    wanted = [(program, [program, "/bin/true", "y" * 600]), ("/bin/true", ["/bin/true", "y" * 600])]
    check(found[1:] == wanted, f"execve: {str(found[1:])[:300]}, not {str(wanted)[:200]}")


def numbers_that_do_not_exist(apus, scenario, folder):
    seen = trace(apus, folder, ["--hooks", "all", "--events", "tag=syscalls"], [hostile(folder), "bad-numbers"])
    check(counts(seen)["exit_group"] == 1, counts(seen))
    seen = trace(apus, folder, ["--events", "sys_enter,sys_exit"], [hostile(folder), "bad-numbers"])
    check(counts(seen)["sys_enter"] > 20, counts(seen))


def many_long_calls_at_once(apus, scenario, folder):
    """More than there is room for: each is delivered, and what it lacks is counted."""
    pipe = os.path.join(folder, "pipe")
    os.mkfifo(pipe)
    seen = trace(apus, folder, ["--events", "openat"], [hostile(folder), "long-waits", pipe, "100"])
    shown = [path for path in paths(seen) if path and len(path) > 1000]
    missing = 100 - len(shown)
    check(len(seen.named("openat")) >= 100, counts(seen))
    said = f"without their long arguments: {missing};" in seen.err if missing else True
    check(said, f"{missing} paths are missing: {seen}")


def everything_at_once(apus, scenario, folder):
    """All system calls of all tricks: no line is broken, and all is accounted for."""
    program = hostile(folder)
    tricks = ["escapes", "comm", "dying-threads 80 20", "dead-leader 100", "unmapper 2000", "bad-addresses",
              "thread-exec 5 /bin/true", "high-bits 10", "vfork /bin/true", "fork-bomb 50", "filtered", "int80",
              "bad-numbers", f"many-arguments 10000 x {program} nothing", f"memfd {program} x"]
    seen = trace(apus, folder, ["--hooks", "all", "--events", "tag=syscalls", "--events", "sched*,task_rename"],
                 shell("; ".join(f"{program} {trick}" for trick in tricks) + "; exit 5"), status=5, whole=False)
    check(seen.lost == 0 and seen.delivered > 5000, f"{seen}")


def everything_in_a_table(apus, scenario, folder):
    """The same for people: nothing that a terminal would obey, and a line for each event."""
    program = hostile(folder)
    tricks = ["escapes", "comm", "bad-addresses", f"many-arguments 70000 x {program} nothing", "bad-numbers"]
    result = run([apus, "trace", "--hooks", "all", "--events", "tag=syscalls", "--events", "sched*,task_rename",
                  "--output", f"table:{folder}/table", "--",
                  *shell("; ".join(f"{program} {trick}" for trick in tricks))])
    check(result.status == 0 and result.lost == 0, f"{result}")
    with open(f"{folder}/table", "rb") as file:
        table = file.read()
    check(not {byte for byte in table if byte < 32 or byte == 127} - {10}, "control characters in the table")
    check(table.count(b"\n") == result.delivered + 1, f"{table.count(10)} lines: {result}")
    table.decode("utf-8")


TESTS = [
    text_for_terminals, names_of_threads, many_arguments, full_records, dying_threads, all_threads_at_once, dead_leader,
    memory_that_goes_away, bad_addresses, execution_by_another_thread, blinded_by_executions, high_bits, vfork,
    fork_bomb, tampering_debugger, filtered_calls, calls_of_32_bits, programs_of_32_bits, numbers_that_do_not_exist,
    many_long_calls_at_once, everything_at_once, everything_in_a_table,
]
