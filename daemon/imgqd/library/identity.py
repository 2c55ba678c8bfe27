"""Which filesystem a folder is on, told so that it can be recognised after a reboot.

`st_dev` changes between boots, so an identity is made of what is steadier: the filesystem's UUID,
the id that statvfs gives, or a network share's name. What follows from a changed identity is
decided in guard.py.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
import sys
from dataclasses import dataclass
from urllib.parse import quote_from_bytes

from imgqd.records import Signature

# Changes made by another machine (or inside the program that serves a FUSE filesystem) give no
# inotify events here, so these are walked at intervals instead.
NETWORK = frozenset(
    {
        "nfs",
        "nfs4",
        "cifs",
        "smb3",
        "smbfs",
        "9p",
        "afs",
        "ceph",
        "coda",
        "ncpfs",
        "glusterfs",
        "lustre",
        "beegfs",
        "gpfs",
        "ocfs2",
        "gfs2",
        "virtiofs",
        "davfs",
        "fuse",
        "orangefs",
    }
)
# Inode numbers that the driver makes up and that another mount need not repeat.
_LOOSE_INODES = frozenset(("vfat", "msdos", "exfat", "cifs", "smb3", "smbfs", "9p", "fuse"))
# Filesystems that hold no files of anybody.
PSEUDO = frozenset(
    {
        "proc",
        "sysfs",
        "devpts",
        "devtmpfs",
        "cgroup",
        "cgroup2",
        "debugfs",
        "tracefs",
        "mqueue",
        "securityfs",
        "pstore",
        "bpf",
        "configfs",
        "efivarfs",
        "fusectl",
        "hugetlbfs",
        "rpc_pipefs",
        "binfmt_misc",
        "selinuxfs",
        "nsfs",
        "fuse.portal",
        "fuse.gvfsd-fuse",
        "fuse.lxcfs",
    }
)
_BY_UUID = b"/dev/disk/by-uuid"
_OCTAL = re.compile(rb"\\([0-7]{3})")


@dataclass(frozen=True, slots=True)
class Identity:
    """A folder's filesystem, as `key=value` words (see `identify`), and its inode number."""

    filesystem: str
    inode: int

    @property
    def type(self) -> str:
        """The filesystem's type as the kernel calls it; empty when it is not known."""
        return _facts(self.filesystem).get("type", "")

    @property
    def network(self) -> bool:
        """True when changes can be made behind the kernel's back."""
        return is_network(self.type)

    @property
    def steady_inodes(self) -> bool:
        """False when inode numbers mean nothing after the next mount."""
        return _family(self.type) not in _LOOSE_INODES


@dataclass(frozen=True, slots=True)
class Mount:
    """One line of mountinfo."""

    id: int
    path: bytes
    type: str
    source: bytes


@dataclass(frozen=True, slots=True)
class Glance:
    """What two cheap system calls say of a folder: equal glances need no closer look."""

    device: int
    inode: int
    fsid: int


def signed(number: int) -> int:
    """A number as SQLite can keep it: inodes of 64 bits and times beyond 2262 wrap around."""
    return ((number + (1 << 63)) & ((1 << 64) - 1)) - (1 << 63)


def signature_of(found: os.stat_result) -> Signature:
    """The Signature of an lstat, with numbers that SQLite can hold (64 bits, signed)."""
    return Signature(
        found.st_size, signed(found.st_mtime_ns), signed(found.st_ctime_ns), signed(found.st_ino)
    )


def is_network(filesystem_type: str) -> bool:
    """True for filesystems whose changes need not give events on this machine."""
    return _family(filesystem_type) in NETWORK


def _family(filesystem_type: str) -> str:
    return filesystem_type.partition(".")[0]


def glance(path: bytes) -> Glance:
    """A cheap look at a folder. Raises OSError, NotADirectoryError included."""
    found = os.stat(path)
    if not stat.S_ISDIR(found.st_mode):
        raise NotADirectoryError(f"{os.fsdecode(path)} is not a folder")
    if not hasattr(os, "statvfs"):
        return Glance(found.st_dev, found.st_ino, 0)
    return Glance(found.st_dev, found.st_ino, os.statvfs(path).f_fsid)


def identify(path: bytes) -> Identity:
    """A close look at a folder (its automatic mount is set off). Raises OSError.

    The words: `type`, and of the rest what can be had: `uuid`, `fsid` (statvfs's id, where it is
    not just the device number), `source` (a network share's name), else `dev`.
    """
    if sys.platform != "linux":
        found = os.stat(path)
        if not stat.S_ISDIR(found.st_mode):
            raise NotADirectoryError(f"{os.fsdecode(path)} is not a folder")
        return Identity(f"dev={found.st_dev}", signed(found.st_ino))
    flags = os.O_DIRECTORY | os.O_CLOEXEC
    try:
        fd = os.open(path, flags | os.O_RDONLY)
    except PermissionError:
        fd = os.open(path, flags | os.O_PATH)
    try:
        found = os.fstat(fd)
        fsid = os.fstatvfs(fd).f_fsid
        mount = _mount_of(fd)
    finally:
        os.close(fd)
    words = [f"type={mount.type}"] if mount else []
    uuid = _uuid(found.st_dev, mount.source if mount else b"")
    if uuid:
        words.append(f"uuid={uuid}")
    if fsid and fsid != _encoded(found.st_dev):
        words.append(f"fsid={fsid:x}")
    if mount and is_network(mount.type) and mount.source:
        words.append(f"source={quote_from_bytes(mount.source)}")
    if not any(word.startswith(("uuid=", "fsid=", "source=")) for word in words):
        words.append(f"dev={found.st_dev}")
    return Identity(" ".join(words), signed(found.st_ino))


def same_filesystem(one: str, other: str) -> bool:
    """True when two identities' filesystem words are of one filesystem.

    The steadiest word that both have decides: a UUID may be missing while udev is still starting.
    """
    left, right = _facts(one), _facts(other)
    for key in ("uuid", "fsid", "source", "dev"):
        if key in left and key in right:
            return left[key] == right[key]
    return False


def mounts() -> list[Mount]:
    """Everything that is mounted, the newest on each path only; empty where that cannot be told."""
    try:
        with open("/proc/self/mountinfo", "rb") as stream:
            lines = stream.read().splitlines()
    except OSError:
        return []
    found: dict[bytes, Mount] = {}
    for line in lines:
        left, separator, right = line.partition(b" - ")
        fields, rest = left.split(b" "), right.split(b" ")
        if not separator or len(fields) < 5 or len(rest) < 2:
            continue
        path = _unescape(fields[4])
        # A later mount on the same path hides the earlier one.
        found.pop(path, None)
        found[path] = Mount(
            int(fields[0]), path, rest[0].decode("ascii", "replace"), _unescape(rest[1])
        )
    return list(found.values())


def mounts_below(folder: bytes) -> list[Mount]:
    """The filesystems mounted at or below a folder, their paths told as the folder's is."""
    real = os.path.realpath(folder).rstrip(b"/")
    start = folder.rstrip(b"/")
    return [
        Mount(m.id, (start + m.path.rstrip(b"/")[len(real) :]) or b"/", m.type, m.source)
        for m in mounts()
        if m.path == real or m.path.startswith(real + b"/")
    ]


def _facts(filesystem: str) -> dict[str, str]:
    return dict(word.partition("=")[::2] for word in filesystem.split(" "))


def _unescape(text: bytes) -> bytes:
    return _OCTAL.sub(lambda match: bytes([int(match[1], 8) & 0xFF]), text)


def _encoded(device: int) -> int:
    """A device number as the kernel writes it into an f_fsid that is made of nothing else (XFS, FAT)."""
    major, minor = os.major(device), os.minor(device)
    return (minor & 0xFF) | (major << 8) | ((minor & ~0xFF) << 12)


def _mount_of(fd: int) -> Mount | None:
    try:
        with open(f"/proc/self/fdinfo/{fd}", "rb") as stream:
            for line in stream:
                if line.startswith(b"mnt_id:"):
                    number = int(line.split()[1])
                    return next((m for m in mounts() if m.id == number), None)
    except OSError:
        return None
    return None


def _uuid(device: int, source: bytes) -> str | None:
    """The UUID that udev knows for a device number (or, for Btrfs, for the mount's source)."""
    wanted = {device}
    if source.startswith(b"/dev/"):
        with contextlib.suppress(OSError):
            wanted.add(os.stat(source).st_rdev)
    try:
        names = os.listdir(_BY_UUID)
    except OSError:
        return None
    for name in names:
        with contextlib.suppress(OSError):
            if os.stat(os.path.join(_BY_UUID, name)).st_rdev in wanted:
                return quote_from_bytes(name)
    return None
