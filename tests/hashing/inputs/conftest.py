"""A working folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.hashing.inputs.writing import write


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a file, a folder and a tree of files in it."""
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "a.root", b"root")
    write(tmp_path / "Events", b"no suffix")
    write(tmp_path / "data" / "b.txt", b"b")
    write(tmp_path / "data" / "deep" / "c.txt", b"c")
    return tmp_path
