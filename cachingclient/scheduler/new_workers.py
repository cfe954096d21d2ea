"""The scheduler's part of workers that lack this package: they get no task that needs it.

dask sends a task to any worker, and a worker that can't unpickle what it is sent dies of it. So a worker that joins is
held back until it has said whether it has the package; one that a preload made ready says so as it connects.

Once a worker lacks it, what the cache sent runs on those that have it. Where none has, tasks get the user's function
back, and loads err as lost entries do: their client sends the steps themselves.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterable
from typing import Any

from distributed import Scheduler
from distributed.diagnostics.plugin import SchedulerPlugin
from distributed.protocol.pickle import dumps
from distributed.scheduler import TaskState
from distributed.worker import DEFAULT_STARTUP_INFORMATION

from cachingclient.graph import Key, entries_in, needs_package, plain
from cachingclient.scheduler.dashboard import show_page
from cachingclient.storage import EntryLost
from cachingclient.versions import TOLD, own_version

logger = logging.getLogger(__name__)
STIMULUS = "cachingclient-new-workers"
PATIENCE = 30.0
"""Seconds that a worker has to answer, or to unpack the package that it is sent, before it is asked again."""
LONGEST = 300.0
"""Seconds after which a worker that can't be asked is taken as any other: dask's limit for one that tells nothing."""
SHIPPED = "cachingclient-shipped"
"""The name of the plugin with which `DiracClient.ship` sends the package to workers."""
NOBODY = "nobody"
"""Is among those that have the package: to dask an empty set would restrict nothing."""


class NewWorkers(SchedulerPlugin):
    """Asks each new worker whether it has the package, and keeps tasks that need it off those that lack it.

    Parameters
    ----------
    scheduler
        The scheduler that it is a plugin of.

    Attributes
    ----------
    able
        The addresses of the workers that have the package. Restricted tasks share the set, so it follows the cluster.
    lacking
        The addresses of those that lack it, each with what the import raised there.
    """

    name = "cachingclient-new-workers"

    def __init__(self, scheduler: Scheduler) -> None:
        self.scheduler = scheduler
        self.able = {NOBODY}
        self.lacking: dict[str, str] = {}
        self._asking: dict[str, asyncio.Task[None]] = {}
        self._held: dict[str, dict[str, Any]] = {}
        # A worker that starts in this process has what this process has; so it need not be asked and held back.
        DEFAULT_STARTUP_INFORMATION[TOLD] = lambda _: {"version": own_version()}
        self._change_status = scheduler.stream_handlers["worker-status-change"]
        scheduler.stream_handlers["worker-status-change"] = self._status_changed

    def add_worker(self, scheduler: Scheduler, worker: str) -> None:
        """Ask a worker that connects, unless it has told its version already."""
        if (scheduler.workers[worker].extra or {}).get(TOLD):
            self.able.add(worker)
        else:
            self._asking[worker] = asyncio.ensure_future(self._ask(worker))

    def remove_worker(self, scheduler: Scheduler, worker: str, **kwargs: Any) -> None:
        """Forget a worker; if it was the last that has the package, the others take over."""
        self._held.pop(worker, None)
        if (asking := self._asking.pop(worker, None)) is not None:
            asking.cancel()
        self.lacking.pop(worker, None)
        self.able.discard(worker)
        if self.lacking:
            self.fit(scheduler.tasks.values())

    def update_graph(self, scheduler: Scheduler, *, tasks: Iterable[Key] = (), **kwargs: Any) -> None:
        """Look at the tasks of a new graph, before they are sent to workers."""
        if self.lacking:
            self.fit(scheduler.tasks[key] for key in tasks if key in scheduler.tasks)

    def transition(self, key: Key, start: str, finish: str, *args: Any, **kwargs: Any) -> None:
        """Give up a load that no worker can do."""
        if finish == "no-worker" and self.lacking:
            self.scheduler.loop.add_callback(self._give_up, key)

    def meet(self, worker: str) -> None:
        """Ask a worker that was there before, and may run tasks meanwhile."""
        self.able.add(worker)
        self.add_worker(self.scheduler, worker)

    async def ask_again(self) -> None:
        """Ask those workers again that lacked the package."""
        await asyncio.gather(*(self._ask(worker) for worker in list(self.lacking)))

    def fit(self, tasks: Iterable[TaskState]) -> None:
        """Have tasks run where they can: restrict them to workers with the package, or have them do without it."""
        recommendations: dict[Key, Any] = {}
        for task in list(tasks):
            if not needs_package(task.run_spec):
                continue
            mine = task.worker_restrictions is None or task.worker_restrictions is self.able
            allowed = self.able if mine else (task.worker_restrictions or set()) & self.able
            if allowed - {NOBODY}:
                task.worker_restrictions = allowed
            elif (node := plain(task.run_spec)) is not None:
                task.run_spec = node
                task.worker_restrictions = None if mine else task.worker_restrictions
            elif mine:
                task.worker_restrictions = self.able
            if task.state == "queued":
                recommendations[task.key] = "released"  # dask asks nothing of where a task may run that it queued
            elif task.state == "no-worker":
                if not needs_package(task.run_spec):
                    recommendations[task.key] = "processing"
                self.scheduler.loop.add_callback(self._give_up, task.key)
        self.scheduler.transitions(recommendations, STIMULUS)

    def _give_up(self, key: Key) -> None:
        """Have a load err as if its entry were lost, if no worker can do it: its client has the step run."""
        task = self.scheduler.tasks.get(key)
        entries = entries_in(task.run_spec) if task is not None and task.state == "no-worker" else ()
        if not entries or not self.lacking or self.able != {NOBODY}:
            return
        error = EntryLost(entries[0], "no worker has cachingclient to read it with", tuple(entries[1:]))
        why = {"exception": dumps(error), "exception_text": repr(error), "traceback_text": "", "cause": key}
        self.scheduler.transitions(self.scheduler.transition(key, "erred", stimulus_id=STIMULUS, **why), STIMULUS)

    async def _ask(self, worker: str) -> None:
        asked = time.monotonic()
        answer = await self._version_of(worker)
        while _lacks(answer) and SHIPPED in self.scheduler.worker_plugins and time.monotonic() < asked + PATIENCE:
            await asyncio.sleep(0.2)  # it may be unpacking what `DiracClient.ship` sent
            answer = await self._version_of(worker)
        if worker in self.scheduler.workers:
            self._answered(worker, answer)

    async def _version_of(self, worker: str) -> object:
        """Return the version of the package at a worker, or an exception: an error of the import as text in one."""
        message = {"op": "run", "function": dumps(own_version), "args": dumps(()), "kwargs": dumps({})}
        asked = time.monotonic()
        while True:
            asking = self.scheduler.broadcast(msg=message, workers=[worker], on_error="return")
            answer: object
            try:
                answer = (await asyncio.wait_for(asking, PATIENCE))[worker]
            except Exception as error:
                answer = error
            # On a busy host a worker answers late. To send it tasks meanwhile would end it, if it lacks the package.
            if not _unanswered(answer) or worker not in self.scheduler.workers or time.monotonic() > asked + LONGEST:
                return answer
            await asyncio.sleep(0.2)

    def _answered(self, worker: str, answer: object) -> None:
        self.lacking.pop(worker, None)
        if _lacks(answer):
            self.able.discard(worker)
            self.lacking[worker] = str(answer)
            logger.warning("worker %s has no cachingclient (%s)", worker, answer)
        else:
            self.able.add(worker)
        if self.lacking:
            self.fit(self.scheduler.tasks.values())
        self._asking.pop(worker, None)
        if (held := self._held.pop(worker, None)) is not None:
            self._change_status(**held)

    def _status_changed(self, **change: Any) -> None:
        """Hold back that a worker is ready while it was not asked; all else is told at once."""
        worker = change["worker"]
        if worker in self._asking and change["status"] == "running":
            self._held[worker] = change
        else:
            self._held.pop(worker, None)
            self._change_status(**change)


def _unanswered(answer: object) -> bool:
    """Tell whether the comm failed or took too long; errors that the operating system gives a worker have a number."""
    return isinstance(answer, OSError) and answer.errno is None


def _lacks(answer: object) -> bool:
    return isinstance(answer, Exception) and "ModuleNotFoundError" in repr(answer)


def fit(scheduler: Any, tasks: Iterable[TaskState]) -> None:
    """Have tasks run where they can, if some worker lacks the package."""
    plugin = scheduler.plugins.get(NewWorkers.name)
    if plugin is not None and plugin.lacking:
        plugin.fit(tasks)


def watch_workers(dask_scheduler: Any = None) -> None:
    """See to workers that lack the package from now on; run on the scheduler, whoever asked for it before."""
    if NewWorkers.name not in dask_scheduler.plugins:
        dask_scheduler.add_plugin(plugin := NewWorkers(dask_scheduler))
        for worker in list(dask_scheduler.workers):
            plugin.meet(worker)
    show_page(dask_scheduler)


async def ask_again(dask_scheduler: Any = None) -> None:
    """Ask the workers again that lacked the package: they may have been given it; run on the scheduler."""
    await dask_scheduler.plugins[NewWorkers.name].ask_again()
