"""What others get of a result that the scheduler holds unread: other clients' tasks, and other clients that gather it.

They know nothing of stores, so the worker that holds it reads it for them. If it is lost, the client that holds it is
asked to have it computed again; if that is gone, the key errs as if it had been read at once.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Mapping
from typing import Any

from distributed import Worker, WorkerPlugin
from distributed.protocol.pickle import dumps

from cachingclient.graph import Key, Task
from cachingclient.lazy import READER, Kept, is_held
from cachingclient.storage import EntryLost

LOST = "cachingclient-lost"
"""What a scheduler says to a client that holds a result which a stranger could not have."""
ASK_EVERY = 10.0
"""Seconds after which a client is asked again for a lost result: it may be gone by then."""


class ReadForOthers(WorkerPlugin):
    """Reads what somebody else takes, before he gets it."""

    name = "cachingclient-kept"

    def setup(self, worker: Worker) -> None:
        """Note the worker, and look at what is asked of it."""
        self.worker = worker
        self._get_data: Any = worker.handlers["get_data"]
        worker.handlers["get_data"] = self.get_data

    def teardown(self, worker: Worker) -> None:
        """Leave things as they were."""
        worker.handlers["get_data"] = self._get_data

    def transition(self, key: Key, start: str, finish: str, **kwargs: Any) -> None:
        """Put results in the place of where they are kept; a task that takes a lost one fails in place of running."""
        if finish not in ("executing", "long-running") or str(key).startswith(READER):
            return
        data: Any = self.worker.data
        task = self.worker.state.tasks[key]
        for needed in task.dependencies:
            kept = data.get(needed.key)
            if type(kept) is Kept:
                try:
                    data[needed.key] = kept.load()
                except Exception as error:
                    # Nobody's function may take where a result was for the result.
                    task.run_spec = Task(key, _fail, error)

    async def get_data(
        self, comm: Any, keys: Collection[Key], who: str | None = None, serializers: list[str] | None = None
    ) -> Any:
        """Answer a client, which names nobody: its own never asks for what it holds. Workers read for themselves."""
        if who is None and (kept := self._kept_among(keys)):
            lost = await asyncio.to_thread(self._read, kept)
            if lost:
                await self._wait_for_owners(lost)
        return await self._get_data(comm, keys=keys, who=who, serializers=serializers)

    def _kept_among(self, keys: Collection[Key]) -> dict[Key, Kept]:
        data: Any = self.worker.data
        return {key: value for key in keys if type(value := data.get(key)) is Kept}

    def _read(self, kept: Mapping[Key, Kept]) -> dict[Key, tuple[str, str]]:
        """Put results in the place of where they are kept; return who holds those that are lost, and why they are."""
        data: Any = self.worker.data
        lost = {}
        for key, each in kept.items():
            try:
                value = each.load()
            except EntryLost as error:
                lost[key] = each.load.context.run.partition("/")[0], str(error)
            else:
                if data.get(key) is each:
                    data[key] = value
        return lost

    async def _wait_for_owners(self, lost: dict[Key, tuple[str, str]]) -> None:
        """Ask for lost results to be computed again, and wait until they are no longer held here."""
        while self._kept_among(lost):
            await self.worker.scheduler.run_function(function=dumps(ask_owners), args=dumps((lost,)), kwargs=dumps({}))
            deadline = time.monotonic() + ASK_EVERY
            while self._kept_among(lost) and time.monotonic() < deadline:
                await asyncio.sleep(0.05)


def ask_owners(lost: Mapping[Key, tuple[str, str]], dask_scheduler: Any = None) -> None:
    """Ask the clients that hold lost results to have them computed again; run on the scheduler."""
    for key, (owner, why) in lost.items():
        comm = dask_scheduler.client_comms.get(owner)
        if comm is not None:
            comm.send({"op": LOST, "key": key, "why": why})
        else:
            read_after_all(key, dask_scheduler)


def read_after_all(key: Key, dask_scheduler: Any = None) -> None:
    """Have a result that is held be read, as nobody can have it computed again; run on the scheduler."""
    task = dask_scheduler.tasks.get(key)
    if task is not None and task.state == "memory" and is_held(task.run_spec):
        task.run_spec = Task(key, task.run_spec.func.load)
        dask_scheduler.transitions({key: "released"}, LOST)


def _fail(error: Exception) -> None:
    raise error
