"""Runs `imgq` as a process of its own: in pipes, or in a pseudo-terminal of a given width."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Mapping

import imgq

PACKAGES = os.path.dirname(os.path.dirname(os.path.abspath(imgq.__file__)))


def environment(**more: str) -> dict[str, str]:
    """This process's environment, with nothing of a terminal's and nothing of imgq's in it."""
    dropped = (
        "IMGQ_", "XDG_", "TERM", "COLUMNS", "COLORTERM", "NO_COLOR", "TMUX", "STY", "KITTY_",
        "VTE_", "WT_", "KONSOLE", "LC_TERMINAL", "DOMTERM",
    )  # fmt: skip
    environ = {k: v for k, v in os.environ.items() if not k.startswith(dropped)}
    environ["PYTHONPATH"] = os.pathsep.join(
        filter(None, (PACKAGES, os.environ.get("PYTHONPATH", "")))
    )
    return {**environ, **more}


def run(
    *arguments: str | bytes, environ: Mapping[str, str], **options: object
) -> subprocess.CompletedProcess[bytes]:
    """`imgq ARGUMENTS` with its output in pipes."""
    return subprocess.run(  # type: ignore[call-overload,no-any-return]
        [sys.executable, "-m", "imgq", *arguments],
        env=dict(environ),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
        **options,
    )


def run_in_terminal(
    *arguments: str | bytes,
    environ: Mapping[str, str],
    columns: int = 80,
    seen: Callable[[bytes, subprocess.Popen[bytes]], object] | None = None,
) -> tuple[bytes, int]:
    """`imgq ARGUMENTS` in a pseudo-terminal: everything that reached it, and the exit code.

    Standard error goes to the same terminal. `seen` is called with all output so far.
    """
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    process = subprocess.Popen(
        [sys.executable, "-m", "imgq", *arguments],
        env={"TERM": "xterm-256color", **environ},
        stdin=slave,
        stdout=slave,
        stderr=slave,
    )
    os.close(slave)
    output = b""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if select.select([master], [], [], 0.1)[0]:
            try:
                data = os.read(master, 65536)
            except OSError:  # the terminal is gone: Linux's way to say that all is read
                break
            if not data:
                break
            output += data
            if seen is not None:
                seen(output, process)
    os.close(master)
    return output.replace(b"\r\n", b"\n"), process.wait(30)
