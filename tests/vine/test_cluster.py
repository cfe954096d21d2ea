"""A cluster of sites on this machine: pinning, scaling, closing, and what it says of bad input."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import dask
import psutil
import pytest
from distributed import Client, Security, get_worker

from cachingclient import DiracClient, step
from cachingclient.vine import VineCluster
from cachingclient.vine.engine import EngineMissing, Needs, find_engine
from tests.support.waiting import ended, until


def place(*_: object) -> str:
    """The name of the worker that runs this."""
    return str(get_worker().name)


def square(x: int) -> int:
    return x**2


@pytest.fixture(scope="module")
def vine() -> Iterator[VineCluster]:
    """Two workers at RAL and one at Bristol, with two threads."""
    with VineCluster({"RAL": 2, "Bristol": {"workers": 1, "nthreads": 2, "memory_limit": "4 GB"}}) as cluster:
        yield cluster


@pytest.fixture
def vine_client(vine: VineCluster) -> Iterator[Client]:
    """distributed's own client on these."""
    with Client(vine, set_as_default=False) as client:
        client.wait_for_workers(3)
        yield client


@pytest.mark.parametrize(
    "annotation", [{"site": "Bristol"}, {"resources": {"site:Bristol": 1}}, {"needs": {"cores": 2}}]
)
def test_tasks_go_where_they_are_pinned(vine_client: Client, annotation: dict[str, object]) -> None:
    """A region of a graph that is annotated runs at a worker that has what it asks for, however it is spelled."""
    with dask.annotate(**annotation):
        tasks = [dask.delayed(place, pure=False)() for _ in range(6)]
        assert set(vine_client.gather(vine_client.compute(tasks))) == {"Bristol-0"}


def test_submitted_tasks_are_pinned_too(vine_client: Client) -> None:
    """submit and map heed the annotation like a graph does."""
    with dask.annotate(site="Bristol"):
        assert vine_client.submit(place, pure=False).result() == "Bristol-0"
        assert set(vine_client.gather(vine_client.map(place, range(8), pure=False))) == {"Bristol-0"}


def test_free_tasks_use_every_site(vine_client: Client) -> None:
    """What is not pinned is shared out over the sites."""

    def slow_place(number: int) -> str:
        time.sleep(0.05)
        return place()

    names = set(vine_client.gather(vine_client.map(slow_place, range(40), pure=False)))
    assert names == {"RAL-0", "RAL-1", "Bristol-0"}


def test_a_site_that_is_not_there_is_named(vine_client: Client) -> None:
    """A task pinned to an unknown site fails at once, and the next one runs."""
    with dask.annotate(site="Paris"), pytest.raises(ValueError, match=r"no site 'Paris'; the sites are RAL, Bristol"):
        vine_client.submit(square, 1, pure=False).result()
    with pytest.raises(ValueError, match="no site 'Paris'"):
        vine_client.submit(square, 2, pure=False, resources={"site:Paris": 1}).result()
    assert vine_client.submit(square, 2, pure=False).result() == 4


def test_a_task_that_never_fits_is_warned_of(vine_client: Client) -> None:
    """It waits, as a worker may come that has what it asks for; the user hears why."""
    with dask.annotate(needs={"memory": "1 PB"}):
        future = vine_client.submit(square, 3, pure=False)
    with pytest.warns(Warning, match=r"task square waits: it asks for memory .* no worker has more than") as caught:
        until(lambda: len(caught) > 0, "the warning")
    future.cancel()


@pytest.mark.parametrize(
    ("needs", "says"), [({"cors": 1}, "'cors'"), ({"memory": "much"}, "'much'"), ({"gpus": -1}, "gpus -1"), (4, "is 4")]
)
def test_a_request_without_sense_is_an_error(vine_client: Client, needs: object, says: str) -> None:
    """What is asked for is checked when the graph arrives."""
    with dask.annotate(needs=needs), pytest.raises(ValueError, match=says):
        vine_client.submit(square, 4, pure=False).result()


def test_it_caches_like_any_cluster(vine: VineCluster, store_url: str) -> None:
    """A second client on the cluster loads what the first one kept."""
    tasks = [dask.delayed(square)(x) for x in range(4)]
    for loaded in (0, 4):
        with DiracClient(vine, cache=store_url, policy="all", set_as_default=False) as client:
            assert client.gather(client.compute(tasks)) == [0, 1, 4, 9]
            client.flush()
            assert client.report is not None
            assert client.report.to_dict()["total"]["loaded"] == loaded


@step(resources={"cores": 2, "memory": "1 GB"})
def wide_place(number: int) -> str:
    return place()


def test_steps_say_what_they_need(vine: VineCluster, store_url: str) -> None:
    """A step that takes two threads runs where a worker has two."""
    with DiracClient(vine, cache=store_url, set_as_default=False) as client:
        client.wait_for_workers(3)
        assert set(client.gather(client.map(wide_place, range(6)))) == {"Bristol-0"}


def test_connections_are_encrypted_and_closed_to_strangers(vine: VineCluster) -> None:
    """Without the cluster's certificates nobody gets in."""
    assert vine.scheduler_address.startswith("tls://")
    with pytest.raises(OSError, match="TLS"):
        Client(vine.scheduler_address, security=Security.temporary(), set_as_default=False)


def test_the_table_counts_by_site(vine: VineCluster, vine_client: Client) -> None:
    """Workers, threads and finished tasks stand in the line of their site, and crossing bytes with who got them."""
    before = vine.status().to_dict()["sites"]
    with dask.annotate(site="RAL"):
        data = vine_client.submit(bytes, 2_000_000, pure=False)
    with dask.annotate(site="Bristol"):
        assert vine_client.submit(len, data, pure=False).result() == 2_000_000
    until(
        lambda: vine.status().to_dict()["sites"]["Bristol"]["bytes_across"] > before["Bristol"]["bytes_across"],
        "the bytes in the table",
    )
    after = vine.status().to_dict()["sites"]
    assert {site: after[site]["done"] - before[site]["done"] for site in after} == {"RAL": 1, "Bristol": 1}
    assert (after["RAL"]["workers"], after["RAL"]["threads"]) == (2, 2)
    assert (after["Bristol"]["workers"], after["Bristol"]["threads"]) == (1, 2)
    assert "Bristol" in str(vine.status())
    assert "<td>Bristol</td>" in vine.status()._repr_html_()
    assert "<td>Bristol</td>" in vine._repr_html_()


def test_failures_are_counted(vine: VineCluster, vine_client: Client) -> None:
    """A task that raises is counted where it ran, and its error reaches the user."""
    before = vine.status().to_dict()["sites"]["RAL"]["failed"]
    with dask.annotate(site="RAL"), pytest.raises(ZeroDivisionError):
        vine_client.submit(divmod, 1, 0, pure=False).result()
    assert vine.status().to_dict()["sites"]["RAL"]["failed"] == before + 1


def test_sites_scale_one_by_one() -> None:
    """Workers come and go where they are asked to; a total is shared as at the start."""
    with VineCluster({"RAL": 1, "Bristol": 0}) as cluster, Client(cluster, set_as_default=False) as client:

        def workers() -> list[str]:
            return sorted(info["name"].partition("-")[0] for info in cluster.scheduler_info["workers"].values())

        cluster.scale(Bristol=1)
        until(lambda: workers() == ["Bristol", "RAL"], "a worker at Bristol")
        cluster.scale({"RAL": 0})
        until(lambda: workers() == ["Bristol"], "no worker at RAL")
        cluster.scale(2)
        until(lambda: workers() == ["RAL", "RAL"], "both where they were at the start")
        assert client.submit(square, 3).result() == 9
        with dask.annotate(site="Bristol"):
            waits = client.submit(place, pure=False)
        with pytest.warns(Warning, match="it asks for site Bristol, which has no workers") as caught:
            until(lambda: len(caught) > 0, "the warning")
        cluster.scale(Bristol=1)
        assert waits.result().startswith("Bristol")
        for wrong in ({"Paris": 1}, {"RAL": -1}, {"RAL": 1.5}):
            with pytest.raises(ValueError, match=next(iter(wrong))):
                cluster.scale(wrong)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match=r"the number of workers is 1.5; it takes 0 or more"):
            cluster.scale(1.5)  # type: ignore[arg-type]


def test_it_adapts_to_what_there_is_to_do() -> None:
    """Workers come when there is work and go when there is none."""
    with VineCluster({"RAL": 0, "Bristol": 0}) as cluster, Client(cluster, set_as_default=False) as client:
        cluster.adapt(minimum=0, maximum=2, interval="100ms", wait_count=2)
        assert client.submit(square, 3).result() == 9
        until(lambda: not cluster.scheduler_info["workers"], "idle workers to leave")


async def test_it_works_in_an_event_loop() -> None:
    """Asynchronous clusters are opened, used and closed by await."""
    async with (
        VineCluster({"RAL": 1}, asynchronous=True) as cluster,
        Client(cluster, asynchronous=True, set_as_default=False) as client,
    ):
        assert await client.submit(square, 5) == 25
        assert cluster.status().rows[0].stats.done == 1


def test_two_clusters_on_one_machine_do_not_meet(vine: VineCluster) -> None:
    """Sites of the same name in two clusters are two sites."""
    with VineCluster({"RAL": 1}) as other, Client(other, set_as_default=False) as client:
        assert client.submit(place, pure=False).result() == "RAL-0"
        assert other.scheduler_address != vine.scheduler_address
        assert len(vine.status().rows) == 2


def test_nothing_is_left_when_it_closes() -> None:
    """Every process that it started is gone."""
    before = set(psutil.Process().children(recursive=True))
    cluster = VineCluster({"RAL": 1, "Bristol": 1})
    started = set(psutil.Process().children(recursive=True)) - before
    cluster.close()
    until(lambda: ended(started), "the end")


def test_a_site_whose_workers_are_killed_costs_a_recomputation() -> None:
    """Results that were there alone are computed again elsewhere."""
    with VineCluster({"RAL": 1, "Bristol": 1}) as cluster, Client(cluster, set_as_default=False) as client:
        client.wait_for_workers(2)
        parts = client.map(square, range(20))
        client.gather(parts)
        for name in cluster.workers_of("RAL"):
            nanny = cluster.workers[name]
            os.kill(nanny.process.pid, signal.SIGKILL)
        assert client.submit(sum, parts).result() == sum(x**2 for x in range(20))


def test_a_taken_port_is_named() -> None:
    """Before anything starts; a port that is taken at another address of this machine is not."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for host in (None, "127.0.0.1"):
            with pytest.raises(OSError, match=f"port {port} is taken on this machine"):
                VineCluster({"RAL": 0}, host=host, port=port, dashboard_address=None)
        with VineCluster({"RAL": 0}, host="127.0.0.2", port=port, dashboard_address=None) as cluster:
            assert cluster.scheduler_address == f"tls://127.0.0.2:{port}"


def test_an_unknown_engine_is_named() -> None:
    """The text says which engines there are."""
    with pytest.raises(ValueError, match="engine is 'spark'; it takes 'dask'"):
        VineCluster({"RAL": 1}, engine="spark")


def test_handles_stand_for_results(vine: VineCluster) -> None:
    """The engine's own interface: run, use a result by its handle, fetch, release."""
    engine = vine.engine
    first = engine.run(square, (7,), {}, Needs(site="RAL")).result()
    second = engine.run(square, (first,), {}, Needs()).result()
    assert (first.site, engine.fetch([first, second])) == ("RAL", [49, 2401])
    engine.release([first, second])
    with pytest.raises(KeyError):
        engine.fetch([first])


def test_an_engine_that_is_missing_says_how_to_get_it() -> None:
    """Whoever has it installed gets the engine, everyone else the command that does."""
    with (
        contextlib.nullcontext()
        if importlib.util.find_spec("ndcctools")
        else pytest.raises(EngineMissing, match="ndcctools")
    ):
        assert find_engine("taskvine").name == "taskvine"


def test_certificates_that_can_not_be_made_say_how_to_get_what_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A plain installation of this package makes no certificates."""
    monkeypatch.setitem(sys.modules, "cryptography", None)
    with pytest.raises(ImportError, match=r"certificates need cryptography: pip install 'cachingclient\[batch\]'"):
        VineCluster({"RAL": 1})


def test_workers_of_dirac_say_how_to_get_what_lacks() -> None:
    """In a process that has not imported them."""
    code = "import sys; sys.modules['dask_jobqueue'] = None; from cachingclient.dirac import DiracCluster"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "DiracCluster needs dask-jobqueue: pip install 'cachingclient[dirac]'" in told.stderr
