"""A client that is killed while workers of a cluster that is not its own go on with its steps."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from distributed import Client, Event, LocalCluster

from cachingclient import DiracClient, open_store
from cachingclient.worker.observe import unobserved
from tests.support.waiting import until

ROOT = Path(__file__).parents[2]
STEPS = 6


def measure(number: int) -> list[int]:
    """A step that runs until it is let go."""
    with unobserved():  # what lets it go is no part of what it does
        Event("running").set()
        Event("go").wait()
    return [number] * 1000


SENDING = f"""
import sys
from cachingclient import DiracClient
from tests.faults.test_client_gone import measure
client = DiracClient(sys.argv[1], cache=sys.argv[2], policy="all")
client.gather(client.map(measure, range({STEPS})))
"""


def test_a_client_killed_while_its_workers_go_on(
    cluster: LocalCluster, store_url: str, make_client: Callable[..., DiracClient]
) -> None:
    """What was running is kept and right; the next client finds it, and runs the rest."""
    address = cluster.scheduler_address
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with Client(address, set_as_default=False) as watcher:
        running, go = Event("running", client=watcher), Event("go", client=watcher)
        before = set(cluster.scheduler.clients)
        sender = subprocess.Popen([sys.executable, "-c", SENDING, address, store_url], env=environment)
        try:
            assert running.wait(300)
            # A worker gets a client of its own when its first task asks for one, and keeps it.
            ours = {name for name in set(cluster.scheduler.clients) - before if "worker" not in name}
            assert ours
        finally:
            sender.kill()
            sender.wait()
        until(lambda: not ours & set(cluster.scheduler.clients), "the killed client is forgotten")
        go.set()
        store = open_store(store_url)
        until(lambda: any(info.kind == "result" for info in store.scan()), "what was running is kept")
        client = make_client(policy="all")
        assert client.gather(client.map(measure, range(STEPS))) == [[number] * 1000 for number in range(STEPS)]
        counts = client.report.summary().total
        # Nobody filed it under its step key: it is found by its content.
        assert counts.cut_off >= 1
        assert counts.cut_off + counts.loaded + counts.ran == STEPS
        go.clear()
        running.clear()
