"""`auto`: the better model when it can be had, the built-in one otherwise, decided quickly.

Responsible for the choice and for saying in plain words why the built-in model is used. Trying
again later is the daemon's: it calls `resolve_auto` again.
"""

from __future__ import annotations

import os
from collections.abc import Callable

import structlog

from imgqd.errors import ModelError
from imgqd.models import hub
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
        reason = _forbidden()
        if reason is None and not download:
            return make("builtin"), (
                f"{wanted} is not on this machine yet; the built-in model is used meanwhile"
            )
        if reason is None:
            question = hub.Question(_repository(wanted), PROBE_S)
            if not question.answered(QUICK_S):
                # Most likely nobody will answer: the time is used to make what is then needed.
                make("builtin")
            reason = question.answer()
        if reason is not None:
            reason = f"{wanted} cannot be downloaded: {reason}"
    if reason is None:
        try:
            return make(str(wanted)), None
        except ModelError as error:
            reason = error.message
    log.warning("model_fallback", wanted=str(wanted), reason=reason)
    return make("builtin"), (
        f"{reason}; the built-in model is used meanwhile, and {wanted} is tried again later"
    )


def _is_here(wanted: Spec) -> bool:
    if wanted.kind in ("builtin", "local-dir"):
        return True
    repository = _repository(wanted)
    return bool(repository) and hub.is_cached(repository)


def _repository(wanted: Spec) -> str:
    return wanted.name if wanted.kind == "hf-hub" else _REPOSITORIES.get(str(wanted), "")


def _forbidden() -> str | None:
    if hub.is_offline():
        return "HF_HUB_OFFLINE is set and the model is not in the cache"
    return None
