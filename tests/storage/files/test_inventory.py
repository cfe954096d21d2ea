"""The inventory of a local store: it saves reading, and whatever is wrong with it changes nothing."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pytest

from cachingclient.storage import EntryInfo, Store, open_store
from cachingclient.storage.columns import Outline, row
from cachingclient.storage.files.inventory import Inventory
from cachingclient.storage.files.layout import INVENTORY, QUARANTINE, step_name
from cachingclient.storage.files.local import LocalFolder
from cachingclient.storage.files.store import FileSystemStore
from cachingclient.storage.maintenance.prune import pin, prune
from tests.support.entries import entry, new_key


class Watched(LocalFolder):
    """A folder that counts the descriptions that are read."""

    read = 0

    def fetch(self, names: Sequence[str]) -> dict[str, bytes]:
        found = super().fetch(names)
        self.read += sum(name.startswith("v1/steps") for name in found)
        return found


def surveyed(store: Store) -> list[tuple[str, str, int, float]]:
    """What a survey says of each entry."""
    infos: Iterable[EntryInfo] = (info for outline in store.survey() for info in outline.entries())
    return sorted((info.key, info.name, info.nbytes, info.last_used) for info in infos)


def scanned(store: Store) -> list[tuple[str, str, int, float]]:
    """What the entries themselves say."""
    return sorted((info.key, info.name, info.nbytes, info.last_used) for info in store.scan())


def reads(folder: Path) -> int:
    """How many descriptions a process that comes new has to read, its survey being right."""
    watched = Watched(str(folder))
    store = FileSystemStore(watched)
    found = surveyed(store)
    read = watched.read
    assert found == scanned(store)
    return read


@pytest.fixture
def kept(cache_folder: Path) -> list[str]:
    """Entries of a store that is flushed, as a client does in the end; returns their keys."""
    store = open_store(cache_folder)
    entries = [entry(number, name=f"step{number % 3}") for number in range(20)]
    entries += [entry(np.arange(40_000)), entry(2.5, new_key(), new_key())]
    for each in entries:
        store.write(each)
    store.flush()
    return [each.keys[0] for each in entries]


def test_what_writers_filed_is_not_read(cache_folder: Path, kept: list[str]) -> None:
    """Nor is what an earlier survey has seen, and the writers' files are gone then."""
    assert list((cache_folder / INVENTORY).glob("new-*"))
    assert reads(cache_folder) == 0
    assert not list((cache_folder / INVENTORY).glob("new-*"))
    assert reads(cache_folder) == 0


def test_what_a_killed_writer_did_not_file_is_read_once(cache_folder: Path, kept: list[str]) -> None:
    """Then it is known."""
    open_store(cache_folder).write(entry(1))
    assert [reads(cache_folder), reads(cache_folder)] == [1, 0]


def test_it_follows_what_happens_to_entries(cache_folder: Path, kept: list[str]) -> None:
    """Removed, used, quarantined, and written anew under the same key: all is seen, whoever did it."""
    reads(cache_folder)
    store = open_store(cache_folder)
    store.delete(kept[:2])
    os.utime(cache_folder / step_name(kept[2]), (1e9, 1e9))
    (cache_folder / step_name(kept[3])).rename(cache_folder / QUARANTINE)
    store.write(entry("other", kept[4], name="again"), overwrite=True)
    assert reads(cache_folder) == 1
    found = {key: (name, used) for key, name, _, used in surveyed(store)}
    assert found.keys() == set(kept) - {*kept[:2], kept[3]}
    assert found[kept[2]][1] == 1e9
    assert found[kept[4]][0] == "again"


def test_another_name_counts_where_its_own_is_gone(cache_folder: Path, kept: list[str]) -> None:
    """An entry under two keys is one entry, also when it lost the first."""
    reads(cache_folder)
    (cache_folder / step_name(kept[-1])).unlink()
    assert len(surveyed(open_store(cache_folder))) == len(kept)
    assert reads(cache_folder) <= 1


def test_a_key_that_was_taken_is_noted_by_its_own_writer(cache_folder: Path) -> None:
    """A second key may be another entry's first: that one stays an entry of its own."""
    store = open_store(cache_folder)
    first = entry(1, name="first")
    store.write(first)
    store.write(entry(2, new_key(), *first.keys, name="second"))
    store.close()
    assert reads(cache_folder) == 0
    assert {name for _, name, *_ in surveyed(store)} == {"first", "second"}


def damage(file: Path) -> None:
    """Flip the last byte of a file."""
    content = file.read_bytes()
    file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))


@pytest.mark.parametrize(
    "harm",
    [
        damage,
        lambda file: file.write_bytes(b""),
        lambda file: file.write_bytes(os.urandom(1000)),
        lambda file: file.write_bytes(file.read_bytes()[:-50]),
        lambda file: file.write_bytes(file.read_bytes().replace(b"inventory 1", b"inventory 2", 1)),
        lambda file: file.unlink(),
    ],
    ids=["flipped", "empty", "foreign", "cut short", "of another version", "removed"],
)
def test_damage_costs_reading(cache_folder: Path, kept: list[str], harm: object) -> None:
    """And is mended by it."""
    assert callable(harm)
    for _ in ("that of writers", "that of shards"):
        for file in (cache_folder / INVENTORY).iterdir():
            harm(file)
        assert reads(cache_folder) > 0
        assert reads(cache_folder) == 0


def test_an_inventory_of_other_files_is_not_believed(cache_folder: Path, kept: list[str]) -> None:
    """A store that was copied has other files: its inventory came along and says nothing of them."""
    reads(cache_folder)
    for key in kept:
        path = cache_folder / step_name(key)
        path.with_suffix(".copy").write_bytes(path.read_bytes())
        path.with_suffix(".copy").replace(path)
    assert reads(cache_folder) == len(kept)


def test_where_nothing_can_be_written_all_is_read(cache_folder: Path, kept: list[str]) -> None:
    """A store that others look after: what they filed is used, the rest is read, and nothing is written."""
    open_store(cache_folder).write(entry(1))
    watched = Watched(str(cache_folder))
    watched.read_only = True
    store = FileSystemStore(watched)
    before = sorted((cache_folder / INVENTORY).iterdir())
    assert len(surveyed(store)) == len(kept) + 1
    assert watched.read == 1
    assert sorted((cache_folder / INVENTORY).iterdir()) == before


def test_an_inventory_that_cannot_be_kept_is_no_fault(cache_folder: Path, kept: list[str]) -> None:
    """A file stands where its folder would be."""
    for file in (cache_folder / INVENTORY).iterdir():
        file.unlink()
    (cache_folder / INVENTORY).rmdir()
    (cache_folder / INVENTORY).touch()
    assert reads(cache_folder) == len(kept) + 1
    store = open_store(cache_folder)
    store.write(entry(1))
    store.close()
    assert len(surveyed(store)) == len(kept) + 1


def test_an_emptied_store_has_none(cache_folder: Path, kept: list[str]) -> None:
    """Once it was looked at again."""
    reads(cache_folder)
    open_store(cache_folder).delete(kept)
    assert reads(cache_folder) == 0
    assert list((cache_folder / INVENTORY).iterdir()) == []


def test_two_surveys_and_a_writer_at_once(cache_folder: Path, kept: list[str]) -> None:
    """Each sees at least what was there before, and the next one sees all."""

    def write() -> None:
        for _ in range(10):
            store = open_store(cache_folder)
            for number in range(20):
                store.write(entry(number))
            store.close()

    found: list[set[str]] = []

    def look() -> None:
        store = open_store(cache_folder)
        found.extend({row[0] for row in surveyed(store)} for _ in range(3))

    threads = [threading.Thread(target=target) for target in (write, look, look)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 6
    assert all(keys >= set(kept) for keys in found)
    reads(cache_folder)
    assert reads(cache_folder) == 0


def test_of_two_rows_of_a_file_the_last_counts(cache_folder: Path) -> None:
    """A file system gives the number of a removed file to the next one, which may be a new entry of the same key."""
    store = open_store(cache_folder)
    key = new_key()
    for name in ("first", "second"):
        store.write(entry(name, key, name=name), overwrite=True)
        store.flush()
        reads(cache_folder)
    (file,) = (cache_folder / INVENTORY).iterdir()
    inventory = Inventory(LocalFolder(str(cache_folder)), lambda names: [])
    rows = [row(info, key, os.stat(cache_folder / step_name(key)).st_ino) for info in store.scan()]
    stale = [(*each[:-2], ("result", "first", "containers"), each[-1]) for each in rows]
    inventory._save(f"{INVENTORY}/{file.name}", Outline.of_rows([*stale, *rows]))
    assert [name for _, name, *_ in surveyed(open_store(cache_folder))] == ["second"]


def test_pruning_spares_what_was_used_or_pinned_meanwhile(
    cache_folder: Path, kept: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the plan and the removal."""
    store = open_store(cache_folder)
    old = time.time() - 1000
    for key in kept:
        os.utime(cache_folder / step_name(key), (old, old))
    evict = store.evict

    def later(used: Iterable[tuple[str, float]]) -> int:
        planned = list(used)
        open_store(cache_folder).touch(kept[:2])
        pin(open_store(cache_folder), kept[2:4])
        return evict(planned)

    monkeypatch.setattr(store, "evict", later)
    prune(store, older_than=500)
    assert {key for key, *_ in surveyed(store)} == set(kept[:4])


def test_the_last_used_are_found_in_the_shards_that_changed_last(cache_folder: Path, kept: list[str]) -> None:
    """Also those that were only used."""
    store = open_store(cache_folder)
    for key in kept:
        os.utime(cache_folder / step_name(key), (1e9, 1e9))
    for shard in (cache_folder / "v1/steps").iterdir():
        os.utime(shard, (1e9, 1e9))
    store.touch(kept[5:7])
    assert {info.key for info in store.recent(2)} == set(kept[5:7])
    assert len(store.recent(1000)) == len(kept)


def test_removing_leaves_the_time_of_a_shard(cache_folder: Path, kept: list[str]) -> None:
    """Else each shard would be looked through for the last used after a pruning."""
    store = open_store(cache_folder)
    shards = list((cache_folder / "v1/steps").iterdir())
    for shard in shards:
        os.utime(shard, (1e9, 1e9))
    prune(store, older_than=0)
    assert not list(store.scan())
    assert {shard.stat().st_mtime for shard in shards} == {1e9}
