"""The commands that move a library: backup, restore, relocate.

What is done to the database is in library/moving.py; here is who may do it: the running daemon
where one runs, else this process, holding the library's lock.
"""

from __future__ import annotations

import os
from argparse import ArgumentParser, Namespace
from datetime import datetime

from imgq.locations import Locations, locate
from imgqd.commands.common import YES, client, count, shown, size, tell
from imgqd.commands.running import private
from imgqd.errors import AlreadyRunningError, NotFoundError
from imgqd.lock import InstanceLock, holder, is_held


def file_option(parser: ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE")


def backup(args: Namespace) -> int:
    """Copies the library to a file, while the daemon runs: folders, tags, pictures and vectors.

    An older backup of that name is replaced. Example: imgqd backup ~/imgq-backup.db
    """
    from imgqd.library.moving import back_up

    target = absolute(args.file)
    found = back_up(locate().database, target)
    tell(
        f"{shown(target)}: {count(found.pictures, 'picture')}, {size(os.path.getsize(target))}; "
        f"to bring it back: imgqd restore {shown(target)}"
    )
    return YES


def restore(args: Namespace) -> int:
    """Brings a backup back, here or on another machine; the library that is there is kept beside it.

    The daemon must be stopped. Example: imgqd restore ~/imgq-backup.db
    """
    from imgqd.library.moving import restore as bring_back

    locations = locate()
    private(locations.data)
    try:
        with InstanceLock(locations.lock, locations.data):
            found, aside = bring_back(
                absolute(args.file), locations.database, index=locations.index
            )
    except AlreadyRunningError:
        raise AlreadyRunningError(
            f"the daemon runs ({holder(locations.lock)}); stop it first: imgqd stop"
        ) from None
    written = datetime.fromtimestamp(found.written).strftime("%Y-%m-%d %H:%M")
    tell(f"restored {count(found.pictures, 'picture')}, as they were on {written}")
    if aside is not None:
        tell(f"the library that was here is now {shown(aside)}; delete it when you like")
    tell("what changed on disk since then is found by the next start: imgqd run --detach")
    return YES


def relocate_options(parser: ArgumentParser) -> None:
    parser.add_argument("old", metavar="OLD", help="where the photos were")
    parser.add_argument("new", metavar="NEW", help="where they are now")


def relocate(args: Namespace) -> int:
    """Says that photos have moved: everything known below OLD is now below NEW.

    Ids, tags and vectors stay, nothing is embedded again. Works with and without a running daemon,
    for a watched folder, a part of one or what is above several.
    Example: imgqd relocate /media/old/Pictures /media/new/Pictures
    """
    old, new = absolute(args.old), absolute(args.new)
    locations = locate()
    if os.environ.get("IMGQ_SOCKET") or is_held(locations.lock):
        answer = client(timeout=600.0).relocate(old, new)
        files, folders = int(answer["files"]), int(answer["folders"])
    else:
        files, folders = relocate_stopped(locations, os.fsencode(old), os.fsencode(new))
    where = f"{shown(old)} is now {shown(new)}"
    tell(f"{where}: {count(files, 'file')}, {count(folders, 'watched folder')}")
    return YES


def relocate_stopped(locations: Locations, old: bytes, new: bytes) -> tuple[int, int]:
    """Moves the paths of a library that no daemon has open; returns files and watched folders."""
    from imgqd.library.moving import relocate as move
    from imgqd.library.recovery import write_backup
    from imgqd.library.store import Store

    if not os.path.exists(locations.database):
        raise NotFoundError(
            f"there is no library at {locations.database}; set IMGQ_HOME to where it is"
        )
    with InstanceLock(locations.lock, locations.data):
        store = Store(locations.database)
        try:
            moved = move(store, old, new)
            write_backup(store)
        finally:
            store.close()
    return moved.files, moved.folders


def absolute(path: str) -> str:
    """A path of the command line, absolute and normalised."""
    return os.path.abspath(os.path.expanduser(path))
