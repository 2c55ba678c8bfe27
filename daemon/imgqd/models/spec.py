"""The words a person uses to name a model, parsed.

Responsible for telling `auto`, `builtin`, `ARCH/PRETRAINED`, `hf-hub:` and `local-dir:` apart and
for saying early what cannot be meant. Whether the weights exist is left to the source that fetches
them (openclip.py, builtin.py).
"""

from __future__ import annotations

import difflib
import importlib.util
import os
import re
from dataclasses import dataclass

from imgqd.errors import UsageError

_HUB_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)?")
_HELP = (
    "a model is auto, builtin, builtin:conse, ARCH/PRETRAINED (as ViT-B-32/openai), "
    "hf-hub:ORG/NAME or local-dir:PATH"
)


@dataclass(frozen=True, slots=True)
class Spec:
    """A model as asked for. `kind`: auto, builtin, open_clip, hf-hub or local-dir.

    `name` is the variant of `builtin` (empty or `conse`), the architecture, the repository on the
    hub or the absolute path of the directory. `pretrained` is the tag of an `open_clip` pair.
    """

    kind: str
    name: str = ""
    pretrained: str = ""

    def __str__(self) -> str:
        """The one spelling of this spec: what is stored, shown and compared."""
        if self.kind == "open_clip":
            return f"{self.name}/{self.pretrained}"
        if self.kind == "auto" or not self.name:
            return self.kind
        return f"{self.kind}:{self.name}"

    @property
    def label(self) -> str:
        """The readable first part of a model id: as the spec, of a directory only its name."""
        if self.kind == "local-dir":
            return f"local-dir:{os.path.basename(self.name) or 'root'}"
        return str(self)


def parse_spec(text: str) -> Spec:
    """Parses SPEC as interface.md has it. A relative `local-dir:` is made absolute here and now.

    Raises UsageError naming what was not understood and what would be.
    """
    text = text.strip()
    kind, colon, rest = text.partition(":")
    if text == "auto":
        return Spec("auto")
    if kind == "builtin":
        if (colon, rest) not in {("", ""), (":", "conse")}:
            raise UsageError(f"model {text!r}: the built-in model is builtin or builtin:conse")
        return Spec("builtin", rest)
    if kind == "hf-hub" and colon:
        if not _HUB_NAME.fullmatch(rest):
            raise UsageError(f"model {text!r}: after hf-hub: comes a repository, as ORG/NAME")
        return Spec("hf-hub", rest)
    if kind == "local-dir" and colon:
        if not rest or "\0" in rest:
            raise UsageError(
                f"model {text!r}: after local-dir: comes the path of a directory that holds "
                "open_clip_config.json and the weights"
            )
        return Spec("local-dir", os.path.abspath(os.path.expanduser(rest)))
    architecture, slash, tag = text.rpartition("/")
    # open_clip reads "ViT-B/32" as "ViT-B-32".
    architecture = architecture.replace("/", "-")
    if not slash or not architecture or not tag:
        known = difflib.get_close_matches(text, ["auto", "builtin", "builtin:conse"], 1)
        hint = f"; did you mean {known[0]}?" if known else ""
        raise UsageError(f"{text!r} names no model: {_HELP}{hint}")
    known = architectures()
    if known and architecture not in known:
        close = difflib.get_close_matches(architecture, known, 3)
        hint = f"did you mean {' or '.join(close)}?" if close else _HELP
        raise UsageError(f"model {text!r}: open_clip has no architecture {architecture!r}; {hint}")
    return Spec("open_clip", architecture, tag)


def architectures() -> list[str]:
    """The names of open_clip's architectures, read from its files without importing it.

    (Importing it imports torch.) Empty where open_clip is not installed.
    """
    found = importlib.util.find_spec("open_clip")
    if found is None or not found.submodule_search_locations:
        return []
    directory = os.path.join(next(iter(found.submodule_search_locations)), "model_configs")
    try:
        names = os.listdir(directory)
    except OSError:
        return []
    return sorted(name[: -len(".json")] for name in names if name.endswith(".json"))
