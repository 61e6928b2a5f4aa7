"""`apus ps`: what it says of processes agrees with /proc, whatever they are called and wherever their programs are."""

import contextlib
import fcntl
import json
import os
import pty
import random
import re
import signal
import socket
import struct
import subprocess
import sys
import termios
import threading
import time
import unicodedata

from faults_containers import bundle, name, runc
from silent_files import KEEPER, Silent
from support import NOWHERE, check, libc, refused, run, wait_until

TICKS = os.sysconf("SC_CLK_TCK")
ODD_NAME = b"a\nb\xff\x1b[31m(x) 1"
LONGEST = b"l" * 4095


def ps(apus, *words, **options):
    """The processes as JSON, by number."""
    result = run([apus, "ps", "--json", *map(str, words)], **options)
    check(result.status == 0, f"{words}: {result}")
    lines = result.out.splitlines()
    check(lines[0] == "[" and lines[-1] == "]", f"{lines[:2]}")
    found = json.loads(result.out)
    check(len(found) == len(lines) - 2, f"{len(found)} processes on {len(lines)} lines")
    return {process["pid"]: process for process in found}


def read(process, file):
    with open(f"/proc/{process}/{file}", "rb") as opened:
        return opened.read()


def text(some):
    return some.decode("utf-8", "replace")


def stat(process):
    """Of /proc/PID/stat the state, the parent, and the start in ticks."""
    fields = read(process, "stat").rpartition(b")")[2].split()
    return fields[0].decode(), int(fields[1]), int(fields[19])


def started(process):
    """In seconds since 1970, as /proc has it."""
    boot = time.clock_gettime(time.CLOCK_REALTIME) - time.clock_gettime(time.CLOCK_BOOTTIME)
    return boot + stat(process)[2] / TICKS


def seconds(stamp):
    whole, fraction = re.fullmatch(r"(.*?)(\.\d{1,9})?Z", stamp).groups()
    return time.mktime(time.strptime(whole, "%Y-%m-%dT%H:%M:%S")) - time.timezone + float(fraction or 0)


def agrees(process, shown):
    """All that a process shows of itself."""
    state, parent, _ = stat(process)
    check(abs(seconds(shown["start_time"]) - started(process)) < 0.02, f"{process}: start {shown}")
    check(shown["parent"]["pid"] == parent and "unknown" not in shown["parent"], f"{process}: {parent} {shown}")
    check(abs(seconds(shown["parent"]["start_time"]) - started(parent)) < 0.02, f"{process}: start of the parent {shown}")
    check(shown["name"] == text(read(process, "comm")[:-1]), f"{process}: {shown['name']!r}")
    check(shown["kernel_thread"] is False and shown["source"] == "proc", f"{process}: {shown}")
    check(shown["user"]["id"] == os.stat(f"/proc/{process}").st_uid, f"{process}: {shown['user']}")
    check(shown.get("ended", False) == (state == "Z"), f"{process}: {state} {shown}")
    if state == "Z":
        return
    words = read(process, "cmdline")
    check(shown["args"] == [text(word) for word in words[:4096].removesuffix(b"\0").split(b"\0")],
          f"{process}: {str(shown['args'])[:300]}")
    check(shown.get("args_truncated", False) == (len(words) > 4096), f"{process}: {len(words)}")
    path = os.readlink(f"/proc/{process}/exe".encode())
    check(shown["executable"]["path"] == text(path.removesuffix(b" (deleted)")), f"{process}: {path} {shown}")
    check(shown["executable"].get("deleted", False) == path.endswith(b" (deleted)"), f"{process}: {path} {shown}")


@contextlib.contextmanager
def ended_after(*processes):
    """Ends processes of our own, and asks how."""
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def child(*words, ready=None, **more):
    """A program that runs until it is ended."""
    process = subprocess.Popen(list(words), stdin=NOWHERE, stdout=NOWHERE, **more)
    if ready:
        wait_until(lambda: ready(process.pid), f"{words[0]} runs")
    return process


def runs(wanted):
    return lambda process: wanted in os.readlink(f"/proc/{process}/exe")


# A name by prctl(2), children in a row, arguments as they come.
TREE = """
import ctypes, os, sys, signal
libc = ctypes.CDLL(None)
depth = int(sys.argv[1])
names = os.fsencode(sys.argv[2])
for level in range(depth):
    if os.fork():
        break
    libc.prctl(15, names)
    if level % 2 and os.fork() == 0:
        os._exit(0)  # a zombie, as nobody asks
os.write(3, b"x")
signal.pause()
"""


def a_tree_of_odd_names(apus, scenario, folder):
    depth = 8
    words = [b"-c", TREE.encode(), b"%d" % depth, ODD_NAME, b"line\nbreak", b"", b"\xff\xfe \x1b[2J", "käse".encode(), LONGEST]
    read_end, write_end = os.pipe()
    root = subprocess.Popen([sys.executable, *words], stdin=NOWHERE, start_new_session=True,
                            preexec_fn=lambda: os.dup2(write_end, 3), pass_fds=[3])
    os.close(write_end)
    try:
        for _ in range(depth + 1):
            check(os.read(read_end, 1) == b"x", "the tree grows")
        above = [process for process in ps(apus).values()]
        found = ps(apus, root.pid)
        below = {process for process in found if os.getpgid(process) == root.pid}
        check(len(below) == depth + 1 + depth // 2, f"{len(below)} of the tree: {found.keys()}")
        for process in below:
            agrees(process, found[process])
        odd = text(ODD_NAME[:15])
        check(sum(found[process]["name"] == odd for process in below) >= depth, f"{[p['name'] for p in found.values()]}")
        check(sum(found[process].get("ended", False) for process in below) == depth // 2, f"{found}")
        check(all(found[process]["args_truncated"] for process in below if "args" in found[process]), "long arguments")
        # Those above, from the root down, and nobody else.
        process, line = root.pid, []
        while process:
            line.insert(0, process)
            process = stat(process)[1]
        check(list(found)[:len(line)] == line, f"{line}: {list(found)}")
        check(set(found) == below | set(line), f"{set(found) - below - set(line)}")
        depths = {process["pid"]: process["depth"] for process in found.values()}
        for process in found.values():
            parent = process["parent"]
            check(process["depth"] == (depths[parent["pid"]] + 1 if parent else 0), f"{process}")
        check({process["pid"] for process in above} >= below, "all of the tree among all")
        # Nothing in a table breaks a line or a terminal.
        table = subprocess.run([apus, "ps", str(root.pid)], stdout=subprocess.PIPE, stdin=NOWHERE, check=True).stdout
        check(table.count(b"\n") == len(found) + 1, f"{table[:2000]}")
        check(all(byte >= 32 or byte == 10 for byte in table) and b"\x7f" not in table, f"{table[:2000]}")
        check(b"a\\nb\xef\xbf\xbd\\x1b[31m" in table, f"{table[:2000]}")
        table.decode("utf-8")
    finally:
        os.killpg(root.pid, signal.SIGKILL)
        root.wait()
        os.close(read_end)


def programs_that_are_no_files(apus, scenario, folder):
    """memfd_create(2), a removed file, and one with a name that looks like it."""
    busybox = open("/bin/busybox", "rb").read()
    memory = os.memfd_create("sec ret\n", 0)
    os.write(memory, busybox)
    paths = [os.path.join(folder, file) for file in ("gone", "replaced", "here")]
    for path in paths:
        with open(path, "wb") as file:
            file.write(busybox)
        os.chmod(path, 0o755)
    in_memory = child("sleep", "100", executable=f"/proc/self/fd/{memory}", pass_fds=[memory], ready=runs("/memfd:"))
    others = [child("sleep", "100", executable=path, ready=runs(path)) for path in paths]
    with ended_after(in_memory, *others):
        os.unlink(paths[0])
        os.rename(paths[1], paths[1] + ".old")
        found = ps(apus, in_memory.pid, *(process.pid for process in others))
        agrees(in_memory.pid, found[in_memory.pid])
        check(found[in_memory.pid]["executable"] == {"path": "/memfd:sec ret\n", "deleted": True, "memfd": True},
              f"{found[in_memory.pid]}")
        wanted = [{"path": paths[0], "deleted": True}, {"path": paths[1] + ".old"}, {"path": paths[2]}]
        check([found[process.pid]["executable"] for process in others] == wanted, f"{found}")
        table = run([apus, "ps", str(in_memory.pid), str(others[0].pid)]).out
        check(re.search(r"─\S+ /memfd:sec ret\\n \(memfd\) 100$", table, re.M), table)
        check(f"─gone {paths[0]} (deleted) 100\n" in table, table)
    os.close(memory)


def containers(apus, scenario, folder):
    place = bundle(folder, "sh", "-c", "sleep 100 & exec sleep 101")
    number = 7
    process = subprocess.Popen(runc(place, number), stdin=NOWHERE)
    try:
        def inside():
            return {pid: shown for pid, shown in ps(apus).items() if shown.get("args", [])[:1] == ["sleep"]
                    and shown.get("container", {}).get("id") == name(number)}

        wait_until(lambda: len(inside()) == 2, "both run in the container")
        found = inside()
        wanted = {"id": name(number), "name": name(number), "started": True}
        check(all(shown["container"] == wanted for shown in found.values()), f"{found}")
        check("container" not in ps(apus, process.pid)[process.pid], "runc itself is outside")
        for word in (name(number), name(number)[:-1]):
            only = ps(apus, "--container", word)
            check(set(only) == set(found), f"{word}: {only}")
        for pid, shown in found.items():
            agrees(pid, shown)
        table = run([apus, "ps", "--container", name(number)]).out.splitlines()
        check(len(table) == 3 and all(re.match(rf"\d+ +root +\S+ +{name(number)} ", line) for line in table[1:]), f"{table}")
        check(table[2].split()[4].startswith("└─sleep"), f"{table}")
        refused([apus, "ps", "--container", "no-such-container"], 1, "no-such-container")
    finally:
        run(["runc", "kill", name(number), "KILL"])
        process.wait(10)
        run(["runc", "delete", "--force", name(number)])


def a_socket_that_hangs(apus, scenario, folder):
    """Who asks for names waits two seconds in all, and is told who did not answer."""
    group = f"/sys/fs/cgroup/unified/apus-ps-{os.getpid()}"
    if not os.path.isdir("/sys/fs/cgroup/unified"):
        group = f"/sys/fs/cgroup/apus-ps-{os.getpid()}"
    identity = "%064x" % random.Random(os.getpid()).getrandbits(256)
    groups = [group, f"{group}/docker-{identity}.scope"]
    for path in groups:
        os.mkdir(path)
    listener = socket.socket(socket.AF_UNIX)
    os.mkdir(f"{folder}/run")
    listener.bind(f"{folder}/run/docker.sock")
    listener.listen(16)
    process = child("sleep", "100")
    try:
        with ended_after(process):
            with open(f"{groups[1]}/cgroup.procs", "w", encoding="utf-8") as file:
                file.write(str(process.pid))
            begun = time.monotonic()
            result = run(["unshare", "-m", "--propagation", "private", "sh", "-c",
                          "mount --bind $1/run /run && exec $2 ps --json $3", "sh", folder, apus, str(process.pid)])
            took = time.monotonic() - begun
            check(result.status == 0 and 1 < took < 4, f"{took} s: {result}")
            shown = {process["pid"]: process for process in json.loads(result.out)}[process.pid]
            check(shown["container"] == {"id": identity, "started": True} and shown["runtime"] == "docker", f"{shown}")
            lines = result.err.splitlines()
            check(len(lines) == 1 and lines[0].startswith("apus: /run/docker.sock did not answer"), f"{lines}")
            # Without a socket nobody waits.
            begun = time.monotonic()
            result = run([apus, "ps", "--container", identity[:12]])
            check(time.monotonic() - begun < 1 and f" docker:{identity[:12]} " in result.out, f"{result} {result.out}")
            check(not result.err, result.err)
    finally:
        listener.close()
        for path in reversed(groups):
            wait_until(lambda: not open(f"{path}/cgroup.procs", encoding="utf-8").read(), "the group is empty")
            os.rmdir(path)


def a_process_that_keeps_its_memory_locked(apus, scenario, folder):
    """Who reads /proc/PID/cmdline of such a one waits for ever; `apus ps` does not."""
    os.mkdir(f"{folder}/silent")
    silent = Silent(f"{folder}/silent")
    process = subprocess.Popen([sys.executable, "-c", KEEPER, f"{folder}/silent/file"], stdin=subprocess.PIPE)
    try:
        check(silent.reading.wait(10), "the page is asked for")
        process.stdin.write(b"x")
        process.stdin.flush()

        def is_locked():
            with subprocess.Popen(["cat", f"/proc/{process.pid}/cmdline"], stdout=NOWHERE) as other:
                try:
                    other.wait(0.3)
                    return False
                except subprocess.TimeoutExpired:
                    other.kill()
                    return True

        wait_until(is_locked, "its memory is locked")
        later = child("sleep", "100", ready=runs("sleep"))
        with ended_after(later):
            begun = time.monotonic()
            result = run([apus, "ps", "--json", str(process.pid), str(later.pid)])
            took = time.monotonic() - begun
            check(result.status == 0 and took < 3, f"{took} s: {result}")
            found = {shown["pid"]: shown for shown in json.loads(result.out)}
            check("args" not in found[process.pid] and found[process.pid]["name"].startswith("python"), f"{found[process.pid]}")
            agrees(later.pid, found[later.pid])
            lines = result.err.splitlines()
            check(len(lines) == 1 and f"arguments of {process.pid} could not be read" in lines[0], f"{lines}")
    finally:
        process.kill()
        silent.end()
        process.wait(10)
        process.stdin.close()


def wrong_words(apus, scenario, folder):
    gone = child("true")
    gone.wait()
    refused([apus, "ps", str(gone.pid)], 1, f"no process {gone.pid}")
    refused([apus, "ps", str(os.getpid()), str(gone.pid)], 1, f"no process {gone.pid}")
    for word in ("x", "-1", "0", "1.5", "99999999999"):
        refused([apus, "ps", *(["--json"] if word[0] != "-" else []), word], 2, word)
    refused([apus, "ps", "--", "true"], 2, "PIDs")
    refused([apus, "ps", "--container"], 2, "--container")
    result = run([apus, "ps"], stdin=NOWHERE)
    check(result.status == 0 and not result.err, f"{result}")
    with open("/dev/full", "w", encoding="utf-8") as full:
        result = subprocess.run([apus, "ps"], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    check(result.returncode == 1 and "standard output" in result.stderr, f"{result}")


def a_list_without_root(apus, scenario, folder):
    """All that can be seen, and one note."""
    result = run(["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", apus, "ps", "--json"])
    check(result.status == 0, f"{result}")
    lines = result.err.splitlines()
    check(len(lines) == 1 and lines[0].startswith("apus: ") and "root" in lines[0], f"{lines}")
    found = {process["pid"]: process for process in json.loads(result.out)}
    own = found[os.getpid()]
    check(own["parent"]["pid"] == os.getppid() and "executable" not in own and own["args"], f"{own}")
    names = {process["user"].get("name") for process in found.values()}
    check({"root", "nobody"} <= names, f"{names}")


def kernel_threads(apus, scenario, folder):
    shown, all_of_them = ps(apus), ps(apus, "--all")
    check(not any(process["kernel_thread"] for process in shown.values()), "threads of the kernel are hidden")
    threads = {pid: process for pid, process in all_of_them.items() if process["kernel_thread"]}
    check(threads[2]["name"] == "kthreadd" and threads[2]["parent"] is None, f"{threads.get(2)}")
    check(all("executable" not in thread and "args" not in thread for thread in threads.values()), f"{threads}")
    stable = [pid for pid in threads if pid > 2 and os.path.exists(f"/proc/{pid}")]
    check(len(stable) > 10 and all(threads[pid]["parent"]["pid"] == 2 for pid in stable), f"{threads}")


def parents(apus, scenario, folder):
    """Of a thousand processes while others come and go; those whose parents ended, too."""
    libc.prctl(36, 1, 0, 0, 0)  # orphans come to us: PR_SET_CHILD_SUBREAPER
    stop = threading.Event()

    def churn():
        while not stop.is_set():
            subprocess.run(["true"], check=False)

    script = "for i in 1 2 3 4 5 6 7 8 9 10; do (for j in 1 2 3 4 5 6 7 8 9; do sleep 100 & done; exec sleep 100) & done\n" \
        "exec sleep 100"
    roots = [child("sh", "-c", script, start_new_session=True) for _ in range(10)]
    thread = threading.Thread(target=churn)
    thread.start()
    try:
        sessions = {root.pid for root in roots}

        def own():
            found = set()
            for process in filter(str.isdigit, os.listdir("/proc")):
                with contextlib.suppress(OSError):
                    if os.getsid(int(process)) in sessions and read(process, "comm") == b"sleep\n":
                        found.add(int(process))
            return found

        wait_until(lambda: len(own()) == 1010, "all sleep", 30)
        # Their parents end: they come to us.
        for root in roots[:3]:
            os.kill(root.pid, signal.SIGKILL)
        time.sleep(0.1)
        for _ in range(3):
            begun = time.monotonic()
            found = ps(apus)
            took = time.monotonic() - begun
            check(took < 5, f"{took} s")
            wanted = {process for process in own() if stat(process)[0] != "Z"}
            check(len(wanted) == 1007 and wanted <= set(found), f"{len(wanted)}, missing {wanted - set(found)}")
            for process in wanted:
                check(found[process]["parent"].get("pid") == stat(process)[1], f"{process}: {found[process]}")
                check("unknown" not in found[process]["parent"], f"{found[process]}")
        adopted = sum(found[process]["parent"]["pid"] == os.getpid() for process in wanted)
        check(adopted == 37, f"{adopted} came to us")
    finally:
        stop.set()
        thread.join()
        for root in roots:
            with contextlib.suppress(OSError):
                os.killpg(root.pid, signal.SIGKILL)
        for root in roots:
            root.wait()
        libc.prctl(36, 0, 0, 0, 0)
        with contextlib.suppress(ChildProcessError):
            while True:
                os.waitpid(-1, 0)


def a_parent_outside(apus, scenario, folder):
    """Who came into a pid namespace from outside has a parent of which nothing is known there."""
    first = child("unshare", "--pid", "--fork", "--mount-proc", "--kill-child", "sleep", "100")
    with ended_after(first):
        def inside():
            below = read(first.pid, f"task/{first.pid}/children").split()
            return below and runs("sleep")(int(below[0])) and below[0].decode()

        enter = ["nsenter", "--target", wait_until(inside, "it sleeps"), "--pid", "--mount"]
        result = run([*enter, apus, "ps", "--json"])
        check(result.status == 0 and not result.err, f"{result}")
        found = {process["pid"]: process for process in json.loads(result.out)}
        check(len(found) == 2 and found.pop(1)["parent"] is None, f"{found}")
        for process in found.values():
            check(process["parent"] == {"unknown": True} and process["depth"] == 0, f"{process}")
        table = run([*enter, apus, "ps"]).out
        check(re.search(r" sleep /\S*/sleep 100\n.* \?─apus ", table), table)


def terminals(apus, scenario, folder):
    """Lines are as long as a terminal is wide at most, in its columns."""
    process = child("bash", "-c", "exec -a \"$0\" sleep 100", "漢字 " * 200 + "\x1b[31m", ready=runs("sleep"))

    def shown(columns):
        manager, terminal = pty.openpty()
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        ours = subprocess.Popen([apus, "ps", str(process.pid)], stdin=NOWHERE, stdout=terminal)
        os.close(terminal)
        out = b""
        with contextlib.suppress(OSError):  # at its end
            while piece := os.read(manager, 65536):
                out += piece
        check(ours.wait(10) == 0, f"{columns}")
        os.close(manager)
        out = out.decode().replace("\x1b[1m", "").replace("\x1b[0m", "")
        check("\x1b" not in out, out)
        return out.splitlines()

    with ended_after(process):
        for columns in (20, 80, 160):
            lines = shown(columns)
            ours = [line for line in lines if line.startswith(f"{process.pid} ")][0]
            widths = [sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in line) for line in lines]
            check(max(widths) <= columns and len(lines) > 2, f"{columns}: {widths} {lines}")
            check(ours.endswith("…"), ours)
            check(lines[0].startswith("PID"), f"{lines[0]}")


TESTS = [
    a_tree_of_odd_names, programs_that_are_no_files, containers, a_socket_that_hangs,
    a_process_that_keeps_its_memory_locked, wrong_words, a_list_without_root, kernel_threads, parents, a_parent_outside,
    terminals,
]
