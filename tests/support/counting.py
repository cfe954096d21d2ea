"""Steps in plain Python with a store of each test's own, and a count of what ran."""

from __future__ import annotations

from collections.abc import Iterator

import dask
import pytest

from cachingclient.warn_once import NoteKeeper
from cachingclient.worker import direct_call as calls
from cachingclient.worker.context import configured_context
from cachingclient.worker.process import process
from cachingclient.worker.recent_results import recent_results


@pytest.fixture(autouse=True)
def in_plain_python(store_url: str) -> Iterator[None]:
    """Steps use this test's store, with nothing in memory, and keep all results."""

    def forget() -> None:
        configured_context.cache_clear()
        recent_results().clear()
        process().not_worth.clear()
        calls._unknown.clear()
        calls._notes = NoteKeeper()

    forget()
    with dask.config.set({"cachingclient.store": store_url, "cachingclient.policy": "all"}):
        yield
    forget()


class Counter:
    """Counts calls without being part of any key."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> None:
        """Count one more."""
        self.count += 1

    def __cache_token__(self) -> str:
        return "a counter"


counter = Counter()


@pytest.fixture(autouse=True)
def count_from_zero() -> None:
    """Each test counts its own calls."""
    counter.count = 0


def as_in_another_process() -> None:
    """Forget what this process remembers of results; what is in the store stays."""
    process().writer.flush()
    recent_results().clear()
