"""What is added to events on request: environments without their secrets."""

from support import data, check, each_event, refused, run, trace

SECRETS = {
    "A": "1",
    "MY_TOKEN": "abc",
    "PATH": "/bin",
    "LANG": "C",
    "LANGUAGE": "de",
    "EMPTY_SECRET": "",
    "DATABASE": "postgres://user:abc@host/db",
    "KEEP": "eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0.",
}


def traced(apus, folder, options):
    """The environment of a program that has the secrets above, as an execution's event shows it."""
    variables = [f"{name}={value}" for name, value in SECRETS.items()]
    # Apus itself has them too, and gives them on.
    result = trace(apus, folder, ["--events", "sched_process_exec", *options], ["/usr/bin/env", "-i", *variables, "/bin/true"],
                   wrap=["/usr/bin/env", "-i", *variables])
    shown = [data(event)["env"] for event in each_event(result.path) if data(event)["argv"] == ["/bin/true"]]
    check(len(shown) == 1, f"{shown}")
    return shown[0]


def redacted_environment(apus, scenario, folder):
    whole = [
        "A=1", "MY_TOKEN=***", "PATH=/bin", "LANG=C", "LANGUAGE=de", "EMPTY_SECRET=", "DATABASE=postgres://user:***@host/db",
        "KEEP=***",
    ]
    for options, wanted in (
        ([], None),
        (["--enrichment", "environment"], whole),
        (["-E", "environment=*"], whole),
        (["-E", "environment=PATH,LANG*"], ["PATH=/bin", "LANG=C", "LANGUAGE=de"]),
        (["-E", "environment=*TOKEN,A,B"], ["A=1", "MY_TOKEN=***"]),
        (["-E", "environment=nosuch"], []),
    ):
        shown = traced(apus, folder, options)
        check(shown == wanted, f"{options}: {shown}")


def redacted_table(apus, scenario, folder):
    """The table hides what the JSON hides, and the whole output holds no secret."""
    command = ["/usr/bin/env", "-i", "A=1", "MY_TOKEN=abcdef", "PATH=/bin", apus, "trace", "--enrichment", "environment",
               "--events", "sched_process_exec", "--", "/bin/true"]
    result = run(command)
    check(result.status == 0, f"{result}")
    check("env: [A=1 MY_TOKEN=*** PATH=/bin]" in result.out, result.out[:2000])
    check("abcdef" not in result.out, result.out[:2000])


def enrichment_options(apus, scenario, folder):
    for text, gist in (
        ("nosuch", "unknown enrichment 'nosuch'; there are environment"),
        ("environment=", "names of variables by comma"),
        ("environment=A,,B", "names of variables by comma"),
        ("environment=A=1", "names of variables by comma"),
        ("environment=" + ",".join(["A"] * 257), "at most 256 names"),
        ("executable-hash=inode", "executable-hash.mode="),
        ("executable-hash.mode", "none|inode|dev-inode|digest-inode"),
        ("executable-hash.mode=sha1", "not 'sha1'"),
    ):
        refused([apus, "trace", "--enrichment", text, "--", "true"], 2, gist)


TESTS = [redacted_environment, redacted_table, enrichment_options]
