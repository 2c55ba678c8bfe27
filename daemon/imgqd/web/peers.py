"""Whose process is at the other end of a loopback TCP connection, where the system tells.

Browsers do not keep cookies of different ports apart, so another user's server on this machine can
be sent ours. What it can do with one is decided here: on Linux the kernel says whose a connection
is, and only this user's count. What is allowed to whom is the gate's business (api/auth.py).
"""

from __future__ import annotations

import ipaddress
import os
import socket
import sys

TABLES = {socket.AF_INET: "/proc/net/tcp", socket.AF_INET6: "/proc/net/tcp6"}
_OWNER, _INODE = 7, 9


def is_loopback(peer: socket.socket | None) -> bool:
    """True when the other end is on this machine."""
    if peer is None:
        return False
    try:
        address = ipaddress.ip_address(peer.getpeername()[0].partition("%")[0])
    except (OSError, ValueError, IndexError):
        return False
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return address.is_loopback


def may_be_another_user(peer: socket.socket | None) -> bool:
    """True when the kernel says that the other end is neither this user's nor root's, or when it
    should know the connection and no longer does. False where it cannot be asked."""
    if sys.platform != "linux" or not is_loopback(peer):
        return False
    assert peer is not None
    try:
        ours, theirs = peer.getsockname()[:2], peer.getpeername()[:2]
        table = _owners()
    except (OSError, ValueError):
        return False
    if (_name(*ours), _name(*theirs)) not in table:
        # Not even our own end is in it: this system's table is not to be relied on.
        return False
    owner = table.get((_name(*theirs), _name(*ours)))
    return owner is None or owner not in (0, os.geteuid())


def _owners() -> dict[tuple[str, str], int | None]:
    """(local, remote) of each TCP connection -> user id; None for one that nobody holds any more,
    which the kernel shows as root's."""
    found: dict[tuple[str, str], int | None] = {}
    for table in TABLES.values():
        try:
            with open(table, encoding="ascii") as stream:
                lines = stream.read().splitlines()[1:]
        except FileNotFoundError:
            continue
        for line in lines:
            fields = line.split()
            owner = int(fields[_OWNER]) if fields[_INODE] != "0" else None
            found[_plain(fields[1]), _plain(fields[2])] = owner
    return found


def _name(host: str, port: int) -> str:
    """An address as the tables write it; IPv4 as such even where it is mapped into IPv6."""
    address = ipaddress.ip_address(host.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    raw = address.packed
    words = [raw[at : at + 4] for at in range(0, len(raw), 4)]
    if sys.byteorder == "little":
        words = [word[::-1] for word in words]
    return f"{b''.join(words).hex().upper()}:{port:04X}"


def _plain(written: str) -> str:
    """An IPv4 address that is written as IPv6 (mapped), as IPv4."""
    mapped = "0000000000000000FFFF0000" if sys.byteorder == "little" else "0" * 20 + "FFFF"
    return written.removeprefix(mapped) if len(written) > 32 else written
