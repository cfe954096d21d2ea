"""Packs for tests: small entries that a local store has in one file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cachingclient.storage import Entry, Store
from cachingclient.storage.files.layout import step_name
from tests.support.entries import entry


def written_together(store: Store, count: int = 10) -> list[Entry]:
    """Small entries that the store has in one pack; the value of each is its number."""
    entries = [entry(number, name=f"step-{number}") for number in range(count)]
    assert store.write_together(entries) == [True] * count
    return entries


def values(store: Store, entries: list[Entry]) -> dict[int, Any]:
    """What the store gives for those entries that it finds, by their number."""
    keys = [each.keys[0] for each in entries]
    found = store.find(keys)
    return {number: store.read(found[key]) for number, key in enumerate(keys) if key in found}


def path_of(folder: Path, kept: Entry) -> Path:
    return folder / step_name(kept.keys[0])
