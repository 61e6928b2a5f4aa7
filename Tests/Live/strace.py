#!/usr/bin/env python3
"""Agreement with strace: the same commands under both, compared call by call and argument by argument.

Alone (`strace.py [-n COUNT] [COMMAND...]`, with APUS naming the binary) it prints the agreement for each command and
what differs most; as a live test it fails below the bar.
"""

import contextlib
import glob
import http.server
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time

import strace_words
from support import Failure, check, run

HERE = os.path.dirname(os.path.abspath(__file__))
PROGRAMS = os.path.join(HERE, "strace_corpus")

# Percent of calls that must be the same; and of calls that only one run had, as for timing, how many may be.
BAR, ALONE_LIMIT = 99.0, 5.0

# What strace_corpus/signals.c and its children take.
SIGNALS = 19

# How much both show of a text.
BYTES = 4096

# -v shows structures whole. Environments and directories are told by their size, as ours are.
OPTIONS = ["-ff", "-v", "-s", str(BYTES), "-e", "abbrev=execve,execveat,getdents,getdents64"]


class Command:
    """A command of the corpus: what it runs and the programs that it needs."""

    def __init__(self, name, script, *needs, program=None):
        self.name, self.script, self.needs, self.program = name, script, needs, program


def python(text):
    return f"exec {sys.executable} -c '{text}'"


CORPUS = [
    Command("ls", "exec ls -laR tree", "ls"),
    Command("cp", "exec cp -a tree copy", "cp"),
    Command("tar", "tar -cf tree.tar tree; mkdir out; exec tar -xf tree.tar -C out", "tar"),
    Command("git", "git init -q repository; cd repository; cp -r ../tree .; git add .; git commit -qm one; "
                   "git status --short; exec git log --stat", "git"),
    Command("python3", python(
        "import json, os, subprocess, tempfile, socket\n"
        "with tempfile.TemporaryDirectory(dir=\".\") as d:\n"
        "    open(os.path.join(d, \"x\"), \"w\").write(json.dumps(dict(os.environ)))\n"
        "    os.rename(os.path.join(d, \"x\"), os.path.join(d, \"y\"))\n"
        "    os.utime(os.path.join(d, \"y\"), (1, 2)); os.chmod(os.path.join(d, \"y\"), 0o640)\n"
        "print(subprocess.run([\"true\"]).returncode, socket.gethostname())\n")),
    Command("curl", "exec curl -s -o page http://127.0.0.1:PORT/tree/one.c", "curl"),
    Command("make", "exec make -C tree -s", "make", "gcc"),
    Command("ip", "ip address show dev lo; ip route show; exec ip link show dev lo", "ip"),
    Command("ps", "exec unshare --pid --fork --mount-proc ps aux", "ps", "unshare"),
    Command("find", "exec find tree -newer tree/one.c -name '*.c' -size -9 -exec wc -c {} +", "find"),
    Command("threads", "exec ../threads", "gcc", program="threads"),
    Command("server", "exec ../server", "gcc", program="server"),
    Command("commands", "exec ../commands", "gcc", program="commands"),
    Command("signals", "exec ../signals", "gcc", program="signals"),
    Command("calls", "exec ../calls", "gcc", program="calls"),
]


def make_tree(folder):
    """Files that the commands work on, the same each time."""
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(os.path.join(folder, "tree/deep/deeper"))
    files = {
        "one.c": "int one(void) { return 1; }\n",
        "two.c": "int one(void);\nint main(void) { return one() - 1; }\n",
        "Makefile": "all: two\ntwo: one.o two.o\n\t$(CC) -o $@ $^\nclean:\n\trm -f *.o two\n",
        "deep/three \u00e9.c": "/* three */\n" * 1000,
        "deep/deeper/four.txt": "four\n" * 20000,
    }
    for name, text in files.items():
        with open(os.path.join(folder, "tree", name), "w", encoding="utf-8") as file:
            file.write(text)
    os.symlink("one.c", os.path.join(folder, "tree/link"))
    os.chmod(os.path.join(folder, "tree/two.c"), 0o600)
    for at, names, others in os.walk(os.path.join(folder, "tree")):
        for name in [*names, *others]:
            os.utime(os.path.join(at, name), (1600000000, 1600000000), follow_symlinks=False)
    os.utime(os.path.join(folder, "tree/one.c"), (1500000000, 1500000000))


@contextlib.contextmanager
def web_server(folder):
    """Serves a folder on loopback; gives the port."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments):
            super().__init__(*arguments, directory=folder)

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def missing(command):
    return [need for need in ("strace", "setarch", *command.needs) if not shutil.which(need)]


def traced(tracer, command, folder, port, **more):
    """Runs one command in a fresh tree; without random addresses, so that less needs to be made the same."""
    work = os.path.join(folder, "work")
    make_tree(work)
    environment = {
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": folder, "LC_ALL": "C.UTF-8", "PYTHONHASHSEED": "0",
        "PYTHONDONTWRITEBYTECODE": "1", "TMPDIR": work,
        "GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@a", "GIT_AUTHOR_DATE": "1600000000 +0000",
        "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@a", "GIT_COMMITTER_DATE": "1600000000 +0000",
        "GIT_PAGER": "cat",
    }
    script = command.script.replace("PORT", str(port))
    return run(["setarch", "-R", *tracer, "sh", "-c", script], cwd=work, env=environment, timeout=120, **more)


def strace_lines(path):
    """Threads in the order in which they began: each has a file of its own, so no line is in two parts."""
    files = glob.glob(f"{path}.*")
    for file in sorted(files, key=lambda name: int(name.rsplit(".", 1)[1])):
        with open(file, encoding="utf-8", errors="replace") as lines:
            for line in lines:
                yield int(file.rsplit(".", 1)[1]), line.rstrip("\n")


def apus_lines(path):
    with open(path, encoding="utf-8", errors="replace") as lines:
        for line in lines:
            found = re.match(r"\[pid +(\d+)\] (.*)", line)
            check(found, f"no line of strace's form: {line[:200]!r}")
            yield int(found[1]), found[2]


def agreement(apus, command, folder, port):
    """Runs a command under both and compares."""
    folder = os.path.join(folder, f"strace-{command.name}")
    os.mkdir(folder)
    if command.program:
        source = os.path.join(PROGRAMS, f"{command.program}.c")
        subprocess.run(["gcc", "-O1", "-pthread", "-o", os.path.join(folder, command.program), source], check=True)
    since = int(time.time()) - 1
    plain = traced([], command, folder, port)  # what is read for the first time is now cached, and its access noted
    theirs, ours = os.path.join(folder, "theirs"), os.path.join(folder, "ours")
    with_strace = traced(["strace", *OPTIONS, "-o", theirs], command, folder, port)
    with_apus = traced([apus, "trace", "--enrichment", f"payload={BYTES}", "--format", f"strace:{ours}", "--"], command, folder, port)
    ends = [plain, with_strace, with_apus]
    check(all(end.status == 0 for end in ends), f"{command.name}: {ends}")
    check("lost 0 " in with_apus.err, f"{command.name}: {with_apus.err}")
    result = strace_words.Agreement()
    result.compare_sides(
        strace_words.Side(strace_lines(theirs), strace_words.STRACE, since),
        strace_words.Side(apus_lines(ours), [], since))
    return result


def agrees_with_strace(apus, _scenario, folder):
    """At least 99 of 100 calls are the same; prints what was not run and the percentages."""
    check(not (found := strace_words.mistaken()), f"the comparison is mistaken: {found}")
    whole = strace_words.Agreement()
    with web_server(folder) as port:
        make_tree(folder)
        for command in CORPUS:
            if absent := missing(command):
                print(f"        {command.name}: not run, as {', '.join(absent)} is missing")
                continue
            part = agreement(apus, command, folder, port)
            print(f"        {command.name}: {part.percent():.2f} percent of {part.calls} calls; "
                  f"{part.alone} in one run only")
            whole.add(part)
            if command.name == "signals":
                check((part.signals, part.equal_signals) == (SIGNALS, SIGNALS),
                      f"{part.equal_signals} of {part.signals} signals are the same, of {SIGNALS}")
    check(whole.calls >= 1000, f"only {whole.calls} calls were compared")
    check(whole.percent() >= BAR, f"{whole.percent():.2f} percent of {whole.calls} calls are the same")
    check(whole.alone <= whole.calls * ALONE_LIMIT / 100, f"{whole.alone} of {whole.calls} calls in one run only")


TESTS = [agrees_with_strace]


def show(whole, count):
    for (name, place), found in sorted(whole.differences.items(), key=lambda item: -len(item[1]))[:count]:
        theirs, ours, their_line, our_line = found[0]
        print(f"\n{len(found)} times {name}, argument {place}\n  strace {theirs}\n  apus   {ours}")
        if os.environ.get("LINES"):
            print(f"  {their_line}\n  {our_line}")


def main():
    names, count = sys.argv[1:], 30
    if names[:1] == ["-n"]:
        count, names = int(names[1]), names[2:]
    apus = os.environ.get("APUS", os.path.join(HERE, "../../.build/release/apus"))
    whole = strace_words.Agreement()
    with tempfile.TemporaryDirectory(prefix="apus-strace-") as folder, web_server(folder) as port:
        make_tree(folder)
        for command in CORPUS:
            if names and command.name not in names:
                continue
            if absent := missing(command):
                print(f"{command.name}: not run, as {', '.join(absent)} is missing")
                continue
            try:
                part = agreement(apus, command, folder, port)
            except Failure as failure:
                print(f"{command.name}: {failure}")
                continue
            print(f"{command.name:8} {part.percent():6.2f} percent of {part.calls} calls, "
                  f"{part.equal_arguments} of {part.arguments} arguments; {part.alone} in one run only")
            whole.add(part)
    print(f"in all   {whole.percent():6.2f} percent of {whole.calls} calls, "
          f"{100 * whole.equal_arguments / max(1, whole.arguments):.2f} percent of {whole.arguments} arguments; "
          f"{whole.alone} in one run only")
    show(whole, count)


if __name__ == "__main__":
    main()
