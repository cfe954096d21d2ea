"""Steps made here and run as a worker runs them, and what they record."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from cachingclient.hashing.keys import Code
from cachingclient.hashing.step_keys import Merkle
from cachingclient.plan.record import StepRecord
from cachingclient.storage import EntryInfo, Store
from cachingclient.worker.context import Context
from cachingclient.worker.process import process
from cachingclient.worker.tasks import RunAndKeep


def code_of(function: Callable[..., Any]) -> Code:
    code = Merkle({}).code(function)
    assert isinstance(code, Code)
    return code


def step(function: Callable[..., Any], context: Context, key: int = 1, **options: Any) -> RunAndKeep:
    options = {"code": code_of(function).digest} | options
    return RunAndKeep(function, bytes([key] * 16), name=function.__name__, context=context, **options)


class Heard:
    """What was recorded, which outside a worker has nowhere to go."""

    def __init__(self) -> None:
        self.all: list[StepRecord] = []

    def __call__(self, records: Mapping[str, list[StepRecord]]) -> None:
        for made in records.values():
            self.all += made

    def take(self) -> list[StepRecord]:
        """The records since the last time, once all is written."""
        process().writer.flush()
        taken, self.all = self.all, []
        return taken


def find(store: Store, key: int = 1) -> EntryInfo | None:
    """The entry that a step of this key has kept: it is under its content key until a client files it."""
    name = bytes([key] * 16).hex()
    found = next((info for info in store.scan() if name in info.keys), None)
    return None if found is None else store.find([found.key])[found.key]
