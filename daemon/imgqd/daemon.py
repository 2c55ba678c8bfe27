"""The daemon: what is started in which order, and stopped in the reverse of it. Nothing else.

Lock, database, decoders, pipeline, models and index, socket, ready; then the folders are walked in
the background. What can be asked of it is in operations.py, how it is asked in api/.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Sequence

import apsw
import structlog

from imgq.locations import Locations, make_private
from imgqd.api.events import EventHub
from imgqd.api.server import ApiServer
from imgqd.errors import ImgqError
from imgqd.indexing.decode import DecoderPool
from imgqd.indexing.look import Looker
from imgqd.indexing.pipeline import Pipeline
from imgqd.library.commit import Changes
from imgqd.library.database import CHECK_AT_START, DamagedError
from imgqd.library.reconcile import Reconciler
from imgqd.library.recovery import RollingBackup, mark_suspect, open_library
from imgqd.library.usage import Usage
from imgqd.metrics import Metrics
from imgqd.notify import Notifier
from imgqd.operations import Operations
from imgqd.pausing import Pausing
from imgqd.priority import ALL, Share, cores
from imgqd.records import Vectors
from imgqd.search.categories import Categories
from imgqd.serving import ModelRoom, Serving
from imgqd.settings import Settings

log = structlog.get_logger("daemon")

HOUSEKEEPING_S = 600.0
SWITCH_S = 0.0001
# Not 0: a service manager starts the daemon again, which moves the damaged library aside.
DAMAGED_EXIT = 4


class Daemon:
    """One running daemon. `run` blocks until it is stopped; the caller holds the instance lock."""

    def __init__(
        self,
        settings: Settings,
        locations: Locations,
        *,
        notifier: Notifier | None = None,
        inherited: Sequence[socket.socket] = (),
    ) -> None:
        """`notifier` and `inherited` (listening sockets) lead to the service manager, if any."""
        self.settings = settings
        self.locations = locations
        self._notifier = notifier or Notifier()
        self._inherited = inherited
        self.started = time.monotonic()
        self.stopping = threading.Event()
        self.damaged: BaseException | None = None
        for folder in (locations.data, locations.index, locations.thumbs):
            make_private(folder)
        share = Share(settings.integer("nice"), settings.integer("cores"))
        most = min(cores(), share.cores or cores())
        workers = settings.integer("workers") or min(16, most)
        threads = settings.integer("threads") or most
        self.store, self.notice = open_library(locations.database)
        self.backup = RollingBackup(self.store)
        self.decoder = DecoderPool(
            workers=workers,
            timeout_s=settings.number("decode_timeout_s"),
            max_pixels=settings.integer("max_pixels"),
            memory_mb=settings.integer("decode_memory_mb"),
            min_side=settings.integer("min_side"),
            share=share,
        )
        # Questions and thumbnails do not wait behind the indexing of a thousand photos, nor all of
        # them behind one file that takes long.
        self.query_decoder = DecoderPool(
            workers=2,
            timeout_s=settings.number("decode_timeout_s"),
            max_pixels=settings.integer("max_pixels"),
            memory_mb=settings.integer("decode_memory_mb"),
            share=ALL,
        )
        self.events = EventHub()
        self.metrics = Metrics()
        self.usage = Usage(self.store, words=settings.flag("count_words"))
        self.reconciler = Reconciler(
            self.store,
            settings,
            own_folders=[
                os.fsencode(folder)
                for folder in (locations.data, locations.models, locations.thumbs, self.models_dir)
            ],
        )
        looker = Looker(
            self.store,
            self.reconciler,
            self.decoder,
            settle_s=settings.integer("settle_ms") / 1000,
            max_bytes=settings.integer("max_file_mb") << 20,
            follow_links=settings.flag("follow_links"),
            on_directory=self.reconciler.hint_directory,
        )
        self.pipeline = Pipeline(
            self.store,
            looker,
            workers=workers,
            share=share,
            on_changes=self._on_changes,
            on_damage=self._on_damage,
            on_encoded=self.metrics.encoded,
        )
        self.pausing = Pausing(
            self.store,
            self.pipeline,
            heed_battery=settings.text("on_battery") == "pause",
        )
        self.models = ModelRoom(
            self.store,
            settings,
            models_dir=self.models_dir,
            index_dir=locations.index,
            threads=threads,
            share=share,
            pipeline=self.pipeline,
            decoder=self.decoder,
            workers=workers,
            on_swap=self._on_swap,
        )
        self.categories = Categories(self.store, settings.texts("categories"))
        self.operations = Operations(self)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop_asked: asyncio.Event | None = None

    @property
    def models_dir(self) -> str:
        """Where model artifacts are: the setting, else the platform's folder."""
        return self.settings.text("models_dir") or self.locations.models

    # -- life

    def run(
        self, folders: Sequence[bytes] = (), *, on_ready: Callable[[], None] = lambda: None
    ) -> int:
        """Serves until SIGTERM, SIGINT or a stop request; returns the exit code."""
        # A search changes threads a dozen times; each time it may wait this long for the lock of the
        # interpreter while a large body is read (measured by benchmarks/attack.py).
        sys.setswitchinterval(SWITCH_S)
        return asyncio.run(self._run(folders, on_ready))

    async def _run(self, folders: Sequence[bytes], on_ready: Callable[[], None]) -> int:
        self._loop = asyncio.get_running_loop()
        self._stop_asked = asyncio.Event()
        if sys.platform != "win32":
            for number in (signal.SIGTERM, signal.SIGINT):
                self._loop.add_signal_handler(number, self._stop_asked.set)
        server = ApiServer(
            self.operations,
            self.locations,
            http_port=self.settings.integer("http_port"),
            http_host=self.settings.text("http_host"),
            allow_lan=self.settings.flag("http_allow_lan"),
            fetch_urls=self.settings.flag("http_fetch_urls"),
            web_page=self.settings.flag("web"),
            web_port=self.settings.integer("web_port"),
            metrics=self.metrics,
            # Copies: the originals serve the next daemon where this one has to start anew.
            inherited=[listener.dup() for listener in self._inherited],
        )
        try:
            await asyncio.to_thread(self._start, folders)
            await server.start()
            await asyncio.to_thread(self.reconciler.start)
            on_ready()
            self._notifier.ready()
            log.info("ready", home=self.locations.data, pid=os.getpid())
            housekeeping = self._loop.create_task(self._housekeeping())
            pausing = self._loop.create_task(self._heed_battery())
            telling = self._loop.create_task(
                self._notifier.run(self._pulse, self.operations.status)
            )
            await self._stop_asked.wait()
            housekeeping.cancel()
            telling.cancel()
            pausing.cancel()
        except (apsw.CorruptError, apsw.NotADBError) as error:
            self._on_damage(error)
        finally:
            log.info("stopping")
            if self.damaged is None:
                self._notifier.stopping()
            self.stopping.set()
            self.events.close()
            await server.stop()
            await asyncio.to_thread(self._stop)
        return 0 if self.damaged is None else DAMAGED_EXIT

    def _start(self, folders: Sequence[bytes]) -> None:
        self.backup.start()
        if folders:
            self.operations.add_folders(folders, ())
        self.models.start()
        self.pausing.check()
        self.pipeline.start()

    def _stop(self) -> None:
        self.reconciler.stop()
        self.pipeline.stop()
        self.operations.close()
        self.models.stop()
        self.decoder.close()
        self.query_decoder.close()
        self.backup.stop()
        if self.damaged is None:
            self.usage.flush()
            self.backup.write()
        self.store.close()
        if self.damaged is not None:
            mark_suspect(self.locations.database)

    def ask_to_stop(self) -> None:
        """Stops soon; from any thread."""
        loop, asked = self._loop, self._stop_asked
        if loop is not None and asked is not None:
            loop.call_soon_threadsafe(asked.set)

    # -- what happens meanwhile

    def _on_swap(self, serving: Serving) -> None:
        self.events.publish(
            "model",
            {"spec": serving.artifact.spec, "id": serving.artifact.id, "state": "in service"},
        )
        threading.Thread(
            target=self._categorise, args=(serving,), name="categories", daemon=True
        ).start()

    def _categorise(self, serving: Serving, vectors: dict[int, Vectors] | None = None) -> None:
        """For pictures whose vectors have just come, or for all that have no category."""
        try:
            if vectors is None:
                self.categories.fill(serving, self.stopping.is_set)
            else:
                self.categories.add(serving, vectors)
        except (apsw.Error, ImgqError) as error:
            if not self.stopping.is_set():
                # The next housekeeping tries again.
                log.warning("categories could not be computed", error=str(error))

    def _on_changes(self, changes: Changes) -> None:
        serving = self.models.current
        if serving is not None:
            serving.keeper.apply(changes)
            self._categorise(serving, changes.vectors)
        self.operations.announce(changes)

    def _on_damage(self, error: BaseException) -> None:
        """SQLite found the database damaged while running: stop, move it aside, start again."""
        if self.damaged is None:
            self.damaged = error
            log.error("the library database failed", error=str(error))
            self.ask_to_stop()

    def _pulse(self) -> object:
        """None while there is work, else what changes with everything that status tells of."""
        models = self.models
        if models.current is None or models.work.stage or self.reconciler.progress().scanning:
            return None
        return None if self.store.pending() else self.store.generation

    async def _heed_battery(self) -> None:
        while True:
            await asyncio.sleep(await asyncio.to_thread(self.pausing.check))

    async def _housekeeping(self) -> None:
        await asyncio.to_thread(self._check_large)
        while True:
            await asyncio.sleep(HOUSEKEEPING_S)
            try:
                await asyncio.to_thread(self._keep_house)
            except ImgqError as error:
                log.warning("housekeeping", error=error.message)

    def _check_large(self) -> None:
        """A database too large to be checked before the first answer is checked after it."""
        try:
            if os.path.getsize(self.locations.database) > CHECK_AT_START:
                self.store.check()
        except DamagedError as error:
            self._on_damage(error)

    def _keep_house(self) -> None:
        serving = self.models.current
        if serving is not None and self.store.missing_count(serving.model_id):
            self.models.catch_up()
        if serving is not None:
            self._categorise(serving)
        older = time.time() - self.settings.number("orphan_keep_s")
        while self.store.purge_orphans(older) and not self.stopping.is_set():
            time.sleep(0.05)
        self.usage.flush()
        self.backup.write()
