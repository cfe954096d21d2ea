"""Looks at files that several steps depend on, put in one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cachingclient.hashing.inputs.fingerprint import Fingerprint, content_digest
from cachingclient.hashing.inputs.listing import THERE
from cachingclient.hashing.inputs.merge import merged

LARGE = 100_000


def looks(path: Path) -> tuple[Fingerprint, Fingerprint]:
    """Return the two ways in which a large file is looked at: by content just after it changed, by time later."""
    status = os.stat(path)
    return (
        Fingerprint(str(path), "file", status.st_size, checksum=content_digest(str(path), status)),
        Fingerprint(str(path), "file", status.st_size, mtime_ns=status.st_mtime_ns),
    )


def test_a_look_at_the_content_and_one_at_the_time_are_compared_with_the_file(tmp_path: Path) -> None:
    """They agree on a file that both still describe, and on no other of the same size."""
    path = tmp_path / "events"
    path.write_bytes(b"a" * LARGE)
    os.utime(path, (1e9, 1e9))
    by_content, by_time = looks(path)
    assert merged([{"events": by_content}, {"events": by_time}]) == {"events": by_time}
    path.write_bytes(b"b" * LARGE)
    os.utime(path, (2e9, 2e9))
    with pytest.raises(ValueError, match="changed between the steps"):
        merged([{"events": by_content}, {"events": looks(path)[1]}])


def test_that_a_file_is_there_is_less_than_what_it_holds() -> None:
    """One step asks whether it is there, the next reads it."""
    there, read = Fingerprint("/a", THERE), Fingerprint("/a", "file", 1, 1)
    assert merged([{"/a": there}, {"/a": read}]) == merged([{"/a": read}, {"/a": there}]) == {"/a": read}
    with pytest.raises(ValueError, match="changed between the steps"):
        merged([{"/a": there}, {"/a": None}])
