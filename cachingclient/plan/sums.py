"""What workers did, summed up for the page in dask's dashboard: small, whatever the number of steps."""

from __future__ import annotations

import heapq
from collections.abc import Collection
from typing import Any

from cachingclient.plan.record import StepRecord

SUMS = "cachingclient-sums"
"""The topic of the scheduler's events that sums go to."""
MOST_SLOW = 3


def sums_of(records: Collection[StepRecord]) -> dict[str, Any]:
    """Return the sums of records, as a message.

    Examples
    --------
    >>> sums_of([StepRecord("a", "fill", "loaded", 0.5, 100, saved=2.0), StepRecord("b", "fill", "ran", 1.0, 50, True)])
    {'hits': 1, 'misses': 1, 'loaded': 100, 'kept': 50, 'saved': 1.5, 'slow': [('fill', 0.5, 100)]}
    """
    hits = [record for record in records if record.action != "ran"]
    slow = heapq.nlargest(MOST_SLOW, hits, key=lambda record: record.seconds)
    return {
        "hits": len(hits),
        "misses": len(records) - len(hits),
        "loaded": sum(record.nbytes for record in hits),
        "kept": sum(record.nbytes for record in records if record.kept and record.action == "ran"),
        "saved": sum(max(0.0, record.saved - record.seconds) for record in hits),
        "slow": [(record.name, record.seconds, record.nbytes) for record in slow],
    }
