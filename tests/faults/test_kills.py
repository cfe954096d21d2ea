"""Writers that are killed with SIGKILL lose nothing that was reported kept, and leave nothing wrong."""

from __future__ import annotations

import random
import select
from pathlib import Path

import pytest

from cachingclient.storage import open_store, prune, verify
from tests.faults.kills import kill
from tests.faults.processes import Child, dying_at, is_right, value_of, write_and_tell
from tests.faults.traps import TRAPS
from tests.support.entries import entry, new_key

KILLS = 200


def assert_whole(folder: Path, keys: list[str], told: list[str]) -> None:
    """Everything told of is found, and everything found is right."""
    store = open_store(folder)
    found = store.find(keys)
    assert set(told) <= found.keys()
    assert all(is_right(key, store.read(info)) for key, info in found.items())


def test_a_writer_killed_in_each_phase_of_a_write(cache_folder: Path) -> None:
    """At every single call into the operating system, from the first to the last of two writes."""
    open_store(cache_folder)
    killed = 0
    for call in range(200):
        keys = [new_key(), new_key()]

        def write(channel: int, keys: list[str] = keys, call: int = call) -> None:
            store = open_store(cache_folder)
            with dying_at(call):
                write_and_tell(store, keys, channel)

        told, was_killed = Child(write).keys()
        assert_whole(cache_folder, keys, told)
        for number, key in enumerate(keys):
            open_store(cache_folder).write(entry(value_of(key, big=number % 2 == 1), key))
        assert_whole(cache_folder, keys, keys)
        killed += was_killed
        if not was_killed:
            break
    assert killed >= 20
    assert not was_killed
    print(f"\nkilled at each of {killed} calls of a write")


@pytest.mark.matrix
def test_writers_killed_at_any_time(cache_folder: Path) -> None:
    """At random moments, again and again on one store; afterwards it is sound and holds no litter."""
    store = open_store(cache_folder)
    everything: list[str] = []
    told: list[str] = []
    chance = random.Random(1)
    for _ in range(KILLS):
        keys = [new_key() for _ in range(200)]
        child = Child(lambda channel, keys=keys: write_and_tell(open_store(cache_folder), keys, channel))
        select.select([child.reader], [], [])  # it is writing now
        select.select([], [], [], chance.random() * 0.01)
        child.kill()
        kept, was_killed = child.keys()
        assert was_killed or len(kept) == len(keys)
        everything += keys
        told += kept
    assert_whole(cache_folder, everything, told)
    assert verify(store).sound
    prune(store, older_than=86400, grace=-10)
    assert store.totals()["temporary"] == (0, 0)
    assert_whole(cache_folder, everything, told)
    print(f"\n{KILLS} writers killed, {len(told)} results reported kept, all of them there")


@pytest.mark.matrix
def test_a_prune_killed_in_each_phase(cache_folder: Path) -> None:
    """Whatever it had removed by then, what is found is right."""
    keys = [new_key() for _ in range(6)]
    for call in range(200):
        store = open_store(cache_folder)
        for number, key in enumerate(keys):
            store.write(entry(value_of(key, big=number % 2 == 1), key))

        def remove(channel: int, call: int = call) -> None:
            store = open_store(cache_folder)
            with dying_at(call):
                prune(store, older_than=0)

        _, was_killed = Child(remove).keys()
        assert_whole(cache_folder, keys, [])
        if not was_killed:
            break
    assert call > 10


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_clients_and_workers_killed_in_each_phase() -> None:
    """One client a phase and a few workers (`python -m tests.faults` kills more): what was reported kept is there."""
    judge = kill("file", clients=len(TRAPS["file"]), workers=6)
    assert judge.kills.total() == len(TRAPS["file"]) + 6
    assert judge.told > 0
