"""The contract of engines: one suite, run on each that can be had here."""

from __future__ import annotations

from concurrent.futures import CancelledError
from pathlib import Path

import dask
import numpy as np
import psutil
import pytest
from distributed import Client

from cachingclient import DiracClient
from cachingclient.vine import VineCluster
from cachingclient.vine.engine import HandleLost, Needs
from tests.support.waiting import ended, until
from tests.vine.engines.finished import finish
from tests.vine.leaks import held_by
from tests.vine.pools import OutOfBeam, an_error_as_result, fail, held_up, numbers, site_here, slowly, square

pytestmark = pytest.mark.services


# ---- tasks ----


def test_plain_clients_get_values(there: Client) -> None:
    """What a client gathers are the results, in order, and not what stands for them."""
    assert there.gather(there.map(square, range(20))) == [x**2 for x in range(20)]


def test_results_feed_other_tasks(there: Client) -> None:
    """A chain gives what plain Python does, and each link can be had as well."""
    links = [there.submit(square, 2)]
    for _ in range(3):
        links.append(there.submit(square, links[-1]))
    assert [link.result() for link in reversed(links)] == [65536, 256, 16, 4]


def test_large_results_cross_sites(there: Client) -> None:
    """Arrays made at one site are used at the other, and arrive at the client as they were made."""
    with dask.annotate(site="RAL"):
        made = there.submit(numbers, 1_000_000)
    with dask.annotate(site="Bristol"):
        total = there.submit(np.sum, made)
    assert total.result() == pytest.approx(numbers(1_000_000).sum())
    np.testing.assert_array_equal(made.result(), numbers(1_000_000))


def test_loaded_arrays_may_be_changed(there: Client) -> None:
    """The client's copy of a result is writable, like any other."""
    made = there.submit(numbers, 10_000).result()
    made[0] = 7
    assert made[0] == 7


def test_errors_are_the_users_own(there: Client) -> None:
    """The client raises what the task did, with its attributes and the line that it comes from."""
    with pytest.raises(OutOfBeam, match="no beam") as raised:
        there.submit(fail, 357).result()
    assert raised.value.run == 357
    assert "fail" in [entry.name for entry in raised.traceback]


def test_an_error_that_is_returned_is_a_result(there: Client) -> None:
    """Success is what the task says, not what its result looks like."""
    assert there.submit(an_error_as_result, 5).result().run == 5


def test_errors_reach_what_depends_on_them(there: Client) -> None:
    """A task whose input failed fails with the same error."""
    with pytest.raises(OutOfBeam):
        there.submit(square, there.submit(fail, 1)).result()


def test_pinned_tasks_run_at_their_site(there: Client) -> None:
    """Whatever is pinned to a site runs on its workers."""
    for site in ("RAL", "Bristol"):
        with dask.annotate(site=site):
            assert set(there.gather(there.map(site_here, range(4), pure=False))) == {site}


def test_scattered_data_is_there(there: Client) -> None:
    """What a client scatters, small and large, is what tasks get."""
    small, large = there.scatter(3), there.scatter(numbers(200_000))
    assert there.submit(square, small).result() == 9
    assert there.submit(np.sum, large).result() == pytest.approx(numbers(200_000).sum())


def test_the_site_is_that_of_the_workers(there: Client) -> None:
    """The client's process is at none, whoever stands for a site in it."""
    with dask.annotate(site="RAL"):
        assert there.submit(site_here).result() == "RAL"
    assert site_here() is None


def test_collections_compute(sites: VineCluster) -> None:
    """`cluster.get` is a scheduler, as dask takes one."""
    tree = dask.delayed(sum)([dask.delayed(square)(x) for x in range(10)])
    assert tree.compute(scheduler=sites.get) == 285


def test_steps_are_cached_and_reported(sites: VineCluster, store_url: str) -> None:
    """What runs in the pool is in the store when it is said to be done, and the report knows of it."""
    tree = dask.delayed(np.sum)([dask.delayed(numbers)(1000, seed) for seed in range(4)])
    totals = []
    for _ in range(2):
        with DiracClient(sites, cache=store_url, policy="all") as client:
            totals.append(tree.compute())
            report = client.report
            assert report is not None
            totals.append(len([record for record in report.records if record.action == "ran"]))
    assert totals[0] == totals[2]
    assert (totals[1], totals[3]) == (5, 0)


# ---- the engine's own interface ----


def test_handles_stand_for_results(sites: VineCluster) -> None:
    """A handle can be fetched, be an argument, and be let go of; then it is lost."""
    first = sites.engine.run(numbers, (50_000,), {}, Needs(site="RAL")).result(300)
    second = sites.engine.run(np.sum, (first,), {}, Needs(site="Bristol")).result(300)
    assert sites.engine.fetch([second]) == pytest.approx([numbers(50_000).sum()])
    assert first.nbytes >= 400_000
    sites.engine.release([first, second])
    with pytest.raises(HandleLost):
        sites.engine.fetch([first])
    with pytest.raises(HandleLost):
        sites.engine.run(np.sum, (first,), {}, Needs()).result(300)


def test_a_task_is_taken_back(sites: VineCluster, tmp_path: Path) -> None:
    """One that waits for its turn never runs once it is cancelled, and what comes after it does."""
    end = tmp_path / "end"
    waits = [sites.engine.run(held_up, (end, 0), {}, Needs(site="RAL")) for _ in range(4)]
    assert waits[-1].cancel()
    with pytest.raises(CancelledError):
        waits[-1].result()
    end.touch()
    handles = [each.result(300) for each in waits[:-1]]
    assert sites.engine.fetch(handles) == [1, 1, 1]
    sites.engine.release(handles)


def test_everything_is_let_go_of(sites: VineCluster, there: Client) -> None:
    """Nothing is held once the futures are gone, large results and failures included."""
    futures = there.map(numbers, [5_000] * 20, range(20), pure=False)
    totals = there.map(np.sum, futures, pure=False)
    failed = there.submit(fail, 1, pure=False)
    finish([*totals, failed])
    assert held_by(sites)
    del futures, totals, failed
    until(lambda: not held_by(sites), "everything is let go of")


# ---- clusters ----


def test_two_clusters_do_not_meet(sites: VineCluster, there: Client, own_sites: VineCluster) -> None:
    """Each has its own manager and workers; one ends, and the other works on."""
    with Client(own_sites, set_as_default=False) as client:
        assert (client.submit(square, 3).result(), there.submit(square, 4, pure=False).result()) == (9, 16)
    own_sites.close()
    assert there.submit(square, 5, pure=False).result() == 25


def test_sites_scale(own_sites: VineCluster) -> None:
    """A site gets more workers and fewer."""

    def workers() -> dict[str, int]:
        return {name: each["workers"] for name, each in own_sites.status().to_dict()["sites"].items()}

    for count in (2, 1):
        own_sites.scale(RAL=count)
        until(lambda count=count: workers() == {"RAL": count, "Bristol": 1}, f"{count} workers at RAL")


def test_tasks_that_wait_and_run_are_counted(engine: str) -> None:
    """Every task that is not done yet is counted once, whoever holds it; one at a time runs on one worker."""
    with VineCluster({"RAL": 1}, engine=engine) as cluster, Client(cluster, set_as_default=False) as client:
        client.submit(square, 1).result(timeout=300)
        tasks = [client.submit(slowly, number, 60) for number in range(30)]

        def counted() -> tuple[int, int]:
            site = cluster.status().to_dict()["sites"]["RAL"]
            return site["running"], site["waiting"]

        until(lambda: counted() == (1, 29), "one that runs, and all others waiting")
        del tasks


def test_nothing_is_left(engine: str) -> None:
    """Every process and folder is gone when a cluster is closed, even with tasks that run."""
    before = set(psutil.Process().children(recursive=True))
    with VineCluster({"RAL": 1}, engine=engine) as cluster, Client(cluster, set_as_default=False) as client:
        running = client.submit(slowly, 1, 60)
        until(lambda: cluster.status().to_dict()["sites"]["RAL"]["running"], "a task that runs")
        folder = getattr(cluster.engine, "folder", None)
        started = set(psutil.Process().children(recursive=True)) - before
        del running
    until(lambda: ended(started), "the end")
    assert folder is None or not Path(folder).exists()
