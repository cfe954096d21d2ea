"""The memory of files: what it believes, and what it forgets."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from multiprocessing import get_context
from pathlib import Path

import pytest
import xxhash

from cachingclient.hashing.inputs import fingerprint
from cachingclient.hashing.inputs.fingerprint import look_at_path
from cachingclient.hashing.inputs.remembered import Found, Remembered, use_memory, version_of
from tests.support.waiting import until

VERSION = (10, 1, 1, 1)
ROOT = b"root" + bytes(43) + bytes(range(16)) + bytes(100_000)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where a memory is."""
    return tmp_path / "memory"


@pytest.fixture
def opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Which files of this test are opened to be read."""
    found: list[str] = []
    real = open

    def counting(path: object, *args: object, **kwargs: object) -> object:
        found.append(str(path))
        return real(path, *args, **kwargs)  # type: ignore[call-overload]

    monkeypatch.setattr(fingerprint, "open", counting, raising=False)
    yield found
    use_memory(None)


def in_a_new_session(folder: Path) -> None:
    """Forget what this process knows, but for what it has written."""
    use_memory(Remembered(folder))
    fingerprint._digests.clear()
    fingerprint._root_uuid_once.cache_clear()


def settled(path: Path) -> None:
    until(lambda: time.time() - max(path.stat().st_mtime, path.stat().st_ctime) > 2.2)


@pytest.mark.parametrize(("name", "content"), [("a.root", ROOT), ("cuts.json", b"{}")])
def test_a_file_is_opened_once_until_it_changes(
    name: str, content: bytes, folder: Path, opened: list[str], tmp_path: Path
) -> None:
    """Also where another file takes its place that has its size and time."""
    path = tmp_path / name
    path.write_bytes(content)
    settled(path)
    looks = []
    for _ in range(2):
        in_a_new_session(folder)
        looks.append(look_at_path(str(path), "stat", 10))
    assert looks[0] == looks[1]
    assert opened == [str(path)]
    status = path.stat()
    path.write_bytes(content.replace(b"\x02", b"\x03") if name == "a.root" else b"[]")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    in_a_new_session(folder)
    assert look_at_path(str(path), "stat", 10) != looks[0]
    assert len(opened) == 2


def test_the_content_of_a_large_file_is_read_once(folder: Path, opened: list[str], tmp_path: Path) -> None:
    """A File is not read again in the next session."""
    path = tmp_path / "big.bin"
    path.write_bytes(bytes(200_000))
    settled(path)
    for _ in range(2):
        in_a_new_session(folder)
        assert look_at_path(str(path), "content", 10) is not None
    assert opened == [str(path)]


def test_what_changed_just_now_is_looked_at_again(folder: Path, opened: list[str], tmp_path: Path) -> None:
    """A second change need not show in its times; nor is a time in the future one to go by."""
    path = tmp_path / "cuts.json"
    path.write_text("{}")
    os.utime(path, (1e9, 1e9))  # its time of change is now all the same
    for _ in range(2):
        in_a_new_session(folder)
        look_at_path(str(path), "stat", 10)
    assert len(opened) == 2
    settled(path)
    os.utime(path, (4e9, 4e9))
    for _ in range(2):
        in_a_new_session(folder)
        look_at_path(str(path), "stat", 10)
    assert len(opened) == 4


def test_what_is_damaged_or_may_be_anybodys_is_not_believed(folder: Path) -> None:
    """It is written anew."""

    def known() -> Found:
        return Remembered(folder).recall("/data/a", VERSION)

    def remember() -> Path:
        memory = Remembered(folder)
        memory.note("/data/a", VERSION, Found("xxh3:0f"))
        memory.save()
        [place] = folder.iterdir()
        return place

    place = remember()
    assert known() == Found("xxh3:0f")
    whole = place.read_bytes()
    forged = json.dumps({"a": [10, 1, 1, "1", "xxh3:ab", None]}).encode()
    signed = xxhash.xxh3_128_hexdigest(forged).encode() + b"\n" + forged
    for damage in (b"", whole[:-1], whole.replace(b"0f", b"0e"), b"\xff" * 50, signed):
        place.write_bytes(damage)
        assert known() == Found()
    assert remember() == place
    assert known() == Found("xxh3:0f")
    place.chmod(0o666)
    assert known() == Found()


def test_nothing_is_written_where_nothing_may_be(folder: Path) -> None:
    """Neither in the mode read, nor where the folder can't be made."""
    memory = Remembered(folder, writes=False)
    memory.note("/data/a", VERSION, Found("xxh3:0f"))
    memory.save()
    assert not folder.exists()
    folder.write_text("no folder")
    memory = Remembered(folder)
    memory.note("/data/a", VERSION, Found("xxh3:0f"))
    memory.save()
    assert memory.recall("/data/a", VERSION) == Found("xxh3:0f")


def test_it_is_for_the_user_alone(tmp_path: Path) -> None:
    """So are the folders above it that are made for it, such as that of a store which has kept nothing yet."""
    memory = Remembered(tmp_path / "store" / "v1" / "files")
    memory.note("/data/a", VERSION, Found("xxh3:0f"))
    memory.save()
    made = [tmp_path / "store", *(tmp_path / "store").rglob("*")]
    assert len(made) == 4
    assert all(each.stat().st_mode & 0o077 == 0 for each in made)


def note_many(folder: Path, first: int) -> None:
    memory = Remembered(folder)
    for number in range(first, first + 50):
        memory.note(f"/data/{number}", (number, 1, 1, 1), Found(f"xxh3:{number}"))
        memory.save()


def test_many_write_at_the_same_time(folder: Path) -> None:
    """What is there is right and whole, whoever wrote last."""
    writers = [get_context("spawn").Process(target=note_many, args=(folder, 1000 * number)) for number in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    memory = Remembered(folder)
    known = [
        (number, memory.recall(f"/data/{number}", (number, 1, 1, 1)).checksum)
        for first in range(0, 4000, 1000)
        for number in range(first, first + 50)
    ]
    assert all(checksum in (None, f"xxh3:{number}") for number, checksum in known)
    assert any(checksum for _, checksum in known)
    assert len(list(folder.iterdir())) == 1


def test_a_version_is_of_a_file_on_any_host(tmp_path: Path) -> None:
    """Hosts may give the device of a shared file system different numbers."""
    seen = tmp_path.stat()
    assert version_of(seen) == (seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns, seen.st_ino)
