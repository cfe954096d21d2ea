"""Servers that stop and start again while a store is in use."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from cachingclient import CacheWarning, DiracClient
from cachingclient.storage import Store, StoreUnavailable, open_store
from cachingclient.storage.files.fsspec_folder import RemoteFolder
from cachingclient.storage.files.store import FileSystemStore
from tests.services.conftest import service_folder
from tests.services.rucio import Rucio
from tests.services.s3 import Rclone, best_available
from tests.services.service import Service
from tests.services.xrootd import XRootD
from tests.support.entries import entry, new_key


def test_a_server_that_stops_and_starts(tmp_path: Path) -> None:
    """While it is away a store says so at once; what was kept before is there after."""
    server = Rclone(tmp_path)
    with server:
        server.make_bucket("cache")
        store = open_store("s3://cache/here", **server.options)
        assert isinstance(store, FileSystemStore)
        assert isinstance(store.folder, RemoteFolder)
        kept = [entry(n) for n in range(20)] + [entry(np.arange(40_000))]
        for each in kept:
            store.write(each)
        server.stop()
        for _ in range(3):
            with pytest.raises(StoreUnavailable):
                store.find(kept[0].keys)
        with pytest.raises(StoreUnavailable, match="does not answer as it should"):
            store.write(entry(1))
        server.start()
        store.folder.ask_again()
        keys = [each.keys[0] for each in kept]
        found = store.find(keys)
        assert found.keys() == set(keys)
        assert store.read(found[keys[-1]])[9] == 9
        assert store.write(entry(1))


def square(x: int) -> np.ndarray:
    return np.full(20_000, x * x)


@contextmanager
def at_work(kind: str, folder: Path) -> Iterator[tuple[Service, Store]]:
    """A server, and a store on it."""
    if kind == "rucio":
        pytest.importorskip("rucio.client", reason="pip install rucio-clients")
        with Rucio(folder) as rucio, rucio.configured():
            yield rucio, open_store(rucio.url("outage"), local=str(folder / "local"))
    elif kind == "root":
        pytest.importorskip("XRootD", reason="pip install xrootd")
        with XRootD(folder) as xrootd:
            yield xrootd, open_store(f"{xrootd.url}/outage")
    else:
        with best_available(folder) as server:
            server.make_bucket("outage")
            yield server, open_store("s3://outage/here", **server.options)


def as_if_time_had_passed(store: Store) -> None:
    """A store that was away is not asked again for half a minute, and Rucio's index not for ten seconds."""
    for part in (store, getattr(store, "folder", None), getattr(store, "_catalogue", None)):
        for name in ("_away_until", "_refreshed"):
            if hasattr(part, name):
                setattr(part, name, float("-inf"))


def answers(store: Store) -> bool:
    """Whether the store is in use again, once its patience with a server that was away is over."""
    as_if_time_had_passed(store)
    try:
        store.find([new_key()])
    except StoreUnavailable:
        return False
    return True


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["s3", "root", pytest.param("rucio", marks=pytest.mark.matrix)])
def test_an_analysis_goes_on_while_its_server_is_away(kind: str) -> None:
    """It is right before, meanwhile and after; what was reported kept before and after is there at the end."""
    reported: list[str] = []
    with (
        service_folder() as folder,
        at_work(kind, folder) as (server, store),
        warnings.catch_warnings(record=True, action="always") as seen,
        DiracClient(processes=False, dashboard_address=None, cache=store, policy="all") as client,
    ):

        def analyse(numbers: range) -> list[str]:
            values = client.gather(client.map(square, numbers))
            assert [int(value[0]) for value in values] == [n * n for n in numbers]
            client.flush()
            steps = client.reports[-1]
            reported.extend(str(steps.plan.steps[r.key].step_key) for r in steps.records if r.kept)
            return [str(steps.plan.steps[key].step_key) for key in steps.plan.wanted]

        analyse(range(5))
        assert len(reported) == 5
        server.halt()
        as_if_time_had_passed(store)
        analyse(range(10))
        assert [w for w in seen if issubclass(w.category, CacheWarning) and store.url in str(w.message)]
        server.resume()
        server.wait(lambda: answers(store), "the store does not answer again")

        def keeps_all() -> bool:
            # A connection of before that breaks only now puts the store away once more.
            as_if_time_had_passed(store)
            keys = analyse(range(20))
            return store.find(keys).keys() == set(keys)

        server.wait(keeps_all, "not all is kept again")
        as_if_time_had_passed(store)
        found = store.find(reported)
        assert found.keys() == set(reported)
        assert all(len(np.unique(store.read(info))) == 1 for info in found.values())
