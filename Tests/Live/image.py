"""A container image of busybox, as an archive that `ctr image import` and `podman load` take: no registry is asked.

    Tests/Live/image.py FILE NAME [PROGRAM...]

NAME is one like `docker.io/library/apus-busybox:1`; PROGRAM is what it runs, `sh` if nothing is said. The archive is
an image layout of OCI (image-layout.md of its image specification) with the names that containerd and podman look
for. The same words make the same bytes, and so the same digest, which is printed.
"""

import hashlib
import io
import json
import os
import sys
import tarfile

TOOLS = ("sh", "true", "false", "sleep", "cat", "echo", "id")


def add(archive, name, content, mode=0o644):
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), mode
    archive.addfile(entry, io.BytesIO(content))


def layer(busybox):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for folder in ("bin", "dev", "etc", "proc", "sys", "tmp"):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            archive.addfile(entry)
        with open(busybox, "rb") as file:
            add(archive, "bin/busybox", file.read(), 0o755)
        for tool in TOOLS:
            entry = tarfile.TarInfo(f"bin/{tool}")
            entry.type, entry.linkname = tarfile.SYMTYPE, "busybox"
            archive.addfile(entry)
        add(archive, "etc/passwd", b"root:x:0:0:root:/:/bin/sh\n")
        add(archive, "etc/group", b"root:x:0:\n")
    return packed.getvalue()


def write(path, name, program=("sh",), busybox="/bin/busybox", labels=None):
    """Writes the archive, and gives the digest of the image's manifest."""
    blobs = {}

    def blob(kind, content):
        digest = hashlib.sha256(content).hexdigest()
        blobs[digest] = content
        return {"mediaType": f"application/vnd.oci.image.{kind}", "digest": f"sha256:{digest}", "size": len(content)}

    def document(kind, value):
        return blob(kind, json.dumps(value, sort_keys=True).encode())

    root = layer(busybox)
    packed = blob("layer.v1.tar", root)
    settings = document("config.v1+json", {
        "architecture": "amd64", "os": "linux", "created": "2025-01-01T00:00:00Z",
        "config": {"Cmd": list(program), "Env": ["PATH=/bin"], "Labels": labels or {}},
        "rootfs": {"type": "layers", "diff_ids": [packed["digest"]]},
    })
    manifest = document("manifest.v1+json", {
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "config": settings,
        "layers": [packed],
    })
    manifest["annotations"] = {"io.containerd.image.name": name, "org.opencontainers.image.ref.name": name}
    with tarfile.open(path, mode="w") as archive:
        add(archive, "oci-layout", b'{"imageLayoutVersion": "1.0.0"}')
        add(archive, "index.json", json.dumps({"schemaVersion": 2, "manifests": [manifest]}).encode())
        for digest, content in blobs.items():
            add(archive, f"blobs/sha256/{digest}", content)
    return manifest["digest"]


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit("image.py: FILE NAME [PROGRAM...]")
    print(write(os.fspath(sys.argv[1]), sys.argv[2], tuple(sys.argv[3:]) or ("sh",)))
