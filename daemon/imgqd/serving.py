"""Which model answers, and how another takes its place without a gap.

One thread prepares the wanted model's artifact, gives every picture a vector of it in the
background and then swaps model, encoder and index in one step. Until then the old one answers;
vectors of two models never meet, because a Serving holds one model and the index of that model.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import structlog

from imgqd.api.service import cancelled
from imgqd.errors import ImgqError, ModelError, UnavailableError
from imgqd.indexing.encoding import Encoding
from imgqd.indexing.look import Decoder
from imgqd.indexing.pipeline import Pipeline
from imgqd.indexing.reembed import Stopped, embed_missing
from imgqd.library.store import Store
from imgqd.models.artifact import Artifact, Progress, open_artifact
from imgqd.models.auto import resolve_auto
from imgqd.models.build import prepare
from imgqd.models.image import ImageEncoder
from imgqd.models.spec import parse_spec
from imgqd.models.text import TextEncoder
from imgqd.priority import Share
from imgqd.search.keeper import IndexKeeper
from imgqd.settings import Settings

log = structlog.get_logger("model")

# `auto` embeds more pictures than this anew only when it is told to (interface.md).
AUTO_LIMIT = 20_000
# A fallback looks again for the model that was wanted; a failure is tried again.
RETRY_S = 3600.0
FAILURE_RETRY_S = 60.0
RETIRE_S = 5.0
# How long a question waits for the first model.
READY_S = 2.0


@dataclass(frozen=True, slots=True)
class Serving:
    """A model that answers: artifact, row in the library, both encoders and its index."""

    artifact: Artifact
    model_id: int
    text: TextEncoder
    image: ImageEncoder
    keeper: IndexKeeper
    encoding: Encoding

    def close(self, *, save_index: bool = True) -> None:
        """Ends the encoders and saves the index."""
        self.keeper.close(save=save_index)
        self.image.close()
        self.text.close()


@dataclass(frozen=True, slots=True)
class Work:
    """What the model room is at: a stage word, a sentence, and how far (total 0 is unknown)."""

    stage: str = ""
    detail: str = ""
    done: int = 0
    total: int = 0


class ModelRoom:
    """Owns the Serving. `current` may be read from any thread."""

    def __init__(
        self,
        store: Store,
        settings: Settings,
        *,
        models_dir: str,
        index_dir: str,
        threads: int,
        share: Share,
        pipeline: Pipeline,
        decoder: Decoder,
        workers: int,
        on_swap: Callable[[Serving], None],
    ) -> None:
        self._store = store
        self._settings = settings
        self._models_dir = models_dir
        self._index_dir = index_dir
        self._threads = threads
        self._share = share
        self._pipeline = pipeline
        self._decoder = decoder
        self._workers = workers
        self._on_swap = on_swap
        self._condition = threading.Condition()
        self._serving: Serving | None = None
        self._request = 0
        self._now = False
        self._catch_up = False
        self._stopping = False
        self._filling = False
        self.work = Work("load", "starting")
        self.fallback: str | None = None
        self.available: str | None = None
        self.error: str | None = None
        self._thread = threading.Thread(target=self._loop, name="model", daemon=True)

    # -- what others ask

    @property
    def spec(self) -> str:
        """The wanted spec: flag or environment, else what the library keeps, else the setting."""
        if self._settings.is_explicit("model"):
            return self._settings.text("model")
        return str(self._store.get_meta("model_spec") or self._settings.text("model"))

    @property
    def current(self) -> Serving | None:
        """The model that answers now, None before the first is ready."""
        return self._serving

    def serving(self) -> Serving:
        """The model that answers now. Raises UnavailableError while there is none."""
        serving = self._serving
        if serving is None:
            if self.error is not None and not self.work.stage:
                raise ModelError(self.error)
            detail = f": {self.work.detail}" if self.work.detail else ""
            raise UnavailableError(
                f"the model is being prepared{detail}; ask again in a moment",
                code="model-not-ready",
            )
        return serving

    def ready(self) -> Serving:
        """As `serving`, after waiting a moment for the first model."""
        if self._serving is None:
            self.wait_ready(READY_S)
        return self.serving()

    def wait_ready(self, timeout: float) -> bool:
        """Waits for the first model."""
        with self._condition:
            return self._condition.wait_for(
                lambda: self._serving is not None or self._stopping, timeout
            )

    def change(self, spec: str, now: bool) -> None:
        """Wants another model from here on; whatever was under way is called off."""
        parse_spec(spec)
        if self._settings.is_explicit("model"):
            raise ImgqError(
                "the model is set by a flag or by IMGQ_MODEL for this run; restart without it first"
            )
        self._store.set_meta("model_spec", spec)
        with self._condition:
            self._request += 1
            self._now = now
            self.error = None
            self._condition.notify_all()

    def catch_up(self) -> None:
        """Gives pictures that lack a vector of the current model one, in the background."""
        with self._condition:
            self._catch_up = True
            self._condition.notify_all()

    def gaps(self) -> int:
        """How many pictures wait for a vector of the model that answers, as far as it is known."""
        work = self.work
        return max(0, work.total - work.done) if self._filling else 0

    def start(self) -> None:
        """Opens the last model at once when it is sound, then sees to the wanted one."""
        self._resume()
        self._thread.start()

    def stop(self) -> None:
        """Calls off what is under way and closes the model."""
        with self._condition:
            self._stopping = True
            self._request += 1
            self._condition.notify_all()
        if self._thread.ident is not None:
            self._thread.join(20)
        if self._serving is not None:
            self._serving.close()

    # -- the thread

    def _resume(self) -> None:
        """Serves the model of the last run, so that answers come before anything else."""
        path = self._store.get_meta("serving_artifact")
        name = self._store.get_meta("serving_model")
        if not path or not name:
            return
        try:
            artifact = open_artifact(str(path))
            if artifact.id == name:
                self._swap(self._open(artifact))
        except ImgqError as error:
            log.warning("the last model cannot be used; it is prepared again", reason=error.message)

    def _loop(self) -> None:
        while True:
            with self._condition:
                if self._stopping:
                    return
                request, now = self._request, self._now
                self._now = False
            retry = self._attend(request, now)
            with self._condition:
                self.work = Work()
                self._condition.notify_all()
                self._condition.wait_for(partial(self._wanted, request), retry)

    def _wanted(self, seen: int) -> bool:
        return self._request != seen or self._catch_up or self._stopping

    def _attend(self, request: int, now: bool) -> float | None:
        """Brings the wanted model into service; returns when to look again (None: when asked)."""

        def called_off() -> bool:
            return self._request != request or self._stopping

        try:
            if self._serving is None and parse_spec(self.spec).kind == "auto":
                # Answers first: the download of a better model may take minutes.
                self._bring_in(self._prepare(called_off, download=False), now, called_off)
            artifact = self._prepare(called_off)
            if called_off():
                return None
            self._bring_in(artifact, now, called_off)
            self.error = None
            self._fill_gaps(called_off)
            return RETRY_S if self.fallback or self.available else None
        except Stopped:
            return None
        except ImgqError as error:
            if called_off():
                return None
            self.error = error.message
            log.error("the model cannot be used", spec=self.spec, reason=error.message)
        except (
            Exception
        ) as error:  # the room must outlive a defect: answers go on from the old model
            self.error = f"internal error while preparing {self.spec}: {error!r}"
            log.exception("the model room failed")
        return FAILURE_RETRY_S

    def _prepare(self, called_off: Callable[[], bool], *, download: bool = True) -> Artifact:
        spec = self.spec

        def progress(step: Progress) -> None:
            self.work = Work(step.stage, step.detail, step.done, step.total)

        self.work = Work("load", f"preparing {spec}")
        if parse_spec(spec).kind == "auto":
            artifact, self.fallback = resolve_auto(
                self._models_dir, progress=progress, cancelled=called_off, download=download
            )
            return artifact
        self.fallback = None
        return prepare(spec, self._models_dir, progress=progress, cancelled=called_off)

    def _bring_in(self, artifact: Artifact, now: bool, called_off: Callable[[], bool]) -> None:
        serving = self._serving
        self.available = None
        if serving is not None and serving.artifact.id == artifact.id:
            return
        model_id = self._store.model_id(artifact.id, artifact.spec, artifact.dim)
        if serving is not None:
            missing = self._store.missing_count(model_id)
            if missing > AUTO_LIMIT and parse_spec(self.spec).kind == "auto" and not now:
                self.available = (
                    f"{artifact.spec} is ready; `imgqd model auto --now` embeds the"
                    f" {missing:,} pictures anew with it"
                )
                log.info("a better model is ready", model=artifact.id, pictures=missing)
                return
            self._store.drop_models_but([serving.model_id, model_id])
            self._embed(artifact, model_id, missing, called_off)
        incoming = self._open(artifact)
        if called_off():
            incoming.close()
            raise Stopped
        self._swap(incoming)
        if serving is not None:
            self._retire(serving)
        self._store.drop_models_but([incoming.model_id])

    def _retire(self, serving: Serving) -> None:
        """Closes a model that was replaced, after the queries that began with it had their time."""
        with self._condition:
            self._condition.wait_for(lambda: self._stopping, RETIRE_S)
        serving.close(save_index=False)

    def _embed(
        self, artifact: Artifact, model_id: int, missing: int, called_off: Callable[[], bool]
    ) -> None:
        encoder = self._image_encoder(artifact)
        try:
            encoding = self._encoding(artifact, model_id, encoder)
            self._embed_missing(encoding, missing, f"embedding for {artifact.spec}", called_off)
        finally:
            encoder.close()

    def _embed_missing(
        self, encoding: Encoding, missing: int, detail: str, called_off: Callable[[], bool]
    ) -> None:
        def progress(done: int) -> None:
            self.work = Work("embed", detail, done, missing)

        def wait_while_paused() -> None:
            while self._pipeline.paused and not called_off():
                time.sleep(0.5)

        self.work = Work("embed", detail, 0, missing)
        embed_missing(
            self._store,
            self._decoder,
            encoding,
            workers=self._workers,
            stopped=called_off,
            wait_while_paused=wait_while_paused,
            on_progress=progress,
            on_encoded=self._pipeline.on_encoded,
        )

    def _fill_gaps(self, called_off: Callable[[], bool]) -> None:
        with self._condition:
            self._catch_up = False
        serving = self._serving
        if serving is None:
            return
        missing = self._store.missing_count(serving.model_id)
        if missing:
            self._filling = True
            try:
                self._embed_missing(serving.encoding, missing, "embedding", called_off)
                serving.keeper.add_missing()
            finally:
                self._filling = False

    def _image_encoder(self, artifact: Artifact) -> ImageEncoder:
        return ImageEncoder(
            artifact,
            device=self._settings.text("device"),
            threads=self._threads,
            idle_unload_s=self._settings.number("idle_unload_s"),
            batch=self._settings.integer("batch"),
            share=self._share,
        )

    def _encoding(self, artifact: Artifact, model_id: int, encoder: ImageEncoder) -> Encoding:
        batch = self._settings.integer("batch")
        if encoder.device != "cpu":
            batch = max(batch, 256)
        return Encoding(model_id, artifact.preprocess, encoder, batch)

    def _open(self, artifact: Artifact) -> Serving:
        model_id = self._store.model_id(artifact.id, artifact.spec, artifact.dim)
        image = self._image_encoder(artifact)
        return Serving(
            artifact=artifact,
            model_id=model_id,
            text=TextEncoder(artifact, gone=cancelled),
            image=image,
            keeper=IndexKeeper(
                self._store,
                self._index_dir,
                model_name=artifact.id,
                model_id=model_id,
                dim=artifact.dim,
                kind=self._settings.text("index"),
                threads=self._threads,
            ),
            encoding=self._encoding(artifact, model_id, image),
        )

    def _swap(self, serving: Serving) -> None:
        self._store.set_meta("serving_artifact", serving.artifact.path)
        self._store.set_meta("serving_model", serving.artifact.id)
        with self._store.write() as connection:
            self._store.bump(connection)
        with self._condition:
            self._serving = serving
            self._condition.notify_all()
        self._pipeline.set_encoding(serving.encoding)
        self._on_swap(serving)
        log.info("a model is in service", model=serving.artifact.id)
