"""Sites whose workers are Slurm's jobs: on a real Slurm, with a node at each of two sites."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from distributed import Client

from cachingclient import DiracClient
from cachingclient.vine import VineCluster
from cachingclient.vine.discovery import clusters
from tests.services.conftest import service_folder
from tests.services.sites import Sites
from tests.services.slurm import Slurm
from tests.support.waiting import until

HOLD = """
from cachingclient.vine import VineCluster

if __name__ == "__main__":
    options = {"queue": "siteA", "memory": "1GB", "walltime": "00:10:00"}
    sites = {"siteA": {"workers": 2, "how": "slurm", "options": options}}
    with VineCluster(sites, name="ttbar", dashboard_address=None) as cluster:
        cluster.sync(cluster.scheduler.finished)
"""
SESSION = """
import sys
from cachingclient import DiracClient
from cachingclient.vine import VineCluster

def fill(gate):
    import os, time
    while not os.path.exists(gate):
        time.sleep(0.05)
    return os.environ["SLURM_JOB_PARTITION"]

if __name__ == "__main__":
    client = DiracClient(VineCluster.connect("ttbar", tunnel=True), cache=sys.argv[1], policy="all")
    client.publish_dataset(z_peak=client.submit(fill, sys.argv[2]))
    client.close()
"""
AGC = Path(__file__).resolve().parents[2] / "examples" / "agc"
ROOT = AGC.parents[1]


@pytest.fixture(scope="module")
def sites() -> Iterator[Sites]:
    with service_folder() as folder, Sites(folder, {"siteA": 0, "siteB": 0}) as sites:
        yield sites


@pytest.fixture(scope="module")
def slurm(sites: Sites) -> Iterator[Slurm]:
    with service_folder() as folder, Slurm(folder, sites) as slurm:
        yield slurm


@pytest.fixture
def make(
    slurm: Slurm, sites: Sites, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., VineCluster]]:
    """Open clusters on the head with two workers at each site; the test is there too."""
    monkeypatch.chdir(tmp_path)
    for name, value in slurm.environment.items():
        monkeypatch.setenv(name, value)
    path = os.pathsep.join([str(AGC), str(ROOT)])

    def site(name: str) -> dict[str, Any]:
        options = {"queue": name, "memory": "1GB", "walltime": "00:10:00", "log_directory": str(tmp_path)}
        return {"workers": 2, "how": "slurm", "environment": {"PYTHONPATH": path}, "options": options}

    with sites["head"].entered(), ExitStack() as stack:

        def make() -> VineCluster:
            described = {name: site(name) for name in ("siteA", "siteB")}
            return stack.enter_context(VineCluster(described, host=sites["head"].address, dashboard_address=None))

        yield make


def test_workers_of_both_sites_come_and_their_jobs_go(
    make: Callable[..., VineCluster], slurm: Slurm, sites: Sites
) -> None:
    """Each site's workers are on its node, exchange inputs, are scaled, and all jobs end with the cluster."""
    cluster = make()
    with Client(cluster) as client:
        client.wait_for_workers(4, timeout=300)
        workers = client.scheduler_info(n_workers=-1)["workers"]
        at = Counter((each["host"], name) for each in workers.values() for name in each["resources"] if "site" in name)
        assert at == {(sites[name].address, f"site:{name}"): 2 for name in ("siteA", "siteB")}
        made = client.map(bytes, [1_000_000] * 4, pure=False, resources={"site:siteA": 1})
        assert client.gather(client.map(len, made, resources={"site:siteB": 1})) == [1_000_000] * 4
        cluster.scale(siteA=1)
        until(lambda: Counter(slurm.queue())["RUNNING"] == 3)
    cluster.close()
    until(lambda: set(slurm.queue()) <= {"CANCELLED", "COMPLETED"})


def test_the_ttbar_example_cold_and_warm(
    make: Callable[..., VineCluster], slurm: Slurm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
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
    totals = []
    for _ in ("cold", "warm"):
        cluster = make()
        with DiracClient(cluster, cache=(tmp_path / "cache").as_uri(), policy="all") as client:
            client.wait_for_workers(4, timeout=300)
            assert same(client.compute(assembly.build(samples)).result(timeout=300), expected)
            client.flush()
            totals.append(client.report.to_dict()["total"])
        cluster.close()
        until(lambda: set(slurm.queue()) <= {"CANCELLED", "COMPLETED"})
    cold, warm = totals
    assert (cold["loaded"], cold["ran"]) == (0, cold["kept"])
    assert (warm["loaded"], warm["ran"]) == (1, 0)


@pytest.mark.matrix
def test_a_scheduler_that_is_a_job(slurm: Slurm, sites: Sites, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At a node that nobody may dial: two sessions reach it one after the other, and no job outlives its shutdown."""
    monkeypatch.chdir(tmp_path)
    path = os.pathsep.join([str(ROOT), *filter(None, sys.path)])
    for name, value in {**slurm.environment, "PYTHONPATH": path, "XDG_CACHE_HOME": str(tmp_path / "xdg")}.items():
        monkeypatch.setenv(name, value)
    for program, text in (("hold.py", HOLD), ("session.py", SESSION)):
        Path(program).write_text(text)
    gate = tmp_path / "gate"
    before = len(slurm.queue())
    sites.firewall(slurm.ports)
    try:
        with sites["head"].entered():
            subprocess.run(
                ["sbatch", "--partition=siteA", "--mem=1G", "--wrap", f"exec {sys.executable} hold.py"], check=True
            )
            until(clusters, "the scheduler's job has told of itself")
            (told,) = clusters()
            assert urlsplit(told["address"]).hostname == sites["siteA"].address
            store = (tmp_path / "cache").as_uri()
            subprocess.run([sys.executable, "session.py", store, str(gate)], check=True)
            gate.touch()
            with DiracClient(VineCluster.connect("ttbar", tunnel=True), cache=store, policy="all") as client:
                assert client.get_dataset("z_peak").result(timeout=300) == "siteA"
                client.shutdown()
        until(lambda: not clusters(), "the scheduler's program has ended")
        until(lambda: Counter(slurm.queue()[before:]).keys() <= {"CANCELLED", "COMPLETED"})
    finally:
        sites.open()


def test_the_script_for_htcondor_labels_the_site() -> None:
    """HTCondor's daemons can't be had here: its job script has the worker's command with the site's label."""
    site = {"workers": 0, "how": "htcondor", "nthreads": 2, "options": {"memory": "2GB", "disk": "1GB"}}
    with VineCluster({"Bristol": site}, host="127.0.0.1", dashboard_address=None) as cluster:
        from cachingclient.vine.launch.launch import worker_spec

        spec = worker_spec(cluster.sites["Bristol"], cluster)
        script = spec["cls"](cluster.scheduler_address, name="Bristol-0", **spec["options"]).job_script()
    (arguments,) = (line for line in script.splitlines() if line.startswith("Arguments = "))
    command = shlex.split(arguments.partition('"')[2].rstrip('"').replace("''", "'"))
    assert "site:Bristol=2" in arguments
    assert "--tls-cert" in arguments
    assert command[0] == "-c"
    assert "MY.DaskWorkerCores = 2" in script
