"""strace's form beyond its lines: signals, calls that a kill ends, how long calls took and the table of them."""

import os
import re
import shutil
import subprocess

from support import NOWHERE, Tracer, check, data, refused, run, shell, trace

HERE = os.path.dirname(os.path.abspath(__file__))
HEADER = "% time     seconds  usecs/call   p50 usecs   p99 usecs   max usecs     calls    errors syscall"
ROW = re.compile(r"^ *([\d.]+) +([\d.]+) (?: *([\d.]+) +([\d.]+) +([\d.]+) +([\d.]+)| {48}) +(\d+) +(\d+ )? *(\w+)$")
# Of strace; its time is of the clock on the wall with -w.
THEIR_ROW = re.compile(r"^ *([\d.]+) +([\d.]+) +(\d+) +(\d+) +(\d+ )? *(\w+)$")


def lines(path):
    with open(path, encoding="ascii") as file:
        return [re.sub(r"^\[pid \d+\] ", "", line.rstrip("\n")) for line in file]


def table(text):
    """Rows by name: share, seconds, calls, errors, and the times of one call where there are any."""
    rows = text.splitlines()
    check(rows[0] == HEADER and rows[1] == rows[-2] and set(rows[1]) == {"-", " "}, f"no table: {text[:600]}")
    found = {}
    for row in rows[2:-2] + rows[-1:]:
        parts = ROW.match(row)
        check(parts, f"no row: {row!r}")
        share, seconds, mean, median, nearly_all, longest, calls, errors, name = parts.groups()
        check(name not in found, f"twice: {row!r}")
        times = [float(time) for time in (mean, median, nearly_all, longest)] if mean else None
        found[name] = (float(share), float(seconds), int(calls), int(errors or 0), times)
    return found


def program(folder, name):
    path = f"{folder}/{name}"
    subprocess.run(["gcc", "-O1", "-pthread", "-o", path, f"{HERE}/strace_corpus/{name}.c"], check=True)
    return path


def signals(apus, scenario, folder):
    """As strace writes them, by default; in JSON with nothing that does not apply."""
    path, command = f"{folder}/lines", program(folder, "signals")
    result = run([apus, "trace", "--format", f"strace:{path}", "--", command])
    check(result.status == 0 and " lost 0 " in result.err, f"{result}")
    text = "\n".join(lines(path))
    for wanted in (
        r"--- SIGUSR1 {si_signo=SIGUSR1, si_code=SI_USER, si_pid=\d+, si_uid=0} ---",
        r"--- SIGUSR2 {si_signo=SIGUSR2, si_code=SI_TKILL, si_pid=\d+, si_uid=0} ---",
        r"--- SIGRT_3 {si_signo=SIGRT_3, si_code=SI_QUEUE, si_pid=\d+, si_uid=0, si_int=42, si_ptr=0x2a} ---",
        r"--- SIGTERM {si_signo=SIGTERM, si_code=0xffffffb3, si_errno=EIO, si_pid=9, si_uid=8, si_int=0, "
        r"si_ptr=0x8000000000000000} ---",
        r"--- SIGCHLD {si_signo=SIGCHLD, si_code=CLD_EXITED, si_pid=\d+, si_uid=0, si_status=3, si_utime=\d+, "
        r"si_stime=\d+} ---",
        r"--- SIGCHLD {si_signo=SIGCHLD, si_code=CLD_KILLED, si_pid=\d+, si_uid=0, si_status=SIGTERM, .*} ---",
        r"--- SIGTERM {si_signo=SIGTERM, si_code=SI_USER, si_pid=\d+, si_uid=0} ---\n\+\+\+ killed by SIGTERM \+\+\+",
        r"--- SIGALRM {si_signo=SIGALRM, si_code=SI_KERNEL} ---",
        r"--- SIGRT_4 {si_signo=SIGRT_4, si_code=SI_TIMER, si_timerid=0, si_overrun=0, si_int=7, si_ptr=0x7} ---",
        r"--- SIGIO {si_signo=SIGIO, si_code=POLL_IN, si_band=65, si_fd=\d+} ---",
        r"--- SIGSEGV {si_signo=SIGSEGV, si_code=SEGV_MAPERR, si_addr=0x8} ---\n\+\+\+ killed by SIGSEGV \+\+\+",
        r"--- SIGSEGV {si_signo=SIGSEGV, si_code=SI_KERNEL, si_addr=NULL} ---",
        r"--- SIGSEGV {si_signo=SIGSEGV, si_code=SEGV_ACCERR, si_addr=0x\w+000} ---",
        r"--- SIGILL {si_signo=SIGILL, si_code=ILL_\w+, si_addr=0x\w+} ---",
        r"--- SIGSYS {si_signo=SIGSYS, si_code=SYS_SECCOMP, si_errno=EIO, si_call_addr=0x\w+, "
        r"si_syscall=__NR_getppid, si_arch=AUDIT_ARCH_X86_64} ---",
    ):
        check(re.search(f"^{wanted}$", text, re.M), f"no {wanted} in\n{text[-4000:]}")
    result = trace(apus, folder, ["--events", "signal_deliver"], [command])
    events = [data(event) for event in result.named("signal_deliver")]
    always = {"sig", "handle_method", "flags", "code", "error"}
    shown = {(event["sig"], event["code"]): {name for name, value in event.items() if value is not None} - always
             for event in events}
    sender = {"handler", "sender_pid", "sender_uid"}
    for key, wanted in {
        (10, 0): sender, (12, -6): sender, (35, -1): sender | {"value"},
        (17, 1): sender | {"status", "user_time", "system_time"}, (14, 128): {"handler"},
        (36, -2): {"handler", "value", "timer", "overrun"}, (29, 1): {"handler", "band", "fd"},
        (11, 2): {"handler", "address"}, (11, 128): {"handler"},
        (31, 1): {"handler", "call_address", "syscall", "arch"},
    }.items():
        check(shown.get(key) == wanted, f"{key}: {shown.get(key)} not {wanted}")


def filtered_signals(apus, scenario, folder):
    """A field that does not apply has no value that a filter could want, in the kernel and out of it."""
    command = program(folder, "signals")
    everything = trace(apus, folder, ["--events", "signal_deliver"], [command]).named("signal_deliver")
    for text, holds in (
        ("sender_uid=0", lambda event: event["sender_uid"] == 0),
        ("sender_uid!=8", lambda event: event["sender_uid"] not in (8, None)),
        ("fd<5", lambda event: event["fd"] is not None and event["fd"] < 5),
        ("status=3", lambda event: event["status"] == 3),
        ("code=1", lambda event: event["code"] == 1),
    ):
        found = trace(apus, folder, ["--events", f"signal_deliver.data.{text}"], [command]).named("signal_deliver")
        wanted = sum(holds(data(event)) for event in everything)
        check(all(holds(data(event)) for event in found), f"{text}: {[data(event) for event in found]}")
        check(len(found) == wanted and wanted < len(everything), f"{text}: {len(found)} of {wanted}")


def killed_calls(apus, scenario, folder):
    """A call that never returns as its process is killed in it has its line, before that of the end."""
    path = f"{folder}/lines"
    script = "mkfifo fifo; cat fifo & sleep 30 & sleep 0.3; kill -KILL %1 %2; wait"
    for hooks in ("all", "each"):
        options = ["--events", "openat,clock_nanosleep,sched_process_exit,signal_deliver"]
        result = run([apus, "trace", "--hooks", hooks, "--format", f"strace:{path}", *options, "--",
                      "bash", "-c", "set -m; rm -f fifo; " + script], cwd=folder)
        check(result.status == 0 and " lost 0 " in result.err, f"{result}")
        text = "\n".join(lines(path))
        for call in (r'openat\(AT_FDCWD, "fifo", O_RDONLY\) = \? ERESTARTSYS',
                     r"clock_nanosleep\(CLOCK_REALTIME, 0, {tv_sec=30, tv_nsec=0}, .*\) = \? ERESTART_RESTARTBLOCK"):
            check(re.search(f"^{call}", text, re.M), f"{hooks}: no {call} in\n{text}")
        check(len(re.findall(r"^\+\+\+ killed by SIGKILL \+\+\+$", text, re.M)) == 2, f"{hooks}:\n{text}")
        check("--- SIGKILL" not in text, f"{hooks}: more than strace shows:\n{text}")


def summary(apus, scenario, folder):
    """Calls and errors of the table are strace's, and so are the times where a call waits."""
    check(shutil.which("strace") and shutil.which("setarch"), "strace or setarch is missing")
    script = "import os, time; time.sleep(0.2); [os.path.exists(f\"/nosuch/{n}\") for n in range(50)]"
    command = ["python3", "-S", "-E", "-c", script]
    environment = {"PATH": os.environ["PATH"], "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"}
    run(command, env=environment)  # what is read for the first time is now cached
    theirs = f"{folder}/theirs"
    check(run(["setarch", "-R", "strace", "-c", "-w", "-f", "-o", theirs, *command], env=environment).status == 0, "strace")
    their_rows = {}
    with open(theirs, encoding="ascii") as file:
        for row in map(THEIR_ROW.match, file):
            if row:
                share, seconds, _, calls, errors, name = row.groups()
                their_rows[name] = (float(share), float(seconds), int(calls), int(errors or 0))
    check(their_rows["total"][2] > 200, f"{their_rows}")
    for hooks in ("all", "auto"):
        result = run(["setarch", "-R", apus, "trace", "-c", "--hooks", hooks, "--", *command], env=environment)
        check(result.status == 0 and " lost 0 " in result.err, f"{result}")
        ours = table(result.out)
        counts = {name: row[2:4] for name, row in their_rows.items()}
        check({name: row[2:4] for name, row in ours.items()} == counts,
              f"{hooks}: {[(name, ours.get(name), counts.get(name)) for name in ours.keys() | counts.keys() if ours.get(name, (0,) * 4)[2:4] != counts.get(name)]}")
        slept = next(name for name in ours if name in ("clock_nanosleep", "select", "pselect6"))
        check(0.2 <= ours[slept][1] < 2 * their_rows[slept][1], f"{ours[slept]} {their_rows[slept]}")
        check(next(iter(ours)) == slept, f"not sorted by time: {list(ours)[:3]}")
        # strace stops each call twice.
        awake = [rows["total"][1] - rows[slept][1] for rows in (ours, their_rows)]
        check(0 < awake[0] < awake[1], f"{awake}")
        for name, (share, seconds, calls, _, times) in ours.items():
            # rt_sigreturn never comes back to where it was made.
            check((times is None) == (name == "rt_sigreturn"), f"{name}: {times}")
            if times is None:
                continue
            mean, median, nearly_all, longest = times
            check(median <= nearly_all <= longest + 0.1 and mean <= longest + 0.1, f"{name}: {times}")
            check(longest <= seconds * 1e6 + 1, f"{name}: {times} of {seconds} s")
            check(abs(share - 100 * seconds / ours["total"][1]) < 0.01, f"{name}: {share}")


def durations(apus, scenario, folder):
    """-T says how long each call took; -C has the table behind the lines, in a file where that is asked for."""
    path = f"{folder}/lines"
    command = shell("sleep 0.2; cat /nosuch 2>/dev/null; true")
    result = run([apus, "trace", "-T", "-C", "--format", f"strace:{path}", "--", *command])
    check(result.status == 0 and not result.out, f"{result}")
    rows = lines(path)
    start = rows.index(HEADER)
    calls = [row for row in rows[:start] if re.match(r"\w+\(", row)]
    untimed = [row for row in calls if not re.search(r" <\d+\.\d{6}>$", row)]
    check(all(re.match(r"(exit_group|rt_sigreturn)\(", row) for row in untimed), f"{untimed[:5]}")
    slept = [float(re.search(r"<([\d.]+)>$", row)[1]) for row in calls if row.startswith("clock_nanosleep(")]
    check(len(slept) == 1 and 0.2 <= slept[0] < 2, f"{slept}")
    check(any(row.startswith("+++ exited with 0 +++") for row in rows[:start]), "no end")
    found = table("\n".join(rows[start:]))
    counted = sum(not row.startswith("exit") for row in calls)
    check(found["total"][2] == counted, f"{found['total']} of {counted} lines")
    # Where nothing is read at entry, and only a few calls are hooked.
    result = run([apus, "trace", "-T", "--hooks", "each", "--events", "getppid,pause", "--", "python3", "-c", "import os; os.getppid()"])
    check(re.search(r"^\[pid \d+\] getppid\(\) = \d+ <0\.\d{6}>$", result.out, re.M), f"{result.out}")
    # And nowhere else.
    result = run([apus, "trace", "--format", "strace", "--", "true"])
    check(not re.search(r"<\d+\.\d{6}>$", result.out, re.M) and HEADER not in result.out, result.out[:300])


def calls_that_began_before(apus, scenario, folder):
    """Of a call in progress nobody saw the entry: it counts, and has no time."""
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=NOWHERE) as child:
        try:
            path = f"{folder}/table"
            options = ["-c", "--events", "read", "--scope", f"pid={child.pid}"]
            with Tracer(apus, folder, options, output=f"strace:{path}") as tracer:
                child.stdin.write(b"x")
                child.stdin.close()
                child.wait(10)
                result = tracer.end()
        finally:
            child.kill()
    check(result.status == 0, f"{result}")
    with open(path, encoding="ascii") as file:
        found = table(file.read())
    check(found["read"][2] == 2 and found["read"][4], f"{found}")
    # The one that waited for us took longer than all of this.
    check(found["read"][1] < 0.01, f"{found}")


def refusals(apus, scenario, folder):
    refused([apus, "trace", "-c", "--format", "json", "--", "true"], 2, "strace's form", "--format strace")
    refused([apus, "trace", "-T", "--output", "table", "--", "true"], 2, "strace's form")
    refused([apus, "trace", "-c", "-T", "--", "true"], 2, "leave out --syscall-times")
    refused([apus, "trace", "-C", "-c", "--", "true"], 2, "leave out --summary")
    result = run([apus, "trace", "-c", "--format", "strace:/dev/full", "--", "true"])
    check(result.status == 1 and "No space left" in result.err, f"{result}")


TESTS = [signals, filtered_signals, killed_calls, summary, durations, calls_that_began_before, refusals]
