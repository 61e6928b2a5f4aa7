"""Real containers, run by runc: who did it, and scopes that the kernel decides."""

import collections
import json
import os
import signal
import subprocess

from support import Tracer, check, data, each_event, refused, run, trace, wait_until


def bundle(folder, *words):
    """A folder that runc runs words in: busybox and nothing else."""
    place = os.path.join(folder, f"bundle{len(os.listdir(folder))}")
    os.makedirs(f"{place}/rootfs/bin")
    subprocess.run(["cp", "/bin/busybox", f"{place}/rootfs/bin/"], check=True)
    for name in ("sh", "true", "sleep", "cat"):
        os.symlink("busybox", f"{place}/rootfs/bin/{name}")
    subprocess.run(["runc", "spec"], cwd=place, check=True)
    with open(f"{place}/config.json", encoding="utf-8") as file:
        config = json.load(file)
    config["process"].update(terminal=False, args=list(words))
    with open(f"{place}/config.json", "w", encoding="utf-8") as file:
        json.dump(config, file)
    return place


def name(number=0):
    return f"apus-test-{os.getpid()}-{number}"


def runc(place, number=0):
    return ["runc", "run", "--bundle", place, name(number)]


def container(event):
    return event["workload"].get("container")


def scopes(apus, scenario, folder):
    place = bundle(folder, "sh", "-c", "cat /bin/sh >/dev/null")
    inside, own = {name()}, name()

    def seen(scope, events="execve,openat"):
        result = trace(apus, folder, ["--events", events, "--scope", scope], runc(place))
        return collections.Counter((event["name"], (container(event) or {}).get("id")) for event in each_event(result.path))

    for scope in ("container", "container=new", f"container={own}", f"container={own[:-1]}", f"container=x,{own}"):
        found = seen(scope)
        check({identity for _, identity in found} == inside, f"{scope}: {found}")
        # The program, and what runc opens before.
        check(found["execve", own] > 0 and found["openat", own] > 10, f"{scope}: {found}")
    found = seen("container=started")
    check(found["execve", own] > 0 and found["openat", own] > 0, f"{found}")
    check({identity for _, identity in found} == inside, f"{found}")
    found = seen("container!=started")
    check(found["openat", own] > 10 and {identity for _, identity in found} == inside, f"{found}")
    for scope in ("not-container", f"container!={own}"):
        found = seen(scope)
        check(found["execve", own] == 0 and found["execve", None] > 1 and {key[1] for key in found} == {None}, f"{found}")
    for scope in ("container!=new", "container=nosuch"):
        check(not seen(scope), scope)
    check(not seen("container", "openat.data.pathname=/nosuch"), "a filter besides")
    refused([apus, "trace", "--scope", "container", "--scope", "not-container", "--", "true"], 2, "can match nothing")


def short_lives(apus, scenario, folder):
    """Each event of a hundred containers that live for a moment says whose it is."""
    place = bundle(folder, "sh", "-c", "exec true $HOSTNAME")
    script = "for i in $(seq 100); do runc run --bundle $0 $1-$i || exit 1; done"
    result = trace(apus, folder, ["--events", "sched_process_exec,container_create,container_remove", "--scope", "container"],
                   ["sh", "-c", script, place, name()], timeout=120)
    programs, made, gone, unnamed = collections.Counter(), [], [], []
    for event in each_event(result.path):
        identity = container(event)["id"]
        if container(event).get("name") != identity:
            unnamed.append((event["name"], identity))
        if event["name"] == "container_create":
            made.append(data(event)["container_id"])
        elif event["name"] == "container_remove":
            gone.append(data(event)["container_id"])
        else:
            programs[identity, data(event)["pathname"]] += 1
    wanted = [f"{name()}-{number}" for number in range(1, 101)]
    check(made == wanted and gone == wanted, f"{len(made)} were made and {len(gone)} went: {made} {gone}")
    # sh is busybox, and runs true by itself. At times runc is in the group already when it executes itself once more.
    check(all(programs[identity, "/bin/busybox"] == 1 for identity in wanted), f"{programs}")
    check({identity for identity, _ in programs} == set(wanted), f"{programs}")
    check(result.lost == 0, f"{result}")
    # Names are waited for.
    check(len(unnamed) * 100 <= sum(programs.values()) + len(made) + len(gone), f"{len(unnamed)} have no name: {unnamed}")


def those_that_run(apus, scenario, folder):
    """A container that was there before is known from the start, by the walk over control groups."""
    place = bundle(folder, "sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.05; done")
    with subprocess.Popen(runc(place)) as process:
        try:
            wait_until(lambda: run(["runc", "exec", name(), "true"]).status == 0, "the container runs")
            events = ["--events", "execve,existing_container", "--scope", f"container={name()}"]
            with Tracer(apus, folder, events) as tracer:
                check(run(["runc", "exec", name(), "cat", "/bin/cat"]).status == 0, "runc exec")
                tracer.end()
            found = list(each_event(tracer.path))
            told = [data(event) for event in found if event["name"] == "existing_container"]
            check([fields["container_id"] for fields in told] == [name()], f"{told}")
            paths = [data(event)["pathname"] for event in found if event["name"] == "execve"]
            check("/bin/cat" in paths, f"{paths}")
            wanted = {"id": name(), "name": name(), "started": True}
            check(all(container(event) == wanted for event in found), f"{[container(event) for event in found]}")
        finally:
            run(["runc", "kill", name(), "KILL"])
            process.wait(10)
            run(["runc", "delete", "--force", name()])


def policies(apus, scenario, folder):
    """Two policies on one event: one of the host, one of a container; a change keeps both right."""
    place = bundle(folder, "true")
    paths = []
    for policy, scope in (("host", "not-container"), ("inside", f"container={name(1)}")):
        paths.append(os.path.join(folder, f"{policy}.yaml"))
        with open(paths[-1], "w", encoding="utf-8") as file:
            file.write(f"type: policy\nname: {policy}\nscope: [{scope}]\nrules:\n  - event: sched_process_exec\n")
    script = "read go; for i in 1 2; do runc run --bundle $0 $1-$i || exit 1; done"
    read, write = os.pipe()
    options = ["--policy", paths[0], "--policy", paths[1], "--", "sh", "-c", script, place, f"apus-test-{os.getpid()}"]
    with Tracer(apus, folder, options, stdin=read) as tracer:
        os.close(read)
        tracer.process.send_signal(signal.SIGHUP)
        wait_until(lambda: "in force now" in tracer.error(), "the change")
        os.write(write, b"\n")
        os.close(write)
        check(tracer.end(0).status == 0, tracer.error())
    matched = collections.defaultdict(collections.Counter)
    for event in each_event(tracer.path):
        matched[(container(event) or {}).get("id")].update(event["policies"]["matched"])
    check(set(matched) == {None, name(1)}, f"{matched}")
    check(set(matched[None]) == {"host"} and matched[None]["host"] > 4, f"{matched}")
    check(set(matched[name(1)]) == {"inside"}, f"{matched}")


def filters(apus, scenario, folder):
    """Filters of rules on what only the agent knows."""
    place = bundle(folder, "sh", "-c", "exec true $HOSTNAME")

    def seen(*filters):
        events = [word for filter in filters for word in ("--events", f"sched_process_exec.scope.{filter}")]
        result = trace(apus, folder, events, runc(place))
        check(result.lost == 0, f"{result}")
        return collections.Counter((container(event) or {}).get("id") for event in each_event(result.path))

    both = seen("pid>0")
    check(both[name()] > 0 and both[None] > 1, f"{both}")
    inside, outside = {name(): both[name()]}, {None}
    for filter in ("container", "not-host", "container=true", f"containerId={name()}", f"containerName={name()[:-2]}*",
                   "containerId!=x", f"containerName=x,{name()}"):
        found = seen(filter, "container") if "!=" in filter else seen(filter)
        # runc executes itself once more in the group at times.
        check(set(found) == set(inside), f"{filter}: {found}")
    for filter in ("host", "not-container", f"containerId!={name()}", f"containerName!=x*,{name()}"):
        found = seen(filter)
        check(set(found) == outside and found[None] > 1, f"{filter}: {found}")
    for filter in ("containerImage=x", "podName=x*", "podSandbox"):
        check(not seen(filter), filter)


TESTS = [scopes, filters, short_lives, those_that_run, policies]
