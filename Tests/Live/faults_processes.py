"""Lives of processes: forks, executions of every kind, control groups, what outlives the command."""

import collections
import os
import subprocess

from support import (
    LIFECYCLE, Tracer, Waiting, check, comm, data, hostile, path_of, pid, reviewed, shell, trace, wait_until)
from faults_scope import unified


def many_forks(apus, scenario, folder):
    script = "i=0; while [ $i -lt 500 ]; do /bin/true $i; i=$((i+1)); done"
    seen = trace(apus, folder, ["--events", LIFECYCLE], shell(script))
    counts = collections.Counter(event["name"] for event in seen.events)
    check(counts == {"sched_process_fork": 500, "sched_process_exec": 501, "sched_process_exit": 501}, counts)
    children = [data(event)["child_pid"] for event in seen.named("sched_process_fork")]
    for number, event in enumerate(seen.named("sched_process_exec")[1:]):
        fields = data(event)
        check(fields["argv"] == ["/bin/true", str(number)], fields)
        check(fields["pathname"] == os.path.realpath("/bin/true") == path_of(event), fields)
        check(pid(event) == children[number], f"process {pid(event)} is not the forked one")
    for event in seen.named("sched_process_exit"):
        fields = data(event)
        check((fields["exit_code"], fields["process_group_exit"]) == (0, True), fields)
        check(path_of(event), event)
    kinds = collections.defaultdict(list)
    for event in seen.events:
        owner = data(event)["child_pid"] if event["name"] == "sched_process_fork" else pid(event)
        kinds[owner].append(event["name"][len("sched_process_"):])
    check(all(kinds[child] == ["fork", "exec", "exit"] for child in children), "an order is wrong")


def child_that_goes_on(apus, scenario, folder):
    """Tracing ends with the command; and by a scope it goes on with the children."""
    seen = trace(apus, folder, ["--events", "getppid,sched_process_exit"],
                 shell(f"(sleep 0.5; {scenario} flood 10) >/dev/null 2>&1 & exit 4"), status=4)
    check(not any(comm(event) == "scenario" for event in seen.events), "it waited for a grandchild")
    with Waiting(f"(sleep 0.1; {scenario} flood 10; touch {folder}/gone) >/dev/null 2>&1 & exit 4") as work, \
            Tracer(apus, folder, ["--events", "getppid", "--scope", f"tree={work.pid}"]) as tracer:
        work.go()
        wait_until(lambda: os.path.exists(f"{folder}/gone"), "the orphan has ended")
        seen = reviewed(tracer.end())
        check(sum(comm(event) == "scenario" for event in seen.events) == 10, f"the orphan was not followed: {seen}")


def execute(apus, folder, command, status=0, options=(), **more):
    """The fields of the last execution, and the executable that the events after it name."""
    seen = trace(apus, folder, ["--events", "sched_process_exec,sched_process_exit", *options], command,
                 status=status, **more)
    events = seen.named("sched_process_exec")
    check(events, f"no execution: {seen}")
    fields = data(events[-1])
    check(path_of(events[-1]) == fields["pathname"], f"{path_of(events[-1])} is not {fields['pathname']}")
    return fields


def script(apus, scenario, folder):
    path = os.path.join(folder, "script")
    with open(path, "w", encoding="utf-8") as file:
        file.write("#!/bin/sh -e\nexit 6\n")
    os.chmod(path, 0o755)
    fields = execute(apus, folder, [path, "one"], 6)
    check(fields["cmdpath"] == path and fields["interp"] == "/bin/sh", fields)
    check(fields["argv"] == ["/bin/sh", "-e", path, "one"], fields)
    check(fields["pathname"] == os.path.realpath("/bin/sh"), fields)


def from_memory(apus, scenario, folder):
    program = hostile(folder)
    for name in ("apus", "a/b", "\x1b[2J"):
        fields = execute(apus, folder, [program, "memfd", scenario, name], 2)
        check(fields["pathname"] == "memfd:" + name, fields["pathname"])
        check(fields["argv"] == ["from-memory"] and fields["cmdpath"].startswith("/dev/fd/"), fields)


def deleted_file(apus, scenario, folder):
    copy = os.path.join(folder, "copy")
    fields = execute(apus, folder, [hostile(folder), "deleted", scenario, copy], 2)
    check(fields["pathname"] == copy and fields["argv"] == ["deleted"], fields)


def deep_directory(apus, scenario, folder):
    """A path is whole, or what is missing is visible: it must not name another file."""
    for depth in (100, 300, 1500):
        place = os.path.join(folder, str(depth))
        os.mkdir(place)
        fields = execute(apus, folder, [hostile(folder), "deep", place, str(depth), scenario], 2)
        wanted = os.path.realpath(place) + "/d" * depth + "/deep"
        path = fields["pathname"]
        check(path == wanted or not path.startswith("/d/d"), f"depth {depth}: the path {path[:60]}… is not there")


def other_mount_namespace(apus, scenario, folder):
    """The path as it is seen there, through a bind mount that only the namespace has."""
    for name in ("real", "seen"):
        os.mkdir(os.path.join(folder, name))
    subprocess.run(["cp", scenario, f"{folder}/real/program"], check=True)
    mount = f"mount --bind {folder}/real {folder}/seen && exec {folder}/seen/program nonsense"
    fields = execute(apus, folder, ["unshare", "-m", "--propagation", "private", "sh", "-c", mount], 2)
    check(fields["pathname"] == f"{folder}/seen/program", fields)
    root = os.path.join(folder, "root")
    os.mkdir(root)
    subprocess.run(["cp", scenario, f"{root}/program"], check=True)
    fields = execute(apus, folder, ["chroot", root, "/program", "nonsense"], 2)
    check(fields["cmdpath"] == "/program" and fields["pathname"] == f"{root}/program", fields)
    check(fields["pwd"] == root, fields)


def environment(apus, scenario, folder):
    words = {"ONE": "1", "TWO": "two words", "PATH": "/usr/bin:/bin", "EMPTY": ""}
    fields = execute(apus, folder, ["true"], options=["--enrichment", "environment"], env=words)
    check(sorted(fields["env"]) == sorted(f"{name}={value}" for name, value in words.items()), fields["env"])
    fields = execute(apus, folder, ["true"], env=words)
    check(fields["env"] is None, fields["env"])


def standard_input_and_names(apus, scenario, folder):
    with open(f"{folder}/input", "w", encoding="utf-8"):
        pass
    fields = execute(apus, folder, shell(f"cd {folder}; exec true <{folder}/input"))
    check(fields["stdin_path"] == f"{folder}/input" and fields["stdin_type"] == 0o100000, fields)
    check(fields["prev_comm"] == "sh" and fields["pwd"] == folder, fields)
    fields = execute(apus, folder, shell("exec true <&-"))
    check(fields["stdin_path"] is None and fields["stdin_type"] == 0, fields)


def control_groups(apus, scenario, folder):
    name = f"apus-test-{os.getpid()}"
    group = f"{unified()}/{name}"
    seen = trace(apus, folder, ["--events", "cgroup_mkdir,cgroup_rmdir,cgroup_attach_task"], shell(
        f"mkdir {group}; stat -c %i {group} >{folder}/id; echo $$ >{group}/cgroup.procs; "
        f"echo $$ >{unified()}/cgroup.procs; rmdir {group}; echo $$ >{folder}/pid"))
    number, process = (open(f"{folder}/{what}", encoding="utf-8").read().strip() for what in ("id", "pid"))
    names = [event["name"] for event in seen.events]
    check(names == ["cgroup_mkdir", "cgroup_attach_task", "cgroup_attach_task", "cgroup_rmdir"], names)
    made, joined, left, removed = map(data, seen.events)
    for fields in (made, removed):
        found = (fields["cgroup_path"], fields["cgroup_id"], fields["hierarchy_id"])
        check(found == (f"/{name}", int(number), 0), fields)
    check((joined["cgroup_path"], joined["pid"]) == (f"/{name}", int(process)), joined)
    check(left["cgroup_path"] == "/", left)


TESTS = [
    many_forks, child_that_goes_on, script, from_memory, deleted_file, deep_directory, other_mount_namespace,
    environment, standard_input_and_names, control_groups,
]
