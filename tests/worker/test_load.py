"""Kept results are read many at once, and those that can't be had are told of together."""

from __future__ import annotations

import threading
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cachingclient.graph import Task, TaskRef
from cachingclient.storage import EntryInfo, EntryLost, Store, open_store
from cachingclient.worker.context import Context
from cachingclient.worker.load import Load, RunOnLoaded, load_all, read_all
from cachingclient.worker.tasks import RunAndKeep

COUNT = 6


def block(number: int) -> np.ndarray:
    return np.full(20_000, number)


def merged(*parts: Any) -> float:
    return float(sum(np.sum(part) for part in parts))


def test_seconds_are_the_steps_own(store_url: str, cache_folder: Path) -> None:
    """What reading takes is told of what is read; the step is weighed by what it took itself."""
    context = Context("test/1", open_store(store_url), *_settings())
    keep(context, 1, block(1))
    read = read_all([Load(_key(1), None, "block", context)])[0]
    assert not isinstance(read, EntryLost)
    assert read.seconds > 0
    assert read.record(Load(_key(1), None, "block", context, "block-1")).key == "block-1"


def _settings() -> tuple[Any, ...]:
    from cachingclient.hashing.environment.environment import Environment
    from cachingclient.plan.policy import KeepAll

    return KeepAll(), Environment(), "stat"


def _key(number: int) -> str:
    return bytes([number] * 16).hex()


def keep(context: Context, number: int, value: Any) -> None:
    """Put a value into a store."""
    from cachingclient.storage import Entry, encode

    assert context.store.write(Entry((_key(number),), "result", "block", 1.0, {}, encode(value)))


def test_all_that_is_lost_is_told_at_once(store_url: str) -> None:
    """One error names every entry that can't be had, so that one more attempt is enough."""
    context = Context("test/1", open_store(store_url), *_settings())
    keep(context, 2, 5)
    loads = [Load(_key(number), None, "block", context) for number in range(4)]
    with pytest.raises(EntryLost) as caught:
        load_all(loads)
    assert {caught.value.key, *caught.value.others} == {_key(0), _key(1), _key(3)}


class Meeting:
    """A store that is far away, and in which nobody's reading ends before that of others has begun."""

    def __init__(self, store: Store, count: int) -> None:
        self._store, self._all = store, threading.Barrier(count, timeout=300)
        self.latency = 0.02
        self.touched: list[list[str]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def load_cost(self, nbytes: int) -> float:
        return self.latency

    def read(self, info: EntryInfo, *classes: Any) -> Any:
        self._all.wait()
        return self._store.read(info, *classes)

    def touch(self, keys: Any) -> None:
        self.touched.append(list(keys))


def test_far_stores_are_asked_for_all_at_once(store_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where each read takes a round trip they are made together, and their use is noted once."""
    inner = open_store(store_url)
    store: Any = Meeting(inner, COUNT)
    context = Context("test/1", store, *_settings())
    for number in range(COUNT):
        keep(context, number, number * 2)
    loads = [Load(_key(number), None, "block", context) for number in range(COUNT)]
    assert load_all(loads) == [0, 2, 4, 6, 8, 10]
    assert [sorted(keys) for keys in store.touched] == [[_key(number) for number in range(COUNT)]]


def test_a_step_that_reads_is_named_as_itself(store_url: str) -> None:
    """Dashboards and profiles show the user's function."""
    context = Context("test/1", open_store(store_url), *_settings())
    task = Task("top", RunAndKeep(merged, None, None, "merged", context), TaskRef("a"))
    assert RunOnLoaded(task, (), {"a": Load(_key(1), None, "block", context, "a")}).__name__ == "merged"
    assert itemgetter(0)(list(task.dependencies)) == "a"
