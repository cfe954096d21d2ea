"""Results on their way to the user: the client reads unread hits itself, and names scattered data by its content."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from distributed import Future

from cachingclient.client.port import Port
from cachingclient.client.recovery import Recovery
from cachingclient.client.reports import Records
from cachingclient.client.sent import Registry
from cachingclient.graph import Key
from cachingclient.hashing.keys import Step
from cachingclient.hashing.step_keys import Merkle
from cachingclient.plan.record import StepRecord
from cachingclient.plan.sums import SUMS, sums_of
from cachingclient.plan.user_classes import from_script
from cachingclient.storage import EntryLost
from cachingclient.worker.held import type_known
from cachingclient.worker.load import Load, read_all

TELL_EVERY = 1.0
"""Seconds after which the dashboard is told again of what was read."""


class Results:
    """Reads unread hits when the client gathers them, and follows which keys are finished.

    Parameters
    ----------
    port
        The client that gathers.
    registry
        The steps and runs behind the client's futures.
    recovery
        Computes results again whose entries are lost.
    records
        Hears of each result that is read.
    """

    def __init__(self, port: Port, registry: Registry, recovery: Recovery, records: Records) -> None:
        self.port = port
        self.registry = registry
        self.recovery = recovery
        self.records = records
        self._untold: list[StepRecord] = []
        self._told = 0.0

    def finished(self, key: Key) -> None:
        """Let go of what a key's run holds back, if this was the last of its keys to finish or err.

        An unread hit may turn out to be lost, so what it would be computed from stays as long as its future.
        """
        run = self.registry.runs.get(key)
        if run is not None and not self.registry.is_held(key):
            run.finish(key)

    def type_of(self, key: Key, type_on_worker: Any) -> Any:
        """Return the type that a future shows; for an unread hit the worker knows the type of the reference alone."""
        run = self.registry.runs.get(key)
        if run is None or not self.registry.is_held(key):
            return type_on_worker
        info = run.plan.steps[key].info
        if (state := self.port.states.get(key)) is not None and info is not None:
            state.type = type_known(info)
        return None

    def sizes_of(self, keys: Iterable[Key]) -> dict[Key, int]:
        """Return the sizes in bytes of the entries of those of the keys that are unread hits."""
        loads = self.loads_of(keys)
        infos = {key: self.registry.runs[key].plan.steps[key].info for key in loads.keys() & self.registry.runs.keys()}
        return {key: info.nbytes for key, info in infos.items() if info is not None}

    def loads_of(self, keys: Iterable[Key]) -> dict[Key, Load]:
        """Return how to read those of the keys that are unread hits."""
        return {key: load for key in keys if (load := self.registry.load_of(key)) is not None}

    async def read(self, loads: Mapping[Key, Load]) -> dict[Key, Any]:
        """Return the results of unread hits; those whose entries are lost are computed again.

        Raises
        ------
        EntryLost
            If an entry is lost and no run of this client can compute its result.
        """
        found = await asyncio.to_thread(read_all, list(loads.values()), from_script) if loads else []
        values: dict[Key, Any] = {}
        lost: dict[Key, EntryLost] = {}
        began = len(self._untold)
        for (key, load), one in zip(loads.items(), found, strict=True):
            if isinstance(one, EntryLost):
                lost[key] = one
            else:
                values[key] = one.value
                self._untold.append(one.record(load))
                self.records.take(load.context.run, self._untold[-1:])
        if len(self._untold) > began and time.monotonic() - self._told > TELL_EVERY:
            await self.tell()
        return values | await self.recovery.bring_back(lost) if lost else values

    async def tell(self) -> None:
        """Tell the scheduler's dashboard what this process read, as workers tell it what they did."""
        untold, self._untold = self._untold, []
        self._told = time.monotonic()
        if untold:
            with contextlib.suppress(Exception):
                await self.port.log_event(SUMS, sums_of(untold))

    def scattered(self, futures: Any, steps: dict[Any, Step]) -> None:
        """Remember the steps behind futures of scattered data."""
        self.registry.steps.update(steps_of_futures(futures, steps))


def steps_of_data(data: Any, merkle: Merkle) -> dict[Any, Step]:
    """Return the step of each piece of data, taken apart as `distributed.Client.scatter` does.

    Examples
    --------
    >>> sorted(steps_of_data({"a": 1, "b": 2}, Merkle({})))
    ['a', 'b']
    """
    if type(data) is dict:
        return {name: merkle.value(value) for name, value in data.items()}
    if type(data) in (list, tuple) or hasattr(data, "_fields"):
        return {number: merkle.value(value) for number, value in enumerate(data)}
    if type(data) in (set, frozenset):
        return {}  # in what order their futures come is not said
    return {None: merkle.value(data)}


def steps_of_futures(scattered: Any, steps: dict[Any, Step]) -> Iterator[tuple[Key, Step]]:
    """Yield the key of each future that scattering returned, with its step."""
    if isinstance(scattered, Future):
        yield scattered.key, steps[None]
    elif isinstance(scattered, dict):
        yield from ((future.key, steps[name]) for name, future in scattered.items())
    elif len(scattered) == len(steps):
        yield from ((future.key, step) for future, step in zip(scattered, steps.values(), strict=True))
