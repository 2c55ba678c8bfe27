"""The image encoder, the daemon's side: a child process that is there while there is work.

Responsible for starting the child, for feeding it batches of bounded size, for starting it once
more when it died, and for ending it after an idle time, so that its memory really comes back.
What runs in the child is image_worker.py's business.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
import threading
import time
from typing import Any, BinaryIO, cast

import numpy as np
import structlog

from imgqd.errors import ModelError
from imgqd.models.artifact import Artifact
from imgqd.models.wire import (
    Array,
    WireError,
    child_command,
    child_environment,
    receive,
    send,
)
from imgqd.priority import ALL, Share, cores
from imgqd.records import Pixels, Vectors

log = structlog.get_logger(__name__)

_STARTS = 2
_GPU_BATCH = 64
_FINISH_S = 1.0


class _ChildDied(Exception):
    """The child ended or said something that is no answer; the reason is its last words."""


class TowerProcess:
    """One tower of a model in a child process. Not thread-safe: its owner holds a lock."""

    def __init__(
        self, artifact: Artifact, *, tower: str, device: str, threads: int, share: Share
    ) -> None:
        self._artifact = artifact
        self._order = {
            "artifact": artifact.path,
            "tower": tower,
            "device": device,
            "threads": threads,
            "nice": share.nice,
            "cores": share.cores,
        }
        self._child: subprocess.Popen[bytes] | None = None
        self._errors: BinaryIO | None = None
        # Until the child has said what it runs on; only towers kept for torch can be on a GPU.
        self.device = "cpu" if device == "auto" and not artifact.manifest["torch"] else device
        self._aborted = False

    @property
    def pid(self) -> int | None:
        """The child's process id while it runs."""
        child = self._child
        return child.pid if child is not None and child.poll() is None else None

    def run(self, values: Array) -> Vectors:
        """One batch: (n, ...) to (n, dim) float32. Starts the child, once more if it dies.

        Raises ModelError.
        """
        for attempt in range(1, _STARTS + 1):
            try:
                if self.pid is None:
                    self._start()
                return self._ask(values)
            except _ChildDied as death:
                self.close()
                if self._aborted:
                    raise ModelError(f"encoding with {self._artifact.id} was stopped") from death
                log.warning("model_child_died", model=self._artifact.id, reason=str(death))
                if attempt == _STARTS:
                    raise ModelError(
                        f"the process that runs {self._artifact.id} keeps ending: {death}; try a "
                        "smaller batch or model, or device cpu"
                    ) from death
        raise AssertionError("unreachable")

    def abort(self) -> None:
        """From another thread: ends a batch in hand, and everything after it."""
        self._aborted = True
        child = self._child
        if child is not None:
            child.kill()

    def close(self) -> None:
        """Ends the child, if any, and waits until it has gone."""
        child = self._child
        if child is not None:
            assert child.stdin is not None and child.stdout is not None
            with contextlib.suppress(OSError):
                child.stdin.close()
            try:
                child.wait(2.0)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
            child.stdout.close()
            self._child = None
        if self._errors is not None:
            self._errors.close()
            self._errors = None

    def _start(self) -> None:
        self.close()
        self._errors = cast(BinaryIO, tempfile.TemporaryFile())  # noqa: SIM115 - closed by close()
        try:
            self._child = subprocess.Popen(
                child_command("imgqd.models.image_worker"),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                env=child_environment(),
                # Ctrl-C in a terminal is for the daemon, which ends its children in good order.
                start_new_session=True,
            )
        except OSError as error:
            raise ModelError(
                f"the process that runs {self._artifact.id} cannot be started: {error}; close "
                "other programs and try again"
            ) from error
        header, _ = self._exchange(self._order, ())
        self.device = str(header["device"])
        log.debug("model_child_started", model=self._artifact.id, device=self.device)

    def _ask(self, values: Array) -> Vectors:
        _, arrays = self._exchange({}, (values,))
        expected = (len(values), self._artifact.dim)
        if len(arrays) != 1 or arrays[0].dtype != np.float32 or arrays[0].shape != expected:
            raise _ChildDied("it answered something that is not vectors")
        return arrays[0]

    def _exchange(
        self, header: dict[str, Any], arrays: tuple[Array, ...]
    ) -> tuple[dict[str, Any], list[Array]]:
        child = self._child
        assert child is not None and child.stdin is not None and child.stdout is not None
        try:
            send(cast(BinaryIO, child.stdin), header, arrays)
            answer = receive(cast(BinaryIO, child.stdout))
        except (OSError, WireError) as error:
            raise _ChildDied(self._last_words() or str(error)) from error
        if answer is None:
            raise _ChildDied(self._last_words() or "it ended without a word")
        if "error" in answer[0]:
            raise ModelError(str(answer[0]["error"]))
        return answer

    def _last_words(self) -> str:
        if self._child is None or self._errors is None:
            return ""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._child.wait(1.0)
        code = self._child.returncode
        self._errors.seek(max(0, self._errors.seek(0, os.SEEK_END) - 2000))
        said = self._errors.read().decode(errors="replace").strip().splitlines()
        how = "" if code is None else f"signal {-code}" if code < 0 else f"code {code}"
        return ": ".join(filter(None, [how, said[-1] if said else ""]))


class ImageEncoder:
    """Pictures to vectors of one model. Thread-safe; one batch is encoded at a time."""

    def __init__(
        self,
        artifact: Artifact,
        *,
        device: str,
        threads: int,
        idle_unload_s: float,
        batch: int,
        share: Share = ALL,
    ) -> None:
        """`device`: auto, cpu, cuda or mps. `threads` 0 is one for each core. Starts nothing yet.

        `batch` bounds how many pictures are encoded at once on a CPU; a GPU takes at least 64.
        `share` is how much of the machine the child takes.
        """
        self.artifact = artifact
        self._batch = max(1, batch)
        self._idle_s = idle_unload_s
        self._process = TowerProcess(
            artifact, tower="image", device=device, threads=threads or cores(), share=share
        )
        self._lock = threading.Lock()
        self._wake = threading.Condition()
        self._used = time.monotonic()
        self._watcher: threading.Thread | None = None
        self._closed = False

    @property
    def device(self) -> str:
        """Where pictures are encoded: what was asked for until the child has told (then cpu...)."""
        return self._process.device

    @property
    def running(self) -> bool:
        """True while the child is there."""
        return self._process.pid is not None

    @property
    def pid(self) -> int | None:
        """The child's process id while it runs."""
        return self._process.pid

    def encode(self, pixels: Pixels) -> Vectors:
        """(n, height, width, 3) uint8 to (n, dim) float32, L2-normalised.

        Raises ModelError when the model cannot be run or the encoder was closed, ValueError for
        pixels of another size than the model's.
        """
        size = (self.artifact.preprocess.height, self.artifact.preprocess.width, 3)
        if pixels.ndim != 4 or pixels.shape[1:] != size or pixels.dtype != np.uint8:
            raise ValueError(f"pixels are (n, {size[0]}, {size[1]}, 3) uint8, not {pixels.shape}")
        parts = [np.zeros((0, self.artifact.dim), np.float32)]
        with self._lock:
            done = 0
            while done < len(pixels):
                if self._closed:
                    raise ModelError(
                        f"the image encoder of {self.artifact.id} is closed; ask again"
                    )
                step = self._step()
                parts.append(self._process.run(pixels[done : done + step]))
                done += step
                self._used = time.monotonic()
                self._watch()
        return np.concatenate(parts)

    def close(self) -> None:
        """Ends the child. A batch in hand has a second to finish; encoding afterwards is an error."""
        self._closed = True
        if not self._lock.acquire(timeout=_FINISH_S):
            self._process.abort()
            self._lock.acquire()
        try:
            self._process.close()
        finally:
            self._lock.release()
        with self._wake:
            self._wake.notify_all()

    def _step(self) -> int:
        """How many pictures at once: small until the child has said what it runs on."""
        on_gpu = self.running and self._process.device != "cpu"
        return max(self._batch, _GPU_BATCH) if on_gpu else self._batch

    def _watch(self) -> None:
        if self._watcher is None or not self._watcher.is_alive():
            self._watcher = threading.Thread(target=self._end_idle, name="image-idle", daemon=True)
            self._watcher.start()

    def _end_idle(self) -> None:
        """Ends the child once nothing was encoded for the idle time; one thread a child."""
        while not self._closed:
            left = self._used + self._idle_s - time.monotonic()
            if left > 0:
                with self._wake:
                    self._wake.wait(left)
                continue
            with self._lock:
                if self._used + self._idle_s <= time.monotonic():
                    self._process.close()
                    self._watcher = None
                    return
