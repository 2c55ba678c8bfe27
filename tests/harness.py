"""A real daemon in a fresh IMGQ_HOME, driven by the installed commands as processes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


class Home:
    """One IMGQ_HOME with its photos folder. Ends its daemon when closed."""

    def __init__(self, directory: str, **settings: object) -> None:
        self.directory = directory
        self.home = os.path.join(directory, "home")
        self.photos = os.path.join(directory, "photos")
        os.makedirs(self.photos, exist_ok=True)
        self.environ = {k: v for k, v in os.environ.items() if not k.startswith("IMGQ_")}
        self.environ["IMGQ_HOME"] = self.home
        self.environ.setdefault("IMGQ_NO_SPAWN", "1")
        for name, value in settings.items():
            self.environ[f"IMGQ_{name.upper()}"] = str(value)
        # What runs the commands, such as setpriv for another user.
        self.prefix: list[str] = []
        self.process: subprocess.Popen[bytes] | None = None

    def path(self, *names: str) -> str:
        """A path below the photos folder."""
        return os.path.join(self.photos, *names)

    # -- commands

    def run(
        self, program: str, *arguments: str | bytes, timeout: float = 120, **options: Any
    ) -> subprocess.CompletedProcess[bytes]:
        """Runs `imgq` or `imgqd` as a process and returns what it did."""
        environ = {**self.environ, **options.pop("environ", {})}
        return subprocess.run(
            [*self.prefix, sys.executable, "-m", program, *arguments],
            env=environ,
            capture_output=True,
            timeout=timeout,
            stdin=options.pop("stdin", subprocess.DEVNULL) if "input" not in options else None,
            **options,
        )

    def imgq(self, *arguments: str | bytes, **options: Any) -> subprocess.CompletedProcess[bytes]:
        """Runs the client."""
        return self.run("imgq", *arguments, **options)

    def imgqd(self, *arguments: str | bytes, **options: Any) -> subprocess.CompletedProcess[bytes]:
        """Runs the daemon's command line."""
        return self.run("imgqd", *arguments, **options)

    def paths(self, *arguments: str | bytes) -> list[str]:
        """What `imgq -l ...` prints, as a list; [] when nothing is found."""
        done = self.imgq("-l", *arguments)
        assert done.returncode in (0, 1), (done.returncode, done.stderr.decode())
        return os.fsdecode(done.stdout).splitlines()

    def names(self, *arguments: str | bytes) -> list[str]:
        """As `paths`, without the folder."""
        return [os.path.basename(path) for path in self.paths(*arguments)]

    def json(self, *arguments: str | bytes) -> dict[str, Any]:
        """What `imgq --json ...` prints."""
        done = self.imgq("--json", *arguments)
        assert done.returncode in (0, 1), (done.returncode, done.stderr.decode())
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    def status(self) -> dict[str, Any]:
        """What `imgqd status --json` prints."""
        done = self.imgqd("status", "--json")
        assert done.returncode == 0, done.stderr.decode()
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    def problems(self) -> dict[str, str]:
        """Base name -> reason of every problem."""
        done = self.imgqd("problems", "--json")
        return {
            os.path.basename(item["path"]): item["reason"]
            for item in json.loads(done.stdout)["problems"]
        }

    def sync(self, timeout: float = 120) -> None:
        """Waits until the library equals the disk; fails when that takes longer."""
        done = self.imgqd("sync", "--timeout", str(timeout), timeout=timeout + 30)
        assert done.returncode == 0, (done.returncode, done.stdout, done.stderr, self.log()[-3000:])

    def log(self) -> str:
        """What the daemon logged."""
        try:
            with open(os.path.join(self.home, "imgqd.log"), errors="replace") as stream:
                return stream.read()
        except FileNotFoundError:
            return ""

    # -- the daemon

    def start(
        self,
        *folders: str | bytes,
        wait: float = 90,
        environ: dict[str, str] | None = None,
    ) -> None:
        """Starts `imgqd run FOLDER...` in the foreground of a process of ours; waits for its socket."""
        os.makedirs(self.home, exist_ok=True)
        out = open(os.path.join(self.directory, "daemon.out"), "ab")  # noqa: SIM115
        self.process = subprocess.Popen(
            [*self.prefix, sys.executable, "-m", "imgqd", "run", *folders],
            env={**self.environ, **(environ or {})},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
        )
        out.close()
        deadline = time.monotonic() + wait
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise AssertionError(f"imgqd ended: {self.output()[-3000:]}")
            if self.imgqd("status", "--json").returncode == 0:
                return
            time.sleep(0.1)
        raise AssertionError(f"imgqd does not answer: {self.output()[-3000:]}")

    def output(self) -> str:
        """What the foreground daemon printed."""
        with open(os.path.join(self.directory, "daemon.out"), errors="replace") as stream:
            return stream.read()

    @property
    def pid(self) -> int:
        """The daemon's process id."""
        assert self.process is not None
        return self.process.pid

    def kill(self) -> None:
        """kill -9, as a crash would."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(30)
        self.process = None

    def stop(self) -> int:
        """SIGTERM; returns the exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(30)
        self.process = None
        return code

    def close(self) -> None:
        """Ends what still runs."""
        if self.process is not None:
            self.process.send_signal(signal.SIGCONT)
            try:
                self.stop()
            except subprocess.TimeoutExpired:
                self.kill()
        else:
            self.imgqd("stop", timeout=60)


@contextmanager
def fresh_home(**settings: object) -> Iterator[Home]:
    """A Home in a temporary folder with a short path (socket paths are limited)."""
    directory = tempfile.mkdtemp(prefix="imgq-")
    home = Home(directory, **settings)
    try:
        yield home
    finally:
        home.close()
        shutil.rmtree(directory, ignore_errors=True)


def wait_until(what: Callable[[], object], timeout: float = 30, every: float = 0.1) -> object:
    """Waits for something to be true; returns it, or fails naming what was last seen."""
    deadline = time.monotonic() + timeout
    while True:
        found = what()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"not true within {timeout} s; last seen: {found!r}")
        time.sleep(every)
