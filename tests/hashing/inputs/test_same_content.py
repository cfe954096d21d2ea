"""What a file held, compared with what another holds: links, copies, edits, and what descriptions state."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

import pytest

from cachingclient.hashing.inputs.fingerprint import Fingerprint
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
    wrong = (None, [], [1, 1, 1, 1, None], ["/a", True, 1, 1, None], ["/a", 1, 1, 1, 5], ["/a", 1, 1, 1])
    for fields in (*wrong, ["/a", 1, 1, 1, None, {"md5": 5}], ["/a", 1, 1, 1, None, "md5"]):
        assert Held.of_json(fields) is None
    assert not found.holds_what(Held("/no/such/file\0", 1, 1, 1))


def remote(url: str = "root://host//a.root", size: int = 6, **sums: str) -> Held:
    found = Held.of_remote(Fingerprint(url, "remote", size, sums=tuple(sums.items())))
    assert found is not None
    return found


def test_remote_files_hold_the_same_if_their_servers_say_so() -> None:
    """By all checksums that both tell; one of another kind proves nothing, nor does a size."""
    one = remote(adler32="08eb0296", md5="0" * 32)
    assert remote("http://other/b.root", adler32="08eb0296").holds_what(one)
    assert not remote(adler32="08fb0292").holds_what(one)
    assert not remote(adler32="08eb0296", size=7).holds_what(one)
    assert not remote(adler32="08eb0296", md5="1" * 32).holds_what(one)
    assert not remote(crc32c="08eb0296").holds_what(one)
    assert Held.of_remote(Fingerprint("root://host//a.root", "remote", 6)) is None
    assert Held.of_json(one.as_json()) == one


@pytest.mark.parametrize(("kind", "told"), [("adler32", "08eb0296"), ("md5", hashlib.md5(b"events").hexdigest())])
def test_a_local_file_is_compared_with_what_a_server_says(kind: str, told: str, tmp_path: Path) -> None:
    """In either order; a checksum that can't be computed here proves nothing."""
    here, there = held(aged(tmp_path / "file", b"events")), remote(**{kind: told})
    assert here.holds_what(there)
    assert there.holds_what(here)
    assert not here.holds_what(remote(crc32c=told[:8]))
    changed = held(aged(tmp_path / "file", b"evento", 1_700_000_001_000_000_000))
    assert not changed.holds_what(there)
    assert not there.holds_what(here), "it is not there as it was"


def test_no_signature_or_password_is_held() -> None:
    """What a description says of a file names it and lets nobody read it."""
    found = remote("https://ada:SECRET@host/a.root?X-Amz-Signature=SECRET&versionId=2", md5="0" * 32)
    assert "SECRET" not in repr(found.as_json())
    assert found.path == "https://host/a.root?versionId=2"
