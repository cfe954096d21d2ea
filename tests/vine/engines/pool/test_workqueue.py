"""What users of Work Queue know of it: ports and automatic labels."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dask
import psutil
import pytest
from distributed import Client

from cachingclient.vine import VineCluster
from cachingclient.vine.engine import EngineLost, Needs
from cachingclient.vine.engines.pool.ports import for_library
from tests.support.waiting import until
from tests.vine.pools import place_for, square

pytestmark = pytest.mark.services
MEGABYTE = 10**6


@pytest.fixture(scope="module", autouse=True)
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A network of their own for the managers, which listen on every interface."""
    with place_for("workqueue", tmp_path_factory.mktemp("workqueue")):
        yield


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that something else listens on."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield other.getsockname()[1]


def fill_memory(megabytes: int, seconds: float = 2) -> int:
    """A task that takes about as much memory, and keeps it for as long as the monitor needs to see it."""
    import time

    data = bytearray(megabytes * MEGABYTE)
    data[::4096] = b"x" * len(data[::4096])
    time.sleep(seconds)
    return len(data)


def workqueue(workers: int = 1, site: dict[str, Any] | None = None, **options: Any) -> VineCluster:
    return VineCluster({"RAL": {"workers": workers, **(site or {})}}, engine="workqueue", engine_options=options)


# ---- ports ----


def test_a_manager_listens_where_it_is_told(taken: int) -> None:
    """The first free port of a range is taken, and workers find it."""
    with workqueue(port=(taken, taken + 20)) as cluster, Client(cluster, set_as_default=False) as client:
        assert taken < cluster.engine.link.port <= taken + 20
        assert client.submit(square, 3).result(timeout=300) == 9


@pytest.mark.parametrize("wide", [False, True])
def test_a_taken_port_is_an_error_that_names_it(taken: int, wide: bool) -> None:
    """Nothing listens elsewhere instead, and nothing is left."""
    port: Any = (taken, taken) if wide else taken
    with pytest.raises(EngineLost, match=rf"does not start: OSError: port {taken} is taken on this machine"):
        workqueue(port=port)
    with pytest.raises(OSError, match=f"port {taken} is taken"):
        for_library((taken, taken))


@pytest.mark.parametrize("port", [-1, 70_000, "9123", True, (9123,), (9130, 9123), (0, 9123), 1.5])
def test_what_is_no_port_is_refused(port: Any) -> None:
    """Before anything starts."""
    with pytest.raises(ValueError, match=r"port is .*; it takes a number up to 65535, a range"):
        workqueue(port=port)


# ---- factories ----


def connected(cluster: VineCluster) -> int:
    return int(cluster.engine.describe()["connected"])


@pytest.mark.matrix
def test_a_factory_grows_and_shrinks_while_it_runs(tmp_path: Path) -> None:
    """All three workers come where there was one, one that is lost is replaced, and two go again."""
    with (
        workqueue(site={"how": "factory"}, folder=tmp_path) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        assert client.submit(square, 3).result(timeout=300) == 9
        cluster.scale(RAL=3)
        until(lambda: connected(cluster) == 3, "three workers are there")
        here = set(workers_in(tmp_path))
        assert len(here) == 3
        here.pop().kill()
        until(lambda: len({*workers_in(tmp_path)} - here) == 1, "another worker is started")
        until(lambda: connected(cluster) == 3, "three workers are there again")
        cluster.scale(RAL=1)
        until(lambda: connected(cluster) == 1, "two workers are gone")
        assert client.submit(square, 4).result(timeout=300) == 16
    assert not workers_in(tmp_path)


def workers_in(folder: Path) -> list[psutil.Process]:
    """The processes of workers that a factory of a cluster started."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            program = Path(next(iter(process.cmdline()), "")).name
            shell = process.parent()
            if program == "work_queue_worker" and shell and Path(shell.cwd()).is_relative_to(folder):
                found.append(process)
    return found


# ---- automatic labels ----


@pytest.mark.matrix
def test_tasks_get_what_their_name_took() -> None:
    """The first of a name gets a whole worker, those after it what these took; one that takes more is run again."""
    site = {"memory_limit": "1200 MB", "nthreads": 4}
    with workqueue(site=site, resources_mode={"fill_memory": "max"}) as cluster:

        def run(*what: float) -> int:
            handle = cluster.engine.run(fill_memory, what, {}, Needs(site="RAL")).result(300)
            return int(cluster.engine.fetch([handle])[0])

        def label() -> int:
            return int(cluster.engine.describe()["memory"]["fill_memory"])

        assert run(20) == 20 * MEGABYTE
        assert label() == 1200 * MEGABYTE
        until(lambda: run(20) and label() < 400 * MEGABYTE, "a label is learnt")
        assert run(500, 10) == 500 * MEGABYTE  # long enough for the monitor, which looks every 5 s
        assert label() > 500 * MEGABYTE


def test_modes_are_annotated_by_compute() -> None:
    """A mode reaches the library with the tasks of one compute; where nothing is measured it is an error."""
    with workqueue() as cluster, Client(cluster, set_as_default=False) as client:
        with dask.annotate(resources_mode="max"), pytest.raises(ValueError, match=r"needs tasks to be measured"):
            client.submit(square, 2).result(timeout=300)
        with dask.annotate(resources_mode="most"), pytest.raises(ValueError, match=r"resources_mode is 'most'"):
            client.submit(square, 3).result(timeout=300)
        assert client.submit(square, 4).result(timeout=300) == 16


def test_modes_that_make_no_sense_are_refused() -> None:
    """Before anything starts."""
    with pytest.raises(ValueError, match=r"resources_mode is 'most'; it takes 'fixed', 'max'"):
        workqueue(resources_mode={"select": "most"})
