"""What is in a store, and whether it is sound."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from cachingclient.storage import open_store
from cachingclient.storage.files.layout import blob_name, step_name
from cachingclient.storage.maintenance.verify import stats, verify
from tests.support.entries import entry


def test_a_sound_store_has_no_problems(cache_folder: Path) -> None:
    """Every entry is read, small and big."""
    store = open_store(cache_folder)
    for value in (1, np.arange(40_000)):
        store.write(entry(value))
    report = verify(store)
    assert (report.entries, report.sound) == (2, True)


def test_damage_is_found_and_mended(cache_folder: Path) -> None:
    """A torn description, a flipped blob and a missing blob are three problems, and none after a repair."""
    store = open_store(cache_folder)
    kept = [entry(1), entry(np.arange(40_000)), entry(np.ones(40_000)), entry(2)]
    for each in kept:
        store.write(each)
    torn = cache_folder / step_name(kept[0].keys[0])
    torn.write_bytes(torn.read_bytes()[:-3])
    flipped = cache_folder / blob_name(kept[1].encoded.digest)
    flipped.write_bytes(flipped.read_bytes()[:-1] + b"x")
    (cache_folder / blob_name(kept[2].encoded.digest)).unlink()
    report = verify(store, repair=True)
    assert report.entries == 4
    assert {problem.name for problem in report.problems} == {step_name(each.keys[0]) for each in kept[:3]}
    assert all(problem.mended for problem in report.problems)
    assert verify(store).sound
    assert [info.key for info in store.scan()] == [kept[3].keys[0]]


def test_stats_count_files_and_bytes(cache_folder: Path) -> None:
    """Without reading entries."""
    store = open_store(cache_folder)
    kept = entry(np.arange(40_000))
    store.write(kept)
    found = stats(store)
    assert found["url"] == store.url
    assert found["entries"]["files"] == 1
    assert found["blobs"] == {"files": 1, "bytes": kept.encoded.nbytes}
