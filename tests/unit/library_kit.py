"""For the tests of the library: a real store whose queue is answered by the real Looker, and drives.

What would be decoded is recorded as no picture: only where files are matters here.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from imgqd.indexing.look import Later, Looker, Pending, Territory
from imgqd.library.commit import Other, Outcome, commit
from imgqd.library.guard import Guard
from imgqd.library.identity import identify
from imgqd.library.reconcile import Reconciler
from imgqd.library.rules import Rules
from imgqd.library.scan import Hooks, Progress, Result, Scan
from imgqd.library.store import Store
from imgqd.settings import Settings


def wait_for(true: Callable[[], bool], seconds: float = 20.0) -> bool:
    """Waits until something is true; False when it does not come about."""
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def write(path: bytes, content: bytes = b"text") -> bytes:
    """Writes a file, with the folders above it, and makes it too old to be racy."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as stream:
        stream.write(content)
    return path


class Library:
    """A store, its folders, and the real Looker to answer its queue."""

    def __init__(self, directory: str, *, follow_links: bool = False) -> None:
        self.root = os.fsencode(os.path.join(directory, "photos"))
        os.makedirs(self.root, exist_ok=True)
        self.home = os.path.join(directory, "home")
        os.makedirs(self.home, exist_ok=True)
        self.store = Store(os.path.join(self.home, "library.db"))
        self.follow_links = follow_links
        self.territory: Territory | None = None
        self.directories: list[bytes] = []

    def add(self, path: bytes | None = None, *exclude: str) -> None:
        """Registers a folder."""
        path = path or self.root
        found = identify(path)
        self.store.add_folder(
            path, filesystem=found.filesystem, inode=found.inode, exclude=list(exclude)
        )

    def guard(self, **options: object) -> Guard:
        """A guard over the folders as they are now."""
        folders = [(folder.path, folder.exclude) for folder in self.store.folders()]
        rules = Rules(folders, own=[os.fsencode(self.home)])
        guard = Guard(self.store, rules, follow_links=self.follow_links, **options)  # type: ignore[arg-type]
        self.territory = guard
        return guard

    def scan(
        self, root: bytes | None = None, *, deep: bool = True, hooks: Hooks | None = None
    ) -> Result:
        """Walks once, with a fresh guard."""
        guard = self.guard()
        scan = Scan(self.store, guard, hooks=hooks or Hooks(), progress=Progress())
        return scan.run(root or self.root, deep=deep)

    def reconciler(self, **settings: object) -> Reconciler:
        """A reconciler that is not started yet."""
        values = {"follow_links": self.follow_links, **settings}
        found = Reconciler(
            self.store,
            Settings.load("/nonexistent/config.toml", {}, values),  # type: ignore[arg-type]
            own_folders=[os.fsencode(self.home)],
        )
        self.territory = found
        return found

    def queued(self) -> set[bytes]:
        """The paths that wait for a look, relative to the folder."""
        jobs = self.store.jobs_after(0, 1_000_000)
        return {os.path.relpath(job.path, self.root) for job in jobs}

    def answer(self) -> None:
        """Answers the queue until it is empty."""
        assert self.territory is not None
        looker = Looker(
            self.store,
            self.territory,
            None,  # type: ignore[arg-type]
            settle_s=0.0,
            max_bytes=1 << 20,
            follow_links=self.follow_links,
            on_directory=self.directories.append,
        )
        while jobs := self.store.jobs_after(0, 1_000_000):
            outcomes: list[Outcome] = []
            for job in jobs:
                found = looker.look(job)
                if isinstance(found, Pending):
                    looker.abandon(found)
                    outcomes.append(Other(job, found.signature))
                elif not isinstance(found, Later):
                    outcomes.append(found)
            commit(self.store, outcomes)
            time.sleep(0.02)

    def files(self) -> set[bytes]:
        """The known files, relative to the folder."""
        rows = self.store.read(
            "SELECT d.path, f.name FROM files f JOIN directories d ON d.id = directory_id"
        )
        return {os.path.relpath(os.path.join(*row), self.root) for row in rows}

    def problems(self) -> dict[bytes, str]:
        """Path relative to the folder -> reason."""
        return {os.path.relpath(p.path, self.root): p.reason for p in self.store.problems()}


@pytest.fixture
def library(tmp_path: object) -> object:
    """A library whose folder is registered."""
    made = Library(str(tmp_path))
    made.add()
    yield made
    made.store.close()


def run(*command: str) -> None:
    """Runs a command that has to work."""
    subprocess.run(command, check=True, capture_output=True)


def _can_mount() -> bool:
    if os.name != "posix" or os.geteuid() != 0:
        return False
    with tempfile.TemporaryDirectory() as place:
        done = subprocess.run(["mount", "-t", "tmpfs", "tmpfs", place], capture_output=True)
        if done.returncode == 0:
            run("umount", place)
        return done.returncode == 0


needs_mounts = pytest.mark.skipif(not _can_mount(), reason="mounting needs root")


class Drive:
    """An ext4 filesystem in a file, to be mounted and unmounted like a USB drive."""

    def __init__(self, directory: str, name: str = "drive") -> None:
        self.image = os.path.join(directory, f"{name}.img")
        self.path: str | None = None
        with open(self.image, "wb") as stream:
            stream.truncate(8 << 20)
        run("mkfs.ext4", "-q", "-m", "0", self.image)

    def mount(self, path: bytes) -> None:
        """Mounts it on a folder, which is made when missing."""
        self.path = os.fsdecode(path)
        os.makedirs(self.path, exist_ok=True)
        run("mount", "-o", "loop", self.image, self.path)

    def unmount(self) -> None:
        """Takes it away; the folder stays, empty."""
        if self.path is not None:
            run("umount", "-l", self.path)
        self.path = None


def settle(library: Library) -> None:
    library.scan()
    library.answer()


@contextmanager
def nobody() -> Iterator[None]:
    """As a user without root's power to read everything."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def open_to_all(library: Library) -> None:
    above = library.root
    while len(above) > 1:
        if os.stat(above).st_mode & 0o005 != 0o005:
            os.chmod(above, 0o755)
        above = os.path.dirname(above)
