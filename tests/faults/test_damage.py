"""Flipped, cut, removed and exchanged files are never served, and cost a run of the step at most."""

from __future__ import annotations

import random
import warnings
from pathlib import Path

import pytest

from cachingclient.storage import EntryLost, open_store
from cachingclient.storage.files.layout import BLOBS, STEPS
from tests.faults.processes import is_right, value_of
from tests.support.entries import entry, new_key

HARMS = 150  # of each sort


def harm(how: str, path: Path, other: Path, chance: random.Random) -> None:
    """Do to a file what disks and people do."""
    data = bytearray(path.read_bytes())
    if how == "flipped":
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        path.write_bytes(data)
    elif how == "cut":
        path.write_bytes(data[: chance.randrange(len(data))])
    elif how == "removed":
        path.unlink()
    elif how == "exchanged":
        path.write_bytes(other.read_bytes())
        other.write_bytes(data)


@pytest.mark.parametrize("how", ["flipped", "cut", "removed", "exchanged"])
def test_harmed_files_are_never_served(cache_folder: Path, how: str) -> None:
    """Every result that is still served is right, and writing again mends the store."""
    chance = random.Random(how)
    keys = [new_key() for _ in range(HARMS * 2)]
    store = open_store(cache_folder, verify="always")
    for number, key in enumerate(keys):
        store.write(entry(value_of(key, big=number % 2 == 1), key))
    descriptions, blobs = (sorted((cache_folder / part).glob("??/*")) for part in (STEPS, BLOBS))
    for files in (descriptions, blobs):
        victims = chance.sample(files, HARMS // (2 if how == "exchanged" else 1) // 2 * 2 // 2)
        for victim in victims:
            other = chance.choice([file for file in files if file != victim and file.exists()])
            harm(how, victim, other, chance)
    with warnings.catch_warnings(action="ignore"):
        found = store.find(keys)
        lost = len(keys) - len(found)
        for key, info in found.items():
            try:
                assert is_right(key, store.read(info))
            except EntryLost:
                lost += 1
    assert lost > HARMS // 4
    with warnings.catch_warnings(action="ignore"):
        for number, key in enumerate(keys):
            store.write(entry(value_of(key, big=number % 2 == 1), key))
    found = store.find(keys)
    assert all(is_right(key, store.read(found[key])) for key in keys)
    print(f"\n{lost} of {len(keys)} entries lost to files {how}, none served wrong")
