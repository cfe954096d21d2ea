"""Workers that join without the package, and schedulers without it: graphs go on, and are right."""

from __future__ import annotations

from asyncio import Future
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from dask._task_spec import Task, TaskRef
from distributed import Client, LocalCluster, Status, wait
from distributed.protocol.pickle import dumps

from cachingclient import CacheWarning, DiracClient, step
from cachingclient.graph import needs_package, plain
from cachingclient.scheduler.new_workers import NewWorkers
from cachingclient.versions import own_version
from cachingclient.worker.held import resolve
from tests.support.waiting import until
from tests.support.workers import BLOCKED, scheduler, worker


@pytest.fixture
def blocked(tmp_path: Path) -> Path:
    """A preload of workers that lack the package."""
    path = tmp_path / "blocked.py"
    path.write_text(BLOCKED)
    return path


@pytest.fixture
def cluster() -> Iterator[LocalCluster]:
    """A cluster whose workers the test starts."""
    with LocalCluster(n_workers=0, threads_per_worker=1, dashboard_address=":0") as cluster:
        yield cluster


def waiting() -> Callable[[Path], None]:
    """A function that waits for a file."""

    def once_there(path: Path) -> None:
        import time

        while not path.exists():
            time.sleep(0.02)

    return once_there


def process_of() -> Callable[..., int]:
    """A function that tells where it runs; it travels by value, for the workers have no module of the tests."""

    def where(*_: object) -> int:
        import os
        import time

        time.sleep(0.02)
        return os.getpid()

    return where


def pids(cluster: LocalCluster, addresses: Iterable[str]) -> set[int]:
    """The processes of workers."""
    return {cluster.scheduler.workers[each].pid for each in addresses}


def lacking(cluster: LocalCluster) -> dict[str, str]:
    return cluster.scheduler.plugins[NewWorkers.name].lacking


def test_a_worker_without_the_package_that_joins_a_graph_gets_none_of_it(
    cluster: LocalCluster, tmp_path: Path, store_url: str, blocked: Path, recwarn: pytest.WarningsRecorder
) -> None:
    """What was sent runs where the package is; later graphs, and a plain client's, run on the new worker too."""
    cluster.scale(1)
    cluster.wait_for_workers(1, timeout=300)
    able, where = pids(cluster, cluster.scheduler.workers), process_of()
    with DiracClient(cluster, cache=store_url, policy="all") as client:
        held = client.submit(waiting(), tmp_path / "go")
        futures = client.map(where, range(100), [held] * 100)
        with worker(cluster, tmp_path, blocked, 2):
            (tmp_path / "go").touch()
            assert set(client.gather(futures)) == able
            until(lambda: client._worker_check.lacking)
            with Client(cluster, set_as_default=False) as plain:
                other = list(lacking(cluster))
                assert {plain.submit(where, 0, workers=other).result(timeout=300)} == pids(cluster, other)
            assert len(set(client.gather(client.map(where, range(100, 150))))) == 2
    assert [each for each in recwarn if "not used while workers have no cachingclient" in str(each.message)]


def test_a_graph_that_waits_for_workers_runs_on_those_without_the_package(
    cluster: LocalCluster, tmp_path: Path, store_url: str, blocked: Path
) -> None:
    """Misses get their functions back, steps too; hits are computed again, with those that take them."""
    absolute = step(abs)
    with DiracClient(cluster, cache=store_url, policy="all") as client:
        cluster.scale(1)
        assert client.gather(client.map(absolute, range(-5, 0))) == [5, 4, 3, 2, 1]
        client.flush()
        cluster.scale(0)
        until(lambda: not cluster.scheduler.workers)
        kept = client.map(absolute, range(-5, 0))
        futures = [*client.map(pow, range(3), [2] * 3), *kept, client.submit(sum, kept), client.submit(absolute, -8)]
        with worker(cluster, tmp_path, blocked):
            assert [future.result(timeout=300) for future in futures] == [0, 1, 4, 5, 4, 3, 2, 1, 15, 8]


def test_tasks_that_read_unread_hits_run_without_the_package(
    cluster: LocalCluster, tmp_path: Path, store_url: str, blocked: Path
) -> None:
    """There the step ran: what it gave is the result that they hand on."""
    with DiracClient(cluster, cache=store_url, policy="all") as client:
        reader = Task("reader", resolve, TaskRef("ran"))
        with worker(cluster, tmp_path, blocked):
            until(lambda: lacking(cluster))
            graph = {"ran": Task("ran", pow, 3, 2), "reader": reader}
            assert client.get(graph, "reader") == 9
    assert plain(reader).func is not resolve
    assert not needs_package(plain(reader))


def test_a_worker_that_answers_late_gets_no_task_before(
    cluster: LocalCluster, tmp_path: Path, store_url: str, blocked: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is asked until it answers, as on a host that is busy; that it lacks the package is known by then."""
    asked: list[str] = []
    real = cluster.scheduler.broadcast

    async def late(*, msg: dict[str, Any], workers: list[str], **kwargs: Any) -> dict[str, Any]:
        if msg.get("function") == dumps(own_version):
            asked.extend(workers)
            if len(asked) <= 3:
                raise TimeoutError
        return await real(msg=msg, workers=workers, **kwargs)

    with DiracClient(cluster, cache=store_url, policy="all") as client:
        futures = client.map(pow, range(3), [2] * 3)
        monkeypatch.setattr(cluster.scheduler, "broadcast", late)
        with worker(cluster, tmp_path, blocked):
            assert [future.result(timeout=300) for future in futures] == [0, 1, 4]
    assert len(set(asked)) == 1
    assert len(asked) == 4


def test_a_worker_in_the_schedulers_process_need_not_be_asked(store_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has what the scheduler has: while no worker answers, a task that would have it elsewhere too runs there."""
    options: dict[str, Any] = {"n_workers": 1, "threads_per_worker": 1, "processes": False, "dashboard_address": ":0"}

    async def never(*_: object) -> object:
        return await Future()

    with LocalCluster(**options) as cluster, DiracClient(cluster, cache=store_url, policy="all") as client:
        workers = cluster.scheduler.workers
        before = set(workers)
        monkeypatch.setattr(NewWorkers, "_version_of", never)
        cluster.scale(2)
        until(lambda: [each.status for each in workers.values()] == [Status.running] * 2)
        (new,) = set(workers) - before
        there = client.submit(pow, 2, 3, workers=[new], allow_other_workers=True)
        wait(there)
        assert client.who_has(there)[there.key] == [new]


def test_the_last_worker_with_the_package_leaves(
    cluster: LocalCluster, tmp_path: Path, store_url: str, blocked: Path
) -> None:
    """What waited for it runs on those that lack the package, as the user's functions."""
    where = process_of()
    with worker(cluster, tmp_path, "cachingclient.worker.startup"), DiracClient(cluster, cache=store_url) as client:
        (able,) = cluster.scheduler.workers
        first = client.submit(waiting(), tmp_path / "go")
        futures = client.map(where, range(10), [first] * 10)
        with worker(cluster, tmp_path, blocked, 2):
            client.retire_workers([able])
            (tmp_path / "go").touch()
            assert set(client.gather(futures)) == pids(cluster, lacking(cluster))


def test_a_worker_that_has_the_package_is_asked_and_used(cluster: LocalCluster, tmp_path: Path, store_url: str) -> None:
    """It gets tasks once it has answered, whether a preload told its version or not."""
    (tmp_path / "nothing.py").touch()
    where = process_of()
    with DiracClient(cluster, cache=store_url, policy="all") as client:
        futures = client.map(where, range(50))
        with (
            worker(cluster, tmp_path, tmp_path / "nothing.py"),
            worker(cluster, tmp_path, "cachingclient.worker.startup", 2),
        ):
            client.gather(futures)
            there = set(cluster.scheduler.workers)
            assert cluster.scheduler.plugins[NewWorkers.name].able >= there
            assert set(client.gather(client.map(where, range(50, 100)))) == pids(cluster, there)
            assert not client._worker_check.lacking


def test_a_scheduler_without_the_package_gets_plain_graphs(tmp_path: Path, store_url: str, blocked: Path) -> None:
    """One warning says so, and that the package can be sent there; results are right."""
    with scheduler(tmp_path, blocked) as address, worker(address, tmp_path, "cachingclient.worker.startup"):
        with pytest.warns(CacheWarning, match="not used: the scheduler has no cachingclient") as warned:
            client = DiracClient(address, cache=store_url, policy="all")
        with client:
            assert client.gather(client.map(pow, range(5), [2] * 5)) == [0, 1, 4, 9, 16]
            assert client.submit(sum, [1, 2]).result() == 3
            assert not client.reports
        assert sum("cachingclient" in str(each.message) for each in warned) == 1
