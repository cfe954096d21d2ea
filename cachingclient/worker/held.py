"""Unread hits: a worker holds a reference to a kept result, and the result is read when a task or a client needs it.

``client.map`` after ``client.map`` sends a chain of calls one call at a time. When every call is a hit, only the last
results are needed, so reading each hit at once would be wasted time. An unread hit is sent as a `Hold`: a task that
returns a `DeferredResult`, a reference to the entry in the store.

The client that sent a `Hold` knows of it. Its later graphs read the entry inside the task that needs the result, or
put a task between that calls `resolve`; and its `gather` reads the entry itself.

Other clients and other workers do not know of it, and must get the result. So a `DeferredResult` turns into the
result when it is sent to another process, and `ReadForOthers`, a plugin of the worker, reads entries for tasks and
clients that ask for the same key. If the entry is lost, the plugin has the client that holds the key compute the
result again. If that client is gone, the key errs like a lost entry that was read at once.
"""

from __future__ import annotations

import asyncio
import functools
import sys
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any, ClassVar

import toolz
from distributed import Client, Worker, WorkerPlugin, get_worker
from distributed.protocol.pickle import dumps

from cachingclient.graph import Key, Task
from cachingclient.scheduler.held import ask_owners
from cachingclient.storage import EntryInfo, EntryLost
from cachingclient.worker.load import Load

READER = "read-kept-"
"""The prefix of the keys of those tasks that call `resolve`."""
ASK_EVERY = 10.0
"""Seconds after which a client is asked again to compute a lost result: the client may be gone by then."""


@dataclass(frozen=True, slots=True)
class DeferredResult:
    """A reference to an entry, in the place of its result; it turns into the result when it is unpickled."""

    load: Load

    def __reduce__(self) -> Any:
        return _on_arrival, (self.load,)


@dataclass(frozen=True, slots=True)
class Hold:
    """The function of a task that returns a reference to an entry, without reading the entry."""

    load: Load
    holds_unread: ClassVar[bool] = True  # `cachingclient.graph.is_held` looks for it

    @property
    def __name__(self) -> str:
        return f"hold-{self.load.name}"

    @property
    def entries(self) -> tuple[str, ...]:
        """The step key of the entry that is to be read."""
        return self.load.entries

    def __call__(self) -> DeferredResult:
        """Return the reference."""
        try:
            worker = get_worker()
        except ValueError:
            return DeferredResult(self.load)  # a process of a pool: the reference is pickled before anything uses it
        read_for_others(worker)
        return DeferredResult(self.load)


def resolve(value: Any) -> Any:
    """Return a result; a reference to an entry is read.

    Examples
    --------
    >>> resolve(7)
    7
    """
    return value.load() if type(value) is DeferredResult else value


# Where nobody has this package no entry is referred to: the step ran, and what it gave is the result.
vars(resolve)["function"] = toolz.identity


class WithoutReferences:
    """A worker's data as a client may take them in a task: without references, which it asks for as if from elsewhere.

    Parameters
    ----------
    worker
        The worker, or anything that has `data`.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> there = WithoutReferences(SimpleNamespace(data={"x": 7, "y": DeferredResult(None)})).data
    >>> "x" in there, there["x"], "y" in there
    (True, 7, False)
    """

    def __init__(self, worker: Any) -> None:
        self._data: Mapping[Key, Any] = worker.data

    @property
    def data(self) -> WithoutReferences:
        """What is looked up in."""
        return self

    def __contains__(self, key: Key) -> bool:
        return key in self._data and type(self._data[key]) is not DeferredResult

    def __getitem__(self, key: Key) -> Any:
        return self._data[key]


def type_known(info: EntryInfo) -> type | None:
    """Return the type of a kept result by its description, or None if this process has not imported the type.

    Examples
    --------
    >>> type_known(EntryInfo("0f" * 16, "result", "f", "numpy", "", 8, 0.0, 1.0, {"type": "builtins.int"}))
    <class 'int'>
    """
    *modules, name = str(info.details.get("type", "")).split(".")
    names = [name]
    while modules:
        found: Any = sys.modules.get(".".join(modules))
        if found is not None:
            for each in names:
                found = vars(found).get(each) if isinstance(found, (ModuleType, type)) else None
            return found if isinstance(found, type) else None
        names.insert(0, modules.pop())
    return None


class ReadForOthers(WorkerPlugin):
    """Reads entries on the worker for tasks and clients that do not know of unread hits."""

    name = "cachingclient-kept"

    def setup(self, worker: Worker) -> None:
        """Put `get_data` before the worker's own handler."""
        self.worker = worker
        self._get_data: Any = worker.handlers["get_data"]
        worker.handlers["get_data"] = self.get_data

    def teardown(self, worker: Worker) -> None:
        """Restore the worker's own handler."""
        worker.handlers["get_data"] = self._get_data

    def transition(self, key: Key, start: str, finish: str, **kwargs: Any) -> None:
        """Replace the references among a task's inputs by their results before the task runs.

        If an entry is lost, the task raises `EntryLost` instead of running.
        """
        if finish not in ("executing", "long-running") or str(key).startswith(READER):
            return
        data: Any = self.worker.data
        task = self.worker.state.tasks[key]
        for needed in task.dependencies:
            kept = data.get(needed.key)
            if type(kept) is DeferredResult:
                try:
                    data[needed.key] = kept.load()
                except Exception as error:
                    # The user's function must never get the reference for the result.
                    task.run_spec = Task(key, _fail, error)

    async def get_data(
        self, comm: Any, keys: Collection[Key], who: str | None = None, serializers: list[str] | None = None
    ) -> Any:
        """Answer a request for results: read the entries that a client asks for, then let the worker answer.

        A worker names itself in `who`, and its `DeferredResult` turns into the result on arrival. A client names
        nobody, and is another one than the client that holds the key, which reads the entry itself.
        """
        if who is None and (kept := self._references(keys)):
            lost = await asyncio.to_thread(self._read, kept)
            if lost:
                await self._wait_for_owners(lost)
        return await self._get_data(comm, keys=keys, who=who, serializers=serializers)

    def _references(self, keys: Collection[Key]) -> dict[Key, DeferredResult]:
        data: Any = self.worker.data
        return {key: value for key in keys if type(value := data.get(key)) is DeferredResult}

    def _read(self, kept: Mapping[Key, DeferredResult]) -> dict[Key, tuple[str, str]]:
        """Replace references by their results; return for each lost entry the client that holds it, and the error."""
        data: Any = self.worker.data
        lost = {}
        for key, reference in kept.items():
            try:
                value = reference.load()
            except EntryLost as error:
                lost[key] = reference.load.context.run.partition("/")[0], str(error)
            else:
                if data.get(key) is reference:
                    data[key] = value
        return lost

    async def _wait_for_owners(self, lost: dict[Key, tuple[str, str]]) -> None:
        """Ask the clients that hold lost results to compute them again, and wait until this worker has no reference."""
        while self._references(lost):
            await self.worker.scheduler.run_function(function=dumps(ask_owners), args=dumps((lost,)), kwargs=dumps({}))
            deadline = time.monotonic() + ASK_EVERY
            while self._references(lost) and time.monotonic() < deadline:
                await asyncio.sleep(0.05)


@functools.cache
def gather_without_references() -> None:
    """Have a client in a task, plain dask's too, ask for what its worker holds a reference to as if from elsewhere.

    dask's `gather` takes what it can straight from the data of the task's worker, past the handler that reads entries.
    """
    gather = Client._gather

    @functools.wraps(gather)
    async def without_references(
        self: Client, futures: Any, errors: str = "raise", direct: bool | None = None, local_worker: Any = None
    ) -> Any:
        seen = local_worker and WithoutReferences(local_worker)
        return await gather(self, futures, errors, direct, seen)

    Client._gather = without_references  # type: ignore[method-assign]


def read_for_others(worker: Worker) -> None:
    """Give a worker the plugin that reads entries for other clients and their tasks."""
    if ReadForOthers.name not in worker.plugins:
        worker.loop.add_callback(worker.plugin_add, ReadForOthers(), ReadForOthers.name)


def _on_arrival(load: Load) -> Any:
    """Return the result of a reference that came from another process; on a worker, the reference if the read fails."""
    try:
        return load()
    except Exception:
        workers = list(Worker._instances)
        if not workers:
            raise
        # dask would take an error here for a broken connection; the task that needs the result raises it instead.
        for worker in workers:
            read_for_others(worker)
        return DeferredResult(load)


def _fail(error: Exception) -> None:
    raise error
