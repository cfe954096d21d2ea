"""What steps took before decides what they ask for, and is told where it can't be had."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pytest
from distributed import Client

from cachingclient import DiracClient
from cachingclient.storage import Entry, encode, open_store
from cachingclient.vine import VineCluster
from tests.support.waiting import until


def greedy(size: int) -> int:
    """Touch so much memory, and take long enough for that to be looked at."""
    taken = bytearray(b"x") * size
    time.sleep(0.3)
    return len(taken)


def huge(x: int) -> int:
    return x


def test_the_memory_of_a_step_is_measured_and_asked_for(tmp_path: Path) -> None:
    """A step that took more than a thread's share of its worker runs alone there the next time."""
    sites = {"RAL": {"workers": 1, "nthreads": 2, "memory_limit": "600 MB"}}
    url = tmp_path.as_uri()
    with VineCluster(sites) as cluster, DiracClient(cluster, cache=url, policy="all") as client:
        assert client.submit(greedy, 300_000_000).result() == 300_000_000
    [info] = [info for info in open_store(url).scan() if info.kind == "result"]
    assert info.details["peak"] >= 290_000_000
    with VineCluster(sites) as cluster, DiracClient(cluster, cache=url, policy="all") as client:
        until(lambda: cluster.scheduler.estimates, "the estimates")
        futures = client.map(greedy, range(1, 5))
        assert client.gather(futures) == [1, 2, 3, 4]
        asked = [cluster.scheduler.tasks[future.key].resource_restrictions["memory"] for future in futures]
        assert all(info.details["peak"] < each < 600e6 for each in asked)


def test_a_step_that_took_more_than_there_is_is_warned_of(tmp_path: Path) -> None:
    """It runs all the same: what it took before may have been for more data."""
    store = open_store(tmp_path.as_uri())
    store.write(Entry(("0f" * 16,), "result", "huge", 1.5, {"peak": 10**15}, encode(1)))
    with VineCluster({"RAL": 1}) as cluster, Client(cluster, set_as_default=False) as client:
        client.wait_for_workers(1)
        cluster.learn(store)
        future = client.submit(huge, 3)
        with pytest.warns(Warning, match=r"step huge took 1e\+06 GB") as caught:
            until(lambda: len(caught) > 0, "the warning")
        assert future.result() == 3


def test_a_store_that_cannot_be_read_is_no_error(tmp_path: Path) -> None:
    """Without what steps took before, nothing is expected of them."""
    store = open_store((tmp_path / "store").as_uri())
    with VineCluster({"RAL": 1}) as cluster:
        shutil.rmtree(tmp_path / "store")
        (tmp_path / "store").write_text("a file where a folder should be")
        cluster.learn(store)
        assert cluster.scheduler.estimates == {}
