"""Making artifacts, the daemon's side: finds one that stands, or has a child process make it.

Responsible for what is kept in the models directory, for watching over the child and for turning
its end into an Artifact or a ModelError. The child (build_worker.py) imports torch; nothing here
does.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from typing import IO, Any

import structlog

from imgqd.errors import ImgqError, ModelError, UnavailableError, UsageError
from imgqd.models.artifact import (
    Artifact,
    Progress,
    open_artifact,
    read_manifest,
    remove,
)
from imgqd.models.spec import Spec, parse_spec
from imgqd.models.wire import child_command, child_environment

__all__ = ["Progress", "find", "prepare"]

log = structlog.get_logger(__name__)

_BUILDING = ".building-"
LOCK = ".lock"


def prepare(
    spec: str,
    models_dir: str,
    *,
    progress: Callable[[Progress], None] = lambda _: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> Artifact:
    """The artifact for `spec`: the one that stands, or one made now by a child process.

    Blocks, for minutes where weights are downloaded. A broken artifact is removed and made again.
    `cancelled` is asked a few times a second; True ends the child and raises UnavailableError.
    Raises UsageError for a spec that cannot be meant, ModelError when the model cannot be had.
    """
    wanted = parse_spec(spec)
    if wanted.kind == "auto":
        raise UsageError("auto is a choice between models, not a model: see resolve_auto")
    if wanted.kind == "local-dir" and not os.path.isdir(wanted.name):
        raise UsageError(f"model {wanted}: there is no directory {wanted.name}; check the path")
    standing = find(wanted, models_dir)
    if standing is not None:
        return standing
    try:
        os.makedirs(models_dir, mode=0o700, exist_ok=True)
        _remove_leftovers(models_dir)
        directory = tempfile.mkdtemp(prefix=_BUILDING, dir=models_dir)
    except OSError as error:
        raise ModelError(
            f"no model can be kept in {models_dir}: {error.strerror}; free space or permit writing "
            "there, or set models_dir to another place"
        ) from error
    try:
        return open_artifact(_build(wanted, models_dir, directory, progress, cancelled))
    finally:
        remove(directory)


def find(spec: Spec, models_dir: str) -> Artifact | None:
    """The newest whole artifact for `spec`, without making any. Broken ones are removed,
    and so are those of an older format; a newer imgq's are left alone."""
    candidates = []
    fingerprint = source_fingerprint(spec)
    for path in _artifact_paths(models_dir):
        try:
            manifest = read_manifest(path)
        except ModelError as error:
            if error.code != "model-newer":
                log.warning("model_discarded", reason=error.message)
                remove(path)
            continue
        if manifest.get("spec") == str(spec) and manifest.get("fingerprint") == fingerprint:
            candidates.append((os.stat(path).st_mtime_ns, path))
    for _, path in sorted(candidates, reverse=True):
        try:
            return open_artifact(path)
        except ModelError as error:
            log.warning("model_discarded", reason=error.message)
            remove(path)
    return None


def source_fingerprint(spec: Spec) -> str:
    """What tells that a source has changed since an artifact was made of it, without torch.

    For `builtin` the bytes of its code and data (they come with each release), for `local-dir:`
    what `stat` says of its files; empty for the others, whose weights have a name of their own.
    """
    digest = hashlib.sha256()
    if spec.kind == "local-dir":
        for path in sorted(_plain_files(spec.name)):
            status = os.stat(path)
            digest.update(f"{os.path.basename(path)!a} {status.st_size} ".encode())
            digest.update(f"{status.st_mtime_ns}\n".encode())
        return digest.hexdigest()
    if spec.kind == "builtin":
        here = os.path.dirname(os.path.abspath(__file__))
        code = ("builtin.py", "builtin_graph.py", "builtin_towers.py", "export.py")
        sources = [os.path.join(here, name) for name in code]
        for path in sources + sorted(_plain_files(os.path.join(here, "data"))):
            with contextlib.suppress(FileNotFoundError), open(path, "rb") as stream:
                digest.update(hashlib.file_digest(stream, "sha256").digest())
        return digest.hexdigest()
    return ""


def _plain_files(directory: str) -> list[str]:
    try:
        with os.scandir(directory) as entries:
            return [entry.path for entry in entries if entry.is_file()]
    except OSError:
        return []


def _artifact_paths(models_dir: str) -> list[str]:
    try:
        with os.scandir(models_dir) as entries:
            return [e.path for e in entries if e.is_dir() and "@" in e.name and e.name[0] != "."]
    except OSError:
        return []


def _build(
    spec: Spec,
    models_dir: str,
    directory: str,
    progress: Callable[[Progress], None],
    cancelled: Callable[[], bool],
) -> str:
    """Runs the child; gives back the path of the finished artifact."""
    request = {"spec": str(spec), "models_dir": models_dir, "directory": directory}
    with tempfile.TemporaryFile() as errors:
        child = subprocess.Popen(
            child_command("imgqd.models.build_worker"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            env=child_environment(),
            start_new_session=True,
            text=True,
            encoding="utf-8",
        )
        assert child.stdin is not None and child.stdout is not None
        with child, _ended_when(child, cancelled) as was_cancelled:
            # The pipe stays open: its end tells the child that this process has gone.
            with contextlib.suppress(BrokenPipeError):
                child.stdin.write(json.dumps(request) + "\n")
                child.stdin.flush()
            answer = _follow(child.stdout, progress)
            child.wait()
        if was_cancelled.is_set():
            raise UnavailableError(f"making the model {spec} was cancelled")
        if answer is None:
            errors.seek(max(0, errors.seek(0, os.SEEK_END) - 2000))
            tail = errors.read().decode(errors="replace").strip().splitlines()
            raise ModelError(_death(spec, child.returncode, tail[-1] if tail else ""))
    if "error" in answer:
        kind = UsageError if answer["error"]["code"] == "usage" else ModelError
        raise kind(str(answer["error"]["message"]))
    return str(answer["path"])


def _follow(lines: IO[str], progress: Callable[[Progress], None]) -> dict[str, Any] | None:
    """Reads the child's JSON lines; reports progress; gives back the last word, or None."""
    answer = None
    for line in lines:
        try:
            said = json.loads(line)
        except ValueError:
            continue
        if "stage" in said:
            progress(Progress(said["stage"], said["detail"], said["done"], said["total"]))
        elif "path" in said or "error" in said:
            answer = said
    return answer


@contextlib.contextmanager
def _ended_when(
    child: subprocess.Popen[str], cancelled: Callable[[], bool]
) -> Iterator[threading.Event]:
    """While inside, kills the child once `cancelled` says so; the event tells that it did.

    On the way out, whatever the reason, the child ends.
    """
    finished, did = threading.Event(), threading.Event()

    def watch() -> None:
        while not finished.wait(0.2):
            if cancelled():
                did.set()
                child.kill()
                return

    watcher = threading.Thread(target=watch, name="model-build-watch", daemon=True)
    watcher.start()
    try:
        yield did
    finally:
        finished.set()
        watcher.join()
        child.kill()


def _death(spec: Spec, code: int, last: str) -> str:
    how = f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"
    memory = " (most likely for want of memory)" if code == -9 else ""
    said = f"; it last said: {last}" if last else ""
    return (
        f"the model {spec} could not be made: the process that makes it {how}{memory}{said}; "
        "try again, or choose another model with imgqd model SPEC"
    )


def _remove_leftovers(models_dir: str) -> None:
    """Removes what children that were killed left behind; what one still works on is locked."""
    for name in os.listdir(models_dir):
        path = os.path.join(models_dir, name)
        if name.startswith(_BUILDING) and not _in_use(path):
            remove(path)


def _in_use(directory: str) -> bool:
    try:
        import fcntl
    except ImportError:  # Windows: an open file cannot be removed there anyway.
        return False
    try:
        with open(os.path.join(directory, LOCK), "rb") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        # Made but not yet locked by a child that is only starting.
        return _age_s(directory) < 60
    except OSError:
        return True
    return False


def _age_s(path: str) -> float:
    """Seconds since `path` last changed; a path that is gone is old."""
    try:
        return time.time() - os.stat(path).st_mtime
    except OSError:
        return float("inf")


def error_answer(error: ImgqError) -> dict[str, Any]:
    """An error as the child says it; `_build` raises it again on this side."""
    return {"error": {"code": error.code, "message": error.message}}
