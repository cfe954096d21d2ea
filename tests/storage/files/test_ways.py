"""Going down into a local store: what is opened once for several calls, and what is written in one."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest
import xxhash

from cachingclient.storage import StoreError
from cachingclient.storage.files import atomic
from cachingclient.storage.files.descent import FEW, Descent
from cachingclient.storage.files.local import LocalFolder
from cachingclient.storage.model import StoreUnavailable


def handles() -> set[str]:
    """The descriptors of this process."""
    return set(os.listdir("/proc/self/fd"))


@pytest.mark.parametrize("few", [1, 7, 1 << 20])
def test_frames_are_written_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, few: int) -> None:
    """Whatever their sizes and numbers are, and however little a call takes, the file has them one after the other."""
    monkeypatch.setattr(atomic, "CHUNK", 100)
    monkeypatch.setattr(atomic, "MOST_PIECES", 5)
    writev = os.writev
    monkeypatch.setattr(os, "writev", lambda handle, pieces: writev(handle, [b"".join(pieces)[:few]]))
    sizes = [0, 3, 250, 0, 99, 1, *[2] * 12, 100, 0]
    frames = [bytes([number]) * size for number, size in enumerate(sizes)]
    with open(tmp_path / "file", "wb") as file:
        digest = atomic.write_frames(file.fileno(), map(memoryview, frames))
    content = (tmp_path / "file").read_bytes()
    assert content == b"".join(frames)
    assert digest == xxhash.xxh3_128_hexdigest(content)


def test_small_frames_take_one_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As those of a result with many arrays."""
    calls: list[int] = []
    writev = os.writev

    def counted(handle: int, pieces: Sequence[memoryview]) -> int:
        calls.append(len(pieces))
        return writev(handle, pieces)

    monkeypatch.setattr(os, "writev", counted)
    with open(tmp_path / "file", "wb") as file:
        atomic.write_frames(file.fileno(), [memoryview(b"12345678")] * 50)
    assert calls == [50]


def test_what_is_done_together_opens_folders_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And leaves none of them open."""
    folder = LocalFolder(str(tmp_path / "store"))
    folder.put(["v1/steps/ab/x"], [memoryview(b"1")])
    opened: list[str] = []
    openat = os.open

    def counted(path: str, *args: int, **options: int) -> int:
        opened.append(os.path.basename(path))
        return openat(path, *args, **options)

    def act() -> dict[str, bytes]:
        folder.put(["v1/steps/ab/y"], [memoryview(b"2")])
        folder.stat(["v1/steps/ab/x"])
        return folder.fetch(["v1/steps/ab/x", "v1/steps/ab/y"])

    before = handles()
    monkeypatch.setattr(os, "open", counted)
    assert folder.together(act) == {"v1/steps/ab/x": b"1", "v1/steps/ab/y": b"2"}
    assert [opened.count(name) for name in ("store", "v1", "tmp", "steps", "ab")] == [1] * 5
    monkeypatch.undo()
    assert handles() == before


def test_few_shards_stay_open(tmp_path: Path) -> None:
    """There may be hundreds, and a process may have no more than 256 files open."""
    before = len(handles())
    with Descent(str(tmp_path)) as way:
        for number in range(40):
            os.stat(".", dir_fd=way.to(f"v1/steps/{number}", make=0o700))
            os.stat(".", dir_fd=way.to("v1/tmp", make=0o700))
        assert len(handles()) - before == len(["root", "v1", "steps", "tmp"]) + FEW
    assert len(handles()) == before


def test_a_store_that_is_removed_meanwhile_is_made_anew(tmp_path: Path) -> None:
    """Its handles lead nowhere then."""
    folder = LocalFolder(str(tmp_path / "store"))

    def act() -> bool:
        folder.put(["v1/steps/ab/x"], [memoryview(b"1")])
        shutil.rmtree(tmp_path / "store")
        return folder.put(["v1/steps/ab/y"], [memoryview(b"2")])

    assert folder.together(act)
    assert (tmp_path / "store/v1/steps/ab/y").read_bytes() == b"2"


def test_what_others_may_write_to_is_refused_each_time(tmp_path: Path) -> None:
    """A folder that was refused once is looked at again by the next call on the same way."""
    folder = LocalFolder(str(tmp_path / "store"))
    folder.put(["v1/steps/ab/x"], [memoryview(b"1")])
    folder.guarded = True
    os.chmod(tmp_path / "store", 0o777)

    def act() -> list[type[BaseException]]:
        raised: list[type[BaseException]] = []
        for _ in range(2):
            try:
                folder.open("v1/steps/ab/x")
            except StoreError as error:
                raised.append(type(error))
        return raised

    before = handles()
    assert folder.together(act) == [StoreUnavailable] * 2
    assert handles() == before
