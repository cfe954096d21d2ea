"""Stores of files: on a local folder and in memory."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import textwrap
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cachingclient.storage import EntryLost, StoreError, open_store, prune, verify
from cachingclient.storage.entry import outline, pack
from cachingclient.storage.files.layout import blob_name, step_name
from cachingclient.storage.files.local import LocalFolder
from tests.storage.contract import BIG, StoreContract
from tests.support.entries import entry, new_key


class TestLocalStore(StoreContract):
    """The contract on a local folder."""

    @pytest.fixture
    def url(self, store_url: str) -> str:
        return store_url


class TestMemoryStore(StoreContract):
    """The contract in this process's memory, through fsspec."""

    @pytest.fixture
    def url(self, tmp_path: Path) -> str:
        return f"memory://{tmp_path.name}-{new_key()}"


def test_a_plain_path_and_its_url_are_the_same_place(cache_folder: Path) -> None:
    """Users may write either."""
    kept = entry(1)
    open_store(str(cache_folder)).write(kept)
    assert open_store(cache_folder.as_uri()).find(kept.keys)


@pytest.mark.parametrize("name", ["a b", "über", "a#1", "a?b=c", "100%", "%41", "file:a", "a\\b", "'\""])
def test_any_path_can_be_a_store(cache_folder: Path, name: str) -> None:
    """As a path, and as the URL that the store says is its own."""
    kept = entry(np.arange(BIG))
    store = open_store(cache_folder / name)
    store.write(kept)
    again = open_store(store.url)
    assert again.read(again.find(kept.keys)[kept.keys[0]])[3] == 3
    assert [path.name for path in cache_folder.iterdir()] == [name]


@pytest.mark.parametrize(("url", "why"), [("file:///a?b", "%3F"), ("file:///a#b", "%23"), ("", "takes a path")])
def test_urls_that_would_mean_another_folder_are_refused(url: str, why: str) -> None:
    """The part of a URL after these is no part of a path."""
    with pytest.raises(ValueError, match=why):
        open_store(url)


def test_an_unknown_scheme_is_named_with_those_that_exist() -> None:
    """The error says what it got and what it takes."""
    with pytest.raises(ValueError, match=r"unknown scheme 'gopher'.*supported: .*file, .*memory"):
        open_store("gopher://hole")


def test_a_path_that_is_a_file_is_refused(tmp_path: Path) -> None:
    """Neither a file nor a path below one can be a store."""
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="is a file; a store takes a folder"):
        open_store(tmp_path / "file")
    with pytest.raises(ValueError, match="below a file"):
        open_store(tmp_path / "file" / "cache")


def test_an_unknown_way_to_verify_is_refused(cache_folder: Path) -> None:
    """The error names the argument and what it takes."""
    with pytest.raises(ValueError, match="verify='sometimes': takes one of 'always', 'first', 'never'"):
        open_store(cache_folder, verify="sometimes")


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that other users can enter, which those of pytest are not."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def test_a_folder_that_can_t_be_written_is_read(open_folder: Path) -> None:
    """Without write permission there is one warning, reading works, and writing does nothing."""
    cache = open_folder / "cache"
    kept = entry(np.arange(BIG))
    open_store(cache).write(kept)
    program = f"""
        import os, sys, warnings
        from cachingclient.storage import open_store
        from tests.support.entries import entry
        import cachingclient.storage.codecs.numpy
        if os.getuid() == 0:
            os.setuid(65534)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            store = open_store({str(cache)!r})
            again = open_store({str(cache)!r})
        assert store is again and store.read_only
        assert store.write(entry(1)) is False and store.delete([{kept.keys[0]!r}]) == 0
        value = store.read(store.find([{kept.keys[0]!r}])[{kept.keys[0]!r}])
        print(len(caught), caught[0].message, value[3])
    """
    for path in [*cache.rglob("*"), cache]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    result = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, check=False, cwd=os.getcwd()
    )
    for path in [cache, *cache.rglob("*")]:
        path.chmod(0o700)
    assert result.stdout.startswith("1 nothing will be kept: store file:///"), result.stderr
    assert result.stdout.endswith("3\n")


def test_a_folder_deleted_under_a_store_is_made_again(cache_folder: Path) -> None:
    """Deleting the cache during a run costs the entries, nothing else."""
    store = open_store(cache_folder)
    lost = entry(np.arange(BIG))
    store.write(lost)
    info = store.find(lost.keys)[lost.keys[0]]
    shutil.rmtree(cache_folder)
    with pytest.raises(EntryLost, match="missing"):
        store.read(info)
    assert store.write(entry(np.arange(BIG), *lost.keys))
    assert store.read(store.find(lost.keys)[lost.keys[0]])[9] == 9


def damage(path: Path, how: str) -> None:
    """Damage a file as disks and people do."""
    data = bytearray(path.read_bytes())
    if how == "flipped":
        data[len(data) // 2] ^= 1
    elif how == "truncated":
        del data[len(data) // 2 :]
    elif how == "emptied":
        data.clear()
    elif how == "replaced":
        data[:] = b"x" * len(data)
    path.unlink() if how == "removed" else path.write_bytes(data)


@pytest.mark.parametrize("how", ["flipped", "truncated", "emptied", "replaced", "removed"])
@pytest.mark.parametrize("what", ["description", "blob"])
def test_damage_is_seen_and_mended_by_writing_again(cache_folder: Path, how: str, what: str) -> None:
    """A damaged entry is never served, and writing it again makes it whole."""
    store = open_store(cache_folder)
    kept = entry(np.arange(BIG))
    key = kept.keys[0]
    store.write(kept)
    name = step_name(key) if what == "description" else blob_name(kept.encoded.digest)
    damage(cache_folder / name, how)
    with warnings.catch_warnings(action="ignore"):
        found = store.find([key])
        if found:
            with pytest.raises(EntryLost):
                store.read(found[key])
    assert store.write(kept)
    assert store.read(store.find([key])[key])[7] == 7


def test_a_damaged_description_is_reported(cache_folder: Path) -> None:
    """The warning names the entry."""
    store, kept = open_store(cache_folder), entry(5)
    store.write(kept)
    damage(cache_folder / step_name(kept.keys[0]), "flipped")
    with pytest.warns(UserWarning, match=kept.keys[0]):
        assert store.find(kept.keys) == {}


def test_swapped_files_are_not_served(cache_folder: Path) -> None:
    """A description under another entry's name, or a blob under another's digest, is not believed."""
    store = open_store(cache_folder)
    one, other = entry(np.arange(BIG)), entry(np.ones(BIG, dtype=int))
    for each in (one, other):
        store.write(each)
    paths = [cache_folder / blob_name(each.encoded.digest) for each in (one, other)]
    contents = [path.read_bytes() for path in paths]
    for path, content in zip(paths, reversed(contents), strict=True):
        path.write_bytes(content)
    for key, info in store.find([*one.keys, *other.keys]).items():
        with pytest.raises(EntryLost, match=key):
            store.read(info)
    shutil.copy(cache_folder / step_name(one.keys[0]), cache_folder / step_name(other.keys[0]))
    with pytest.warns(UserWarning, match="not its own"):
        assert not store.find(other.keys)


def test_an_entry_of_a_newer_format_is_a_miss(cache_folder: Path) -> None:
    """A newer version's entry is neither used nor reported nor moved."""
    store, kept = open_store(cache_folder), entry(5)
    store.write(kept)
    path = cache_folder / step_name(kept.keys[0])
    newer = path.read_bytes().replace(b"cachingclient-entry 1 ", b"cachingclient-entry 3 ")
    path.write_bytes(newer)
    assert store.find(kept.keys) == {}
    assert path.read_bytes() == newer


def test_what_only_a_newer_version_can_read_is_looked_after(cache_folder: Path) -> None:
    """A colleague's entries, of a newer format or with newer codecs, are listed and keep their blobs."""
    store = open_store(cache_folder)
    kept = [entry(np.arange(BIG) + number) for number in range(2)]
    for each in kept:
        store.write(each)
    paths = [cache_folder / step_name(each.keys[0]) for each in kept]
    data = paths[0].read_bytes()
    paths[0].write_bytes(data.replace(b"cachingclient-entry 1 ", b"cachingclient-entry 3 "))
    info = outline(kept[1].keys[0], paths[1].read_bytes())
    paths[1].write_bytes(pack(replace(info, payload=None, details={"codecs": {"numpy": 99}})))
    assert store.find([each.keys[0] for each in kept]) == {}
    assert {info.key for info in store.scan()} == {each.keys[0] for each in kept}
    prune(store, max_size=10**9, grace=-10)
    assert store.totals()["blobs"][0] == 2
    assert verify(store).sound
    prune(store, older_than=0, grace=-10)
    assert store.totals()["blobs"][0] == store.totals()["entries"][0] == 0


def test_foreign_files_are_left_alone(cache_folder: Path) -> None:
    """Somebody's notes in the folder disturb neither listing nor deleting."""
    store, kept = open_store(cache_folder), entry(5)
    store.write(kept)
    notes = cache_folder / "v1" / "steps" / "ab" / "notes.txt"
    notes.parent.mkdir(exist_ok=True)
    notes.write_text("mine")
    assert [info.key for info in store.scan()] == list(kept.keys)
    store.delete(kept.keys)
    assert notes.read_text() == "mine"


def test_a_full_disk_leaves_nothing_half_written(cache_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A write that fails in the middle is a StoreError, and no file is left."""
    store, kept = open_store(cache_folder), entry(np.arange(BIG))

    def full(handle: int, pieces: Sequence[memoryview]) -> int:
        if sum(piece.nbytes for piece in pieces) < 1000:
            return os.write(handle, b"".join(pieces))
        os.write(handle, b"".join(pieces)[:1000])
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "writev", full)
        with pytest.raises(StoreError, match="No space left"):
            store.write(kept)
    assert [path for path in cache_folder.rglob("*") if path.is_file()] == []


def test_the_last_use_is_recorded_at_most_once_an_hour(cache_folder: Path) -> None:
    """Touching sets the description's time, and again only after a while."""
    store, kept = open_store(cache_folder), entry(5)
    store.write(kept)
    path = cache_folder / step_name(kept.keys[0])
    os.utime(path, (1000, 1000))
    assert next(store.scan()).last_used == 1000
    store.touch(kept.keys)
    assert next(store.scan()).last_used > 1000
    os.utime(path, (1000, 1000))
    store.touch(kept.keys)
    assert next(store.scan()).last_used == 1000


def test_network_file_systems_are_read_instead_of_mapped(tmp_path: Path) -> None:
    """With ``memory_map=False`` a loaded array lives in memory of its own."""
    folder = LocalFolder(str(tmp_path), memory_map=False)
    folder.put(["v1/blob"], [memoryview(bytes(3 << 20))])
    frame = folder.open("v1/blob")
    assert isinstance(frame.obj, bytearray)
    assert frame.nbytes == 3 << 20


def test_every_read_is_verified_when_asked(cache_folder: Path) -> None:
    """With ``verify="always"`` damage after the first read is seen too."""
    store = open_store(cache_folder, verify="always")
    kept = entry(np.arange(BIG))
    store.write(kept)
    info = store.find(kept.keys)[kept.keys[0]]
    store.read(info)
    damage(cache_folder / blob_name(kept.encoded.digest), "flipped")
    with pytest.raises(EntryLost, match="not those that were written"):
        store.read(info)


def test_what_is_remembered_of_uses_is_bounded(cache_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that touches entries for weeks does not grow."""
    monkeypatch.setattr("cachingclient.storage.files.local.MOST_TOUCHED", 10)
    folder = LocalFolder(str(cache_folder))
    for _ in range(30):
        folder.touch([new_key()])
    assert len(folder._touched) <= 11
