"""`auto`: the better model when it can be had, the built-in one otherwise, decided quickly.

Responsible for looking into the hub's cache, for asking within seconds whether a hub can be reached
at all, and for saying in plain words why the built-in model is used. Trying again later is the
daemon's: it calls `resolve_auto` again.
"""

from __future__ import annotations

import http.client
import os
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from typing import Any

import structlog

from imgqd.errors import ModelError
from imgqd.models.artifact import Artifact, Progress
from imgqd.models.build import find, prepare
from imgqd.models.spec import Spec, parse_spec

log = structlog.get_logger(__name__)

PREFERRED = "ViT-B-32/openai"
VARIABLE = "IMGQ_PREFERRED_MODEL"
"""Names another model for `auto` to prefer, for a company's own model or for a test."""

PROBE_S = 6.0
"""How long a hub may take to answer one question before it counts as unreachable."""

QUICK_S = 1.0
"""How long a hub that is there usually takes at most."""

_REPOSITORIES = {PREFERRED: "timm/vit_base_patch32_clip_224.openai"}
_WEIGHTS = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")
_TRUE = {"1", "ON", "YES", "TRUE"}


def resolve_auto(
    models_dir: str,
    *,
    progress: Callable[[Progress], None] = lambda _: None,
    cancelled: Callable[[], bool] = lambda: False,
    preferred: str | None = None,
    download: bool = True,
) -> tuple[Artifact, str | None]:
    """(artifact, None) of the preferred model, or (the built-in one, why it is used instead).

    Downloads the preferred model where a hub answers, which takes minutes and is shown by
    `progress`; with `download` False only what is on this machine counts. Where no hub can be
    reached that is known within PROBE_S seconds. Raises ModelError when the built-in model cannot
    be made either, UnavailableError when cancelled.
    """
    wanted = parse_spec(preferred or os.environ.get(VARIABLE) or PREFERRED)
    standing = find(wanted, models_dir)
    if standing is not None:
        return standing, None

    def make(spec: str) -> Artifact:
        return prepare(spec, models_dir, progress=progress, cancelled=cancelled)

    reason = None
    if not _is_here(wanted):
        reason = _forbidden(wanted, download)
        if reason is None:
            question = _Question(_weights_url(wanted))
            if not question.answered(QUICK_S):
                # Most likely nobody answers: the time is used to make what is then needed.
                make("builtin")
            reason = question.answer(PROBE_S)
    if reason is None:
        try:
            return make(str(wanted)), None
        except ModelError as error:
            reason = error.message
    else:
        reason = f"{wanted} cannot be downloaded: {reason}"
    fallback = f"{reason}; the built-in model is used meanwhile, and {wanted} is tried again later"
    log.warning("model_fallback", wanted=str(wanted), reason=reason)
    return make("builtin"), fallback


def hub_cache() -> str:
    """The hub client's cache, where huggingface_hub would look for it."""
    home = os.environ.get("XDG_CACHE_HOME") or os.path.join("~", ".cache")
    home = os.environ.get("HF_HOME") or os.path.join(home, "huggingface")
    named = os.environ.get("HF_HUB_CACHE") or os.environ.get("HUGGINGFACE_HUB_CACHE")
    return os.path.expandvars(os.path.expanduser(named or os.path.join(home, "hub")))


def is_cached(repository: str) -> bool:
    """True when the hub's cache holds the weights of this repository."""
    folder = f"models--{repository.replace('/', '--')}"
    snapshots = os.path.join(hub_cache(), folder, "snapshots")
    try:
        revisions = os.listdir(snapshots)
    except OSError:
        return False
    return any(
        os.path.exists(os.path.join(snapshots, revision, name))
        for revision in revisions
        for name in _WEIGHTS
    )


def _is_here(wanted: Spec) -> bool:
    if wanted.kind in ("builtin", "local-dir"):
        return True
    repository = _repository(wanted)
    return bool(repository) and is_cached(repository)


def _forbidden(wanted: Spec, download: bool) -> str | None:
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in _TRUE:
        return "HF_HUB_OFFLINE is set and the model is not in the cache"
    return None if download else "it is not on this machine yet"


def _repository(wanted: Spec) -> str:
    return wanted.name if wanted.kind == "hf-hub" else _REPOSITORIES.get(str(wanted), "")


def _weights_url(wanted: Spec) -> str:
    endpoint = (os.environ.get("HF_ENDPOINT") or "https://huggingface.co").rstrip("/")
    return f"{endpoint}/{_repository(wanted)}/resolve/main/{_WEIGHTS[0]}"


class _Question:
    """Asks a hub for the headers of one file.

    In a thread of its own, because looking up a name can take longer than any timeout allows.
    """

    def __init__(self, url: str) -> None:
        self._asked = time.monotonic()
        self._said: str | None = f"the hub does not answer within {PROBE_S:g} s; check the network"
        self._url = url
        self._thread = threading.Thread(target=self._ask, name="hub-probe", daemon=True)
        self._thread.start()

    def answered(self, patience_s: float) -> bool:
        """Whether there is an answer, of whatever kind, after at most that long."""
        self._thread.join(patience_s)
        return not self._thread.is_alive()

    def answer(self, patience_s: float) -> str | None:
        """None when a hub is there, else why not; waits until that long after the question."""
        self.answered(max(0.0, self._asked + patience_s - time.monotonic()))
        return self._said

    def _ask(self) -> None:
        self._said = _headers(self._url, PROBE_S)


class _StayHere(urllib.request.HTTPRedirectHandler):
    """A redirection to where the file lies is answer enough."""

    def redirect_request(self, *args: Any) -> None:
        return None


def _headers(url: str, timeout_s: float) -> str | None:
    # Only http(s): an endpoint is set by the person whose daemon this is, but may be mistyped.
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
        return "the hub is asked too often from here (429)"
    if status == 407:
        return "there is a proxy that wants a login (407); put it into HTTPS_PROXY"
    return f"the hub is out of order (status {status})"
