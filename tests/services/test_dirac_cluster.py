"""`DiracCluster` with DiracX and two sites behind a firewall: workers can dial the head, and nobody can dial them."""

from __future__ import annotations

import contextlib
import socket
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from distributed import Client

from cachingclient import DiracClient
from cachingclient.dirac import DiracApi, open_api
from cachingclient.dirac.workers.cluster import DiracCluster
from cachingclient.environments import Environment
from cachingclient.vine import VineCluster
from tests.services.conftest import service_folder
from tests.services.diracx import VO, DiracX
from tests.services.sites import Host, Sites
from tests.support.waiting import until

SITES = {"siteA": "LCG.SiteA.uk", "siteB": "LCG.SiteB.uk"}
SLOTS = 2
ROOT = Path(__file__).resolve().parents[2]
AGC = ROOT / "examples" / "agc"


@pytest.fixture(scope="module")
def sites() -> Iterator[Sites]:
    """Two sites 5 and 15 ms away, which may dial the head and nothing else."""
    with service_folder() as folder, Sites(folder, {"siteA": 5, "siteB": 15}) as sites:
        sites.firewall()
        yield sites


@pytest.fixture(scope="module")
def server(sites: Sites) -> Iterator[DiracX]:
    """DiracX on the head, and at each site an agent that takes two jobs at a time."""
    head = sites["head"]
    with service_folder() as folder, DiracX(folder, host=head.address, command=head.command) as server:
        for host, site in SITES.items():
            sites.run(sites[host].command(server.agent(site, slots=SLOTS)))
        yield server


@pytest.fixture(scope="module")
def api(server: DiracX, sites: Sites) -> Iterator[DiracApi]:
    with sites["head"].entered(), open_api(server.url, VO, server.credentials(), ca=server.ca) as api:
        yield api


@pytest.fixture
def head(sites: Sites) -> Iterator[Host]:
    """The test is on the head."""
    with sites["head"].entered():
        yield sites["head"]


@pytest.fixture
def make(api: DiracApi, head: Host) -> Iterator[Callable[..., DiracCluster]]:
    """Open clusters on the head."""
    with ExitStack() as stack:

        def make(**options: Any) -> DiracCluster:
            options = {"environment": Environment(sys.executable), "poll": 0.5, "server": api} | options
            return stack.enter_context(DiracCluster(list(SITES.values()), **options))

        yield make


def all_cancelled(api: DiracApi, group: str) -> bool:
    """Whether there are jobs of a group, and all have ended."""
    jobs = api.jobs(group=group, limit=1000)
    return bool(jobs) and all(job.ended for job in jobs)


def test_four_workers_at_two_sites_work_together(make: Callable[..., DiracCluster], api: DiracApi, head: Host) -> None:
    """Workers at both sites are reached through the head, exchange inputs, and end with the cluster."""
    cluster = make()
    cluster.scale(4)
    until(lambda: len(api.jobs(group=cluster.grid.group, states=["Running"])) > 0)
    started = time.perf_counter()
    with Client(cluster) as client:
        client.wait_for_workers(4, timeout=300)
        print(f"four workers {time.perf_counter() - started:.1f} s after the first job ran")
        workers = client.scheduler_info(n_workers=-1)["workers"]
        assert Counter(name for each in workers.values() for name in each["resources"] if "site" in name) == {
            "site:LCG.SiteA.uk": 2,
            "site:LCG.SiteB.uk": 2,
        }
        assert {address.rpartition(":")[0] for address in workers} == {f"tls://{head.address}"}
        made = client.map(bytes, [1_000_000] * 8, pure=False, resources={"site:LCG.SiteA.uk": 1})
        sizes = client.map(len, made, resources={"site:LCG.SiteB.uk": 1})
        assert client.gather(sizes, direct=True) == [1_000_000] * 8
        until(lambda: sum(each.received for each in cluster.grid.tunnel.traffic.values()) > 8_000_000)
        cluster.scale(1)
        until(lambda: len(client.scheduler_info(n_workers=-1)["workers"]) == 1)
    cluster.close()
    assert all_cancelled(api, cluster.grid.group)


def test_a_hundred_jobs_take_ten_requests_at_most(
    make: Callable[..., DiracCluster], api: DiracApi, server: DiracX
) -> None:
    """The server's own log says how many requests it took to submit a hundred jobs."""
    cluster = make(poll=60)
    before = posted(server)
    cluster.scale(100)
    until(lambda: len(api.jobs(group=cluster.grid.group, limit=1000)) == 100)
    assert 1 <= posted(server) - before <= 10
    cluster.close()
    assert all_cancelled(api, cluster.grid.group)


def posted(server: DiracX) -> int:
    """How many requests to submit jobs, or to put their files somewhere, the server has answered."""
    log = Path(f"/proc/{server.server.pid}/fd/1").readlink().read_text()
    return log.count('"POST /api/jobs/jdl') + log.count('"POST /api/jobs/sandbox')


def test_the_ttbar_example_cold_and_warm(
    make: Callable[..., DiracCluster], api: DiracApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The analysis gives what it gives here, is read back by the next cluster, and leaves no job behind."""
    monkeypatch.syspath_prepend(AGC)
    monkeypatch.syspath_prepend(ROOT / "benchmarks" / "agc")
    import assembly
    from generator.make_data import make_data
    from run import same
    from samples import read_samples

    samples = read_samples(make_data(tmp_path / "samples", scale=0.01))[:4]
    expected = assembly.build(samples).compute(scheduler="sync")
    modules = ["cachingclient", *(file.stem for file in AGC.glob("*.py"))]
    environment = Environment(sys.executable, modules=modules)
    totals = []
    for _ in ("cold", "warm"):
        cluster = make(environment=environment)
        cluster.scale(4)
        with DiracClient(cluster, cache=(tmp_path / "cache").as_uri(), policy="all") as client:
            client.wait_for_workers(4, timeout=300)
            assert same(client.compute(assembly.build(samples)).result(timeout=300), expected)
            client.flush()
            totals.append(client.report.to_dict()["total"])
        cluster.close()
        assert all_cancelled(api, cluster.grid.group)
    cold, warm = totals
    assert (cold["loaded"], cold["ran"]) == (0, cold["kept"])
    assert cold["ran"] > 10
    assert (warm["loaded"], warm["ran"]) == (1, 0)


def test_a_stranger_is_refused_by_scheduler_and_tunnel(
    make: Callable[..., DiracCluster], sites: Sites, caplog: pytest.LogCaptureFixture
) -> None:
    """Somebody at a site without the cluster's certificates gets nowhere, and both refusals are in the log."""
    cluster = make(silence_logs=False)
    scheduler = cluster.scheduler.address.removeprefix("tls://").rpartition(":")
    with sites["siteA"].entered():
        for host, port in ((scheduler[0], int(scheduler[2])), cluster.grid.tunnel.address):
            with socket.create_connection((host, port), timeout=20) as stranger, contextlib.suppress(ConnectionError):
                stranger.sendall(b"let me in, let me in, let me in\r\n")
                assert b"in" not in stranger.recv(1000)
    address = sites["siteA"].address
    until(lambda: f"the tunnel refused {address}" in caplog.text)
    until(lambda: f"TLS handshake failed with remote 'tls://{address}" in caplog.text)


def test_work_goes_on_while_the_server_is_down(
    make: Callable[..., DiracCluster], api: DiracApi, server: DiracX
) -> None:
    """Workers do not notice; the cluster can be closed once the server is back, and cancels its jobs."""
    cluster = make()
    cluster.scale(2)
    with Client(cluster) as client:
        client.wait_for_workers(2, timeout=300)
        server.server.terminate()
        server.server.wait(300)
        server.processes.remove(server.server)
        assert client.submit(sum, [1, 2]).result(timeout=300) == 3
        server.serve()
        assert client.submit(sum, [1, 3]).result(timeout=300) == 4
    cluster.close()
    assert all_cancelled(api, cluster.grid.group)


def test_sites_of_one_cluster_may_be_jobs(api: DiracApi, head: Host) -> None:
    """A `VineCluster` has workers here, and at a site where DIRAC starts them; tasks are pinned to either."""
    far = {"how": "dirac", "workers": 2, "options": {"sites": ["LCG.SiteA.uk"], "server": api, "poll": 0.5}}
    far["options"]["environment"] = Environment(sys.executable)
    with VineCluster({"far": far, "here": 1}, host=head.address, dashboard_address=None) as cluster:
        with Client(cluster) as client:
            client.wait_for_workers(3, timeout=300)
            made = client.map(bytes, [1_000_000] * 4, pure=False, resources={"site:far": 1})
            assert client.gather(client.map(len, made, resources={"site:here": 1})) == [1_000_000] * 4
        (grid,) = cluster.launchers.values()
    assert all_cancelled(api, grid.group)
