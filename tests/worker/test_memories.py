"""What a process may remember of files that changed since it first saw them."""

from __future__ import annotations

from pathlib import Path

import pytest

from cachingclient.hashing.inputs.fingerprint import Fingerprint
from cachingclient.hashing.inputs.inputs import Inputs
from cachingclient.worker.memories import Memories


def look(*names: str) -> dict[str, Fingerprint | None]:
    """How files and patterns look now."""
    found = [Inputs().of(name) for name in names]
    return {seen.url: seen for seen in found if seen is not None}


@pytest.fixture
def memories(tmp_path: Path) -> Memories:
    """A process that ran a step which opened both files that match a pattern."""
    for name in ("a.txt", "b.txt"):
        (tmp_path / name).write_text("one")
    memories = Memories()
    files = look(str(tmp_path / "*.txt"), str(tmp_path / "a.txt"), str(tmp_path / "b.txt"))
    assert memories.changed_since_first_seen(files, files.keys()) == ""
    return memories


def test_a_file_that_changed_may_be_remembered(memories: Memories, tmp_path: Path) -> None:
    """One that was not opened now is named; opened, or as it was, it is no matter."""
    name = str(tmp_path / "a.txt")
    assert memories.changed_since_first_seen(look(name), ()) == ""
    (tmp_path / "a.txt").write_text("two")
    assert memories.changed_since_first_seen(look(name), ()) == name
    assert memories.changed_since_first_seen(look(name), {name}) == ""


def test_a_pattern_whose_files_changed_may_be_remembered(memories: Memories, tmp_path: Path) -> None:
    """A step has to look for the files again, and to open those that changed."""
    pattern = str(tmp_path / "*.txt")
    (tmp_path / "a.txt").write_text("two")
    assert memories.changed_since_first_seen(look(pattern), ()) == pattern
    assert memories.changed_since_first_seen(look(pattern), {str(tmp_path)}) == pattern
    assert memories.changed_since_first_seen(look(pattern), {str(tmp_path), str(tmp_path / "a.txt")}) == ""


def test_a_new_file_of_a_pattern_is_no_memory(memories: Memories, tmp_path: Path) -> None:
    """Nobody remembers a file that was not there."""
    (tmp_path / "c.txt").write_text("three")
    assert memories.changed_since_first_seen(look(str(tmp_path / "*.txt")), {str(tmp_path)}) == ""


def test_a_file_that_left_a_pattern_is_no_memory(memories: Memories, tmp_path: Path) -> None:
    """A step that looked for the files did not find it, so nothing asks for what it held."""
    (tmp_path / "b.txt").rename(tmp_path / "c.txt")
    pattern = str(tmp_path / "*.txt")
    assert memories.changed_since_first_seen(look(pattern), {str(tmp_path), str(tmp_path / "c.txt")}) == ""
