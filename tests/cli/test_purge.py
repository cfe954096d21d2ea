"""``cachectl purge``: what it removes, when it asks, and what it says."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from cachingclient.storage import Store
from tests.cli.entries import key

Cachectl = Callable[..., Result]


def left(store: Store) -> set[str]:
    """The numbers of the entries that are still there, by the first digit of their keys."""
    return {info.key[0] for info in store.scan()}


def test_it_asks_and_takes_no_for_an_answer(cachectl: Cachectl, store: Store) -> None:
    """Without --yes it says what it would remove and where; declined, it removes nothing and exits with 1."""
    result = cachectl("purge", input="n\n")
    assert result.exit_code == 1
    assert "Remove all 4 results and 1 code note" in result.stdout
    assert store.url in result.stdout
    assert left(store) == set("01234")


def test_yes_for_an_answer(cachectl: Cachectl, store: Store) -> None:
    """Confirmed, it removes what passes the filters, code notes included, and nothing else."""
    result = cachectl("purge", "--step", "select", input="y\n")
    assert result.exit_code == 0
    assert left(store) == set("23")


def test_nobody_to_ask_is_a_no(cachectl: Cachectl, store: Store) -> None:
    """In a script without --yes it removes nothing."""
    result = cachectl("purge", input="")
    assert result.exit_code == 1
    assert left(store) == set("01234")


def test_older_than_nothing_empties_the_store(cachectl: Cachectl, store: Store, cache_folder: Path) -> None:
    """Everything is at least 0 s old: no entry, no second name and no blob is left, and it says what it freed."""
    result = cachectl("purge", "--older-than", "0s", "--yes")
    assert result.exit_code == 0
    assert "8.1 MB freed" in result.stdout
    left = [path for path in cache_folder.rglob("*") if path.is_file() and path.parent.name != "inventory"]
    assert left == []
    assert store.find(["f" * 32]) == {}


def test_a_dry_run_removes_nothing(cachectl: Cachectl, store: Store) -> None:
    """--dry-run needs no answer."""
    result = cachectl("purge", "--larger-than", "10kB", "--dry-run")
    assert result.exit_code == 0
    assert result.stdout.startswith("Would remove 2 results (8.1 MB)")
    assert left(store) == set("01234")


def test_json(cachectl: Cachectl, store: Store) -> None:
    """For programs: how many entries, their bytes, and the bytes freed."""
    told = json.loads(cachectl("purge", "--step", "merge", "--yes", "--json").stdout)
    assert told["entries"] == 1
    assert told["freed"] >= told["nbytes"] >= 8_000_000
    assert told["left"] == 0
    assert key(3) not in store.find([key(3)])


def test_json_can_not_ask(cachectl: Cachectl, store: Store) -> None:
    """A question would spoil the document, so it is refused."""
    result = cachectl("purge", "--json")
    assert result.exit_code == 2
    assert "--yes or --dry-run" in result.stderr
    assert left(store) == set("01234")


def test_nothing_to_remove_is_no_question(cachectl: Cachectl) -> None:
    """Where no entry is meant there is nothing to confirm."""
    result = cachectl("purge", "--step", "nothing")
    assert result.exit_code == 0
    assert result.stdout.startswith("Removed 0 results (0 B)")


@pytest.mark.usefixtures("read_only")
def test_a_store_that_can_not_be_written(cachectl: Cachectl, store: Store) -> None:
    """A store that is read-only from here is reported, with exit code 2."""
    result = cachectl("purge", "--yes")
    assert result.exit_code == 2
    assert "read-only" in result.stderr
    assert left(store) == set("01234")


def test_what_can_not_be_removed_is_counted(cachectl: Cachectl, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Entries that are still there afterwards make it exit with 1."""
    monkeypatch.setattr(store, "delete", lambda keys: 0)
    result = cachectl("purge", "--yes")
    assert result.exit_code == 1
    assert "5 of them are still there" in result.stderr
