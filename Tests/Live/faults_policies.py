"""`policy check` and `policy explain`: what they say of right, wrong and hostile policies."""

import json
import os
import random
import shutil

from support import HERE, check, refused, run, trace

EXAMPLES = os.path.join(os.path.dirname(os.path.dirname(HERE)), "Policies")


def write(folder, text, name="policy.yaml"):
    path = os.path.join(folder, name)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    return path


def policy(name, *rules, scope="global"):
    """Rules are tuples of an event and its filters."""
    text = f"type: policy\nname: {name}\nscope: [{scope}]\nrules:\n"
    for event, *filters in rules:
        text += f"  - event: {event}\n" + ("    filters:\n" if filters else "")
        text += "".join(f"      - '{filter}'\n" for filter in filters)
    return text


def explained(apus, *words):
    result = run([apus, "policy", "explain", *words])
    check(result.status == 0, f"{words}: {result}")
    long = [line for line in result.out.splitlines() if len(line) > 80 and " " in line.strip()]
    check(not long, f"lines of more than 80 columns: {long}")
    return " ".join(result.out.split())


def rules_of(apus, *words):
    result = run([apus, "policy", "explain", "--json", *words])
    check(result.status == 0, f"{words}: {result}")
    return [rule for each in json.loads(result.out)["policies"] for rule in each["rules"]]


def checked(apus, path, status, *lines):
    """All lines of the output, in this order; each begins with what is given."""
    result = run([apus, "policy", "check", path])
    said = result.out.splitlines()
    check(result.status == status and not result.err, f"wanted status {status}: {result.out} {result}")
    check(len(said) == len(lines), f"wanted {len(lines)} lines: {said}")
    for line, start in zip(said, lines):
        check(line.startswith(start), f"wanted {start!r}: {line!r}")


def examples_of_policies(apus, scenario, folder):
    """They are right, also for who is not root; and what explain makes of them fits a terminal."""
    copies = os.path.join(folder, "examples")
    shutil.copytree(EXAMPLES, copies)
    names = sorted(os.listdir(copies))
    check(len(names) >= 3, names)
    nobody = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
    program = os.path.join(folder, "apus")
    shutil.copy(apus, program)
    for wrap in ([], nobody):
        result = run([*wrap, program, "policy", "check", copies])
        check(result.status == 0 and not result.err, result)
        lines = result.out.splitlines()
        check([line.split(":")[0] for line in lines] == [name.split(".")[0] for name in names], lines)
        check(all(" 0 events" not in line and len(line) <= 80 for line in lines), lines)
    text = explained(apus, copies)
    check("never matches" not in text, text)
    result = run([*nobody, program, "policy", "explain", copies])
    check(result.status == 0 and "is not known: Apus needs root" in result.out, result)
    check("hook" not in result.out and "cannot give" not in result.out, result.out)


def mistakes_in_policies(apus, scenario, folder):
    """Every one is told, with its place, and nothing else is printed."""
    path = write(folder, "type: policy\nname: No_Name\nscope:\n  - global\n  - exe=/bin/sh\nrules:\n"
                 "  - event: openatt\n  - event: openat\n    filters:\n      - data.pathnam=/x\n"
                 "      - \"retval<x\"\n  - event: openat\n    actions: [webhook]\n")
    checked(apus, path, 2, f"{path}:2:7: error: 'No_Name'", f"{path}:4:5: error: global", f"{path}:5:5: error: unknown scope key 'exe'",
            f"{path}:7:12: error: unknown event 'openatt'; did you mean openat",
            f"{path}:10:14: error: event openat has no field 'pathnam'; did you mean pathname",
            f"{path}:11:17: error: retval: 'x' is no number", f"{path}:12:12: error: event 'openat' is named twice",
            f"{path}:13:15: error: unknown action 'webhook'")
    result = run([apus, "policy", "explain", path])
    check(result.status == 2 and not result.out and len(result.err.splitlines()) == 8, result)
    result = run([apus, "policy", "check", "--json", path])
    told = json.loads(result.out)["diagnostics"]
    check(result.status == 2 and len(told) == 8, result.out)
    check((told[4]["line"], told[4]["column"], told[4]["severity"]) == (10, 14, "error"), told[4])
    # What can never match is a mistake already where it is sure.
    for filter, column, gist in (("comm=0123456789abcdef", 15, "at most 15 bytes"),
                                 ("data.flags=4294967296", 21, "outside of what it can be"),
                                 ("uid<0", 14, "never < 0"), ("data.pathname=**", 24, "matches everything")):
        path = write(folder, policy("one", ("openat", filter)))
        result = run([apus, "policy", "check", path])
        check(result.status == 2 and result.out.startswith(f"{path}:7:{column}: error: ") and gist in result.out,
              f"{filter}: {result.out}")
    # What of a set has not the field is left out; that a whole set has not is a mistake.
    path = write(folder, policy("one", ("tag=fs", "data.pathname=/x")))
    result = run([apus, "policy", "check", path])
    check(result.status == 0 and "warning: " in result.out and "are left out" in result.out, result.out)
    path = write(folder, policy("one", ("tag=fs", "data.no_such_field=/x")))
    result = run([apus, "policy", "check", path])
    check(result.status == 2 and "has no field 'no_such_field'" in result.out, result.out)


def wrong_words_of_policy_commands(apus, scenario, folder):
    for command in ("check", "explain"):
        refused([apus, "policy", command], 2, "name a file of policies")
        refused([apus, "policy", command, "--", "true"], 2, "--")
        result = run([apus, "policy", command, f"{folder}/nothing"])
        check(result.status == 2 and "nothing" in result.out + result.err, result)
    refused([apus, "policy", "explain", folder, "--events", "openat"], 2, "do not go together")
    refused([apus, "policy", "explain", "--events", "opneat"], 2, "did you mean openat")
    refused([apus, "policy", "explain", "--scope", "foo=1"], 2, "unknown scope key")
    refused([apus, "policy", "check", "--events", "openat"], 2, "unknown option")


def what_the_kernel_decides(apus, scenario, folder):
    """Of the command line's filters, one way of deciding each."""
    for filter, kernel, later in (
            ("data.pathname=/etc/passwd", "data.pathname: exactly /etc/passwd", None),
            ("data.pathname=/etc/*,/root/*,/tmp/*", "data.pathname: one of 3 beginnings", None),
            ("data.pathname=/a,*b,c*", "data.pathname: one of 1 whole text, 1 beginning or 1 ending", None),
            ("data.pathname!=/a,/b", "data.pathname: none of 2 whole texts", None),
            ("data.pathname=*a*", None, "*parts*"),
            ("data.flags=0x241", "data.flags: 577", None),
            ("data.flags=1*", None, "as text"),
            ("retval<0", "retval: negative", None),
            ("retval>=0", "retval: 0 or more", None),
            ("retval!=-2,-13", "retval: not -13 or -2", None),
            ("retval<=9223372036854775807", "retval: any number", None),
            ("scope.uid=0,1,2,9", "uid: 0 to 2 or 9", None),
            ("scope.processName!=a*", "processName: does not begin with a", None),
            ("scope.syscall=openat,read", "syscall: read or openat", None),
            ("scope.timestamp>5", None, "clock"),
            ("scope.hostName=x", None, "host")):
        [rule] = rules_of(apus, "--events", f"openat.{filter}")
        [part] = rule["filters"]
        check(part["kernel"] == ([kernel] if kernel else []), f"{filter}: {part}")
        check(("user_space" in part) == bool(later) and (later or "") in part.get("user_space", ""), f"{filter}: {part}")
        check("never" not in part, f"{filter}: {part}")
    # One policy's *part* takes the text from the kernel for the others too.
    path = write(folder, policy("one", ("openat", "data.pathname=/etc/*")) + "---\n" + policy("two", ("openat", "data.pathname=*x*")))
    one, two = rules_of(apus, path)
    said = [rule["filters"][0].get("user_space", "") for rule in (one, two)]
    check("*parts*" in said[1], said)
    check("another policy" in said[0] or one["filters"][0]["kernel"], said)


def what_can_never_match(apus, scenario, folder):
    def never(count, *words):
        parts = [part for rule in rules_of(apus, *words) for part in rule["filters"]]
        check(sum("never" in part for part in parts) == count, f"{words}: {parts}")

    never(1, "--events", "openat.retval<0", "--events", "openat.retval>0")
    never(0, "--events", "openat.retval<0", "--events", "openat.retval>-5")
    never(1, "--events", "openat.scope.comm=cat", "--scope", "comm=dog")
    never(0, "--events", "openat.scope.comm=c*", "--scope", "comm=cat,dog")
    never(1, "--events", "openat.scope.comm!=c*", "--scope", "comm=cat")
    never(1, "--events", "openat.scope.uid=5", "--scope", "uid>5")
    never(0, "--events", "openat.scope.uid=5", "--scope", "uid>5", "--scope", "uid=5")
    text = explained(apus, "--events", "openat", "--scope", "uid>4", "--scope", "uid<7", "--scope", "uid!=5,6")
    check("never matches" in text and "5 to 6" in text, text)
    text = explained(apus, "--events", "openat", "--scope", "uid>4", "--scope", "uid<8", "--scope", "uid!=5,6")
    check("never matches" not in text, text)
    text = explained(apus, "--events", "openat", "--scope", "uid=4", "--scope", "uid!=5")
    check("uid!= changes nothing" in text, text)
    text = explained(apus, "--events", "openat.data.pathname=/etc/*", "--events", "openat.data.pathname!=/etc/passwd")
    check("!= changes nothing here" in text, text)


def what_policies_share(apus, scenario, folder):
    same = ("openat", "data.pathname=/x", "retval<0")
    path = write(folder, "---\n".join([
        policy("one", same, ("close",)), policy("two", (same[0], same[2], same[1]), ("close", "retval<0")),
        policy("three", ("openat", "retval<0"))]))
    text = explained(apus, path)
    check("one and two ask for openat with the same filters." in text, text)
    check(text.count("Note:") == 1, text)


def what_this_kernel_gives(apus, scenario, folder):
    """As `events describe` says it, event by event."""
    for name in ("sched_process_exec", "security_file_open", "init_module", "cgroup_mkdir"):
        described = json.loads(run([apus, "events", "describe", "--json", name]).out)
        [rule] = rules_of(apus, "--events", name)
        if described["available"] == "present":
            check(not rule["absent"], rule)
            if name != "init_module":
                check(rule["hooks"] == described["hooks"], f"{rule} {described}")
        else:
            check(rule["absent"] == [{"event": name, "reason": described["reason"]}] and not rule["hooks"], rule)
    few = explained(apus, "--events", "openat,close")
    many = explained(apus, "--events", "tag=fs")
    check("every call of every process" in many, many)
    check("every call of every process" not in few or "perf tracepoints" in few, few)
    # A run hooks them as is said here, on both sides of the number from which all calls are hooked together.
    names = ("openat,close,read,write,lseek,dup,dup2,dup3,mmap,munmap,mprotect,fsync,mkdir,rmdir,unlink,rename,"
             "getppid").split(",")
    for count in (len(names) - 1, len(names)):
        wanted = ["--events", ",".join(names[:count])]
        hooks = explained(apus, *wanted)
        seen = trace(apus, folder, wanted, ["true"])
        single = "do not see 32-bit callers" in seen.err
        check(single == ("tracepoints of their own" in hooks), f"{hooks} {seen}")
        check(not single or count == 16, f"{count} calls: {hooks}")
    # A large set is a few lines, and all of its names are in the JSON.
    lines = run([apus, "policy", "explain", "--events", "tag=fs"]).out.splitlines()
    check(len(lines) < 40, f"{len(lines)} lines")
    [rule] = rules_of(apus, "--events", "tag=fs")
    listed = run([apus, "events", "list", "tag=fs"]).out.splitlines()
    check(sorted(line.split()[0] for line in listed) == rule["events"], rule["events"])


def hostile_policies(apus, scenario, folder):
    """Nothing of a file's reaches the terminal as it is; nothing ends by a signal; it says the same twice."""
    path = write(folder, 'type: policy\nname: one\ndescription: "a\\e[2J\\x9b2J\\u202Ex"\nscope: ["comm=\\e[2J"]\nrules:\n'
                 '  - event: openat\n    filters: ["data.pathname=/\\e]0;x\\a*"]\n', "x\x1b[2J.yaml")
    for words in (["check"], ["explain"], ["check", "--json"], ["explain", "--json"]):
        result = run([apus, "policy", *words, path])
        check(result.status == 0, result)
        check(not any(ord(sign) < 32 and sign != "\n" or 127 <= ord(sign) < 160 or sign == "\u202e"
                      for sign in result.out + result.err), f"{words}: {result.out!r}")
        check(run([apus, "policy", *words, path]).out == result.out, f"{words}: another text")
    chance = random.Random(7)
    with open(os.path.join(EXAMPLES, sorted(os.listdir(EXAMPLES))[0]), "rb") as file:
        text = file.read()
    for _ in range(60):
        bytes_ = bytearray(text)
        for _ in range(chance.randrange(1, 6)):
            bytes_[chance.randrange(len(bytes_))] = chance.choice(b"\n -:*=!<>,'\"[]{}0x\xff\x00%&a")
        path = os.path.join(folder, "hostile.yaml")
        with open(path, "wb") as file:
            file.write(bytes_)
        result = run([apus, "policy", "explain", path])
        check(result.status in (0, 2), f"{bytes(bytes_)!r}: {result}")
        check((result.status == 2) == ("error:" in result.err), f"{bytes(bytes_)!r}: {result}")


TESTS = [
    examples_of_policies, mistakes_in_policies, wrong_words_of_policy_commands, what_the_kernel_decides,
    what_can_never_match, what_policies_share, what_this_kernel_gives, hostile_policies,
]
