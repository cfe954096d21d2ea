"""An analysis after an edit."""

from __future__ import annotations

import pytest

from cachingclient.plan.plan import Plan
from tests.plan.edited import plan, step


@pytest.fixture
def edited() -> Plan:
    """An analysis after an edit of its fill: two selections are loaded, their inputs are not needed."""
    return plan(
        step("load-1", "pruned"),
        step("load-2", "pruned"),
        step("select-1", "load", ["load-1"], took=4.0),
        step("select-2", "load", ["load-2"], took=6.0),
        step("edges-1", "data"),
        step("fill-1", "run", ["select-1", "edges-1"]),
        step("fill-2", "run", ["select-2", "edges-1"]),
        step("total", "alias", ["fill-1"]),
        step("plot-1", "run", ["total", "fill-2"], reason="argument 2 is an open file"),
    )
