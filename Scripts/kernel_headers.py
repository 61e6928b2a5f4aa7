"""Constants of the kernel's UAPI headers (linux-libc-dev), as clang sees them for x86-64."""

import bisect
import os
import re
import shutil
import struct
import subprocess
import tempfile

SYSTEM = "/usr/include"
MACHINE = "x86_64-linux-gnu"
# Folders of linux-libc-dev: what the headers include from the C library is not theirs.
UAPI = ("asm", "asm-generic", "drm", "linux", "misc", "mtd", "rdma", "scsi", "sound", "video", "xen")
# Many headers of ioctl numbers leave to others what makes these; some leave more, and those are tried with the
# C library's types too.
BEFORE = "#include <linux/types.h>\n#include <linux/ioctl.h>\n"
BEFORE_TOO = "#include <stddef.h>\n#include <stdint.h>\n#include <sys/socket.h>\n#include <time.h>\n"
MARK = b"apus constants: "


class Fault(Exception):
    """What is wrong; in one sentence."""

class Headers:
    """Constants by header. Each is read once, for all tables."""

    def __init__(self, folder):
        folders = [folder, SYSTEM] if folder != SYSTEM else [SYSTEM]
        self.roots = [root for top in folders for root in (f"{top}/{MACHINE}", top)]
        self.clang = shutil.which("clang")
        if not self.clang:
            swift = subprocess.run([f"{os.path.dirname(os.path.abspath(__file__))}/swift-path"], capture_output=True, text=True)
            if swift.returncode:
                raise Fault("no clang was found; Swift has one, and Scripts/swift-path says where it is looked for")
            self.clang = f"{swift.stdout.strip()}/clang"
        self.version = self.read_version()

    def read_version(self):
        for root in self.roots:
            try:
                with open(f"{root}/linux/version.h") as file:
                    found = dict(re.findall(r"#define LINUX_VERSION_(\w+) (\d+)", file.read()))
                return ".".join(found[part] for part in ("MAJOR", "PATCHLEVEL", "SUBLEVEL"))
            except (OSError, KeyError):
                continue
        raise Fault(f"there is no linux/version.h of the kernel's headers under {SYSTEM}; install linux-libc-dev")

    def run(self, *arguments, source):
        folders = [f"-I{root}" for root in self.roots if not root.startswith(SYSTEM)]
        command = [self.clang, f"--target={MACHINE}", "-w", "-x", "c", *folders, *arguments, "-"]
        environment = {**os.environ, "LC_ALL": "C"}
        return subprocess.run(command, input=source.encode(), capture_output=True, env=environment)

    def exists(self, header):
        return header.split("/")[0] in UAPI and any(os.path.isfile(f"{root}/{header}") for root in self.roots)

    def is_ours(self, path):
        # A longer root is tried first: /usr/include/x86_64-linux-gnu/asm is below /usr/include too.
        for root in self.roots:
            if path.startswith(root + "/"):
                return path[len(root) + 1:].split("/")[0] in UAPI
        return False

    def names(self, header):
        """Names of macros and enumerators in the order of the text, and whether each may be a constant's."""
        result = self.run("-E", "-dD", source=f"#include <{header}>\n")
        if result.returncode:
            raise Fault(f"{header} cannot be preprocessed: {first_error(result.stderr)}")
        ours, code, starts, names = False, [], [], {}
        size = 0
        for order, line in enumerate(result.stdout.decode(errors="replace").split("\n")):
            if found := re.match(r'# \d+ "([^"]*)"', line):
                ours = self.is_ours(found[1])
            elif found := re.match(r"#define (\w+)(\(?)(.*)", line):
                if ours and not found[2]:
                    names.setdefault(found[1], (order, is_expression(found[3])))
            elif found := re.match(r"#undef (\w+)", line):
                names.pop(found[1], None)
            elif ours:
                starts.append((size, order))
                code.append(line + "\n")
                size += len(line) + 1
        code = "".join(code)
        for found in re.finditer(r"\benum\b(?:\s+__attribute__\s*\(\(.*?\)\))?(?:\s+\w+)?\s*\{([^}]*)\}", code):
            for name, offset in enumerators(found[1], found.start(1)):
                order = starts[bisect.bisect(starts, (offset, 1 << 60)) - 1][1]
                names.setdefault(name, (order, True))
        return {name: names[name][1] for name in sorted(names, key=lambda name: (names[name][0], name))}

    def values(self, headers, names):
        """Of those names that are integer constants the value, as C has it (negative where it is), and its size."""
        if not names:
            return {}
        names, before = list(names), BEFORE
        while names:
            lines = [before, *(f"#include <{header}>" for header in headers), '# 1 "probe"']
            lines += [f"enum {{ apus_{index} = ({name}) }};" for index, name in enumerate(names)]
            # The sizes and signs tell 0x80000000 of an int from that of a larger type.
            rows = [f"(unsigned long long)({n}), sizeof({n}) | (({n}) < 0) << 8," for n in names]
            lines += ['# 1 "rows"', "const unsigned long long apus_rows[] __attribute__((aligned(16))) = {"]
            lines += [", ".join(map(str, struct.unpack("<2Q", MARK))) + ",", *rows, "};"]
            with tempfile.TemporaryDirectory() as folder:
                options = ("-c", "-ferror-limit=0", "-fno-caret-diagnostics", "-o", f"{folder}/rows.o")
                result = self.run(*options, source="\n".join(lines) + "\n")
                if result.returncode == 0:
                    with open(f"{folder}/rows.o", "rb") as file:
                        return self.rows(file.read(), names)
            errors = result.stderr.decode(errors="replace")
            faulty = {int(line) - 1 for line in re.findall(r"^probe:(\d+):\d+: (?:fatal )?error: ", errors, re.M)}
            faulty |= {int(line) - 3 for line in re.findall(r"^rows:(\d+):\d+: (?:fatal )?error: ", errors, re.M)}
            if not faulty.intersection(range(len(names))):
                if before != BEFORE:
                    raise Fault(f"{' with '.join(headers)} cannot be compiled: {first_error(result.stderr)}")
                before = BEFORE_TOO + BEFORE
            names = [name for index, name in enumerate(names) if index not in faulty]
        return {}

    def rows(self, data, names):
        start = data.index(MARK) + len(MARK)
        values = {}
        for index, name in enumerate(names):
            value, shape = struct.unpack_from("<2Q", data, start + 16 * index)
            negative, size = shape >> 8, shape & 255
            values[name] = (value - (1 << 64) if negative else value), size
        return values


def first_error(text):
    found = re.search(r"^(.*): (?:fatal )?error: (.*)$", text.decode(errors="replace"), re.M)
    return f"{found[1]}: {found[2]}" if found else "the compiler did not say why"


def is_expression(body):
    """Whether a macro's text may be put between parentheses without hurting what is around it."""
    depth = 0
    for character in body:
        depth += (character == "(") - (character == ")")
        if depth < 0:
            return False
    return bool(body) and depth == 0 and not re.search(r'[{};"#\\]', body)


def enumerators(body, start):
    depth, is_next = 0, True
    for found in re.finditer(r"\w+|\S", body):
        if found[0] in "()":
            depth += 1 if found[0] == "(" else -1
        elif found[0] == "," and depth == 0:
            is_next = True
        elif is_next:
            is_next = False
            yield found[0], start + found.start()
