"""Real containerd, asked for names by its socket; and sockets that are missing, silent, mad or dying."""

import contextlib
import datetime
import hashlib
import json
import os
import random
import socket
import subprocess
import threading
import time

import image
from faults_containers import bundle, container
from support import Tracer, check, data, each_event, run, wait_until

IMAGE = "docker.io/library/apus-busybox:1"
SHORT = 20
EVENTS = "sched_process_exec,container_create,container_remove"


def asking(path):
    """Has Apus ask a socket of containerd's, and no other."""
    return ["--enrichment", f"container.containerd.socket={path}"]


def name(word):
    return f"apus-test-{os.getpid()}-{word}"


# ---- An own containerd

class Containerd:
    """A containerd with nothing of the machine's: its state, its images and its socket are in a folder."""

    def __init__(self, folder):
        self.folder, self.socket = folder, os.path.join(folder, "containerd.sock")
        self.environment = {**os.environ, "CONTAINERD_ADDRESS": self.socket, "CONTAINERD_SNAPSHOTTER": "native"}
        archive = os.path.join(folder, "image.tar")
        self.digest = image.write(archive, IMAGE)
        configuration = os.path.join(folder, "containerd.toml")
        with open(configuration, "w", encoding="utf-8") as file:
            file.write(f"""version = 2
root = "{folder}/root"
state = "{folder}/state"
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.internal.v1.opt",
    "io.containerd.snapshotter.v1.devmapper"]
[grpc]
address = "{self.socket}"
""")
        self.log = os.path.join(folder, "containerd.log")
        with open(self.log, "w", encoding="utf-8") as log:
            self.process = subprocess.Popen(
                ["containerd", "--config", configuration], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.lasting = []
        try:
            wait_until(lambda: os.path.exists(self.socket) or self.process.poll() is not None, "containerd listens")
            self.ctr("image", "import", archive)
        except BaseException:
            self.__exit__()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for identity in self.lasting:
            run(["ctr", "task", "rm", "--force", identity], env=self.environment)
            run(["ctr", "container", "rm", identity], env=self.environment)
        self.process.terminate()
        self.process.wait(10)
        # Its mounts, if any are left, would keep the folder.
        with open("/proc/self/mounts", encoding="utf-8") as file:
            for place in [line.split()[1] for line in file if line.split()[1].startswith(self.folder)]:
                run(["umount", "-l", place])

    def ctr(self, *words):
        result = run(["ctr", *words], env=self.environment)
        check(result.status == 0, f"ctr {words}: {result}, {self.text()}")

    def text(self):
        with open(self.log, encoding="utf-8", errors="replace") as log:
            return log.read()[-2000:]

    def short(self, identity, script="true"):
        self.ctr("run", "--rm", IMAGE, identity, "sh", "-c", script)

    def start(self, identity):
        self.ctr("run", "-d", IMAGE, identity, "sh", "-c", "while :; do sleep 0.05; done")
        self.lasting.append(identity)

    def said(self, identity):
        """What events must say of a container of the image."""
        return {"id": identity, "name": identity, "image": {"name": IMAGE, "repo_digests": [self.digest]}}


def said(event):
    """What an event says of its container, but for whether it was started."""
    found = dict(container(event) or {})
    found.pop("started", None)
    return found


def by_containerd(apus, scenario, folder):
    """Containers of containerd's own client: those that live for a moment, and one that stays."""
    with Containerd(folder) as runtime:
        scope = ["--scope", f"tree={runtime.process.pid}"]
        shorts = [name(number) for number in range(SHORT)]
        with Tracer(apus, folder, [*asking(runtime.socket), "--events", EVENTS, *scope]) as tracer:
            for identity in shorts:
                runtime.short(identity, f"cat /{identity}; true")
            runtime.start(name("stays"))
            time.sleep(0.5)
            result = tracer.end()
        check(result.status == 0 and result.lost == 0, f"{result}")
        wanted = {identity: runtime.said(identity) for identity in [*shorts, name("stays")]}
        own, made, gone = set(), [], []
        for event in each_event(tracer.path):
            identity = said(event).get("id")
            if event["name"] == "container_create":
                made.append(data(event)["container_id"])
            elif event["name"] == "container_remove":
                gone.append(data(event)["container_id"])
            elif argv := data(event)["argv"]:
                # The program's own word for who it is.
                if argv[0] == "cat":
                    check(argv[1] == f"/{identity}", f"{argv} is in {identity}")
                    own.add(identity)
            check(not identity or said(event) == wanted[identity], f"{event['name']}: {said(event)}")
        check(own == set(shorts), f"{len(own)} of {SHORT} executed cat")
        check(made == [*shorts, name("stays")] and gone == shorts, f"made {made}, gone {gone}")


def those_of_containerd_that_run(apus, scenario, folder):
    """A container that was there before gets its image too, which only containerd knows."""
    with Containerd(folder) as runtime:
        identity = name("stays")
        runtime.start(identity)
        runtime.start(name("other"))
        options = ["--events", "sched_process_exec,existing_container", "--scope", f"container={identity}"]
        with Tracer(apus, folder, [*asking(runtime.socket), *options]) as tracer:
            wait_until(lambda: os.path.getsize(tracer.path) > 4000, "some events")
            result = tracer.end()
        check(result.status == 0 and result.lost == 0, f"{result}")
        events = list(each_event(tracer.path))
        told = [data(event) for event in events if event["name"] == "existing_container"]
        check([fields["container_id"] for fields in told] == [identity], f"{told}")
        for event in events:
            check(said(event) == runtime.said(identity), f"{event['name']}: {said(event)}")


# ---- Sockets that do not do what they should

class Server:
    """A socket whose other side answers by `act`, one connection after the other on threads; None: never accepts."""

    def __init__(self, path, act, backlog=8):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(path)
        self.socket.listen(backlog)
        self.act, self.asked, self.open = act, 0, []
        if act:
            threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                connection = self.socket.accept()[0]
                self.asked += 1
                self.open.append(connection)
                threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        with contextlib.suppress(OSError):
            self.act(connection)

    def close(self):
        for one in [self.socket, *self.open]:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()


def silent(connection):
    while connection.recv(4096):
        pass


def garbage(seed):
    chance = random.Random(seed)

    def act(connection):
        with connection:
            connection.recv(4096)
            settings = b"\0\0\0\4\0\0\0\0\0" if chance.random() < 0.5 else b""
            connection.sendall(settings + chance.randbytes(chance.randrange(1, 40000)))

    return act


def endless(connection):
    """Settings, and then acknowledged pings without end."""
    connection.sendall(b"\0\0\0\4\0\0\0\0\0")
    while True:
        connection.sendall(b"\0\0\x08\6\1\0\0\0\0" + bytes(8))


def cut(path, seed):
    """A proxy that ends in the middle of the answer."""
    chance = random.Random(seed)

    def act(connection):
        # An answer has some 4,000 bytes, and each call a connection of its own.
        left = chance.choice([1 << 20, chance.randrange(0, 6000)])
        with connection, socket.socket(socket.AF_UNIX) as target:
            target.connect(path)
            threading.Thread(target=forward, args=(connection, target), daemon=True).start()
            while left > 0 and (content := target.recv(left)):
                connection.sendall(content)
                left -= len(content)
            # A thread that reads holds it open.
            for one in (connection, target):
                one.shutdown(socket.SHUT_RDWR)

    def forward(source, target):
        with contextlib.suppress(OSError):
            while content := source.recv(4096):
                target.sendall(content)

    return act


def generated(number):
    """An id like those that runtimes make: only of such are the runtimes asked."""
    return hashlib.sha256(f"{os.getpid()} {number}".encode()).hexdigest()


class Reader:
    """What apus writes, with how long each event took to come here."""

    def __init__(self, stream):
        self.events, self.delays = [], []
        self.thread = threading.Thread(target=self.read, args=(stream,))
        self.thread.start()

    def read(self, stream):
        for line in stream:
            now = datetime.datetime.now(datetime.timezone.utc)
            event = json.loads(line)
            # Zeros at the end of the fraction are not written; this Python takes six digits or none.
            seconds, _, fraction = event["timestamp"].removesuffix("Z").partition(".")
            stamp = datetime.datetime.fromisoformat(f"{seconds}.{fraction[:6]:0<6}+00:00")
            self.events.append(event)
            self.delays.append((now - stamp).total_seconds())


def troubled(apus, folder, path, containers=4):
    """Traces containers while a socket is in trouble: all come soon, with their ids, and Apus ends in time."""
    place = bundle(folder, "sh", "-c", "cat /marker; true")
    identities = [generated(number) for number in range(containers)]
    # Programs outside, too, while somebody may be waited for.
    script = 'for i in "$@"; do runc run --bundle $0 $i || exit 1; for j in 1 2 3 4 5; do env sleep 0.05; done; done'
    start = time.monotonic()
    command = ["--events", EVENTS, *asking(path), "--output", "json", "--", "sh", "-c", script, place, *identities]
    with subprocess.Popen(
            [apus, "trace", *command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True) as process:
        reader = Reader(process.stdout)
        error = process.stderr.read()
        status = process.wait(30)
        reader.thread.join(10)
    seconds = time.monotonic() - start
    check(status == 0 and " lost 0 " in error, f"status {status}: {error}")
    seen = [said(event).get("id") for event in reader.events
            if event["name"] == "sched_process_exec" and data(event)["argv"][:2] == ["cat", "/marker"]]
    check(seen == identities, f"{seen}, not {identities}")
    for kind in ("container_create", "container_remove"):
        told = [data(event)["container_id"] for event in reader.events if event["name"] == kind]
        check(told == identities, f"{kind}: {told}")
    check(max(reader.delays) < 1.5, f"the slowest event came after {max(reader.delays)} s")
    # Half a second for the first name, half of that for the next, and so on.
    late = sorted(reader.delays)[len(reader.delays) // 2]
    check(late < 0.75, f"half of the events came after {late} s")
    check(seconds < 12, f"it took {seconds:.1f} s")


def sockets_in_trouble(apus, scenario, folder):
    path = os.path.join(folder, "socket")
    troubled(apus, folder, path)  # missing
    abandoned = Server(path, None)
    abandoned.close()
    troubled(apus, folder, path)  # a file, and nobody listens
    os.remove(path)
    for act, backlog in ((None, 8), (None, 0), (silent, 8), (garbage(1), 8), (garbage(2), 8), (endless, 8)):
        server = Server(path, act, backlog)
        try:
            troubled(apus, folder, path)
            check(server.asked or not act, f"nobody asked {act}")
        finally:
            server.close()
            os.remove(path)
    for wrong in ("", folder):
        with open(path, "w", encoding="utf-8") as file:
            file.write("no socket")
        troubled(apus, folder, wrong or path, 1)


def containerd_that_dies(apus, scenario, folder):
    """A real containerd whose answers are cut at any place: names come from files, images where one was whole."""
    with Containerd(folder) as runtime:
        path = os.path.join(folder, "proxy")
        server = Server(path, cut(runtime.socket, 7))
        try:
            scope = ["--scope", f"tree={runtime.process.pid}"]
            shorts = [name(number) for number in range(SHORT)]
            with Tracer(apus, folder, [*asking(path), "--events", EVENTS, *scope]) as tracer:
                for identity in shorts:
                    runtime.short(identity)
                # In the middle of it all it goes away.
                server.close()
                runtime.short(name("last"))
                time.sleep(0.5)
                result = tracer.end()
        finally:
            server.close()
        check(result.status == 0 and result.lost == 0, f"{result}")
        check(server.asked > 0, "nobody asked")
        seen, whole = set(), 0
        for event in each_event(tracer.path):
            found = said(event)
            if not found:
                continue
            seen.add(found["id"])
            wanted = runtime.said(found["id"])
            check(found.items() <= wanted.items() or found.get("image") == {"name": IMAGE}, f"{found}")
            check(found.get("name") == found["id"], f"{event['name']}: {found}")
            whole += found == wanted
        check(seen == {*shorts, name("last")}, f"{seen}")
        check(whole, "no answer was whole")


TESTS = [by_containerd, those_of_containerd_that_run, sockets_in_trouble, containerd_that_dies]
