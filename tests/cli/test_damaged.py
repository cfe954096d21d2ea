"""Descriptions that can't be read: listed, counted and removed, beside entries that stay."""

from __future__ import annotations

import json
from pathlib import Path

from cachingclient.cli.output import plain
from cachingclient.storage import Store
from tests.cli.test_purge import Cachectl

BAD = "ba" * 16


def spoil(cache_folder: Path) -> None:
    """Put a file that is no description under the name of one."""
    place = cache_folder / "v1" / "steps" / "ba" / BAD
    place.parent.mkdir(exist_ok=True)
    place.write_bytes(b"hello")


def test_they_are_listed_counted_and_removed(cachectl: Cachectl, store: Store, cache_folder: Path) -> None:
    """One of them is no entry, and costs no other one."""
    there = {info.key for info in store.scan()}
    spoil(cache_folder)
    assert json.loads(cachectl("list", "--damaged", "--json").stdout) == [
        {"key": BAD, "problem": "it is not a description"}
    ]
    assert json.loads(cachectl("stats", "--json").stdout)["damaged"] == 1
    assert "1 descriptions can't be read" in cachectl("stats").stdout
    assert "Would remove 1" in cachectl("purge", "--damaged", "--dry-run").stdout
    assert json.loads(cachectl("purge", "--damaged", "--yes", "--json").stdout)["removed"] == 1
    assert json.loads(cachectl("list", "--damaged", "--json").stdout) == []
    assert {info.key for info in store.scan()} == there


def test_a_key_that_is_none_is_told(cachectl: Cachectl, store: Store) -> None:
    """As long as a key, and a path."""
    result = cachectl("show", "../" * 10 + "xy")
    assert result.exit_code == 2
    assert "no entry has a key that begins with" in result.output


def test_names_do_nothing_to_a_terminal() -> None:
    """What a step is called may come from anyone."""
    assert plain("a\x1b[2J\x07é") == "a\\x1b[2J\\x07é"
