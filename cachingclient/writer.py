"""The background writer: results are filed behind the computation, by one thread a process."""

from __future__ import annotations

import atexit
import multiprocessing.util
import threading
import warnings
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from cachingclient.notes import CacheWarning
from cachingclient.storage import Entry, Store


@dataclass(frozen=True, slots=True)
class Job:
    """An entry to write, and whom to tell: ``done(kept, note)`` with why it was not kept."""

    store: Store
    entry: Entry
    overwrite: bool
    done: Callable[[bool, str], None]


class Writer:
    """Writes entries one after another on a thread of its own.

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
        self._thread: threading.Thread | None = None
        self._stores: set[Store] = set()
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
                self._start()
                self._changed.notify_all()
        if not room:
            write(job)

    def flush(self, timeout: float | None = None) -> bool:
        """Wait until all that was submitted is written; False if that took longer than the time given."""
        with self._changed:
            written = self._changed.wait_for(lambda: not self._jobs and not self._running, timeout)
            stores, self._stores = self._stores, set()
        for store in stores:
            try:
                store.flush()
            except Exception as error:
                warnings.warn(f"{store.url} could not take all that is to be kept: {error}", CacheWarning, stacklevel=2)
        return written

    def _start(self) -> None:
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._work, name="cachingclient-writer", daemon=True)
            self._thread.start()

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: bool(self._jobs))
                job = self._jobs.popleft()
                self._running += 1
            try:
                write(job)
            finally:
                with self._changed:
                    self._running -= 1
                    self._pending_bytes -= job.entry.encoded.nbytes
                    del job
                    self._changed.notify_all()


def write(job: Job) -> None:
    """Write one entry and tell how it went; a store that fails costs the entry and nothing else."""
    try:
        job.store.write(job.entry, overwrite=job.overwrite)
    except Exception as error:
        job.done(False, f"not kept: {error}")
    else:
        job.done(True, "")
