"""Tasks that submit tasks of their own: what they compute, read and leave behind."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from distributed import (
    Event,
    LocalCluster,
    fire_and_forget,
    get_client,
    worker_client,
)

from cachingclient import DiracClient
from tests.client.chains import increment
from tests.support.reported import counts


def inside_worker_client(x: int) -> int:
    with worker_client() as client:
        return client.submit(increment, x).result()


def inside_get_client(x: int) -> list[int]:
    client = get_client()
    return client.gather(client.map(increment, range(x)))


def inside_gathers_published(name: str) -> list[int]:
    with worker_client() as client:
        return client.gather(client.get_dataset(name))


def inside_reads(folder: str) -> str:
    return str(get_client().submit(read_table, folder).result())


def read_table(folder: str) -> str:
    return Path(folder, "table").read_text()


def inside_leaves(folder: str) -> int:
    fire_and_forget(get_client().submit(wait_for_event, f"left in {folder}"))
    return 1


def wait_for_event(name: str) -> bool:
    return bool(Event(name).wait(timeout=300))


@pytest.mark.parametrize("function", [inside_worker_client, inside_get_client])
def test_tasks_that_submit_tasks(make_client: Callable[..., DiracClient], function: Callable[[int], Any]) -> None:
    """Tasks may submit tasks; where these only compute, the result is kept."""
    expected = {"inside_worker_client": 4, "inside_get_client": [1, 2, 3]}[function.__name__]
    for counted in ((1, 0), (0, 1)):
        client = make_client()
        assert client.submit(function, 3).result(timeout=300) == expected
        client.flush()
        assert counts(client)[:2] == counted
        client.close()


@pytest.mark.parametrize(
    ("function", "why"), [(inside_reads, "one of which reads"), (inside_leaves, "was done before they were")]
)
def test_tasks_that_submit_tasks_which_do_more(
    client: DiracClient, tmp_path: Path, function: Callable[[str], Any], why: str
) -> None:
    """What a task reads that a step sent is seen where it runs; what is not waited for is not known."""
    (tmp_path / "table").write_text("2")
    client.submit(function, str(tmp_path)).result(timeout=300)
    client.flush()
    Event(f"left in {tmp_path}", client=client).set()
    assert why in str(client.report)


@pytest.mark.parametrize("function", [inside_worker_client, inside_get_client])
def test_tasks_that_submit_tasks_through_this_very_client(store_url: str, function: Callable[[int], Any]) -> None:
    """With workers in this process, tasks get hold of the caching client itself: planning from a task must not hang."""
    options: dict[str, Any] = {"n_workers": 1, "threads_per_worker": 2, "processes": False, "dashboard_address": ":0"}
    with LocalCluster(**options) as cluster, DiracClient(cluster, cache=store_url, policy="all") as client:
        expected = {"inside_worker_client": 4, "inside_get_client": [1, 2, 3]}[function.__name__]
        assert client.gather(client.map(function, [3], pure=False), direct=False) == [expected]


def test_a_task_that_sends_by_a_caching_client_says_so(store_url: str) -> None:
    """What the hits of a caching client depend on is not known to a step that uses it: it is not kept, and says why."""
    options: dict[str, Any] = {"n_workers": 1, "threads_per_worker": 2, "processes": False, "dashboard_address": ":0"}
    with LocalCluster(**options) as cluster, DiracClient(cluster, cache=store_url, policy="all") as client:
        assert client.submit(inside_get_client, 3).result() == [1, 2, 3]
        client.flush()
        told = "\n".join(str(report) for report in client.reports)
        assert "inside_get_client: not kept: it sends tasks by a caching client" in told


def test_a_task_gathers_hits_through_this_very_client(store_url: str) -> None:
    """What a task gathers that this session loads is the results, not references to them, from its own worker too."""
    options: dict[str, Any] = {"n_workers": 1, "threads_per_worker": 2, "processes": False, "dashboard_address": ":0"}
    for _ in range(2):
        with LocalCluster(**options) as cluster, DiracClient(cluster, cache=store_url, policy="all") as client:
            assert client.submit(inside_get_client, 3).result() == [1, 2, 3]
            client.flush()
    assert sum(report.summary().total.loaded for report in client.reports) == 3


def test_a_task_gathers_hits_that_a_client_published(store_url: str) -> None:
    """The client in the task is plain dask's: it finds the results in the data of its worker, or asks another."""
    options: dict[str, Any] = {"n_workers": 1, "threads_per_worker": 2, "dashboard_address": ":0"}
    for _ in range(2):
        with LocalCluster(**options) as cluster, DiracClient(cluster, cache=store_url, policy="all") as client:
            client.publish_dataset(client.map(increment, range(3)), name="numbers")
            assert client.submit(inside_gathers_published, "numbers").result() == [1, 2, 3]
            client.flush()
    assert sum(report.summary().total.loaded for report in client.reports) == 3
