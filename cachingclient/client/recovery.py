"""Recovery of lost entries: if an entry is gone when a task loads it, its step runs after all, under the same future.

A `Load` whose entry is lost raises `EntryLost` on the worker, and every task that depends on it errs with the same
exception. The scheduler reports the erred keys to the client. The client does not mark their futures as erred: it
sends the lost steps with all that they need, under new keys, and has the scheduler replace the erred tasks by tasks
that depend on these.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Collection, Iterable, Mapping
from typing import Any

import dask
from dask.utils import key_split
from distributed import Future
from distributed.core import clean_exception

from cachingclient.client.port import Port
from cachingclient.client.sent import Run
from cachingclient.client.submit import Submission
from cachingclient.graph import Alias, Key, TaskGraph, to_dask, under_other_keys
from cachingclient.plan.steps import Action
from cachingclient.scheduler.held import read_after_all
from cachingclient.scheduler.replace_tasks import install, message
from cachingclient.storage import EntryLost

MOST_LOADING_ATTEMPTS = 5
"""How often a run is sent again with loads; after that all of its steps run."""
MOST_ATTEMPTS = 20
"""How often a key is sent again at most; after that the user gets the error."""


class Recovery:
    """Sends the steps of lost entries, and of the tasks that erred with them, again.

    Parameters
    ----------
    port
        The client whose futures they are.
    submission
        Plans and sends the lost steps.
    """

    def __init__(self, port: Port, submission: Submission) -> None:
        self.port = port
        self.submission = submission
        self.registry = submission.registry
        self.notes = submission.notes
        self.asked: set[Key] = set()
        """The keys that the scheduler was asked to replace; until it answers, errors are of the old tasks."""
        self._erred: dict[Key, tuple[Any, Any]] = {}
        self._task: asyncio.Task[None] | None = None
        self._giving: dict[Key, asyncio.Task[None]] = {}

    def takes(self, key: Key, exception: Any, traceback: Any) -> bool:
        """Tell whether an error is that of a lost entry and the run can be sent again; if so, send it again soon."""
        if key in self.asked:
            return True
        run, error = self.registry.runs.get(key), clean_exception(exception, traceback)[1]
        if run is None or not isinstance(error, EntryLost) or run.tries[key] >= MOST_ATTEMPTS:
            return False
        first = not run.lost
        run.lost.update([error.key, *error.others])
        if first:
            self.notes.add(f"{error}; it is computed again, and so is what else turns out to be lost")
        self._start(key, exception, traceback)
        return True

    def answered(self, keys: Iterable[Key]) -> None:
        """Note that the scheduler has replaced the tasks of these keys."""
        self.asked.difference_update(keys)

    def _start(self, key: Key, exception: Any, traceback: Any) -> None:
        self._erred[key] = exception, traceback
        if self._task is None or self._task.done():
            self._task = asyncio.ensure_future(self._recover())

    async def bring_back(self, lost: Mapping[Key, EntryLost]) -> dict[Key, Any]:
        """Compute the results of unread hits again whose entries are lost, and return them.

        Raises
        ------
        EntryLost
            If one of them is another client's hit, whose graph this client does not know.
        """
        error = next(iter(lost.values()))
        self.notes.add(f"{error}; it is computed again, and so is what else turns out to be lost")
        futures = await asyncio.to_thread(self._run_again, lost)
        for key in lost.keys() - futures.keys():
            raise lost[key]
        values: list[Any] = await self.port.gather(list(futures.values()))
        return dict(zip(futures, values, strict=True))

    def give(self, key: Key, why: str) -> None:
        """Compute the lost result of an unread hit of this client again, since another client asks for it."""
        if key not in self._giving:
            self._giving[key] = asyncio.ensure_future(self._give(key, why))
            self._giving[key].add_done_callback(lambda done: self._giving.pop(key))

    async def _give(self, key: Key, why: str) -> None:
        self.notes.add(f"{why}; it is computed again, and so is what else turns out to be lost")
        await self.port.run_on_scheduler(install)
        again = (await asyncio.to_thread(self._run_again, [key])).get(key)
        if again is not None:
            # Not sooner: an entry that it is computed from may be lost too, and the other client would get that error.
            await self.port.states[again.key].wait()
        if again is not None and again.status in ("finished", "error"):
            self.port.tell_scheduler(message({key: Alias(key, again.key)}))
        else:
            await self.port.run_on_scheduler(read_after_all, key)

    async def _recover(self) -> None:
        """Send the runs of all keys that have erred by now again, in the order in which they were first sent."""
        while self._erred:
            # All tasks that depend on a lost entry err at once, reported in one batch: let it arrive.
            await asyncio.sleep(0.01)
            erred, self._erred = self._erred, {}
            runs: dict[Run, set[Key]] = {}
            for key in erred:
                run = self.registry.runs.get(key)
                if run is not None:
                    runs.setdefault(run, set()).add(key)
            try:
                await self.port.run_on_scheduler(install)
                failed = await asyncio.to_thread(self._send_all_again, runs)
            except Exception as why:
                failed = dict.fromkeys(runs, why)
            for run, error in failed.items():
                self.notes.add(f"what a lost entry held could not be computed again: {type(error).__name__}: {error}")
                for key in runs[run]:
                    self.port.mark_erred(key, *erred[key])

    def _send_all_again(self, runs: Mapping[Run, Collection[Key]]) -> dict[Run, Exception]:
        """Send erred keys again, run by run; return the exceptions of those runs that can't be sent."""
        failed: dict[Run, Exception] = {}
        with self.submission.planning:
            for run in sorted(runs, key=lambda run: run.number):
                run.attempts += 1
                run.tries.update(runs[run])
                try:
                    self._send_again(run, runs[run])
                except Exception as error:
                    failed[run] = error
        return failed

    def _send_again(self, run: Run, keys: Iterable[Key]) -> None:
        """Have the scheduler compute some keys of a run without the lost entries."""
        with self.submission.planning, self.submission.workers_code.unasked(), self.port.lock:
            keys = {key for key in keys if key in self.port.states}
            needed = {key for node in run.lowered.nodes.values() for key in node.dependencies}
            self._run_again(key for key in needed if self.registry.step_key_of(key) in run.lost)
            hopeless = run.attempts > MOST_LOADING_ATTEMPTS
            lost = frozenset(k for k, step in run.plan.steps.items() if hopeless or step.step_key in run.lost)
            pinned = {key: future for key, future in self.submission.pin(run.lowered).items() if key not in keys}
            # None of the run's own keys: if its keys held futures of each other, none would ever be released.
            run.pinned = {key: future for key, future in pinned.items() if key not in run.plan.wanted}
            plan, graph = self.submission.replan(run, keys, pinned, lost)
            graph, readers = self.submission.read_held_inputs(graph)
            self.registry.replace(run, keys, graph.nodes)
            new = {key: node for key, node in graph.nodes.items() if key not in keys}
            instead = {key: graph.nodes[key] for key in keys}
            taken = {key for node in instead.values() for key in node.dependencies}
            # Their futures are released below: by then the replaced tasks depend on them.
            graph = TaskGraph(new, graph.annotations)
            with dask.annotate(**run.around):
                futures = self.submission.send(graph, readers, taken & new.keys(), **run.options) if new else None
            self.asked.update(keys)
            self.port.tell_scheduler(message(instead))
            del futures
            run.plan.steps.update((key, step) for key, step in plan.steps.items() if step.action is not Action.HELD)

    def _run_again(self, keys: Iterable[Key]) -> dict[Key, Future[Any]]:
        """Send the steps of unread hits with lost entries under new keys; return their futures by the old keys."""
        with self.submission.planning, self.submission.workers_code.unasked(), self.port.lock:
            keys = list(keys)
            lost: dict[Run, dict[Key, Key]] = {}
            for key in keys:
                run = self.registry.runs.get(key)
                if run is not None and self.registry.is_held(key) and key not in self.registry.again:
                    lost.setdefault(run, {})[key] = f"{key_split(key)}-again-{uuid.uuid4().hex}"
            for run, names in lost.items():
                self.submission.lost.update(run.plan.steps[key].step_key for key in names)
                # Under new keys: the tasks that depend on the old ones at the scheduler need not be undone first.
                graph = under_other_keys(run.origin.whole() if run.origin is not None else run.lowered, names)
                with dask.annotate(**run.around):
                    futures = self.submission.submit(to_dask(*graph), list(names.values()), **run.options)
                self.registry.again.update((key, futures[name]) for key, name in names.items())
                self.registry.runs[next(iter(futures))].number = run.number  # its place in the order if more is lost
            return {key: self.registry.again[key] for key in keys if key in self.registry.again}
