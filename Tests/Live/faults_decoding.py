"""What is shown of pointers, lengths and flags that are wrong: an address, a cut or a number, never something else."""

import os
import re
import subprocess

from support import check, data, each_event, run, trace

HERE = os.path.dirname(os.path.abspath(__file__))
CALLS = "openat,openat2,fcntl,poll,writev,fstat,uname,rt_sigprocmask,write,unlink,munmap,"
CALLS += "ioctl,semop,sched_setaffinity,personality,readlink,bind"

# By the name that comes before each in scenarios/pointers.c: what the call's line must be, but for the thread.
SHOWN = {
    "null path": r'openat\(AT_FDCWD, NULL, O_RDONLY\) = -1 EFAULT \(Bad address\)',
    "unmapped path": r'openat\(AT_FDCWD, 0x8, O_RDONLY\) = -1 EFAULT \(Bad address\)',
    "kernel path": r'openat\(AT_FDCWD, 0xffff888000000000, O_RDONLY\) = -1 EFAULT \(Bad address\)',
    "path without end": r'openat\(AT_FDCWD, 0x10000ff0, O_RDONLY\) = -1 EFAULT \(Bad address\)',
    "unknown flags": r'openat\(AT_FDCWD, "/nosuch", O_RDONLY\|O_CLOEXEC\|0x80000000\) = -1 ENOENT \(No such file or directory\)',
    "unknown command": r'fcntl\(0, (4711|0x1267).*\) = -1 EINVAL \(Invalid argument\)',
    "unaligned structures": r'poll\(\[\{fd=1, events=POLLOUT\}\], 1, 0\) = 1 \(\[\{fd=1, revents=POLLOUT\}\]\)',
    "structures half in memory": r'poll\(0x10000ffc, 1, 0\) = -1 EFAULT \(Bad address\)',
    "too many structures": r'writev\(1, \[\{iov_base=NULL, iov_len=0\}(, \{iov_base=NULL, iov_len=0\})*, \.\.\.\], 5000\) = -1 EINVAL \(Invalid argument\)',
    "less than no structures": r'writev\(1, .*, -1\) = -1 EINVAL \(Invalid argument\)',
    "no structures": r'writev\(1, (\[\]|0x10000000), 0\) = 0',
    "null structures": r'writev\(1, NULL, 1\) = -1 EFAULT \(Bad address\)',
    "output to the kernel": r'fstat\(0, 0xffff888000000000\) = -1 EFAULT \(Bad address\)',
    "output to nothing": r'uname\(NULL\) = -1 EFAULT \(Bad address\)',
    "a set that is too small": r'rt_sigprocmask\(SIG_BLOCK, (\?|0x10000000), NULL, 4\) = -1 EINVAL \(Invalid argument\)',
    "a set that is too large": r'rt_sigprocmask\(SIG_BLOCK, (\[INT\]|0x10000000), NULL, 16777216\) = -1 EINVAL \(Invalid argument\)',
    "a structure with a size of nothing": r'openat2\(AT_FDCWD, "/nosuch", 0x10000000, 0\) = -1 EINVAL \(Invalid argument\)',
    "a structure that is cut": r'openat2\(AT_FDCWD, "/nosuch", \{flags=.*\}, 12\) = -1 EINVAL \(Invalid argument\)',
    "a buffer of all memory": r'write\(1, "\\2(\\0)+"\.\.\., 18446744073709551615\) = -1 EFAULT \(Bad address\)',
    "a buffer of nothing": r'write\(1, (""|0x10000000), 0\) = 0',
    "a buffer that ends early": r'write\(9, 0x10000ffd, 64\) = -1 EBADF \(Bad file descriptor\)',
    "a request with more bits": r'ioctl\(-1, TIOCGPTN, 0x10000000\) = -1 EBADF \(Bad file descriptor\)',
    "a number of structures with more bits": r'semop\(-1, \[\{sem_num=1, sem_op=28207, sem_flg=SEM_UNDO\|0x636f\}\], 1\) = -1 EINVAL \(Invalid argument\)',
    "a size with more bits": r'sched_setaffinity\(2147483647, 8, \[0 16 17 .* 61 62\]\) = -1 ESRCH \(No such process\)',
    "a persona with more bits": r'personality\(0xffffffff\) = .* \(PER_LINUX.*\)',
    "room with more bits": r'readlink\("/nosuch", 0x10000000, 16\) = -1 ENOENT \(No such file or directory\)',
    "room of less than nothing": r'readlink\("/nosuch", 0x10000000, 18446744073709551615\) = -1 EINVAL \(Invalid argument\)',
    "the length of an address with more bits": r'bind\(-1, \{sa_family=AF_UNIX, sun_path="/nos"\}, 6\) = -1 EBADF \(Bad file descriptor\)',
    "a number of polled with more bits": r'poll\(\[\{fd=1848573953, events=POLLIN\|[^{}]*\}\], 1, 0\) = 1 \(\[\{fd=1848573953, revents=POLLNVAL\}\]\)',
    "registers that look like a buffer": r'munmap\(0x10040000, 4096\) = 0',
}


def strace_lines(apus, folder, options, command):
    path = f"{folder}/lines"
    result = run([apus, "trace", "--format", f"strace:{path}", *options, "--", *command])
    check(result.status == 0 and " lost 0 " in result.err, f"{result}")
    with open(path, encoding="ascii") as file:
        return [re.sub(r"^\[pid \d+\] ", "", line.rstrip("\n")) for line in file]


def judge(title, lines, shown):
    """Each line behind a mark must be as the mark's name says."""
    seen = {}
    for index, line in enumerate(lines):
        mark = re.match(r'unlink\("(.*)"\) = -1 ENOENT', line)
        if mark:
            seen[mark[1]] = lines[index + 1]
    check(list(seen) == list(shown), f"{title}: {list(seen)}")
    wrong = [f"{name}: {seen[name]}" for name, wanted in shown.items() if not re.fullmatch(wanted, seen[name])]
    check(not wrong, f"{title}:\n" + "\n".join(wrong))


def program(folder):
    path = f"{folder}/pointers"
    subprocess.run(["gcc", "-static", "-O1", "-o", path, f"{HERE}/scenarios/pointers.c"], check=True)
    return path


def wrong_pointers(apus, scenario, folder):
    for hooks in ("each", "all"):
        # The writes fail or write nothing.
        judge(hooks, strace_lines(apus, folder, ["--events", CALLS, "--hooks", hooks], [program(folder)]), SHOWN)


def decoded_json(apus, scenario, folder):
    """Names and structures in JSON where they are asked for, and raw values where not."""
    command = ["/bin/sh", "-c", "kill -USR1 $$", "x"]
    options = ["--events", "kill,openat,rt_sigaction,newfstatat", "--enrichment", "decoded-data"]
    result = trace(apus, folder, options, command, status=128 + 10)
    kills = [data(event) for event in each_event(result.path) if event["name"] == "kill"]
    check([kill["sig"] for kill in kills] == ["SIGUSR1"], f"{kills}")
    flags = {data(event)["flags"] for event in each_event(result.path) if event["name"] == "openat"}
    check("O_RDONLY|O_CLOEXEC" in flags and all(isinstance(flag, str) for flag in flags), f"{flags}")
    with open(result.path, encoding="utf-8") as file:
        check('{"name":"statbuf","struct":{"st_dev":' in file.read(), "no stat")
    result = trace(apus, folder, options[:2], command, status=128 + 10)
    kills = [data(event) for event in each_event(result.path) if event["name"] == "kill"]
    check([kill["sig"] for kill in kills] == [10], f"{kills}")
    with open(result.path, encoding="utf-8") as file:
        check('"struct"' not in file.read(), "structures that nobody asked for")


def payload(apus, scenario, folder):
    """Contents of buffers, as much as was asked for; none where none was."""
    command = ["/bin/sh", "-c", "printf 0123456789 > /dev/null"]
    for options, wanted in (
        ([], '{"name":"buf","pointer":'), (["--enrichment", "payload=4"], '{"name":"buf","bytes":"MDEyMw=="}'),
        (["--enrichment", "payload"], '{"name":"buf","bytes":"MDEyMzQ1Njc4OQ=="}'),
    ):
        result = trace(apus, folder, ["--events", "write", *options], command)
        with open(result.path, encoding="utf-8") as file:
            check(wanted in file.read(), f"{options}: no {wanted}")
    for text in ("payload=0", "payload=5000", "payload=x", "payload="):
        result = run([apus, "trace", "--enrichment", text, "--", "/bin/true"])
        check(result.status == 2 and "a number of bytes from 1 to 4096" in result.err, f"{text}: {result}")


# What scenarios/nested.c does: of each call, behind its name, what must stand in its line.
NESTED = {
    "buffers": r'writev\(-1, \[\{iov_base="hello ", iov_len=6\}, \{iov_base="wor\\nld", iov_len=6\}, \{iov_base=NULL, iov_len=0\}\], 3\) = -1 EBADF .*',
    "room": r'readv\(3, \[\{iov_base="hell", iov_len=4\}, \{iov_base="o wo", iov_len=20\}, \{iov_base="", iov_len=4\}\], 3\) = 8',
    "room that is not filled": r'readv\(-1, \[\{iov_base=0x[0-9a-f]+, iov_len=4\}\], 1\) = -1 EBADF .*',
    "no room": r'writev\(-1, \[\{iov_base=0x8, iov_len=4\}, \{iov_base=0xffff888000000000, iov_len=4\}, \{iov_base="hello ", iov_len=6\}\], 3\) = -1 EBADF .*',
    "much": r'writev\(-1, \[\{iov_base="A{32}"\.\.\., iov_len=4096\}, \{iov_base=0x1000[0-9a-f]+, iov_len=18446744073709551615\}\], 2\) = -1 EBADF .*',
    "many": r'writev\(-1, \[(\{iov_base="A", iov_len=1\}, ){32}\.\.\.\], 100\) = -1 EBADF .*',
    "a message": r'sendmsg\(-1, \{msg_name=\{sa_family=AF_INET, sin_port=htons\(53\), sin_addr=inet_addr\("127.0.0.1"\)\}, msg_namelen=16, msg_iov=\[\{iov_base="hello ", iov_len=6\}\], msg_iovlen=1, msg_controllen=0, msg_flags=0\}, 0\) = -1 EBADF .*',
    "a message without name": r'sendmsg\(-1, \{msg_name=0x8, msg_namelen=16, msg_iov=0x8, msg_iovlen=1000000, msg_controllen=0, msg_flags=0\}, 0\) = -1 E.*',
    "a message that comes": r'recvmsg\(4, \{msg_name=NULL, msg_namelen=0, msg_iov=\[\{iov_base="one", iov_len=16\}\], msg_iovlen=1, msg_controllen=0, msg_flags=0\}, 0\) = 3',
    "messages": r'sendmmsg\(5, \[\{msg_hdr=\{msg_name=NULL, msg_namelen=0, msg_iov=\[\{iov_base="two", iov_len=3\}\], msg_iovlen=1, msg_controllen=0, msg_flags=0\}, msg_len=3\}, \{msg_hdr=\{msg_name=NULL, msg_namelen=0, msg_iov=\[\{iov_base="three", iov_len=5\}\], msg_iovlen=1, msg_controllen=0, msg_flags=0\}, msg_len=5\}\], 2, 0\) = 2',
    "messages that come": r'recvmmsg\(4, \[\{msg_hdr=\{msg_name=NULL, msg_namelen=0, msg_iov=\[\{iov_base="two", iov_len=16\}\], msg_iovlen=1, msg_controllen=0, msg_flags=0\}, msg_len=3\}, \{msg_hdr=\{msg_name=NULL, msg_namelen=0, msg_iov=\[\{iov_base="three", iov_len=16\}\], msg_iovlen=1, msg_controllen=0, msg_flags=0\}, msg_len=5\}\], 2, 0, NULL\) = 2',
}


def nested_pointers(apus, scenario, folder):
    """Pointers in structures: what is behind them, what is not there, more than is read, room that is filled or not."""
    source = f"{HERE}/scenarios/nested.c"
    subprocess.run(["gcc", "-static", "-O1", "-o", f"{folder}/nested", source], check=True)
    calls = "writev,readv,sendmsg,recvmsg,sendmmsg,recvmmsg,unlink"
    for hooks in ("each", "all"):
        options = ["--events", calls, "--hooks", hooks]
        lines = strace_lines(apus, folder, options, [f"{folder}/nested"])
        judge(hooks, lines, NESTED)


# What scenarios/executions.c does: what must be shown of each call.
GONE = r"\.\.\."
GIVEN = r", 0x[0-9a-f]+ /\* 1 var \*/"
EXECUTED = {
    "a program": rf'execve\("/bin/true", \["true", "here", "one"\]{GIVEN}\) = 0',
    "no arguments": rf'execve\("/bin/true", \[\]{GIVEN}\) = 0',
    # Its first argument is not what the interpreter is given.
    "a script": rf'execve\(".*/script", \[{GONE}, "one", "two"\]{GIVEN}\) = 0',
    "a script of a script": rf'execve\(".*/nested", \[{GONE}, "here", "two"\]{GIVEN}\) = 0',
    "a script alone": rf'execve\(".*/script", \[{GONE}\]{GIVEN}\) = 0',
    # The path was brought to memory by the kernel, which came no further.
    "no program": rf'execve\("/nosuch", \[{GONE}, "here"\]{GIVEN}\) = -1 ENOENT .*',
    "by another call": rf'execveat\(AT_FDCWD, ".*/script", \[{GONE}, "one"\]{GIVEN}, AT_SYMLINK_NOFOLLOW\) = 0',
    "from a directory": rf'execveat\(\d+, 0x[0-9a-f]+, \["true"\]{GIVEN}, 0\) = 0',
    "too many": rf'execve\("/bin/true", \[({GONE}, ){{256}}{GONE}\]{GIVEN}\) = 0',
    "too long": rf'execve\("/bin/true", \[("a{{127}}", ){{63}}"a{{1,127}}", {GONE}\]{GIVEN}\) = 0',
}


def executions(apus, scenario, folder):
    """What a fresh child executes, of which nothing was in memory: as the new program was given it, or marked."""
    program = f"{folder}/executions"
    subprocess.run(["gcc", "-static", "-O1", "-o", program, f"{HERE}/scenarios/executions.c"], check=True)
    for name, interpreter in (("script", "/bin/true -x"), ("nested", f"{folder}/script y")):
        with open(f"{folder}/{name}", "w", encoding="ascii") as file:
            file.write(f"#!{interpreter}\n")
        os.chmod(f"{folder}/{name}", 0o755)
    command = [program, "/bin/true", f"{folder}/script", f"{folder}/nested"]
    calls = "execve,execveat,unlink"
    for hooks in ("each", "all"):
        # The first is that of the program itself.
        lines = strace_lines(apus, folder, ["--events", calls, "--hooks", hooks], command)[1:]
        judge(hooks, lines, EXECUTED)
    result = trace(apus, folder, ["--events", calls], command)
    shown = [data(event).get("argv") for event in each_event(result.path) if event["name"] == "execve"]
    check(shown[1:4] == [["true", "here", "one"], [], ["…", "one", "two"]], f"{shown[:4]}")
    check(shown[6] == ["…", "here"], f"{shown[6]}")


TESTS = [executions, wrong_pointers, decoded_json, payload, nested_pointers]
