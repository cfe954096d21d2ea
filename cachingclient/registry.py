"""What this client has sent and still answers for: the steps behind its futures, and the runs they belong to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from cachingclient.graph import GraphNode, Key, Lowered
from cachingclient.hashing.merkle import Step
from cachingclient.planner import Plan
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
    """

    name: str
    number: int
    lowered: Lowered
    plan: Plan
    report: RunReport
    options: Mapping[str, Any]
    sent: dict[Key, GraphNode]
    alive: set[Key]
    impure: frozenset[Key] = frozenset()
    unkept: frozenset[Key] = frozenset()
    lost: set[str] = field(default_factory=set)
    attempts: int = 0


class Registry:
    """Finds steps and runs by key, and forgets them with the last future that needs them.

    Examples
    --------
    >>> registry = Registry()
    >>> registry.steps["x-1"] = Step(b"\\0" * 16)
    >>> registry.release("x-1")
    >>> "x-1" in registry.steps
    False
    """

    def __init__(self) -> None:
        self.steps: dict[Key, Step] = {}
        self.taken: dict[Key, GraphNode] = {}
        self.runs: dict[Key, Run] = {}
        self._owners: dict[Key, Run] = {}

    def add(self, run: Run, fresh: Iterable[Key]) -> None:
        """Take over a run that was sent; `fresh` are the keys whose futures it answers for."""
        for key in fresh:
            step = run.plan.details.get(key)
            if step is not None:
                self.steps[key] = step
            self.runs[key] = run
        self.extend(run, run.sent)

    def extend(self, run: Run, nodes: Mapping[Key, GraphNode]) -> None:
        """Note nodes that were sent for a run."""
        run.sent.update(nodes)
        self.taken.update(nodes)
        self._owners.update(dict.fromkeys(nodes, run))

    def release(self, key: Key) -> None:
        """Forget a key whose last future is gone, and its run with the last key of it."""
        self.steps.pop(key, None)
        run = self.runs.pop(key, None)
        if run is None:
            return
        run.alive.discard(key)
        if not run.alive:
            for sent in run.sent:
                if self._owners.get(sent) is run:
                    del self._owners[sent]
                    del self.taken[sent]


