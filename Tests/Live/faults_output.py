"""Outputs that fail or stand still, signals, terminals; floods, counted to the digit."""

import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import termios
import threading
import time

from support import (
    NOWHERE, Failure, Tracer, Waiting, check, hostile, pid, read_events, refused, reviewed, run, shell, trace,
    wait_until)


# ---- Destinations

def unwritable_outputs(apus, scenario, folder):
    refused([apus, "trace", "--output", "json:/no/such/folder/x", "--", "true"], 1, "cannot be opened", "No such file")
    refused([apus, "trace", "--output", f"json:{folder}", "--", "true"], 1, "cannot be opened", "Is a directory")
    # A command whose output cannot be opened is not started.
    mark = os.path.join(folder, "ran")
    refused([apus, "trace", "--output", "json:/no/x", "--", "touch", mark], 1, "cannot be opened")
    check(not os.path.exists(mark), "the command ran")


def links_of_others(apus, scenario, folder):
    """Root follows its own links and nobody else's."""
    target, link = os.path.join(folder, "target"), os.path.join(folder, "link")
    os.symlink(target, link)
    reviewed(run([apus, "trace", "--events", "getppid", "--output", f"json:{link}", "--", scenario, "flood", "3"]))
    check(len(read_events(target)) == 3, "nothing came through a link of our own")
    os.remove(target)
    os.lchown(link, 65534, 65534)
    refused([apus, "trace", "--output", f"json:{link}", "--", "true"], 1, "another user")
    check(not os.path.exists(target), "the link was followed")


def two_outputs(apus, scenario, folder):
    paths = [os.path.join(folder, name) for name in ("one.json", "two.json")]
    result = reviewed(run([apus, "trace", "--events", "getppid", "--output", f"json:{paths[0]},{paths[1]}", "--output",
                           f"table:{folder}/three", "--", scenario, "flood", "1000"]))
    check([len(read_events(path)) for path in paths] == [1000, 1000], f"{result}")
    with open(f"{folder}/three", encoding="utf-8") as file:
        check(sum("getppid" in line for line in file) == 1000, "the table has other lines")
    check(os.stat(paths[0]).st_mode & 0o077 == 0, "others may read what was traced")


def full_disk(apus, scenario, folder):
    place = os.path.join(folder, "small")
    os.mkdir(place)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "none", place], check=True)
    try:
        result = run([apus, "trace", "--events", "getppid", "--output", f"json:{place}/events", "--",
                      scenario, "flood", "100000"])
        check(result.status == 1, f"{result}")
        check(len([line for line in result.err.splitlines() if "No space left" in line]) == 1, f"{result}")
        check(result.undelivered > 0, f"nothing is said to be undelivered: {result}")
        with open(f"{place}/events", "rb") as file:
            lines = file.read().count(b"\n")
        check(lines >= result.delivered, f"{lines} lines, but {result}")
    finally:
        subprocess.run(["umount", "-l", place], check=True)


def one_full_disk_of_two(apus, scenario, folder):
    """A failure of the second output is no less of one."""
    result = run([apus, "trace", "--events", "getppid", "--output", f"json:{folder}/good", "--output",
                  "json:/dev/full", "--", scenario, "flood", "2000"])
    check(result.status == 1 and "No space left" in result.err and result.undelivered > 0, f"{result}")
    check(len(read_events(f"{folder}/good")) == result.delivered, f"{result}")


def stopped_reader(apus, scenario, folder):
    """Nobody reads the pipe: the traced program goes on, and every event is counted somewhere."""
    for hooks in ("each", "all"):
        count, mark = 400000, os.path.join(folder, f"done-{hooks}")
        read, write = os.pipe()
        try:
            with Waiting(f"{scenario} flood {count} >{mark}.out; touch {mark}") as work, Tracer(
                apus, folder, ["--hooks", hooks, "--events", "getppid,-lost_events", "--buffers", "kernel.events=64",
                               "--scope", f"tree={work.pid}", "--scope", "comm=scenario"],
                output="json", stdout=write,
            ) as tracer:
                work.go()
                check(os.path.exists(mark), "the traced program did not end")
                before = time.monotonic()
                result = tracer.end(signal.SIGINT)
                check(time.monotonic() - before < 10, "it took too long to end")
        finally:
            os.close(read)
            os.close(write)
        check(result.status in (0, 1) and result.has_summary, f"{result}")
        check(result.lost > 0, f"no losses: {result}")
        whole = result.delivered + result.lost + result.undelivered
        check(whole == count, f"{hooks}: delivered + lost + undelivered is {whole}, not {count}: {result}")


def stopped_tracer(apus, scenario, folder):
    """Apus itself is stopped for a while: the traced program goes on, and the count is right after."""
    with Waiting(f"exec {scenario} flood 300000") as work, Tracer(
        apus, folder, ["--hooks", "all", "--events", "getppid,-lost_events", "--scope", f"tree={work.pid}"]
    ) as tracer:
        tracer.process.send_signal(signal.SIGSTOP)
        work.go()
        tracer.process.send_signal(signal.SIGCONT)
        result = reviewed(tracer.end(), whole=False)
        check(result.lost > 0, f"nothing was lost: {result}")
        whole = result.delivered + result.lost + result.undelivered
        check(whole == 300000, f"delivered + lost + undelivered is {whole}: {result}")


def interrupted_flood(apus, scenario, folder):
    """Ctrl-C in the middle of one, while the destination takes what it can: nothing is thrown away."""
    for _ in range(3):
        with Waiting(f"exec {scenario} flood 20000000") as work, Tracer(
            apus, folder, ["--hooks", "all", "--events", "getppid", "--scope", f"tree={work.pid}"]
        ) as tracer:
            work.process.stdin.write("go\n")
            work.process.stdin.flush()
            wait_until(lambda: os.path.getsize(tracer.path) > 8 << 20, "it has written something")
            result = tracer.end()
            work.process.kill()
        lines = sum(1 for _ in open(tracer.path, "rb"))
        os.unlink(tracer.path)
        check(lines == result.delivered and result.undelivered == 0, f"{lines} lines: {result}")


def reader_that_leaves(apus, scenario, folder):
    for form in ("json", "table"):
        result = run(["bash", "-c", f"'{apus}' trace --hooks all --events getppid --output {form} -- '{scenario}' "
                      "flood 200000 | head -1; echo ${PIPESTATUS[0]}"])
        lines = result.out.splitlines()
        check(len(lines) == 2 and lines[1] == "0" and not result.err, f"{form}: {result} {lines}")


# ---- Signals

def signals_end_it(apus, scenario, folder):
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        with Waiting(f"{scenario} flood 5000 >{folder}/flood; read more") as work, Tracer(
            apus, folder, ["--events", "getppid", "--scope", f"tree={work.pid}"]
        ) as tracer:
            work.process.stdin.write("go\n")
            work.process.stdin.flush()
            wait_until(lambda: os.path.exists(f"{folder}/flood") and os.path.getsize(f"{folder}/flood"), "the flood")
            result = reviewed(tracer.end(number))
            check(result.status == 0, f"signal {number}: {result}")
            check(len(result.events) == 5000, f"signal {number}: {len(result.events)} events: {result}")
            check(work.process.poll() is None, "the traced process was ended too")
            os.unlink(f"{folder}/flood")


def signals_reach_the_command(apus, scenario, folder):
    """One sent to apus alone goes to the command, which may tidy up; its last events arrive."""
    with Tracer(apus, folder, ["--events", "getppid", "--", *shell(
            f"trap '{scenario} flood 100 >/dev/null; exit 3' TERM; touch {folder}/on; while :; do sleep 0.1; done")]
    ) as tracer:
        wait_until(lambda: os.path.exists(f"{folder}/on"), "the command is there")
        result = reviewed(tracer.end(signal.SIGTERM))
        check(sum(event["workload"]["process"]["thread"]["name"] == "scenario" for event in result.events) == 100,
              f"{len(result.events)} events: {result}")


def second_signal_ends_at_once(apus, scenario, folder):
    with Tracer(apus, folder, ["--events", "getppid", "--", *shell(
            f"trap '' INT; echo $$ >{folder}/on; while :; do sleep 0.1; done")]) as tracer:
        wait_until(lambda: os.path.exists(f"{folder}/on") and os.path.getsize(f"{folder}/on"), "the command is there")
        with open(f"{folder}/on", encoding="utf-8") as file:
            command = int(file.read())
        try:
            tracer.process.send_signal(signal.SIGINT)
            time.sleep(0.1)
            before = time.monotonic()
            result = tracer.end(signal.SIGINT)
            check(time.monotonic() - before < 0.5 and result.status in (130, -2), f"{result}")
        finally:
            os.kill(command, signal.SIGKILL)


def killed_tracer(apus, scenario, folder):
    """Nothing stays behind, and who waits at the gate ends."""
    with Waiting("sleep 0.2") as work, Tracer(apus, folder, ["--scope", f"tree={work.pid}"]) as tracer:
        tracer.process.kill()
        check(tracer.process.wait() == -9, "it lives")
    tracer = subprocess.Popen([apus, "trace", "--output", "none", "--", "sleep", "60"], stdin=NOWHERE, stderr=NOWHERE)
    children = f"/proc/{tracer.pid}/task/{tracer.pid}/children"
    child = int(wait_until(lambda: open(children, encoding="utf-8").read().split(), "it forked")[0])
    tracer.kill()
    tracer.wait()
    wait_until(lambda: not os.path.exists(f"/proc/{child}"), "the command that was not started is gone")


def ignored_hangup(apus, scenario, folder):
    """As nohup starts it: a hangup ends neither apus nor what it runs."""
    with Tracer(apus, folder, ["--events", "getppid", "--", *shell("kill -HUP $PPID; kill -HUP $$; exit 5")],
                wrap=["nohup"]) as tracer:
        result = tracer.end(0)
        check(result.status == 5, f"{result}")


# ---- Floods

def counted(apus, scenario, folder, hooks, pages, words, count):
    """Into a file, whose disk may be slower than the flood: what is not in it is lost, to the digit."""
    buffers = ["--buffers", f"kernel.events={pages}"] if pages else []
    seen = trace(apus, folder, ["--hooks", hooks, "--events", "getppid,-lost_events", *buffers], [scenario, *words],
                 whole=False)
    check(seen.delivered + seen.lost == count, f"{hooks}: {seen.delivered} + {seen.lost} is not {count}: {seen}")
    check(not pages or seen.lost > 0, f"so small a ring lost nothing: {seen}")


def uncounted(apus, scenario, hooks, output, words, count):
    """Default buffers take the whole flood; a busy machine may need another attempt."""
    for _ in range(5):
        result = run([apus, "trace", "--hooks", hooks, "--events", "getppid,-lost_events", "--output", output, "--",
                      scenario, *words])
        check(result.delivered + result.lost == count, f"{hooks}, {output}: {result}")
        if result.lost == 0:
            return
    raise Failure(f"{hooks}, {output}: {result}")


def flood(apus, scenario, folder):
    for hooks in ("each", "all"):
        uncounted(apus, scenario, hooks, "none", ["flood", "1000000"], 1000000)
        uncounted(apus, scenario, hooks, "json:/dev/null", ["flood", "300000"], 300000)
    counted(apus, scenario, folder, "all", 0, ["flood", "1000000"], 1000000)


def flood_into_tiny_rings(apus, scenario, folder):
    for hooks in ("each", "all"):
        counted(apus, scenario, folder, hooks, 1, ["flood", "1000000"], 1000000)


def flood_of_threads(apus, scenario, folder):
    """More threads than processors leave the reader little time: only the count must be right."""
    for hooks in ("each", "all"):
        counted(apus, scenario, folder, hooks, 0, ["flood-threads", "200000", "4"], 800000)
        counted(apus, scenario, folder, hooks, 1, ["flood-threads", "200000", "4"], 800000)


def two_at_once(apus, scenario, folder):
    with Waiting(f"exec {scenario} flood 20000") as one, Waiting(f"exec {scenario} flood 30000") as two, Tracer(
        apus, folder, ["--events", "getppid", "--hooks", "each", "--scope", f"tree={one.pid}"]
    ) as first, Tracer(
        apus, folder, ["--events", "getppid", "--hooks", "all", "--scope", f"tree={two.pid}"]
    ) as second:
        threads = [threading.Thread(target=work.go) for work in (one, two)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        results = [reviewed(tracer.end()) for tracer in (first, second)]
    for result, work, count in zip(results, (one, two), (20000, 30000)):
        check(len(result.events) == count and {pid(event) for event in result.events} == {work.pid}, f"{result}")


# ---- Terminals

def on_terminal(command, columns, environment=None):
    """What a terminal of that width was sent."""
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    process = subprocess.Popen(command, stdin=NOWHERE, stdout=follower, stderr=subprocess.PIPE,
                               env={**os.environ, **(environment or {})})
    os.close(follower)
    sent = b""
    try:
        while piece := os.read(leader, 65536):
            sent += piece
    except OSError:
        pass  # the last writer has gone
    finally:
        os.close(leader)
    check(process.wait(20) == 0, f"{process.stderr.read()}")
    process.stderr.close()
    return sent.decode("utf-8").replace("\r\n", "\n")


COLOUR = re.compile("\x1b\\[[0-9;]*m")


def terminal(apus, scenario, folder):
    environment = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
    command = [apus, "trace", "--hooks", "all", "--events", "openat,prctl,sched_process_exec", "--"]
    too_wide = []
    for work in ([hostile(folder), "escapes"], [hostile(folder), "comm"]):
        for columns in (200, 120, 80, 40):
            text = on_terminal(command + work, columns)
            check(columns < 80 or COLOUR.search(text), f"a terminal of {columns} columns without colours")
            plain = COLOUR.sub("", text)
            check(not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f]", plain), f"control characters: {plain[:500]!r}")
            wide = max(plain.splitlines(), key=len)
            if len(wide) > columns:
                too_wide.append(f"{len(wide)} columns of {columns}: {wide!r}")
    check(not too_wide, "; ".join(too_wide)[:1200])
    check(COLOUR.search(on_terminal(command + ["true"], 120, {"NO_COLOR": ""})), "an empty NO_COLOR means colours")
    check("\x1b" not in on_terminal(command + ["true"], 120, {"NO_COLOR": "1"}), "NO_COLOR was not heeded")
    text = run(command + [hostile(folder), "escapes"], env=environment).out
    check("\x1b" not in text and max(map(len, text.splitlines())) > 4000, "a pipe is no terminal")


TESTS = [
    unwritable_outputs, links_of_others, two_outputs, full_disk, one_full_disk_of_two, stopped_reader, stopped_tracer,
    interrupted_flood, reader_that_leaves, signals_end_it, signals_reach_the_command, second_signal_ends_at_once,
    killed_tracer, ignored_hangup, flood, flood_into_tiny_rings, flood_of_threads, two_at_once, terminal,
]
