"""The files, links and folders of a service: made only where they differ, with errors for people."""

from __future__ import annotations

import contextlib
import os

from imgqd.service import ServiceError


def write_file(path: str, text: str) -> bool:
    """Writes a file beside and renames it; False when it has this text already. Raises ServiceError."""
    if read_file(path) == text:
        return False
    beside = f"{path}.new"
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(beside, "w", encoding="utf-8") as stream:
            stream.write(text)
        os.chmod(beside, 0o644)
        os.replace(beside, path)
    except OSError as error:
        raise ServiceError(f"{path} cannot be written: {error.strerror or error}") from error
    return True


def read_file(path: str) -> str | None:
    """The text of a file, None when there is none that can be read."""
    try:
        with open(path, encoding="utf-8") as stream:
            return stream.read()
    except (OSError, ValueError):
        return None


def make_folder(path: str) -> None:
    """Makes a folder for this user only; one that is there stays as it is. Raises ServiceError."""
    try:
        os.makedirs(path, mode=0o700, exist_ok=True)
    except OSError as error:
        raise ServiceError(f"{path} cannot be made: {error.strerror or error}") from error


def links_to(path: str, target: str) -> bool:
    """True when `path` is a symbolic link with exactly this target."""
    try:
        return os.readlink(path) == target
    except OSError:
        return False


def link(path: str, target: str) -> None:
    """Makes a symbolic link, in the place of what is there. Raises ServiceError."""
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        os.symlink(target, path)
    except OSError as error:
        raise ServiceError(f"{path} cannot be made: {error.strerror or error}") from error
