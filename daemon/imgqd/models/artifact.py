"""A model as files: image.onnx, text.onnx, the tokenizer and a manifest that vouches for them.

Responsible for writing the manifest last, for moving a finished directory into place in one step
and for refusing a directory in which one byte is not as it was written. What is in the graphs is
the business of export.py and of the sources.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import re
import shutil
from dataclasses import dataclass
from typing import Any

from imgqd.errors import ModelError
from imgqd.records import Preprocess

FORMAT = 1
"""Raised whenever what is exported changes: artifacts of another number are made again."""

MANIFEST = "manifest.json"
VERIFIED = "verified.json"


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the making of a model is. `stage`: download, load, export or check.

    `done` and `total` count bytes while downloading and steps otherwise; `total` 0 is unknown.
    """

    stage: str
    detail: str
    done: int = 0
    total: int = 0


@dataclass(frozen=True, slots=True)
class Artifact:
    """An artifact whose files were checked.

    `id` names weights and preprocessing, as `ViT-B-32/openai@1a2b3c4d`: equal ids give equal
    vectors. `runtime` is `onnx`, or `torch` where the towers could not be exported. `dim` is the
    length of a vector. `manifest` holds the rest as written by build_worker.py.
    """

    path: str
    id: str
    spec: str
    dim: int
    preprocess: Preprocess
    runtime: str
    manifest: dict[str, Any]

    def file(self, name: str) -> str:
        """The path of one of the artifact's files."""
        return os.path.join(self.path, name)


def directory_name(model_id: str) -> str:
    """A file name for a model id, safe on every filesystem."""
    return re.sub(r"[^A-Za-z0-9._@-]+", "_", model_id)[:200]


def preprocess_to_json(preprocess: Preprocess) -> dict[str, Any]:
    """Preprocess as plain JSON values, for the manifest."""
    return dataclasses.asdict(preprocess)


def preprocess_from_json(values: dict[str, Any]) -> Preprocess:
    """The inverse of preprocess_to_json. Raises KeyError, TypeError or ValueError when broken."""
    mean, std = (tuple(float(x) for x in values[name]) for name in ("mean", "std"))
    if len(mean) != 3 or len(std) != 3:
        raise ValueError("mean and std have three values")
    rest = {key: value for key, value in values.items() if key not in ("mean", "std")}
    return Preprocess(mean=mean, std=std, **rest)


def write_manifest(directory: str, manifest: dict[str, Any]) -> None:
    """Adds size and SHA-256 of every file below `directory` and writes the manifest, flushed.

    The manifest is the last file to appear: a directory without one is not an artifact.
    """
    files = {}
    for name in sorted(_files_below(directory)):
        path = os.path.join(directory, name)
        files[name] = {"size": os.path.getsize(path), "sha256": _sha256(path)}
        _flush(path)
    manifest = {"format": FORMAT, **manifest, "files": files}
    path = os.path.join(directory, MANIFEST)
    with open(path + ".new", "w", encoding="utf-8") as stream:
        json.dump(manifest, stream, indent=1, sort_keys=True)
        stream.write("\n")
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(path + ".new", path)
    _flush(directory)


def install(directory: str, models_dir: str, model_id: str) -> str:
    """Moves a finished directory to its place below `models_dir`; gives back where it is now.

    A whole artifact that another process made of the same source meanwhile is kept, because it may
    be in use; anything else that stands there is replaced. Directory and target are on one
    filesystem, so the move is one step.
    """
    target = os.path.join(models_dir, directory_name(model_id))
    if _equal(directory, target):
        remove(directory)
        return target
    aside = directory + ".old"
    if os.path.lexists(target):
        os.rename(target, aside)
    os.rename(directory, target)
    _flush(models_dir)
    remove(aside)
    return target


def _equal(directory: str, target: str) -> bool:
    """Whether two artifacts are of the same source and weights, and `target` is whole."""
    try:
        ours, theirs = read_manifest(directory), open_artifact(target).manifest
    except ModelError:
        return False
    names = ("id", "spec", "fingerprint", "made_by")
    return all(ours.get(name) == theirs.get(name) for name in names)


def remove(path: str) -> None:
    """Removes an artifact or whatever else stands at `path`; nothing there is fine."""
    if os.path.islink(path) or os.path.isfile(path):
        os.unlink(path)
    else:
        shutil.rmtree(path, ignore_errors=True)


def open_artifact(path: str) -> Artifact:
    """Reads the manifest at `path` and checks every file against it.

    Size and SHA-256 are compared. A file that looks to `lstat` exactly as it did when it was last
    hashed is not hashed again, so that the daemon starts quickly with a model of gigabytes.
    Raises ModelError saying what is broken.
    """
    manifest = read_manifest(path)
    try:
        artifact = Artifact(
            path=path,
            id=str(manifest["id"]),
            spec=str(manifest["spec"]),
            dim=int(manifest["dim"]),
            preprocess=preprocess_from_json(manifest["preprocess"]),
            runtime=str(manifest["runtime"]),
            manifest=manifest,
        )
        expected = {
            str(name): (int(entry["size"]), str(entry["sha256"]))
            for name, entry in manifest["files"].items()
        }
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _broken(path, f"its manifest lacks or garbles {error}") from error
    if not expected or any(os.path.isabs(name) or ".." in name for name in expected):
        raise _broken(path, "its manifest names no files or files elsewhere")
    _verify(path, expected)
    return artifact


def read_manifest(path: str) -> dict[str, Any]:
    """The manifest of the artifact at `path`, of this version's format, its files unchecked.

    Raises ModelError when it is missing, unreadable or of another format.
    """
    try:
        with open(os.path.join(path, MANIFEST), encoding="utf-8") as stream:
            manifest = json.load(stream)
    except FileNotFoundError:
        raise _broken(path, "it has no manifest") from None
    except (OSError, ValueError) as error:
        raise _broken(path, f"its manifest cannot be read: {error}") from error
    if not isinstance(manifest, dict):
        raise _broken(path, "its manifest is not an object")
    number = manifest.get("format")
    if isinstance(number, int) and number > FORMAT:
        raise ModelError(
            f"the model in {path} was made by a newer imgq (format {number}, not {FORMAT}); get "
            "the newer imgq, or set models_dir to another place",
            code="model-newer",
        )
    if number != FORMAT:
        raise _broken(path, f"it has format {number!r}, this imgq reads {FORMAT}")
    return manifest


def _verify(path: str, expected: dict[str, tuple[int, str]]) -> None:
    stamps = {}
    for name, (size, _) in expected.items():
        try:
            status = os.stat(os.path.join(path, name))
        except OSError as error:
            raise _broken(path, f"{name}: {error.strerror}") from error
        if status.st_size != size:
            raise _broken(path, f"{name} has {status.st_size} bytes instead of {size}")
        stamps[name] = [size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]
    seen = _read_stamps(path)
    for name, (_, sha256) in expected.items():
        if seen.get(name) == [*stamps[name], sha256]:
            continue
        try:
            actual = _sha256(os.path.join(path, name))
        except OSError as error:
            raise _broken(path, f"{name}: {error.strerror}") from error
        if actual != sha256:
            raise _broken(path, f"the content of {name} has changed since it was written")
    _write_stamps(path, {name: [*stamps[name], expected[name][1]] for name in expected}, seen)


def _read_stamps(path: str) -> dict[str, Any]:
    try:
        with open(os.path.join(path, VERIFIED), encoding="utf-8") as stream:
            stamps = json.load(stream)
    except (OSError, ValueError):
        return {}
    return stamps if isinstance(stamps, dict) else {}


def _write_stamps(path: str, stamps: dict[str, Any], seen: dict[str, Any]) -> None:
    if stamps == seen:
        return
    target = os.path.join(path, VERIFIED)
    try:
        with open(f"{target}.{os.getpid()}", "w", encoding="utf-8") as stream:
            json.dump(stamps, stream)
        os.replace(f"{target}.{os.getpid()}", target)
    except OSError:
        # A read-only models directory works, only slower to open.
        return


def _files_below(directory: str) -> list[str]:
    return [
        os.path.relpath(os.path.join(root, name), directory)
        for root, _, names in os.walk(directory)
        for name in names
        if name not in (MANIFEST, VERIFIED) and not name.startswith(".")
    ]


def _sha256(path: str) -> str:
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _flush(path: str) -> None:
    """fsync of a file or directory; platforms that cannot open a directory skip it."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except PermissionError:
        return
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _broken(path: str, what: str) -> ModelError:
    return ModelError(
        f"the model in {path} cannot be used: {what}; it is made again when the daemon starts, or "
        "remove that directory",
        code="model-broken",
    )
