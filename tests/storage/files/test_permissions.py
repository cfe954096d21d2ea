"""Who may read and write the files of a local store: its owner alone, or people of a group with habits of their own."""

from __future__ import annotations

import os
import stat
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from cachingclient.storage import StoreError, open_store, prune, verify
from cachingclient.storage.maintenance.prune import pin
from tests.faults.processes import Child
from tests.storage.contract import BIG
from tests.support.entries import entry, new_key

GROUP = 54321
ALICE, BOB = 54001, 54002


def modes(folder: Path) -> set[int]:
    """Those of a folder and of all that is in it."""
    return {stat.S_IMODE(path.stat().st_mode) for path in [folder, *folder.rglob("*")]}


def done_as(user: int, umask: int, action: Callable[[], object]) -> bool:
    """Whether a user, whose first group is one of their own, could do something without a warning."""

    def act(channel: int) -> None:
        os.setgroups([GROUP])
        os.setgid(user)
        os.setuid(user)
        os.umask(umask)
        with warnings.catch_warnings(action="error"):
            action()
        os.write(channel, bytes(16))

    return bool(Child(act).keys()[0])


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    """A folder that belongs to a group, on a path that everyone may follow."""
    if os.getuid():
        pytest.skip("only root can act for two users")
    for path in [tmp_path, *tmp_path.parents[:-2]]:
        path.chmod(path.stat().st_mode | 0o711)
    place = tmp_path / "group disk"
    place.mkdir()
    os.chown(place, 0, GROUP)
    place.chmod(0o775)
    return place


def test_a_store_that_can_not_be_read_is_not_an_empty_one(disk: Path) -> None:
    """Another user's private store is an error that says so, for a look at it as for an analysis."""
    private = disk / "private"
    open_store(private.as_uri()).write(entry(BIG))

    def look() -> None:
        with pytest.raises(StoreError, match=r"private can't be read \(Permission denied\)"):
            open_store(f"{private.as_uri()}/")

    assert done_as(BOB, 0o022, look)


def test_the_folder_is_private(cache_folder: Path) -> None:
    """Folder and files can be read by their owner alone."""
    open_store(cache_folder).write(entry(np.arange(BIG)))
    assert modes(cache_folder) == {0o700, 0o600}


def test_a_shared_folder_is_for_the_group(cache_folder: Path) -> None:
    """With ``shared=True`` the group may read and write, and everything stays the group's."""
    open_store(cache_folder, shared=True).write(entry(np.arange(BIG)))
    assert modes(cache_folder) == {0o2770, 0o660}


def test_a_private_store_is_not_shared_by_asking_for_it(cache_folder: Path) -> None:
    """What is there would stay closed; the warning says how to open it, and that is enough."""
    open_store(cache_folder).write(entry(1))
    with pytest.warns(UserWarning, match="made for its owner alone; to share it: chmod -R"):
        open_store(cache_folder, shared=True)
    for path in [cache_folder, *cache_folder.rglob("*")]:
        path.chmod(0o2770 if path.is_dir() else 0o660)
    store = type(open_store(cache_folder).folder)(str(cache_folder))  # type: ignore[attr-defined]
    store.put(["v1/steps/zz/file"], [memoryview(b"x")])
    assert modes(cache_folder) == {0o2770, 0o660}


def test_colleagues_do_with_each_others_entries_what_they_do_with_their_own(disk: Path) -> None:
    """Whatever their umasks are, and also who does not know that the store is shared."""
    place = disk / "cache"
    first, again, seconds = entry(np.arange(BIG)), entry(1, new_key(), new_key()), [entry(n) for n in range(300)]

    def begin() -> None:
        store = open_store(place, shared=True)
        assert all(map(store.write, [first, again]))
        store.flush()

    def go_on() -> None:
        store = open_store(place)
        found = store.find([*first.keys, *again.keys])
        assert store.read(found[first.keys[0]])[3] == 3
        store.touch(first.keys)
        assert store.alias(found[first.keys[0]], [new_key()]) == 1
        assert store.write(entry(2, *again.keys), overwrite=True)
        assert all(map(store.write, seconds))
        pin(store, again.keys[:1])
        lease = store.lease(new_key(), 30)
        assert lease is not None
        lease.release()
        store.close()

    def look_after() -> None:
        store = open_store(place)
        keys = [*first.keys, *again.keys, *(each.keys[0] for each in seconds)]
        assert len(store.find(keys)) == len(keys)
        assert verify(store, repair=True).sound
        pin(store, again.keys[:1], pinned=False)
        assert prune(store, max_size=0, grace=-10).kept_entries == 0

    assert done_as(ALICE, 0o077, begin)
    assert done_as(BOB, 0o022, go_on)
    assert done_as(ALICE, 0o077, look_after)
    assert {path.stat().st_gid for path in place.rglob("*")} == {GROUP}
