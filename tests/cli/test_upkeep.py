"""``cachectl prune``, ``pin`` and ``verify``, and the totals of ``stats``."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import dask
import numpy as np
import pytest
from click.testing import Result

from cachingclient.storage import Store
from tests.cli.entries import key
from tests.support.entries import entry

Cachectl = Callable[..., Result]


def left(store: Store) -> set[str]:
    """The numbers of the entries that are still there, by the first digit of their keys."""
    return {info.key[0] for info in store.scan()}


@pytest.fixture
def damaged(store: Store, cache_folder: Path) -> Store:
    """The store with one bit of its largest result flipped."""
    blob = max((path for path in cache_folder.rglob("*") if path.is_file()), key=lambda path: path.stat().st_size)
    data = bytearray(blob.read_bytes())
    data[-1] ^= 1
    blob.write_bytes(data)
    return store


def test_prune_by_name_and_use(cachectl: Cachectl, store: Store) -> None:
    """What was not used for so long goes, of the names given, and the rest is told."""
    result = cachectl("prune", "--older-than", "0s", "--step", "mer*")
    assert result.exit_code == 0, result.output
    assert "Removed 1 entries (8.0 MB, 500 ms of running): 1 merge." in result.stdout
    assert left(store) == set("0124")


def test_prune_to_a_size(cachectl: Cachectl, store: Store) -> None:
    """With a size, what is left is no larger."""
    assert cachectl("prune", "--max-size", "1MB").exit_code == 0
    assert "3" not in left(store)


def test_what_was_pruned_is_summed_up(cachectl: Cachectl, store: Store) -> None:
    """Over all prunings that removed anything, in Prometheus' format and as a line of JSON, beside what is left."""
    for options in (["--older-than", "0s", "--dry-run"], ["--older-than", "0s", "--step", "mer*"], ["--max-size", "0"]):
        assert cachectl("prune", *options).exit_code == 0
    assert cachectl("prune", "--max-size", "0").exit_code == 0  # which finds nothing more
    store.write(entry(np.arange(1000), name="fill"))
    told, fill = map(json.loads, cachectl("stats", "--json-lines").stdout.splitlines())
    assert (told["event"], told["store"], fill["event"], fill["step"]) == ("store", store.url, "step", "fill")
    assert (told["pruned"]["prunings"], told["pruned"]["entries"]) == (2, 5)
    assert told["pruned"]["nbytes"] > 8_000_000
    assert (fill["entries"], fill["seconds"]) == (1, 1.5)
    assert abs(datetime.fromisoformat(told["@timestamp"]).timestamp() - fill["newest"]) < 3600
    lines = cachectl("stats", "--prometheus").stdout.splitlines()
    assert f'cachingclient_store_pruned_entries_total{{store="{store.url}"}} 5' in lines
    for other in ("--json", "--totals", "--prometheus"):
        assert "is a format of its own" in cachectl("stats", "--json-lines", other).output


def test_the_configured_limit_is_the_default_size(cachectl: Cachectl, store: Store) -> None:
    """Without --max-size the setting counts."""
    with dask.config.set({"cachingclient.size-limit": "1MB"}):
        assert cachectl("prune").exit_code == 0
    assert "3" not in left(store)


def test_a_dry_prune_removes_nothing(cachectl: Cachectl, store: Store) -> None:
    """--dry-run says what would go."""
    told = json.loads(cachectl("prune", "--older-than", "0s", "--dry-run", "--json").stdout)
    assert (told["entries"], told["dry_run"]) == (5, True)
    assert left(store) == set("01234")


def test_pinned_entries_stay(cachectl: Cachectl, store: Store) -> None:
    """A pinned entry survives a pruning, until it is unpinned."""
    assert cachectl("pin", "3").stdout == "Pinned 1 entry.\n"
    assert cachectl("pin").stdout.split() == [key(3)]
    cachectl("prune", "--older-than", "0s")
    assert left(store) == {"3"}
    assert cachectl("pin", "3", "--remove").stdout == "Unpinned 1 entry.\n"
    cachectl("prune", "--older-than", "0s")
    assert left(store) == set()


def test_pinning_by_name(cachectl: Cachectl, store: Store) -> None:
    """Filters choose what is pinned."""
    assert cachectl("pin", "--step", "select").stdout == "Pinned 3 entries.\n"
    assert store.pins() == {key(number) for number in (0, 1, 4)}


def test_keys_and_filters_are_not_mixed(cachectl: Cachectl) -> None:
    """It would not be clear which of the two counts."""
    result = cachectl("pin", "3", "--step", "select")
    assert result.exit_code == 2
    assert "give keys or filters, not both" in result.stderr


def test_a_sound_store(cachectl: Cachectl) -> None:
    """Everything is read, and nothing is wrong."""
    result = cachectl("verify")
    assert result.exit_code == 0
    assert "0 damaged" in result.stdout


def test_a_flipped_bit_is_found_and_mended(cachectl: Cachectl, damaged: Store) -> None:
    """Damage makes verify exit with 1; repaired, the entry is gone, to be run again, and all else is sound."""
    found = cachectl("verify")
    assert found.exit_code == 1
    assert "not those that were written" in found.stdout
    mended = json.loads(cachectl("verify", "--repair", "--json").stdout)
    assert [problem["mended"] for problem in mended["problems"]] == [True]
    assert cachectl("verify").exit_code == 0
    assert left(damaged) == set("0124")


def test_totals_read_no_entry(cachectl: Cachectl) -> None:
    """The totals are those of the files, by sort."""
    told = json.loads(cachectl("stats", "--totals", "--json").stdout)
    assert told["entries"]["files"] == 6  # five entries, one of them under two keys
    assert cachectl("stats", "--totals").stdout.splitlines()[1] == "sort\tfiles\tsize"


def test_totals_can_not_be_filtered(cachectl: Cachectl) -> None:
    """Filters need the entries."""
    assert cachectl("stats", "--totals", "--step", "select").exit_code == 2


@pytest.mark.parametrize("arguments", [["prune"], ["pin", "3"], ["verify", "--repair"]])
@pytest.mark.usefixtures("read_only")
def test_a_read_only_store_is_left_alone(cachectl: Cachectl, arguments: list[str]) -> None:
    """What would change a store that is read-only here exits with 2."""
    result = cachectl(*arguments)
    assert result.exit_code == 2
    assert "read-only" in result.stderr
