"""What a worker process holds for all its steps: the background writer, and the records on their way to the client."""

from __future__ import annotations

import asyncio
import functools
import getpass
import pickle
import platform
import socket
import threading
import uuid
from collections.abc import Mapping
from typing import Any

from dask.sizeof import sizeof
from distributed import Worker, WorkerPlugin, get_worker

from cachingclient import config
from cachingclient.report import StepRecord
from cachingclient.storage import uses
from cachingclient.writer import Writer

SEND_EVERY = 0.25
"""Seconds that records are collected before they are sent."""


class Process:
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
    useless
        The URLs of near stores that can't be opened.
    sent
        For each run, how many records are on their way to the client or there.
    collects
        Whether records wait here until they are taken: in a process that has no dask worker to send them.
    """

    def __init__(self) -> None:
        self.name = uuid.uuid4().hex
        self.writer = Writer(config.write_queue())
        self.not_worth: dict[tuple[str, int], int] = {}
        self.typical: dict[str, float] = {}
        self.useless: set[str] = set()
        self.sent: dict[str, int] = {}
        self.collects = False
        self._records: dict[str, list[StepRecord]] = {}
        self._lock = threading.Lock()
        self._timer: threading.Timer | None = None
        self._worker: Worker | None = None

    def record(self, run: str, key: Any, name: str, action: Any, seconds: float, nbytes: int, **more: Any) -> None:
        """Note what was done for one step; the client hears of it soon."""
        self.tell({run: [StepRecord(key, name, action, seconds, nbytes, **more)]})

    def tell(self, records: Mapping[str, list[StepRecord]]) -> None:
        """Note what was done, by run; the client hears of it soon."""
        self.attach()
        if self._worker is None and not self.collects:
            return  # a step called in plain Python: there is no client to tell
        self.deliver(records)

    def deliver(self, records: Mapping[str, list[StepRecord]]) -> None:
        """Take records by run, made here or where there is no dask worker, on their way to the client."""
        with self._lock:
            for run, made in records.items():
                self._records.setdefault(run, []).extend(made)
            if self._timer is None and not self.collects:
                self._timer = threading.Timer(SEND_EVERY, self.send)
                self._timer.daemon = True
                self._timer.start()

    def take(self) -> dict[str, list[StepRecord]]:
        """Return the records that were not sent yet; they are the caller's to deliver."""
        with self._lock:
            records, self._records = self._records, {}
            self._timer = None
        return records

    def send(self) -> None:
        """Send what was recorded, through the scheduler."""
        worker = self._worker
        if worker is None or worker.status.name in ("closed", "failed"):
            self.take()  # there is nobody to send them to
            return
        for run, records in self.take().items():
            self.sent[run] = self.sent.get(run, 0) + len(records)
            worker.log_event(topic_of(run), pickle.dumps((run, records)))

    def attach(self) -> None:
        """Remember the worker that this thread runs a task for, and have it flush before it leaves."""
        if self._worker is not None and self._worker.status.name == "running":
            return
        try:
            self.stand_for(get_worker())
        except ValueError:
            return

    def stand_for(self, worker: Worker) -> None:
        """Send what is recorded here by a worker."""
        self._worker = worker
        self._worker.loop.add_callback(self._worker.plugin_add, FlushAtTheEnd(), "cachingclient")


class FlushAtTheEnd(WorkerPlugin):
    """Flushes the writer when a worker closes in good order."""

    name = "cachingclient"

    async def teardown(self, worker: Worker) -> None:
        """Write what waits and what was used, and send what was recorded."""
        # Not on a thread of the default pool: at the interpreter's exit it takes no more work.
        process().writer.flush()
        uses.write_all()
        process().send()


@functools.cache
def process() -> Process:
    """Return the state of this process."""
    return Process()


async def flush_worker(runs: list[str]) -> tuple[dict[str, list[StepRecord]], str, dict[str, int]]:
    """Write what waits on this worker; run on each worker.

    Returns
    -------
    records
        Those that were not sent.
    name
        The process's.
    sent
        How many it sent before, for each of the runs.
    """
    await asyncio.to_thread(process().writer.flush)
    return process().take(), process().name, {run: process().sent.get(run, 0) for run in runs}


def topic_of(run: str) -> str:
    """Return the topic that the records of a run go to: its client's."""
    return f"cachingclient-{run.partition('/')[0]}"


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
    """Return who keeps, and with what: for people who look at an entry later."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError, ImportError):
        user = "unknown"
    return {"user": user, "host": socket.gethostname(), "python": platform.python_version()}
