"""What a file held, compared with what another holds: links, copies, edits, and what descriptions state."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from cachingclient.hashing.inputs.same_content import Held


def held(path: Path) -> Held:
    found = Held.of(str(path))
    assert found is not None
    return found


def aged(path: Path, content: bytes, nanoseconds: int = 1_700_000_000_123_456_789) -> Path:
    """Write a file that looks as if it was written long ago."""
    path.write_bytes(content)
    os.utime(path, ns=(nanoseconds, nanoseconds))
    return path


@pytest.mark.parametrize("size", [100, 100_000])
def test_links_and_copies_hold_the_same(size: int, tmp_path: Path) -> None:
    first = aged(tmp_path / "first", b"a" * size)
    (tmp_path / "link").symlink_to(first)
    os.link(first, tmp_path / "hard")
    copies = [shutil.copy(first, tmp_path / "copy"), shutil.copy2(first, tmp_path / "archive")]
    before = held(first)
    assert (before.digest is None) == (size > 64 * 1024)
    for path in (tmp_path / "link", tmp_path / "hard", *map(Path, copies)):
        assert held(path).holds_what(before)


@pytest.mark.parametrize("size", [100, 100_000])
def test_an_edited_copy_does_not(size: int, tmp_path: Path) -> None:
    """Also one of the same size and time."""
    first, copy = aged(tmp_path / "first", b"a" * size), aged(tmp_path / "copy", b"a" * (size - 1) + b"b")
    assert not held(copy).holds_what(held(first))
    assert not held(aged(copy, b"a" * (size + 1))).holds_what(held(first))


def test_a_copy_of_a_file_that_changed_since_is_not_believed(tmp_path: Path) -> None:
    """What the first held then can't be known any more."""
    first = aged(tmp_path / "first", b"a" * 100_000)
    before, copy = held(first), held(aged(tmp_path / "copy", b"a" * 100_000, 1_600_000_000_000_000_000))
    assert copy.holds_what(before)
    aged(first, b"b" * 100_000, 1_700_000_001_000_000_000)
    assert not copy.holds_what(before)
    first.unlink()
    assert not copy.holds_what(before)


def test_a_file_that_was_being_written_is_read(tmp_path: Path) -> None:
    """Its time may hide a second change: it counts by its content from then on."""
    file = tmp_path / "file"
    file.write_bytes(b"a" * 100_000)
    before = held(file)
    assert before.digest is not None
    status = file.stat()
    with file.open("r+b") as opened:
        opened.write(b"b")
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert not held(file).holds_what(before)


def test_a_path_through_a_link_and_back_is_left_alone(tmp_path: Path) -> None:
    """The operating system leaves the folder that the link leads to, a text the one that it lies in."""
    (tmp_path / "far" / "folder").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "far" / "folder")
    aged(tmp_path / "file", b"a")
    aged(tmp_path / "far" / "file", b"b")
    assert Held.of(f"{tmp_path}/link/../file") is None
    assert Held.of(f"{tmp_path}/far/../file") is not None
    assert Held.of(str(tmp_path)) is Held.of(str(tmp_path / "absent")) is None


def test_descriptions_are_not_believed_blindly(tmp_path: Path) -> None:
    found = held(aged(tmp_path / "file", b"a"))
    assert Held.of_json(found.as_json()) == found
    for fields in (None, [], [1, 1, 1, 1, None], ["/a", True, 1, 1, None], ["/a", 1, 1, 1, 5], ["/a", 1, 1, 1]):
        assert Held.of_json(fields) is None
    assert not found.holds_what(Held("/no/such/file\0", 1, 1, 1))
