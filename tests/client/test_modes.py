"""A client's arguments: names and types that are refused, and what each mode reads and keeps."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import dask
import pytest

from cachingclient import DiracClient
from tests.support.reported import results_kept


def increment(x: Any) -> Any:
    return x + 1


# ---- what the user gets wrong ----


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"policy": "most"}, "policy is 'most'; it takes 'auto', 'all' or a CachePolicy"),
        ({"mode": "write"}, "mode is 'write'; it takes 'readwrite', 'read', 'refresh', 'off'"),
        ({"cache": "gopher://host/cache"}, "gopher"),
    ],
    ids=["policy", "mode", "scheme"],
)
def test_unknown_names(arguments: dict[str, Any], message: str, cluster: Any, store_url: str) -> None:
    """An unknown policy, mode or URL scheme is an error that names it and what there is, before anything starts."""
    with pytest.raises(ValueError, match=message):
        DiracClient(cluster.scheduler_address, **({"cache": store_url} | arguments))


@pytest.mark.parametrize("policy", [3, object()])
def test_policy_of_a_wrong_type(policy: Any, cluster: Any, store_url: str) -> None:
    """A policy that is neither a name nor a CachePolicy is an error that says what it is."""
    with pytest.raises(TypeError, match="policy is of type"):
        DiracClient(cluster.scheduler_address, cache=store_url, policy=policy)


@pytest.mark.parametrize("below", ["", "deeper/still"])
def test_store_path_is_a_file(tmp_path: Path, cluster: Any, below: str) -> None:
    """A store cannot be a file, or lie below one."""
    (tmp_path / "file").write_text("a plot")
    with pytest.raises(ValueError, match="a store takes a folder"):
        DiracClient(cluster.scheduler_address, cache=(tmp_path / "file" / below).as_uri())
    assert (tmp_path / "file").read_text() == "a plot"


# ---- modes ----


@pytest.mark.parametrize("off", [{"cache": False}, {"mode": "off"}], ids=["cache=False", "mode=off"])
def test_off_is_a_plain_client(
    make_client: Callable[..., DiracClient], cache_folder: Path, off: dict[str, Any]
) -> None:
    """Without a cache it is a plain client: nothing is planned, kept or reported."""
    client = make_client(**off)
    assert client.submit(increment, 1).result() == 2
    assert dask.delayed(increment)(2).compute() == 3
    assert client.cache is None
    assert client.report is None
    client.flush()
    assert not cache_folder.exists()
    with pytest.raises(ValueError, match="no cache"):
        client.plan(dask.delayed(increment)(2))


def test_read_mode_keeps_nothing_new(make_client: Callable[..., DiracClient]) -> None:
    """``mode="read"`` loads what is there and adds nothing."""
    writer = make_client()
    writer.submit(increment, 1).result()
    writer.close()
    reader = make_client(mode="read")
    assert reader.submit(increment, 1).result() == 2
    assert reader.submit(increment, 5).result() == 6
    assert results_kept(reader) == ["increment"]
    assert sum(report.summary().total.loaded for report in reader.reports) == 1


def test_refresh_mode_runs_and_overwrites(make_client: Callable[..., DiracClient]) -> None:
    """``mode="refresh"`` runs everything and replaces what was kept."""
    writer = make_client()
    writer.submit(increment, 1).result()
    writer.flush()
    assert writer.cache is not None
    (before,) = (info for info in writer.cache.scan() if info.kind == "result")
    writer.close()
    fresh = make_client(mode="refresh")
    assert fresh.submit(increment, 1).result() == 2
    assert results_kept(fresh) == ["increment"]
    assert fresh.cache is not None
    (after,) = (info for info in fresh.cache.scan() if info.kind == "result")
    assert after.created > before.created
    assert fresh.report is not None
    assert fresh.report.summary().total.ran == 1
