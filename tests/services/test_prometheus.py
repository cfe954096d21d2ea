"""What a real Prometheus finds of a cluster and of a store."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import dask
import numpy as np
import pytest
from click.testing import CliRunner
from distributed import Client

from cachingclient import CacheWarning, DiracClient, Store, open_store
from cachingclient.cli.main import cli
from cachingclient.plan.pruned import pruned_of
from cachingclient.vine import VineCluster
from tests.services.prometheus import Prometheus
from tests.services.webdav import WebDAV
from tests.support.entries import entry
from tests.support.waiting import until
from tests.vine.pools import square


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """A web server of a folder's files, as a node exporter serves what it finds in one; its address."""
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def test_a_clusters_sites_are_on_dasks_page(tmp_path: Path) -> None:
    """Prometheus has the workers and the tasks of each site, and no more of them once the cluster is closed."""
    pytest.importorskip("prometheus_client", reason="pip install prometheus_client")
    with VineCluster({"RAL": 1, "Bristol": 2}) as cluster, Client(cluster, set_as_default=False) as client:
        client.wait_for_workers(3)
        with dask.annotate(site="RAL"):
            client.gather(client.map(square, range(7), pure=False))
        address = f"127.0.0.1:{urlsplit(cluster.dashboard_link).port}"
        with Prometheus(tmp_path / "prometheus", address) as prometheus:
            until(lambda: prometheus.query("cachingclient_site_workers"), "the cluster is scraped")
            assert prometheus.query("cachingclient_site_workers") == {"RAL": 1, "Bristol": 2}
            assert prometheus.query("cachingclient_site_done_total")["RAL"] == 7
            assert prometheus.query("up") == {address: 1}
            made = client.submit(bytes, 3_000_000, resources={"site:RAL": 1})
            assert client.submit(len, made, resources={"site:Bristol": 1}).result() == 3_000_000
            sent = 'cachingclient_transfer_bytes_total{source="RAL"}'
            until(lambda: prometheus.query(sent), "the transfer is scraped")
            assert prometheus.query(sent).keys() == {"Bristol"}
            assert 3_000_000 < prometheus.query(sent)["Bristol"] < 4_000_000
            assert (
                prometheus.query("cachingclient_site_bytes_across_total")["Bristol"]
                == prometheus.query(sent)["Bristol"]
            )
            name = cluster.scheduler.id
    from prometheus_client import generate_latest

    assert name not in generate_latest().decode()


def fill(chunk: int) -> np.ndarray:
    return np.full(10_000, chunk)


def test_hits_and_misses_are_on_dasks_page(tmp_path: Path) -> None:
    """By action and by reason; every query of the dashboard of Grafana in the repository finds something."""
    pytest.importorskip("prometheus_client", reason="pip install prometheus_client")
    store = open_store(tmp_path / "store")
    graph = dask.delayed(sum)([dask.delayed(np.sum)(dask.delayed(fill)(chunk)) for chunk in range(3)])
    with VineCluster({"RAL": 1, "Bristol": 1}) as cluster:
        (pages := tmp_path / "pages").mkdir()
        address = f"127.0.0.1:{urlsplit(cluster.dashboard_link).port}"
        with served(pages) as file_server, Prometheus(tmp_path / "prometheus", address, file_server) as prometheus:

            def asked(metric: str, label: str) -> dict[str, float]:
                return prometheus.query(
                    f'sum by (step) (label_replace({metric}{{store="{store.url}"}}, "step", "$1", "{label}", "(.*)"))'
                )

            def told(metric: str, store: Store) -> list[float]:
                return list(prometheus.query(f'sum(cachingclient_{metric}_total{{store="{store.url}"}})').values())

            with DiracClient(cluster, cache=store, policy="all") as client:
                assert client.compute(graph).result() == 30_000
                unkept = client.submit(fill, 9, pure=False).result()
                assert unkept[0] == 9
                client.flush()
                until(lambda: asked("cachingclient_misses_total", "reason"), "the misses are scraped")
            with DiracClient(cluster, cache=store, policy="all") as client:
                assert client.compute(graph).result() == 30_000
            until(lambda: asked("cachingclient_planned_total", "action")["load"], "the hits are scraped")
            assert asked("cachingclient_misses_total", "reason") == {"not in the store": 7, "no identity": 1}
            assert asked("cachingclient_planned_total", "action") == {"run": 8, "load": 1, "not needed": 6, "held": 0}
            assert asked("cachingclient_kept_bytes_total", "step")["fill"] > 80_000
            fill_and_prune(cluster, small := open_store(tmp_path / "small"))
            until(lambda: told("pruned_entries", small) > [0], "the pruning is scraped")
            until(lambda: told("pruned_entries", small) == [pruned_of(small).entries], "both sums are the same")
            wrote = CliRunner().invoke(cli, ["stats", "--store", small.url, "--prometheus"])
            assert (
                f'cachingclient_store_pruned_entries_total{{store="{small.url}"}} {pruned_of(small).entries}'
                in wrote.output
            )
            (pages / "metrics").write_text(wrote.output)
            for title, query in queries():
                until(partial(prometheus.query, query), f"{title} is drawn")


def fill_and_prune(cluster: VineCluster, store: Store) -> None:
    """Keep three results where there is room for one, and move one of them to the other site."""
    with (
        dask.config.set({"cachingclient.size-limit": "150 kB"}),
        DiracClient(cluster, cache=store, policy="all") as client,
    ):
        made = client.map(fill, range(20, 23), resources={"site:RAL": 1})
        assert client.submit(len, made[0], resources={"site:Bristol": 1}).result() == 10_000
        client.flush()
        until(lambda: sum(info.nbytes for info in store.scan()) < 150_000, "the store is pruned")


def queries() -> list[tuple[str, str]]:
    """Those of the dashboard, with what Grafana puts into them."""
    board = json.loads((Path(__file__).parents[2] / "docs" / "grafana.json").read_text())
    found = [(panel["title"], target["expr"]) for panel in board["panels"] for target in panel["targets"]]
    return [(title, query.replace("$__rate_interval", "5m").replace("$site", ".*")) for title, query in found]


def test_it_scrapes_while_the_store_is_away(tmp_path: Path) -> None:
    """The page answers, with what was counted before, and steps that run meanwhile have that for a reason."""
    pytest.importorskip("prometheus_client", reason="pip install prometheus_client")
    (tmp_path / "webdav").mkdir()
    with ExitStack() as stack:
        service = stack.enter_context(WebDAV(tmp_path / "webdav"))
        store = open_store(f"{service.url}/cache", **service.options)
        client = stack.enter_context(DiracClient(processes=False, cache=store, policy="all", dashboard_address=":0"))
        assert client.submit(fill, 1).result()[0] == 1
        client.flush()
        address = f"127.0.0.1:{urlsplit(client.dashboard_link).port}"
        prometheus = stack.enter_context(Prometheus(tmp_path / "prometheus", address))
        service.halt()
        with pytest.warns(CacheWarning, match="does not answer, so what it has is computed again"):
            assert client.submit(fill, 2).result()[0] == 2
        misses = f'sum by (reason) (cachingclient_misses_total{{store="{store.url}"}})'
        until(lambda: len(prometheus.query(misses)) == 2, "both misses are scraped")
        assert prometheus.query(misses) == {"not in the store": 1, "no answer": 1}
        assert prometheus.query("up") == {address: 1}


def test_a_stores_sums_are_scraped(tmp_path: Path) -> None:
    """Each step's entries, bytes and seconds arrive, whatever its name; of a store that is away nothing is written."""
    store = open_store(tmp_path / "store")
    for number, name in enumerate(["select", "select", 'odd "name"\\']):
        assert store.write(entry(np.arange(1000) + number, name=name))
    store.flush()
    wrote = CliRunner().invoke(cli, ["stats", "--store", store.url, "--prometheus"])
    assert wrote.exit_code == 0
    (pages := tmp_path / "pages").mkdir()
    (pages / "metrics").write_text(wrote.output)
    with served(pages) as address, Prometheus(tmp_path / "prometheus", address) as prometheus:
        until(lambda: prometheus.query("cachingclient_store_entries"), "the file is scraped")
        assert prometheus.query("cachingclient_store_entries") == {"select": 2, 'odd "name"\\': 1}
        assert prometheus.query("cachingclient_store_bytes")["select"] > 16_000
        assert prometheus.query("cachingclient_store_seconds") == {"select": 3.0, 'odd "name"\\': 1.5}
    away = CliRunner().invoke(cli, ["stats", "--store", "dav://127.0.0.1:9/cache", "--prometheus"])
    assert away.exit_code == 2
    assert "cachingclient_store" not in away.output
