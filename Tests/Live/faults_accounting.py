"""Losses: counted to the digit by event, cause and policy, told in the stream, and at any time on request."""

import collections
import json
import os
import re
import signal
import subprocess

from support import (
    HERE, Run, Tracer, Waiting, check, data, each_event, refused, run, wait_until)

LOST = re.compile(r"^apus: lost (\d+) of (\w+): (.*)$", re.M)
SUM = re.compile(r"^apus: emitted (\d+) = (\d+) delivered \+ (\d+) lost(.*); filtered in the kernel (\d+)$", re.M)
TINY = ["--buffers", "kernel.events=1", "--buffers", "kernel.control-plane=1", "--buffers", "kernel.rings=1"]


def floods(folder):
    program = os.path.join(os.path.dirname(folder), "floods")
    if not os.path.exists(program):
        subprocess.run(
            ["gcc", "-static", "-O1", "-o", program, os.path.join(HERE, "scenarios/floods.c")], check=True)
    return program


def rows(texts):
    """`getppid=100` as a dictionary."""
    return collections.Counter({name: int(count) for name, count in (text.rsplit("=", 1) for text in texts)})


def lost_events(result):
    return [event for event in each_event(result.path) if event["name"] == "lost_events"]


def told(result, field):
    """What all losses in the stream say together."""
    whole = collections.Counter()
    for event in lost_events(result):
        fields = data(event)
        part = rows(fields[field])
        if field in ("events", "causes"):
            check(sum(part.values()) == fields["count"], f"{field} do not add up: {fields}")
        whole += part
    return whole


def adds_up(result):
    """The second line of the summary is right."""
    found = SUM.search(result.err)
    check(found, f"no sum: {result}")
    emitted, delivered, lost, others, _ = found.groups()
    parts = [int(number) for number in re.findall(r"\+ (\d+)", others)]
    check(int(emitted) == int(delivered) + int(lost) + sum(parts), f"it does not add up: {result}")
    check((int(delivered), int(lost)) == (result.delivered, result.lost), f"two summaries: {result}")
    for word in ("unaccounted", "malformed"):
        check(word not in result.err, f"{word}: {result}")


def accounted(result, expected, must_lose=True):
    """Of each event: delivered + lost is what happened, whoever is asked about the losses."""
    adds_up(result)
    seen = collections.Counter(event["name"] for event in each_event(result.path))
    check(sum(seen.values()) == result.delivered, f"{sum(seen.values())} lines: {result}")
    by_summary = collections.Counter()
    for count, event, _ in LOST.findall(result.err):
        by_summary[event] += int(count)
    by_stream = told(result, "events")
    check(by_summary == by_stream, f"the summary says {by_summary}, the stream {by_stream}")
    for event, count in expected.items():
        check(seen[event] + by_stream[event] == count,
              f"{event}: {seen[event]} seen + {by_stream[event]} lost is not {count}: {result}")
        check(not must_lose or by_stream[event] > 0, f"{event}: nothing was lost: {result}")
    check(set(seen) - {"lost_events"} <= set(expected), f"others came: {seen}")


def expectations(text):
    return {line["event"]: line["count"] for line in map(json.loads, text.splitlines())}


def trace(apus, folder, options, command):
    path = os.path.join(folder, "events.json")
    result = run([apus, "trace", "--output", f"json:{path}", *options, "--", *command])
    check(result.status == 0, f"{options}: {result}")
    result.path = path
    return result


def flood_of_each_class(apus, scenario, folder):
    program = floods(folder)
    for hooks, what, count in (("all", "calls", 300000), ("each", "calls", 300000), ("auto", "names", 100000)):
        expected = expectations(run([program, what, str(count)]).out)
        result = trace(apus, folder, ["--hooks", hooks, "--events", ",".join(expected), *TINY],
                       [program, what, str(count)])
        accounted(result, expected)
        causes = told(result, "causes")
        check(set(causes) == {"ring_full"}, f"{causes}")
        check(set(told(result, "policies")) == {"default"}, "another policy")


def flood_of_processes(apus, scenario, folder):
    """Apus is stopped meanwhile, so that the ring is full for sure."""
    program = floods(folder)
    with Waiting(f"exec {program} processes 300") as work, Tracer(
        apus, folder, ["--events", "sched_process_fork,sched_process_exec,sched_process_exit", *TINY,
                       "--scope", f"tree={work.pid}"]
    ) as tracer:
        tracer.process.send_signal(signal.SIGSTOP)
        expected = expectations(work.go())
        tracer.process.send_signal(signal.SIGCONT)
        result = tracer.end()
    accounted(result, expected)
    check(sum(expected.values()) == 902, f"{expected}")


def threads_and_rings(apus, scenario, folder):
    for count in (1, 2, 8):
        result = trace(apus, folder, ["--hooks", "all", "--events", "getppid", "--buffers", f"kernel.rings={count}",
                                      "--buffers", "kernel.events=2"], [scenario, "flood-threads", "50000", "4"])
        accounted(result, {"getppid": 200000}, must_lose=False)
    for text in ("rings=3", "rings=0", "rings=128", "rings", "rings=1,kernel.events=1"):
        text = f"kernel.{text}"
        refused([apus, "trace", "--buffers", text, "--", "true"], 2, "--buffers")


def losses_in_the_stream(apus, scenario, folder):
    """They come by themselves, with when and who, unless they are taken out or filtered."""
    with Waiting(f"exec {scenario} flood 50000") as work, Tracer(
        apus, folder, ["--hooks", "all", "--events", "getppid", *TINY, "--scope", f"tree={work.pid}"]
    ) as tracer:
        work.go()
        wait_until(lambda: b'"lost_events"' in open(tracer.path, "rb").read(), "losses are told meanwhile")
        result = tracer.end()
    for event in lost_events(result):
        fields = data(event)
        check(0 <= fields["to"] - fields["from"] < 10 * 10**9, f"{fields}")
        check(set(rows(fields["processes"])) == {str(work.pid)}, f"{fields}")
        check(event["policies"]["matched"] == ["default"], f"{event}")
    check(sum(told(result, "processes").values()) == result.lost, f"{result}")
    for removal in ("-lost_events", "-lost_*", "lost_events.data.count>1000000"):
        result = trace(apus, folder, ["--hooks", "all", "--events", "getppid", "--events", removal, *TINY],
                       [scenario, "flood", "50000"])
        check(result.lost > 0 and not lost_events(result), f"{removal}: {result}")
        check(result.delivered + result.lost == 50000, f"{removal}: {result}")
        adds_up(result)


def losses_by_policy(apus, scenario, folder):
    """Two policies that want the same, one that wants something else, and one that does not want to know."""
    paths = []
    for name, rules in (("one", ["getppid"]), ("two", ["getppid"]), ("other", ["openat2"]),
                        ("silent", ["getppid", "-lost_events"])):
        paths += ["--policy", os.path.join(folder, f"{name}.yaml")]
        with open(paths[-1], "w", encoding="utf-8") as file:
            file.write(f"type: policy\nname: {name}\nscope:\n  - global\nrules:\n"
                       + "".join(f"  - event: {rule}\n" for rule in rules))
    result = trace(apus, folder, ["--hooks", "all", *paths, *TINY], [scenario, "flood", "50000"])
    accounted(result, {"getppid": 50000})
    by_policy = told(result, "policies")
    check(by_policy == {name: result.lost for name in ("one", "two", "silent")}, f"{by_policy}: {result}")
    for event in lost_events(result):
        check(event["policies"]["matched"] == ["one", "two"], f"{event}")


def bulk_gives_way(apus, scenario, folder):
    """When nobody reads, calls leave the last of the room to what is rare. Rings are asked now and then: in the smallest
    that Apus makes by itself, the last eighth is more than a thousand calls."""
    program = floods(folder)
    with Waiting(f"{program} calls 30000; exec {program} names 20") as work, Tracer(
        apus, folder, ["--hooks", "all", "--events", "getppid,task_rename", "--buffers", "kernel.events=512",
                       "--buffers", "kernel.rings=1", "--scope", f"tree={work.pid}"]
    ) as tracer:
        tracer.process.send_signal(signal.SIGSTOP)
        work.go()
        tracer.process.send_signal(signal.SIGCONT)
        result = tracer.end()
    adds_up(result)
    check(set(told(result, "events")) == {"getppid"}, f"others were lost than calls: {result}")
    seen = sum(event["name"] == "getppid" for event in each_event(result.path))
    check(seen + result.lost == 30000, f"{seen} calls: {result}")
    check(told(result, "causes")["shed"] > 10000, f"{told(result, 'causes')}: {result}")
    named = [event for event in each_event(result.path) if event["name"] == "task_rename"]
    check(sum(data(event)["new_name"] in ("even", "odd") for event in named) == 20, f"{len(named)} renames: {result}")


def rate_limits(apus, scenario, folder):
    """What is over a limit is lost by a cause of its own; that it begins and ends is told."""
    for limit, least in (("rate=100/s", 100), ("rate=1/h burst=50", 50), ("cgroup=10/m burst=20", 20)):
        for hooks in ("all", "each"):
            result = trace(apus, folder, ["--hooks", hooks, "--events", "getppid", "--limit", limit],
                           [scenario, "flood", "20000"])
            accounted(result, {"getppid": 20000, "rate_limit": 2}, must_lose=False)
            seen = sum(event["name"] == "getppid" for event in each_event(result.path))
            # As many as may come at once, and what time brought meanwhile; two processors may be at it at once.
            check(least <= seen < least + 100, f"{limit}: {seen} came: {result}")
            check(set(told(result, "causes")) == {"over_limit"}, f"{told(result, 'causes')}")
            states = [data(event) for event in each_event(result.path) if event["name"] == "rate_limit"]
            check([state["state"] for state in states] == ["started", "ended"], f"{states}")
            check(states[1]["count"] == 20000 - seen and states[1]["limit"] == limit, f"{states}")
            check((states[1]["cgroup_id"] != 0) == limit.startswith("cgroup"), f"{states}")
    # A file that is opened goes through scratch and filters.
    result = trace(apus, folder, ["--hooks", "all", "--events", "prctl.data.option=15", "--events", "-lost_events",
                                  "--events", "task_rename,-rate_limit", "--limit", "rate=1/h burst=10"],
                   [floods(folder), "names", "1000"])
    check(result.delivered == 10 and result.lost == 1990, f"{result}")
    adds_up(result)
    refused([apus, "trace", "--limit", "rate=many/s", "--", "true"], 2, "limit 'rate=many/s'")


def limits_of_policies(apus, scenario, folder):
    """A policy over its limit is taken out of a record; the others have it."""
    paths = []
    for name, limit in (("few", "limits: [rate=1/h burst=7]\n"), ("all", ""), ("some", "limits: [rate=1/h burst=40]\n")):
        paths += ["--policy", os.path.join(folder, f"{name}.yaml")]
        with open(paths[-1], "w", encoding="utf-8") as file:
            file.write(f"type: policy\nname: {name}\nscope: [global]\n{limit}rules:\n  - event: getppid\n"
                       "  - event: sched_process_exit\n")
    result = trace(apus, folder, ["--hooks", "all", *paths], [scenario, "flood", "1000"])
    check(result.lost == 0, f"{result}")
    adds_up(result)
    matched = collections.Counter()
    for event in each_event(result.path):
        if event["name"] in ("getppid", "sched_process_exit"):
            matched.update(event["policies"]["matched"])
    check(matched == {"few": 7, "some": 40, "all": 1001}, f"{matched}")
    ended = {data(event)["policy"]: data(event)["count"] for event in each_event(result.path)
             if event["name"] == "rate_limit" and data(event)["state"] == "ended"}
    check(ended == {"few": 994, "some": 961}, f"{ended}")


def counters_on_request(apus, scenario, folder):
    """SIGUSR1 prints the summary of the moment; nothing else changes."""
    with Waiting(f"{scenario} flood 3000; read more; {scenario} flood 2000") as work, Tracer(
        apus, folder, ["--hooks", "all", "--events", "getppid", "--scope", f"tree={work.pid}",
                       "--scope", "comm=scenario"]
    ) as tracer:
        work.process.stdin.write("go\n")
        work.process.stdin.flush()
        wait_until(lambda: sum(1 for _ in open(tracer.path, "rb")) == 3000, "the first flood is there")
        tracer.process.send_signal(signal.SIGUSR1)
        wait_until(lambda: "filtered in the kernel" in tracer.error(), "it says where it is")
        first = tracer.error()
        check(re.search(r"^apus: so far delivered 3000 lost 0 filtered \d+ in ", first, re.M), first)
        check(re.search(r"^apus: emitted 3000 = 3000 delivered \+ 0 lost; ", first, re.M), first)
        tracer.process.send_signal(signal.SIGUSR1)
        work.go()
        result = tracer.end()
    check(result.delivered == 5000 and result.lost == 0, f"{result}")
    check(result.err.count("so far") == 2, f"{result}")
    last = Run(0, "", result.err[result.err.rindex("apus: delivered"):], result.path)
    adds_up(last)


TESTS = [
    flood_of_each_class, flood_of_processes, threads_and_rings, losses_in_the_stream, losses_by_policy,
    bulk_gives_way, rate_limits, limits_of_policies, counters_on_request,
]
