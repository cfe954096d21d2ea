"""``cachectl doctor``: what it finds."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import dask
import pytest
from click.testing import CliRunner, Result

from cachingclient.cli import cli
from cachingclient.storage import Store

Cachectl = Callable[..., Result]


def test_a_healthy_place(cachectl: Cachectl, store: Store) -> None:
    """It keeps and loads a result, leaves nothing behind, and exits with 0."""
    before = {info.key for info in store.scan()}
    result = cachectl("doctor")
    assert result.exit_code == 0, result.output
    assert "looked up in" in result.stdout
    assert {info.key for info in store.scan()} == before


def test_a_misspelled_setting_is_a_warning(cachectl: Cachectl) -> None:
    """A name that no setting has makes it exit with 1."""
    with dask.config.set({"cachingclient.polcy": "all"}):
        result = cachectl("doctor")
    assert result.exit_code == 1
    assert "warning  cachingclient.polcy is no setting" in result.stdout


def test_a_wrong_setting_is_a_fault(cachectl: Cachectl) -> None:
    """A wrong value makes it exit with 2, and everything else is still looked at."""
    with dask.config.set({"cachingclient.mode": "write"}):
        result = cachectl("doctor", "--json")
    assert result.exit_code == 2
    states = {finding["text"]: finding["state"] for finding in json.loads(result.stdout)}
    assert "fault" in states.values()
    assert any(text.startswith("store file://") for text in states)


@pytest.mark.usefixtures("read_only")
def test_a_store_that_can_only_be_read(cachectl: Cachectl) -> None:
    """A read-only store is a warning: what is there can be loaded."""
    result = cachectl("doctor")
    assert result.exit_code == 1
    assert "can be read but not written" in result.stdout


@pytest.mark.parametrize("url", ["gopher://hole", "file"])
def test_a_store_that_is_none(tmp_path: Path, url: str) -> None:
    """A store that can't be opened is a fault, told in its own words."""
    (tmp_path / "file").touch()
    result = CliRunner().invoke(cli, ["doctor", "--store", url if "://" in url else str(tmp_path / url)])
    assert result.exit_code == 2
    assert "fault    store:" in result.stdout
