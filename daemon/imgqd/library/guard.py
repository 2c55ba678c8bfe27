"""What belongs to the library, and whether the drive that holds it is there.

The guard keeps a folder whose drive is away from being taken for a folder that was emptied: before
anything counts as deleted, the folder (and every filesystem mounted below it) must be the one that
is remembered. What to do when a folder comes back is reconcile.py's business.
"""

from __future__ import annotations

import errno
import os
import random
import stat
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog

from imgqd.library import identity
from imgqd.library.identity import Glance, Identity
from imgqd.library.links import Links
from imgqd.library.rules import Rules
from imgqd.library.store import Store, below, is_below

log = structlog.get_logger("library")

SAMPLE = 50


@dataclass(slots=True)
class Anchor:
    """A place where a filesystem is remembered: a watched folder, or a mount below one.

    `folder_id` is None for a mount. `looked` is the cheap look (or errno) that goes with the last
    close one, `reason` says why it is offline. `stuck`: a look hangs; nobody else should look.
    """

    path: bytes
    folder_id: int | None
    identity: Identity | None
    offline: bool
    reason: str = ""
    stuck: bool = False
    looked: Glance | int | None = None
    lock: threading.RLock = field(default_factory=threading.RLock)

    @property
    def network(self) -> bool:
        """True where a look may hang and where changes give no events."""
        return self.identity is not None and self.identity.network


class Guard:
    """Thread-safe. `on_change` is called, on any thread, when an anchor goes, comes or is remade."""

    def __init__(
        self,
        store: Store,
        rules: Rules,
        *,
        follow_links: bool = False,
        on_change: Callable[[Anchor], None] = lambda anchor: None,
    ) -> None:
        self._store = store
        self._follow_links = follow_links
        self._on_change = on_change
        self._anchors: list[Anchor] = []
        self._reloading = threading.Lock()
        self._listing: tuple[object, frozenset[bytes]] = (None, frozenset())
        self.links: Links | None = None
        self.rules = rules
        self.reload(rules)

    # -- what there is

    def reload(self, rules: Rules) -> None:
        """Takes the watched folders and mounts from the store again, after they changed."""
        with self._reloading:
            known = {(a.path, a.folder_id): a for a in self._anchors}
            found = []
            for f in self._store.folders():
                whose = Identity(f.filesystem, f.inode or 0) if f.filesystem else None
                found.append(Anchor(f.path, f.id, whose, f.state == "offline"))
            for path, filesystem, inode, offline in self._store.read(
                "SELECT path, filesystem, inode, offline FROM mounts ORDER BY path"
            ):
                found.append(Anchor(path, None, Identity(filesystem, inode), bool(offline)))
            self.rules = rules
            self.links = Links(rules) if self._follow_links else None
            self._anchors = [known.get((a.path, a.folder_id), a) for a in found]

    def anchors(self, below_path: bytes | None = None) -> list[Anchor]:
        """All anchors, or those at or below a path."""
        every = self._anchors
        return [a for a in every if below_path is None or is_below(a.path, below_path)]

    def covering(self, path: bytes) -> list[Anchor]:
        """The anchors at or above a path."""
        return [a for a in self._anchors if is_below(path, a.path)]

    def offline(self) -> list[bytes]:
        """The folders and mounts that are away: nothing at or below them is shown or forgotten."""
        return [a.path for a in self._anchors if a.offline]

    # -- looking

    def check(self, anchor: Anchor) -> bool:
        """Looks closely and remembers what was found. True when the anchor is there."""
        if anchor.stuck:
            return False
        with anchor.lock:
            before = anchor.looked
            anchor.looked = _look(anchor.path)
            try:
                if isinstance(anchor.looked, int):
                    raise OSError(anchor.looked, os.strerror(anchor.looked))
                found = identity.identify(anchor.path)
                if anchor.looked != _look(anchor.path):
                    # It is changing under our eyes: believed on the next look, whatever it finds.
                    anchor.looked = None
                    raise OSError(errno.ESTALE, "it is being mounted or replaced just now")
                reason = self._stranger(anchor, found)
            except OSError as error:
                reason = _away(error)
                found = None
            if reason:
                self._goes(anchor, reason)
            elif found is not None:
                self._is_there(anchor, found, first=before is None)
            return not anchor.offline

    def is_there(self, anchor: Anchor) -> bool:
        """Looks cheaply, and closely only when something looks different from the last time."""
        if anchor.stuck:
            return False
        if anchor.looked is not None and _look(anchor.path) == anchor.looked:
            return not anchor.offline
        return self.check(anchor)

    def all_there(self, path: bytes) -> bool:
        """True when everything at or above a path that is remembered is there."""
        return all(self.is_there(anchor) for anchor in self.covering(path))

    def give_up(self, anchor: Anchor) -> None:
        """A look at this anchor hangs: it is offline until whoever hangs there comes back."""
        anchor.stuck = True
        self._goes(anchor, "it does not answer")

    def record_mounts(self, root: bytes) -> None:
        """Remembers what is mounted at or below a folder, so that it can be missed."""
        known = {a.path for a in self._anchors}
        added = []
        for mount in identity.mounts_below(root):
            if mount.path in known or mount.type in identity.PSEUDO:
                continue
            if self.rules.excluded(mount.path, True):
                continue
            try:
                found = identity.identify(mount.path)
            except OSError:  # a file that is mounted, or no permission: nothing will be found there
                continue
            added.append((mount.path, found.filesystem, found.inode))
        if added:
            with self._store.write() as connection:
                connection.executemany(
                    "INSERT OR IGNORE INTO mounts (path, filesystem, inode) VALUES (?, ?, ?)", added
                )
            self.reload(self.rules)

    # -- the pipeline's questions

    def owns(self, path: bytes) -> bool:
        """True when a file at this path belongs in the library, by its name and its folders."""
        if self.rules.excluded(path, False):
            return False
        if self.links is not None:
            real = self.links.real(path)
            if real is not None and not self.links.follows(real, False):
                return False
        elif self._through_link(path):
            return False
        return not self._other_case(path)

    def is_away(self, path: bytes) -> bool:
        """True when what is at a path now says nothing: its drive is not there."""
        return not self.all_there(path)

    def gone_for_sure(self, path: bytes) -> bool:
        """True when a path that lstat did not find is deleted, not merely on a drive that is away."""
        if not self.all_there(path):
            return False
        try:
            os.stat(path, follow_symlinks=self._follow_links)
        except (FileNotFoundError, NotADirectoryError):
            return self.all_there(path)
        except OSError:
            return False
        return False

    def _through_link(self, path: bytes) -> bool:
        root = self.rules.root_of(path)
        directory = os.path.dirname(path)
        while root is not None and len(directory) > len(root):
            try:
                if stat.S_ISLNK(os.lstat(directory).st_mode):
                    return True
            except OSError:
                return False
            directory = os.path.dirname(directory)
        return False

    def _other_case(self, path: bytes) -> bool:
        """True when the path is found only because the filesystem takes another name for it."""
        directory, name = os.path.split(path)
        swapped = name.swapcase()
        if swapped == name:
            return False
        try:
            found, other = os.lstat(path), os.lstat(os.path.join(directory, swapped))
            if (found.st_dev, found.st_ino) != (other.st_dev, other.st_ino):
                return False
            above = os.stat(directory)
            key = (directory, above.st_mtime_ns, int(time.monotonic()))
            known, listing = self._listing
            if known != key:
                listing = frozenset(os.listdir(directory))
                self._listing = (key, listing)
            return name not in listing
        except OSError:
            return False

    # -- judging

    def _stranger(self, anchor: Anchor, found: Identity) -> str:
        """Why what is there is not what is remembered; empty when it is."""
        remembered = anchor.identity
        if remembered is None:
            return ""
        if identity.same_filesystem(remembered.filesystem, found.filesystem):
            # Of a folder, another inode is that folder made again: the disk is right. Of a mount
            # it may be the empty directory below a bind mount that is gone.
            if anchor.folder_id is not None or found.inode == remembered.inode:
                return ""
        elif anchor.folder_id is not None and not self._has_files(anchor.path):
            return ""
        if self._sample_agrees(anchor.path):
            log.info("a drive has a new number", path=anchor.path, filesystem=found.filesystem)
            return ""
        return "another filesystem is there than the one that is remembered"

    def _has_files(self, path: bytes) -> bool:
        row = self._store.read_one(
            "SELECT 1 FROM directories d JOIN files f ON f.directory_id = d.id"
            " WHERE d.path = ? OR d.path >= ? AND d.path < ? LIMIT 1",
            (path, *below(path)),
        )
        return row is not None

    def _sample_agrees(self, path: bytes) -> bool:
        """True when at least half of some remembered files are there, same size and time."""
        directories = list(self._store.directories_below(path))
        looked = agreeing = 0
        for directory in random.sample(directories, min(SAMPLE, len(directories))):
            for name, size, mtime_ns in self._store.read(
                "SELECT name, size, mtime_ns FROM directories d JOIN files f ON directory_id = d.id"
                " WHERE d.path = ? LIMIT ?",
                (directory, -(-SAMPLE // len(directories))),
            ):
                looked += 1
                try:
                    found = os.lstat(os.path.join(directory, name))
                except OSError:
                    continue
                agreeing += found.st_size == size and found.st_mtime_ns == mtime_ns
        return agreeing > 0 and agreeing * 2 >= looked

    def _goes(self, anchor: Anchor, reason: str) -> None:
        anchor.reason = reason
        if anchor.folder_id is None and not self._has_files(anchor.path):
            with self._store.write() as connection:
                connection.execute("DELETE FROM mounts WHERE path = ?", (anchor.path,))
            self.reload(self.rules)
            return
        if anchor.offline:
            return
        anchor.offline = True
        log.warning("offline; nothing is forgotten", path=anchor.path, reason=reason)
        self._remember(anchor)
        self._on_change(anchor)

    def _is_there(self, anchor: Anchor, found: Identity, *, first: bool) -> None:
        returned, anchor.offline, anchor.reason = anchor.offline, False, ""
        remade = anchor.identity != found
        anchor.identity = found
        if remade or returned:
            self._remember(anchor)
        if returned:
            log.info("back", path=anchor.path)
        if returned or (remade and not first):
            self._on_change(anchor)

    def _remember(self, anchor: Anchor) -> None:
        whose = anchor.identity
        if anchor.folder_id is not None:
            self._store.update_folder(
                anchor.folder_id,
                state="offline" if anchor.offline else "scanning",
                filesystem=whose.filesystem if whose else None,
                inode=whose.inode if whose else None,
            )
            return
        assert whose is not None
        with self._store.write() as connection:
            connection.execute(
                "UPDATE mounts SET filesystem = ?, inode = ?, offline = ? WHERE path = ?",
                (whose.filesystem, whose.inode, anchor.offline, anchor.path),
            )
            self._store.bump(connection)


def _look(path: bytes) -> Glance | int:
    try:
        return identity.glance(path)
    except OSError as error:
        return error.errno or errno.ENOTDIR


def _away(error: OSError) -> str:
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return "it is not there, or not a folder"
    return error.strerror or str(error)
