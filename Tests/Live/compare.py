"""Compares what a scenario says it did with the events that a tracer wrote about it."""

import collections
import glob
import json
import sys

# Calls that the scenario makes without saying so: see scenarios/README.md.
SILENT = {"execve": 1, "readlink": 1, "exit_group": 1, "sched_process_exit": 1}


def plain(field):
    """The value of one entry of `data`, as scenarios write it."""
    for key, value in field.items():
        if key == "name":
            continue
        if key in ("int32", "u_int32", "str", "bool", "sockaddr"):
            return value
        if key in ("int64", "u_int64"):
            return int(value)
        if key == "pointer":
            return hex(int(value))
        if key in ("str_array", "int32_array", "timespec"):
            return value["value"]
        raise ValueError(f"unknown kind of value '{key}'")
    return None


def same(expected, seen):
    if isinstance(expected, float) or isinstance(seen, float):
        return expected is not None and seen is not None and abs(expected - seen) < 1e-9
    return expected == seen


def nanoseconds(timestamp):
    """Within its day: enough to compare."""
    clock, _, fraction = timestamp.rstrip("Z").split("T")[1].partition(".")
    hours, minutes, seconds = map(int, clock.split(":"))
    return ((hours * 60 + minutes) * 60 + seconds) * 10**9 + int(fraction.ljust(9, "0") or 0)


def read_lines(path):
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file if line.strip()]


def names(expected_path):
    return sorted({line["event"] for line in read_lines(expected_path)})


def faults(expected_path, events_path, window=1_000_000):
    """Every difference, in words; empty when all is as it should be. `window`: nanoseconds that a record may come after
    later ones of other threads."""
    expected, seen = read_lines(expected_path), read_lines(events_path)
    wanted = {line["event"] for line in expected}
    found = [event for event in seen if event["name"] in wanted]
    problems = []

    if len(expected) == 1 and "count" in expected[0]:
        if len(found) != expected[0]["count"]:
            problems.append(f"{len(found)} events of {expected[0]['count']}")
        return problems

    # The whole stream is in order within a window; a thread's own order is exact, below.
    latest = 0
    for event in seen:
        time = nanoseconds(event["timestamp"])
        if latest - time > window:
            problems.append(f"{event['name']} comes {latest - time} ns late")
        latest = max(latest, time)

    by_thread = collections.defaultdict(list)
    for event in found:
        by_thread[event["workload"]["process"]["thread"]["tid"]].append(event)
    silent = dict(SILENT)
    for tid, events in sorted(by_thread.items()):
        lines = [line for line in expected if line["tid"] == tid]
        problems += compare_thread(tid, lines, events, silent)
    for tid in {line["tid"] for line in expected} - set(by_thread):
        problems.append(f"no event of thread {tid}")
    return problems


def compare_thread(tid, lines, events, silent):
    problems = []
    position = 0
    for event in events:
        line = lines[position] if position < len(lines) else None
        difference = differences(line, event) if line else ["there should be no more"]
        if not difference:
            position += 1
        elif silent.get(event["name"], 0) > 0 and (not line or line["event"] != event["name"] or difference):
            silent[event["name"]] -= 1
        else:
            shown = json.dumps(event["data"], ensure_ascii=False)
            problems.append(f"thread {tid}: {event['name']} {shown[:400]}: {'; '.join(difference)[:600]}")
            position += 1
    for line in lines[position:]:
        problems.append(f"thread {tid}: missing {json.dumps(line, ensure_ascii=False)[:300]}")
    return problems


def differences(line, event):
    problems = []
    process = event["workload"]["process"]
    if event["name"] != line["event"]:
        return [f"expected {line['event']}"]
    if process["pid"] != line["pid"]:
        problems.append(f"pid {process['pid']} not {line['pid']}")
    if "comm" in line and process["thread"]["name"] != line["comm"]:
        problems.append(f"name {process['thread']['name']} not {line['comm']}")
    if process["thread"].get("compat", False) != line.get("compat", False):
        problems.append(f"compat {process['thread'].get('compat', False)}")
    data = {field["name"]: plain(field) for field in event["data"]}
    for name, value in line["data"].items():
        if name not in data:
            problems.append(f"no field {name}")
        elif not same(value, data[name]):
            problems.append(f"{name} is {str(data[name])[:200]!r} not {str(value)[:200]!r}")
    for name in data.keys() - line["data"].keys():
        if event["name"] not in ("task_rename", "sched_process_exit"):
            problems.append(f"field {name} is not expected")
    if not process.get("executable", {}).get("path"):
        problems.append("no path of the executable")
    if process["thread"].get("syscall") not in (event["name"], None) and event["id"] < 1000:
        problems.append(f"in system call {process['thread'].get('syscall')}")
    return problems


# The host may take a guest's processor away while a program has the time and not yet handed over the record.
GUEST_WINDOW = 1_000_000_000


def main():
    """Compares all pairs NAME.expected and NAME.events of a folder, from a guest."""
    failed = 0
    pairs = sorted(glob.glob(f"{sys.argv[1]}/*.expected"))
    for expected in pairs:
        name = expected.removesuffix(".expected")
        problems = faults(expected, name + ".events", GUEST_WINDOW)
        failed += bool(problems)
        for problem in problems[:12]:
            print(f"{name.split('/')[-1]}: {problem}")
    print(f"{len(pairs) - failed} of {len(pairs)} comparisons agree")
    sys.exit(1 if failed or not pairs else 0)


if __name__ == "__main__":
    main()
