"""The background writer: results are written to the store while the computation goes on.

One thread a process keeps up with a disk. Each write to a remote store waits for answers, so several threads write at
once. Some stores gather entries and send them together; such an entry counts as kept once it is sent, not before. Where
a store writes small entries together for less than each costs alone, those of quick steps wait a moment for others.
"""

from __future__ import annotations

import atexit
import functools
import multiprocessing.util
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from cachingclient.forks.children import free_in_children, reset_in_children
from cachingclient.hashing.inputs.trace import Trace
from cachingclient.plan.record import NOTHING
from cachingclient.storage import Entry, Store, StoreError
from cachingclient.storage.packs import LARGEST, MOST_MEMBERS
from cachingclient.warn_once import CacheWarning, warn_user
from cachingclient.worker.allowance import processor_seconds
from cachingclient.worker.filing import file_result

MOST_THREADS = 8
LINGER = 0.2
"""Seconds that the small result of a quick step waits for others; so much more is lost with a killed process."""
QUICK = 0.02
"""Seconds that a quick step takes at most. Beside a longer one, writing its result at once is little, and others may be
about to look for it."""
SLOW = 0.005
"""Stores that take longer than this to answer, in seconds, are written to by several threads."""


def _nobody(seconds: float) -> None:
    """Where nobody is charged."""


@dataclass(frozen=True, slots=True)
class Job:
    """A result to write, and what to call afterwards.

    Attributes
    ----------
    store, entry, overwrite, trace
        As `file_result` takes them.
    done
        ``done(fact, note)``, with the key that it is filed under, or with an empty key and the reason why it is not.
    charge
        Takes the seconds of processor time that writing took, before ``done`` is called.
    """

    store: Store
    entry: Entry
    overwrite: bool
    done: Callable[[str, str], None]
    trace: Trace = NOTHING
    charge: Callable[[float], None] = _nobody


class Writer:
    """Writes entries on threads of its own, one of them unless a store is slow to answer.

    Parameters
    ----------
    most_pending_bytes
        The bytes that may wait. Beyond them a result is written by the thread that computed it, which slows the
        computation down instead of filling the memory.

    Notes
    -----
    Entries that wait are lost when the process is killed: their results were never reported as kept.
    """

    def __init__(self, most_pending_bytes: int) -> None:
        self.most_pending_bytes = most_pending_bytes
        self._jobs: deque[Job] = deque()
        self._pending_bytes = 0
        self._running = self._flushing = 0
        self._changed = free_in_children(threading.Condition())
        self._hurry = threading.Event()
        self._threads: list[threading.Thread] = []
        self._stores: set[Store] = set()
        self._waiting: set[str] = set()  # keys of entries
        self._gathered: dict[Store, list[Callable[[str], None]]] = {}
        reset_in_children(self.forget)
        atexit.register(self.flush)
        # A process of a pool leaves without running what atexit knows.
        multiprocessing.util.Finalize(None, self.flush, exitpriority=10)

    def forget(self) -> None:
        """Leave what waits to the parent of this forked child, which has the threads that write it."""
        self._jobs.clear()
        self._gathered.clear()
        self._stores.clear()
        self._waiting.clear()
        self._threads.clear()
        self._hurry = threading.Event()
        self._pending_bytes = self._running = self._flushing = 0

    def write(self, job: Job) -> None:
        """Write an entry now, with all that its store gathers: for a process that may end at any moment."""
        self._write(job)
        if job.store.gathers:
            self.flush()

    def submit(self, job: Job) -> None:
        """Have an entry written soon."""
        with self._changed:
            self._stores.add(job.store)
            room = self._pending_bytes + job.entry.encoded.nbytes <= self.most_pending_bytes
            if room:
                self._jobs.append(job)
                self._pending_bytes += job.entry.encoded.nbytes
                self._waiting.add(job.entry.keys[0])
                self._see_to_threads(job.store)
                self._changed.notify_all()
                if len(self._jobs) >= MOST_MEMBERS or not _may_wait(job):
                    self._hurry.set()
        if not room:
            self._write(job)

    def wait_for(self, key: str) -> None:
        """Have an entry written that waits for others: who looks for it in its store finds it then."""
        with self._changed:
            if key in self._waiting:
                self._hurry.set()
                self._changed.wait_for(lambda: key not in self._waiting, LINGER)

    def flush(self, timeout: float | None = None) -> bool:
        """Wait until all that was submitted is written; False if that took longer than the time given."""
        with self._changed:
            self._flushing += 1
            self._hurry.set()
            written = self._changed.wait_for(lambda: not self._jobs and not self._running, timeout)
            stores, self._stores = self._stores, set()
            gathered, self._gathered = self._gathered, {}
            self._flushing -= 1
        for store in stores | gathered.keys():
            note = _flushed(store)
            for done in gathered.get(store, ()):
                done(note)
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
                jobs = [self._jobs.popleft()]
                self._running += 1
            try:
                jobs += self._beside(jobs[0])
                self._write_together(jobs)
            finally:
                with self._changed:
                    self._running -= len(jobs)
                    self._pending_bytes -= sum(job.entry.encoded.nbytes for job in jobs)
                    self._waiting.difference_update(job.entry.keys[0] for job in jobs)
                    del jobs
                    self._changed.notify_all()

    def _beside(self, first: Job) -> list[Job]:
        """Take the small entries that wait for the same store, where it writes them together."""
        if not _is_small(first) or not _packs(first.store):
            return []
        if _may_wait(first):
            self._hurry.wait(LINGER)
        with self._changed:
            beside = [job for job in self._jobs if job.store is first.store and _is_small(job)][: MOST_MEMBERS - 1]
            taken = set(map(id, beside))
            self._jobs = deque(job for job in self._jobs if id(job) not in taken)
            self._running += len(beside)
            if not self._flushing and len(self._jobs) < MOST_MEMBERS:
                self._hurry.clear()
        return beside

    def _write_together(self, jobs: list[Job]) -> None:
        """Write small entries at once, and one by one those that can't be, as where somebody else was first."""
        before = processor_seconds()
        kept = [False] * len(jobs)
        if len(jobs) > 1:
            with suppress(Exception):  # of the store: each is tried by itself, and tells what it was
                kept = jobs[0].store.write_together([job.entry for job in jobs])
        each = (processor_seconds() - before) / len(jobs)
        for job, is_kept in zip(jobs, kept, strict=True):
            try:
                if not is_kept:
                    self._write(job)
                    continue
                job.charge(each)
                job.done(job.entry.keys[0], "")
            except Exception as error:  # of what is called afterwards: the others are written and told of all the same
                name = job.entry.name
                warn_user(f"step {name}: nobody could be told that it was kept: {error}", CacheWarning)

    def _write(self, job: Job) -> None:
        """Write one entry and call its `done`; if the store fails, the entry is not kept and nothing else happens."""
        before = processor_seconds()
        try:
            fact = file_result(job.store, job.entry, job.trace, overwrite=job.overwrite)
            if job.store.read_only:  # as some stores only turn out to be by writing to them
                raise StoreError(f"{job.store.url} can't be written from here")
            gathers = job.store.gathers
        except Exception as error:
            job.done("", f"not kept: {error}")
            return
        job.charge(processor_seconds() - before)
        done = functools.partial(_tell, job.done, fact)  # the entry itself is not held until it is sent
        if gathers:
            with self._changed:
                self._gathered.setdefault(job.store, []).append(done)
        else:
            done("")


def _tell(done: Callable[[str, str], None], fact: str, note: str) -> None:
    """Tell that a result is kept, unless its store could not be flushed."""
    done("" if note else fact, note and f"not kept: {note}")


def _flushed(store: Store) -> str:
    """Have a store send the entries that it gathered; return why it could not, or an empty text."""
    try:
        store.flush()
    except Exception as error:
        warn_user(f"{store.url} could not take all that is to be kept: {error}", CacheWarning)
        return str(error) or type(error).__name__
    return ""


def _is_small(job: Job) -> bool:
    return not job.overwrite and job.entry.encoded.nbytes <= LARGEST


def _may_wait(job: Job) -> bool:
    # Without a note on its code nobody looks for a result by its content.
    return _is_small(job) and job.entry.kind == "result" and job.entry.seconds < QUICK


def _packs(store: Store) -> bool:
    try:
        return store.packs
    except Exception:  # as of a store that can't be opened: writing tells
        return False


def _is_slow(store: Store) -> bool:
    try:
        return store.latency >= SLOW
    except StoreError:
        return False  # a store that can't be opened fails at once
