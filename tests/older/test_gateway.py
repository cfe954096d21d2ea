"""A cluster of dask-gateway: its server with the local backend, whose schedulers and workers lack the package."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.older.conftest import environment
from tests.services.service import free_port
from tests.support.waiting import until

CONFIGURATION = """
c.DaskGateway.backend_class = "dask_gateway_server.backends.local.UnsafeLocalBackend"
c.DaskGateway.address = "127.0.0.1:{api}"
c.Proxy.address = "127.0.0.1:{http}"
c.Proxy.tcp_address = "127.0.0.1:{tcp}"
c.UnsafeLocalBackend.clusters_directory = "{folder}"
c.ClusterConfig.scheduler_cmd = ["{python}", "-m", "dask", "scheduler"]
c.ClusterConfig.worker_cmd = ["{python}", "-m", "dask", "worker"]
"""
ANALYSIS = """
import sys
from dask_gateway import BasicAuth, Gateway
from cachingclient import DiracClient

def passes(pt):
    return pt > 30

if __name__ == "__main__":
    gateway = Gateway(sys.argv[1], proxy_address=sys.argv[2], auth=BasicAuth("alice"))
    with gateway.new_cluster() as cluster:
        cluster.scale(1)
        with DiracClient(cluster) as client:
            client.wait_for_workers(1)
            client.ship()
            print(client.gather(client.map(passes, range(25, 35))).count(True), client.report.to_dict()["total"]["ran"])
"""

pytestmark = pytest.mark.matrix


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[tuple[str, str]]:
    """A gateway's addresses: of its server, and of its proxy for schedulers."""
    python = environment("gateway")
    ports = {name: free_port() for name in ("api", "http", "tcp")}
    (tmp_path / "clusters").mkdir()
    settings = tmp_path / "gateway.py"
    settings.write_text(CONFIGURATION.format(**ports, folder=tmp_path / "clusters", python=python))
    log = tmp_path / "gateway.log"
    command = [str(python), "-m", "dask_gateway_server", "--config", str(settings)]
    with log.open("wb") as file, subprocess.Popen(command, stdout=file, stderr=file, cwd=tmp_path) as server:
        try:
            until(lambda: "Dask-Gateway server started" in log.read_text() or server.poll() is not None)
            assert server.poll() is None, log.read_text()
            yield f"http://127.0.0.1:{ports['http']}", f"tls://127.0.0.1:{ports['tcp']}"
        finally:
            server.terminate()


def test_a_second_session_at_a_gateway_runs_nothing(
    run_in: Callable[..., str], gateway: tuple[str, str], tmp_path: Path
) -> None:
    """The package is shipped through the gateway's proxy; another cluster of the gateway loads what the first kept."""
    (tmp_path / "main.py").write_text(ANALYSIS)
    first, again = (run_in("gateway", "main.py", *gateway).splitlines()[-1] for _ in range(2))
    assert (first, again) == ("4 10", "4 0")
