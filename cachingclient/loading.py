"""Kept results read back on a worker: by a task of its own (`Load`), or by the one that takes them (`RunOnLoaded`)."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from distributed.worker import thread_state

from cachingclient.context import Context
from cachingclient.graph import Key, Task
from cachingclient.lookup import AT_ONCE
from cachingclient.report import StepRecord
from cachingclient.storage import EntryInfo, EntryLost, Store
from cachingclient.worker import process

MOST_AT_ONCE = 32
"""How many results one task reads at the same time from a store that is far."""


@dataclass(slots=True)
class Load:
    """A task that reads a kept result.

    Raises
    ------
    EntryLost
        If it can't be had: the client then has the step run after all.
    """

    key: str
    info: EntryInfo | None
    name: str
    context: Context
    known_as: Key | None = None

    @property
    def __name__(self) -> str:
        return f"load-{self.name}"

    def __call__(self) -> Any:
        """Return the kept result, and tell the client."""
        return load_all([self])[0]


@dataclass(slots=True)
class RunOnLoaded:
    """A task that reads kept results itself and runs its step on them: they are neither scheduled nor moved.

    Attributes
    ----------
    task
        The step as it takes all its inputs from other tasks.
    given
        The keys of those that it still takes so, in their order.
    loads
        How it reads the others, by their keys.
    """

    task: Task
    given: tuple[Key, ...]
    loads: dict[Key, Load]

    @property
    def __name__(self) -> str:
        name: str = self.task.func.__name__
        return name

    def __call__(self, *results: Any) -> Any:
        """Read what is kept and run the step."""
        read = load_all(list(self.loads.values()))
        return self.task(dict(zip((*self.given, *self.loads), (*results, *read), strict=True)))


@dataclass(frozen=True, slots=True)
class Loaded:
    """A result that was read, with its description and the seconds that reading it took."""

    value: Any
    info: EntryInfo
    seconds: float

    def record(self, load: Load) -> StepRecord:
        """Return what to tell of it."""
        key = load.known_as if load.known_as is not None else getattr(thread_state, "key", load.name)
        return StepRecord(key, load.name, "loaded", self.seconds, self.info.nbytes, saved=self.info.seconds)


def load_all(loads: Sequence[Load]) -> list[Any]:
    """Return kept results, and tell the client.

    Raises
    ------
    EntryLost
        If one can't be had; it names all of them.
    """
    values, lost = [], []
    records: dict[str, list[StepRecord]] = {}
    for load, found in zip(loads, read_all(loads), strict=True):
        if isinstance(found, EntryLost):
            lost.append(found)
        else:
            values.append(found.value)
            records.setdefault(load.context.run, []).append(found.record(load))
    if lost:
        raise EntryLost(lost[0].key, lost[0].why, tuple(error.key for error in lost[1:]))
    process().tell(records)
    return values


def read_all(loads: Sequence[Load]) -> list[Loaded | EntryLost]:
    """Return kept results of one store; in the place of one that can't be had, the error that says why."""
    store = loads[0].context.here
    infos = {load.key: load.info for load in loads if load.info is not None}
    unknown = [load.key for load in loads if load.info is None]
    try:
        infos |= store.find(unknown) if unknown else {}
    except Exception as error:
        return [EntryLost(load.key, f"{type(error).__name__}: {error}") for load in loads]
    nbytes = sum(info.nbytes for info in infos.values()) // len(loads)
    if len(loads) == 1 or store.load_cost(nbytes) < AT_ONCE:
        found = [_read(load.key, infos, store) for load in loads]
    else:
        with ThreadPoolExecutor(min(len(loads), MOST_AT_ONCE), "cachingclient-load") as pool:
            found = list(pool.map(lambda load: _read(load.key, infos, store), loads))
    with contextlib.suppress(Exception):
        store.touch([load.key for load, one in zip(loads, found, strict=True) if isinstance(one, Loaded)])
    return found


def _read(key: str, infos: Mapping[str, EntryInfo], store: Store) -> Loaded | EntryLost:
    start = time.perf_counter()
    if key not in infos:
        return EntryLost(key, "it was deleted after it was planned to be loaded")
    try:
        value = store.read(infos[key])
    except EntryLost as error:
        return EntryLost(key, error.why)
    except Exception as error:
        return EntryLost(key, f"{type(error).__name__}: {error}")
    return Loaded(value, infos[key], time.perf_counter() - start)
