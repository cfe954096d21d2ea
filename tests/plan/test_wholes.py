"""Where a container changed that counts as a whole, the reason says where that is so."""

from __future__ import annotations

from typing import Any

import dask
import pytest

from cachingclient import DiracClient
from tests.plan.test_explain import module

SOURCE = """
XSEC = {"a": 1.0, "b": 2.0}
GEV = {"pt": 30, "eta": 2}
from types import SimpleNamespace
CONFIG = SimpleNamespace(low=3, high=4)
def make():
    inner = {"a": 1.0, "b": 2.0}
    def weigh(name):
        return inner[name.lower()]
    return weigh
weigh_by = make()
def weigh(name):
    known = XSEC["a"]
    key = name.lower()
    return known * XSEC[key] * XSEC.get(key)
def passes(name): return len(name) > GEV["pt"]
def helped(name): return CONFIG.low if not name else [repr(each) for each in (CONFIG,)]
"""
WHOLE = "(all of it counts: cuts.py:{} takes it as a whole or by a key that can't be known, not by constant keys)"
FROM_TO = "changed: {'a': 1.0, 'b': 2.0} -> {'a': 1.0, 'b': 3.0}"
XSEC = ('XSEC = {"a": 1.0, "b": 2.0}', 'XSEC = {"a": 1.0, "b": 3.0}')
INNER = ('inner = {"a": 1.0, "b": 2.0}', 'inner = {"a": 1.0, "b": 3.0}')
CASES = {
    "a computed key": ("weigh", XSEC, f"XSEC in cuts.py {FROM_TO} {WHOLE.format(15)}"),
    "a closure's": ("weigh_by", INNER, f"inner in cuts.py {FROM_TO} {WHOLE.format(9)}"),
    "an object that is passed on": ("helped", ("high=4", "high=5"), f"CONFIG in cuts.py changed {WHOLE.format(17)}"),
    "a constant key": ("passes", ('"pt": 30', '"pt": 40'), "GEV['pt'] in cuts.py changed: 30 -> 40"),
}


@pytest.mark.parametrize("case", CASES)
def test_the_line_is_told_that_has_all_of_a_container_count(client: DiracClient, case: str) -> None:
    """It is the first that takes all of it, or a part by a computed key; with constant keys there is none."""
    name, edit, told = CASES[case]

    def graph(source: str) -> Any:
        return dask.delayed(getattr(module(source), name))("A", dask_key_name="step-1")

    assert edit[0] in SOURCE
    edited = SOURCE.replace(*edit)
    client.compute(graph(SOURCE)).result()
    client.flush()
    assert client.explain("step-1", client.plan(graph(edited))) == f"missed because {told}"
    client.compute(graph(edited)).result()
    client.flush()
    assert client.explain("step-1") == f"missed because {told}"
