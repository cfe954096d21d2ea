"""A store's sums as lines of JSON, as OpenSearch's collectors take them."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from cachingclient.plan.pruned import Pruned


def json_lines(store: str, steps: Mapping[str, Mapping[str, float]], pruned: Pruned, now: float) -> str:
    """Return one line for the store, and one for each step.

    Parameters
    ----------
    store
        The store's URL.
    steps
        Sums by the names of steps.
    pruned
        What was ever pruned.
    now
        When this was, in unix time.

    Examples
    --------
    >>> print(json_lines("memory://docs", {"fill": {"entries": 2, "nbytes": 16}}, Pruned(1, 3, 64, 1.5), 0.0))
    {"@timestamp": "1970-01-01T00:00:00Z", "event": "store", "store": "memory://docs", "pruned": {"prunings": 1, ...}}
    {"@timestamp": "1970-01-01T00:00:00Z", "event": "step", "store": "memory://docs", "step": "fill", ...}
    """
    when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now))
    lines: list[dict[str, Any]] = [{"@timestamp": when, "event": "store", "store": store, "pruned": asdict(pruned)}]
    lines += [{"@timestamp": when, "event": "step", "store": store, "step": step, **steps[step]} for step in steps]
    return "\n".join(map(json.dumps, lines))
