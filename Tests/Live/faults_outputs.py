"""Room that calls did not fill: what was in it before is never shown as if they had written it, in no format."""

import re
import subprocess

from support import HERE, check, data, each_event, run, trace
from faults_decoding import judge, strace_lines

# What the room is full of in scenarios/outputs.c, as anything may show it: text, numbers of 16, 32 and 64 bits, base64, sets.
STALE = re.compile(r"ZZ|5a5a|\b90, 90\b|23130|1515870810|6510615555426900570|Wlpa|paWl|aWlp|\b1[ ,]+3[ ,]+4[ ,]+6\b|RT_2 RT_4")

# By the mark before each: strace's line, where it says more than that the room is an address.
ADDRESS = "0x[0-9a-f]{6,}"
SHOWN = {
    "getxattr, no room": rf'getxattr\(".*", "user.apus", {ADDRESS}, 0\) = 9',
    "getxattr, too little room": rf'getxattr\(".*", "user.apus", {ADDRESS}, 4\) = -1 ERANGE .*',
    "getxattr": r'getxattr\(".*", "user.apus", "the value", 64\) = 9',
    "listxattr": r'listxattr\(".*", "user.apus\\0", 64\) = 10',
    "read, at the end": r'read\(\d+, "", 64\) = 0',
    "ioctl, no interface": r'ioctl\(\d+, SIOCGIFHWADDR, \{ifr_name="nosuch"\}\) = -1 ENODEV .*',
    "name_to_handle_at, too little room":
        rf'name_to_handle_at\(AT_FDCWD, ".*", \{{handle_bytes=0\}}, {ADDRESS}, 0\) = -1 EOVERFLOW .*',
    "epoll_wait, nothing": r'epoll_wait\(\d+, \[\], 8, 0\) = 0',
    "accept, failed": rf'accept\(\d+, {ADDRESS}, \[128\]\) = -1 EAGAIN .*',
    "accept, too little room": r'accept\(\d+, \{sa_family=AF_INET\}, \[2 => 16\]\) = \d+',
    "getsockname, no room": rf'getsockname\(\d+, {ADDRESS}, \[0 => 16\]\) = 0',
    "recvfrom, too little room": r'recvfrom\(\d+, "twel", 4, MSG_TRUNC, NULL, NULL\) = 12',
    "recvmsg, failed": r'recvmsg\(\d+, \{msg_namelen=32\}, 0\) = -1 EAGAIN .*',
    "recvmsg, too little room":
        r'recvmsg\(\d+, \{msg_name=\{sa_family=AF_INET, sa_data="\S+"\}, msg_namelen=4 => 16, msg_iov=.*\}, 0\) = 8',
    "recvmsg, no room": rf'recvmsg\(\d+, \{{msg_name={ADDRESS}, msg_namelen=0 => 16, msg_iov=.*\}}, 0\) = 8',
    "recvmmsg, too little room":
        r'recvmmsg\(\d+, \[\{msg_hdr=\{msg_name=\{sa_family=AF_INET, sin_port=htons\(\d+\), '
        r'sin_addr=inet_addr\("127.0.0.1"\)\}, msg_namelen=16, .*msg_len=8\}, '
        r'\{msg_hdr=\{msg_name=\{sa_family=AF_INET, sa_data="\S+"\}, msg_namelen=4 => 16, .*msg_len=8\}\], 2, 0, NULL\) = 2',
    "recvmmsg, failed": rf'recvmmsg\(\d+, {ADDRESS}, 2, 0, NULL\) = -1 EAGAIN .*',
    "sendmmsg, one of two":
        r'sendmmsg\(\d+, \[\{msg_hdr=\{msg_name=\{sa_family=AF_INET, .*msg_iov=\[\{iov_base="datagram", iov_len=8\}\], .*'
        r'msg_flags=0\}, msg_len=8\}, \{msg_hdr=\{msg_name=\{sa_family=0x1234 .*iov_base="datagram".*msg_flags=0\}\}\], '
        r'2, 0\) = 1',
    "modify_ldt, nothing": r'modify_ldt\(0, "", 64\) = 0',
    "modify_ldt, failed": rf'modify_ldt\(3, {ADDRESS}, 64\) = -1 ENOSYS .*',
    "waitid, a child that runs": rf'waitid\(P_PID, \d+, \{{\}}, WNOHANG\|WEXITED, {ADDRESS}\) = 0',
    "clone": r"clone\(child_stack=NULL, flags=CLONE_PARENT_SETTID\|SIGCHLD, parent_tid=\[(\d+)\]\) = \1",
    "perf_event_open, an older structure":
        r'perf_event_open\(\{type=PERF_TYPE_HARDWARE, size=64, .*config1=0\}, 0, -1, -1, .*',
    "clock_nanosleep, failed": rf'clock_nanosleep\(0x3e8, 0, \{{tv_sec=0, tv_nsec=1\}}, {ADDRESS}\) = -1 EINVAL .*',
    "keyctl, too little room": rf'keyctl\(KEYCTL_DESCRIBE, KEY_SPEC_PROCESS_KEYRING, {ADDRESS}, 4\) = 26',
    "syslog, a size": r'syslog\(SYSLOG_ACTION_SIZE_BUFFER\) = \d+',
}


def program(folder):
    path, file = f"{folder}/outputs", f"{folder}/file"
    subprocess.run(["gcc", "-static", "-O1", "-o", path, f"{HERE}/scenarios/outputs.c"], check=True)
    with open(file, "w", encoding="ascii"):
        return [path, file]


def room_that_is_not_filled(apus, scenario, folder):
    command = program(folder)
    run(command)
    names = {event["name"] for event in each_event(trace(apus, folder, ["--events", "tag=syscalls"], command).path)}
    names -= {"exit_group", "pause", "set_robust_list", "gettid"}  # of its children, at any moment
    few = ["accept", "getsockname", "listxattr", "recvfrom", "wait4", "waitid"]
    for hooks, events in (("each", few), ("all", names)):
        lines = strace_lines(
            apus, folder, ["--events", ",".join(events), "--enrichment", "payload", "--hooks", hooks], command)
        stale = [line for line in lines if STALE.search(line)]
        check(not stale, f"{hooks}: {stale}")
        check({line.split("(")[0] for line in lines} == set(events), f"{hooks}: {lines}")
    marks = [line.split('"')[1] for line in lines if line.startswith("unlink(")]
    check(len(marks) > 65, f"{marks}")
    judge("room", lines, {mark: SHOWN.get(mark, f".*(NULL|{ADDRESS}|0x8|\\[\\]|\\{{.*).* = .*") for mark in marks})
    for format, more in (("table", []), ("json", []), ("json", ["--enrichment", "decoded-data", "--enrichment", "payload"])):
        path = f"{folder}/events"
        result = run([apus, "trace", "--output", f"{format}:{path}", "--events", ",".join(names), *more, "--", *command])
        check(result.status == 0 and " lost 0 " in result.err, f"{result}")
        with open(path, encoding="utf-8") as file:
            text = file.read()
        # Numbers that are no part of the call.
        fields = [line.partition('"data":')[2] or line[57:] for line in text.splitlines()]
        stale = [line for line in fields if STALE.search(line)]
        check(not stale, f"{format} {more}: {stale}")
        check(any("user.apus" in line for line in fields), f"{format} {more}: nothing is shown")


def filtered_room(apus, scenario, folder):
    """Nor does a filter see it."""
    command = program(folder)
    run(command)
    for text, count in (("list=ZZZZZZZZZZ", 0), ("list=user.apus", 1)):
        events = trace(apus, folder, ["--events", f"listxattr.data.{text}"], command).named("listxattr")
        check(len(events) == count, f"{text}: {[data(event) for event in events]}")


TESTS = [room_that_is_not_filled, filtered_room]
