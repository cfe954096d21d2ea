"""The page in dask's dashboard, as a browser gets it from a real cluster."""

from __future__ import annotations

import time
import urllib.request
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from distributed import LocalCluster

from cachingclient import DiracClient
from cachingclient.scheduler.dashboard import Seen
from tests.support.waiting import until

pytest.importorskip("bokeh")


@pytest.fixture
def shown() -> Iterator[LocalCluster]:
    """A cluster with a dashboard."""
    with LocalCluster(n_workers=1, threads_per_worker=2, dashboard_address="127.0.0.1:0") as cluster:
        yield cluster


def fill(number: int) -> np.ndarray:
    """A step."""
    time.sleep(0.01)
    return np.full(10_000, number)


def page_of(cluster: LocalCluster) -> str:
    """The address of the page."""
    return f"http://127.0.0.1:{cluster.scheduler.http_server.port}/cache"


def text_of(cluster: LocalCluster) -> str:
    """What the page says, as it says it to a browser that has just come."""
    from bokeh.client import pull_session

    session = pull_session(url=page_of(cluster))
    try:
        texts = [model.text for model in session.document.roots[0].references() if hasattr(model, "text")]
    finally:
        session.close()
    return " ".join(each for each in texts if isinstance(each, str))


def test_the_page_tells_hits_and_misses(shown: LocalCluster, store_url: str) -> None:
    """Of a first run, and of a second in which the client reads results itself."""
    with DiracClient(shown, cache=store_url, policy="all") as client:
        client.gather(client.map(fill, range(6)))
        client.flush()
        until(lambda: "0 hits (0%), 6 misses" in text_of(shown))
        assert "kept 480 kB" in text_of(shown).replace("481 kB", "480 kB")
    with DiracClient(shown, cache=store_url, policy="all") as client:
        client.gather(client.map(fill, range(6)))
        client.flush()
        until(lambda: "6 hits (50%), 6 misses" in text_of(shown))
        said = text_of(shown)
    assert "<td>fill</td>" in said
    assert "saved about" in said


def test_the_page_is_there_once_beside_the_others(shown: LocalCluster, store_url: str) -> None:
    """However many clients come; the dashboard's own pages stay as they are."""
    for number in range(2):
        with DiracClient(shown, cache=f"{store_url}-{number}"):
            for path in ("/cache", "/status"):
                with urllib.request.urlopen(page_of(shown).replace("/cache", path)) as answer:
                    assert answer.status == 200
    ours = [each for each in shown.scheduler.http_application.applications if "/cache" in each.app_paths]
    assert len(ours) == 1


def sums(**more: Any) -> dict[str, Any]:
    """A message with nothing in it but what is given."""
    return {"hits": 0, "misses": 0, "loaded": 0, "kept": 0, "saved": 0.0, "slow": [], **more}


def test_events_are_counted_once_and_forgotten_by_the_second() -> None:
    """The same events are handed over again and again; totals stay when seconds are over."""
    seen = Seen()
    events = [(100.2, sums(hits=1)), (100.4, sums(hits=2)), (101.0, sums(misses=1))]
    for _ in range(3):
        seen.take(events)
    assert (seen.totals["hits"], seen.totals["misses"]) == (3, 1)
    assert seen.columns(now=101.5)["hits"][-2:] == [3, 0]
    assert sum(seen.columns(now=1000.0)["hits"]) == 0
    assert seen.totals["hits"] == 3


def test_names_of_steps_are_text() -> None:
    """Whatever a step is called, a browser runs nothing of it."""
    seen = Seen()
    seen.take([(1.0, sums(hits=1, slow=[("<script>alert(1)</script>", 0.1, 1)]))])
    assert "<script>" not in seen.table()
    assert "&lt;script&gt;" in seen.table()
