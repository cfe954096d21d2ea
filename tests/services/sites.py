"""A head and some sites on one machine: network namespaces joined by a router, with delays, rates and a firewall."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.services.namespaces import entered, ip, remove, remove_abandoned
from tests.services.service import Service, needs

PREFIX = "cachingclient"
_runs = itertools.count()


@dataclass(frozen=True)
class Host:
    """A host of its own as far as the network goes; files and processes are this machine's."""

    name: str
    namespace: str
    address: str
    gateway: str

    def command(self, words: Sequence[str | Path]) -> list[str]:
        """What runs a command on this host."""
        # `ip netns exec` would mount another /sys, where Slurm finds no control groups.
        return ["nsenter", f"--net=/run/netns/{self.namespace}", *map(str, words)]

    def entered(self) -> AbstractContextManager[None]:
        """This thread is on this host, with the threads and processes that it starts meanwhile."""
        return entered(self.namespace)


class Sites(Service):
    """Hosts joined by a router: ``head`` and a host for each site.

    ``sites.run(sites["siteA"].command([...]))`` starts a process there; ``with sites["head"].entered():`` takes the
    test itself there, with the clients and clusters it opens meanwhile.

    Parameters
    ----------
    folder : Path
        Where the logs of what is started go.
    delays : Mapping[str, float]
        The sites and the milliseconds a packet takes between each and the router: two sites of 10 are 20 apart.
    """

    def __init__(self, folder: Path, delays: Mapping[str, float]) -> None:
        super().__init__(folder)
        self.delays = {"head": 0.0, **delays}
        run = f"{PREFIX}{os.getpid()}-{next(_runs)}"
        self.router = f"{run}-router"
        self.hosts = {
            name: Host(name, f"{run}-{name}", f"10.77.{number}.2", f"10.77.{number}.1")
            for number, name in enumerate(self.delays)
        }
        self._made: list[str] = []

    def __getitem__(self, name: str) -> Host:
        return self.hosts[name]

    def start(self) -> None:
        needs("ip", "tc", package="iproute2", root=True)
        needs("nft", package="nftables")
        remove_abandoned(PREFIX)
        self._make_namespace(self.router)
        self.call(["nsenter", f"--net=/run/netns/{self.router}", "sysctl", "-qw", "net.ipv4.ip_forward=1"])
        for host in self.hosts.values():
            self._make_namespace(host.namespace)
            self._join(host)
            ip("-n", host.namespace, "route", "add", "default", "via", host.gateway)

    def stop(self) -> None:
        super().stop()
        while self._made:
            remove(self._made.pop())

    def firewall(self, ports: Sequence[int] = ()) -> None:
        """From now on sites may dial the head and nothing else, and nobody may dial a site but the head at `ports`."""
        head, *sites = (host.address for host in self.hosts.values())
        let_in = f"ip saddr {head} tcp dport {{ {', '.join(map(str, ports))} }} accept; " if ports else ""
        self._filter(
            "table inet wan { chain forward { type filter hook forward priority 0; policy drop; "
            f"ct state established,related accept; {let_in}"
            f"ip saddr {{ {', '.join(sites)} }} ip daddr {head} accept; }}; }}"
        )

    def open(self) -> None:
        """From now on everyone may dial everyone, as at the start."""
        self._filter("delete table inet wan")

    def rate(self, site: str, rate: str) -> None:
        """Limit what a site's link carries either way, as tc spells it: ``100mbit``."""
        bucket = ["root", "tbf", "rate", rate, "burst", "128kb", "latency", "100ms"]
        for namespace, device in ((self.router, site), (self[site].namespace, "eth0")):
            self.call(["tc", "-n", namespace, "qdisc", "replace", "dev", device, *bucket])

    def _filter(self, rules: str) -> None:
        self.call(["nsenter", f"--net=/run/netns/{self.router}", "nft", rules])

    def _make_namespace(self, name: str) -> None:
        try:
            ip("netns", "add", name)
        except OSError as error:
            pytest.skip(f"network namespaces can't be made here: {error}")
        self._made.append(name)
        ip("-n", name, "link", "set", "lo", "up")

    def _join(self, host: Host) -> None:
        near = (self.router, host.name, host.gateway)
        far = (host.namespace, "eth0", host.address)
        if self.delays[host.name]:
            self._join_far(near, far, self.delays[host.name])
            return
        ip("link", "add", "name", near[1], "netns", near[0], "type", "veth", "peer", "name", far[1], "netns", far[0])
        for namespace, device, address in (near, far):
            ip("-n", namespace, "addr", "add", f"{address}/24", "dev", device)
            ip("-n", namespace, "link", "set", device, "up")

    def _join_far(self, near: tuple[str, str, str], far: tuple[str, str, str], delay: float) -> None:
        if not os.path.exists("/dev/net/tun"):
            pytest.skip("a link with a delay needs /dev/net/tun")
        self.run([sys.executable, Path(__file__).with_name("delaylink.py"), *near, *far, str(delay)])

        def up() -> bool:
            shown = subprocess.run(["ip", "-n", far[0], "link", "show", "dev", far[1], "up"], capture_output=True)
            return far[1] in shown.stdout.decode()

        self.wait(up, "the link is not up")
