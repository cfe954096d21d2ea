"""`DiracCluster` with DIRAC 9, its Matcher and its optimizers, and two sites behind a firewall."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator

import pytest
from distributed import Client

from cachingclient.dirac import DiracApi, DiracCluster, Environment, open_api
from tests.services.conftest import service_folder
from tests.services.dirac9 import SITES, VO, Dirac9
from tests.services.sites import Sites
from tests.support.waiting import until

pytestmark = pytest.mark.dirac9


@pytest.fixture(scope="module")
def sites() -> Iterator[Sites]:
    with service_folder() as folder, Sites(folder, {"siteA": 5, "siteB": 15}) as sites:
        sites.firewall()
        yield sites


@pytest.fixture(scope="module")
def api(sites: Sites) -> Iterator[DiracApi]:
    """The server on the head, with an agent that takes two jobs at a time at each site."""
    head = sites["head"]
    with service_folder() as folder, Dirac9(folder, host=head.address, command=head.command) as server:
        for host, site in zip(("siteA", "siteB"), SITES, strict=True):
            command, environment = server.agent(site)
            sites.run(sites[host].command(command), **environment)
        with (
            head.entered(),
            open_api(server.url, VO, server.authority.proxy("alice", "tests_user"), ca=server.ca) as api,
        ):
            yield api


def test_workers_at_two_sites_work_together_and_are_cancelled(api: DiracApi) -> None:
    """Workers are matched to both sites, exchange inputs through the tunnel, and their jobs end with the cluster."""
    with DiracCluster(SITES, server=api, environment=Environment(sys.executable), poll=1) as cluster:
        cluster.scale(4)
        with Client(cluster) as client:
            client.wait_for_workers(4, timeout=120)
            workers = client.scheduler_info(n_workers=-1)["workers"]
            at = Counter(name for each in workers.values() for name in each["resources"] if "site" in name)
            assert at == {f"site:{site}": 2 for site in SITES}
            made = client.map(bytes, [1_000_000] * 4, pure=False, resources={f"site:{SITES[0]}": 1})
            assert client.gather(client.map(len, made, resources={f"site:{SITES[1]}": 1})) == [1_000_000] * 4
    # A killed job is running until its agent has said that it is not.
    until(lambda: all(job.ended for job in api.jobs(group=cluster.grid.group)))
