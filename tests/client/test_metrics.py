"""Hits and misses as Prometheus reads them."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.request import urlopen

import dask
import pytest
from distributed import LocalCluster

from cachingclient import DiracClient
from cachingclient.client.metrics import METRICS


def counted(name: str, store: str) -> dict[str, float]:
    return {labels[1]: count for labels, count in METRICS.counts[name].items() if labels[0] == store}


def scaled(pt: float) -> float:
    return pt * float(os.environ.get("SCALE", "1"))


def set_scale(value: str | None) -> None:
    os.environ.pop("SCALE", None)
    if value is not None:
        os.environ["SCALE"] = value


def test_misses_are_counted_by_reason(cluster: LocalCluster, store_url: str) -> None:
    """A step that is not to be kept, one without identity, a new one, and one whose variable has another value."""
    for scale in ("2", "3"):
        with DiracClient(cluster, cache=store_url, policy="all") as client:
            client.run(set_scale, scale)
            try:
                assert client.submit(scaled, 41.0).result() == 41.0 * int(scale)
                with dask.annotate(cache=False):
                    client.submit(pow, 2, 5).result()
                client.submit(pow, 2, 6, pure=False).result()
                client.flush()
                url = client.cache.url
            finally:
                client.run(set_scale, None)
    assert counted("misses", url) == {
        "not in the store": 1,
        "made in other surroundings": 1,
        "cache=False": 2,
        "no identity": 2,
    }
    assert counted("planned", url)["run"] == 6
    assert counted("kept_bytes", url)["scaled"] > 0


def test_a_page_of_the_clients_own(cluster: LocalCluster, tmp_path: Path) -> None:
    """Where the scheduler is elsewhere, prometheus_client's server shows the counts, once each."""
    prometheus_client = pytest.importorskip("prometheus_client", reason="pip install prometheus_client")
    server, thread = prometheus_client.start_http_server(0, addr="127.0.0.1")
    try:
        for _ in range(2):
            with DiracClient(cluster, cache=str(tmp_path), policy="all") as client:
                client.submit(scaled, 41.0).result()
                client.flush()
                url = client.cache.url
        page = urlopen(f"http://127.0.0.1:{server.server_port}/metrics", timeout=10).read().decode()
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
    shown = [line for line in page.splitlines() if url in line and "planned_total" in line]
    assert sorted((line.split('"')[1], float(line.rpartition(" ")[2])) for line in shown) == [
        ("held", 0),
        ("load", 1),
        ("not needed", 0),
        ("run", 1),
    ]
