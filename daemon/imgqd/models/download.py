"""Files from the model hub, verified, with progress and errors that a person can act on.

Responsible for the cache first, for the hub's own client (huggingface_hub: HF_ENDPOINT, HF_HOME,
tokens and proxies as everywhere), and for comparing what arrived with the hash that the hub gave.
Only used in the child that makes models.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
from collections.abc import Callable, Iterator
from typing import Any

from imgqd.errors import ModelError
from imgqd.models.artifact import Progress
from imgqd.models.hub import WEIGHTS, Question, cache_directory, endpoint, is_offline

Report = Callable[[Progress], None]

_SHA256 = re.compile(r"[0-9a-f]{64}")
_REPORT_EVERY = 1 << 20
_PATIENCE_S = 10.0
_CUT_OFF = {"RemoteProtocolError", "ChunkedEncodingError", "IncompleteRead"}


def weights(hub: str, report: Report) -> str:
    """The path of the weights that open_clip's `hf_hub` entry (`org/name/` or a file) names.

    A safetensors file is preferred to a pickled one, as in open_clip. Raises ModelError.
    """
    repository, _, name = hub.rpartition("/")
    if not name:
        names = list(WEIGHTS)
    else:
        stem, extension = os.path.splitext(name)
        safe = [stem + ".safetensors"] if extension in (".bin", ".pth", ".pt") else []
        names = [*safe, name]
    for candidate in names[:-1]:
        path = fetch(repository, candidate, report, optional=True)
        if path is not None:
            return path
    path = fetch(repository, names[-1], report)
    assert path is not None
    return path


def fetch(repository: str, name: str, report: Report, *, optional: bool = False) -> str | None:
    """The path of one file of a repository on the hub: from the cache, else downloaded.

    `optional`: None where the repository has no such file. Raises ModelError saying what happened
    and what to do.
    """
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

    def get(**how: Any) -> str:
        return str(
            hf_hub_download(
                repository, name, cache_dir=cache_directory(), endpoint=endpoint(), **how
            )
        )

    try:
        path = get(local_files_only=True)
        if _is_whole(path):
            return path
        fresh = True
    except Exception:  # not there, in whatever way: the hub is asked
        fresh = False
    # The hub's client would try for half a minute before it says that nobody is there.
    obstacle = None if is_offline() else Question(repository, _PATIENCE_S).answer()
    if obstacle is not None:
        raise ModelError(
            f"{name} of {repository} cannot be downloaded: {obstacle}, and try again",
            code="model-unreachable",
        )
    try:
        path = get(force_download=fresh, tqdm_class=_bar_class(report, name))
    except Exception as error:
        missing = isinstance(error, EntryNotFoundError)
        if optional and missing and not isinstance(error, LocalEntryNotFoundError):
            return None
        raise _explained(error, repository, name) from error
    if not _is_whole(path):
        os.unlink(os.path.realpath(path))
        raise ModelError(
            f"{name} of {repository} arrived damaged: its SHA-256 is not the one that the hub "
            "gave; try again, and if it happens again suspect the network or a proxy in between",
            code="model-damaged",
        )
    return path


def _is_whole(path: str) -> bool:
    """Compares with the hash in the blob's name, which is the hub's SHA-256 for large files.

    (Small files are named by a git hash, which is not of the bytes alone; their length was checked
    by the client.)
    """
    expected = os.path.basename(os.path.realpath(path))
    if not _SHA256.fullmatch(expected):
        return True
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest() == expected


def _bar_class(report: Report, name: str) -> type[Any]:
    """The hub client's way to show progress: a tqdm class, here one that reports to us."""
    from huggingface_hub.utils.tqdm import tqdm

    class Bar(tqdm):
        def __init__(self, *args: Any, **options: Any) -> None:
            self._got = int(options.get("initial") or 0)
            self._all = int(options.get("total") or 0)
            self._said = 0
            super().__init__(*args, **{**options, "disable": True})  # type: ignore[no-untyped-call]
            report(Progress("download", name, self._got, self._all))

        def update(self, n: float | None = 1) -> None:
            self._got += int(n or 0)
            if self._got - self._said >= _REPORT_EVERY or self._got == self._all:
                self._said = self._got
                report(Progress("download", name, self._got, self._all))

    return Bar


def _explained(error: Exception, repository: str, name: str) -> ModelError:
    """A ModelError that says in plain words why `name` could not be had, and what to do."""
    from huggingface_hub.errors import GatedRepoError, OfflineModeIsEnabled, RepositoryNotFoundError

    what = f"{name} of {repository} cannot be downloaded from {endpoint()}"
    for cause in _causes(error):
        if isinstance(cause, OfflineModeIsEnabled):
            return ModelError(
                f"{what}: HF_HUB_OFFLINE is set and the file is not in the cache; unset it, or "
                "put the file there on a machine that may",
                code="model-offline",
            )
        if isinstance(cause, OSError) and cause.errno in (errno.ENOSPC, errno.EDQUOT):
            return ModelError(
                f"{what}: there is no space left in {cache_directory()}; free some, or set "
                "HF_HOME to a place that has more",
                code="model-no-space",
            )
        if isinstance(cause, GatedRepoError):
            return ModelError(
                f"{what}: its owner wants an agreement first; accept it on the hub's page of the "
                "model and set HF_TOKEN",
                code="model-refused",
            )
        if isinstance(cause, RepositoryNotFoundError):
            return ModelError(
                f"{what}: there is no such model, or it is private; check the name, or set "
                "HF_TOKEN",
                code="model-not-found",
            )
        status = getattr(getattr(cause, "response", None), "status_code", None)
        if status is not None:
            return ModelError(f"{what}: {_status(int(status))}", code="model-refused")
    last = list(_causes(error))[-1]
    said = str(last).strip().splitlines()
    detail = said[0] if said else type(last).__name__
    if "Consistency check failed" in str(error) or type(last).__name__ in _CUT_OFF:
        return ModelError(
            f"{what}: the connection was cut off in the middle ({detail}); try again",
            code="model-cut-off",
        )
    return ModelError(
        f"{what}: {type(last).__name__}: {detail}; check the network (a proxy goes into "
        "HTTPS_PROXY, another hub into HF_ENDPOINT) and try again",
        code="model-unreachable",
    )


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and what it came from, outermost first."""
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__ or (None if seen.__suppress_context__ else seen.__context__)


def _status(status: int) -> str:
    words = {
        401: "it wants a login (401); set HF_TOKEN",
        403: "it refuses (403); set HF_TOKEN, or ask whoever runs the proxy in between",
        404: "it has no such file (404); check the name of the model",
        429: "too many requests came from here (429); wait some minutes and try again",
    }
    if status in words:
        return words[status]
    return f"it answered with status {status}; try again later"
