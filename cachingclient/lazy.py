"""Hits that nobody may need: the scheduler holds where such a result is kept, and it is read when somebody takes it.

A chain of ``client.map`` calls is sent a call at a time, so what a call finds is often needed by nothing but calls
that are found too. Such a hit is sent as a `Hold`, a task that gives a `Kept`. A graph that needs the result reads it
itself, or takes it through a task that `resolve`s it, and the client reads it itself when it gathers.

Others must not meet a `Kept`: when it leaves its worker the result arrives in its place, and workers see to those who
come upon the same key (`strangers`).
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from distributed import Worker, get_worker

from cachingclient.graph import GraphNode
from cachingclient.loading import Load
from cachingclient.storage import EntryInfo

READER = "read-kept-"
"""How the keys of the tasks begin that read for the graphs of their own client."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A result that is in a store, in the place of the result."""

    load: Load

    def __reduce__(self) -> Any:
        return _arrived, (self.load,)


@dataclass(frozen=True, slots=True)
class Hold:
    """A task that gives a result as it is kept, without reading it."""

    load: Load

    @property
    def __name__(self) -> str:
        return f"hold-{self.load.name}"

    def __call__(self) -> Kept:
        """Return where the result is."""
        try:
            worker = get_worker()
        except ValueError:
            return Kept(self.load)  # this is no worker of dask: what is here leaves it before it is used
        see_to_others(worker)
        return Kept(self.load)


def resolve(value: Any) -> Any:
    """Return the result, read if it is only kept.

    Examples
    --------
    >>> resolve(7)
    7
    """
    return value.load() if type(value) is Kept else value


def type_known(info: EntryInfo) -> type | None:
    """Return the type of a kept result, by its description; None unless that is imported here: none is for this.

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


def is_held(node: GraphNode | None) -> bool:
    """Tell whether a node that was sent gives no result but where it is kept."""
    return isinstance(getattr(node, "func", None), Hold)


def see_to_others(worker: Worker) -> None:
    """Have a worker give the result to who knows nothing of stores."""
    from cachingclient.strangers import ReadForOthers  # which knows this module

    if ReadForOthers.name not in worker.plugins:
        worker.loop.add_callback(worker.plugin_add, ReadForOthers(), ReadForOthers.name)


def _arrived(load: Load) -> Any:
    """Return what arrives in another process: the result, for those who know nothing of stores."""
    try:
        return load()
    except Exception:
        workers = list(Worker._instances)
        if not workers:
            raise
        # An error here would look like a broken connection; the task that needs the result raises it again.
        for worker in workers:
            see_to_others(worker)
        return Kept(load)
