"""What the page on monitoring says of names and labels, against what a cluster, a client and a store tell."""

from __future__ import annotations

import re
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import dask
import pytest
from click.testing import CliRunner
from distributed import Client

from cachingclient import DiracClient, open_store
from cachingclient.cli.main import cli
from cachingclient.client import metrics
from cachingclient.plan.sums import SUMS
from cachingclient.vine import VineCluster
from tests.support.entries import entry
from tests.support.waiting import until

PAGE = (Path(__file__).parents[2] / "docs" / "monitoring.md").read_text()


def names_on_the_page(header: str) -> dict[str, str]:
    """The metrics of the table with a header, each with what its row says; ``_running`` is put after its neighbour."""
    table = PAGE.partition(header)[2].partition("\n\n")[0]
    found = {}
    for row in re.findall(r"^\| (`cachingclient.*?) \| (.*) \|$", table, re.MULTILINE):
        first, *others = re.findall(r"`(\w+)`", row[0])
        for name in [first, *others]:
            whole = name if name.startswith("c") else first.rsplit("_", name.count("_"))[0] + name
            found[whole] = row[1]
    return found


def told(page: str) -> Iterator[tuple[str, dict[str, str]]]:
    """The metrics of ours on a page of Prometheus', with their labels."""
    for name, labels in re.findall(r"^(cachingclient_\w+)\{(.*)\} \S+$", page, re.MULTILINE):
        if not name.endswith("_created"):  # the library's own
            yield name, dict(re.findall(r'(\w+)="([^"]*)"', labels))


def fill(number: int) -> bytes:
    return bytes([number]) * 100_000


def test_dasks_page_has_each_metric_with_its_labels(tmp_path: Path) -> None:
    """And none that the page does not know; of steps and of sites."""
    pytest.importorskip("prometheus_client")
    store = open_store(tmp_path / "store")
    with VineCluster({"RAL": 1, "Bristol": 1}) as cluster:
        for _ in range(2):  # to be kept, and to be loaded
            with DiracClient(cluster, cache=store, policy="all") as client:
                assert client.submit(pow, 2, 5).result() == 32
        link = f"http://127.0.0.1:{urlsplit(cluster.dashboard_link).port}/metrics"
        with (
            dask.config.set({"cachingclient.size-limit": "150 kB"}),
            DiracClient(cluster, cache=store, policy="all") as client,
        ):
            made = client.map(fill, range(3), resources={"site:RAL": 1})
            assert client.submit(len, made[0], resources={"site:Bristol": 1}).result() == 100_000
            client.flush()

            def seen() -> dict[str, set[str]]:
                page = urllib.request.urlopen(link, timeout=60).read().decode()
                ours = [(name, labels) for name, labels in told(page) if labels.get("store", store.url) == store.url]
                return {name: set(labels) for name, labels in ours}

            sites = names_on_the_page("counts, by `cluster` and `site`")
            steps = names_on_the_page("counts, by `store` and")
            until(lambda: seen().keys() >= sites.keys() | steps.keys(), "all are told")
            found = seen()
            assert found.keys() == sites.keys() | steps.keys()
            for name, said in steps.items():
                by = re.match(r"((?:`\w+`(?: and )?)*|nothing else):", said)
                assert by is not None, said
                assert found[name] == {"store", *re.findall(r"`(\w+)`", by[1])}
            source = {"cachingclient_transfer_bytes_total": {"source"}}
            assert all(found[name] == {"cluster", "site"} | source.get(name, set()) for name in sites)


def test_reasons_and_actions_are_those_that_are_counted() -> None:
    """A dashboard that asks for another finds nothing."""
    rows = names_on_the_page("counts, by `store` and")
    words = {name: set(re.findall(r"`([^`]+)`", said)) - {"action", "reason", "step"} for name, said in rows.items()}
    code = Path(metrics.__file__).read_text()
    counted = set(re.findall(r'return "([^"]+)"', code.partition("def _reason")[2]))
    assert words["cachingclient_misses_total"] == counted
    assert words["cachingclient_planned_total"] == set(metrics.PLANNED.values())


def test_a_store_tells_each_metric(tmp_path: Path) -> None:
    """In the format of Prometheus, by the command of the page."""
    store = open_store(tmp_path)
    for number in range(3):
        store.write(entry(fill(number), name="fill"))
    CliRunner().invoke(cli, ["prune", "--store", store.url, "--max-size", "150 kB", "--yes"])
    page = CliRunner().invoke(cli, ["stats", "--store", store.url, "--prometheus"]).output
    found = {name: set(labels) for name, labels in told(page)}
    named = names_on_the_page("of each `step` in the `store`")
    assert found.keys() == named.keys()
    assert {name for name, labels in found.items() if labels == {"store"}} == {
        name for name, said in named.items() if "of the `store` alone" in said
    }


def test_the_scheduler_keeps_a_thousand_sums() -> None:
    """Whatever the workers send: a page that is opened late begins with these."""
    with VineCluster({"RAL": 0}) as cluster, Client(cluster, set_as_default=False):
        for _ in range(1100):
            cluster.scheduler.log_event(SUMS, {})
        assert len(cluster.scheduler.get_events(SUMS)) == 1000
