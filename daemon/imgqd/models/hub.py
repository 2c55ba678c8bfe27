"""Where the model hub is, what of it is already here, and whether it answers. Standard library only.

Responsible for reading the hub's usual environment variables and for one quick question over HTTP.
Downloading is download.py's, in a child process; what follows from an answer is auto.py's.
"""

from __future__ import annotations

import http.client
import os
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

WEIGHTS = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")
"""What open_clip's weights are called in a repository, the safe form first."""

_TRUE = {"1", "ON", "YES", "TRUE"}


def endpoint() -> str:
    """The address of the hub: HF_ENDPOINT, else huggingface.co."""
    return (os.environ.get("HF_ENDPOINT") or "https://huggingface.co").rstrip("/")


def cache_directory() -> str:
    """The hub's cache, shared with every other program that uses the hub."""
    home = os.environ.get("XDG_CACHE_HOME") or os.path.join("~", ".cache")
    home = os.environ.get("HF_HOME") or os.path.join(home, "huggingface")
    named = os.environ.get("HF_HUB_CACHE") or os.environ.get("HUGGINGFACE_HUB_CACHE")
    return os.path.expandvars(os.path.expanduser(named or os.path.join(home, "hub")))


def is_offline() -> bool:
    """True when the person has forbidden every question to the hub."""
    return os.environ.get("HF_HUB_OFFLINE", "").upper() in _TRUE


def is_cached(repository: str) -> bool:
    """True when the cache holds the weights of this repository."""
    folder = f"models--{repository.replace('/', '--')}"
    snapshots = os.path.join(cache_directory(), folder, "snapshots")
    try:
        revisions = os.listdir(snapshots)
    except OSError:
        return False
    return any(
        os.path.exists(os.path.join(snapshots, revision, name))
        for revision in revisions
        for name in WEIGHTS
    )


class Question:
    """Asks the hub for the headers of a repository's weights, beginning now.

    In a thread of its own, because looking up a name can take longer than any timeout allows.
    """

    def __init__(self, repository: str, patience_s: float) -> None:
        self._deadline = time.monotonic() + patience_s
        self._said: str | None = (
            f"the hub does not answer within {patience_s:g} s; check the network"
        )
        self._url = f"{endpoint()}/{repository}/resolve/main/{WEIGHTS[0]}"
        self._patience_s = patience_s
        self._thread = threading.Thread(target=self._ask, name="hub-question", daemon=True)
        self._thread.start()

    def answered(self, within_s: float) -> bool:
        """Whether there is an answer, of whatever kind, after at most that long."""
        self._thread.join(within_s)
        return not self._thread.is_alive()

    def answer(self) -> str | None:
        """None when a hub is there, else why not, for a person; waits as long as was allowed."""
        self.answered(max(0.0, self._deadline - time.monotonic()))
        return self._said

    def _ask(self) -> None:
        self._said = _headers(self._url, self._patience_s)


class _StayHere(urllib.request.HTTPRedirectHandler):
    """A redirection to where the file lies is answer enough."""

    def redirect_request(self, *args: Any) -> None:
        return None


def _headers(url: str, timeout_s: float) -> str | None:
    # An endpoint is set by the person whose daemon this is, but may be mistyped.
    if not url.startswith(("https://", "http://")):
        return "HF_ENDPOINT is no address of a hub; it begins with https://"
    request = urllib.request.Request(  # noqa: S310 - checked just above
        url, method="HEAD", headers={"User-Agent": "imgq"}
    )
    try:
        with urllib.request.build_opener(_StayHere).open(request, timeout=timeout_s):
            return None
    except urllib.error.HTTPError as error:
        # Weights may lie under the other name, or want a token: the download tells better.
        return None if error.code < 500 and error.code not in (407, 429) else _refusal(error.code)
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        where = urllib.parse.urlsplit(url).netloc
        return f"{where} cannot be reached ({reason}); check the network, or HTTPS_PROXY"


def _refusal(status: int) -> str:
    if status == 429:
        return "the hub was asked too often from here (429); wait some minutes"
    if status == 407:
        return "there is a proxy that wants a login (407); put it into HTTPS_PROXY"
    return f"the hub is out of order (status {status}); wait a while"
