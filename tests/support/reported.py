"""What a client reports of its last graph."""

from __future__ import annotations

from cachingclient import DiracClient


def counts(client: DiracClient) -> tuple[int, int, int]:
    """How many steps of the last graph ran, were loaded and were kept."""
    report = client.report
    assert report is not None
    row = report.summary().total
    return row.ran, row.loaded, row.kept
