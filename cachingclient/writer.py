"""The background writer: results are filed behind the computation.

One thread a process keeps up with a disk. A store at the other end of a network makes each write wait for answers,
so several are sent at once. What a store gathers is told of as kept when it has been sent on, not before.
"""

from __future__ import annotations

import atexit
import multiprocessing.util
import threading
import warnings
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from cachingclient.notes import CacheWarning
from cachingclient.storage import Entry, Store, StoreError

MOST_THREADS = 8
SLOW = 0.005
"""Stores that take longer than this to answer, in seconds, are written to by several threads."""


@dataclass(frozen=True, slots=True)
class Job:
    """An entry to write, and whom to tell: ``done(kept, note)`` with why it was not kept."""

    store: Store
    entry: Entry
    overwrite: bool
    done: Callable[[bool, str], None]


class Writer:
    """Writes entries on threads of its own, one of them unless a store is slow to answer.

    Parameters
    ----------
    most_pending_bytes
        How much may wait. Beyond that a result is written by the thread that brings it, which slows the
        computation down instead of filling the memory.

    Notes
    -----
    What waits is lost when the process is killed: those results were never reported as kept.
    """

    def __init__(self, most_pending_bytes: int) -> None:
        self.most_pending_bytes = most_pending_bytes
        self._jobs: deque[Job] = deque()
        self._pending_bytes = 0
        self._running = 0
        self._changed = threading.Condition()
        self._threads: list[threading.Thread] = []
        self._stores: set[Store] = set()
        self._gathered: dict[Store, list[Callable[[bool, str], None]]] = {}
        atexit.register(self.flush)
        # A process of a pool leaves without running what atexit knows.
        multiprocessing.util.Finalize(None, self.flush, exitpriority=10)

    def submit(self, job: Job) -> None:
        """Have an entry written soon."""
        with self._changed:
            self._stores.add(job.store)
            room = self._pending_bytes + job.entry.encoded.nbytes <= self.most_pending_bytes
            if room:
                self._jobs.append(job)
                self._pending_bytes += job.entry.encoded.nbytes
                self._see_to_threads(job.store)
                self._changed.notify_all()
        if not room:
            self._write(job)

    def flush(self, timeout: float | None = None) -> bool:
        """Wait until all that was submitted is written; False if that took longer than the time given."""
        with self._changed:
            written = self._changed.wait_for(lambda: not self._jobs and not self._running, timeout)
            stores, self._stores = self._stores, set()
            gathered, self._gathered = self._gathered, {}
        for store in stores | gathered.keys():
            note = _flushed(store)
            for done in gathered.get(store, ()):
                done(not note, note and f"not kept: {note}")
        return written

    def _see_to_threads(self, store: Store) -> None:
        """Start a thread if there is none, or one more if all are busy and the store is slow."""
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        busy = self._running + len(self._jobs) > len(self._threads)
        if not self._threads or (busy and len(self._threads) < MOST_THREADS and _is_slow(store)):
            thread = threading.Thread(target=self._work, name="cachingclient-writer", daemon=True)
            self._threads.append(thread)
            thread.start()

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: bool(self._jobs))
                job = self._jobs.popleft()
                self._running += 1
            try:
                self._write(job)
            finally:
                with self._changed:
                    self._running -= 1
                    self._pending_bytes -= job.entry.encoded.nbytes
                    del job
                    self._changed.notify_all()

    def _write(self, job: Job) -> None:
        """Write one entry and tell how it went; a store that fails costs the entry and nothing else."""
        try:
            job.store.write(job.entry, overwrite=job.overwrite)
            if job.store.read_only:  # as some stores only turn out to be by writing to them
                raise StoreError(f"{job.store.url} can't be written from here")
            gathers = job.store.gathers
        except Exception as error:
            job.done(False, f"not kept: {error}")
            return
        if gathers:
            with self._changed:
                self._gathered.setdefault(job.store, []).append(job.done)
        else:
            job.done(True, "")


def _flushed(store: Store) -> str:
    """Have a store send on what it gathered; why it could not, or nothing."""
    try:
        store.flush()
    except Exception as error:
        warnings.warn(f"{store.url} could not take all that is to be kept: {error}", CacheWarning, stacklevel=2)
        return str(error) or type(error).__name__
    return ""


def _is_slow(store: Store) -> bool:
    try:
        return store.latency >= SLOW
    except StoreError:
        return False  # one that can't be opened here has nothing to wait for
