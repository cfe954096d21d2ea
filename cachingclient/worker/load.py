"""Kept results are loaded by tasks of their own (`Load`), or by the step that needs them (`RunOnLoaded`)."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from distributed.worker import thread_state

from cachingclient.graph import Key, Task
from cachingclient.hashing.inputs.trace import Trace
from cachingclient.plan.lookup import AT_ONCE, surroundings
from cachingclient.plan.record import StepRecord
from cachingclient.plan.user_classes import Source, UserClasses, from_modules, sent
from cachingclient.storage import EntryInfo, EntryLost, Store
from cachingclient.worker.context import Context
from cachingclient.worker.process import process
from cachingclient.worker.shared_arguments import read_for_task

MOST_AT_ONCE = 32
"""How many results one task reads at the same time from a remote store."""


@dataclass(slots=True)
class Load:
    """A task that reads a kept result.

    Attributes
    ----------
    key
        The step key.
    info
        What is needed to read the entry; None to look it up first.
    name
        The step's name.
    context
        What it shares with the other steps of the graph.
    known_as
        Its key in the user's graph, where it was sent under another.
    classes
        The client's own classes that the entry refers to, pickled.
    filed_as
        The key under which the entry is, if not the step key: others were made in other surroundings.
    trace
        The part of the entry's trace that the client could not compare with how it is where the entry is loaded.

    Raises
    ------
    EntryLost
        If the entry is gone or damaged: the client then has the step run after all.
    """

    key: str
    info: EntryInfo | None
    name: str
    context: Context
    known_as: Key | None = None
    classes: bytes | None = None
    filed_as: str = ""
    trace: Trace = field(default_factory=Trace)

    @property
    def __name__(self) -> str:
        return f"load-{self.name}"

    @property
    def entries(self) -> tuple[str, ...]:
        """The step keys of the entries that are read."""
        return (self.key,)

    def __call__(self) -> Any:
        """Return the kept result, and tell the client."""
        return load_all([self])[0]


@dataclass(slots=True)
class RunOnLoaded:
    """A task that reads kept results and runs its step on them: they need no tasks of their own, and no transfer.

    Attributes
    ----------
    task
        The task of the step, with all of its inputs as dependencies.
    given
        The keys of those inputs that are still dependencies, in the order of the arguments.
    loads
        The loads of the other inputs, by their keys.
    """

    task: Task
    given: tuple[Key, ...]
    loads: dict[Key, Load]

    @property
    def __name__(self) -> str:
        name: str = self.task.func.__name__
        return name

    @property
    def entries(self) -> tuple[str, ...]:
        """The step keys of the entries that are read."""
        return tuple(load.key for load in self.loads.values())

    def __call__(self, *results: Any) -> Any:
        """Read the kept inputs and run the step."""
        read = load_all(list(self.loads.values()))
        token = read_for_task.set(tuple(read))
        try:
            return self.task(dict(zip((*self.given, *self.loads), (*results, *read), strict=True)))
        finally:
            read_for_task.reset(token)


@dataclass(frozen=True, slots=True)
class Loaded:
    """A result that was read, with its description and the seconds that reading it took."""

    value: Any
    info: EntryInfo
    seconds: float

    def record(self, load: Load) -> StepRecord:
        """Return the record of the load."""
        key = load.known_as if load.known_as is not None else getattr(thread_state, "key", load.name)
        return StepRecord(key, load.name, "loaded", self.seconds, self.info.nbytes, saved=self.info.seconds, sound=True)


def load_all(loads: Sequence[Load]) -> list[Any]:
    """Return kept results, and tell the client.

    Raises
    ------
    EntryLost
        If an entry is gone or damaged; it names all that are.
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


def read_all(loads: Sequence[Load], *sources: Source) -> list[Loaded | EntryLost]:
    """Return kept results of one store; in the place of one whose entry is lost, an `EntryLost`.

    The classes that the results refer to are looked for in these sources first.
    """
    store = loads[0].context.here
    infos = {load.key: load.info for load in loads if load.info is not None}
    unknown = {load.filed_as or load.key: load.key for load in loads if load.info is None}
    try:
        infos |= {unknown[name]: info for name, info in store.find(unknown).items()} if unknown else {}
    except Exception as error:
        return [EntryLost(load.key, f"{type(error).__name__}: {error}") for load in loads]
    nbytes = sum(info.nbytes for info in infos.values()) // len(loads)
    if len(loads) == 1 or store.load_cost(nbytes) < AT_ONCE:
        found = [_read(load, infos, store, sources) for load in loads]
    else:
        with ThreadPoolExecutor(min(len(loads), MOST_AT_ONCE), "cachingclient-load") as pool:
            found = list(pool.map(lambda load: _read(load, infos, store, sources), loads))
    with contextlib.suppress(Exception):
        read = (load for load, one in zip(loads, found, strict=True) if isinstance(one, Loaded))
        store.touch([load.filed_as or load.key for load in read])
    return found


def _read(load: Load, infos: Mapping[str, EntryInfo], store: Store, sources: tuple[Source, ...]) -> Loaded | EntryLost:
    start = time.perf_counter()
    key = load.key
    if key not in infos:
        return EntryLost(key, "it was deleted after it was planned to be loaded")
    try:
        if load.trace and (difference := surroundings(store).differences([load.trace])[0]):
            return EntryLost(key, f"{difference}, as is seen where it is loaded")
        classes = UserClasses(load.context.environment, *sources, sent(load.classes), from_modules)
        value = store.read(infos[key], classes)
    except EntryLost as error:
        return EntryLost(key, error.why)
    except Exception as error:
        return EntryLost(key, f"{type(error).__name__}: {error}")
    return Loaded(value, infos[key], time.perf_counter() - start)
