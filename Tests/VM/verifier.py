#!/usr/bin/env python3
"""What each program costs the kernel's verifier, and whether that grew.

    Tests/VM/verifier.py [--write] [FOLDER...]

Without a folder each kernel is booted and asked, and this host. A folder of results, named after its
kernel's series, holds the file `verifier`, which `apus bench verifier` made there: a line for each program,
with a tab

    PROGRAM  INSTRUCTIONS
    PROGRAM  refused: REASON

The figures are compared with Docs/verifier-cost.md; --write writes that file instead. To ask kernels takes the
static binary (`make static`, or APUS_BINARY), the packages named in the file `packages`, and for the host root.
"""

import os
import platform
import re
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
BINARY = os.path.join(ROOT, os.environ.get("APUS_BINARY", ".build/apus-static"))
TABLE = os.path.join(ROOT, "Docs/verifier-cost.md")
NAME = "Docs/verifier-cost.md"
SERIES = ["5.10", "6.1", "6.12", "7", "host"]
# A kernel gives up at a million (BPF_COMPLEXITY_LIMIT_INSNS); the next one may count otherwise.
LIMIT = 500_000
GROWTH, SLACK = 1.2, 200  # 20 percent, and what a changed line or another compiler makes of a small program
REFUSED = "refused"
ABSENT = "–"
# Ways to attach one body, of which the loader takes one.
WAYS = re.compile(r"__(fentry|fexit|kprobe|kretprobe|calls|calls_kprobe|multi|perf)$")


class Unreadable(Exception):
    """Results that cannot be judged; in words."""


def title(series):
    """As in kernel-matrix.md: 6.18.44-fc -> host 6.18-fc."""
    return re.sub(r"^(\d+\.\d+)\.\d+", r"host \1", platform.release()) if series == "host" else series


def is_host(column):
    return column.startswith("host")


# ---- What a kernel said

def read(folder):
    """Of each program, all its variants together: the largest figure, or `refused`; and the reasons."""
    places = [os.path.join(folder, name) for name in ("verifier", "kernel/verifier")]
    place = next(filter(os.path.exists, places), None)
    if place is None:
        raise Unreadable(f"no file {places[0]} was left")
    with open(place, encoding="utf-8", errors="replace") as file:
        lines = file.read().splitlines()
    figures, refusals = {}, []
    for line in lines:
        program, _, said = line.partition("\t")
        body = WAYS.sub("", program)
        if said.startswith("refused: "):
            refusals.append(f"{program} was {said}")
            figures[body] = REFUSED
        elif said.isdigit() and program:
            if figures.get(body) != REFUSED:
                figures[body] = max(int(said), figures.get(body, 0))
        else:
            raise Unreadable(f"'{line[:200]}' is no line of apus bench verifier")
    if not figures:
        raise Unreadable("no program was loaded")
    return figures, refusals


# ---- The table

def size(cells):
    """What rows are sorted by. What was refused comes first."""
    return max(sys.maxsize if cell == REFUSED else cell for cell in cells)


def rows(columns):
    """`columns`: {title: {program: figure}}. Rows of texts, the largest first."""
    programs = {program for figures in columns.values() for program in figures}
    found = {
        program: [figures[program] for figures in columns.values() if program in figures] for program in programs}
    table = []
    for program in sorted(programs, key=lambda program: (-size(found[program]), program)):
        cells = [figures.get(program, ABSENT) for figures in columns.values()]
        table.append([program] + [f"{cell:,}" if isinstance(cell, int) else cell for cell in cells])
    return table


def printed(columns):
    """For a terminal."""
    table = [["program", *columns], *rows(columns)]
    widths = [max(map(len, texts)) for texts in zip(*table)]
    return "\n".join(
        "  ".join([row[0].ljust(widths[0])] + [text.rjust(width) for text, width in zip(row[1:], widths[1:])])
        for row in table)


def document(columns):
    text = f"""# What the verifier costs

Instructions that the kernel's verifier processed of each program, with every event and every key of a scope
asked for, as `apus bench verifier` says them. They are work at start, not at run time, and a kernel gives up
at 1,000,000. Made by `make verifier-report`; `make test-vm` fails where a program is refused, passes
{LIMIT:,}, or is more than {GROWTH - 1:.0%} and more than {SLACK} instructions above this page.

A program that can be attached in several ways (`__fentry` and `__kprobe`, for example) has one row, with the
largest figure. `{ABSENT}`: that kernel has no place for it. The kernels' versions are in
[kernel-matrix.md](kernel-matrix.md); the host is the machine that made this page.

"""
    head = [["program", *columns], ["---"] + ["---:"] * len(columns)]
    return text + "".join(f"| {' | '.join(row)} |\n" for row in head + rows(columns))


def parse(text):
    """The figures of a document: {title: {program: figure}}."""
    columns, titles = {}, []
    for line in text.splitlines():
        program, *cells = [cell.strip() for cell in line.split("|")[1:-1]] or [""]
        if program == "program":
            titles = cells
            columns = {name: {} for name in titles}
        elif program and program != "---":
            for name, cell in zip(titles, cells):
                if cell != ABSENT:
                    columns[name][program] = REFUSED if cell == REFUSED else int(cell.replace(",", ""))
    return columns


# ---- What is wrong

def too_large(name, figures):
    return [
        f"{program} on {name}: {figure:,} instructions, above {LIMIT:,}"
        for program, figure in figures.items() if figure != REFUSED and figure > LIMIT]


def changes(was, name, figures):
    """Where a kernel's figures are not those of the committed table, in words."""
    if name not in was:
        # The host of whoever made the table may be another.
        return [] if is_host(name) else [f"{name} is not in {NAME}; run make verifier-report"]
    found = []
    for program in sorted(was[name].keys() | figures.keys()):
        old, new = was[name].get(program), figures.get(program)
        if new == REFUSED:
            continue  # told already
        if old is None or old == REFUSED:
            found.append(f"{program} on {name}: {new:,} instructions; {NAME} has none; run make verifier-report")
        elif new is None:
            found.append(f"{program} on {name}: not loaded; {NAME} has it; run make verifier-report")
        elif new > old * GROWTH and new > old + SLACK:
            found.append(
                f"{program} on {name}: {new:,} instructions, {new / old - 1:.0%} above the {old:,} of {NAME}; "
                "make it cheaper, or run make verifier-report and say why")
    return found


def measure(results):
    """`results`: {series: folder}. The columns, in the table's order, and what is wrong with them by themselves."""
    columns, problems = {}, []
    for series in sorted(results, key=lambda one: (SERIES.index(one) if one in SERIES else len(SERIES), one)):
        name = title(series)
        try:
            columns[name], refusals = read(results[series])
        except Unreadable as error:
            problems.append(f"{name}: {error}")
            continue
        problems += [f"{name}: {refusal}" for refusal in refusals] + too_large(name, columns[name])
    return columns, problems


def judge(results, write=False, table=TABLE):
    """Compares with the committed table, or writes it: what is wrong, in words."""
    columns, problems = measure(results)
    if write:
        missing = [title(series) for series in SERIES if title(series) not in columns]
        if missing:
            return problems + [f"{NAME} is not written, as there is nothing of {', '.join(missing)}"]
        with open(table, "w", encoding="utf-8") as file:
            file.write(document(columns))
        return problems
    try:
        with open(table, encoding="utf-8") as file:
            was = parse(file.read())
    except FileNotFoundError:
        return problems + [f"there is no {NAME}; run make verifier-report"]
    return problems + [text for name, figures in columns.items() for text in changes(was, name, figures)]


# ---- By itself

SCRIPT = """#!/bin/sh
mkdir -p /tmp/results
/apus bench verifier >/tmp/results/verifier
[ -s /tmp/results/verifier ]
"""


def ask(series, folder):
    """Leaves what the kernel's verifier says in FOLDER/SERIES."""
    results = f"{folder}/{series}"
    os.mkdir(results)
    if series == "host":
        with open(f"{results}/verifier", "w", encoding="utf-8") as file:
            subprocess.run([BINARY, "bench", "verifier"], stdout=file, check=False)
        return
    kernel = subprocess.run([f"{HERE}/fetch-kernel", series], stdout=subprocess.PIPE, text=True, check=False)
    if kernel.returncode:
        return  # it has said why
    booted = subprocess.run(
        [f"{HERE}/boot", "-t", "600", "-r", results, kernel.stdout.split()[-1], f"{folder}/test=/test",
         f"{BINARY}=/apus"], stdout=subprocess.PIPE, text=True, errors="replace", check=False)
    if booted.returncode:
        print(booted.stdout, file=sys.stderr)


def ask_all(folder):
    if not os.path.exists(BINARY):
        sys.exit(f"verifier: no binary at {BINARY}; run make static or set APUS_BINARY")
    with open(f"{folder}/test", "w", encoding="utf-8") as file:
        file.write(SCRIPT)
    for series in SERIES:
        ask(series, folder)
    return [f"{folder}/{series}" for series in SERIES]


def main():
    write = sys.argv[1:2] == ["--write"]
    folders = sys.argv[1 + write:]
    if any(folder.startswith("-") for folder in folders):
        sys.exit("usage: Tests/VM/verifier.py [--write] [FOLDER...]")
    with tempfile.TemporaryDirectory(prefix="apus-verifier-") as folder:
        report(folders or ask_all(folder), write)


def report(folders, write):
    results = {os.path.basename(os.path.normpath(folder)): folder for folder in folders}
    columns, _ = measure(results)
    problems = judge(results, write)
    if columns:
        print(printed(columns))
    for problem in problems:
        print(f"verifier: {problem}", file=sys.stderr)
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
