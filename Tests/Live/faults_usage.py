"""Wrong use, and machines that lack something: one sentence and the right status."""

import os
import subprocess

from support import NOWHERE, SUMMARY, check, refused, reviewed, run, shell, trace

PRIVATE = ["unshare", "-m", "--propagation", "private"]


def without_root(apus, scenario, folder):
    refused(["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", apus, "trace", "--", "true"],
            1, "root", "sudo")


def wrong_events(apus, scenario, folder):
    def wrong(items, *gist):
        options = [word for item in items for word in ("--events", item)]
        refused([apus, "trace", *options, "--", "true"], 2, *gist)

    wrong(["opneat"], "unknown event 'opneat'", "did you mean openat")
    wrong(["clone,sched_proces_exec"], "unknown event", "did you mean sched_process_exec")
    wrong(["zzzzzzzzzzzz"], "unknown event", "apus events list")
    wrong(["fs"], "is a set", "tag=fs")
    wrong(["tag=fss"], "unknown set 'fss'", "did you mean", "fs")
    wrong(["nosuch*"], "starts with 'nosuch'")
    wrong([""], "empty")
    wrong(["openat,"], "empty")
    wrong(["openat,-openat"], "no event is left")
    wrong(["open\x1b[2Jat"], "open\\x1b[2Jat")


def wrong_scopes(apus, scenario, folder):
    def wrong(item, *gist):
        refused([apus, "trace", "--scope", item, "--", "true"], 2, *gist)

    wrong("foo=1", "unknown scope key 'foo'", "pid, uid")
    wrong("pidd=1", "unknown scope key 'pidd'", "did you mean pid")
    wrong("pid~1", "unknown scope key")
    wrong("", "scope")
    wrong("=1", "scope")
    wrong("pid", "operator")
    wrong("pid=", "empty value")
    wrong("pid=1,,2", "empty value")
    wrong("comm=", "empty value")
    wrong("pid=abc", "'abc' is no number")
    wrong("pid==1", "no number")
    wrong("pid=-1", "no number")
    wrong("uid=4294967296", "no number", "4294967295")
    wrong("pid<0", "match nothing")
    wrong("pid>4294967295", "match nothing")
    wrong("pid>1,2", "one number")
    wrong("comm>x", "= and != only")
    wrong("tree>1", "= and != only")
    wrong("comm=a-name-of-20-bytes", "15 bytes")
    wrong("uts=" + "u" * 65, "63 bytes")
    wrong("cgroup=/no/such/group", "control group")
    wrong("cgroup=-5", "control group")
    refused([apus, "trace", "--scope", "tree=4194303", "--", "true"], 1, "tree=4194303", "no such process")
    refused([apus, "trace", "--scope", "pid>9", "--scope", "pid<9", "--", "true"], 2, "match nothing")


def wrong_options_and_commands(apus, scenario, folder):
    refused([apus, "trace", "--frob", "--", "true"], 2, "unknown option '--frob'")
    refused([apus, "trace", "--evnets", "x", "--", "true"], 2, "did you mean --events")
    refused([apus, "trace", "--hooks", "some", "--", "true"], 2, "auto, each or all")
    refused([apus, "trace", "--hooks"], 2, "--hooks needs a value")
    refused([apus, "trace", "--enrichment", "moon", "--", "true"], 2, "unknown enrichment")
    for text in ("kernel.events", "kernel.events=3", "kernel.events=0", "kernel.events=-4", "kernel.events=x"):
        refused([apus, "trace", "--buffers", text, "--", "true"], 2, "power of two")
    refused([apus, "trace", "--buffers", "user=4", "--", "true"], 2, "unknown buffer 'user'")
    refused([apus, "trace", "--output", "xml", "--", "true"], 2, "unknown output 'xml'")
    refused([apus, "trace", "--output", "json:", "--", "true"], 2, "empty path")
    refused([apus, "trace", "--output", f"none:{folder}/x", "--", "true"], 2, "'none' takes no path")
    refused([apus, "frob"], 2, "unknown command 'frob'")
    refused([apus, "trcae", "--", "true"], 2, "did you mean trace")
    refused([apus, "trace", "ls"], 2, "follows --")


def wrong_programs(apus, scenario, folder):
    refused([apus, "trace", "--"], 2, "command")
    refused([apus, "trace", "--", ""], 2, "empty")
    refused([apus, "trace", "--", "no-such-command"], 127, "'no-such-command'", "does not exist")
    refused([apus, "trace", "--", "/no/such/command"], 127, "'/no/such/command'", "does not exist")
    refused([apus, "trace", "--", "/etc/passwd"], 126, "/etc/passwd", "not", "executable")
    refused([apus, "trace", "--", "/etc"], 126, "/etc", "not", "executable")
    refused([apus, "trace", "--", "/etc/passwd/x"], 127, "does not exist")
    plain = os.path.join(folder, "not-executable")
    with open(plain, "w", encoding="utf-8") as file:
        file.write("#!/bin/sh\n")
    refused([apus, "trace", "--", "not-executable"], 126, "not executable",
            env={**os.environ, "PATH": f"{folder}:/usr/bin:/bin"})
    refused([apus, "trace", "--", "true"], 127, "does not exist", env={"PATH": "/nowhere"})


def programs_that_the_kernel_refuses(apus, scenario, folder):
    """They are executable files, and execve says what they are not: that too must be said."""
    for name, text, status in (("no-format", "no format\n", 126), ("no-interpreter", "#!/no/interpreter\n", 127)):
        path = os.path.join(folder, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(path, 0o755)
        result = run([apus, "trace", "--output", "none", "--", path])
        check(result.status == status, f"{name}: wanted status {status}, got {result}")
        said = [line for line in result.err.splitlines() if path in line]
        check(len(said) == 1, f"{name}: no sentence names the program: {result}")


def statuses(apus, scenario, folder):
    def status(command, wanted):
        result = run([apus, "trace", "--events", "sched_process_exit", "--output", "none", "--", *command])
        check(result.status == wanted and SUMMARY.search(result.err), f"{command}: wanted {wanted}, got {result}")

    status(shell("exit 0"), 0)
    status(shell("exit 77"), 77)
    status(shell("exit 255"), 255)
    status(shell("kill -KILL $$"), 137)
    status(shell("kill -TERM $$"), 143)
    status(shell("ulimit -c 0; kill -SEGV $$"), 139)
    seen = trace(apus, folder, ["--events", "sched_process_exit"], shell("kill -KILL $$"), status=137)
    check(seen.events[-1]["data"][1].get("int32") == 9, seen.events[-1])


def events_that_the_kernel_lacks(apus, scenario, folder):
    if "gives it" in run([apus, "events", "describe", "module_load"]).out:
        return
    refused([apus, "trace", "--events", "module_load", "--", "true"], 1, "module_load", "no tracepoint")
    seen = trace(apus, folder, ["--hooks", "all", "--events", "module_load,getppid"], [scenario, "flood", "7"])
    check("cannot give module_load: this kernel has no tracepoint" in seen.err, seen.err)
    check(len(seen.named("getppid")) == 7, seen.events)
    seen = trace(apus, folder, ["--hooks", "all", "--events", "module*,getppid"], [scenario, "flood", "7"])
    notes = [line for line in seen.err.splitlines() if "module_load" in line]
    check(len(notes) == 1 and "cannot give" in notes[0], f"one note was wanted: {seen}")
    check(len(seen.named("getppid")) == 7, seen.events)
    refused([apus, "trace", "--events", "module*", "--", "true"], 1, "none of the chosen events")


def without_tracefs(apus, scenario, folder):
    """A mount namespace with nothing under /sys/kernel/tracing: it works without, or with its own."""
    hide = "mount -t tmpfs none /sys/kernel/tracing && mount -t tmpfs none /sys/kernel/debug && exec \"$@\""
    for hooks in ("auto", "all", "each"):
        seen = trace(apus, folder, ["--hooks", hooks, "--events", "getppid"], [scenario, "flood", "500"],
                     wrap=[*PRIVATE, "sh", "-c", hide, "sh"])
        check(len(seen.events) == 500, f"--hooks {hooks}: {seen}")


def without_type_information(apus, scenario, folder):
    hide = "mount -t tmpfs none /sys/kernel/btf && exec \"$@\""
    refused([*PRIVATE, "sh", "-c", hide, "sh", apus, "trace", "--", "true"], 1, "BTF")
    # A file that is no BTF, in the place of the kernel's.
    hide = "mount --bind /etc/passwd /sys/kernel/btf/vmlinux && exec \"$@\""
    refused([*PRIVATE, "sh", "-c", hide, "sh", apus, "trace", "--", "true"], 1, "BTF")
    hide = "mount --bind /dev/null /sys/kernel/btf/vmlinux && exec \"$@\""
    refused([*PRIVATE, "sh", "-c", hide, "sh", apus, "trace", "--", "true"], 1, "BTF")


def locked_down(apus, scenario, folder):
    """Simulated: what apus reads says so, and the kernel is not."""
    hide = "mount -t tmpfs none /sys/kernel/security && echo '%s' >/sys/kernel/security/lockdown && exec \"$@\""
    refused([*PRIVATE, "sh", "-c", hide % "none integrity [confidentiality]", "sh", apus, "trace", "--", "true"],
            1, "locked down", "confidentiality", "integrity")
    reviewed(run([*PRIVATE, "sh", "-c", hide % "none [integrity] confidentiality", "sh", apus, "trace", "--output",
                  "none", "--", "true"]))


def least_privileges(apus, scenario, folder):
    """The two capabilities that the refusal names are enough. perfmon is 38, bpf is 39."""
    capabilities = "-all,+cap_38,+cap_39"
    seen = trace(apus, folder, ["--events", "getppid,openat"], [scenario, "flood", "500"],
                 wrap=["setpriv", "--inh-caps", capabilities, "--bounding-set", capabilities])
    check(len(seen.named("getppid")) == 500, seen)
    # And one of them alone is not.
    for one in ("cap_38", "cap_39"):
        only = f"-all,+{one}"
        refused(["setpriv", "--inh-caps", only, "--bounding-set", only, apus, "trace", "--", "true"], 1, "CAP_BPF")


def examples_of_the_help(apus, scenario, folder):
    """Each is at least a right command line; the traced command is put in their place."""
    said = run([apus, "help", "trace"]).out
    examples = [line.strip() for line in said.split("Examples:")[1].splitlines() if line.strip()]
    check(len(examples) >= 3, said)
    for example in examples:
        line = example.split(" -- ")[0].replace("apus ", f"{apus} ", 1).replace("json:/tmp", f"json:{folder}")
        result = run(shell(f"{line} -- true"))
        check(result.status == 0, f"{example}: {result}")


def what_the_command_gets(apus, scenario, folder):
    """Its streams, its signals and its surroundings, as without apus."""
    ask = shell("ls /proc/self/fd; grep -E '^Sig(Blk|Ign|Cgt)' /proc/self/status; ulimit -a; umask; pwd; "
                "env -u _ | sort")
    plain = run(ask, cwd=folder).out
    traced = run([apus, "trace", "--output", f"json:{folder}/events", "--", *ask], cwd=folder).out
    check(plain == traced, f"other lines: {sorted(set(plain.splitlines()) ^ set(traced.splitlines()))}")


def words_that_are_no_text(apus, scenario, folder):
    """The command gets the bytes that apus was given; options that are no text are refused, not bent."""
    word = b"\xff\xfe \xc3("
    result = subprocess.run([apus, "trace", "--output", "none", "--", "printf", "%s", word], stdin=NOWHERE,
                            capture_output=True, timeout=20, check=False)
    check(result.stdout == word, f"the argument {word} became {result.stdout}")
    path = os.fsencode(folder) + b"/\xff"
    result = subprocess.run([apus, "trace", "--output", b"json:" + path, "--", "true"], stdin=NOWHERE,
                            capture_output=True, timeout=20, check=False)
    check(result.returncode == 2 and b"not UTF-8" in result.stderr, f"a path that is no text: {result}")
    check(not os.listdir(os.fsencode(folder)), f"an output elsewhere: {os.listdir(os.fsencode(folder))}")


def too_many_values(apus, scenario, folder):
    values = ",".join(map(str, range(1, 2001)))
    result = run([apus, "trace", "--events", "getppid", "--output", "none", "--scope", f"pid={values}", "--", "true"])
    if result.status:
        said = result.err.splitlines()
        check(len(said) == 1 and "scope" in said[0], f"it does not say what there is too much of: {result}")


def few_descriptors(apus, scenario, folder):
    limit = ["sh", "-c", "ulimit -n 16; exec \"$@\"", "sh"]
    result = run([*limit, apus, "trace", "--events", "getppid", "--output", "none", "--", scenario, "flood", "5"])
    lines = result.err.splitlines()
    check(result.status == 1 and len(lines) == 1 and len(lines[0]) < 300, f"a sentence was wanted: {result}")
    check("open files" in lines[0] or "descriptors" in lines[0], f"it does not say what to do: {lines[0]}")


def closed_streams(apus, scenario, folder):
    """Files that it opens must not land on the standard descriptors."""
    for closed in ("<&-", ">&-", "<&- >&-", "2>&-", "<&- >&- 2>&-"):
        path = os.path.join(folder, "closed.json")
        result = run(shell(f"exec \"$0\" trace --events sched_process_exec --output json:{path} -- true {closed}")
                     + [apus])
        with open(path, encoding="utf-8") as file:
            lines = file.readlines()
        check(result.status == 0, f"{closed}: {result}")
        check(len(lines) == 1 and '"sched_process_exec"' in lines[0], f"{closed}: {lines[:3]}")


TESTS = [
    without_root, wrong_events, wrong_scopes, wrong_options_and_commands, wrong_programs,
    programs_that_the_kernel_refuses, statuses, events_that_the_kernel_lacks, without_tracefs,
    without_type_information, locked_down, least_privileges, examples_of_the_help,
    what_the_command_gets, words_that_are_no_text, too_many_values, few_descriptors, closed_streams,
]
