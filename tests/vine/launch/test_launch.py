"""Workers that are started elsewhere: by ssh, and by any other command."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from distributed import Client, Nanny, get_worker

from cachingclient.vine import VineCluster
from cachingclient.vine.engine import EngineMissing
from tests.services.conftest import service_folder
from tests.services.service import free_port, needs
from tests.services.sshd import Sshd
from tests.support.waiting import until

ROOT = Path(__file__).resolve().parents[3]


def my_environment() -> dict[str, str]:
    """The environment of the process that runs this."""
    return dict(psutil.Process().environ())


def ancestors() -> list[str]:
    """The names of the programs that this process was started by."""
    return [each.name() for each in psutil.Process().parents()]


@pytest.fixture(scope="module")
def sshd() -> Iterator[Sshd]:
    with service_folder() as folder, Sshd(folder) as sshd:
        yield sshd


@pytest.mark.services
def test_ssh_starts_workers_and_ends_them(sshd: Sshd) -> None:
    """They are encrypted without a certificate on a disk or a command line, and go with the connection."""
    options = {"hosts": ["127.0.0.1"], "ssh_options": sshd.options}
    described = {"RAL": {"workers": 2, "how": "ssh", "options": options, "environment": {"HERE": "RAL"}}}
    with VineCluster(described, host="127.0.0.1") as cluster, Client(cluster, set_as_default=False) as client:
        client.wait_for_workers(2)
        assert cluster.scheduler_address.startswith("tls://")
        assert client.submit(my_environment).result()["HERE"] == "RAL"
        assert any(name.startswith("sshd") for name in client.submit(ancestors).result())
        pids = list(client.run(lambda dask_worker: psutil.Process().pid).values())
        lines = [" ".join(psutil.Process(pid).parent().cmdline()) for pid in pids]
        assert not any("BEGIN" in line for line in lines)
    until(lambda: not any(map(psutil.pid_exists, pids)), "the end of the workers")


def test_a_host_that_refuses_is_named() -> None:
    """The command that failed is in the error."""
    needs("ssh", package="openssh-client")
    options = {"hosts": ["127.0.0.1"], "ssh_options": ["-p", str(free_port())]}
    with pytest.raises(RuntimeError, match=r"no worker was started by ssh .* 127.0.0.1 .* ended with status 255"):
        VineCluster({"RAL": {"how": "ssh", "options": options}}, host="127.0.0.1")


def command(*more: str) -> dict[str, Any]:
    """A site whose workers a command starts here."""
    return {"how": "command", "options": {"commands": [["env", f"PYTHONPATH={ROOT}", *more]]}}


def test_a_command_that_greets_first_is_no_trouble() -> None:
    """Login shells say things before they run what they are told to."""
    greeting = command("sh", "-c", 'echo Welcome; echo; exec "$0" "$@"')
    with VineCluster({"RAL": greeting}, host="127.0.0.1") as cluster, Client(cluster, set_as_default=False) as client:
        assert client.submit(pow, 2, 3).result() == 8


def test_a_worker_whose_connection_breaks_ends() -> None:
    """No worker lives on when the program that started it is gone."""
    with VineCluster({"RAL": command()}, host="127.0.0.1") as cluster, Client(cluster, set_as_default=False) as client:
        [pid] = client.run(lambda dask_worker: psutil.Process().pid).values()
        cluster.workers["RAL-0"].kill()
        until(lambda: not psutil.pid_exists(pid), "the end of the worker")


def test_a_worker_is_reached_through_the_tunnel() -> None:
    """The address by which it is known is the head's, and results come through it."""
    sites = {"RAL": command(), "Bristol": command()}
    with VineCluster(sites, host="127.0.0.1", tunnel=True) as cluster, Client(cluster, set_as_default=False) as client:
        client.wait_for_workers(2)
        data = client.submit(bytes, 1_000_000, resources={"site:RAL": 1})
        assert client.submit(len, data, resources={"site:Bristol": 1}).result() == 1_000_000
        until(lambda: cluster.tunnel.traffic.keys() == {"RAL-0", "Bristol-0"}, "traffic is reported every second or so")


def test_a_class_starts_workers_as_in_a_spec_cluster() -> None:
    """What it is called with is what every worker of dask takes, and the site's own options."""
    site = {"how": Nanny, "workers": 1, "options": {"host": "127.0.0.1"}}
    with VineCluster({"RAL": site}, host="127.0.0.1") as cluster, Client(cluster, set_as_default=False) as client:
        assert client.submit(lambda: get_worker().name).result() == "RAL-0"


def test_a_python_that_is_not_there_is_an_error() -> None:
    """The status with which the command ended is told."""
    site = command()
    site["options"]["python"] = f"{sys.executable}-missing"
    with pytest.raises(RuntimeError, match="ended with status 127"):
        VineCluster({"RAL": site}, host="127.0.0.1")


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installed package that registers two ways of starting workers, one of which lacks a library."""
    ways = "[cachingclient.workers]\nhere = way_here:spec\nlacking = way_lacking:spec\n"
    (tmp_path / "ways-1.0.dist-info").mkdir()
    (tmp_path / "ways-1.0.dist-info/METADATA").write_text("Metadata-Version: 2.1\nName: ways\nVersion: 1.0\n")
    (tmp_path / "ways-1.0.dist-info/entry_points.txt").write_text(ways)
    (tmp_path / "way_here.py").write_text(
        "from distributed import Nanny\n\n\n"
        "def spec(site, cluster):\n"
        "    options = {'resources': site.advertised, 'security': cluster.security, 'protocol': cluster.protocol}\n"
        "    options['preload'] = ['cachingclient.worker.startup']\n"
        "    return {'cls': Nanny, 'options': options | {'host': '127.0.0.1', 'env': {'HERE': site.name}}}\n"
    )
    (tmp_path / "way_lacking.py").write_text("import library_of_a_batch_system\n")
    monkeypatch.syspath_prepend(tmp_path)


def test_a_package_registers_a_way_of_starting_workers(package: None) -> None:
    """Its name is taken as ``how``, and its function says how a worker of the site is started."""
    site = {"RAL": {"how": "here"}}
    with VineCluster(site, host="127.0.0.1") as cluster, Client(cluster, set_as_default=False) as client:
        assert client.submit(os.getenv, "HERE", resources={"site:RAL": 1}).result() == "RAL"


def test_a_registered_way_that_can_not_be_imported_is_named(package: None) -> None:
    """With the library that it lacks, before anything is started."""
    with pytest.raises(EngineMissing, match=r"RAL is started by lacking, .* 'library_of_a_batch_system'"):
        VineCluster({"RAL": {"how": "lacking"}}, host="127.0.0.1")


def test_a_way_that_nobody_registered_is_an_error(package: None) -> None:
    """All ways that there are, DIRAC's among them, are listed."""
    with pytest.raises(ValueError, match="of site RAL is 'pigeon'; it takes 'command', 'dirac', 'here', 'htcondor'"):
        VineCluster({"RAL": {"how": "pigeon"}}, host="127.0.0.1")
