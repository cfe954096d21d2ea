"""``cachectl show`` and ``cachectl stats``."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from click.testing import CliRunner, Result

from cachingclient import DiracClient
from cachingclient.cli import cli
from cachingclient.storage import Store
from tests.cli.entries import key

Cachectl = Callable[..., Result]


@pytest.mark.parametrize("given", [key(0), "0", "0000", "f" * 32])
def test_an_entry_by_its_key_or_the_beginning_of_it(cachectl: Cachectl, given: str) -> None:
    """The whole key, any key it is filed under, or a beginning that is its own."""
    result = cachectl("show", given)
    assert result.exit_code == 0, result.output
    assert "select" in result.stdout
    assert "80 kB" in result.stdout
    assert "2 d ago" in result.stdout


def test_ingredients_are_shown_nested(cachectl: Cachectl) -> None:
    """What is known of how the entry came about is shown line by line, nested names indented."""
    lines = [line.split() for line in cachectl("show", key(0)).stdout.splitlines()]
    assert ["user:", "alice"] in lines
    assert ["load:", "ab"] in lines


def fill(selected: bytes, bins: int, *, weighted: bool = False) -> int:
    return len(selected) // bins


def test_arguments_are_shown_as_a_call_has_them(client: DiracClient) -> None:
    """What is known by its digest alone is dots; what has nothing in it is left out."""
    made = client.submit(fill, client.submit(bytes, 100_000), 50, weighted=True)
    assert made.result() == 2000
    client.flush()
    entry = client.step_key_of(made.key)
    assert entry is not None
    assert client.cache is not None
    shown = CliRunner().invoke(cli, ["show", entry, "--store", client.cache.url]).stdout
    lines = dict(line.split(":", 1) for line in shown.splitlines() if ":" in line)
    assert lines["arguments"].strip() == "..., 50, weighted=True"
    assert "{}" not in shown
    assert "peak" not in shown


def test_show_as_json(cachectl: Cachectl) -> None:
    """For programs: all keys, the details, and what loading would take."""
    known = json.loads(cachectl("show", key(0), "--json").stdout)
    assert known["keys"] == [key(0), "f" * 32]
    assert known["details"]["user"] == "alice"
    assert known["load_seconds"] > 0


@pytest.mark.parametrize("given", ["e" * 32, "77"])
def test_a_key_that_is_not_there(cachectl: Cachectl, given: str) -> None:
    """A key that nothing has is wrong usage."""
    result = cachectl("show", given)
    assert result.exit_code == 2
    assert f"no entry has a key that begins with {given!r}" in result.stderr


def test_too_little_of_a_key(cachectl: Cachectl) -> None:
    """A beginning that several keys share is not enough."""
    result = cachectl("show", "")
    assert result.exit_code == 2
    assert "more than one key" in result.stderr


def test_sums_by_step_name(cachectl: Cachectl) -> None:
    """The largest names come first, and code notes are summed apart."""
    lines = cachectl("stats").stdout.splitlines()
    assert "4 results, 8.1 MB, that took 7.5 s to compute" in lines[0]
    assert lines[1].startswith("1 code note")
    assert [line.split("\t")[0] for line in lines[3:]] == ["step", "merge", "select", "fill"]


def test_sums_as_json(cachectl: Cachectl) -> None:
    """For programs: sums of bytes and seconds, in all and by name."""
    sums = json.loads(cachectl("stats", "--json").stdout)
    assert sums["results"]["entries"] == 4
    assert sums["steps"]["select"]["seconds"] == 6.0
    assert sums["code_notes"]["entries"] == 1


def test_sums_of_nothing(cachectl: Cachectl, store: Store) -> None:
    """An empty store has sums too."""
    store.delete([info.key for info in store.scan()])
    assert "0 results, 0 B" in cachectl("stats").stdout
    assert json.loads(cachectl("stats", "--json").stdout)["results"]["oldest"] == 0


def test_fewer_names_than_there_are(cachectl: Cachectl) -> None:
    """A limit says what it leaves out."""
    assert cachectl("stats", "--limit", "1").stdout.splitlines()[-1] == "and 2 more names (--limit)"


def test_explain_prints_the_lines_that_changed_as_lines(cachectl: Cachectl, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line of code is a line; what a terminal would obey is told as text."""
    told = "missed because the body of a changed\n    -     return 1\n    +     return 2\x1b[2J"
    monkeypatch.setattr("cachingclient.cli.explain.explain_entry", lambda info, store: told)
    lines = cachectl("explain", key(0)).stdout.splitlines()
    assert lines[0].endswith(": missed because the body of a changed")
    assert lines[1:] == ["    -     return 1", "    +     return 2\\x1b[2J"]
