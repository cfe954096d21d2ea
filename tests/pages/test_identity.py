"""What the page on identity says can't be known, and that no other test runs: there the old result is returned."""

from __future__ import annotations

import importlib
import logging
import os
import sys
import warnings
import zipfile
from pathlib import Path

import pytest

from cachingclient import step
from cachingclient.hashing.identify import identify
from tests.support.counting import (  # noqa: F401 - fixtures are found by their names
    as_in_another_process,
    count_from_zero,
    counter,
    in_plain_python,
)


@step
def written_at(path: str) -> float:
    """Take no more of a file than its time."""
    counter()
    return os.path.getmtime(path)


@step
def archived_at(path: str) -> tuple[int, ...]:
    """Take its time from a library."""
    counter()
    return zipfile.ZipInfo.from_file(path).date_time


@step
def names_of(path: str) -> int:
    """Count its hard links."""
    counter()
    return os.stat(path).st_nlink


def test_the_time_of_a_file_counts_where_the_step_asks_for_it(tmp_path: Path) -> None:
    """A file that is touched is another for such a step, and for no other."""
    file = tmp_path / "corrections.json"
    file.write_text("1.02")
    os.utime(file, (1000, 1000))
    assert written_at(str(file)) == 1000
    as_in_another_process()
    os.utime(file, (2000, 2000))
    assert written_at(str(file)) == 2000


def test_what_else_is_told_of_a_file_does_not_count(tmp_path: Path) -> None:
    """A time that a library asks for and hands on, and what is neither mode nor time of the last change."""
    file = tmp_path / "corrections.json"
    file.write_text("1.02")
    os.utime(file, (800_000_000, 800_000_000))
    first = archived_at(str(file))
    assert names_of(str(file)) == 1
    as_in_another_process()
    os.link(file, tmp_path / "another")
    assert names_of(str(file)) == 1
    os.utime(file, (900_000_000, 900_000_000))
    assert archived_at(str(file)) == first
    assert counter.count == 2


@pytest.mark.parametrize(
    "sets", ["warnings.simplefilter('error')", "logging.getLogger().setLevel(10)", "sys.setrecursionlimit(5000)"]
)
def test_what_an_import_sets_in_python_itself_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sets: str
) -> None:
    """It seldom has to do with results, and notebooks set it all the time."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    limit, level, digests = sys.getrecursionlimit(), logging.getLogger().level, set()
    for more in ("", sets):
        text = f"import logging, sys, warnings\n{more}\ndef cut(x): return x > 25\n"
        (tmp_path / "cuts_of_tests.py").write_text(text)
        sys.modules.pop("cuts_of_tests", None)
        importlib.invalidate_caches()
        with warnings.catch_warnings():
            digests.add(identify(importlib.import_module("cuts_of_tests").cut).digest)
    sys.setrecursionlimit(limit)
    logging.getLogger().setLevel(level)
    assert len(digests) == 1
