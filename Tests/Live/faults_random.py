"""Filters at random, of values that were seen before: the policies of each event are those that its line says."""

import random

from faults_filters import filtered
from faults_policies import policy, write
from faults_scope import named_copies
from support import check, comm, pid, shell, trace

EVENTS = [
    "accept", "bind", "close", "connect", "execve", "exit_group", "getsockname", "lseek", "mmap", "mprotect", "munmap",
    "openat", "prctl", "read", "sched_process_exec", "sched_process_exit", "sched_process_fork", "setresuid", "socket",
    "task_rename", "unlink", "wait4", "write",
]
POLICIES = 40


# ---- What an event's line says

# The least and the greatest number of each kind; those of 16 bits are shown as such of 32.
LIMITS = {
    "int32": (-2**31, 2**31 - 1), "u_int32": (0, 2**16 - 1), "int64": (-2**63, 2**63 - 1), "u_int64": (0, 2**64 - 1),
    "pointer": (0, 2**64 - 1),
}


def value(field):
    """A kind and a value; None for what is missing, or compared otherwise than here."""
    for key, found in field.items():
        if key in LIMITS:
            return key, int(found)
        if key == "bool":
            return "bool", found
        if key == "str":
            return "text", [found]
        if key == "str_array":
            return "text", found["value"]
    return None


def values(event):
    """All that filters may look at, by how they call it."""
    found = {f"data.{field['name']}": value(field) for field in event["data"]}
    if "data.returnValue" in found:
        found["retval"] = found["data.returnValue"]
    found["comm"] = "text", [comm(event)]
    found["uid"] = "u_int32", event["workload"]["process"]["real_user"]["id"]
    found["hostPid"] = "u_int32", pid(event)
    return {name: one for name, one in found.items() if one}


def fits(pattern, one):
    """A value of a list matches."""
    if not isinstance(one, str):
        return str(one).startswith(pattern[:-1]) if pattern.endswith("*") else str(one).lower() == pattern
    if pattern.startswith("*") and pattern.endswith("*"):
        return pattern[1:-1] in one
    if pattern.endswith("*"):
        return one.startswith(pattern[:-1])
    return one.endswith(pattern[1:]) if pattern.startswith("*") else one == pattern


def holds(filters, event):
    """Filters of one thing together: what = names, else not what != names and within all bounds."""
    seen = values(event)
    by_name = {}
    for name, sign, wanted in filters:
        by_name.setdefault({"retval": "data.returnValue"}.get(name, name), []).append((sign, wanted))
    for name, said in by_name.items():
        if name not in seen:
            return False
        ones = seen[name][1] if seen[name][0] == "text" else [seen[name][1]]
        named = [wanted for sign, wanted in said if sign == "="]
        excluded = [wanted for sign, wanted in said if sign == "!="]
        bounds = [(sign, int(wanted)) for sign, wanted in said if sign not in ("=", "!=")]

        def is_of(lists):
            return any(fits(pattern, one) for each in lists for pattern in each.split(",") for one in ones)

        within = all({"<": ones[0] < n, ">": ones[0] > n, "<=": ones[0] <= n, ">=": ones[0] >= n}[sign]
                     for sign, n in bounds)
        inside = not is_of(excluded) and within
        if not (is_of(named) or ((bounds or not named) and inside)):
            return False
    return True


# ---- Filters of what was seen

def written(text):
    """It can stand in a filter as it is: bytes that are no text were replaced, and are not looked for."""
    return text and text.isprintable() and not set(text) & set(",*'\ufffd")


def piece(chance, text):
    """A pattern that matches a text, mostly one that the kernel decides."""
    a, b = sorted(chance.randrange(len(text) + 1) for _ in range(2))
    shape = chance.randrange(8)
    if shape < 3 and len(text) < 1000:
        return text
    cut = text[a:b] if shape == 7 else text[:max(b, 1)] if shape % 2 else text[a:]
    if not cut:
        return text[:1] + "*"
    return f"*{cut}*" if shape == 7 else f"{cut}*" if shape % 2 else f"*{cut}"


def one_filter(chance, models):
    """Of what the first of some events of a kind has, and a list may have of the others."""
    seen = values(models[0])
    name = chance.choice(sorted(seen))
    kind = seen[name][0]
    sign = chance.choice(("=", "=", "!="))
    if kind == "bool":
        return name, sign, chance.choice(("true", "false"))
    others = [values(model).get(name) for model in models[:chance.randrange(1, 4)]]
    if kind == "text":
        texts = [chance.choice(other[1]) for other in others if other and other[1]]
        patterns = [piece(chance, text) for text in texts if written(text)]
        return (name, sign, ",".join(patterns)) if patterns else None
    numbers = [other[1] for other in others if other]
    low, high = LIMITS[kind]
    bound = numbers[0] + chance.choice((-1, 0, 1))
    if low < bound < high and chance.random() < 0.5:
        return name, chance.choice(("<", ">", "<=", ">=")), str(bound)
    if kind != "pointer" and chance.random() < 0.2:
        return name, sign, str(numbers[0])[:chance.randrange(1, 4)] + "*"
    return name, sign, ",".join(map(str, numbers))


def random_rules(chance, by_name):
    """A few events of a policy, each with a few filters."""
    rules = {}
    for name in chance.sample(sorted(by_name), chance.randrange(3, 8)):
        models = chance.sample(by_name[name], min(3, len(by_name[name])))
        filters = [one for one in (one_filter(chance, models) for _ in range(chance.randrange(1, 4))) if one]
        if filters:
            rules[name] = filters
    return rules


def filters_at_random(apus, scenario, folder):
    """Policies with filters at random beside one without any, which shows all events."""
    named_copies(filtered(folder), folder, "cat", "ca", "dog", "cat-and-dog-and-more")
    script = shell(f"{filtered(folder)} varied {folder}; {scenario} sockets; {scenario} errors; {scenario} arrays; "
                   f"{scenario} rename-comm")
    chosen = ["--events", ",".join(EVENTS)]
    by_name = {}
    for event in trace(apus, folder, chosen, script).events:
        by_name.setdefault(event["name"], []).append(event)
    check(set(by_name) == set(EVENTS), set(EVENTS) - set(by_name))
    for seed, hooks in ((4, "all"), (5, "each")):
        chance = random.Random(seed)
        rules = [random_rules(chance, by_name) for _ in range(POLICIES)]
        text = "---\n".join(
            [policy("all", *((name,) for name in EVENTS))]
            + [policy(f"p{number}", *((name, *map("".join, filters)) for name, filters in each.items()))
               for number, each in enumerate(rules)])
        seen = trace(apus, folder, ["--hooks", hooks, "--policy", write(folder, text)], script)
        taken, left, matched = 0, 0, set()
        for event in seen.events:
            wanted = {"all"}
            for number, each in enumerate(rules):
                if event["name"] in each:
                    if holds(each[event["name"]], event):
                        wanted.add(f"p{number}")
                    else:
                        left += 1
            found = set(event["policies"]["matched"])
            wrong = [(name, rules[int(name[1:])].get(event["name"])) for name in found ^ wanted if name != "all"]
            check(found == wanted, f"seed {seed}: of {found}, not {wanted}: {wrong} {str(event)[:1500]}")
            taken += len(wanted) - 1
            matched |= wanted
        # Or nothing was compared.
        check(len(seen.events) > 300 and taken > 500 and left > 1000, f"{len(seen.events)} {taken} {left}")
        check(len(matched) > POLICIES * 3 // 4, f"only {len(matched)} policies matched anything")


TESTS = [filters_at_random]
