"""The namespaces that play sites: who may dial whom, how long a packet takes, and what is left behind."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.services.sites import Host, Sites

ECHO = """
import socket
server = socket.create_server(("", 9999))
while True:
    connection, _ = server.accept()
    connection.sendall(connection.recv(1))
"""


@pytest.fixture
def sites(tmp_path: Path) -> Iterator[Sites]:
    with Sites(tmp_path, {"siteA": 0, "siteB": 10}) as sites:
        for host in sites.hosts.values():
            sites.run(host.command([sys.executable, "-c", ECHO]))
        for host in sites.hosts.values():
            sites.wait(lambda host=host: answers(host, host), f"{host.name} does not answer")
        yield sites


def answers(source: Host, target: Host, seconds: float = 60) -> bool:
    """Whether one host's dialling of another is answered."""
    with source.entered(), socket.socket() as dialled:
        dialled.settimeout(seconds)
        try:
            dialled.connect((target.address, 9999))
            dialled.sendall(b"x")
            return dialled.recv(1) == b"x"
        except OSError:
            return False


def test_everyone_reaches_everyone_until_the_firewall_is_up(sites: Sites) -> None:
    """With the firewall, sites reach the head alone and nobody reaches them; without it all is as before."""
    head, near, far = sites["head"], sites["siteA"], sites["siteB"]
    allowed, others = [(near, head), (far, head)], [(near, far), (head, near), (head, far)]
    assert all(answers(*pair) for pair in allowed + others)
    sites.firewall()
    assert all(answers(*pair) for pair in allowed)
    assert not any(answers(*pair, seconds=0.5) for pair in others)
    sites.open()
    assert all(answers(*pair) for pair in allowed + others)


def test_a_packet_takes_as_long_as_was_asked_for(sites: Sites) -> None:
    """A round trip to a site 10 ms away takes 20 ms at least."""
    with sites["head"].entered(), socket.create_connection((sites["siteB"].address, 9999)) as dialled:
        start = time.perf_counter()
        dialled.sendall(b"x")
        assert dialled.recv(1) == b"x"
        assert time.perf_counter() - start >= 0.020


def test_only_the_thread_that_entered_is_elsewhere(sites: Sites) -> None:
    """A thread of before stays where it was; one started inside is on the host, and leaving brings back."""

    def devices() -> set[str]:
        return {name for _, name in socket.if_nameindex()}

    found: list[set[str]] = []
    started = threading.Thread(target=lambda: found.append(devices()))
    home = devices()
    with sites["head"].entered():
        started.start()
        started.join()
        assert devices() == {"lo", "eth0"}
    assert found == [{"lo", "eth0"}]
    assert devices() == home


def test_a_rate_holds_both_ways_and_can_be_changed(sites: Sites) -> None:
    """The kernel says the rate that was asked for last, on both ends of the link."""
    for rate, said in (("10mbit", "10Mbit"), ("100mbit", "100Mbit")):
        sites.rate("siteA", rate)
        for namespace, device in ((sites.router, "siteA"), (sites["siteA"].namespace, "eth0")):
            shown = subprocess.run(["tc", "-n", namespace, "qdisc", "show", "dev", device], capture_output=True)
            assert f"rate {said}" in shown.stdout.decode()


def test_nothing_is_left_behind(tmp_path: Path) -> None:
    """When a test fails inside, its namespaces and what still runs in them are gone all the same."""
    sites = Sites(tmp_path, {"siteA": 5})
    started: list[subprocess.Popen[bytes]] = []

    def fail() -> None:
        with sites:
            started.append(subprocess.Popen(sites["siteA"].command(["sleep", "1000"])))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert started[0].wait(300) != 0
    listed = subprocess.run(["ip", "netns", "list"], capture_output=True).stdout.decode()
    assert not [host for host in sites.hosts.values() if host.namespace in listed]
