"""Making artifacts, the child's side: `python -m imgqd.models.build_worker`, once a model.

Responsible for choosing the source, for naming, sealing and installing what it built, and for
reporting on standard output in JSON lines. Fetching, loading and exporting are the source's.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import importlib
import json
import os
import sys
import threading
import warnings
from collections.abc import Callable
from typing import Any, BinaryIO, Protocol, cast

from imgqd import __version__
from imgqd.errors import ImgqError, ModelError
from imgqd.models.artifact import Progress, install, write_manifest
from imgqd.models.build import LOCK, error_answer, source_fingerprint
from imgqd.models.spec import Spec, parse_spec
from imgqd.models.wire import claim_stdout

Report = Callable[[Progress], None]


class Source(Protocol):
    """What openclip.py and builtin.py offer. The only modules that import torch."""

    def build(self, spec: Spec, directory: str, report: Report) -> dict[str, Any]:
        """Writes the model into `directory`; gives back its manifest as export.export_model does.

        Raises ModelError or UsageError with a message for a person.
        """

    def load_torch(self, path: str, manifest: dict[str, Any], which: str) -> Any:
        """The torch module of tower `which` (`image` or `text`), from an artifact that has it."""


_SOURCES = {
    "builtin": "imgqd.models.builtin",
    "open_clip": "imgqd.models.openclip",
    "hf-hub": "imgqd.models.openclip",
    "local-dir": "imgqd.models.openclip",
}


def source_of(kind: str) -> Source:
    """The module that makes models of this kind of spec; importing it imports torch."""
    return cast(Source, importlib.import_module(_SOURCES[kind]))


def build(request: dict[str, Any], report: Report) -> str:
    """Makes the model that was asked for; gives back the path of the installed artifact."""
    spec = parse_spec(request["spec"])
    directory, models_dir = str(request["directory"]), str(request["models_dir"])
    fingerprint = source_fingerprint(spec)
    report(Progress("load", "starting", 0, 1))
    built = source_of(spec.kind).build(spec, directory, report)
    model_id = f"{spec.label}@{built['digest'][:8]}"
    manifest = {
        "id": model_id,
        "spec": str(spec),
        "kind": spec.kind,
        "fingerprint": fingerprint,
        "made_by": __version__,
        **built,
    }
    report(Progress("check", "sealing", 0, 1))
    write_manifest(directory, manifest)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(os.path.join(directory, LOCK))
    return install(directory, models_dir, model_id)


def main() -> int:
    """Reads one request from standard input; says progress and one last word; 0 when it worked."""
    warnings.simplefilter("ignore")
    out = claim_stdout()
    request = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with contextlib.suppress(AttributeError, OSError):
        os.nice(10)
    lock = _lock(request["directory"])

    def report(progress: Progress) -> None:
        _say(out, dataclasses.asdict(progress))

    try:
        _say(out, {"path": build(request, report)})
    except ImgqError as error:
        _say(out, error_answer(error))
        return 1
    except (OSError, MemoryError) as error:
        _say(out, error_answer(_want_of(error, request)))
        return 1
    finally:
        lock.close()
    return 0


def _want_of(error: OSError | MemoryError, request: dict[str, Any]) -> ModelError:
    """What the machine refused, as a message for a person."""
    what = f"the model {request['spec']} could not be made"
    if isinstance(error, MemoryError) or error.errno == errno.ENOMEM:
        return ModelError(
            f"{what}: there is not enough memory; close other programs, or choose a smaller model "
            "with imgqd model SPEC"
        )
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return ModelError(
            f"{what}: there is no space left in {request['models_dir']}; free some, or set "
            "models_dir to another place",
            code="model-no-space",
        )
    place = error.filename or request["models_dir"]
    return ModelError(f"{what}: {place}: {error.strerror or error}; mend that and try again")


def _say(out: BinaryIO, words: dict[str, Any]) -> None:
    with contextlib.suppress(BrokenPipeError):
        out.write(json.dumps(words).encode() + b"\n")
        out.flush()


def _lock(directory: str) -> BinaryIO:
    """Tells other imgqds, for as long as this process lives, that the directory is in use."""
    stream = open(os.path.join(directory, LOCK), "wb")  # noqa: SIM115 - held until the end
    with contextlib.suppress(ImportError, OSError):
        import fcntl

        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return stream


def _end_with_parent() -> None:
    """Ends this process at once when the parent's end of standard input closes."""
    sys.stdin.read()
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
