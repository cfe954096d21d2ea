"""The client's memory of what it sent: the step behind each future, and the run that each future came from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import dask
from distributed import Future

from cachingclient.client.lineage import Origin, origin_of
from cachingclient.graph import GraphNode, Key, Task, TaskGraph, is_held
from cachingclient.hashing.keys import Step
from cachingclient.plan.plan import Plan
from cachingclient.plan.report import RunReport
from cachingclient.plan.steps import Action
from cachingclient.worker.held import Hold
from cachingclient.worker.load import Load


@dataclass(eq=False)
class Run:
    """One graph that was sent. It is remembered while one of its futures lives, since an entry may turn out to be lost.

    Attributes
    ----------
    name, number
        The client's id and a number; the number.
    lowered
        The graph as the user gave it.
    plan, report
        The plan, and the report of what was done.
    options
        The options that it was sent with: priorities, retries, resources and so on.
    around
        What ``dask.annotate`` said around the call, which `submit` and `map` don't write into their graphs.
    sent
        The nodes that were sent for it.
    alive
        The keys whose futures live.
    impure, unkept
        The keys that the user called not pure, and those with ``cache=False``.
    lost
        The step keys whose entries turned out to be lost.
    attempts
        How often some of it was sent again.
    tries
        How often each key was.
    pinned
        Futures of earlier graphs that this one takes results from: not to be released before it is done.
    unfinished
        The keys that have neither finished nor erred.
    origin
        The graphs from which its results can be computed; None if graphs alone are not enough, or no more needed.
    """

    name: str
    number: int
    lowered: TaskGraph
    plan: Plan
    report: RunReport
    options: Mapping[str, Any]
    alive: set[Key]
    impure: frozenset[Key] = frozenset()
    unkept: frozenset[Key] = frozenset()
    lost: set[str] = field(default_factory=set)
    attempts: int = 0
    tries: Counter[Key] = field(default_factory=Counter)
    sent: dict[Key, GraphNode] = field(default_factory=dict)
    pinned: dict[Key, Future[Any]] = field(default_factory=dict)
    unfinished: set[Key] = field(default_factory=set)
    origin: Origin | None = None
    around: Mapping[str, Any] = field(default_factory=dask.get_annotations)

    def finish(self, key: Key) -> None:
        """Note that a key has finished or erred; with the last one, the futures of earlier graphs are released."""
        self.unfinished.discard(key)
        if not self.unfinished:
            self.pinned.clear()
            self.origin = None


@dataclass(frozen=True, slots=True)
class Taken:
    """A node that was sent and that the scheduler may still have, with its step key."""

    node: GraphNode
    step_key: bytes | None
    run: str = ""


class Registry:
    r"""Finds steps and runs by key, and forgets them with the last future that needs them.

    Attributes
    ----------
    steps
        The step behind each key that has a future.
    runs
        The run behind each key that has a future.
    taken
        The nodes that the scheduler has. Of several nodes with one key the first counts, as it does for the scheduler,
        and it stays until no future wants the key and no other node depends on it.
    readers
        For each unread hit that a task needed the key of the task that reads it.
    read
        The futures of these tasks: the result that was read stays as long as the hit has a future.
    again
        For each unread hit whose entry was lost the future that computes the result again, under another key.

    Examples
    --------
    >>> registry = Registry()
    >>> registry.steps["x-1"] = Step(b"\0" * 16)
    >>> registry.release("x-1")
    >>> "x-1" in registry.steps
    False
    """

    def __init__(self) -> None:
        self.steps: dict[Key, Step] = {}
        self.runs: dict[Key, Run] = {}
        self.taken: dict[Key, Taken] = {}
        self.readers: dict[Key, Key] = {}
        self.read: dict[Key, Future[Any]] = {}
        self.again: dict[Key, Future[Any]] = {}
        self._reading: set[Key] = set()
        self._needed: Counter[Key] = Counter()

    def add(self, run: Run, fresh: Iterable[Key], nodes: Mapping[Key, GraphNode]) -> None:
        """Remember a run, the keys whose futures come from it (`fresh`), and the nodes that were sent for it."""
        for key in fresh:
            step = run.plan.details.get(key)
            if step is not None:
                self.steps[key] = Step(step.key, step.reason, packed=step.packed)
            self.runs[key] = run
        for key, node in nodes.items():
            if key not in self.taken:
                step = run.plan.details.get(key)
                self.taken[key] = Taken(node, step.key if step is not None else None, run.name)
                for needed in node.dependencies:
                    self._needed[needed] += 1
        run.sent.update(nodes)

    def replace(self, run: Run, keys: Iterable[Key], nodes: Mapping[Key, GraphNode]) -> None:
        """Remember nodes that were sent again for a run; those of `keys` replace the nodes before."""
        before = [self.taken.pop(key) for key in keys if key in self.taken]
        self.add(run, (), nodes)
        for taken in before:
            self._let_go_of(taken.node.dependencies)

    def keep_read(self, key: Key, reader: Future[Any]) -> None:
        """Hold the future of a task that reads an unread hit as long as the hit has a future; else not at all."""
        if key in self.runs:
            self.read[key] = reader
            self._reading.add(reader.key)
        else:
            self.readers.pop(key, None)

    def let_go(self, run: Run) -> None:
        """Release the futures of earlier graphs that only unread hits of a run depend on, if their graphs are known."""
        nodes = run.lowered.nodes
        outside = {key for node in nodes.values() for key in node.dependencies} - nodes.keys()
        before = (self.runs.get(key) for key in outside)
        run.origin = origin_of(run.lowered, run.options, (each.origin if each is not None else None for each in before))
        if run.origin is None:
            return
        unread = {key for key, step in run.plan.steps.items() if step.unread}
        needed = {key for name, node in nodes.items() if name not in unread for key in node.dependencies}
        run.pinned = {key: future for key, future in run.pinned.items() if key in needed or key in nodes}

    def release(self, key: Key) -> None:
        """Forget a key whose last future is gone, and a run with its last key."""
        self.steps.pop(key, None)
        self.readers.pop(key, None)
        self.read.pop(key, None)
        self.again.pop(key, None)
        self._reading.discard(key)
        run = self.runs.pop(key, None)
        if not self._needed[key] and (taken := self.taken.pop(key, None)) is not None:
            self._let_go_of(taken.node.dependencies)
        if run is None:
            return
        run.alive.discard(key)
        step = run.plan.steps.get(key)
        if key in run.unfinished and step is not None and step.action is Action.RUN:
            step.action = Action.PRUNED  # released before it finished; if it ran all the same, its record says so
        run.finish(key)
        if not run.alive:
            run.sent.clear()

    def clear(self) -> None:
        """Forget everything, as the scheduler does when it restarts."""
        for run in set(self.runs.values()):
            run.alive.clear()
            run.unfinished.clear()
            run.pinned.clear()
        for table in (
            self.steps,
            self.runs,
            self.taken,
            self.readers,
            self.read,
            self.again,
            self._reading,
            self._needed,
        ):
            table.clear()

    def holds_any(self) -> bool:
        """Tell whether there is any unread hit."""
        return any(is_held(taken.node) for taken in self.taken.values())

    def is_held(self, key: Key) -> bool:
        """Tell whether a key is an unread hit."""
        return key in self.taken and is_held(self.taken[key].node)

    def load_of(self, key: Key) -> Load | None:
        """Return the load of an unread hit; None if the key is not one."""
        node = self.taken[key].node if key in self.taken else None
        return node.func.load if isinstance(node, Task) and isinstance(node.func, Hold) else None

    def _let_go_of(self, keys: Iterable[Key]) -> None:
        """Forget, as dask does, the nodes that no future wants and no other node depends on; and so on upwards."""
        waiting = list(keys)
        while waiting:
            key = waiting.pop()
            self._needed[key] -= 1
            if not self._needed[key]:
                del self._needed[key]
                wanted = key in self.runs or key in self._reading
                if not wanted and (taken := self.taken.pop(key, None)) is not None:
                    waiting.extend(taken.node.dependencies)

    def get(self, key: Key) -> Step | None:
        """Return the step behind a key that has a future, or that the scheduler may still have."""
        found = self.steps.get(key)
        if found is None and (taken := self.taken.get(key)) is not None:
            found = Step(taken.step_key, "" if taken.step_key else "it was uncacheable in an earlier graph")
        return found

    def step_key_of(self, key: Key) -> str | None:
        """Return the step key behind a key, in hexadecimal; None if its step is uncacheable or unknown."""
        step = self.get(key)
        return step.key.hex() if step is not None and step.key is not None else None

    def closure(self, keys: Iterable[Key]) -> dict[Key, GraphNode]:
        """Return the nodes that the scheduler has for these keys, and for all keys that they depend on."""
        found: dict[Key, GraphNode] = {}
        waiting = list(keys)
        while waiting:
            key = waiting.pop()
            if key not in found and key in self.taken:
                found[key] = self.taken[key].node
                waiting.extend(found[key].dependencies)
        return found
