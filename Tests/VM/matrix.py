"""Which kernel gives which event: judges what `kernel all` made and apus saw, and keeps the table.

A folder of results holds, of one kernel, `doctor.json` and `list.json` (what apus says it can give
there) and of each run what must be seen (`RUN.expected`), what was (`RUN.events`) and what apus said
(`RUN.summary`). The run `auto` is of most events; others are named in what is wrong with them. Lines of
the first kind are

    {"event":E,"pid":P,"tid":T,"data":{..}}      seen of that thread, in this order; others in between
    {"event":E,"some":true,"pid":P,"data":{..}}  seen at least once, of any thread
    {"event":E,"never":true,"pid":P,"data":{..}} not seen, of any thread
    {"event":E,"untriggerable":REASON}, {"event":E,"skipped":REASON}

and only the fields that they name are compared. Where pid or tid is null or left out, anybody's count;
`about` is for the reader.
"""

import collections
import json
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "Live"))

import compare  # noqa: E402

TITLE = "# Which kernel gives which event"
CALLS = "system calls"
LACKING = "## System calls that a kernel lacks"


class Unreadable(Exception):
    """Results that cannot be judged; in words."""


class Cell(collections.namedtuple("Cell", "kind text reason", defaults=[None])):
    """Of one event on one kernel. Kinds: given, untried, absent, FAILED."""

    @property
    def whole(self):
        return f"{self.text}: {self.reason}" if self.reason else self.text


class Column:
    """What one kernel gives: a title, the kernel's full version, a cell for each event, and system calls it lacks."""

    def __init__(self, title, version, cells, lacking=()):
        self.title, self.version, self.cells, self.lacking = title, version, cells, sorted(lacking)

    @property
    def failures(self):
        return [f"{event}: {cell.reason}" for event, cell in self.cells.items() if cell.kind == "FAILED"]

    @property
    def counts(self):
        kinds = collections.Counter(cell.kind for event, cell in self.cells.items() if event != CALLS)
        return f"{kinds['given']} events given, {kinds['untried']} not tried, {kinds['absent']} absent"


# ---- What was seen

def plain(field):
    if "bytes" in field:
        return {"bytes": field["bytes"]}
    if "u_int64_array" in field:
        return [int(value) for value in field["u_int64_array"]["value"]]
    if "credentials" in field:
        return field["credentials"]
    return compare.plain(field)


def fits(expected, seen):
    """Of an object only the keys that are given count. 64 bits stand as text in JSON."""
    if isinstance(expected, dict) and isinstance(seen, dict):
        return all(key in seen and fits(value, seen[key]) for key, value in expected.items())
    if isinstance(expected, list) and isinstance(seen, list):
        return len(expected) == len(seen) and all(map(fits, expected, seen))
    if isinstance(expected, str) != isinstance(seen, str) and not isinstance(expected, (bool, float, type(None))):
        return str(expected) == str(seen)
    return compare.same(expected, seen)


def differences(line, event):
    """Why an event is not the expected one; empty where it is."""
    process = event["workload"]["process"]
    found = []
    for key, value in (("pid", process["pid"]), ("tid", process["thread"]["tid"]), ("comm", process["thread"]["name"])):
        if key == "tid" and ("some" in line or "never" in line):
            continue
        if line.get(key) is not None and line[key] != value:
            found.append(f"{key} is {value!r} not {line[key]!r}")
    fields = {field["name"]: field for field in event["data"]}
    for name, expected in line.get("data", {}).items():
        if name not in fields:
            if expected is not None:
                found.append(f"no field {name}")
            continue
        try:
            seen = plain(fields[name])
        except ValueError as error:
            found.append(f"{name}: {error}")
            continue
        if not fits(expected, seen):
            found.append(f"{name} is {str(seen)[:200]!r} not {str(expected)[:200]!r}")
    return found


def shown(line):
    about = f" ({line['about']})" if "about" in line else ""
    return json.dumps(line.get("data", {}), ensure_ascii=False)[:300] + about


def missing(line, events):
    """In words, with the event that comes nearest."""
    text = f"not seen: {shown(line)}"
    if not events:
        return f"{text}, nor any other"
    nearest = min((differences(line, event) for event in events), key=len)
    return f"{text}; nearest: {'; '.join(nearest)[:400]}" if nearest else f"{text} in this order"


def judge(lines, events):
    """Of one event: how many expectations were met, and what is wrong."""
    met, problems = 0, []
    threads = collections.defaultdict(list)
    for line in lines:
        if "never" in line:
            if any(not differences(line, event) for event in events):
                problems.append(f"seen, but must not be: {shown(line)}")
        elif "some" in line:
            if any(not differences(line, event) for event in events):
                met += 1
            else:
                problems.append(missing(line, events))
        elif "untriggerable" not in line and "skipped" not in line:
            threads[line.get("tid")].append(line)
    for tid, wanted in threads.items():
        own = [event for event in events if tid in (event["workload"]["process"]["thread"]["tid"], None)]
        position = 0
        for line in wanted:
            rest = (i for i in range(position, len(own)) if not differences(line, own[i]))
            place = next(rest, None)
            if place is None:
                problems.append(missing(line, own or events))
            else:
                met, position = met + 1, place + 1
    return met, problems


def hook(event):
    """How it is hooked here: of `entry:do_exit: by fentry` what comes last."""
    ways = [way.group(1) for way in (re.search(r": by (.+)$", text) for text in event["hooks"]) if way]
    return ", ".join(dict.fromkeys(part for way in ways for part in way.split("+"))) or "agent"


def cell(event, absent, runs):
    """`runs`: for each by name, what was expected of this event, what was seen, and why apus left it out."""
    if event["name"] in absent:
        state, reason = absent[event["name"]]
        # What apus could not even try is no property of the kernel.
        return Cell("absent", "–", reason) if state == "absent" else Cell("FAILED", "FAILED", f"{state}: {reason}")
    problems, reasons = [], []
    given = False
    for run, (lines, seen, refusal) in runs.items():
        if refusal and run == "fentry":
            continue  # not every function can have a trampoline
        # It was said to be given, but then it was not traced.
        met, wrong = (0, [refusal]) if refusal else judge(lines, seen)
        given = given or met > 0
        problems += wrong if run == "auto" else [f"{run}: {text}" for text in wrong]
        reasons += [line[key] for line in lines for key in ("untriggerable", "skipped") if key in line]
    if problems:
        more = f" (and {len(problems) - 1} more)" if problems[1:] else ""
        return Cell("FAILED", "FAILED", problems[0] + more)
    if given:
        return Cell("given", hook(event))
    if reasons:
        return Cell("untried", "given", reasons[0])
    return Cell("FAILED", "FAILED", "no scenario")


def read(path, parse=compare.read_lines):
    try:
        return parse(path)
    except OSError:
        raise Unreadable(f"no {os.path.basename(path)} was left") from None
    except ValueError as error:
        raise Unreadable(f"{os.path.basename(path)} is no JSON: {error}") from None


def read_text(path):
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()


def read_document(path):
    return json.loads(read_text(path))


def column(title, version, folder):
    """Judges the results of one kernel."""
    catalogue = read(f"{folder}/list.json", read_document)
    doctor = read(f"{folder}/doctor.json", read_document)
    absent = {entry["event"]: (entry["state"], entry["reason"]) for entry in doctor["events"]["absent"]}
    calls = [event for event in catalogue if "syscalls" in event["tags"]]
    others = [event for event in catalogue if "syscalls" not in event["tags"]]
    if not calls or not others:
        raise Unreadable("list.json names no events")

    runs = {}
    for run in sorted(name.removesuffix(".expected") for name in os.listdir(folder) if name.endswith(".expected")):
        lines, seen = collections.defaultdict(list), collections.defaultdict(list)
        for line in read(f"{folder}/{run}.expected"):
            lines[line["event"]].append(line)
        for event in read(f"{folder}/{run}.events"):
            seen[event["name"]].append(event)
        said = read(f"{folder}/{run}.summary", read_text)
        runs[run] = (lines, seen, dict(re.findall(r"^apus: this kernel cannot give (\w+): (.*)$", said, re.M)))
    if "auto" not in runs:
        raise Unreadable("no auto.expected was left")

    cells = {}
    for event in others:
        name = event["name"]
        cells[name] = cell(event, absent, {
            run: (lines[name], seen[name], refusals.get(name)) for run, (lines, seen, refusals) in runs.items()})
    for lines, _, _ in runs.values():
        for name in sorted(lines.keys() - {event["name"] for event in others}):
            cells[name] = Cell("FAILED", "FAILED", "the scenario expects it, but there is no such event")
    given = [event for event in calls if event["name"] not in absent]
    cells[CALLS] = Cell("given", f"{len(given)} of {len(calls)}")
    return Column(title, version, cells, {event["name"] for event in calls} & absent.keys())


# ---- The table

def rows(columns):
    """Cells as short texts, and the reasons that they point at."""
    notes = {}
    table = []
    for event in dict.fromkeys(event for column in columns for event in column.cells):
        row = [event]
        for one in columns:
            # An event that one kernel's list does not name is of another binary.
            here = one.cells.get(event, Cell("FAILED", "FAILED", "not in the list of events"))
            number = notes.setdefault(here.reason, len(notes) + 1) if here.reason else None
            row.append(f"{here.text} [{number}]" if number else here.text)
        table.append(row)
    return table, list(notes)


def printed(columns):
    """For a terminal."""
    table, notes = rows(columns)
    table.insert(0, ["event"] + [column.title for column in columns])
    widths = [max(map(len, texts)) for texts in zip(*table)]
    lines = ["  ".join(text.ljust(width) for text, width in zip(row, widths)).rstrip() for row in table]
    return "\n".join(lines + [""] + [f"[{i}] {note}" for i, note in enumerate(notes, 1)])


def document(columns):
    table, notes = rows(columns)
    text = f"""{TITLE}

Made by `Tests/VM/run --write`; `make test-vm` sees to it that it stays true. On each kernel a program
triggered the events and said what must be seen of them (`Tests/Live/scenarios/kernel`). A cell says

* how the event is hooked, where all that must be seen of it was seen, with the right values. `agent`: Apus
  makes it without a hook;
* `given` where it is hooked but cannot be triggered;
* `–` where this kernel does not give it. The notes below the table have the reasons.

The hooks are those of an event that is asked for alone. The program ran with all of them at once, when 6.12
and later hook most functions together (`kprobe.multi`); and once more with every function hooked by kprobes
on 6.1, and by trampolines (`fentry`, `fexit`) on 6.12 where it can have one. The kernels:

"""
    text += "".join(f"* {column.title}: {column.version}\n" for column in columns)
    text += "\n" + "".join(
        f"| {' | '.join(row)} |\n"
        for row in [["event"] + [column.title for column in columns], ["---"] * (len(columns) + 1), *table])
    text += "\n## Notes\n\n" + "".join(f"{i}. {note}\n" for i, note in enumerate(notes, 1))
    text += f"\n{LACKING}\n\n"
    return text + "".join(f"* {one.title}: {', '.join(one.lacking) or 'none'}\n" for one in columns)


def parse(text):
    """The cells of a document, with their reasons: {column: {event: text}}."""
    notes = dict(re.findall(r"^(\d+)\. (.*)$", text, re.M))
    columns, titles = {}, None
    for line in text.splitlines():
        fields = [field.strip() for field in line.split("|")[1:-1]]
        if not fields:
            titles = None
        elif titles is None and fields[0] == "event":
            titles = fields[1:]
            columns = {title: {} for title in titles}
        elif titles and fields[0] != "---":
            for title, field in zip(titles, fields[1:]):
                short, number = re.fullmatch(r"(.*?)(?: \[(\d+)\])?", field).groups()
                columns[title][fields[0]] = f"{short}: {notes.get(number)}" if number else short
    return columns


def parse_lacking(text):
    """The system calls that a document says a kernel lacks: {column: names}."""
    lines = re.findall(r"^\* (.+?): (.*)$", text.partition(LACKING)[2], re.M)
    return {title: [] if names == "none" else names.split(", ") for title, names in lines}


def changes(committed, columns):
    """Where the table of these columns is not the committed one, in words."""
    old, old_lacking = parse(committed), parse_lacking(committed)
    found = []
    for one in columns:
        if one.title not in old:
            # The host of whoever made the table may be another.
            if not one.title.startswith("host"):
                found.append(f"{one.title} is not in it")
            continue
        was, now = old[one.title], {event: cell.whole for event, cell in one.cells.items()}
        for event in dict.fromkeys([*now, *was]):
            if was.get(event) != now.get(event):
                told = was.get(event, "nothing")
                found.append(f"{event} on {one.title}: {now.get(event, 'no event')}; it says {told}")
        for name in sorted(set(one.lacking) ^ set(old_lacking.get(one.title, []))):
            found.append(f"{name} on {one.title}: {'lacking' if name in one.lacking else 'there'}; it says otherwise")
    return found
