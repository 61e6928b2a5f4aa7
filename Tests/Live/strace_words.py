"""Lines of strace and of `--format strace`: read into calls of threads, aligned, and compared by argument.

What differs between two runs of one command, or only in form, is made the same. Each such rule is one line of
what follows, with its reason; all else must be equal, byte by byte.
"""

import difflib
import re

# A rule is a pattern and what stands for it; those of the first list hold for both programs' lines.
BOTH = [
    # Addresses. Layouts are not randomised, but stacks begin where the environment ends. Below 4 GiB none moves.
    (r"\b0x(?=[0-9a-f]{9,16}\b)[0-9a-f]+\b", "ADDRESS"),
    # What is counted of the machine at each moment.
    (r"\b(ru_\w+|f_bfree|f_bavail|f_files|f_ffree|uptime|loads|freeram|sharedram|bufferram|freeswap|procs"
     r"|tms_\w+)=(\{[^}]*\}|\[[^\]]*\]|\w+)", r"\1=MOMENT"),
    # Files made in the run have other numbers, and other times of change.
    (r"\b(st_ino|stx_ino|d_ino)=\d+", r"\1=INODE"),
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
# And these for strace's.
STRACE = [
    # Remarks behind times, which are said again as dates or in seconds, how many files there are in a folder's, and that
    # a number has no name.
    (r" /\* (?:\d+-\d\d-\d\dT[\d:.+-]+|\d+\.\d+ s|\d+ entries|\w+\?\?\?) \*/", ""),
]

# Calls that give a time of the clock or one that is left, or take one: numbers of times are of the moment.
OF_THE_CLOCK = {"clock_gettime", "gettimeofday", "timer_gettime", "timerfd_gettime", "getitimer", "select", "futex"}
TIME = re.compile(r"\b(tv_n?u?sec)=-?\d+")
FILE_TIME = re.compile(r"\b(st_[amc]time)=(\d+), (st_[amc]time_nsec)=\d+")
TIME_OF_FILE = re.compile(r"(\bstx_[abcm]time=)?\{tv_sec=(\d+), tv_nsec=\d+\}")
NUMBER = re.compile(r"(?<![\w.])\d+\b")


class Call:
    """One system call: its name, its arguments as they were printed, and what it returned."""

    __slots__ = ("arguments", "is_momentary", "line", "name", "result")

    def __init__(self, name, arguments, result, line):
        self.name, self.arguments, self.result, self.line = name, arguments, result, line
        self.is_momentary = name == "getrandom"


SOURCE = re.compile(r'"(/dev/urandom|/dev/random|/proc/.*|/sys/.*|self/.*|\d+/(stat|status|cmdline|task.*))"')
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
        if call.name in OF_THE_CLOCK:
            text = TIME.sub(r"\1=TIME", text)
        text = FILE_TIME.sub(self._file_time, text)
        text = TIME_OF_FILE.sub(self._time_of_file, text)
        return text

    def named(self, text):
        """With the names of threads for their numbers."""
        return NUMBER.sub(lambda found: self.names.get(int(found[0]), found[0]), text)

    def _file_time(self, found):
        return found[0] if int(found[2]) < self.since else f"{found[1]}=NOW, {found[3]}=NOW"

    def _time_of_file(self, found):
        return found[0] if int(found[2]) < self.since else f"{found[1] or ''}NOW"


TEXT = re.compile(r'^"((?:[^"\\]|\\.)*)"(\.\.\.)?$', re.S)


def same(theirs, ours, calls, sides):
    """Whether an argument is the same; `calls` are both calls, and `sides` the runs that they are of."""
    if theirs == ours:
        return True
    if calls[0].is_momentary and all(text.isdigit() or TEXT.match(text) for text in (theirs, ours)):
        return True
    theirs, ours = (side.normal(text, call) for side, text, call in zip(sides, (theirs, ours), calls))
    # strace names all drivers that know a request.
    if theirs == ours or ours in theirs.split(" or "):
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
        left, right = theirs.arguments, ours.arguments
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
    ('read(3, "ab\\ncdef"..., 832) = 832', 'read(3, "ab\\ncdef"..., 832) = 832'),
    ("futex(0x5000, FUTEX_WAKE_PRIVATE, 2) = 1", "futex(0x5000, FUTEX_WAKE_PRIVATE, 2) = 2"),
    ("brk(NULL) = 0x555555560000", "brk(NULL) = 0x555555570000"),
    ("ioctl(0, SNDCTL_TMR_TIMEBASE or TCGETS, 0x7ffff7d8aa10) = -1 ENOTTY (Inappropriate ioctl for device)",
     "ioctl(0, TCGETS, 0x7ffff7d8aa20) = -1 ENOTTY (Inappropriate ioctl for device)"),
    ("fstat(1, {st_mode=S_IFREG|0644, st_mtime=1400000000 /* 2014-05-13T16:53:20+0000 */, st_mtime_nsec=1}) = 0",
     "fstat(1, {st_mode=S_IFREG|0644, st_mtime=1400000000, st_mtime_nsec=1}) = 0"),
    ("--- SIGCHLD {si_signo=SIGCHLD, si_code=CLD_EXITED, si_status=0, si_utime=6 /* 0.06 s */, si_stime=0} ---",
     "--- SIGCHLD {si_signo=SIGCHLD, si_code=CLD_EXITED, si_status=0, si_utime=0, si_stime=1} ---"),
]
DIFFERENT = [
    ('openat(AT_FDCWD, "/a", O_RDONLY|O_CLOEXEC) = 3', 'openat(AT_FDCWD, "/a", O_CLOEXEC|O_RDONLY) = 3'),
    ('read(3, "abcdef", 832) = 7', 'read(3, "abc"..., 832) = 7'),
    ("fcntl(3, F_GETFL) = 0x8002 (flags O_RDWR|O_LARGEFILE)", "fcntl(3, F_GETFL) = 32770"),
    ("poll([{fd=3, events=POLLIN}], 1, 10) = 1 ([{fd=3, revents=POLLIN}])",
     "poll([{fd=3, events=POLLIN, revents=POLLIN}], 1, 10) = 1"),
    ("clone(child_stack=NULL, flags=CLONE_CHILD_SETTID|SIGCHLD, child_tidptr=0x7ffff7d8aa10) = 0",
     "clone(CLONE_CHILD_SETTID|SIGCHLD, NULL, NULL, [12], 0) = 0"),
    ('utimensat(3, "a", [UTIME_OMIT, {tv_sec=1500000000, tv_nsec=5}], 0) = 0',
     'utimensat(3, "a", [UTIME_NOW, {tv_sec=1500000000, tv_nsec=5}], 0) = 0'),
    ("futex(0x5000, FUTEX_WAKE_PRIVATE, 1) = 1", "futex(0x5000, FUTEX_WAKE_PRIVATE, 2) = 1"),
    ("close(3) = 0", "close(4) = 0"),
    ('memfd_create("a", MFD_CLOEXEC|0x8) = 3', 'memfd_create("a", MFD_CLOEXEC|MFD_NOEXEC_SEAL) = 3'),
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
            result.compare_sides(Side([(1, theirs)], STRACE, 1500000000), Side([(1, ours)], [], 1500000000))
            if (result.calls, result.equal) != (1, wanted):
                found.append((theirs, ours))
    return found
