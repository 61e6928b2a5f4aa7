"""Lines of strace and of `--format strace`: read into calls of threads, aligned, and compared by argument.

What differs between two runs of one command, or only in form, is made the same. Each such rule is one line of
what follows, with its reason; all else must be equal, byte by byte.
"""

import difflib
import fileinput
import glob
import os
import re
import struct

# A rule is a pattern and what stands for it; those of the first list hold for both programs' lines.
BOTH = [
    # Addresses. Layouts are not randomised, but stacks begin where the environment ends. Below 4 GiB none moves.
    (r"\b0x(?=[0-9a-f]{9,16}\b)[0-9a-f]+\b", "ADDRESS"),
    # What is counted of the machine at each moment.
    (r"\b(ru_\w+|f_bfree|f_bavail|f_files|f_ffree|uptime|loads|freeram|sharedram|bufferram|freeswap|procs"
     r"|tms_\w+)=(\{[^}]*\}|\[[^\]]*\]|\w+)", r"\1=MOMENT"),
    # Files made in the run have other numbers, and other times of change.
    (r"\b(st_ino|stx_ino|d_ino)=\d+", r"\1=INODE"),
    # strace has the count of bytes in a text where some are left out; how many are shown is an option of both.
    (r'"\.\.\.', '"'),
    # A kind of file in front of permissions, where a call takes only permissions.
    (r"^S_IFREG\|0(\d{3})$", r"0100\1"),
    # Times that a child took.
    (r"\b(si_[us]time)=\d+", r"\1=TIME"),
    # git's index has the numbers and times of files.
    (r'^"DIRC.*$', "INDEX"),
    # Names of temporary files, and ports that the kernel chose.
    (r"\btmp[a-z0-9_]{8}\b", "TEMPORARY"),
    (r"\btmp_obj_\w{6}\b", "TEMPORARY"),
    (r"/cc\w{6}\b", "/TEMPORARY"),
    (r"\.git/t\w{6}\b", ".git/TEMPORARY"),
    (r"nl_pid=-?\d{7,}", "nl_pid=PORT"),
    (r"htons\((?:3[2-9]|[45]\d|6[01])\d{3}\)", "htons(PORT)"),
]
# Remarks, as of dates, of which strace has more; but not how many variables an environment has. First, as others expect.
REMARK = (r" /\* (?!\d+ vars)(?:[^*]|\*(?!/))* \*/", "")
APUS = [
    REMARK,
    # strace shows no size of what has a number of device.
    (r"(st_rdev=makedev\([^)]*\)), st_size=0", r"\1"),
    # strace shows only those times that were asked for.
    (r", stx_[abcm]time=\{tv_sec=0, tv_nsec=0\}", ""),
    # ... and only what flags ask for.
    (r"^(\{flags=(?!\S*CLONE_PIDFD)\S*) pidfd=\w+,", r"\1"),
    # A time that is none, without the seconds that do not count.
    (r"\{tv_sec=-?\d+, tv_nsec=(UTIME_\w+)\}", r"\1"),
    # Each result in brackets is the name or the description of an error.
    (r"^(-?\w+(?: E[A-Z]+)?) \(.*\)$", r"\1"),
]
STRACE = [
    REMARK,
    # What strace says of a result in brackets: names of its bits, or what a call gave; see also `by_name`.
    (r"^((?:0x)?-?\w+(?: E[A-Z]+)?) \(.*\)$", r"\1"),
    # Two times of one file; ours are named.
    (r"^\[(\{tv_[^}]*\}|UTIME_\w+), (\{tv_[^}]*\}|UTIME_\w+)\]$", r"{atime=\1, mtime=\2}"),
    # Characters that do something, with what they do; ours stand in their order.
    (r"\[(?:V[A-Z]+\d?|\d+)\]=", ""),
    # A command of quotas and whose they are, as one number of two parts.
    (r"QCMD\((\w+), (\w+)\)", r"\1|\2"),
    # What clone3 wrote elsewhere.
    (r"\} => \{[^}]*\}$", "}"),
    # Of epoll's data the bits as one number.
    (r"data=\{u32=\d+, u64=(\d+)\}", lambda found: f"data={hexadecimal(int(found[1]))}"),
]

# Calls that give a time of the clock or one that is left, or take one: numbers of times are of the moment.
OF_THE_CLOCK = {"clock_gettime", "gettimeofday", "timer_gettime", "timerfd_gettime", "getitimer", "select", "futex"}
# Options of sockets that are times; strace has their bytes.
TIMES_OF_SOCKETS = {"SO_RCVTIMEO_OLD", "SO_SNDTIMEO_OLD"}
TIME = re.compile(r"\b(tv_n?u?sec)=-?\d+")
FILE_TIME = re.compile(r"\b(st_[amc]time)=(\d+), (st_[amc]time_nsec)=\d+")
STATX_TIME = re.compile(r"\b(stx_[abcm]time)=\{tv_sec=(\d+), tv_nsec=\d+\}")
NUMBER = re.compile(r"(?<![\w.])\d+\b")
# Names of bits, which both join in an order of their own.
NAMES = re.compile(r"\b\w+(?:\|\w+)+\b")


def hexadecimal(number):
    return hex(number) if number else "0"


class Call:
    """One system call: its name, its arguments as they were printed, and what it returned."""

    __slots__ = ("arguments", "is_momentary", "line", "name", "result")

    def __init__(self, name, arguments, result, line):
        self.name, self.arguments, self.result, self.line = name, arguments, result, line
        self.is_momentary = name == "getrandom"


SOURCE = re.compile(r'"(/dev/urandom|/dev/random|/proc/.*|self/.*|\d+/(stat|status|cmdline|task.*))"')
CALL = re.compile(r"^(\w+)\(")
CLOSING = {"(": ")", "[": "]", "{": "}"}


def split(text):
    """Splits at commas that are in no quotes or brackets, up to the bracket that closes; also what is behind it."""
    parts, depth, start, at = [], [], 0, 0
    while at < len(text):
        letter = text[at]
        if letter == '"':
            at += 1
            while at < len(text) and text[at] != '"':
                at += 2 if text[at] == "\\" else 1
        elif text.startswith("/*", at):
            end = text.find("*/", at)
            at = end + 1 if end >= 0 else len(text)
        elif letter in CLOSING:
            depth.append(CLOSING[letter])
        elif depth and letter == depth[-1]:
            depth.pop()
        elif not depth and letter == ")":
            parts.append(text[start:at].strip())
            return [part for part in parts if part], text[at + 1:]
        elif not depth and letter == ",":
            parts.append(text[start:at].strip())
            start = at + 1
        at += 1
    parts.append(text[start:].strip())
    return parts, ""


SIGNAL = re.compile(r"^--- (SIG\w+) \{(.*)\} ---$")
# A tracer by ptrace is told of them also where they are ignored, and so nobody takes them (sig_ignored, kernel/signal.c).
IGNORED = {"SIGCHLD", "SIGCONT", "SIGURG", "SIGWINCH"}


def read_call(line):
    """The call that a line tells of, a signal and the end of a process as one, or None."""
    if line.startswith("+++"):
        return Call("+++", [line.strip("+ ")], "", line)
    signal = SIGNAL.match(line)
    if signal:
        return Call(signal[1], split(signal[2] + ")")[0], "", line)
    begin = CALL.match(line)
    if not begin:
        return None
    arguments, rest = split(line[begin.end():])
    rest = rest.strip()
    return Call(begin[1], arguments, rest[1:].strip() if rest.startswith("=") else rest, line)


class Side:
    """What one of the two said of a run: calls by thread, threads named by who made them."""

    MAKERS = ("clone", "clone3", "fork", "vfork")

    def __init__(self, lines, rules, since):
        """`lines` gives pairs of a thread's number and text; `since` is when the corpus was made."""
        self.rules = [(re.compile(pattern), by) for pattern, by in rules + BOTH]
        self.since = since
        by_number, made = {}, {}
        for number, text in lines:
            call = read_call(text)
            if call:
                by_number.setdefault(number, []).append(call)
                if call.name in self.MAKERS and call.result.isdigit() and int(call.result) > 0:
                    made.setdefault(number, []).append(int(call.result))
        children = {child for some in made.values() for child in some}
        self.threads, self.names = {}, {}
        roots = [number for number in by_number if number not in children]
        # Who started the command is another process under each.
        for call in by_number[roots[0]] if roots else []:
            if call.name == "getppid":
                self.names[int(call.result)] = "PARENT"
                break
        for place, number in enumerate(roots):
            self._name(number, str(place), made, by_number)

        for calls in self.threads.values():
            self._mark_momentary(calls)

    @staticmethod
    def _mark_momentary(calls):
        """What is read from here may differ in each run, and how much it is."""
        opened = set()
        for call in calls:
            if call.name in ("open", "openat") and any(SOURCE.match(argument) for argument in call.arguments):
                opened.add(call.result)
            elif call.name == "close" and call.arguments:
                opened.discard(call.arguments[0])
            elif call.name == "read" and call.arguments and call.arguments[0] in opened:
                call.is_momentary = True

    def _name(self, number, name, made, by_number):
        self.names[number] = f"THREAD-{name}"
        self.threads[name] = by_number.get(number, [])
        for place, child in enumerate(made.get(number, [])):
            self._name(child, f"{name}.{place}", made, by_number)

    def normal(self, text, call):
        for pattern, by in self.rules:
            text = pattern.sub(by, text)
        if not TIMES_OF_SOCKETS.isdisjoint(call.arguments):
            text = time_of_bytes(text)
        if call.name in OF_THE_CLOCK:
            text = TIME.sub(r"\1=TIME", text)
        text = NAMES.sub(lambda found: "|".join(sorted(found[0].split("|"))), text)
        text = FILE_TIME.sub(self._file_time, text)
        text = STATX_TIME.sub(self._statx_time, text)
        return text

    def named(self, text):
        """With the names of threads for their numbers."""
        return NUMBER.sub(lambda found: self.names.get(int(found[0]), found[0]), text)

    def _file_time(self, found):
        return found[0] if int(found[2]) < self.since else f"{found[1]}=NOW, {found[3]}=NOW"

    def _statx_time(self, found):
        return found[0] if int(found[2]) < self.since else f"{found[1]}=NOW"


TEXT = re.compile(r'^"((?:[^"\\]|\\.)*)"(\.\.\.)?$', re.S)
ESCAPED = re.compile(r"\\([0-7]{1,3}|x[0-9a-f]{2}|.)")
LETTERS = {"n": "\n", "t": "\t", "r": "\r", "v": "\v", "f": "\f"}


def plain(text):
    def letter(found):
        code = found[1]
        if code[0] in "01234567":
            return chr(int(code, 8))
        return chr(int(code[1:], 16)) if len(code) == 3 else LETTERS.get(code, code)

    return ESCAPED.sub(letter, text)


def time_of_bytes(text):
    """The 16 bytes of a struct timeval by its members; other text as it is."""
    found = TEXT.match(text)
    data = plain(found[1]).encode("latin-1", "replace") if found else b""
    return "{tv_sec=%d, tv_usec=%d}" % struct.unpack("<qq", data) if len(data) == 16 else text


def is_beginning(theirs, ours):
    """Of buffers we show fewer bytes; those must be the first."""
    theirs, ours = TEXT.match(theirs), TEXT.match(ours)
    return bool(theirs and ours and ours[2]) and plain(theirs[1]).startswith(plain(ours[1]))


def newer_names():
    """Values of constants that came after the headers of 6.1, which the catalogue marks by the release that brought them;
    what strace can know of them depends on its version."""
    tables = glob.glob(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../Catalog/symbols/*.tables"))
    found, is_newer = {}, False
    with fileinput.input(tables, encoding="utf-8") as lines:
        for line in lines:
            words, _, remark = line.partition("#")
            words = words.split()
            is_value = words[:1] == ["value"]
            is_newer = is_value and (is_newer or bool(re.match(r" \d+\.\d+", remark)))
            if is_newer:
                found.setdefault(words[1], set()).add(int(words[2], 0))
    return found


NEWER = newer_names()
FLAGS = re.compile(r"\b\w+(?:\|\w+)*")


def is_older(theirs, ours):
    """Whether they differ only in names of newer kernels, where strace has numbers of the same value."""
    if FLAGS.sub("", theirs) != FLAGS.sub("", ours):
        return False
    pairs = list(zip(FLAGS.findall(theirs), FLAGS.findall(ours)))
    return all(left == right or is_older_set(set(left.split("|")), set(right.split("|"))) for left, right in pairs)


def is_older_set(left, right):
    numbers = [{word for word in words if re.fullmatch(r"0x[0-9a-f]+|\d+", word)} for words in (left, right)]
    named = right - numbers[1] - left
    if not named or left - numbers[0] - right or any(len(NEWER.get(name, ())) != 1 for name in named):
        return False
    known = sum(int(word, 0) for word in numbers[1]) + sum(min(NEWER[name]) for name in named)
    return sum(int(word, 0) for word in numbers[0]) == known


def is_same_number(theirs, ours):
    """Whether one is in hexadecimal and the other is not is a matter of taste."""
    try:
        return int(theirs, 0) == int(ours, 0)
    except ValueError:
        return False


def by_name(call):
    """Of a call whose arguments strace names and orders otherwise, the same for both; else as they are."""
    arguments = call.arguments
    if call.name == "clone":
        if not any("=" in argument for argument in arguments):
            names = ("flags", "child_stack", "parent_tid", "child_tidptr", "tls")
            arguments = [f"{name}={value}" for name, value in zip(names, arguments)]
        # What flags do not ask for is left out by strace.
        values = dict(argument.split("=", 1) for argument in arguments)
        asked = {"CLONE_SETTLS": "tls", "CLONE_PARENT_SETTID": "parent_tid", "CLONE_CHILD_SETTID": "child_tidptr",
                 "CLONE_CHILD_CLEARTID": "child_tidptr"}
        shown = {"flags", "child_stack"} | {name for flag, name in asked.items() if flag in values.get("flags", "")}
        # A number of a thread where it was read, else its address.
        return [f"{name}={value if name == 'flags' or value == 'NULL' else 'WHERE'}"
                for name, value in sorted(values.items()) if name in shown]
    if call.name in ("poll", "ppoll"):
        # strace shows what happened behind the result.
        happened = dict(re.findall(r"\{fd=(-?\d+), revents=([^}]*)\}", call.result))
        arguments = [re.sub(r"\{fd=(-?\d+), events=([^,}]*)\}",
                            lambda found: found[0][:-1] + f", revents={happened[found[1]]}}}" if found[1] in happened
                            else found[0], arguments[0]), *arguments[1:]] if arguments else []
    if call.name == "waitid" and len(arguments) > 2:
        # Times stand in the structure of signals; this call does not give them, and strace shows what was there.
        arguments = [*arguments[:2], re.sub(r", si_[us]time=\d+", "", arguments[2]), *arguments[3:]]
    return arguments


def same(theirs, ours, calls, sides):
    """Whether an argument is the same; `calls` are both calls, and `sides` the runs that they are of."""
    if theirs == ours or is_beginning(theirs, ours):
        return True
    if calls[0].is_momentary and all(text.isdigit() or TEXT.match(text) for text in (theirs, ours)):
        return True
    theirs, ours = (side.normal(text, call) for side, text, call in zip(sides, (theirs, ours), calls))
    # strace names all drivers that know a request.
    if theirs == ours or ours in theirs.split(" or ") or is_same_number(theirs, ours) or is_older(theirs, ours):
        return True
    return sides[0].named(theirs) == sides[1].named(ours)


def key(call):
    """What calls are aligned by: names, and of waiting and waking where, and what is done."""
    return call.name, *(call.arguments[:2] if call.name == "futex" else [])


def result(call):
    """How many threads there were to wake, and whether one had to wait, is a matter of time."""
    if call.name == "futex" and re.match(r"\d+$|-1 EAGAIN ", call.result):
        return "THREADS"
    return call.result


class Agreement:
    """Counts of what was compared, and what differed."""

    def __init__(self):
        self.calls = self.equal = self.arguments = self.equal_arguments = 0
        self.alone = self.signals = self.equal_signals = 0
        self.differences = {}

    def add(self, other):
        for field in ("calls", "equal", "arguments", "equal_arguments", "alone", "signals",
                      "equal_signals"):
            setattr(self, field, getattr(self, field) + getattr(other, field))
        for key, found in other.differences.items():
            self.differences.setdefault(key, []).extend(found)

    def percent(self):
        return 100 * self.equal / self.calls if self.calls else 0.0

    def compare(self, theirs, ours, strace, apus):
        """Compares two calls of one name."""
        self.calls += 1
        pairs = [(result(theirs), result(ours), "=")]
        left, right = by_name(theirs), by_name(ours)
        if len(left) == len(right):
            pairs += [(their, our, str(place)) for place, (their, our) in enumerate(zip(left, right))]
        else:
            pairs.append((", ".join(left), ", ".join(right), "all"))
        good = True
        for their, our, place in pairs:
            self.arguments += 1
            if same(their, our, (theirs, ours), (strace, apus)):
                self.equal_arguments += 1
            else:
                good = False
                self.differences.setdefault((theirs.name, place), []).append(
                    (strace.named(strace.normal(their, theirs)), apus.named(apus.normal(our, ours)), theirs.line,
                     ours.line))
        self.equal += good
        if theirs.name.startswith("SIG"):
            self.signals += 1
            self.equal_signals += good

    def compare_sides(self, strace, apus):
        for name in sorted(strace.threads.keys() | apus.threads.keys()):
            theirs, ours = strace.threads.get(name, []), apus.threads.get(name, [])
            keys = ([key(call) for call in calls] for calls in (theirs, ours))
            matcher = difflib.SequenceMatcher(None, *keys, autojunk=False)
            matched, only_told = 0, [call.name in IGNORED for call in theirs]
            for left, right, size in matcher.get_matching_blocks():
                matched += size
                for offset in range(size):
                    only_told[left + offset] = False
                    self.compare(theirs[left + offset], ours[right + offset], strace, apus)
            self.alone += len(theirs) + len(ours) - 2 * matched - sum(only_told)


# ---- That the comparison sees what differs

SAME = [
    ('openat(AT_FDCWD, "/a", O_RDONLY|O_CLOEXEC) = 3', 'openat(AT_FDCWD, "/a", O_CLOEXEC|O_RDONLY) = 3'),
    ('read(3, "ab\\ncdef", 832) = 7', 'read(3, "ab\\nc"..., 832) = 7'),
    ("futex(0x5000, FUTEX_WAKE_PRIVATE, 2) = 1", "futex(0x5000, FUTEX_WAKE_PRIVATE, 2) = 2"),
    ("brk(NULL) = 0x555555560000", "brk(NULL) = 0x555555570000"),
    ('memfd_create("a", MFD_CLOEXEC|0x8) = 3', 'memfd_create("a", MFD_CLOEXEC|MFD_NOEXEC_SEAL) = 3'),
    ("pidfd_open(1, 0x880 /* PIDFD_??? */) = 3", "pidfd_open(1, 0x800|PIDFD_THREAD) = 3"),
    ("poll([{fd=3, events=POLLIN}], 1, 10) = 1 ([{fd=3, revents=POLLIN}])",
     "poll([{fd=3, events=POLLIN, revents=POLLIN}], 1, 10) = 1"),
    ("clone(child_stack=NULL, flags=CLONE_CHILD_SETTID|SIGCHLD, child_tidptr=0x7ffff7d8aa10) = 0",
     "clone(CLONE_CHILD_SETTID|SIGCHLD, NULL, NULL, [12], 0) = 0"),
    ('utimensat(3, "a", [UTIME_OMIT, {tv_sec=1500000000, tv_nsec=5}], 0) = 0',
     'utimensat(3, "a", {atime={tv_sec=7, tv_nsec=UTIME_OMIT}, mtime={tv_sec=1500000000, tv_nsec=5}}, 0) = 0'),
    ("ioctl(0, TCGETS, {c_line=N_TTY, c_cc=[[VINTR]=0x3, [VEOL2]=0, [17]=0]}) = 0",
     "ioctl(0, TCGETS, {c_line=N_TTY, c_cc=[0x3, 0, 0]}) = 0"),
    ('quotactl(QCMD(Q_SYNC, GRPQUOTA), "/dev/x") = 0', 'quotactl(Q_SYNC|GRPQUOTA, "/dev/x") = 0'),
    ("fcntl(3, F_GETFL) = 0x8002 (flags O_RDWR|O_LARGEFILE)", "fcntl(3, F_GETFL) = 32770"),
    ("--- SIGCHLD {si_signo=SIGCHLD, si_code=CLD_EXITED, si_status=0, si_utime=6 /* 0.06 s */, si_stime=0} ---",
     "--- SIGCHLD {si_signo=SIGCHLD, si_code=CLD_EXITED, si_status=0, si_utime=0, si_stime=1} ---"),
]
DIFFERENT = [
    ('utimensat(3, "a", [UTIME_OMIT, {tv_sec=1500000000, tv_nsec=5}], 0) = 0',
     'utimensat(3, "a", {atime={tv_sec=7, tv_nsec=UTIME_NOW}, mtime={tv_sec=1500000000, tv_nsec=5}}, 0) = 0'),
    ("futex(0x5000, FUTEX_WAKE_PRIVATE, 1) = 1", "futex(0x5000, FUTEX_WAKE_PRIVATE, 2) = 1"),
    ("close(3) = 0", "close(4) = 0"),
    ('memfd_create("a", MFD_CLOEXEC|0x9) = 3', 'memfd_create("a", MFD_CLOEXEC|MFD_NOEXEC_SEAL) = 3'),
    ('memfd_create("a", MFD_CLOEXEC|0x8) = 3', 'memfd_create("a", MFD_NOEXEC_SEAL|0x1) = 3'),
    ('memfd_create("a", 0x1) = 3', 'memfd_create("a", MFD_CLOEXEC) = 3'),
    ("--- SIGUSR1 {si_signo=SIGUSR1, si_code=SI_USER, si_pid=1, si_uid=0} ---",
     "--- SIGUSR1 {si_signo=SIGUSR1, si_code=SI_TKILL, si_pid=1, si_uid=0} ---"),
    ("--- SIGSEGV {si_signo=SIGSEGV, si_code=SEGV_MAPERR, si_addr=NULL} ---",
     "--- SIGSEGV {si_signo=SIGSEGV, si_code=SEGV_MAPERR} ---"),
    ("close(3) = 0", "close(3) = -1 EBADF (Bad file descriptor)"),
    ("close(3) = -1 EIO (Input/output error)", "close(3) = -1 EBADF (Bad file descriptor)"),
    ('openat(AT_FDCWD, "/a", O_RDONLY) = 3', 'openat(AT_FDCWD, "/b", O_RDONLY) = 3'),
    ('openat(AT_FDCWD, "/a", O_RDONLY|O_CLOEXEC) = 3', 'openat(AT_FDCWD, "/a", O_WRONLY|O_CLOEXEC) = 3'),
    ('openat(AT_FDCWD, "/a", O_RDONLY) = 3', 'openat(AT_FDCWD, "/a", O_RDONLY, 0) = 3'),
    ('openat(AT_FDCWD, "/a", O_RDONLY) = 3', "openat(AT_FDCWD, 0x7ffff7d8aa10, O_RDONLY) = 3"),
    ('read(3, "abcdef", 832) = 6', 'read(3, "abd"..., 832) = 6'),
    ('read(3, "abcdef", 832) = 6', 'read(3, "abc", 832) = 6'),
    ('read(3, "abcdef", 832) = 6', "read(3, 0x7ffff7d8aa10, 832) = 6"),
    ("mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, 3, 0x1000) = 0x7ffff7d8a000",
     "mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, 3, 0x2000) = 0x7ffff7d8a000"),
    ("poll([{fd=3, events=POLLIN}], 1, 10) = 1 ([{fd=3, revents=POLLIN}])", "poll([{fd=3, events=POLLIN}], 1, 10) = 1"),
    ("fstat(1, {st_mode=S_IFREG|0644, st_size=5}) = 0", "fstat(1, {st_mode=S_IFREG|0644, st_size=6}) = 0"),
    ("fstat(1, {st_atime=1400000000, st_atime_nsec=1}) = 0", "fstat(1, {st_atime=1400000000, st_atime_nsec=2}) = 0"),
    ("clone(child_stack=NULL, flags=CLONE_VM|SIGCHLD) = 0", "clone(CLONE_FS|SIGCHLD, NULL, NULL, NULL, 0) = 0"),
    ("connect(3, {sa_family=AF_INET, sin_port=htons(80)}, 16) = 0",
     "connect(3, {sa_family=AF_INET, sin_port=htons(443)}, 16) = 0"),
]


def mistaken():
    """Pairs of the lists above that the comparison takes for what they are not."""
    found = []
    for pairs, wanted in ((SAME, 1), (DIFFERENT, 0)):
        for theirs, ours in pairs:
            result = Agreement()
            result.compare_sides(Side([(1, theirs)], STRACE, 1500000000), Side([(1, ours)], APUS, 1500000000))
            if (result.calls, result.equal) != (1, wanted):
                found.append((theirs, ours))
    return found
