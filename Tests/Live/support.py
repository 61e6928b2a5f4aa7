"""What the fault tests share: running apus, reading what it wrote, and what it left behind."""

import ctypes
import errno
import functools
import json
import os
import re
import signal
import struct
import subprocess
import time

HERE = os.path.dirname(os.path.abspath(__file__))
NOWHERE = subprocess.DEVNULL
SUMMARY = re.compile(r"^apus: delivered (\d+) lost (\d+) filtered (\d+) in \d+\.\d{3} s$", re.M)
UNDELIVERED = re.compile(r"^apus: undelivered (\d+):", re.M)
LIFECYCLE = "sched_process_fork,sched_process_exec,sched_process_exit"


class Failure(Exception):
    pass


def check(holds, seen):
    if not holds:
        raise Failure(seen if isinstance(seen, str) else repr(seen))


def wait_until(holds, what, seconds=10):
    """Waits for a condition and returns its value."""
    end = time.monotonic() + seconds
    while True:
        value = holds()
        if value:
            return value
        check(time.monotonic() < end, f"waited {seconds} s until {what}")
        time.sleep(0.005)


# ---- What is attached

libc = ctypes.CDLL(None, use_errno=True)


def kernel_objects():
    """Ids of all BPF programs, maps and links, as bpftool shows them: bpf(2), BPF_*_GET_NEXT_ID."""
    found = set()
    for kind, command in (("program", 11), ("map", 12), ("link", 31)):
        number = 0
        while True:
            attributes = ctypes.create_string_buffer(struct.pack("III", number, 0, 0), 16)
            if libc.syscall(321, command, attributes, 16) < 0:
                check(ctypes.get_errno() == errno.ENOENT, f"bpf: {os.strerror(ctypes.get_errno())}")
                break
            number = struct.unpack_from("I", attributes.raw, 4)[0]
            found.add((kind, number))
    return found


def held_by_others():
    """The same of what processes outside our process group hold: another tracer at work."""
    found = set()
    for process in filter(str.isdigit, os.listdir("/proc")):
        try:
            if os.getpgid(int(process)) == os.getpgid(0):
                continue
            for descriptor in os.listdir(f"/proc/{process}/fdinfo"):
                with open(f"/proc/{process}/fdinfo/{descriptor}", encoding="utf-8") as file:
                    text = file.read()
                for kind, name in (("program", "prog"), ("map", "map"), ("link", "link")):
                    found |= {(kind, int(number)) for number in re.findall(rf"^{name}_id:\s*(\d+)", text, re.M)}
        except OSError:
            continue  # it has ended
    return found


def nothing_left(test):
    """A test, in a folder of its own, after which the kernel must hold what it held before."""

    @functools.wraps(test)
    def guarded(apus, scenario, folder):
        os.chmod(folder, 0o755)  # some tests run as other users
        folder = os.path.join(folder, test.__name__)
        os.mkdir(folder, 0o755)
        before = kernel_objects()
        try:
            test(apus, scenario, folder)
        except (KeyError, IndexError, ValueError, OSError) as error:
            raise Failure(f"{type(error).__name__}: {error}") from error
        end = time.monotonic() + 5  # it frees things after a moment
        while left := kernel_objects() - before:
            left -= held_by_others()
            check(not left or time.monotonic() < end, f"left in the kernel: {sorted(left)}")
            if not left:
                break
            time.sleep(0.01)

    return guarded


# ---- One run

class Run:
    """How a run ended: status, standard output and error; and the events, where they went to a file."""

    def __init__(self, status, out, err, path=None):
        self.status, self.out, self.err, self.path = status, out, err, path
        summary = SUMMARY.search(err)
        self.has_summary = bool(summary)
        self.delivered, self.lost, self.filtered = map(int, summary.groups()) if summary else (0, 0, 0)
        undelivered = UNDELIVERED.search(err)
        self.undelivered = int(undelivered.group(1)) if undelivered else 0

    @functools.cached_property
    def events(self):
        return read_events(self.path)

    def named(self, name):
        return [event for event in self.events if event["name"] == name]

    def __repr__(self):
        return f"status {self.status}, standard error: {self.err[:600]!r}"


def each_event(path):
    with open(path, "rb") as file:
        for line in file:
            try:
                check(line.endswith(b"\n"), f"a line is not ended: {line[-200:]!r}")
                yield json.loads(line.decode("utf-8"))
            except ValueError as error:
                raise Failure(f"no JSON: {error}: {line[:300]!r}") from error


def read_events(path):
    return list(each_event(path))


def data(event):
    """Fields of an event by name, as plain values; None for null."""
    fields = {}
    for field in event["data"]:
        values = [int(value) if key in ("int64", "u_int64") else value for key, value in field.items() if key != "name"]
        value = values[0] if values else None
        fields[field["name"]] = value.get("value", value) if isinstance(value, dict) else value
    return fields


def comm(event):
    return event["workload"]["process"]["thread"]["name"]


def pid(event):
    return event["workload"]["process"]["host_pid"]


def path_of(event):
    return event["workload"]["process"].get("executable", {}).get("path")


def shell(script):
    return ["sh", "-c", script]


def run(command, timeout=60, **options):
    options.setdefault("stdin", NOWHERE)
    result = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=timeout,
        text=True, errors="replace", **options)
    return Run(result.returncode, result.stdout, result.stderr)


def refused(command, status, *gist, **options):
    """A run that must fail with a status and one sentence that holds all the words of `gist`."""
    result = run(command, **options)
    check(result.status == status, f"{command[1:]}: wanted status {status}, got {result}")
    lines = result.err.splitlines()
    check(len(lines) == 1 and lines[0].startswith("apus: "), f"{command[1:]}: no one sentence: {result}")
    check(not result.out, f"{command[1:]}: standard output: {result.out[:300]!r}")
    for words in gist:
        check(words in lines[0], f"{command[1:]}: {words!r} is not in: {lines[0]}")
    return lines[0]


def reviewed(result, whole=True):
    """What holds of every run that ended well: all is accounted for and every line was read."""
    check(result.has_summary, f"no summary: {result}")
    for word in ("unaccounted", "malformed", "records about processes"):
        check(word not in result.err, f"{word}: {result}")
    if whole:
        check(result.lost == 0 and result.undelivered == 0, f"losses: {result}")
    if result.path:
        lines, last = 0, {}
        for event in each_event(result.path):
            stamp = event["timestamp"].rstrip("Z").ljust(30, "0")
            thread = event["workload"]["process"]["thread"]["host_tid"]
            check(stamp >= last.get(thread, ""), f"line {lines + 1} is out of its thread's order: {stamp}")
            lines, last[thread] = lines + 1, stamp
        check(lines == result.delivered, f"{lines} lines, but {result}")
    return result


def trace(apus, folder, options, command, status=0, whole=True, timeout=60, wrap=(), **more):
    """Traces a command to a JSON file; everything about the run must be in order."""
    path = os.path.join(folder, "events.json")
    line = [*wrap, apus, "trace", "--output", f"json:{path}", *options, "--", *command]
    result = run(line, timeout=timeout, **more)
    check(result.status == status, f"{options} {command}: wanted status {status}, got {result}")
    result.path = path
    return reviewed(result, whole)


class Tracer:
    """An apus that runs beside the test."""

    number = 0

    def __init__(self, apus, folder, options, output=None, wrap=(), **more):
        Tracer.number += 1
        self.path = None if output else os.path.join(folder, f"events.{Tracer.number}.json")
        more.setdefault("stdout", NOWHERE)
        more.setdefault("stdin", NOWHERE)
        self.log = os.path.join(folder, f"log.{Tracer.number}")
        with open(self.log, "w", encoding="utf-8") as log:
            self.process = subprocess.Popen(
                [*wrap, apus, "trace", "--output", output or f"json:{self.path}", *options], stderr=log, **more)

    def __enter__(self):
        """Waits until it traces: all is attached when it minds signals."""
        wait_until(self.is_ready, "apus is ready")
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def is_ready(self):
        if self.process.poll() is not None:
            return True
        with open(f"/proc/{self.process.pid}/status", encoding="utf-8") as file:
            caught = int(re.search(r"^SigCgt:\s*(\w+)", file.read(), re.M).group(1), 16)
        return caught >> (signal.SIGTERM - 1) & 1

    def error(self):
        with open(self.log, encoding="utf-8", errors="replace") as log:
            return log.read()

    def end(self, number=signal.SIGINT, timeout=10):
        """Ends it by a signal, or waits for it where that is 0."""
        if number:
            self.process.send_signal(number)
        try:
            status = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise Failure(f"not ended {timeout} s after signal {number}: {self.error()!r}") from None
        return Run(status, "", self.error(), self.path)


class Waiting:
    """A process of our own that does its work only when told to: `read` holds a shell until then, which has begun."""

    def __init__(self, script, **more):
        self.process = subprocess.Popen(
            shell(f"echo\nread go\n{script}"), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, **more)
        self.pid = self.process.pid
        # The first calls of a shell are no part of its work.
        self.process.stdout.readline()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()

    def go(self, timeout=20):
        return self.process.communicate("go\n", timeout=timeout)[0]


# ---- Programs

def hostile(folder):
    """The program that does what decent ones do not; built once."""
    program = os.path.join(os.path.dirname(folder), "hostile")
    if not os.path.exists(program):
        subprocess.run(
            ["gcc", "-static", "-O1", "-pthread", "-o", program, os.path.join(HERE, "scenarios/hostile.c")], check=True)
    return program
