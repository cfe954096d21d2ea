"""A disk that is full, and clocks that are wrong."""

from __future__ import annotations

import errno
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cachingclient.storage import StoreError, open_store, prune, verify
from cachingclient.storage.files.layout import step_name
from tests.faults.processes import is_right, value_of
from tests.support.entries import entry, new_key


def test_a_full_disk_refuses_and_keeps_what_it_has(small_disk: Path) -> None:
    """What was kept stays whole, what does not fit leaves nothing behind, and room made is used."""
    store = open_store(small_disk / "cache")
    keys = [new_key() for _ in range(100)]
    told = []
    refused = 0
    for number, key in enumerate(keys):
        try:
            store.write(entry(value_of(key, big=number % 2 == 1), key))
            told.append(key)
        except StoreError as error:
            assert "No space left" in str(error)  # noqa: PT017  some fit, some don't
            refused += 1
    assert refused > 10
    found = store.find(keys)
    assert found.keys() == set(told)
    assert all(is_right(key, store.read(info)) for key, info in found.items())
    assert verify(store).sound
    assert store.totals()["temporary"] == (0, 0)
    prune(store, max_size=500_000, grace=-10)
    assert store.write(entry(np.zeros(100_000, "u1")))


@pytest.mark.parametrize("call", ["open", "writev", "close", "link", "replace", "mkdir"])
def test_a_quota_that_is_reached_at_any_call(cache_folder: Path, call: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing half written stays. A mock: few kernels have quotas, and NFS tells of one as late as at the close."""
    store = open_store(cache_folder)
    store.write(entry(np.arange(40_000)))
    real = getattr(os, call)
    refused = [entry(1), entry(np.arange(40_000) + 1)]

    def limited(*arguments: Any, **keywords: Any) -> Any:
        if call == "open" and not arguments[1] & os.O_CREAT:
            return real(*arguments, **keywords)
        if call == "close":
            real(*arguments)
        raise OSError(errno.EDQUOT, "Disk quota exceeded")

    for path in cache_folder.glob("v1/*/*"):
        if path.is_dir() and not any(path.iterdir()):
            path.rmdir()
    monkeypatch.setattr(os, call, limited)
    told = 0
    for each in refused:
        try:
            told += store.write(each)
        except StoreError as error:
            assert "quota" in str(error)  # noqa: PT017  not each makes each call
    monkeypatch.undo()
    found = store.find([each.keys[0] for each in refused])
    assert len(found) == told < 2
    assert verify(store).sound
    assert store.totals()["temporary"] == (0, 0)
    assert all(map(store.write, [each for each in refused if each.keys[0] not in found]))


@pytest.mark.parametrize("skew", [-10 * 86400.0, 10 * 86400.0], ids=["behind", "ahead"])
def test_clocks_that_differ_cost_no_result(cache_folder: Path, skew: float) -> None:
    """Entries of a host whose clock is days off are found, and removed by age at the worst too early or too late."""
    store = open_store(cache_folder)
    skewed, straight = entry(1), entry(2)
    for each in (skewed, straight):
        store.write(each)
    at = time.time() + skew
    os.utime(cache_folder / step_name(skewed.keys[0]), (at, at))
    assert store.find([*skewed.keys, *straight.keys]).keys() == {*skewed.keys, *straight.keys}
    prune(store, older_than=5 * 86400)
    assert store.find(straight.keys)
    assert bool(store.find(skewed.keys)) == (skew > 0)
