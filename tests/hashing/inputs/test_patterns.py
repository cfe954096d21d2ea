"""Patterns: which files they match, and how far they are searched."""

from __future__ import annotations

import glob
import os
from pathlib import Path

import pytest

from cachingclient.hashing.inputs.patterns import Search

FILES = ["a.root", "run1/a.root", "run1/b.log", "run1/deep/c.root"]
HIDDEN = ["run2/.hidden/d.root", "run2/.e.root", "run2/[x].root"]


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """Some folders with files, and a link that forms a circle."""
    for name in FILES + HIDDEN:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    return tmp_path


@pytest.mark.parametrize(
    "pattern",
    ["*.root", "*/*.root", "run?/a.root", "**/*.root", "run*/**/*.root", "**/deep/*", "**", "run1/**", "*/.e*"]
    + ["run2/[[]x].root", "run1/[ab].*", "no*/x.root", "**/**/c.root", "run1/**/deep", "*/deep/../a.root", "a.root/*"],
)
def test_it_finds_what_glob_finds(runs: Path, pattern: str) -> None:
    """Folders in folders, hidden names and classes of letters are matched as `glob` matches them."""
    full = os.path.abspath(runs / pattern)
    expected = {path.rstrip(os.sep) for path in glob.glob(full, recursive=True)}
    assert set(Search(full)) == expected


def test_a_circle_of_links_ends(runs: Path) -> None:
    """A folder that holds a link to one above it is gone through once."""
    (runs / "run1" / "up").symlink_to(runs)
    found = {os.path.relpath(path, runs) for path in Search(f"{runs}/**/c.root")}
    assert found == {"run1/deep/c.root"}


def test_a_search_ends_after_so_many_names(tmp_path: Path) -> None:
    """A pattern that would go through more is cut, and tells so."""
    for number in range(10):
        (tmp_path / f"run{number}").mkdir()
        (tmp_path / f"run{number}" / "a.root").touch()
    whole, cut = Search(f"{tmp_path}/**/*.root"), Search(f"{tmp_path}/**/*.root", most_names=100)
    assert (len(set(whole)), whole.is_cut) == (10, False)
    assert (0 < len(set(cut)) < 10, cut.is_cut) == (True, True)
