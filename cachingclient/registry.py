"""What this client has sent and still answers for: the steps behind its futures, and the runs they belong to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from distributed import Future

from cachingclient.graph import GraphNode, Key, Lowered, Task
from cachingclient.hashing.identities import Step
from cachingclient.lazy import Hold, is_held
from cachingclient.loading import Load
from cachingclient.origins import Origin, origin_of
from cachingclient.plan import Action, Plan
from cachingclient.report import RunReport


@dataclass(eq=False)
class Run:
    """One graph that was sent. It is kept while a future of it lives, since its entries may turn out to be lost.

    Attributes
    ----------
    name, number
        The client's id and a number; the number.
    lowered
        The graph as the user gave it.
    plan, report
        What was planned, and what was done.
    options
        How it was sent: priorities, retries, resources and so on.
    sent
        The nodes that the scheduler got.
    alive
        The keys whose futures live.
    impure, unkept
        Keys that the user excluded.
    lost
        The step keys whose entries turned out to be lost.
    attempts
        How often it was sent again.
    pinned
        Futures of earlier graphs that this one takes results from: not to be released before it is done.
    unfinished
        The keys that are not done.
    origin
        What its results are made from, as graphs; None if these are not enough, or no more needed.
    """

    name: str
    number: int
    lowered: Lowered
    plan: Plan
    report: RunReport
    options: Mapping[str, Any]
    alive: set[Key]
    impure: frozenset[Key] = frozenset()
    unkept: frozenset[Key] = frozenset()
    lost: set[str] = field(default_factory=set)
    attempts: int = 0
    sent: dict[Key, GraphNode] = field(default_factory=dict)
    pinned: dict[Key, Future[Any]] = field(default_factory=dict)
    unfinished: set[Key] = field(default_factory=set)
    origin: Origin | None = None

    def finish(self, key: Key) -> None:
        """Note that a key is done, one way or another; with the last, futures of earlier graphs may go."""
        self.unfinished.discard(key)
        if not self.unfinished:
            self.pinned.clear()
            self.origin = None


@dataclass(frozen=True, slots=True)
class Taken:
    """A node that the scheduler may still hold under its key, and the step it stands for."""

    node: GraphNode
    step_key: bytes | None


class Registry:
    r"""Finds steps and runs by key, and forgets them with the last future that needs them.

    Attributes
    ----------
    steps
        The step behind each key that has a future.
    runs
        The run behind each key that has a future.
    taken
        What the scheduler holds: the first node sent under a key counts, as it does for the scheduler, and stays until
        nobody wants it and nothing there is computed from it.
    readers
        The task that reads each key that the scheduler holds unread, once something needed it.
    read
        The futures of those tasks: what was read stays as long as the future of its key.
    again
        The futures of what was held, turned out to be lost and is computed again under another key.

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
        """Take over what was sent for a run; `fresh` are the keys whose futures it answers for."""
        for key in fresh:
            step = run.plan.details.get(key)
            if step is not None:
                self.steps[key] = Step(step.key, step.reason)
            self.runs[key] = run
        for key, node in nodes.items():
            if key not in self.taken:
                step = run.plan.details.get(key)
                self.taken[key] = Taken(node, step.key if step is not None else None)
                self._needed.update(node.dependencies)
        run.sent.update(nodes)

    def replace(self, run: Run, keys: Iterable[Key], nodes: Mapping[Key, GraphNode]) -> None:
        """Take over what was sent for a run anew, some of it in the place of what was there under its keys."""
        before = [self.taken.pop(key) for key in keys if key in self.taken]
        self.add(run, (), nodes)
        for taken in before:
            self._let_go_of(taken.node.dependencies)

    def keep_read(self, key: Key, reader: Future[Any]) -> None:
        """Have what was read stay as long as the future of its key; without one it goes with those that take it."""
        if key in self.runs:
            self.read[key] = reader
            self._reading.add(reader.key)
        else:
            self.readers.pop(key, None)

    def let_go(self, run: Run) -> None:
        """Let go of futures that nothing but unread hits of a run comes after, if graphs can replace them."""
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
        """Forget a key whose last future is gone, and its run with the last key of it."""
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
            step.action = Action.PRUNED  # nobody waited for it; if it ran all the same, its record says so
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
        """Tell whether the scheduler holds anything unread."""
        return any(is_held(taken.node) for taken in self.taken.values())

    def is_held(self, key: Key) -> bool:
        """Tell whether the scheduler holds a key unread."""
        return key in self.taken and is_held(self.taken[key].node)

    def load_of(self, key: Key) -> Load | None:
        """Return how to read a result that the scheduler holds unread; None if it does not."""
        node = self.taken[key].node if key in self.taken else None
        return node.func.load if isinstance(node, Task) and isinstance(node.func, Hold) else None

    def _let_go_of(self, keys: Iterable[Key]) -> None:
        """Forget what nobody wants once nothing is computed from it, and what that is computed from, as dask does."""
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
        """Return the step behind a key that has a future, or that the scheduler may hold."""
        found = self.steps.get(key)
        if found is None and (taken := self.taken.get(key)) is not None:
            found = Step(taken.step_key, "" if taken.step_key else "it was uncacheable in an earlier graph")
        return found

    def closure(self, keys: Iterable[Key]) -> dict[Key, GraphNode]:
        """Return the nodes that the scheduler has for these keys and all that they need."""
        found: dict[Key, GraphNode] = {}
        waiting = list(keys)
        while waiting:
            key = waiting.pop()
            if key not in found and key in self.taken:
                found[key] = self.taken[key].node
                waiting.extend(found[key].dependencies)
        return found
