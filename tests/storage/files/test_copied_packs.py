"""Copies of a store with packs: whole, whether links are copied or not, and to wherever."""

from __future__ import annotations

import os
import shutil
import subprocess
import tracemalloc
from pathlib import Path

import pytest

from cachingclient.storage import open_store
from cachingclient.storage.files.layout import step_name
from cachingclient.storage.packs import LONGEST_HEAD, MOST_MEMBERS
from tests.support.entries import new_key
from tests.support.packs import path_of, values, written_together

COPIES = {"cp -a": 1, "rsync -aH": 1, "cp -r": 10, "rsync -a": 10}
"""Commands that copy a folder, and how many files ten results of one pack are then."""


@pytest.mark.parametrize("command", COPIES)
def test_a_copied_store_is_whole(cache_folder: Path, tmp_path: Path, command: str) -> None:
    """With its links a pack is one file there too; without, one under each name. Each store is its own."""
    program, how = command.split()
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
    entries, copy = written_together(open_store(cache_folder)), tmp_path / "copy"
    os.utime(path_of(cache_folder, entries[0]), (1_000_000_000, 1_000_000_000))
    subprocess.run([program, how, f"{cache_folder}/", f"{copy}/"], check=True)
    assert len({path_of(copy, each).stat().st_ino for each in entries}) == COPIES[command]
    assert (path_of(copy, entries[0]).stat().st_mtime == 1_000_000_000) == (
        command != "cp -r"
    )  # as pruning by age sees
    store = open_store(copy)
    assert values(store, entries) == {number: number for number in range(10)}
    store.delete([entries[4].keys[0]])
    assert len(values(open_store(cache_folder), entries)) == 10
    assert len(values(open_store(copy), entries)) == 9
    assert not list(filter(None, store.check()))


def test_a_copy_to_an_object_store_is_whole(cache_folder: Path) -> None:
    """There, each object is a pack, of which its own member is read, listed and kept."""
    entries = written_together(open_store(cache_folder))
    far = open_store(f"memory://{cache_folder.name}-{new_key()}")
    for each in entries:
        name = step_name(each.keys[0])
        far.folder.put([name], [memoryview((cache_folder / name).read_bytes())])  # type: ignore[attr-defined]
    assert len(values(far, entries)) == 10
    assert {info.name for info in far.scan()} == {each.name for each in entries}
    assert not list(filter(None, far.check()))


def test_a_copy_without_links_is_found_in_little_memory(cache_folder: Path, tmp_path: Path) -> None:
    """There each name leads to a pack of its own, whose table is needed once."""
    entries = written_together(open_store(cache_folder), MOST_MEMBERS)
    shutil.copytree(cache_folder, tmp_path / "copy")
    store = open_store(tmp_path / "copy")
    tracemalloc.start()
    try:
        assert len(store.find([each.keys[0] for each in entries])) == MOST_MEMBERS
        assert tracemalloc.get_traced_memory()[1] < MOST_MEMBERS * LONGEST_HEAD
    finally:
        tracemalloc.stop()
