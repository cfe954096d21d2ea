"""From facts to promises: which of the results that workers kept may be filed under the step keys of the plan.

A worker files a result under its content key: this code on these contents gave that. It is true whatever happened
before. A step key says more: the result of a whole chain of steps, each of the code and on the inputs that were
planned. A worker can't know that of the steps before its own, which ran elsewhere: one may have run old code, read a
file that was being replaced, or be another client's step of the same key.

So the client files step keys, when the workers' records of the whole chain are in and each of them says that its step
ran, or was loaded, as planned. A worker tells of a step that did not before the scheduler hears that the step is done,
so before any step that takes its result; and a step that nobody tells of is never believed.
"""

from __future__ import annotations

import queue
import threading
import time
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from cachingclient.client.outcomes import SPOILED, TOOK, Chains, Outcome
from cachingclient.client.sent import Registry, Run
from cachingclient.graph import Key, tells_nothing
from cachingclient.plan.lookup import AT_ONCE
from cachingclient.plan.record import StepRecord
from cachingclient.plan.steps import Action, PlannedStep
from cachingclient.plan.unkept import NOT_KEPT
from cachingclient.plan.variants import OBSERVED, free_slot
from cachingclient.storage import EntryInfo, Store
from cachingclient.warn_once import NoteKeeper

MOST_RUNS = 1000
"""How many runs are waited for: records of older ones link nothing any more."""
MOST_AT_ONCE = 16
"""How many links are written at the same time to a store that is far."""
GATHERED = 0.2
"""Seconds for which records are gathered, unless somebody waits for them."""


class Links:
    """Files step keys in the background, as the records of whole chains come in.

    Parameters
    ----------
    store
        Where the results are.
    notes
        Warns the user of steps that are not kept for the sake of a step before them.

    Attributes
    ----------
    removed
        The keys under which workers filed results that were removed since, as a later step changed them.
    """

    def __init__(self, store: Store, notes: NoteKeeper) -> None:
        self.store = store
        self.notes = notes
        self.removed: set[str] = set()
        self._runs: OrderedDict[str, Chains] = OrderedDict()
        self._spoiled: set[Key] = set()
        self._waiting: queue.SimpleQueue[tuple[str, list[StepRecord]] | threading.Event | None] = queue.SimpleQueue()
        self._closed = False
        self._lock = threading.RLock()
        self._thread: threading.Thread | None = None

    def add(self, run: str, chains: Chains) -> None:
        """Wait for the records of a run."""
        with self._lock:
            self._runs[run] = chains
            while len(self._runs) > MOST_RUNS:
                self._runs.popitem(last=False)

    def outcome(self, run: str, key: Key) -> Outcome | None:
        """Return the outcome of a step that was sent with a run, for a later run that takes its result."""
        with self._lock:
            chains = self._runs.get(run)
            return None if chains is None else chains.outcome(key)

    def wait_for(self, run: Run, registry: Registry, *, overwrite: bool = False) -> None:
        """Wait for the records of a run that is about to be sent.

        Parameters
        ----------
        run
            The run.
        registry
            What was sent before and the scheduler may still hold.
        overwrite
            Whether new results replace what is filed (``mode="refresh"``).
        """
        steps, nodes = run.plan.steps, run.lowered.nodes
        silent = frozenset(
            key
            for key, step in steps.items()
            if step.action is Action.RUN and key in nodes and tells_nothing(nodes[key])
        )
        earlier = dict(self._of_earlier_runs(steps, registry))
        self.add(run.name, Chains(steps, earlier, silent, self._spoiled, overwrite=overwrite))

    def _of_earlier_runs(self, steps: Mapping[Key, PlannedStep], registry: Registry) -> Iterator[tuple[Key, Outcome]]:
        """Yield the outcomes of steps that were sent before; scattered data, whose content is its key, is sound."""
        for key in steps.keys() & registry.taken.keys():
            outcome = self.outcome(registry.taken[key].run, key)
            if outcome is not None:
                yield key, outcome
        for key in steps.keys() & registry.steps.keys():  # no difference of views: that goes through all that was sent
            if key not in registry.taken and key not in registry.runs:
                spoiled = f"an earlier step {SPOILED}" if key in self._spoiled else ""
                yield (
                    key,
                    Outcome(steps[key].name, steps[key].step_key, "unsound" if spoiled else "sound", spoiled),
                )

    def take(self, run: str, records: list[StepRecord]) -> None:
        """Take the records of a run."""
        self._waiting.put((run, records))
        self._start()

    def flush(self, timeout: float) -> None:
        """Wait until all that the records so far allow is filed."""
        done = threading.Event()
        self._waiting.put(done)
        self._start()
        if not self._closed:
            done.wait(timeout)

    def clear(self) -> None:
        """Forget all runs, as the scheduler does when it restarts."""
        with self._lock:
            self._runs.clear()
            self._spoiled.clear()

    def close(self) -> None:
        """End the thread, after what is waiting now: a client leaves none behind."""
        self._closed = True
        self._waiting.put(None)

    def _start(self) -> None:
        with self._lock:
            if self._closed:
                return
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._work, name="cachingclient-links", daemon=True)
                self._thread.start()

    def _work(self) -> None:
        while True:
            batch = self._gathered()
            try:
                with self._lock:
                    settled = list(self._settled(batch))
                self._file([outcome for outcome in settled if outcome.state == "sound"])
                self._forget([outcome for outcome in settled if outcome.state == "unsound"])
                if self.store.gathers and not all(isinstance(each, tuple) for each in batch):
                    self.store.flush()  # who waits may be told that the results are there
            except Exception as error:
                what = f"{type(error).__name__}: {error}"
                self.notes.add(f"results were kept, but not under the keys of their steps: {what}")
            for each in batch:
                if isinstance(each, threading.Event):
                    each.set()
            if None in batch:
                return

    def _gathered(self) -> list[tuple[str, list[StepRecord]] | threading.Event | None]:
        """Return what came in within a moment: many results are filed for little more than one. Nobody waits longer."""
        batch = [self._waiting.get()]
        end = time.monotonic() + GATHERED
        while isinstance(batch[-1], tuple) or not self._waiting.empty():
            try:
                batch.append(self._waiting.get(timeout=max(0.0, end - time.monotonic())))
            except queue.Empty:
                break
        return batch

    def _settled(self, batch: Iterable[Any]) -> Iterator[Outcome]:
        """Take what came in; yield what is to be filed, and what must not be loaded any more."""
        for each in batch:
            if not isinstance(each, tuple) or (chains := self._runs.get(each[0])) is None:
                continue
            for record in each[1]:
                for outcome in chains.take(record):
                    if outcome.state == "unsound" and outcome.reason.startswith(TOOK):
                        if outcome.record is not None:
                            outcome.record.kept, outcome.record.note = False, f"{NOT_KEPT}{outcome.reason}"
                        self.notes.add(f"step {outcome.name}: not kept: {outcome.reason}", about=outcome.reason)
                    elif outcome.step_key is None:
                        continue
                    elif outcome.reason.endswith(SPOILED) or (outcome.state == "sound" and outcome.fact):
                        yield outcome

    def _forget(self, spoiled: list[Outcome]) -> None:
        """Have steps run again whose results a later step changed: what is loaded, it would not change for others."""
        if spoiled and not self.store.read_only:
            self.removed.update(outcome.fact for outcome in spoiled)
            self.store.delete([outcome.step_key for outcome in spoiled if outcome.step_key is not None])

    def _file(self, sound: list[Outcome]) -> None:
        """File results under their step keys."""
        if not sound or self.store.read_only:
            return
        facts = {outcome.fact for outcome in sound}
        wanted = [*facts, *(outcome.step_key for outcome in sound if outcome.step_key is not None)]
        found = self.store.find(wanted)
        if not facts <= found.keys():
            self.store.refresh()  # written by another process, since this one last looked
            found = self.store.find(wanted)
        todo = [(outcome, found[outcome.fact]) for outcome in sound if outcome.fact in found]
        todo = self._file_together(todo, found)
        if self.store.latency < AT_ONCE:
            for outcome, info in todo:
                self._link(outcome, info, found)
        else:
            with ThreadPoolExecutor(MOST_AT_ONCE, thread_name_prefix="cachingclient-links") as pool:
                list(pool.map(lambda each: self._link(each[0], each[1], found), todo))

    def _file_together(
        self, todo: list[tuple[Outcome, EntryInfo]], taken: Mapping[str, EntryInfo]
    ) -> list[tuple[Outcome, EntryInfo]]:
        """File those results at once whose step keys are free, where the store can; return the others."""
        new = [each for each in todo if each[0].step_key not in taken and not each[0].overwrite]
        if not self.store.packs or len(new) < 2:
            return todo
        filed = self.store.alias_together([(_of_chain(outcome, info), outcome.step_key or "") for outcome, info in new])
        done = {id(outcome) for (outcome, _), is_filed in zip(new, filed, strict=True) if is_filed}
        return [each for each in todo if id(each[0]) not in done]

    def _link(self, outcome: Outcome, info: EntryInfo, taken: Mapping[str, EntryInfo]) -> None:
        """File one result under its step key, beside those that were made in other surroundings."""
        key = outcome.step_key
        assert key is not None
        overwrite = outcome.overwrite
        if key in taken and not overwrite:
            key, there, overwrite = free_slot(self.store.find, key, outcome.trace)
            if there is not None:
                return
        self.store.alias(_of_chain(outcome, info), [key], overwrite=overwrite)


def _of_chain(outcome: Outcome, info: EntryInfo) -> EntryInfo:
    """The description of a result with what its whole chain of steps read, in place of what its own step did."""
    details = {name: value for name, value in info.details.items() if name != OBSERVED}
    if outcome.trace:
        details[OBSERVED] = outcome.trace.as_json()
    return replace(info, details=details)
