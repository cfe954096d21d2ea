"""``cachectl list``: filters, orders, limits and forms."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from cachingclient.cli.list import ordered
from cachingclient.storage import Store
from cachingclient.storage.files.layout import step_name
from tests.cli.entries import HOUR, key

Cachectl = Callable[..., Result]


def listed(result: Result) -> list[str]:
    """The numbers of the entries that were listed, by the first digit of their keys."""
    assert result.exit_code == 0, result.output
    return [line[0] for line in result.stdout.splitlines()[1:]]


def test_newest_first_and_without_code_notes(cachectl: Cachectl) -> None:
    """Results are listed once each, the newest first; notes about code are not results."""
    assert listed(cachectl("list")) == ["3", "2", "1", "0"]


def test_a_pipe_gets_whole_keys_and_tabs(cachectl: Cachectl, cache_folder: Path) -> None:
    """Where nobody looks, each line has tab-separated fields and the whole key."""
    used = time.time() - 1.5 * HOUR
    os.utime(cache_folder / step_name(key(2)), (used, used))
    heads, _, shown, *_ = cachectl("list").stdout.splitlines()
    assert heads.split("\t") == ["key", "step", "size", "took", "age", "used", "codec"]
    assert shown.split("\t") == [key(2), "fill", "928 B", "1.0 s", "2 h", "1 h", "numpy"]


def test_a_terminal_gets_short_keys_and_a_sum(cachectl: Cachectl) -> None:
    """A person sees the beginning of each key, and how much there is below the table."""
    result = cachectl("list", "--limit", "1", "--sort", "created", env={"FORCE_COLOR": "1", "NO_COLOR": "1"})
    assert key(3)[:12] in result.stdout
    assert key(3) not in result.stdout
    assert result.stdout.splitlines()[-1] == "1 entry, 8.0 MB of 4 entries, 8.1 MB"


@pytest.mark.parametrize(
    ("arguments", "numbers"),
    [
        (["--step", "sel*"], "10"),
        (["--step", "fill", "--step", "merge"], "32"),
        (["--older-than", "1d"], "10"),
        (["--newer-than", "3h"], "32"),
        (["--older-than", "1h", "--newer-than", "1d"], "2"),
        (["--larger-than", "10kB"], "30"),
        (["--smaller-than", "10kB"], "21"),
        (["--kind", "code"], "4"),
        (["--sort", "size"], "3012"),
        (["--sort", "size", "--reverse"], "2103"),
        (["--sort", "seconds", "--limit", "2"], "01"),
        (["--sort", "seconds", "--reverse", "--limit", "2"], "32"),
        (["--sort", "step", "--limit", "1"], "2"),
        (["--sort", "key"], "0123"),
    ],
)
def test_filters_orders_and_limits(cachectl: Cachectl, arguments: list[str], numbers: str) -> None:
    """Every filter must hold, and a limit takes the first of an order."""
    assert "".join(listed(cachectl("list", *arguments))) == numbers


def test_json_is_one_document(cachectl: Cachectl) -> None:
    """JSON has plain numbers: bytes and seconds."""
    entries = json.loads(cachectl("list", "--json", "--sort", "created").stdout)
    newest = entries[0]
    assert [entry["key"] for entry in entries] == [key(number) for number in (3, 2, 1, 0)]
    assert {entry["key"] for entry in json.loads(cachectl("list", "--json").stdout)} == {key(n) for n in range(4)}
    assert (newest["step"], newest["kind"], newest["seconds"]) == ("merge", "result", 0.5)
    assert newest["nbytes"] >= 8_000_000
    assert newest["age"] < HOUR


def test_json_of_nothing_is_an_empty_array(cachectl: Cachectl) -> None:
    """A filter that nothing passes gives a valid, empty document."""
    assert json.loads(cachectl("list", "--json", "--step", "nothing").stdout) == []


def test_a_limit_reads_no_more_entries_than_it_needs(store: Store, cachectl: Cachectl, cache_folder: Path) -> None:
    """The last used are found by the times of their files: all others may be unreadable."""
    store.touch([key(1)])
    os.utime(cache_folder / step_name(key(1)))
    for number in (0, 2, 3):
        os.utime(cache_folder / step_name(key(number)), (number, number))
        (cache_folder / step_name(key(number))).write_bytes(b"not looked at")
        os.utime(cache_folder / step_name(key(number)), (number, number))
    assert listed(cachectl("list", "--limit", "1")) == ["1"]


def test_a_limit_holds_no_more_entries_than_it_shows(store: Store) -> None:
    """Without an order, a limited listing stops reading: the store is not asked for the rest."""
    infos = store.scan()
    assert len(list(ordered(infos, "none", False, 2))) == 2
    assert len(list(infos)) == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--older-than", "soon"], "'soon' is not an age"),
        (["--larger-than", "big"], "'big' is not a size"),
        (["--limit", "-1"], "-1 is not in the range"),
        (["--sort", "colour"], "'colour' is not one of"),
    ],
)
def test_wrong_usage(cachectl: Cachectl, arguments: list[str], message: str) -> None:
    """A value that an option does not take is named, and the exit code is 2."""
    result = cachectl("list", *arguments)
    assert result.exit_code == 2
    assert message in result.stderr
