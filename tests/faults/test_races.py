"""Processes that write and remove at the same time."""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from pathlib import Path

import numpy as np

from cachingclient.storage import EntryLost, open_store, prune
from tests.faults.processes import Child, is_right, value_of, write_and_tell
from tests.support.entries import entry, new_key

RACES = 1000


def contend(folder: Path, keys: list[str], mark: int, start: int, channel: int) -> None:
    """Write results that bear our mark, one after another, beginning when we are told."""
    store = open_store(folder)
    os.read(start, 1)
    for number, key in enumerate(keys):
        value = np.full(80_000 if number % 10 == 0 else 20, mark, "u1")
        if store.write(entry(value, key)):
            os.write(channel, bytes.fromhex(key))


def test_two_writers_of_one_key(cache_folder: Path) -> None:
    """Exactly one is told that it won, and it is its result that is read."""
    keys = [new_key() for _ in range(RACES)]
    start, go = os.pipe()
    children = [Child(lambda channel, mark=mark: contend(cache_folder, keys, mark, start, channel)) for mark in (1, 2)]
    os.write(go, b"xx")
    wins = [set(child.keys()[0]) for child in children]
    assert wins[0] | wins[1] == set(keys)
    assert not wins[0] & wins[1]
    store = open_store(cache_folder)
    for key, info in store.find(keys).items():
        value = store.read(info)
        assert (value == (1 if key in wins[0] else 2)).all()
    print(f"\n{RACES} races: {len(wins[0])} and {len(wins[1])} won, each read as its winner wrote it")


def test_writers_of_shared_blobs_against_a_remover(cache_folder: Path) -> None:
    """A blob that is removed with its last entry, while another writer files it again, is there for that one."""
    rounds = 60
    keys = [(new_key(), new_key()) for _ in range(rounds)]
    value = value_of(new_key(), big=True)

    def file_again(channel: int) -> None:
        store = open_store(cache_folder)
        for _, second in keys:
            if store.write(entry(value, second)):
                os.write(channel, bytes.fromhex(second))

    store = open_store(cache_folder)
    for first, _ in keys:
        store.write(entry(value, first))
    child = Child(file_again)
    store.delete([first for first, _ in keys])
    told, _ = child.keys()
    found = store.find(told)
    assert found.keys() == set(told)
    assert all(np.array_equal(store.read(info), value) for info in found.values())


def test_pruning_while_others_write_and_read(cache_folder: Path) -> None:
    """Readers get the right result or know that it is gone; writers notice nothing."""
    keys = [new_key() for _ in range(600)]
    open_store(cache_folder)
    child = Child(lambda channel: write_and_tell(open_store(cache_folder), keys, channel))
    store = open_store(cache_folder)
    done = threading.Event()

    def remove() -> None:
        while not done.is_set():
            prune(store, max_size=200_000)

    remover = threading.Thread(target=remove)
    remover.start()
    read: list[int] = []

    def look() -> None:
        found = store.find(keys)
        read.append(0)
        for key, info in found.items():
            with suppress(EntryLost):
                assert is_right(key, store.read(info))
                read[-1] += 1

    try:
        while child.runs() or len(read) < 30:
            look()
    finally:
        told, _ = child.keys()
        done.set()
        remover.join()
    assert set(told) == set(keys)
    look()
    assert read[-1]
