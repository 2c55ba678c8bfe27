"""--copy-to and --link-to: puts the results into a folder, overwriting nothing.

A name that is taken gets a number before its extension; each new name is claimed before it is
filled, so two runs at once do not meet.
"""

from __future__ import annotations

import os
import shutil

from imgq.errors import OutputError, UsageError
from imgq.terminal import harmless_bytes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

MOST_SAME_NAMES = 10_000


def check_folder(folder: str, option: str) -> None:
    """UsageError when `folder` is something else than a folder; one that is missing can be made."""
    if os.path.lexists(folder) and not os.path.isdir(folder):
        raise UsageError(f"{option}: {folder} is not a folder")


def place(paths: Sequence[bytes], folder: str, *, link: bool) -> int:
    """Copies files into `folder` (made where it is missing), or links to them; returns how many.

    A copy keeps the file's times. Raises OutputError naming the first file that could not be
    placed, after having tried all.
    """
    target = os.fsencode(folder)
    try:
        os.makedirs(target, exist_ok=True)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise OutputError(f"{folder} cannot be made: {reason}") from None
    put = os.symlink if link else _copy
    failures = []
    for path in paths:
        try:
            _claim(path, target, put)
        except OSError as error:
            failures.append(f"{harmless_bytes(path)}: {error.strerror or error}")
    if failures:
        more = f" (and {len(failures) - 1} more)" if len(failures) > 1 else ""
        raise OutputError(f"not placed in {folder}: {failures[0]}{more}")
    return len(paths)


def _claim(path: bytes, folder: bytes, put: Callable[[bytes, bytes], object]) -> None:
    stem, extension = os.path.splitext(os.path.basename(path))
    for number in range(1, MOST_SAME_NAMES):
        name = stem + (b"-%d" % number if number > 1 else b"") + extension
        try:
            put(path, os.path.join(folder, name))
            return
        except FileExistsError:
            continue
    raise FileExistsError(17, "too many files of that name")


def _copy(source: bytes, target: bytes) -> None:
    """Raises FileExistsError when `target` is there; a copy that fails leaves nothing behind."""
    with open(source, "rb") as reading, open(target, "xb") as writing:
        try:
            shutil.copyfileobj(reading, writing, 1 << 20)
        except BaseException:
            os.unlink(target)
            raise
    shutil.copystat(source, target)
