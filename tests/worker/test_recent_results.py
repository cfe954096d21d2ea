"""The results that a process remembers: as bytes, the least recently used dropped first."""

from __future__ import annotations

import gc
import weakref

import dask
import numpy as np

from cachingclient.storage import encode
from cachingclient.worker.recent_results import RecentResults, recent_results


def test_memory_is_bounded_by_bytes() -> None:
    """The least recently used results are dropped when the room is used up; a large one is not held at all."""
    payload = encode(b"x" * 1000)
    recent = RecentResults(most_bytes=4 * payload.nbytes)
    for key in "abcd":
        recent.add(key, payload)
    assert recent.get("a")[:2] == (b"x" * 1000, 0.0)
    recent.add("e", payload)
    assert [key in recent for key in "abcde"] == [True, False, True, True, True]
    recent.add("f", encode(b"x" * 2000))
    assert "f" not in recent
    assert recent.nbytes <= recent.most_bytes


def test_memory_is_as_large_as_the_setting_says() -> None:
    """With none, equal calls run again and results are right."""
    with dask.config.set({"cachingclient.recent-results": 0}):
        recent_results.cache_clear()
        recent_results().add("ab" * 16, encode([1]))
        assert len(recent_results()) == 0
    recent_results.cache_clear()
    assert recent_results().most_bytes == 256_000_000


def test_memory_holds_nothing_alive() -> None:
    """Results are held as bytes: the arrays that went in are free to go."""
    values = np.arange(10)
    reference = weakref.ref(values)
    recent = RecentResults(most_bytes=10**6)
    recent.add("a", encode(values))
    del values
    gc.collect()
    assert reference() is None
    assert recent.get("a")[0].tolist() == list(range(10))
