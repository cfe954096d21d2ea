"""The sums over prunings."""

from __future__ import annotations

from pathlib import Path

import pytest

from cachingclient.plan import pruned
from cachingclient.storage import PruneReport, open_store


def test_a_long_file_is_summed_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its sums stay what they were, whatever else stands in it."""
    monkeypatch.setattr(pruned, "MOST_BYTES", 500)
    store = open_store(tmp_path / "store")
    for _ in range(40):
        pruned.remember_pruning(store, PruneReport(entries=2, nbytes=100, seconds=0.5))
    pruned.remember_pruning(store, PruneReport(entries=9, nbytes=9, dry_run=True))
    pruned.remember_pruning(store, PruneReport())
    path = tmp_path / "store" / "pruned.jsonl"
    assert path.stat().st_size < 700
    with path.open("a") as file:
        file.write('nothing\n[1]\n{"prunings": 1}\n{"prunings": -5, "entries": -5, "nbytes": "x", "seconds": 0}\n')
    assert pruned.pruned_of(store) == pruned.Pruned(40, 80, 4000, 20.0)


def test_a_store_elsewhere_has_its_sums_with_the_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside the history of its runs; another store has others."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for number in (1, 2):
        pruned.remember_pruning(open_store(f"memory://pruned-{number}"), PruneReport(entries=number))
    assert [pruned.pruned_of(open_store(f"memory://pruned-{number}")).entries for number in (1, 2, 3)] == [1, 2, 0]
