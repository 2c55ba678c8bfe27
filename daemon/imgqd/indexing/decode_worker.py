"""The decoder processes: `python -m imgqd.indexing.decode_worker FD`, started by decode.py.

The worker imports Pillow once and never looks at a picture. For each small batch of files it forks a
child, which locks itself up (sandbox.py), takes one request after another from its own channel
and answers; a crash, a hang or a bomb costs the file in hand and the child. Where there is no fork,
the worker itself decodes, and is replaced after a failure.
"""

from __future__ import annotations

import array
import os
import select
import signal
import socket
import sys
from dataclasses import dataclass
from typing import Any

from imgqd.indexing import decode_protocol as protocol
from imgqd.indexing import picture, pixels, sandbox


@dataclass(frozen=True)
class Want:
    """The Preprocess of a request (records.Preprocess would import numpy)."""

    height: int
    width: int
    interpolation: str
    resize_mode: str
    fill_color: int
    resize: int | None


@dataclass(frozen=True)
class Orders:
    """What holds for all files of a worker; given once, by the daemon."""

    limits: picture.Limits
    memory_mb: int
    timeout_s: float
    files: int

    @classmethod
    def of(cls, fields: protocol.Fields) -> Orders:
        limits = picture.Limits(fields["max_pixels"], fields["min_side"])
        return cls(limits, fields["memory_mb"], fields["timeout_s"], fields["files"])


def answer(
    request: protocol.Fields, fd: int, limits: picture.Limits
) -> tuple[protocol.Fields, bytes]:
    """One request answered: the header and the body. Takes over `fd`."""
    source: picture.PictureFile | None = None
    try:
        name = bytes.fromhex(request["name"])
        source = picture.PictureFile(fd, name, limits, frozenset(_loaded))
        return _work(source, request)
    except picture.LibraryNeeded as error:
        return {"library": error.word}, b""
    except Exception as error:
        refused = picture.reason_of(error)
        return {"reason": refused.reason, "detail": refused.detail[:500]}, b""
    finally:
        if source is not None:
            source.stream.close()


def _work(source: picture.PictureFile, request: protocol.Fields) -> tuple[protocol.Fields, bytes]:
    header: protocol.Fields = {
        "metadata": {
            "width": source.width,
            "height": source.height,
            "format": source.format,
            "pixel_hash": source.pixel_hash().hex(),
        }
    }
    if request["kind"] == "inspect":
        return header, b""
    want = Want(**request["want"])
    image, box = source.decoded(want)
    size = (source.width, source.height)
    body = pixels.prepare(image, want, box=box, size=size).tobytes()
    return header, body


_loaded: set[str] = set()


def _load_library(word: str) -> bool:
    """Imports what a format needs beside Pillow. False when it is not installed."""
    return False


# -- the child ------------------------------------------------------------------------------------


def _serve(channel: socket.socket, orders: Orders) -> None:
    seconds = int(orders.timeout_s) + 2
    words = sandbox.apply(memory_mb=orders.memory_mb, cpu_s=seconds * orders.files)
    for _ in range(orders.files):
        received = _receive(channel)
        if received is None:
            return
        request, fd = received
        header, body = answer(request, fd, orders.limits)
        header["sandbox"] = words
        channel.sendall(protocol.pack(header, len(body)))
        channel.sendall(body)


def _receive(channel: socket.socket) -> tuple[protocol.Fields, int] | None:
    """The next request and its file; None when the daemon has closed the channel."""
    room = array.array("i", [0])
    first, ancillary, _, _ = channel.recvmsg(protocol.HEADER.size, socket.CMSG_SPACE(room.itemsize))
    if not first:
        return None
    head = first + _exactly(channel, protocol.HEADER.size - len(first))
    length, _ = protocol.HEADER.unpack(head)
    request = protocol.parse(_exactly(channel, length))
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            room = array.array("i", data[: room.itemsize])
            return request, room[0]
    raise protocol.MalformedError("a request came without a file")


def _exactly(channel: socket.socket, count: int) -> bytes:
    parts = bytearray()
    while len(parts) < count:
        part = channel.recv(count - len(parts))
        if not part:
            raise EOFError
        parts += part
    return bytes(parts)


# -- the worker -----------------------------------------------------------------------------------


class Forker:
    """Starts one child after another, as the daemon asks over the control socket."""

    def __init__(self, control: socket.socket) -> None:
        self.control = control

    def run(self) -> None:
        try:
            while True:
                self._one_child(self._ask())
        except EOFError:
            return

    def _ask(self) -> protocol.Fields:
        length, _ = protocol.HEADER.unpack(_exactly(self.control, protocol.HEADER.size))
        return protocol.parse(_exactly(self.control, length))

    def _one_child(self, fields: protocol.Fields) -> None:
        missing = [word for word in fields["libraries"] if not _load_library(word)]
        orders = Orders.of(fields)
        ours, theirs = socket.socketpair()
        # Nothing is ever written to it: its end tells that the child has ended, whatever way.
        alive, held = os.pipe()
        child = os.fork()
        if child == 0:
            status = 1
            try:
                ours.close()
                os.close(alive)
                self.control.close()
                _serve(theirs, orders)
                status = 0
            except (EOFError, OSError):
                status = 0
            finally:
                os._exit(status)
        theirs.close()
        os.close(held)
        self._say({"started": child, "missing": missing}, ours.fileno())
        ours.close()
        self._await(child, alive)

    def _await(self, child: int, alive: int) -> None:
        ready, _, _ = select.select([self.control.fileno(), alive], [], [])
        if alive not in ready:
            # The daemon is done with this child, or is gone.
            os.kill(child, signal.SIGKILL)
        os.close(alive)
        _, status = os.waitpid(child, 0)
        self._say({"ended": os.waitstatus_to_exitcode(status)})

    def _say(self, fields: protocol.Fields, *fds: int) -> None:
        frame = protocol.pack(fields)
        rights: list[Any] = []
        if fds:
            rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))]
        sent = self.control.sendmsg([frame], rights)
        self.control.sendall(frame[sent:])


def main() -> None:
    picture.configure()
    control = socket.socket(fileno=int(sys.argv[1]))
    if len(sys.argv) > 2:
        os.nice(int(sys.argv[2]))
    Forker(control).run()


if __name__ == "__main__":
    main()
