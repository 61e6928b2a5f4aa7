"""Judges what `--enrichment lineage` said of the processes of the program `forest`, here or in a guest."""

import json
import os
import re

SHOWN = 5
PROGRAMS = {"f": "forest", "s": "sapling"}


def steps(event):
    """Who made a process, nearest first: number, name, path of the program; None where it is not known."""
    found = []
    for ancestor in event["workload"]["process"].get("ancestors", []):
        if ancestor.get("unknown"):
            found.append(None)
        else:
            found.append((ancestor["host_pid"], ancestor["thread"]["name"], ancestor.get("executable", {}).get("path")))
    return found


def told(event):
    """The tree, and the line from the first process down to the event's: number and program of each."""
    for field in event["data"]:
        line = re.fullmatch(r"/forest/(\d+)((?:/\d+[fs])+)", field.get("str", ""))
        if line:
            return int(line[1]), [(int(step[:-1]), step[-1]) for step in line[2][1:].split("/")]
    return None


class Forest:
    """What was seen of one run of `DIRECTORY/forest TREES DEPTH`."""

    def __init__(self, path, directory, trees, depth, may_be_unknown=False):
        """`may_be_unknown`: where records were lost, it may not be known who comes next, and what was executed."""
        self.directory, self.may_be_unknown = directory, may_be_unknown
        self.problems, self.wrong, self.incomplete = [], 0, 0
        self.above = None
        self.identities, self.numbers = {}, set()
        seen = set()
        with open(path, encoding="utf-8") as file:
            for text in file:
                event = json.loads(text)
                place = told(event)
                if not place:
                    continue
                tree, line = place
                if (tree, len(line)) in seen:
                    self.problem(f"twice: {text[:2000]}")
                seen.add((tree, len(line)))
                self.numbers.add(line[-1][0])
                different = self.judge(event, tree, line)
                if different:
                    self.problem(f"{different}: {text[:6000].rstrip()}")
        # The first process and those who plant are above each tree.
        self.missing = trees * depth - len(seen)
        self.seen = len(seen)
        extra = {(tree, level) for tree, level in seen if not (0 <= tree < trees and 2 < level <= depth + 2)}
        if extra:
            self.problem(f"never told: {sorted(extra)[:SHOWN]}")

    def problem(self, text):
        self.wrong += 1
        if self.wrong <= SHOWN:
            self.problems.append(text)

    def judge(self, event, tree, line):
        """What is wrong with the ancestors of one event, in words; None for nothing."""
        process = event["workload"]["process"]
        if process["host_pid"] != line[-1][0]:
            return f"process {process['host_pid']}, not {line[-1][0]}"
        if not self.may_be_unknown:
            wanted = self.program(line[-1][1])
            if (process["thread"]["name"], process.get("executable", {}).get("path")) != wanted:
                return f"the event's own program is not {wanted}"
        found, above = steps(event), line[-2::-1]
        if self.may_be_unknown and None in found and found.index(None) < len(above):
            self.incomplete += 1
            above = above[:found.index(None)]
        if [step and step[0] for step in found[:len(above)]] != [number for number, _ in above]:
            return f"{[step and step[0] for step in found]} made it, not {[number for number, _ in above]}"
        if not self.may_be_unknown:
            for step, (number, program) in zip(found, above):
                if step[1:] != self.program(program):
                    return f"{number} ran {step[1:]}, not {self.program(program)}"
            if len(found) <= len(above) or None in found[:len(above) + 1]:
                return "nobody is above the first process"
            rest = found[len(above):]
            if self.above is None:
                self.above = rest
            if rest != self.above:
                return f"above the first process are {rest}, not {self.above}"
        return self.is_another(process, tree, len(line), len(above))

    def is_another(self, process, tree, level, known):
        """A process is the same one in each event: its number alone may be used again."""
        of_process = [(level, process)] + [
            (level - number - 1, ancestor) for number, ancestor in enumerate(process["ancestors"][:known])]
        for place, one in of_process:
            # Planters are above several trees, and the first process above all.
            number = one["host_pid"]
            key = (tree, place) if place > 2 else (place, number)
            identity = (number, one["unique_id"], one["thread"]["start_time"])
            if self.identities.setdefault(key, identity) != identity:
                return f"at level {place} is {identity}, where {self.identities[key]} was before"
        return None

    def program(self, letter):
        return PROGRAMS[letter], os.path.join(self.directory, PROGRAMS[letter])

    def fault(self, lost=0):
        """What is wrong, in words; empty when all is as it should be. So many events are known to be lost."""
        problems = list(self.problems)
        if self.wrong > len(problems):
            problems.append(f"{self.wrong} events of {self.seen} are wrong")
        if self.missing != lost:
            problems.append(f"{self.missing} events are missing, and {lost} were lost")
        return "\n    ".join(problems)
