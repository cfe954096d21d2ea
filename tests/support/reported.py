"""What a client reports of its last graph, and what it has kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cachingclient import DiracClient


def counts(client: DiracClient) -> tuple[int, int, int]:
    """How many steps of the last graph ran, were loaded and were kept."""
    report = client.report
    assert report is not None
    row = report.summary().total
    return row.ran, row.loaded, row.kept


def results_kept(client: DiracClient) -> list[str]:
    """The names of the results in the store."""
    client.flush()
    assert client.cache is not None
    return [info.name for info in client.cache.scan() if info.kind == "result"]


def twice(make_client: Callable[..., DiracClient], work: Callable[[DiracClient], Any], **options: Any) -> list[Any]:
    """What two clients that come one after the other get, and what their last graphs did."""
    seen = []
    for _ in range(2):
        client = make_client(**options)
        seen.append((work(client), counts(client)))
        client.close()
    return seen
