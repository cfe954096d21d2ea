"""Packs that lost most of their members are split, where that gives room, and nothing is put back by it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from cachingclient.storage import Entry, Store, encode, open_store
from cachingclient.storage.entry import describe, pack
from cachingclient.storage.files.layout import step_name
from cachingclient.storage.files.local import LocalFolder
from tests.support.entries import entry, new_key
from tests.support.packs import path_of, values, written_together


def sparse_pack(store: Store) -> list[Entry]:
    """The two entries that are left of a pack of twenty."""
    entries = [entry("x" * 5000) for _ in range(20)]
    assert all(store.write_together(entries))
    store.delete([each.keys[0] for each in entries[2:]])
    return entries[:2]


def test_a_pack_that_lost_most_is_split(cache_folder: Path) -> None:
    """What is left gets files of its own with the times that it had, so that the room of the others is free."""
    store = open_store(cache_folder)
    entries = [entry("x" * 5000) for _ in range(20)]
    assert all(store.write_together(entries))
    os.utime(path_of(cache_folder, entries[0]), (10**9, 10**9))
    store.delete([each.keys[0] for each in entries[2:]])
    before = store.totals()["entries"][1]
    store.collect(0)
    assert store.totals()["entries"][1] < before / 5
    assert len(values(store, entries)) == 2
    assert path_of(cache_folder, entries[1]).stat().st_mtime == 10**9
    assert len(list(store.scan())) == 2


def test_a_pack_with_most_of_its_members_stays(cache_folder: Path) -> None:
    """Splitting it would take more room."""
    store = open_store(cache_folder)
    entries = written_together(store)
    store.delete(entries[0].keys)
    store.collect(0)
    assert len({path_of(cache_folder, each).stat().st_ino for each in entries[1:]}) == 1


@pytest.mark.parametrize("removes", [True, False], ids=["removed", "written anew"])
@pytest.mark.parametrize("step", ["stat", "utime"])
def test_splitting_brings_nothing_back(
    cache_folder: Path, monkeypatch: pytest.MonkeyPatch, step: str, removes: bool
) -> None:
    """What another process removes or replaces while a pack is split is not put back: it may be wrong."""
    store = open_store(cache_folder)
    one, other = sparse_pack(store)
    path, call = path_of(cache_folder, one), getattr(os, step)
    new = cache_folder / "new"
    new.write_bytes(pack(describe(entry("new", *one.keys), b"".join(encode("new").frames))))

    def interfere(name: Any, *args: Any, **kwargs: Any) -> Any:
        if kwargs.get("dir_fd") is not None and (step == "utime" or name == path.name) and new.exists():
            monkeypatch.undo()
            if removes:
                new.unlink()
                path.unlink()
            else:
                new.replace(path)
        return call(name, *args, **kwargs)

    rewrite = LocalFolder.rewrite

    def rewrite_while_another_writes(folder: LocalFolder, *args: Any) -> bool:
        monkeypatch.setattr(os, step, interfere)
        return rewrite(folder, *args)

    monkeypatch.setattr(LocalFolder, "rewrite", rewrite_while_another_writes)
    store.collect(0)
    assert not new.exists()
    assert values(store, [one, other]) == ({1: "x" * 5000} if removes else {0: "new", 1: "x" * 5000})
    assert not list((cache_folder / "v1/tmp").iterdir())


def test_without_an_exchange_of_files_a_pack_stays(cache_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes its room until the last of its results is removed."""
    store = open_store(cache_folder)
    left = sparse_pack(store)
    monkeypatch.setattr("cachingclient.storage.files.atomic._library", None)
    store.collect(0)
    assert len({path_of(cache_folder, each).stat().st_ino for each in left}) == 1
    assert len(values(store, left)) == 2
    assert not list((cache_folder / "v1/tmp").iterdir())


def test_splitting_that_takes_more_room_is_left(cache_folder: Path) -> None:
    """A disk gives room in blocks, so very small results take less together, though most of them are gone."""
    store = open_store(cache_folder)
    entries = written_together(store, 100)
    store.delete([each.keys[0] for each in entries[40:]])
    store.collect(0)
    assert len({path_of(cache_folder, each).stat().st_ino for each in entries[:40]}) == 1


def test_looking_for_packs_reads_nothing_huge(cache_folder: Path) -> None:
    """A file that claims more than any description has is left where it is, and costs no memory."""
    store = open_store(cache_folder, trust="data")
    path = cache_folder / step_name(new_key())
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.truncate(1 << 43)
    store.collect(0)
    assert path.stat().st_size == 1 << 43
