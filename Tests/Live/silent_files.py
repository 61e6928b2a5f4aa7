"""A file system whose files are never read to the end, and a program that waits for one while it keeps a lock."""

import contextlib
import ctypes
import errno
import os
import struct
import threading

from support import check, libc

# Maps a page of a file whose reading never ends, and touches it; and maps the file once more, which has to wait for
# that page while it keeps the lock that /proc/PID/cmdline takes.
KEEPER = """
import ctypes, mmap, os, sys, threading
first, second = (os.open(sys.argv[1], os.O_RDONLY) for _ in range(2))
page = mmap.mmap(first, 4096, mmap.MAP_PRIVATE, mmap.PROT_READ)
threading.Thread(target=os.write, args=[os.pipe()[1], page]).start()  # which lets others work meanwhile
sys.stdin.read(1)
mmap.mmap(second, 4096, mmap.MAP_PRIVATE, mmap.PROT_READ)
"""


class Silent:
    """A FUSE file system with one file, whose reading is never answered (include/uapi/linux/fuse.h)."""

    def __init__(self, place):
        self.place, self.opened = place, 0
        self.reading = threading.Event()
        self.device = os.open("/dev/fuse", os.O_RDWR)
        options = f"fd={self.device},rootmode=40000,user_id=0,group_id=0".encode()
        check(libc.mount(b"apus-test", place.encode(), b"fuse", 6, options) == 0, f"mount: {ctypes.get_errno()}")
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        file = struct.pack("QQQQQQ10I", 2, 4096, 8, 0, 0, 0, 0, 0, 0, 0o100444, 1, 0, 0, 0, 4096, 0)
        folder = struct.pack("QQQQQQ10I", 1, 0, 0, 0, 0, 0, 0, 0, 0, 0o40555, 2, 0, 0, 0, 4096, 0)
        with contextlib.suppress(OSError):  # at its end
            while True:
                request = os.read(self.device, 1 << 18)
                _, kind, unique, node = struct.unpack_from("IIQQ", request)
                error, answer = 0, b""
                if kind in (2, 36, 42):  # FORGET, INTERRUPT, BATCH_FORGET
                    continue
                if kind == 15:  # READ
                    self.reading.set()
                    continue
                if kind == 26:  # INIT
                    answer = struct.pack("IIIIHHIIHHI7I", 7, 31, 0, 0, 0, 0, 4096, 1, 0, 0, 0, *[0] * 7)
                elif kind == 1:  # LOOKUP
                    answer = struct.pack("QQQQII", 2, 0, 9, 9, 0, 0) + file
                elif kind == 3:  # GETATTR
                    answer = struct.pack("QII", 9, 0, 0) + (folder if node == 1 else file)
                elif kind == 14:  # OPEN: the second time past the page cache (FOPEN_DIRECT_IO)
                    answer = struct.pack("QII", 1, min(self.opened, 1), 0)
                    self.opened += 1
                else:
                    error = -errno.ENOSYS
                os.write(self.device, struct.pack("IiQ", 16 + len(answer), error, unique) + answer)

    def end(self):
        libc.umount2(self.place.encode(), 3)  # MNT_FORCE: who waits for an answer gets an error, MNT_DETACH
        os.close(self.device)
