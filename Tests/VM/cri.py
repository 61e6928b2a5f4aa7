"""As much of Kubernetes' interface for runtimes (CRI, runtime.v1) as makes a pod: what the kubelet would send.

A call is a connection of its own with a request of gRPC over HTTP/2 (RFC 9113); of the answer the message is read,
and fields of messages are texts. Nothing here is Apus's own code, so the two cannot share a mistake.
"""

import socket
import struct

NODE = 2  # NamespaceMode: the host's


class Failure(Exception):
    pass


def varint(number):
    out = b""
    while number >= 128:
        out += bytes([number & 127 | 128])
        number >>= 7
    return out + bytes([number])


def encode(*fields):
    """A message of (number, value): a text, an integer, a message as bytes, or a dictionary for a map of texts."""
    out = b""
    for number, value in fields:
        if isinstance(value, int):
            out += varint(number << 3) + varint(value)
            continue
        if isinstance(value, dict):
            out += encode(*((number, encode((1, key), (2, text))) for key, text in value.items()))
            continue
        value = value.encode() if isinstance(value, str) else value
        out += varint(number << 3 | 2) + varint(len(value)) + value
    return out


def text(message, wanted):
    """The text of a field; of a message where only fields with a length come first."""
    at = 0

    def integer():
        nonlocal at
        value = shift = 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < len(message):
        tag = integer()
        if tag & 7 == 0:
            integer()
            continue
        length = integer()
        if tag >> 3 == wanted:
            return message[at:at + length].decode()
        at += length
    return ""


def call(path, method, message, seconds=60):
    def frame(kind, flags, stream, content=b""):
        return struct.pack(">I", len(content))[1:] + struct.pack(">BBI", kind, flags, stream) + content

    def literal(name, value):
        # Without index, without Huffman's code (RFC 7541, 6.2.2).
        return b"\0" + bytes([len(name)]) + name.encode() + bytes([len(value)]) + value.encode()

    fields = b"".join(literal(*pair) for pair in (
        (":method", "POST"), (":scheme", "http"), (":path", method), (":authority", "localhost"),
        ("te", "trailers"), ("content-type", "application/grpc")))
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(seconds)
        connection.connect(path)
        connection.sendall(
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0) + frame(1, 4, 1, fields)
            + frame(0, 1, 1, b"\0" + struct.pack(">I", len(message)) + message))
        received, body = b"", b""
        while True:
            while len(received) < 9 or len(received) < 9 + int.from_bytes(received[:3], "big"):
                more = connection.recv(65536)
                if not more:
                    raise Failure(f"{method}: the connection ended")
                received += more
            length = int.from_bytes(received[:3], "big")
            kind, flags = received[3], received[4]
            content, received = received[9:9 + length], received[9 + length:]
            if kind == 0:
                body += content
            elif kind in (4, 6) and not flags & 1:
                connection.sendall(frame(kind, 1, 0, content if kind == 6 else b""))
            elif kind in (3, 7):
                raise Failure(f"{method}: the call was ended")
            if kind in (0, 1) and flags & 1:
                break
    if len(body) < 5:
        raise Failure(f"{method} failed; the runtime's log says why")
    return body[5:]


class Runtime:
    def __init__(self, path):
        self.path = path

    def ask(self, method, *fields, service="RuntimeService"):
        return call(self.path, f"/runtime.v1.{service}/{method}", encode(*fields))

    def pod(self, name, namespace, uid, labels=None, parent=""):
        """Makes a pod in the host's network; gives the sandbox's id, and its configuration for its containers."""
        options = encode((1, NODE))
        configuration = encode(
            (1, encode((1, name), (2, uid), (3, namespace))), (6, labels or {}), (7, {}),
            (8, encode((1, parent), (2, encode((1, options))))))
        return text(self.ask("RunPodSandbox", (1, configuration)), 1), configuration

    def container(self, sandbox, configuration, name, image, command, labels=None):
        """Makes and starts a container in a pod; gives its id."""
        settings = encode(
            (1, encode((1, name))), (2, encode((1, image))), *((3, word) for word in command), (9, labels or {}),
            (15, encode((2, encode((3, encode((1, NODE))))))))
        identity = text(self.ask("CreateContainer", (1, sandbox), (2, settings), (3, configuration)), 1)
        self.ask("StartContainer", (1, identity))
        return identity

    def end(self, sandbox, *containers):
        for identity in containers:
            self.ask("StopContainer", (1, identity), (2, 0))
            self.ask("RemoveContainer", (1, identity))
        self.ask("StopPodSandbox", (1, sandbox))
        self.ask("RemovePodSandbox", (1, sandbox))
