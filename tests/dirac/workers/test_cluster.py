"""`DiracCluster` on jobs that are processes here; real servers and sites are in tests/services."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from distributed import Client, Security, Worker

from cachingclient.dirac.workers.cluster import DiracCluster
from cachingclient.environments import Environment
from tests.dirac.jobs_here import JobsHere
from tests.support.waiting import until

Make = Callable[..., DiracCluster]


@pytest.fixture
def api(tmp_path: Path) -> Iterator[JobsHere]:
    with JobsHere(tmp_path / "jobs") as api:
        yield api


@pytest.fixture
def make(api: JobsHere) -> Iterator[Make]:
    """Open clusters on this machine that look at their jobs often; all are closed."""
    with ExitStack() as stack:

        def make(*args: Any, **options: Any) -> DiracCluster:
            options = {"environment": Environment(sys.executable), "poll": 0.2, "death_timeout": 60} | options
            return stack.enter_context(DiracCluster(*args, server=api, **options))

        yield make


def test_workers_come_through_the_tunnel_and_their_jobs_end_with_the_cluster(make: Make, api: JobsHere) -> None:
    """Workers are reached at the head's ports, know their site, have the uploaded package, and are all cancelled."""

    def where(dask_worker: Worker) -> tuple[str, dict[str, float], str]:
        import cachingclient

        return dask_worker.address, dict(dask_worker.state.total_resources), cachingclient.__file__

    cluster = make(["LCG.Here.uk"], tags=["GPU"])
    cluster.scale(2)
    with Client(cluster) as client:
        client.wait_for_workers(2, timeout=300)
        found = client.run(where)  # the address, the resources and the package of each
        ports = {int(address.rpartition(":")[2]) for address in found}
        assert ports == set(cluster.grid.tunnel.connected.values())
        for address, resources, file in found.values():
            assert address.startswith("tls://")
            assert {"site:LCG.Here.uk": 1, "GPU": 1}.items() <= resources.items()
            assert "modules" in Path(file).parts
        # Between workers too, and from the scheduler.
        one, other = found
        value = client.submit(bytes, 3_000_000, workers=[one])
        assert client.submit(len, value, workers=[other]).result(timeout=300) == 3_000_000
        assert len(client.scatter(b"x" * 1000, direct=False).result(timeout=300)) == 1000
    cluster.close()
    assert set(api.states.values()) == {"Killed"}
    assert [process.wait(300) for process in api.processes.values()]


def test_a_hundred_workers_are_asked_for_in_one_request(make: Make, api: JobsHere) -> None:
    """However many workers are wanted at once, the server gets one submission and at the end one order to kill."""
    api.hold = True
    cluster = make()
    cluster.scale(100)
    until(lambda: len(api.states) == 100)
    assert api.requests.count("submit") == 1
    cluster.close()
    assert set(api.states.values()) == {"Killed"}
    assert api.requests.count("kill") == 1


def test_scaling_down_cancels_jobs_that_wait(make: Make, api: JobsHere) -> None:
    """Only as many jobs stay as there are to be workers."""
    api.hold = True
    cluster = make()
    cluster.scale(3)
    until(lambda: len(api.states) == 3)
    cluster.scale(1)
    until(lambda: sorted(api.states.values()) == ["Killed", "Killed", "Waiting"])
    assert [job.state for job in cluster.jobs] in (["Waiting"], ["submitted"])


def test_a_job_that_fails_is_submitted_again_and_given_up_in_the_end(
    make: Make, api: JobsHere, caplog: pytest.LogCaptureFixture
) -> None:
    """After as many retries as are allowed the worker is given up, and the reason is shown."""
    cluster = make(environment=Environment("/no/such/python"), retries=1)
    cluster.scale(1)
    until(lambda: [job.state for job in cluster.jobs] == ["given up"])
    assert len(api.states) == 2
    assert cluster.jobs[0].why.startswith("Failed: exit 127: ")
    assert "/no/such/python" in cluster.jobs[0].why
    assert "is given up after 2 jobs; the last, 2: Failed: exit 127" in caplog.text
    assert "Failed: exit 127" in str(cluster.jobs[0])


def test_a_worker_whose_job_is_killed_comes_back(make: Make, api: JobsHere) -> None:
    """A site that ends a job gets another one, under the same name."""
    cluster = make()
    cluster.scale(1)
    with Client(cluster) as client:
        client.wait_for_workers(1, timeout=300)
        first = client.run(os.getpid)
        api.processes[1].terminate()
        until(lambda: len(api.states) == 2)
        until(lambda: client.scheduler_info(n_workers=-1)["workers"].keys() - first.keys())
        assert client.submit(sum, [1, 2]).result(timeout=300) == 3


def test_a_job_that_waits_too_long_is_replaced(make: Make, api: JobsHere) -> None:
    """A job that does not start in time is killed, and another is tried."""
    api.hold = True
    cluster = make(pending_timeout=0.5, retries=5)
    cluster.scale(1)
    until(lambda: len(api.states) >= 2 and api.states[1] == "Killed")
    assert cluster.jobs[0].attempts >= 1


def test_submissions_whose_answers_are_lost_are_found_again(make: Make, api: JobsHere) -> None:
    """No worker gets two jobs because an answer did not arrive."""
    api.hold, api.lose_answers = True, 1
    cluster = make()
    cluster.scale(3)
    until(lambda: len(cluster.jobs) == 3 and all(job.id for job in cluster.jobs))
    assert len(api.states) == 3
    assert api.requests.count("submit") == 1


def test_a_server_that_is_down_stops_neither_workers_nor_the_cluster(
    make: Make, api: JobsHere, caplog: pytest.LogCaptureFixture
) -> None:
    """Work goes on while the server is away, the trouble is logged once, and what was asked for comes afterwards."""
    cluster = make()
    cluster.scale(1)
    with Client(cluster) as client:
        client.wait_for_workers(1, timeout=300)
        api.down = True
        cluster.scale(2)
        until(lambda: "can't be looked after now: the server is down" in caplog.text)
        assert client.submit(sum, [1, 2]).result(timeout=300) == 3
        seen = len(api.requests)
        until(lambda: len(api.requests) > seen + 1)
        api.down = False
        client.wait_for_workers(2, timeout=300)
    assert caplog.text.count("the server is down") == 1


def test_adaptive_scaling_asks_for_workers_and_lets_them_go(make: Make, api: JobsHere) -> None:
    """With work there is a worker, without there is none, and its job has ended."""
    cluster = make()
    cluster.adapt(minimum=0, maximum=1, interval="200ms", wait_count=2)
    with Client(cluster) as client:
        assert client.submit(sum, [1, 2]).result(timeout=300) == 3
        until(lambda: not client.scheduler_info(n_workers=-1)["workers"])
        until(lambda: all(state in ("Killed", "Done") for state in api.states.values()))


def test_a_worker_node_that_lacks_something_says_what(make: Make, tmp_path: Path) -> None:
    """The job of a Python without dask ends at once, and the reason that it gave is the cluster's."""
    bare = tmp_path / "bare"
    bare.write_text(f'#!/bin/sh\nexec {sys.executable} -I -S "$@"\n')
    bare.chmod(0o755)
    cluster = make(environment=Environment(str(bare)), retries=0)
    cluster.scale(1)
    until(lambda: [job.state for job in cluster.jobs] == ["given up"])
    assert "can't run a worker of this cluster" in cluster.jobs[0].why
    assert "has no distributed; give the cluster an environment" in cluster.jobs[0].why


def test_tls_can_not_be_left_out(make: Make) -> None:
    """Certificates are made if none are given; without is refused."""
    with pytest.raises(ValueError, match="security has no ca"):
        make(security=Security())


def test_options_that_make_no_sense_are_said(make: Make) -> None:
    """Before anything is started."""
    with pytest.raises(ValueError, match=r"sites is 'LCG\.Here\.uk'; it takes a list of names"):
        make("LCG.Here.uk")
    with pytest.raises(ValueError, match="port is 0; with a contact it takes the port"):
        make(contact="head.example.org")
    with pytest.raises(ValueError, match="cpu_time is -1; it takes a whole number above 0"):
        make(job={"cpu_time": -1})


@pytest.mark.parametrize("option", ["port", "tunnel_port"])
def test_a_taken_port_is_named(make: Make, option: str) -> None:
    """That of the scheduler and that of the tunnel."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=str(port)):
            make(host="127.0.0.1", **{option: port})


def test_the_description_shows_no_secrets(make: Make) -> None:
    """What others can read of a job has neither a key nor a token nor the scheduler's address."""
    script = make(["LCG.Here.uk"]).job_script()
    assert 'Site = {"LCG.Here.uk"}' in script
    assert "tls://" not in script
    assert "KEY" not in script
