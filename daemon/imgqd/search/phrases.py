"""Some eight hundred everyday phrases in the text space of each model: what texts in general are.

They are the unrelated texts that relevance.py compares with, and the words that --expand looks
among. Their vectors are made once for each model, off to the side, and kept in a file.
"""

from __future__ import annotations

import hashlib
import os
import threading
import time
from importlib import resources

import numpy as np
import structlog

from imgqd.errors import ImgqError
from imgqd.records import Vectors
from imgqd.search.terms import TextTower

log = structlog.get_logger("search")

# Queries get in between so many: the tower does one batch at a time.
BATCH = 8
REST_S = 0.005


def phrases() -> list[str]:
    """The list, data/phrases.txt."""
    path = resources.files("imgqd.search").joinpath("data/phrases.txt")
    return path.read_text("utf-8").splitlines()


class Phrases:
    """The phrases' vectors by model. Thread-safe. `directory` is where they are kept, "" nowhere."""

    def __init__(self, directory: str = "") -> None:
        self.texts = phrases()
        self._directory = directory
        self._condition = threading.Condition()
        self._vectors: dict[str, Vectors] = {}
        self._making: set[str] = set()

    def known(self, model: str) -> Vectors | None:
        """(n, dim) float32, L2-normalised; None for a model that `get` was not called for yet."""
        with self._condition:
            return self._vectors.get(model)

    def get(self, model: str, tower: TextTower, wait_s: float = 0.0) -> Vectors | None:
        """As `known`; the first call for a model starts the work in the background.

        None while they are still being made after `wait_s`.
        """
        deadline = time.monotonic() + wait_s
        with self._condition:
            if model not in self._vectors and model not in self._making:
                kept = self._read(model)
                if kept is not None:
                    self._keep(model, kept)
                else:
                    self._making.add(model)
                    threading.Thread(
                        target=self._make, args=(model, tower), name="phrases", daemon=True
                    ).start()
            while model not in self._vectors and model in self._making:
                left = deadline - time.monotonic()
                if left <= 0 or not self._condition.wait(left):
                    break
            return self._vectors.get(model)

    def _keep(self, model: str, vectors: Vectors) -> None:
        # Of one model only: another one that is swapped in replaces it.
        self._vectors = {model: vectors}

    def _make(self, model: str, tower: TextTower) -> None:
        parts = []
        made: Vectors | None = None
        try:
            for start in range(0, len(self.texts), BATCH):
                parts.append(tower.encode(self.texts[start : start + BATCH]))
                time.sleep(REST_S)
            made = np.concatenate(parts).astype(np.float32)
            self._write(model, made)
        except ImgqError as error:  # a model that was swapped out meanwhile
            log.info("the phrases were not encoded", model=model, reason=error.message)
        except OSError as error:
            log.warning("the phrases' vectors cannot be kept", model=model, error=str(error))
        finally:
            with self._condition:
                self._making.discard(model)
                if made is not None:
                    self._keep(model, made)
                self._condition.notify_all()

    def _path(self, model: str) -> str:
        text = "\0".join([model, *self.texts])
        return os.path.join(
            self._directory, f"phrases-{hashlib.sha256(text.encode()).hexdigest()[:16]}.npy"
        )

    def _read(self, model: str) -> Vectors | None:
        if not self._directory:
            return None
        try:
            vectors: Vectors = np.load(self._path(model), allow_pickle=False)
        except (OSError, ValueError, EOFError):
            return None
        sound = vectors.ndim == 2 and len(vectors) == len(self.texts) and np.isfinite(vectors).all()
        return vectors.astype(np.float32) if sound else None

    def _write(self, model: str, vectors: Vectors) -> None:
        if not self._directory:
            return
        path = self._path(model)
        for name in os.listdir(self._directory):
            if name.startswith("phrases-") and name != os.path.basename(path):
                os.unlink(os.path.join(self._directory, name))
        with open(path + ".new", "wb") as stream:
            np.save(stream, vectors, allow_pickle=False)
        os.replace(path + ".new", path)
