"""The files of the page: read once, kept compressed, and sent with headers that let nothing else in.

Nothing private is in them, so they are sent to whoever asks. A name is looked up in what was found
in the folder, never joined to a path; a file that was changed is read anew, for whoever works on it.
The page itself names the others with their version (`/app.js?v={app.js}` in its source), under
which a browser may keep them without asking again.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import os
import re
import stat
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from aiohttp import web

STATIC = os.path.join(os.path.dirname(os.path.abspath(__file__)), "static")
START = "index.html"
TYPES = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".json": "application/json",
    ".webmanifest": "application/manifest+json",
}
# How often a name that is not known is looked for in the folder.
LOOK_S = 1.0

# Where the page names another file's version, and what it runs of its own.
_VERSION = re.compile(rb"(?<=\?v=)\{([a-z.]+)\}")
_INLINE = re.compile(rb"<script>(.*?)</script>", re.DOTALL)
KEPT = "private, max-age=31536000, immutable"

PAGE_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'{hashes}; style-src 'self'; img-src 'self' blob: data:; "
        "connect-src 'self'; manifest-src 'self'; form-action 'none'; base-uri 'none'; "
        "frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cache-Control": "no-cache",
    "Vary": "Accept-Encoding",
}


@dataclass(frozen=True, slots=True)
class PageFile:
    """One file, as it is sent with and without compression."""

    kind: str
    plain: bytes
    packed: bytes
    tag: str
    signature: tuple[int, int, int]

    def headers(self) -> dict[str, str]:
        """What it is sent with: scripts within it are allowed by their hashes."""
        hashes = ""
        if self.kind == "text/html":
            for script in _INLINE.findall(self.plain):
                digest = base64.b64encode(hashlib.sha256(script).digest()).decode("ascii")
                hashes += f" 'sha256-{digest}'"
        policy = PAGE_HEADERS["Content-Security-Policy"].replace("{hashes}", hashes)
        return {**PAGE_HEADERS, "Content-Security-Policy": policy}


class Pages:
    """The files below one folder. Belongs to the event loop."""

    def __init__(
        self, directory: str = STATIC, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._directory = directory
        self._clock = clock
        self._files: dict[str, PageFile] = {}
        self._looked = -LOOK_S
        self._page: PageFile | None = None
        self._look()

    def get(self, name: str) -> PageFile | None:
        """The file under a URL's path, `/` and all; None when there is none."""
        name = name.removeprefix("/") or START
        file = self._current(name)
        return self._versioned(file) if file is not None and name == START else file

    def _current(self, name: str) -> PageFile | None:
        if name not in self._files and self._clock() >= self._looked + LOOK_S:
            self._look()
        known = self._files.get(name)
        if known is None:
            return None
        path = os.path.join(self._directory, *name.split("/"))
        try:
            if _signature(path) == known.signature:
                return known
            self._files[name] = known = _load(path)
        except OSError:
            del self._files[name]
            return None
        return known

    def _versioned(self, page: PageFile) -> PageFile:
        def version(match: re.Match[bytes]) -> bytes:
            file = self._current(match[1].decode("ascii"))
            return match[0] if file is None else file.tag.encode("ascii")

        plain = _VERSION.sub(version, page.plain)
        if self._page is None or self._page.plain != plain:
            self._page = _packed(page.kind, plain, page.signature)
        return self._page

    def names(self) -> list[str]:
        """Every name that is served."""
        return sorted(self._files)

    def reply(self, request: web.Request) -> web.Response | None:
        """The answer to a request for one of the files; None when it is for something else."""
        if request.method not in ("GET", "HEAD"):
            return None
        file = self.get(request.path)
        if file is None:
            return None
        packed = "gzip" in request.headers.get("Accept-Encoding", "")
        tag = f'"{file.tag}-gz"' if packed else f'"{file.tag}"'
        headers = {**file.headers(), "ETag": tag}
        if request.query.get("v") == file.tag and file.kind != TYPES[".html"]:
            headers["Cache-Control"] = KEPT
        if tag in request.headers.get("If-None-Match", ""):
            return web.Response(status=304, headers=headers)
        if packed:
            headers["Content-Encoding"] = "gzip"
        charset = None if file.kind.startswith("image/") else "utf-8"
        body = file.packed if packed else file.plain
        return web.Response(body=body, content_type=file.kind, charset=charset, headers=headers)

    def _look(self) -> None:
        self._looked = self._clock()
        for name, path in _found(self._directory):
            if name not in self._files:
                self._files[name] = _load(path)


def _found(directory: str) -> Iterator[tuple[str, str]]:
    """(name in URLs, path) of each file that may be served; links and hidden ones are left out."""
    for folder, folders, names in os.walk(directory):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            path = os.path.join(folder, name)
            if name.startswith(".") or os.path.splitext(name)[1] not in TYPES:
                continue
            if stat.S_ISREG(os.lstat(path).st_mode):
                yield os.path.relpath(path, directory).replace(os.sep, "/"), path


def _signature(path: str) -> tuple[int, int, int]:
    info = os.lstat(path)
    return info.st_ino, info.st_mtime_ns, info.st_size


def _load(path: str) -> PageFile:
    signature = _signature(path)
    with open(path, "rb") as stream:
        plain = stream.read()
    return _packed(TYPES[os.path.splitext(path)[1]], plain, signature)


def _packed(kind: str, plain: bytes, signature: tuple[int, int, int]) -> PageFile:
    tag = hashlib.sha256(plain).hexdigest()[:20]
    return PageFile(kind, plain, gzip.compress(plain, 9, mtime=0), tag, signature)
