"""The contract of engines when something breaks: workers, managers and tasks that die, never fit or can't be had."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import numpy as np
import pytest
from distributed import Client

from cachingclient.vine import VineCluster
from cachingclient.vine.engine import EngineLost, EngineMissing, Needs, find_engine
from tests.support.waiting import until
from tests.vine.engines.finished import finish
from tests.vine.kills import expected, run_with_kills
from tests.vine.pools import POOLS, end_process, held_up, kill_worker, manager_of, numbers, slowly, square

pytestmark = pytest.mark.services


# ---- faults ----


def test_a_killed_worker_costs_time_alone(own_sites: VineCluster) -> None:
    """Its tasks run again, and its results come again."""
    with Client(own_sites, set_as_default=False) as client:
        client.wait_for_workers(2)
        made = client.map(numbers, [20_000] * 4, range(4))
        finish(made)
        late = client.map(slowly, range(6), pure=False)
        kill_worker(own_sites, "RAL")
        assert client.gather(late) == [x + 1 for x in range(6)]
        totals = client.gather(client.map(np.sum, made))
    assert totals == pytest.approx([numbers(20_000, seed).sum() for seed in range(4)])


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.matrix)])
def test_random_kills_leave_results_right(engine: str, seed: int) -> None:
    """Of `python -m tests.vine.kills`, the first runs."""
    assert run_with_kills(engine, seed) == expected()


# ---- what only pools can meet ----


for_pools = pytest.mark.parametrize("engine", POOLS, indirect=True)


@for_pools
def test_a_killed_manager_is_an_error_for_all(own_sites: VineCluster) -> None:
    """Whoever waits, and whoever asks later, hears that it is gone and what to do; nobody hangs."""
    with Client(own_sites, set_as_default=False) as client:
        client.wait_for_workers(2)
        done = client.submit(numbers, 50_000)
        finish([done])
        waits = client.submit(slowly, 1, 60)
        until(
            lambda: own_sites.status().to_dict()["sites"]["RAL"]["running"] or client.processing(), "a task that runs"
        )
        manager_of(own_sites).send_signal(signal.SIGKILL)
        with pytest.raises(EngineLost, match=r"manager of engine \w+ is gone .* make a new cluster"):
            waits.result(timeout=300)
        with pytest.raises(EngineLost, match="is gone"):
            client.submit(square, 3).result(timeout=300)
        with pytest.raises(Exception, match=r"is gone|gather"):
            done.result(timeout=300)


@for_pools
@pytest.mark.parametrize(
    ("needs", "says"),
    [(Needs(cores=64), "64 cores; no worker"), (Needs(gpus=1, site="RAL"), "1 GPUs; no worker of site RAL")],
)
def test_a_task_that_never_fits_is_an_error(sites: VineCluster, needs: Needs, says: str) -> None:
    """It is not left to wait for ever."""
    with pytest.raises(ValueError, match=says):
        sites.engine.run(square, (2,), {}, needs).result(300)


@for_pools
def test_a_process_that_dies_is_an_error(own_sites: VineCluster) -> None:
    """A task that takes its process with it is tried again a few times, then given up with what is known."""
    with Client(own_sites, set_as_default=False) as client, pytest.raises(RuntimeError, match="exit code"):
        client.submit(end_process).result(timeout=300)


@for_pools
def test_workers_that_do_not_stay_are_told_of(engine: str) -> None:
    """A site whose workers can't be started is an error for its tasks, which says why."""
    site = {"workers": 1, "environment": {"PATH": "/nowhere"}}
    with VineCluster({"RAL": site}, engine=engine) as cluster:
        until(lambda: cluster.engine._workers["RAL"].trouble(), "the site is given up")
        with pytest.raises(EngineLost, match=r"site RAL has no workers: .*No such file"):
            cluster.engine.run(square, (2,), {}, Needs(site="RAL")).result(300)


@pytest.mark.parametrize(("engine_name", "module"), [("workqueue", "work_queue"), ("taskvine", "ndcctools.taskvine")])
def test_an_engine_that_is_not_installed_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, engine_name: str, module: str
) -> None:
    """The text names the command that installs it."""
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(EngineMissing, match=r"apt-get install|conda install"):
        find_engine(engine_name)


@for_pools
def test_submitting_does_not_wait_for_the_manager(own_sites: VineCluster, tmp_path: Path) -> None:
    """A pool that is busy with a long task takes others meanwhile."""
    long = own_sites.engine.run(held_up, (tmp_path / "never", 0), {}, Needs(site="RAL"))
    futures = [own_sites.engine.run(square, (n,), {}, Needs(site="Bristol")) for n in range(5)]
    assert [own_sites.engine.fetch([each.result(300)])[0] for each in futures] == [0, 1, 4, 9, 16]
    assert not long.done()
