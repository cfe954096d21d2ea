"""Workers that are started elsewhere: by ssh, and by any other command."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from distributed import Client, Nanny, get_worker

from cachingclient.vine import VineCluster
from tests.services.conftest import service_folder
from tests.services.service import free_port, needs
from tests.services.sshd import Sshd
from tests.waiting import until

ROOT = Path(__file__).resolve().parents[2]


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
