"""A FUSE filesystem that is mounted and then never answers: a dead network drive, for real.

It speaks just enough of the kernel's protocol (include/uapi/linux/fuse.h) to be an empty folder;
after `hang` every request waits until `answer_again` or `unmount`.
"""

from __future__ import annotations

import ctypes
import os
import stat
import struct
import threading

_HEADER = struct.Struct("IIQQIIII")
_INIT, _GETATTR, _STATFS, _OPENDIR, _READDIR, _RELEASEDIR = 26, 3, 17, 27, 28, 29


class HangingDrive:
    """An empty folder, mounted as `fuse.hanging`; needs root."""

    def __init__(self, path: bytes) -> None:
        self.path = path
        self.fd = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
        options = f"fd={self.fd},rootmode=40755,user_id=0,group_id=0,allow_other".encode()
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.mount(b"hanging", path, b"fuse.hanging", 0, options) != 0:
            os.close(self.fd)
            raise OSError(ctypes.get_errno(), "mount")
        self.hanging = threading.Event()
        self._answering = threading.Event()
        self._answering.set()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def hang(self) -> None:
        """From now on nothing is answered."""
        self._answering.clear()

    def answer_again(self) -> None:
        """Whoever hangs is answered now."""
        self._answering.set()

    def _serve(self) -> None:
        while True:
            try:
                request = os.read(self.fd, 1 << 17)
            except OSError:
                return
            _, opcode, unique, *_ = _HEADER.unpack_from(request)
            if opcode != _INIT and not self._answering.is_set():
                self.hanging.set()
                self._answering.wait()
            try:
                self._answer(opcode, unique)
            except OSError:
                return

    def _answer(self, opcode: int, unique: int) -> None:
        body, error = b"", 0
        if opcode == _INIT:
            body = struct.pack("IIIIHHIIHHI", 7, 31, 65536, 0, 16, 12, 1 << 16, 1, 16, 0, 0)
            body = body.ljust(64, b"\0")
        elif opcode == _GETATTR:
            attributes = struct.pack(
                "QQQQQQIIIIIIIIII",
                1,
                0,
                0,
                0,
                0,
                0,
                0,
                0,
                0,
                stat.S_IFDIR | 0o755,
                2,
                0,
                0,
                0,
                512,
                0,
            )
            body = struct.pack("QII", 0, 0, 0) + attributes
        elif opcode == _STATFS:
            body = struct.pack("QQQQQIII", 1, 1, 1, 1, 1, 512, 255, 512).ljust(80, b"\0")
        elif opcode == _OPENDIR:
            body = struct.pack("QII", 1, 0, 0)
        elif opcode not in (_READDIR, _RELEASEDIR):
            error = -38  # ENOSYS
        os.write(self.fd, struct.pack("IiQ", 16 + len(body), error, unique) + body)

    def unmount(self) -> None:
        """Takes it away; whoever hangs there gets an error."""
        ctypes.CDLL(None).umount2(self.path, 2)
        self._answering.set()
        os.close(self.fd)
