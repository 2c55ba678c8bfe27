"""From a job to a searchable picture: threads that look, one that encodes (encoding.py), one that
commits.

The queue is in the database; here is only what is in hand. A job that has to wait (a file that is
still being written, a disk that is full) waits in memory on the monotonic clock, so that a jump of
the wall clock stops nothing. Which paths to look at is decided elsewhere (scan.py, watch.py).
"""

from __future__ import annotations

import heapq
import itertools
import queue
import threading
import time
from collections import deque
from collections.abc import Callable

import apsw
import structlog

from imgqd.errors import UnavailableError
from imgqd.indexing.encoding import EncodeRoom, Encoding, Ready
from imgqd.indexing.look import Later, Looker, Pending
from imgqd.library.commit import Changes, Failed, Outcome, commit
from imgqd.library.store import Store
from imgqd.priority import Share
from imgqd.records import Decoded, Job

log = structlog.get_logger("indexing")

# How many jobs may be in memory at once (waiting ones included), and how many one commit writes.
IN_HAND = 20_000
COMMIT_BATCH = 256
# A disk that is full, or an encoder that fails, is tried again this often.
RETRY_S = 3.0
MOST_ATTEMPTS = 5


class Pipeline:
    """Answers jobs. `on_changes` is called after each commit, on the committing thread, and
    `on_encoded` with the number of pictures and the seconds of each batch. `share` is what reading
    and hashing take of the machine."""

    def __init__(
        self,
        store: Store,
        looker: Looker,
        *,
        workers: int,
        share: Share,
        on_changes: Callable[[Changes], None],
        on_damage: Callable[[BaseException], None],
        on_encoded: Callable[[int, float], None],
    ) -> None:
        self._store = store
        self._looker = looker
        self._share = share
        self.on_encoded = on_encoded
        self._on_changes = on_changes
        self._on_damage = on_damage
        self._condition = threading.Condition()
        self._ready: deque[Job] = deque()
        self._waiting: list[tuple[float, int, Job]] = []
        self._parked: list[Job] = []
        self._order = itertools.count()
        self._in_hand = 0
        self._last_id = 0
        self._more = True
        self._stopping = False
        self._paused = False
        self._encoding: Encoding | None = None
        self._contents: dict[bytes, list[Job]] = {}
        self._outcomes: queue.Queue[tuple[Outcome, bytes | None] | None] = queue.Queue()
        self._decoding = 0
        # Held from the transaction to the end of `on_changes`: what is committed is searchable.
        self._applying = threading.Lock()
        self._failure: str | None = None
        self._encoder = EncodeRoom(
            finish=self._finish,
            on_failure=self._encode_again,
            more_may_come=lambda: self._decoding > 0,
            on_encoded=on_encoded,
        )
        self._lookers = [
            threading.Thread(target=self._look_loop, name=f"look-{n}", daemon=True)
            for n in range(workers + 1)
        ]
        self._commit_thread = threading.Thread(target=self._commit_loop, name="commit", daemon=True)
        store.on_enqueue = self.wake

    # -- control

    def start(self) -> None:
        """Begins with what is left in the queue."""
        self._encoder.start()
        for thread in (*self._lookers, self._commit_thread):
            thread.start()

    def stop(self, timeout: float = 10.0) -> None:
        """Commits what is in hand and ends; jobs not begun stay in the queue."""
        with self._condition:
            self._stopping = True
            self._condition.notify_all()
        if self._commit_thread.ident is None:
            return
        deadline = time.monotonic() + timeout
        for thread in self._lookers:
            thread.join(max(0.1, deadline - time.monotonic()))
        self._encoder.stop(max(0.1, deadline - time.monotonic()))
        self._outcomes.put(None)
        self._commit_thread.join(max(0.1, deadline - time.monotonic()))

    def wake(self) -> None:
        """There are new jobs in the queue."""
        with self._condition:
            self._more = True
            self._condition.notify_all()

    def set_encoding(self, encoding: Encoding | None) -> None:
        """The model that new pictures are encoded with; None while there is none yet."""
        with self._condition:
            self._encoding = encoding
            self._ready.extend(self._parked)
            self._parked.clear()
            self._condition.notify_all()

    def pause(self, paused: bool) -> None:
        """Stops taking jobs in hand, or goes on."""
        with self._condition:
            self._paused = paused
            self._condition.notify_all()

    @property
    def paused(self) -> bool:
        """True while no jobs are taken in hand on request."""
        return self._paused

    @property
    def encoded(self) -> int:
        """How many pictures were encoded since the start."""
        return self._encoder.encoded

    @property
    def failure(self) -> str | None:
        """Why nothing can be encoded or written now; None while all is well."""
        return self._failure or self._encoder.failure

    def wait_for_commit(self, timeout: float) -> None:
        """Returns after the next commit, or after `timeout` seconds."""
        with self._condition:
            self._condition.wait(timeout)

    def settle(self) -> None:
        """Returns when a commit that was under way has reached the index as well."""
        with self._applying:
            pass

    # -- taking jobs in hand

    def _next(self) -> Job | None:
        """The next job; blocks while there is none; None when stopping."""
        with self._condition:
            while not self._stopping:
                now = time.monotonic()
                while self._waiting and self._waiting[0][0] <= now:
                    self._ready.append(heapq.heappop(self._waiting)[2])
                if not self._paused:
                    if self._more and len(self._ready) < 256 and self._in_hand < IN_HAND:
                        self._claim()
                    if self._ready:
                        self._decoding += 1
                        return self._ready.popleft()
                delay = self._waiting[0][0] - now if self._waiting and not self._paused else None
                self._condition.wait(delay)
            return None

    def _claim(self) -> None:
        try:
            jobs = self._store.jobs_after(self._last_id, 512)
        except apsw.Error as error:
            self._database_failed(error)
            self._more = False
            return
        self._more = len(jobs) == 512
        if jobs:
            self._last_id = jobs[-1].id
            self._in_hand += len(jobs)
            self._ready.extend(jobs)

    def _database_failed(self, error: BaseException) -> bool:
        """True when the database is damaged; a full disk or a busy database passes."""
        damaged = isinstance(error, apsw.CorruptError | apsw.NotADBError)
        if damaged:
            self._on_damage(error)
        return damaged

    def _again(self, job: Job, delay_s: float) -> None:
        with self._condition:
            heapq.heappush(self._waiting, (time.monotonic() + delay_s, next(self._order), job))
            self._condition.notify()

    # -- looking and decoding

    def _look_loop(self) -> None:
        self._share.bind_thread()
        while (job := self._next()) is not None:
            try:
                self._look(job)
            except apsw.Error as error:
                self._database_failed(error)
                self._again(job, RETRY_S)
            except (OSError, UnavailableError) as error:
                self._failed_look(job, error)
            except Exception as error:  # a defect of ours must cost one file, not the thread
                log.exception("a look failed", path=job.path)
                self._finish(Failed(job, None, "failed", f"internal error: {error!r}"))
            finally:
                with self._condition:
                    self._decoding -= 1
                    if not self._decoding:
                        self._condition.notify_all()

    def _failed_look(self, job: Job, error: OSError | UnavailableError) -> None:
        """An error that may pass (EIO, a drive that hiccups, no process to be had): a few attempts,
        then a problem."""
        if job.attempts + 1 >= MOST_ATTEMPTS:
            detail = getattr(error, "strerror", None) or str(error)
            self._finish(Failed(job, None, "unreadable", detail))
            return
        again = Job(job.id, job.path, job.attempts + 1, job.token)
        self._again(again, min(60.0, 2.0**job.attempts))

    def _look(self, job: Job) -> None:
        result = self._looker.look(job)
        if isinstance(result, Later):
            self._again(job, result.delay_s)
        elif isinstance(result, Pending):
            self._decode(result)
        else:
            self._finish(result)

    def _decode(self, pending: Pending) -> None:
        with self._condition:
            encoding = self._encoding
            # The same content twice in hand is decoded once; the others find it known later.
            same = self._contents.get(pending.content_hash)
            if encoding is not None and same is None:
                self._contents[pending.content_hash] = []
            elif encoding is None:
                self._parked.append(pending.job)
            elif same is not None:
                same.append(pending.job)
        if encoding is None or same is not None:
            self._looker.abandon(pending)
            return
        try:
            decoded = self._looker.decode(pending, encoding.preprocess)
            if isinstance(decoded, Decoded):
                ready = Ready(
                    pending.job,
                    pending.signature,
                    pending.content_hash,
                    decoded.metadata,
                    decoded.pixels,
                    encoding,
                    decoded.sidecar,
                    decoded.placeholder,
                )
        except BaseException:
            # Whoever waits for this content must not wait for ever.
            self._release(pending.content_hash)
            raise
        if isinstance(decoded, Later):
            self._release(pending.content_hash)
            self._again(pending.job, decoded.delay_s)
        elif isinstance(decoded, Decoded):
            self._encoder.put(ready)
        else:
            self._finish(decoded, pending.content_hash)

    def _release(self, content_hash: bytes | None) -> None:
        """A content is no longer in hand: those that waited for it are looked at again."""
        if content_hash is None:
            return
        with self._condition:
            waited = self._contents.pop(content_hash, [])
            if waited:
                self._ready.extend(waited)
                self._condition.notify_all()

    def _finish(self, outcome: Outcome, content_hash: bytes | None = None) -> None:
        self._outcomes.put((outcome, content_hash))

    def _encode_again(self, batch: list[Ready]) -> None:
        for item in batch:
            self._release(item.content_hash)
            self._again(item.job, RETRY_S)

    # -- committing

    def _commit_loop(self) -> None:
        ended = False
        while not ended:
            first = self._outcomes.get()
            if first is None:
                return
            batch = [first]
            while len(batch) < COMMIT_BATCH:
                try:
                    item = self._outcomes.get_nowait()
                except queue.Empty:
                    break
                if item is None:
                    ended = True
                    break
                batch.append(item)
            with self._applying:
                self._commit(batch)

    def _commit(self, batch: list[tuple[Outcome, bytes | None]]) -> None:
        outcomes = [outcome for outcome, _ in batch]
        while True:
            try:
                changes = commit(self._store, outcomes)
                break
            except (apsw.Error, OSError) as error:
                if self._database_failed(error):
                    return
                if self._failure is None:
                    log.error("the library cannot be written; trying again", error=str(error))
                self._failure = f"the library cannot be written: {error}"
                if self._stopping:
                    return
                time.sleep(RETRY_S)
        if self._failure is not None:
            log.info("the library can be written again")
            self._failure = None
        for failed in changes.new_problems:
            log.warning(
                "a file cannot be indexed",
                path=failed.job.path,
                reason=failed.reason,
                detail=failed.detail,
            )
        self._on_changes(changes)
        again = [job for j in changes.asked_again if (job := self._store.job(j.id)) is not None]
        with self._condition:
            self._in_hand -= len(batch) - len(again)
            self._ready.extend(again)
            for _, content_hash in batch:
                if content_hash is not None:
                    self._ready.extend(self._contents.pop(content_hash, []))
            self._condition.notify_all()
