"""SHA-256 of programs, on request: right, or not there."""

import hashlib
import os
import shutil
import subprocess

from support import check, comm, data, hostile, shell, trace

HASHES = ["--events", "sched_process_exec", "--enrichment", "executable-hash"]
BUSYBOX = shutil.which("busybox") or "/bin/busybox"


def digest(path):
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def executions(apus, folder, command, status=0, options=()):
    """Of each execution its path and its hash, in order."""
    seen = trace(apus, folder, [*HASHES, *options], command, status=status)
    return [(data(event)["pathname"], data(event).get("sha256")) for event in seen.events]


def hashes_of_programs(apus, scenario, folder):
    programs = ["/bin/ls", "/bin/cat", "/usr/bin/env", "/bin/true", BUSYBOX]
    script = "; ".join(f"{program} --help" for program in programs)
    found = executions(apus, folder, shell(f"({script}) >/dev/null 2>&1; true"))
    real = [os.path.realpath(path) for path in ["/bin/sh", *programs]]
    check(found == [(path, digest(path)) for path in real], f"{found}")
    # In each mode the same, and with none nothing.
    for mode in ("inode", "dev-inode", "digest-inode"):
        again = executions(apus, folder, ["/bin/true"], options=["--enrichment", f"executable-hash.mode={mode}"])
        check(again == [(os.path.realpath("/bin/true"), digest("/bin/true"))], f"{mode}: {again}")


def no_hash_unless_asked(apus, scenario, folder):
    for options in ([], ["--enrichment", "executable-hash", "--enrichment", "executable-hash.mode=none"]):
        seen = trace(apus, folder, ["--events", "sched_process_exec", *options], ["/bin/ls", "/"])
        check(len(seen.events) == 1, f"{seen}")
        with open(seen.path, encoding="utf-8") as file:
            check("sha256" not in file.read(), f"{options}")


def hash_of_a_script(apus, scenario, folder):
    """The program is the interpreter, and so the hash is its."""
    path = os.path.join(folder, "script")
    with open(path, "w", encoding="utf-8") as file:
        file.write("#!/bin/sh\nexit 6\n")
    os.chmod(path, 0o755)
    found = executions(apus, folder, [path], status=6)
    check(found == [(os.path.realpath("/bin/sh"), digest("/bin/sh"))], f"{found}")


def copy(folder, name, more=b""):
    """A program like no other: it runs what its first argument says, as its name begins so."""
    path = os.path.join(folder, f"busybox-{name}")
    shutil.copy(BUSYBOX, path)
    if more:
        with open(path, "ab") as file:
            file.write(more)
    return path


# Runs a program until it is told to go on, does something once it runs, and then lets it go.
WHILE_IT_RUNS = """
mkfifo $0/runs $0/go
while_it_runs() { "$1" sh -c "echo >$0/runs; read x <$0/go" & read x <$0/runs; shift; "$@"; echo >$0/go; wait; }
"""


def hashes_of_what_is_deleted(apus, scenario, folder):
    """Its name is gone as soon as it runs."""
    known = {}
    for number in range(20):
        path = copy(folder, f"deleted-{number}", b"d%d" % number)
        known[path] = digest(path)
    words = WHILE_IT_RUNS + "for i in $(seq 0 19); do while_it_runs $0/busybox-deleted-$i rm $0/busybox-deleted-$i; done"
    found = [pair for pair in executions(apus, folder, [*shell(words), folder]) if pair[0] in known]
    check([path for path, _ in found] == list(known), f"{found}")
    # To be deleted is a change of the inode, after which it is not believed to be the same: so there may be none.
    check(all(hash in (known[path], None) for path, hash in found), f"{found}")


def hashes_of_what_is_replaced(apus, scenario, folder):
    path, other = copy(folder, "replaced", b"r"), copy(folder, "other", b"o")
    known, later = digest(path), digest(other)
    found = executions(apus, folder, [
        *shell(f"{WHILE_IT_RUNS} while_it_runs {path} mv {other} {path}; {path} true"), folder])
    found = [hash for shown, hash in found if shown == path]
    check(len(found) == 2 and found[0] in (known, None) and found[1] == later, f"{known} {later} {found}")
    # Written over, at its place, and as long as before: nothing but times says so.
    last = os.path.getsize(path) - 1
    found = executions(apus, folder, shell(
        f"{path} true; printf x | dd of={path} bs=1 seek={last} conv=notrunc status=none; {path} true"))
    found = [hash for shown, hash in found if shown == path]
    check(len(found) == 2 and found[0] in (later, None) and found[1] == digest(path), f"{later} {digest(path)} {found}")


def hash_of_what_ended(apus, scenario, folder):
    """There is nothing that could be read any more, or it was read before."""
    for words, name, status in (([scenario, "apus"], "memfd:apus", 2), ([BUSYBOX, "busybox"], "memfd:busybox", 127)):
        found = executions(apus, folder, [hostile(folder), "memfd", *words], status=status)[1:]
        check(found in ([(name, digest(words[0]))], [(name, None)]), f"{found}")
    path = copy(folder, "unlinked", b"u")
    # Its end stays as it is, as the copy is no longer.
    right = digest(path)
    found = executions(apus, folder, [hostile(folder), "deleted", BUSYBOX, path], status=127)[1:]
    check(found in ([(path, right)], [(path, None)]), f"{found}")


def hash_of_a_memory_file(apus, scenario, folder):
    """One that runs on."""
    script = ("import os; m = os.memfd_create('held'); os.write(m, open(%r, 'rb').read()); "
              "os.execve(m, ['sleep', '1'], {})" % BUSYBOX)
    found = executions(apus, folder, ["python3", "-c", script])[-1:]
    check(found == [("memfd:held", digest(BUSYBOX))], f"{found}")


# Ends at once. Small, so that it is not the speed of hashing that is tested.
SMALLEST = 'asm(".globl _start\\n_start: mov $60, %eax\\n xor %edi, %edi\\n syscall");\n'


def short_lived_hashes(apus, scenario, folder):
    """Two hundred programs, each different: the hash is right or not there, and almost always there."""
    program, known = os.path.join(folder, "smallest"), {}
    subprocess.run(["gcc", "-x", "c", "-static", "-nostdlib", "-o", program, "-"], input=SMALLEST, text=True, check=True)
    for number in range(200):
        path = os.path.join(folder, f"program{number}")
        shutil.copy(program, path)
        with open(path, "ab") as file:
            file.write(b"%d" % number)
        known[path] = digest(path)
    found = executions(apus, folder, shell(f"for i in $(seq 0 199); do {folder}/program$i; done"))
    ours = [(path, hash) for path, hash in found if path in known]
    check([path for path, _ in ours] == list(known), f"{len(ours)}")
    check(all(hash in (known[path], None) for path, hash in ours), f"{[path for path, hash in ours if hash != known[path]]}")
    there = sum(hash is not None for _, hash in ours)
    check(there >= 190, f"{there} of 200 have a hash")


def filters_by_hash(apus, scenario, folder):
    """Only what has the hash comes through, or all but that."""
    wanted = digest("/bin/true")
    for filter, names in ((f"={wanted}", {"true"}), (f"={wanted[:-1]}*", {"true"}), ("=0*,1*,x*", None),
                          (f"!={wanted}", {"sh", "ls"})):
        seen = trace(apus, folder, ["--events", f"sched_process_exec.data.sha256{filter}", "--enrichment", "executable-hash"],
                     shell("ls / >/dev/null; true; /bin/true; ls / >/dev/null"))
        if names:
            check({comm(event) for event in seen.events} == names, f"{filter}: {[comm(event) for event in seen.events]}")
        else:
            check(all(data(event)["sha256"][0] in "01" for event in seen.events), f"{filter}")
    # Without it no event has the hash.
    check(not trace(apus, folder, ["--events", f"sched_process_exec.data.sha256={wanted}"], shell("/bin/true")).events,
          "a hash that nobody asked for")


TESTS = [
    hashes_of_programs, no_hash_unless_asked, hash_of_a_script, hashes_of_what_is_deleted,
    hashes_of_what_is_replaced, hash_of_what_ended, hash_of_a_memory_file, short_lived_hashes, filters_by_hash,
]
