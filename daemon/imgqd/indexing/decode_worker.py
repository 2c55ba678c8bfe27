"""The decoder processes: `python -m imgqd.indexing.decode_worker`, started by decode_channel.py.

The worker imports Pillow once and never looks at a picture. For each small batch of files it forks
a child, which locks itself up (sandbox.py), takes one request after another from its own channel
and answers (decode_task.py); a crash, a hang or a bomb costs the file in hand and the child. Where
there is no fork, the worker itself decodes (decode_windows.py).
"""

from __future__ import annotations

import array
import contextlib
import gc
import importlib
import math
import os
import select
import signal
import socket
import struct
import sys
import warnings
from typing import Any, NoReturn

from imgqd.indexing import decode_protocol as protocol
from imgqd.indexing import decode_task, formats, picture, sandbox
from imgqd.priority import Share


def main() -> None:
    """`decode_worker FD NICE CORES`: FD is the control socket, or `pipe` for standard input and
    output; NICE and CORES are what priority.Share has."""
    Share(int(sys.argv[2]), int(sys.argv[3])).bind_process()
    prepare()
    if sys.argv[1] == "pipe":
        from imgqd.indexing import decode_windows

        decode_windows.serve(sys.stdin.buffer, sys.stdout.buffer)
        return
    control = socket.socket(fileno=int(sys.argv[1]))
    with contextlib.suppress(EOFError, OSError):
        Forker(control).run()


def prepare() -> None:
    """Once for each worker, before any file."""
    warnings.simplefilter("ignore")
    picture.configure()
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as stream:
        # When the machine runs out of memory, a decoder goes before the daemon or a person's work.
        stream.write("500")


def load_library(word: str) -> bool:
    """Imports what a format needs beside Pillow. False when that cannot be had."""
    try:
        library = importlib.import_module(formats.LIBRARIES[word])
    except (ImportError, OSError, KeyError):
        return False
    if word == "heic":
        library.register_heif_opener(thumbnails=False, decode_threads=1)
    return True


class Forker:
    """Forks one child after another, as the daemon asks over the control socket."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._loaded: set[str] = set()

    def run(self) -> NoReturn:
        """Serves until the daemon closes the socket or ends: then raises EOFError."""
        while True:
            length, _ = protocol.HEADER.unpack(_exactly(self._control, protocol.HEADER.size))
            self._one_child(protocol.parse(_exactly(self._control, length)))

    def _one_child(self, orders: protocol.Fields) -> None:
        wanted = set(orders["libraries"])
        self._loaded |= {word for word in wanted - self._loaded if load_library(word)}
        ours, theirs = socket.socketpair()
        # Nothing is ever written to it: that it ends says that the child has, in whatever way.
        alive, held = os.pipe()
        # What is here stays: the collector need not touch (and so copy) it in every child.
        gc.freeze()
        child = os.fork()
        if child == 0:
            status = 1
            with contextlib.suppress(BaseException):
                sandbox.die_with_parent()
                self._control.close()
                ours.close()
                os.close(alive)
                _serve(theirs, orders, frozenset(self._loaded))
                status = 0
            os._exit(status)
        theirs.close()
        os.close(held)
        self._say({"started": child, "missing": sorted(wanted - self._loaded)}, ours)
        ours.close()
        # Woken by the child's end, or by the daemon, which is then done with it or is gone.
        ready, _, _ = select.select([self._control.fileno(), alive], [], [])
        if alive not in ready:
            os.kill(child, signal.SIGKILL)
        os.close(alive)
        _, status = os.waitpid(child, 0)
        self._say({"ended": os.waitstatus_to_exitcode(status)})

    def _say(self, fields: protocol.Fields, channel: socket.socket | None = None) -> None:
        rights: list[Any] = []
        if channel is not None:
            numbers = array.array("i", [channel.fileno()])
            rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, numbers)]
        frame = protocol.pack(fields)
        sent = self._control.sendmsg([frame], rights)
        self._control.sendall(frame[sent:])


# -- the child ------------------------------------------------------------------------------------


def _serve(channel: socket.socket, orders: protocol.Fields, loaded: frozenset[str]) -> None:
    files = orders["files"]
    # The daemon's deadline comes first; this one holds when the daemon cannot act.
    seconds = math.ceil(orders["timeout_s"]) + 1
    limits = picture.Limits(orders["max_pixels"], orders["min_side"])
    words = sandbox.apply(
        memory_mb=orders["memory_mb"],
        cpu_s=(seconds + 1) * files,
        threads="heic" in loaded,  # libde265 decodes in a thread of its own, always
    )
    for _ in range(files):
        received = _receive(channel)
        if received is None:
            return
        sandbox.allow_cpu(seconds)
        header, body = decode_task.answer(*received, limits, loaded)
        header["sandbox"] = words
        channel.sendall(protocol.pack(header, len(body)))
        channel.sendall(body)


def _receive(channel: socket.socket) -> tuple[protocol.Fields, int] | None:
    """The next request and its file; None when the daemon has closed the channel."""
    size = array.array("i").itemsize
    first, ancillary, _, _ = channel.recvmsg(protocol.HEADER.size, socket.CMSG_SPACE(size))
    if not first:
        return None
    head = first + _exactly(channel, protocol.HEADER.size - len(first))
    request = protocol.parse(_exactly(channel, protocol.HEADER.unpack(head)[0]))
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            return request, struct.unpack("i", data[:size])[0]
    raise protocol.MalformedError("a request came without a file")


def _exactly(channel: socket.socket, count: int) -> bytes:
    parts = bytearray()
    while len(parts) < count:
        part = channel.recv(count - len(parts))
        if not part:
            raise EOFError
        parts += part
    return bytes(parts)


if __name__ == "__main__":
    main()
