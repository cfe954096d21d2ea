"""What goes when room is made, and what stays."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pytest

from cachingclient.storage import Entry, Store, encode, open_store
from cachingclient.storage.files.layout import blob_name, step_name
from cachingclient.storage.maintenance.prune import pin, prune
from tests.support.entries import entry, new_key

DAY = 86400.0


def keep(store: Store, name: str, days: float, *, kb: int = 100, seconds: float = 1.0) -> str:
    """Keep a result that was last used so many days ago; returns its key."""
    key = new_key()
    store.write(Entry((key,), "result", name, seconds, {}, encode(np.frombuffer(os.urandom(kb * 1000), "u1"))))
    used = time.time() - days * DAY
    os.utime(Path(store.url.removeprefix("file://")) / step_name(key), (used, used))
    return key


@pytest.fixture
def store(store_url: str) -> Store:
    return open_store(store_url)


def left(store: Store) -> set[str]:
    """The keys that are still there."""
    return {info.key for info in store.scan()}


def test_old_entries_go(store: Store) -> None:
    """Those not used for longer than asked, and their blobs."""
    keep(store, "select", 40)
    recent = keep(store, "select", 20)
    report = prune(store, older_than=30 * DAY)
    assert (report.entries, report.steps) == (1, {"select": 1})
    assert left(store) == {recent}
    assert store.totals()["blobs"][0] == 1


def test_a_dry_run_removes_nothing(store: Store) -> None:
    """It reports the same as the real one."""
    keep(store, "select", 40)
    dry, real = prune(store, older_than=DAY, dry_run=True), prune(store, older_than=DAY)
    dry.dry_run = False
    assert dry == real
    assert left(store) == set()


def test_the_least_recently_used_go_until_it_fits(store: Store) -> None:
    """A size limit removes the oldest first and no more than needed."""
    keys = [keep(store, "step", days) for days in (5, 4, 3, 2, 1)]
    prune(store, max_size=250_000)
    assert left(store) == set(keys[-2:])


def test_of_equally_old_entries_the_cheap_ones_go_first(store: Store) -> None:
    """What saves more seconds a byte stays."""
    at = time.time() // 3600 * 3600 - DAY
    dear, cheap = (keep(store, "step", 1, seconds=seconds) for seconds in (100, 1))
    for key in (dear, cheap):
        os.utime(Path(store.url.removeprefix("file://")) / step_name(key), (at, at))
    prune(store, max_size=150_000)
    assert left(store) == {dear}


def test_the_last_of_each_step_stay(store: Store) -> None:
    """``keep_last`` counts by step, alone and against ``older_than``."""
    selects = [keep(store, "select", days) for days in (50, 40, 1)]
    fill = keep(store, "fill", 60)
    prune(store, older_than=30 * DAY, keep_last=1)
    assert left(store) == {selects[-1], fill}
    newer = keep(store, "fill", 2)
    prune(store, keep_last=1)
    assert left(store) == {selects[-1], newer}


def test_only_the_steps_asked_for_go(store: Store) -> None:
    """A pattern restricts everything else."""
    keep(store, "select_jets", 40)
    other = keep(store, "fill", 40)
    prune(store, older_than=0, step="select*")
    assert left(store) == {other}


def test_pinned_entries_stay(store: Store) -> None:
    """Until they are unpinned."""
    pinned = keep(store, "select", 40)
    pin(store, [pinned])
    report = prune(store, older_than=0)
    assert (report.entries, report.kept_entries) == (0, 1)
    assert left(store) == {pinned}
    pin(store, [pinned], pinned=False)
    prune(store, older_than=0)
    assert left(store) == set()


def test_a_shared_blob_is_counted_once(store: Store) -> None:
    """Two entries with equal results take little more room than one."""
    for _ in range(2):
        store.write(entry(np.arange(50_000)))
    assert prune(store, max_size=450_000, dry_run=True).entries == 0
    report = prune(store, max_size=0)
    assert (report.entries, report.nbytes // 100_000, report.kept_nbytes) == (2, 4, 0)


def test_orphans_are_collected_after_a_while(store: Store, cache_folder: Path) -> None:
    """Blobs without a description and abandoned files go; young ones and those in use stay."""
    kept = entry(np.arange(40_000))
    store.write(kept)
    lone = entry(np.ones(40_000))
    store.write(lone)
    (cache_folder / step_name(lone.keys[0])).unlink()
    abandoned = cache_folder / "v1" / "tmp" / "host-1-1"
    abandoned.write_text("half")
    assert prune(store, older_than=DAY).orphans == 0
    report = prune(store, older_than=DAY, grace=-10)
    assert (report.orphans, report.orphan_nbytes) == (2, lone.encoded.nbytes + 4)
    assert not abandoned.exists()
    assert (cache_folder / blob_name(kept.encoded.digest)).exists()
    assert not (cache_folder / blob_name(lone.encoded.digest)).exists()


def test_an_entry_whose_own_key_is_gone_is_listed_and_goes(store: Store, cache_folder: Path) -> None:
    """A content key that was left behind alone counts as an entry."""
    kept = entry(1, new_key(), new_key())
    store.write(kept)
    (cache_folder / step_name(kept.keys[0])).unlink()
    assert left(store) == {kept.keys[1]}
    prune(store, older_than=0)
    assert store.find(kept.keys) == {}


@pytest.mark.parametrize("argument", ["max_size", "older_than", "keep_last"])
def test_negative_limits_are_refused(store: Store, argument: str) -> None:
    """The error names the argument."""
    with pytest.raises(ValueError, match=f"{argument}=-1"):
        prune(store, **{argument: -1})
