"""What is left out below the watched folders, decided from names alone, before anything is read.

Built-in rules (hidden names, trash, thumbnails and other derivatives, the daemon's own folders) and
the user's glob patterns. Whether something is there, and what it is, is scan.py's business.

A path is ours when at least one watched folder covers it and does not leave it out. So a folder
inside a watched one adds nothing unless the outer one leaves it out (a hidden folder, say), and
what an inner folder leaves out is still there when the outer one has it.

A user's pattern is matched as in gitignore: without a slash against every name below the folder,
with one against the path relative to the folder; `*`, `?` and `[...]` do not match a slash, `**/`
stands for any number of folders (and so does `*/` at the start), a slash at the end means folders
only. What is below a folder that is left out is left out. A pattern may also be an absolute path.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Sequence

NAMES = frozenset(
    name.lower().encode()
    for name in (
        "@eaDir",
        "@Recycle",
        "@Recently-Snapshot",
        "#recycle",
        "#snapshot",
        "$RECYCLE.BIN",
        "RECYCLER",
        "System Volume Information",
        "lost+found",
    )
)
# What exiftool leaves beside `photo.jpg`: the file as it was, and while it writes the new one.
BACKUPS = (b"_original", b"_exiftool_tmp")
SUFFIXES = (b".lrdata", b".lrcat-data")
# Photo libraries are folders: what the person put in stays, what the program made of it goes.
_DERIVED = frozenset(
    {
        b"attachments",
        b"caches",
        b"data",
        b"data.noindex",
        b"database",
        b"faces",
        b"ilifeshared",
        b"internal",
        b"previews",
        b"private",
        b"resources",
        b"scopes",
        b"thumbnails",
    }
)
LIBRARIES = (b".photoslibrary", b".photolibrary", b".migratedphotolibrary", b".aplibrary")
_CLASS = re.compile(r"\[(?P<not>[!^]?)(?P<body>\]?[^\]/]*)\]")
_CASE = re.IGNORECASE if sys.platform in ("darwin", "win32") else re.NOFLAG


def join(directory: bytes, name: bytes) -> bytes:
    """A path from a directory and a name; `directory` may be the root of the filesystem."""
    return directory + name if directory.endswith(b"/") else directory + b"/" + name


def glob_regex(pattern: str) -> str:
    """The regular expression of a gitignore-like glob, for the whole of a name or relative path."""
    out = []
    at = 0
    if pattern.startswith("*/"):
        out.append("(?:.*/)?")
        at = 2
    while at < len(pattern):
        character = pattern[at]
        if pattern.startswith("**/", at) and (at == 0 or pattern[at - 1] == "/"):
            out.append("(?:.*/)?")
            at += 3
        elif pattern.startswith("**", at):
            out.append(".*" if at + 2 == len(pattern) else "[^/]*")
            at += 2
        elif character == "*":
            out.append("[^/]*")
            at += 1
        elif character == "?":
            out.append("[^/]")
            at += 1
        elif character == "[" and (found := _CLASS.match(pattern, at)) and found["body"]:
            out.append(_class_regex(found["not"], found["body"]))
            at = found.end()
        elif character == "\\" and at + 1 < len(pattern):
            out.append(re.escape(pattern[at + 1]))
            at += 2
        else:
            out.append(re.escape(character))
            at += 1
    return "".join(out)


def _class_regex(negation: str, body: str) -> str:
    escaped = re.sub(r"([\\\[\]^&~|])", r"\\\1", body)
    text = f"[{'^/' if negation else ''}{escaped}]"
    try:
        re.compile(text)
    except re.error:  # a range the wrong way round, such as [z-a]: no character
        return "(?!)"
    return text


def _matcher(regexes: list[str]) -> re.Pattern[str] | None:
    return re.compile("|".join(f"(?:{r})" for r in regexes), _CASE | re.DOTALL) if regexes else None


class _Root:
    """One watched folder's patterns, compiled: for names or paths, for all or folders only."""

    def __init__(self, path: bytes, patterns: Iterable[str]) -> None:
        self.path = path
        self.prefix = join(path, b"")
        prefix = os.fsdecode(self.prefix)
        kinds: dict[tuple[bool, bool], list[str]] = {}
        for given in patterns:
            pattern = os.path.expanduser(given)
            if pattern.startswith(prefix):
                pattern = "/" + pattern[len(prefix) :]
            folders_only = pattern.endswith("/")
            pattern = pattern.rstrip("/")
            anchored = "/" in pattern
            pattern = pattern.lstrip("/")
            if pattern:
                kinds.setdefault((anchored, folders_only), []).append(glob_regex(pattern))
        self._names = _matcher(kinds.get((False, False), []))
        self._folder_names = _matcher(kinds.get((False, False), []) + kinds.get((False, True), []))
        self._paths = _matcher(kinds.get((True, False), []))
        self._folder_paths = _matcher(kinds.get((True, False), []) + kinds.get((True, True), []))
        self.has_patterns = bool(kinds)

    def leaves_out(self, directory: bytes, name: bytes, is_dir: bool) -> bool:
        """True when a pattern matches this entry of `directory`, which is at or below the root."""
        names = self._folder_names if is_dir else self._names
        paths = self._folder_paths if is_dir else self._paths
        text = os.fsdecode(name)
        if names is not None and names.fullmatch(text):
            return True
        if paths is None:
            return False
        above = os.fsdecode(directory[len(self.prefix) :])
        return paths.fullmatch(f"{above}/{text}" if above else text) is not None


class Below:
    """The rules for the entries of one directory."""

    __slots__ = ("_directory", "_library", "_own", "_patterned", "_previews", "_starts", "roots")

    def __init__(self, rules: Rules, directory: bytes, roots: tuple[_Root, ...]) -> None:
        self.roots = roots
        self._directory = directory
        self._patterned = all(root.has_patterns for root in roots)
        self._starts = rules.starts.get(directory, frozenset())
        self._own = rules.own.get(directory, frozenset())
        lower = directory.lower()
        self._library = lower.endswith(LIBRARIES)
        self._previews = b".lrlibrary/" in lower

    def excludes(self, name: bytes, is_dir: bool) -> bool:
        """True when the entry `name` of this directory is left out."""
        if name in self._starts:
            return False
        if self.built_in(name) or (not is_dir and name.lower().endswith(BACKUPS) and b"." in name):
            return True
        return self._patterned and all(
            root.leaves_out(self._directory, name, is_dir) for root in self.roots
        )

    def built_in(self, name: bytes) -> bool:
        """The rules that hold for every folder."""
        if name.startswith(b".") or name in self._own:
            return True
        lower = name.lower()
        if lower in NAMES or lower.endswith(SUFFIXES):
            return True
        return (self._library and lower in _DERIVED) or (self._previews and lower == b"previews")

    def keeping(self, name: bytes) -> tuple[_Root, ...]:
        """Which of the folders keep the subdirectory `name`."""
        if self.built_in(name):
            return ()
        return tuple(r for r in self.roots if not r.leaves_out(self._directory, name, True))


class Rules:
    """The rules of all watched folders. Immutable, thread-safe; make a new one when they change.

    `folders` are (path, patterns) pairs, `patterns` hold for all of them, `own` are files and
    folders of the daemon (absolute paths), left out unless a watched folder lies inside one.
    """

    def __init__(
        self,
        folders: Iterable[tuple[bytes, Sequence[str]]],
        *,
        patterns: Sequence[str] = (),
        own: Iterable[bytes] = (),
    ) -> None:
        self._roots = {path: _Root(path, [*patterns, *given]) for path, given in folders}
        self.starts = _by_parent(self._roots)
        self.own_paths = list(own)
        self.own = _by_parent([*self.own_paths, *_trash()])
        self._cache: dict[bytes, tuple[_Root, ...]] = {}

    @property
    def roots(self) -> list[bytes]:
        """The watched folders, sorted."""
        return sorted(self._roots)

    def tops(self) -> list[bytes]:
        """The folders where a walk begins: those that a walk of another one would not reach."""
        return [r for r in self.roots if r == b"/" or not self._covering(os.path.dirname(r))]

    def is_root(self, path: bytes) -> bool:
        """True for a watched folder itself."""
        return path in self._roots

    def root_of(self, path: bytes) -> bytes | None:
        """The innermost watched folder at or above a path."""
        while path not in self._roots:
            above = os.path.dirname(path)
            if above == path:
                return None
            path = above
        return path

    def below(self, directory: bytes) -> Below | None:
        """The rules for a directory's entries; None when the directory is not ours."""
        roots = self._covering(directory)
        return Below(self, directory, roots) if roots else None

    def excluded(self, path: bytes, is_dir: bool) -> bool:
        """True when a path is left out, or not below any watched folder."""
        if path in self._roots:
            return False
        directory, name = os.path.split(path)
        below = self.below(directory)
        return below is None or below.excludes(name, is_dir)

    def _covering(self, directory: bytes) -> tuple[_Root, ...]:
        """The folders that cover a directory and do not leave it out."""
        cache = self._cache
        known = cache.get(directory)
        if known is not None:
            return known
        if len(cache) > 20_000:
            cache = self._cache = {}
        # Down from the nearest known ancestor; a path may have 2,000 parts, so no recursion.
        missing: list[bytes] = []
        at = directory
        while at not in cache:
            missing.append(at)
            above = os.path.dirname(at)
            if above == at:
                break
            at = above
        roots = cache.get(at, ())
        for path in reversed(missing):
            above, name = os.path.split(path)
            if roots and name:
                roots = Below(self, above, roots).keeping(name)
            own = self._roots.get(path)
            if own is not None:
                roots = (*roots, own)
            cache[path] = roots
        return roots


def _by_parent(paths: Iterable[bytes]) -> dict[bytes, frozenset[bytes]]:
    found: dict[bytes, set[bytes]] = {}
    for path in paths:
        directory, name = os.path.split(path)
        found.setdefault(directory, set()).add(name)
    return {directory: frozenset(names) for directory, names in found.items()}


def _trash() -> list[bytes]:
    """The desktop's trash folder, for those who watch its parent (freedesktop.org, Trash 1.0)."""
    data = os.environ.get("XDG_DATA_HOME") or os.path.expanduser("~/.local/share")
    return [os.fsencode(os.path.join(data, "Trash"))]
