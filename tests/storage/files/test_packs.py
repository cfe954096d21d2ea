"""Packs of small results in a local folder: each name leads to its own, whatever becomes of the others."""

from __future__ import annotations

import errno
import os
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cachingclient import DiracClient
from cachingclient.storage import Entry, StoreError, encode, open_store, prune, verify
from cachingclient.storage.files.layout import step_name
from cachingclient.storage.packs import (
    LARGEST,
    MAGIC,
    MEMBER,
    MOST_BYTES,
    MOST_MEMBERS,
    is_pack,
    member,
    read_table,
    write_pack,
)
from tests.support.entries import entry, new_key
from tests.support.packs import path_of, values, written_together

BIG = 40_000


def test_many_small_results_are_one_file(cache_folder: Path) -> None:
    """Each is found under its own name, and read as it was written."""
    store = open_store(cache_folder)
    entries = written_together(store)
    assert len({path_of(cache_folder, each).stat().st_ino for each in entries}) == 1
    assert values(open_store(cache_folder), entries) == {number: number for number in range(10)}
    assert [store.find([each.keys[0]])[each.keys[0]].name for each in entries] == [each.name for each in entries]
    assert not list((cache_folder / "v1/tmp").iterdir())


def test_more_than_one_pack_holds(cache_folder: Path) -> None:
    """A pack has so many members and no more, and what is large has a file of its own."""
    store = open_store(cache_folder)
    entries = [*(entry(number) for number in range(MOST_MEMBERS + 1)), entry(np.arange(BIG)), entry("x" * LARGEST)]
    assert store.write_together(entries) == [True] * (MOST_MEMBERS + 1) + [False] * 2
    assert len({path_of(cache_folder, each).stat().st_ino for each in entries[:-2]}) == 2
    assert len(store.find([each.keys[0] for each in entries])) == MOST_MEMBERS + 1


def test_the_first_writer_wins(cache_folder: Path) -> None:
    """A key that is taken keeps its result, also when two entries of one call have it."""
    store, key, other = open_store(cache_folder), new_key(), new_key()
    assert store.write(entry("first", key))
    assert store.write_together([entry("second", key), entry(1, other), entry(2, other)]) == [False, True, False]
    assert store.read(store.find([key])[key]) == "first"
    assert store.read(store.find([other])[other]) == 1
    assert not store.write(entry("third", other))


def test_what_changed_since_is_left_out(cache_folder: Path) -> None:
    """A value that a later step changed in place is not written in its changed form."""
    store, array = open_store(cache_folder), np.zeros(100)
    kept = [entry(array), entry(1)]
    array += 1
    assert store.write_together(kept) == [False, True]
    with pytest.raises(StoreError, match="changed by a later step"):
        store.write(kept[0])


def test_one_of_a_pack_is_replaced_or_removed(cache_folder: Path) -> None:
    """The others stay as they are."""
    store = open_store(cache_folder)
    entries = written_together(store)
    assert store.write(entry("new", entries[3].keys[0]), overwrite=True)
    store.delete([entries[4].keys[0]])
    expected = {number: number for number in range(10) if number != 4} | {3: "new"}
    assert values(open_store(cache_folder), entries) == expected
    assert len(list(store.scan())) == 9


def test_several_keys_lead_to_one(cache_folder: Path) -> None:
    """An entry is found under all of its keys, and removed under all of them."""
    store, keys = open_store(cache_folder), (new_key(), new_key())
    assert store.write_together([Entry(keys, "result", "step", 1.5, {}, encode(5)), entry(6)]) == [True, True]
    assert [store.read(info) for info in store.find(keys).values()] == [5, 5]
    store.delete(keys[1:])
    assert store.find(keys) == {}


def test_results_are_filed_under_more_keys_together(cache_folder: Path) -> None:
    """Small ones and large ones, for those have small descriptions; a key that is taken keeps its own."""
    store, kept = open_store(cache_folder), [entry(5), entry(np.arange(BIG)), entry(7)]
    for each in kept:
        store.write(each)
    found = store.find([each.keys[0] for each in kept])
    more = [new_key(), new_key(), kept[0].keys[0]]
    pairs = [(found[each.keys[0]], key) for each, key in zip(kept, more, strict=True)]
    assert store.alias_together(pairs) == [True, True, False]
    there = open_store(cache_folder).find(more)
    assert [np.sum(store.read(there[key])) for key in more] == [5, np.arange(BIG).sum(), 5]


def test_a_flipped_byte_damages_its_own_member(cache_folder: Path) -> None:
    """The others of the pack are read as before, and the damaged one is reported once and run again."""
    store = open_store(cache_folder)
    entries = written_together(store)
    path = path_of(cache_folder, entries[0])
    data = bytearray(path.read_bytes())
    begin, _ = read_table(bytes(data)).place(entries[5].keys[0])
    data[begin + 70] ^= 1
    path.write_bytes(data)
    store = open_store(cache_folder)
    with pytest.warns(UserWarning, match=f"the description of entry {entries[5].keys[0]}"):
        assert values(store, entries) == {number: number for number in range(10) if number != 5}
    assert store.write(entry(5, *entries[5].keys))
    assert values(store, entries) == {number: number for number in range(10)}


TABLES = {
    "beyond the end": lambda data: write_pack([("0f" * 16, b"x" * 10)])[:-5],
    "cut in the table": lambda data: data[: len(MAGIC) + 40],
    "a changed table": lambda data: data.replace(b" 10\n", b" 11\n", 1),
    "an endless number": lambda data: MAGIC + b"0" * 32 + b" " + b"9" * 5000 + b"\n",
    "nothing after the magic": lambda data: MAGIC,
}


@pytest.mark.parametrize("damage", TABLES.values(), ids=TABLES.keys())
def test_a_damaged_table_is_a_miss(cache_folder: Path, damage: Any) -> None:
    """What does not lead to a whole description is moved out of the way, and can be written again."""
    store, kept = open_store(cache_folder), written_together(open_store(cache_folder))
    path = path_of(cache_folder, kept[0])
    data = damage(path.read_bytes())
    path.unlink()
    path.write_bytes(data)
    with pytest.warns(UserWarning, match="a damaged entry"):
        assert store.find(kept[0].keys) == {}
    assert store.write_together([entry(0, *kept[0].keys)]) == [True]
    assert len(values(store, kept)) == 10


def test_a_member_that_is_another_s_is_not_believed(cache_folder: Path) -> None:
    """A name that was linked to a pack which has no such member leads to nothing."""
    store = open_store(cache_folder)
    kept, key = written_together(store), new_key()
    path = cache_folder / step_name(key)
    path.parent.mkdir(exist_ok=True)
    os.link(path_of(cache_folder, kept[0]), path)
    with pytest.warns(UserWarning, match="a damaged entry"):
        assert store.find([key]) == {}


def test_without_links_each_has_a_file(cache_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the file system has no links, the store says so by not writing together."""
    store = open_store(cache_folder)
    assert store.packs

    def no_links(*args: object, **kwargs: object) -> None:
        raise OSError(errno.EPERM, "no links here")

    monkeypatch.setattr(os, "link", no_links)
    assert store.write_together([entry(1), entry(2)]) == [False, False]
    assert not store.packs
    assert store.write(entry(3))
    assert not list((cache_folder / "v1/tmp").iterdir())


def test_a_full_disk_leaves_nothing(cache_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error is the store's, and no name leads to a part of a pack."""
    store = open_store(cache_folder)

    def full(*args: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "writev", full)
    with pytest.raises(StoreError, match="No space left"):
        store.write_together([entry(1), entry(2)])
    monkeypatch.undo()
    assert store.totals()["entries"] == (0, 0)
    assert store.totals()["temporary"] == (0, 0)


def test_a_store_that_can_not_be_written(cache_folder: Path) -> None:
    """Nothing is written, and nothing is said to be."""
    open_store(cache_folder)
    store = open_store(cache_folder)
    store.folder.read_only = True  # type: ignore[attr-defined]
    assert not store.packs
    assert store.write_together([entry(1), entry(2)]) == [False, False]


def test_looking_after_packs(cache_folder: Path) -> None:
    """Listing, sums and checks go by the results; the disk's room is counted once."""
    store = open_store(cache_folder)
    entries = written_together(store)
    store.flush()
    seen = [name for outline in store.survey() for name in (info.name for info in outline.entries())]
    assert sorted(seen) == sorted(each.name for each in entries)
    assert store.totals()["entries"] == (10, path_of(cache_folder, entries[0]).stat().st_size)
    assert verify(store).entries == 10
    assert {info.name for info in store.recent(10)} == {each.name for each in entries}
    store.pin(entries[0].keys)
    assert prune(store, max_size=0, grace=-10).entries == 9
    assert values(store, entries) == {0: 0}


def test_members_larger_than_a_pack_are_not_believed(cache_folder: Path) -> None:
    """Members may lie over each other: a file of few bytes would give each of its names all of them."""
    key, other = new_key(), new_key()
    data = write_pack([(key, b"x" * (MOST_BYTES + 1)), (other, b"y")])
    table = read_table(data)
    assert table.place(key) == (0, 0)
    assert member(other, data) == b"y"
    assert table.place("new-0123") == table.place("z" * 32) == (0, 0)


def test_a_key_is_looked_for_in_its_column() -> None:
    """The bytes of a key may also stand across two rows of a table."""
    row = MEMBER.pack(bytes(range(16)), 0, 3) + MEMBER.pack(bytes(range(16, 32)), 3, 6)
    across = row[12:28].hex()
    data = write_pack([(row[:16].hex(), b"one"), (row[24:40].hex(), b"two"), (across, b"own")])
    assert [member(key, data) for key in (row[:16].hex(), row[24:40].hex(), across)] == [b"one", b"two", b"own"]
    assert member(across, write_pack([(row[:16].hex(), b"one"), (row[24:40].hex(), b"two")])) == b""


def test_many_write_the_same_keys(cache_folder: Path) -> None:
    """Of threads that race for the same keys, each key has one winner, and its result is that of the winner."""
    keys = [new_key() for _ in range(50)]
    start = threading.Barrier(4)

    def write(who: int) -> list[bool]:
        store = open_store(cache_folder)
        start.wait(300)
        return store.write_together([entry((who, number), key) for number, key in enumerate(keys)])

    with ThreadPoolExecutor(4) as pool:
        won = list(pool.map(write, range(4)))
    store = open_store(cache_folder)
    found = store.find(keys)
    for number, key in enumerate(keys):
        (winner,) = [who for who in range(4) if won[who][number]]
        assert store.read(found[key]) == (winner, number)


def test_use_of_one_is_use_of_all(cache_folder: Path) -> None:
    """A pack has one time, so pruning by age keeps or takes its results together."""
    store = open_store(cache_folder)
    used, unused = written_together(store), written_together(store)
    for each in (*used, *unused):
        os.utime(path_of(cache_folder, each), (10**9, 10**9))
    store.touch(used[0].keys)
    assert prune(store, older_than=3600.0, grace=-10).entries == 10
    assert len(values(store, used)) == 10
    assert values(store, unused) == {}


def test_versions_without_packs_take_them_for_newer(cache_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They find nothing there, say nothing, and move nothing away."""
    store = open_store(cache_folder)
    kept = written_together(store)
    monkeypatch.setattr("cachingclient.storage.entry.member", lambda key, data: data)
    monkeypatch.setattr("cachingclient.storage.files.members.is_pack", lambda head: False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert open_store(cache_folder).find([each.keys[0] for each in kept]) == {}
    assert all(path_of(cache_folder, each).exists() for each in kept)


def test_a_client_s_small_results_are_in_packs(client: DiracClient, cache_folder: Path) -> None:
    """Those that workers keep, and those that the client files under the keys of steps."""
    assert client.gather(client.map(str, range(200))) == list(map(str, range(200)))
    client.flush()
    paths = [path for path in (cache_folder / "v1/steps").glob("*/*") if is_pack(path.read_bytes())]
    assert 2 * len({path.stat().st_ino for path in paths}) <= len(paths) > 20
    assert len([info for info in client.cache.scan() if info.kind == "result"]) == 200
