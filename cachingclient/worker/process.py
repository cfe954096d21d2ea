"""The state of a worker process: the background writer, records on their way to the client, and typical run times."""

from __future__ import annotations

import asyncio
import functools
import getpass
import multiprocessing
import os
import pickle
import platform
import socket
import threading
import uuid
import weakref
from collections.abc import Mapping
from typing import Any

from dask.sizeof import sizeof
from distributed import Worker, WorkerPlugin, get_worker

from cachingclient import config
from cachingclient.forks.children import free_in_children, is_forked, reset_in_children
from cachingclient.hashing.inputs.remembered import save_memory
from cachingclient.plan.record import StepRecord
from cachingclient.plan.sums import SUMS, sums_of
from cachingclient.storage.files import access_log as uses
from cachingclient.worker.allowance import Allowance
from cachingclient.worker.memories import Memories
from cachingclient.worker.quiet_losses import log_losses_quietly
from cachingclient.worker.recent_results import recent_results
from cachingclient.worker.tracebacks import leave_out_own_frames
from cachingclient.worker.writer import Job, Writer

SEND_EVERY = 0.25
"""Seconds for which records are collected before they are sent together."""
QUEUE_PART, RECENT_PART = 4, 8
"""What waits to be written takes no more than this part of a worker's memory, and what is remembered no more than that:
dask pauses a worker that is nearly full, and its nanny ends it."""


class ProcessState:
    """The state of one worker process.

    Attributes
    ----------
    name
        Tells processes apart: several workers may share one.
    writer
        Files results in the background.
    not_worth
        For each step's name and number of inputs, how many runs in a row were not worth keeping.
    typical
        For each step's name, the seconds that it last took.
    near
        The URL of the store near this process's site, or None.
    useless
        The URLs of near stores that can't be opened.
    memories
        What it remembers of files from one step to the next.
    sent
        For each run, how many records are on their way to the client or there.
    accounts
        For each client, store and budget what was spent on keeping.
    collects
        Whether records wait here until they are taken: in a process that has no dask worker to send them.
    """

    def __init__(self) -> None:
        self.name = uuid.uuid4().hex
        self.writer = Writer(config.write_queue())
        self.not_worth: dict[tuple[str, int], int] = {}
        self.typical: dict[str, float] = {}
        self.near: str | None = None
        self.useless: set[str] = set()
        self.memories = Memories()
        self.sent: dict[str, int] = {}
        self.accounts: dict[tuple[str, str, float | None], Allowance] = {}
        self.collects = False
        self._records: dict[str, list[StepRecord]] = {}
        self._by_client: dict[str, Worker] = {}
        self._attended: weakref.WeakSet[Worker] = weakref.WeakSet()
        self._lock = free_in_children(threading.Lock())
        self._sending = free_in_children(threading.Lock())
        self._timer: threading.Timer | None = None
        self._worker: Worker | None = None
        reset_in_children(self.start_anew)

    def start_anew(self) -> None:
        """Leave to the parent of this forked child what is its own: records, and the worker that sends them."""
        self.name = uuid.uuid4().hex
        self._records = {}
        self._by_client = {}
        self._timer = self._worker = None
        self.collects = False
        self.sent.clear()

    @property
    def may_end_at_once(self) -> bool:
        """Whether this is a process of a pool, or another child of a program's own: many end without a word."""
        return self._worker is None and (is_forked() or multiprocessing.parent_process() is not None)

    @property
    def gets_copies(self) -> bool:
        """Whether what comes with a task is a copy of its own: the client's objects are in another process."""
        return self._worker is not None and not self._worker.address.startswith("inproc://")

    def account(self, run: str, url: str, part: float | None) -> Allowance:
        """Return the account of the client of a run, for a store."""
        whose = run.partition("/")[0], url, part
        found = self.accounts.get(whose)
        return found if found is not None else self.accounts.setdefault(whose, Allowance(part))

    def keep(self, job: Job) -> None:
        """Have an entry written: in the background, where the process lives on."""
        self.attach()
        if self.may_end_at_once:
            self.writer.write(job)
        else:
            self.writer.submit(job)

    def record(self, run: str, key: Any, name: str, action: Any, seconds: float, nbytes: int, **more: Any) -> None:
        """Record what was done for one step, to be sent to the client soon."""
        self.tell({run: [StepRecord(key, name, action, seconds, nbytes, **more)]})

    def tell(self, records: Mapping[str, list[StepRecord]]) -> None:
        """Take records by run, to be sent to the client soon."""
        self.attach(*records)
        if self._worker is None and not self.collects:
            return  # a step called in plain Python: there is no client to tell
        self.deliver(records)

    def deliver(self, records: Mapping[str, list[StepRecord]]) -> None:
        """Take records by run, made in this process or in one without a dask worker, to be sent to the client."""
        with self._lock:
            for run, made in records.items():
                self._records.setdefault(run, []).extend(made)
            # The client must hear of it before any step that takes the result is done.
            at_once = any(record.sound is False for made in records.values() for record in made)
            if self._timer is None and not self.collects:
                self._timer = threading.Timer(SEND_EVERY, self.send)
                self._timer.daemon = True
                self._timer.start()
        if at_once and not self.collects:
            self.send()

    def take(self, client: str = "") -> dict[str, list[StepRecord]]:
        """Return the records that were not sent yet, and forget them: the caller delivers them.

        Parameters
        ----------
        client
            Whose records are meant: several clients may have their steps run in this process. Empty for all.
        """
        with self._lock:
            taken = [run for run in self._records if not client or client_of(run) == client]
            records = {run: self._records.pop(run) for run in taken}
            if not self._records:
                self._timer = None
        return records

    def send(self) -> None:
        """Send the records to the client, through the scheduler."""
        with self._sending:  # whoever returns from here has sent what was there, and not left it to another thread
            taken = self.take()
            for run, records in taken.items():
                worker = self._by_client.get(client_of(run), self._worker)
                if worker is None or worker.status.name in ("closed", "failed"):
                    continue  # the connection to the client is gone
                self.sent[run] = self.sent.get(run, 0) + len(records)
                worker.log_event(topic_of(run), pickle.dumps((run, records)))
            self.sum_up(taken)

    def sum_up(self, records: Mapping[str, list[StepRecord]]) -> None:
        """Tell the schedulers' dashboards what was done for steps."""
        by_worker: dict[Worker | None, list[StepRecord]] = {}
        for run, made in records.items():
            by_worker.setdefault(self._by_client.get(client_of(run), self._worker), []).extend(made)
        for worker, made in by_worker.items():
            if worker is not None and worker.status.name not in ("closed", "failed"):
                worker.log_event(SUMS, sums_of(made))

    def attach(self, *runs: str) -> None:
        """Find the dask worker that this thread runs a task for, and have it flush before it closes.

        Parameters
        ----------
        *runs
            The runs that the thread has records of. Of several clusters in one process each has its own workers, and
            only one of the run's own reaches its client.
        """
        if self._is_known(self._worker) and all(self._is_known(self._by_client.get(client_of(run))) for run in runs):
            return
        try:
            worker = get_worker()
        except ValueError:
            return
        if worker.monitor.proc.pid == os.getpid():  # the worker of a forked child's parent does not run in the child
            self._by_client = {client: each for client, each in self._by_client.items() if self._is_known(each)}
            self._by_client |= {client_of(run): worker for run in runs}
            if not self._is_known(self._worker):
                self._worker = worker
            self._attend(worker)

    def _is_known(self, worker: Worker | None) -> bool:
        return worker is not None and worker.status.name == "running"

    def stand_for(self, worker: Worker) -> None:
        """Send the records of this process through a worker."""
        self._worker = worker
        self._attend(worker)

    def _attend(self, worker: Worker) -> None:
        """Have a worker flush before it closes."""
        if worker not in self._attended:
            self._attended.add(worker)
            self._leave_room(worker.memory_manager.memory_limit)
            worker.loop.add_callback(worker.plugin_add, FlushAtTheEnd(), "cachingclient")

    def _leave_room(self, memory: int | None) -> None:
        """Hold less than the settings say where a worker's memory is small."""
        if memory:
            self.writer.most_pending_bytes = min(config.write_queue(), memory // QUEUE_PART)
            recent_results().most_bytes = min(config.recent_results(), memory // RECENT_PART)


class FlushAtTheEnd(WorkerPlugin):
    """Flushes the writer when a worker closes in good order."""

    name = "cachingclient"

    async def teardown(self, worker: Worker) -> None:
        """Write the waiting entries and the access log, and send the records."""
        # Not on a thread of the default pool: at the interpreter's exit it takes no more work.
        flush_here()
        uses.write_all()
        save_memory()
        process().send()


@functools.cache
def process() -> ProcessState:
    """Return the state of this process."""
    leave_out_own_frames()
    log_losses_quietly()
    return ProcessState()


def flush_here() -> None:
    """Write the waiting entries of this process, and what it found out about files."""
    process().writer.flush()
    save_memory()


async def flush_worker(client: str, runs: list[str]) -> tuple[dict[str, list[StepRecord]], str, dict[str, int]]:
    """Write the waiting entries of this worker, and return its records for a client; run on each worker.

    Returns
    -------
    records
        The records that were not sent.
    name
        The name of the process.
    sent
        For each of the runs the number of records that the process sent before.
    """
    await asyncio.to_thread(flush_here)
    await asyncio.to_thread(save_memory)
    records = process().take(client)
    process().sum_up(records)
    return records, process().name, {run: process().sent.get(run, 0) for run in runs}


def topic_of(run: str) -> str:
    """Return the topic that the records of a run go to: its client's."""
    return f"cachingclient-{client_of(run)}"


def client_of(run: str) -> str:
    """Return the name of the client that sent a run.

    Examples
    --------
    >>> client_of("Client-1f/3")
    'Client-1f'
    """
    return run.partition("/")[0]


def size_of(value: Any) -> int:
    """Return the size of a value in bytes, estimated.

    Examples
    --------
    >>> import numpy as np
    >>> size_of(np.zeros(1000)) >= 8000
    True
    """
    try:
        # dask knows nothing of some arrays, awkward's among them, which know it themselves.
        return max(int(sizeof(value)), int(getattr(value, "nbytes", 0)))
    except Exception:
        return 0


@functools.cache
def versions() -> dict[str, str]:
    """Return user, host and Python version, for people who look at an entry later."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError, ImportError):
        user = "unknown"
    return {"user": user, "host": socket.gethostname(), "python": platform.python_version()}
