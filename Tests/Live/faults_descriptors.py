"""`--enrichment fd-paths`: what descriptors are open on, compared with what strace says of them."""

import os
import re
import subprocess

from faults_strace import program
from support import check, data, run, trace

EVENTS = ("fcntl,openat,write,pread64,ftruncate,mmap,unlinkat,fchdir,dup,dup2,dup3,close,pipe,pipe2,eventfd2,epoll_create1,"
          "epoll_ctl,epoll_wait,memfd_create,timerfd_create,signalfd4,inotify_init1,socket,bind,listen,getsockname,connect,"
          "accept,socketpair,poll,pselect6,sendmsg,recvmsg,bpf,landlock_add_rule,io_submit")


def normal(lines):
    """Lines with inodes, ports and addresses of memory told by their order, as they differ from run to run, and without
    the start of the program."""
    seen = {}

    def number(match):
        return f"{match.group(1)}#{seen.setdefault(match.group(0), len(seen))}"

    found = []
    for line in lines:
        line = re.sub(r"^\[pid +\d+\] ", "", line.rstrip("\n"))
        line = re.sub(r" += ", " = ", line)
        # strace tells devices too.
        line = re.sub(r"<(?:char|block) \d+:\d+>>", ">", line)
        # What is no descriptor's.
        line = re.sub(r"data=\{u32=0, u64=0\}", "data=0", line).replace("nl_groups=00000000", "nl_groups=0")
        line = re.sub(r"(/proc/)\d+", number, line)
        line = re.sub(r"(0x7)[0-9a-f]{11}", number, line)
        line = re.sub(r"(htons\()\d+", number, line)
        line = re.sub(r"((?:127\.0\.0\.1|\[::1\]):)\d+", number, line)
        line = re.sub(r"(ROUTE:)\d+", number, line)
        line = re.sub(r"((?:\[|->))\d{3,}(?=->|,|\])", number, line)
        found.append(line)
    start = next(i for i, line in enumerate(found) if '"plain"' in line)
    return [line for line in found[start:] if not line.startswith("+++")]


def fresh(folder, name):
    path = f"{folder}/{name}"
    os.mkdir(path)
    return path


def descriptors_as_strace(apus, scenario, folder):
    """Each line of the program's is the same, but for what this says: strace knows neither a closed end nor port 0."""
    command = program(folder, "descriptors")
    place = fresh(folder, "place")
    theirs, ours = f"{folder}/theirs", f"{folder}/ours"
    subprocess.run(["strace", "-yy", "-e", f"trace={EVENTS}", "-o", theirs, command, place], stdin=subprocess.DEVNULL,
                   check=True)
    subprocess.run(["rm", "-rf", place], check=True)
    os.mkdir(place)
    result = run([apus, "trace", "--enrichment", "fd-paths", "--events", EVENTS, "--output", f"strace:{ours}", "--", command,
                  place], stdin=subprocess.DEVNULL)
    check(result.status == 0 and " lost 0 " in result.err, f"{result}")
    with open(theirs, encoding="ascii") as one, open(ours, encoding="ascii") as other:
        theirs, ours = normal(one), normal(other)
    check(len(theirs) > 120, f"{len(theirs)} lines")
    different = [f"strace: {a}\n    apus:   {b}" for a, b in zip(theirs, ours) if a != b]
    check(not different and len(theirs) == len(ours),
          f"{len(different)} of {len(theirs)} and {len(ours)} lines:\n    " + "\n    ".join(different[:20]))


def descriptors_in_json(apus, scenario, folder):
    command = program(folder, "descriptors")
    for more in ([], ["--enrichment", "decoded-data"]):
        place = fresh(folder, f"place{len(more)}")
        result = trace(apus, folder, ["--events", "openat,fcntl,dup2,pipe2,socket", "--enrichment", "fd-paths", *more],
                       [command, place])
        opened = [data(e) for e in result.named("openat") if data(e)["pathname"] == "plain"]
        check(opened[0]["dirfd"] == f"-100={place}", opened)
        check(opened[0]["returnValue"] == f"{opened[0]['returnValue'].split('=')[0]}={place}/plain", opened)
        check(opened[1]["dirfd"].endswith(f"={place}"), opened)
        failed = [data(e) for e in result.named("openat") if data(e)["pathname"] == "nosuch"]
        check([e["dirfd"] for e in failed] == [f"-100={place}/folder", f"-100={place}/folder (deleted)"], failed)
        check([e["returnValue"] for e in failed] == [-2, -2], failed)
        shown = [data(e)["fd"] for e in result.named("fcntl")]
        for name in (1000000, 0x7FFFFFFF, -1, -100):
            check(shown.count(name) == 1, f"{name} in {shown}")
        check(f"{place}/gone (deleted)" in [text.split("=", 1)[1] for text in shown if isinstance(text, str)], shown)
        pipes = [data(e)["pipefd"] for e in result.named("pipe2")]
        check(re.fullmatch(r"\d+=pipe:\[\d+\]", pipes[0][0]) and len(pipes[0]) == 2, pipes)
        copied = data(result.named("dup2")[0])
        check(copied["newfd"] == 100 and copied["returnValue"] == f"100={place}/copied", copied)
        for event in result.named("socket"):
            check(re.fullmatch(r"\d+=[\w-]+:\[\d+\]", data(event)["returnValue"]), event)
    held_in_json(apus, folder, command)
    # Nothing of it where nobody asks.
    place = fresh(folder, "unasked")
    result = trace(apus, folder, ["--events", "openat,fcntl,pipe2"], [command, place])
    check(all(isinstance(data(e)["fd"], int) for e in result.named("fcntl")), "a descriptor is no number")
    check(all(isinstance(data(e)["dirfd"], int) for e in result.named("openat")), "a descriptor is no number")
    check(all(isinstance(n, int) for e in result.named("pipe2") for n in data(e)["pipefd"]), "a pair has no numbers")


def held_in_json(apus, folder, command):
    """Descriptors in structures, where these are shown."""
    place = fresh(folder, "held")
    events = ["--events", "poll,pselect6,sendmsg,recvmsg,bpf", "--enrichment", "decoded-data"]
    result = trace(apus, folder, [*events, "--enrichment", "fd-paths"], [command, place])
    file, pipe = rf"\d+={re.escape(place)}/held", r"\d+=pipe:\[\d+\]"

    def fits(found, *wanted):
        matches = [isinstance(one, str) and re.fullmatch(pattern, one) for one, pattern in zip(found, wanted)]
        check(len(found) == len(wanted) and all(matches), f"{found} is not {wanted}")

    first, second, _ = [[one["fd"] for one in data(e)["fds"]] for e in result.named("poll")]
    check(first[2] == -1 and isinstance(second[0], int), (first, second))
    fits(first[:2] + second[1:], file, pipe, pipe)
    # What is left of the sets: nobody has written to the pipe.
    sets = data(result.named("pselect6")[0])
    fits(sets["readfds"] + sets["writefds"], file, pipe)
    sent, received = [data(result.named(name)[0])["msg"]["msg_control"][0]["cmsg_data"] for name in ("sendmsg", "recvmsg")]
    fits(sent, file, pipe)
    fits(received, file, pipe)
    check(sent[0] != received[0], (sent, received))
    maps = [field["struct"]["map_fd"] for e in result.named("bpf")[:2] for field in e["data"] if field["name"] == "attr"]
    fits(maps[:1], file)
    check(maps[1] == -1, maps)
    # Numbers where nobody asks.
    result = trace(apus, folder, events, [command, fresh(folder, "unheld")])
    for found in [one["fd"] for e in result.named("poll") for one in data(e)["fds"]] + [
            one for name in ("sendmsg", "recvmsg")
            for one in data(result.named(name)[0])["msg"]["msg_control"][0]["cmsg_data"]]:
        check(isinstance(found, int), f"{found} is no number")


def descriptors_that_are_too_many(apus, scenario, folder):
    """Of one call 64 are told, and of the others that they are not."""
    command = program(folder, "descriptors")
    place, ours = fresh(folder, "many"), f"{folder}/manylines"
    result = run([apus, "trace", "--enrichment", "fd-paths", "--events", "pselect6", "--output", f"strace:{ours}", "--",
                  command, place, "many"])
    check(result.status == 0 and " lost 0 " in result.err, f"{result}")
    with open(ours, encoding="ascii") as file:
        line = file.read()
    shown = re.findall(r"\d+<[^>]*>", re.search(r"\[(.*?)\], NULL", line)[1])
    told = [one for one in shown if one.endswith(f"<{place}/many>")]
    check(len(shown) > 80 and shown[:64] == told and all(one.endswith("<...>") for one in shown[64:]), line)


def descriptors_of_long_paths(apus, scenario, folder):
    """Of a path that is too long the beginning is shown, of one that is too deep the end."""
    command = program(folder, "descriptors")
    for depth, letters, wanted in (
        (20, 250, lambda place: (place + ("/" + "n" * 250) * 20)[:4095] + "..."),
        (600, 1, lambda place: "..." + "/n" * 511 + "/file"),
    ):
        place = fresh(folder, f"deep{letters}")
        ours = f"{folder}/lines{letters}"
        result = run([apus, "trace", "--enrichment", "fd-paths", "--events", "fcntl", "--output", f"strace:{ours}", "--",
                      command, place, str(depth), str(letters)])
        subprocess.run(["rm", "-rf", place], check=True)
        check(result.status == 0 and " lost 0 " in result.err, f"{result}")
        with open(ours, encoding="ascii") as file:
            found = re.findall(r"fcntl\(\d+<(.*)>, F_GETFD\) = 0$", file.read(), re.M)
        check(found == [wanted(place)], f"{len(found)}: {[text[:300] for text in found]}")


def descriptors_with_filters(apus, scenario, folder):
    """Filters of texts and numbers are decided as without, by the kernel and beside what descriptors add."""
    command = program(folder, "descriptors")
    for filters, count in (
        ("openat.data.pathname=nosuch", 2),
        ("openat.data.dirfd=-100,openat.data.pathname=nosuch*", 2),
        ("fcntl.data.fd=1000000", 1),
    ):
        place = fresh(folder, re.sub(r"\W", "", filters))
        events = [part for text in filters.split(",") for part in ("--events", text)]
        result = trace(apus, folder, [*events, "--enrichment", "fd-paths"], [command, place])
        check(len(result.events) == count, f"{filters}: {len(result.events)} events")


TESTS = [descriptors_as_strace, descriptors_in_json, descriptors_that_are_too_many, descriptors_of_long_paths, descriptors_with_filters]
