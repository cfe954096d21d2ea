"""From the scheduler to the user: results are read where they are only held, and computed again where they are lost."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from dask.utils import key_split
from distributed import Future

from cachingclient.graph import Key, Lowered, raise_, under_other_keys
from cachingclient.hashing.inputs import Inputs
from cachingclient.hashing.merkle import Merkle
from cachingclient.lazy import type_known
from cachingclient.loading import read_all
from cachingclient.plan import Action, Choices
from cachingclient.recovery import MOST_LOADING_ATTEMPTS, Recovery
from cachingclient.registry import Run
from cachingclient.revival import REVIVED, message
from cachingclient.rewrite import rewrite
from cachingclient.scattering import steps_of_data, steps_of_futures
from cachingclient.sending import SendingClient
from cachingclient.storage import EntryLost
from cachingclient.strangers import LOST


class ReceivingClient(SendingClient):
    """A client that reads what is held unread, and has computed again what is lost."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._recovery = Recovery(self, super()._handle_task_erred)
        super().__init__(*args, **kwargs)
        self._stream_handlers[REVIVED] = self._recovery.answered
        self._stream_handlers[LOST] = self._recovery.give

    def send_all_again(self, runs: Mapping[Run, Collection[Key]]) -> dict[Run, Exception]:
        """Have keys of some runs that erred computed after all, and return what went wrong."""
        failed: dict[Run, Exception] = {}
        with self._planning:
            for run in sorted(runs, key=lambda run: run.number):
                run.attempts += 1
                try:
                    self.send_again(run, runs[run])
                except Exception as error:
                    failed[run] = error
        return failed

    def send_again(self, run: Run, keys: Iterable[Key]) -> None:
        """Have the scheduler do what gives some keys of a run without its lost entries."""
        with self._planning, self._refcount_lock:
            keys = {key for key in keys if key in self.futures}
            needed = {key for node in run.lowered.nodes.values() for key in node.dependencies}
            self.run_again(key for key in needed if self.step_key_of(key) in run.lost)
            hopeless = run.attempts > MOST_LOADING_ATTEMPTS
            lost = frozenset(k for k, step in run.plan.steps.items() if hopeless or step.step_key in run.lost)
            pinned = {key: future for key, future in self._pin(run.lowered).items() if key not in keys}
            # Not its own: with a future of each other none would ever go.
            run.pinned = {key: future for key, future in pinned.items() if key not in run.plan.wanted}
            choices = Choices(run.impure, run.unkept, frozenset(pinned), lost, self._drawn, self._seen)
            plan = self._make_plan(run.lowered, keys, choices)
            graph = rewrite(plan, run.lowered, self._context(run.name), self._registry.taken, anew=True)
            graph, readers = self._read_what_is_held(graph)
            self._registry.replace(run, keys, graph.nodes)
            new = {key: node for key, node in graph.nodes.items() if key not in keys}
            instead = {key: graph.nodes[key] for key in keys}
            taken = {key for node in instead.values() for key in node.dependencies}
            # Their futures are let go below: by then what is computed again takes them.
            graph = Lowered(new, graph.annotations)
            futures = self._send(graph, readers, taken & new.keys(), **run.options) if new else None
            self._recovery.asked.update(keys)
            self._send_to_scheduler(message(instead))
            del futures
            run.plan.steps.update((key, step) for key, step in plan.steps.items() if step.action is not Action.HELD)

    def run_again(self, keys: Iterable[Key]) -> dict[Key, Future[Any]]:
        """Have results computed that the scheduler holds unread and that are lost; return where they will be."""
        with self._planning, self._refcount_lock:
            keys = list(keys)
            lost: dict[Run, dict[Key, Key]] = {}
            for key in keys:
                run = self.run_of(key)
                if run is not None and self._registry.is_held(key) and key not in self._registry.again:
                    lost.setdefault(run, {})[key] = f"{key_split(key)}-again-{uuid.uuid4().hex}"
            for run, names in lost.items():
                self._lost.update(run.plan.steps[key].step_key for key in names)
                # Under keys of their own: what waits for the lost ones at the scheduler need not be undone first.
                graph = under_other_keys(run.origin.whole() if run.origin is not None else run.lowered, names)
                futures = self._graph_to_futures(raise_(*graph), list(names.values()), **run.options)
                self._registry.again.update((key, futures[name]) for key, name in names.items())
                self._registry.runs[next(iter(futures))].number = run.number  # where it stands if all is sent again
            return {key: self._registry.again[key] for key in keys if key in self._registry.again}

    def run_of(self, key: Key) -> Run | None:
        """Return the run that a future of this client came from."""
        return self._registry.runs.get(key)

    def _handle_task_erred(self, key: Any = None, exception: Any = None, traceback: Any = None) -> None:
        if not self._recovery.takes(key, exception, traceback, self.run_of(key)):
            super()._handle_task_erred(key, exception, traceback)
            self._finish(key)

    def _handle_key_in_memory(self, key: Any = None, type: Any = None, workers: Any = None) -> None:
        if self._registry.is_held(key) and (run := self.run_of(key)) is not None:
            type = None  # of where the result is kept
            if (state := self.futures.get(key)) is not None and (info := run.plan.steps[key].info) is not None:
                state.type = type_known(info)
        super()._handle_key_in_memory(key, type, workers)
        self._finish(key)

    def _handle_restart(self) -> None:
        super()._handle_restart()
        self._registry.clear()
        self._recovery.asked.clear()

    def _finish(self, key: Key) -> None:
        run = self.run_of(key)
        # One that is only held may turn out to be lost: what it is computed from stays until it is let go.
        if run is not None and not self._registry.is_held(key):
            run.finish(key)

    def _release_key(self, key: Key) -> None:
        super()._release_key(key)
        self._registry.release(key)

    async def _gather_remote(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Gather results, and read those that the scheduler holds unread."""
        asked: set[Key] = self._gather_keys or set()  # others may still add to it
        loads = {key: load for key in asked if (load := self._registry.load_of(key)) is not None}
        asked -= loads.keys()
        if not asked:
            self._gather_keys = self._gather_future = None
            response: dict[str, Any] = {"status": "OK", "data": {}}
        else:
            response = await super()._gather_remote(*args, **kwargs)
        if response["status"] != "OK":
            return response
        data = response["data"]
        read = await asyncio.to_thread(read_all, list(loads.values())) if loads else []
        lost: dict[Key, EntryLost] = {}
        for (key, load), found in zip(loads.items(), read, strict=True):
            if isinstance(found, EntryLost):
                lost[key] = found
            else:
                data[key] = found.value
                self._records.take(load.context.run, [found.record(load)])
        if not lost:
            return response
        data.update(await self._recovery.bring_back(lost))
        return response

    async def _scatter(self, data: Any, *args: Any, **kwargs: Any) -> Any:
        """Scatter data, which is then known by its content."""
        if self.cache is None:
            return await super()._scatter(data, *args, **kwargs)
        if isinstance(data, Iterator):
            data = list(data)
        merkle = Merkle({}, Inputs(self._inputs), self._environment)
        steps = await asyncio.to_thread(steps_of_data, data, merkle)
        scattered = await super()._scatter(data, *args, **kwargs)
        self._registry.steps.update(steps_of_futures(scattered, steps))
        return scattered
