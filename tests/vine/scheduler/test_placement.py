"""What crosses between sites, and what is found again at the site that made it."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import dask
import pytest
from dask.delayed import Delayed
from distributed import Client, get_worker

from cachingclient import DiracClient
from cachingclient.storage import open_store
from cachingclient.vine import VineCluster
from cachingclient.vine.scheduler.placement import Placement

CHUNK = 300_004  # bytes


def make(number: int) -> bytes:
    time.sleep(0.02)
    return os.urandom(CHUNK - 4) + number.to_bytes(4)


def vary(events: bytes, shift: int) -> bytes:
    time.sleep(0.01)
    return events[shift : shift + 50_000]


def merge(parts: list[bytes]) -> bytes:
    return b"".join(part[:10_000] for part in parts)


def where(*_: object) -> str:
    return str(get_worker().name).rpartition("-")[0]


def analysis(chunks: int = 24) -> Delayed:
    """Chunks with some variations each, merged four at a time, and these in one."""
    each = [dask.delayed(make, pure=False)(number) for number in range(chunks)]
    filled = [dask.delayed(merge)([dask.delayed(vary)(events, shift) for shift in range(6)]) for events in each]
    groups = [dask.delayed(merge)(filled[start : start + 4]) for start in range(0, chunks, 4)]
    return dask.delayed(merge)(groups)


def crossed(client: Client) -> int:
    """The bytes that workers fetched from another site, by their own logs."""
    logs = client.run(
        lambda dask_worker: [(entry["who"], entry["total"]) for entry in dask_worker.transfer_incoming_log]
    )
    sites = {address: info["name"].rpartition("-")[0] for address, info in client.scheduler_info(-1)["workers"].items()}
    return sum(nbytes for here, log in logs.items() for who, nbytes in log if sites[who] != sites[here])


def test_hardly_anything_crosses() -> None:
    """Chunks stay at the site that made them, as do most of the merges: no more than the size of one chunk in 24.

    On a quiet machine it is a quarter of what dask's own scheduler has cross, as `benchmarks/vine.py` measures: how
    much that is depends on which of its workers is slow.
    """
    with VineCluster({"RAL": 2, "Bristol": 2}) as cluster, Client(cluster, set_as_default=False) as client:
        client.wait_for_workers(4)
        client.compute(analysis()).result()
        assert crossed(client) <= CHUNK


class Task:
    """As much of a scheduler's task as homes look at."""

    state = "queued"

    def __init__(self, priority: int) -> None:
        self.priority = priority


def test_each_site_gets_neighbours() -> None:
    """A graph is cut into ranges as long as the sites' shares of the threads."""
    placement, tasks = Placement(), [Task(number) for number in range(12)]
    placement.divide(reversed(tasks), {"RAL": 4, "Bristol": 2})
    assert [placement.of(task) for task in tasks] == ["Bristol"] * 4 + ["RAL"] * 8


def test_a_site_that_is_done_takes_the_far_part_of_the_longest_range() -> None:
    """What is moved is a range too, and every task is given out once."""
    placement, tasks = Placement(), [Task(number) for number in range(8)]
    for task in tasks:
        placement.wait(task, "RAL")
    threads = {"RAL": 1, "Bristol": 1}
    assert [placement.take("Bristol", threads).priority for _ in range(4)] == [4, 5, 6, 7]
    assert [placement.take("RAL", threads).priority for _ in range(4)] == [0, 1, 2, 3]
    assert placement.take("RAL", threads) is None


def test_tasks_that_wait_no_more_are_passed_over() -> None:
    """A task that was cancelled or sent meanwhile is not given out."""
    placement, task = Placement(), Task(0)
    placement.wait(task, "RAL")
    task.state = "forgotten"
    assert placement.take("RAL", {"RAL": 1}) is None
    placement.wait(task, "RAL")
    placement.forget_waiting()
    assert placement.counts() == {}


def test_an_input_comes_from_the_site_that_has_it() -> None:
    """With copies at both sites, the one at the worker's own is fetched."""
    # After two seconds dask would take one of the copies for superfluous.
    keeps = dask.config.set({"distributed.scheduler.active-memory-manager.start": False})
    with keeps, VineCluster({"RAL": 2, "Bristol": 1}) as cluster, Client(cluster, set_as_default=False) as client:
        client.wait_for_workers(3)
        address = {info["name"]: address for address, info in client.scheduler_info(-1)["workers"].items()}
        data = client.submit(make, 1, workers=["RAL-0"])
        client.replicate(data, n=2, workers=[address["RAL-0"], address["Bristol-0"]])
        assert client.submit(len, data, workers=["RAL-1"]).result() == CHUNK
        logs = client.run(
            lambda dask_worker: {entry["who"] for entry in dask_worker.transfer_incoming_log},
            workers=[address["RAL-1"]],
        )
        assert list(logs.values()) == [{address["RAL-0"]}]


def expensive(number: int) -> int:
    time.sleep(0.05)
    return number + 1


@pytest.fixture
def near_sites(tmp_path: Path) -> dict[str, dict[str, Any]]:
    """Two sites, each with a store near it."""
    return {site: {"workers": 1, "near": (tmp_path / site).as_uri()} for site in ("RAL", "Bristol")}


def test_entries_know_their_site_and_are_loaded_there(near_sites: dict[str, Any], store_url: str) -> None:
    """What RAL made is in the store near RAL, and a later cluster loads it and uses it there."""
    for loaded, annotation in ((0, {"site": "RAL"}), (4, {})):
        with VineCluster(near_sites) as cluster, DiracClient(cluster, cache=store_url, policy="all") as client:
            client.wait_for_workers(2)
            with dask.annotate(**annotation):
                results = client.gather(client.map(expensive, range(4)))
            assert results == [1, 2, 3, 4]
            assert cluster.status().to_dict()["sites"]["RAL"]["done"] == 4
            client.flush()
            assert client.report is not None
            assert client.report.to_dict()["total"]["loaded"] == loaded
    kept = [info for info in open_store(store_url).scan() if info.kind == "result"]
    assert {info.details["site"] for info in kept} == {"RAL"}
    assert len([info for info in open_store(near_sites["RAL"]["near"]).scan() if info.kind == "result"]) == 4
    assert not list(open_store(near_sites["Bristol"]["near"]).scan())


def test_a_near_store_that_is_gone_costs_nothing_but_time(
    near_sites: dict[str, Any], store_url: str, tmp_path: Path
) -> None:
    """The shared store has everything, so results come from there."""
    (tmp_path / "RAL").write_text("a file where a folder should be")
    with VineCluster(near_sites) as cluster, DiracClient(cluster, cache=store_url, policy="all") as client:
        with dask.annotate(site="RAL"):
            assert client.submit(expensive, 1).result() == 2
        client.flush()
    assert [info.kind for info in open_store(store_url).scan()].count("result") == 1
