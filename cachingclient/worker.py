"""What a worker process holds for all its steps: the background writer, and the records on their way to the client."""

from __future__ import annotations

import asyncio
import functools
import getpass
import pickle
import platform
import socket
import threading
from typing import Any

from dask.sizeof import sizeof
from distributed import Worker, WorkerPlugin, get_worker

from cachingclient.hashing.inputs import Inputs
from cachingclient.hashing.merkle import Code
from cachingclient.report import StepRecord
from cachingclient.storage import Store
from cachingclient.writer import Writer

SEND_EVERY = 0.25
"""Seconds that records are collected before they are sent."""


class Process:
    """The state of one worker process.

    Attributes
    ----------
    writer
        Files results in the background.
    not_worth
        For each code, how many runs in a row were not worth keeping.
    """

    def __init__(self) -> None:
        self.writer = Writer()
        self.not_worth: dict[bytes, int] = {}
        self._records: dict[str, list[StepRecord]] = {}
        self._lock = threading.Lock()
        self._timer: threading.Timer | None = None
        self._worker: Worker | None = None

    def inputs(self, mode: str) -> Inputs:
        """Return a fresh look at files: the worker's own, not the client's."""
        return Inputs(mode)  # type: ignore[arg-type]

    def record(self, run: str, key: Any, name: str, action: Any, seconds: float, nbytes: int, **more: Any) -> None:
        """Note what was done for one step; the client hears of it soon."""
        self._attach()
        with self._lock:
            self._records.setdefault(run, []).append(StepRecord(key, name, action, seconds, nbytes, **more))
            if self._timer is None:
                self._timer = threading.Timer(SEND_EVERY, self._send)
                self._timer.daemon = True
                self._timer.start()

    def take(self) -> dict[str, list[StepRecord]]:
        """Return the records that were not sent yet; they are the caller's to deliver."""
        with self._lock:
            records, self._records = self._records, {}
            self._timer = None
        return records

    def _send(self) -> None:
        worker = self._worker
        for run, records in self.take().items():
            if worker is not None and worker.status.name not in ("closed", "failed"):
                worker.log_event(topic_of(run), pickle.dumps((run, records)))

    def _attach(self) -> None:
        """Remember the worker, and have it flush before it leaves."""
        if self._worker is not None and self._worker.status.name == "running":
            return
        try:
            self._worker = get_worker()
        except ValueError:
            return
        self._worker.loop.add_callback(self._worker.plugin_add, FlushAtTheEnd(), "cachingclient")

    def difference(self, here: Code | str, store: Store, function: Any) -> str:
        """Say how the code here differs from the client's."""
        where = f"{getattr(function, '__module__', None)}.{getattr(function, '__qualname__', type(function).__name__)}"
        if isinstance(here, str):
            return f"the code of {where} has no identity on this worker: {here}"
        found = ", ".join(sorted(modules_of(here))) or where
        return (
            f"the worker's code of {where} is not the client's; restart the workers "
            f"if one of these was edited or upgraded since they started: {found}"
        )


class FlushAtTheEnd(WorkerPlugin):
    """Flushes the writer when a worker closes in good order."""

    name = "cachingclient"

    async def teardown(self, worker: Worker) -> None:
        """Write what waits and send what was recorded."""
        await asyncio.to_thread(process().writer.flush)
        process()._send()


@functools.cache
def process() -> Process:
    """Return the state of this process."""
    return Process()


async def flush_worker() -> dict[str, list[StepRecord]]:
    """Write what waits on this worker and return the records that were not sent; run on each worker."""
    await asyncio.to_thread(process().writer.flush)
    return process().take()


def topic_of(run: str) -> str:
    """Return the topic that the records of a run go to: its client's."""
    return f"cachingclient-{run.partition('/')[0]}"


def modules_of(code: Code) -> set[str]:
    """Return the user's modules that some code reaches, as its ingredients name them."""
    labels = [label for function in code.functions for label in function.ingredients]
    names = {label.split(" ", 1)[1] for label in labels if label.split(" ", 1)[0] in ("function", "class", "module")}
    return {name.rpartition(".")[0] or name for name in names}


def size_of(value: Any) -> int:
    """Return the size of a value in bytes, estimated."""
    try:
        return int(sizeof(value))
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
