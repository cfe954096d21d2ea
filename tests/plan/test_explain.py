"""Why a step is not found is said in terms of what its author changed."""

from __future__ import annotations

import html
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dask
import pytest
from click.testing import CliRunner
from dask import bag

from cachingclient import DiracClient
from cachingclient.cli.main import cli
from cachingclient.plan.changes import Made, code_changes

BEFORE = """
import math
CUT = 30
SHIFT = 0.5
NAMES = ["pt", "eta"]
def passes(pt): return pt > CUT
def shift(value): return value + SHIFT
class Window:
    def __init__(self, low): self.low = low
    def has(self, value): return value > self.low
def load(number): return [number * 10, number * 40, 50 * len(NAMES)]
def select(values, factor, scale=1.0): return [v for v in values if passes(shift(v) * factor * scale)]
def fill(values, bins, window=None):
    limits = Window(3)
    return [int(v) // bins for v in values if limits.has(v)]
"""


def module(source: str) -> Any:
    """A user's module with this text."""
    made = types.ModuleType("cuts")
    exec(compile(source, "cuts.py", "exec"), made.__dict__)
    return made


def graph(
    source: str, factor: int = 1, *, bins: Any = 50, scale: float = 1.0, numbers: tuple[int, ...] = (1, 2)
) -> Any:
    """Three steps of that module for each number."""
    cuts = module(source)
    filled = []
    for number in numbers:
        loaded = dask.delayed(cuts.load)(number, dask_key_name=f"load-{number}")
        selected = dask.delayed(cuts.select)(loaded, factor, scale=scale, dask_key_name=f"select-{number}")
        filled.append(dask.delayed(cuts.fill)(selected, bins=bins, dask_key_name=f"fill-{number}"))
    return dask.delayed(list)(filled, dask_key_name="list-all")


def text(old: str, new: str) -> dict[str, Any]:
    """The arguments of an edited graph: the source with a text replaced."""
    assert old in BEFORE
    return {"source": BEFORE.replace(old, new)}


BODIES = {
    name: f"the body of cuts.{name} changed (cuts.py:{line})"
    for name, line in {"passes": 6, "shift": 7, "Window.has": 10, "load": 11, "select": 12, "fill": 13}.items()
}
FROM_SELECT = "select before it runs again: "
EDITS: dict[str, tuple[dict[str, Any], str, str]] = {
    "a cut": (text("CUT = 30", "CUT = 25"), "select-1", "CUT in cuts.py changed: 30 -> 25"),
    "another cut": (
        text("SHIFT = 0.5", "SHIFT = 0.25"),
        "select-2",
        "SHIFT in cuts.py changed: 0.5 -> 0.25",
    ),
    "a list of names": (text('"eta"', '"phi"'), "load-1", "NAMES in cuts.py changed: ['pt', 'eta'] -> ['pt', 'phi']"),
    "a comparison in a helper": (text("pt > CUT", "pt >= CUT"), "select-1", BODIES["passes"]),
    "an operator in a helper": (text("value + SHIFT", "value - SHIFT"), "select-1", BODIES["shift"]),
    "the body of a step": (text("number * 40", "number * 41"), "load-2", BODIES["load"]),
    "a default": (text("window=None", "window=3"), "fill-1", "the default of window in cuts.fill changed: None -> 3"),
    "a method": (text("value > self.low", "value >= self.low"), "fill-1", BODIES["Window.has"]),
    "a bin": ({"bins": 25}, "fill-2", "bins changed: 50 -> 25"),
    "a factor": ({"factor": 2}, "select-1", "argument 2 changed: 1 -> 2"),
    "a scale": ({"scale": 1.5}, "select-2", "scale changed: 1.0 -> 1.5"),
    "a cut, seen from the next step": (
        text("CUT = 30", "CUT = 25"),
        "fill-1",
        f"{FROM_SELECT}CUT in cuts.py changed: 30 -> 25",
    ),
    "a factor, seen from the next step": ({"factor": 2}, "fill-2", f"{FROM_SELECT}argument 2 changed: 1 -> 2"),
    "the first step, seen from the last but one": (
        text("number * 40", "number * 41"),
        "fill-1",
        f"load before it runs again: {BODIES['load']}",
    ),
    "a library that is new": (
        text("number * 10", "math.floor(number * 10)"),
        "load-1",
        f"{BODIES['load']}; it now uses python {sys.version_info.major}.{sys.version_info.minor}",
    ),
    "a function of another library": (
        {"source": BEFORE.replace("import math", "import json").replace("number * 10", "json.loads('10') * number")},
        "load-1",
        f"{BODIES['load']}; it now uses python {sys.version_info.major}.{sys.version_info.minor}",
    ),
    "an order of operations": (
        text("shift(v) * factor", "shift(v * factor)"),
        "select-1",
        BODIES["select"],
    ),
    "a filter left out": (
        text(" if limits.has(v)", ""),
        "fill-1",
        BODIES["fill"],
    ),
    "a limit inside a step": (text("Window(3)", "Window(4)"), "fill-1", BODIES["fill"]),
    "a flag for a number": (
        text("CUT = 30", "CUT = True"),
        "select-1",
        "CUT in cuts.py changed: 30 -> True",
    ),
    "a number for nothing": (
        text("SHIFT = 0.5", "SHIFT = 0"),
        "select-2",
        "SHIFT in cuts.py changed: 0.5 -> 0",
    ),
    "a text for a number": ({"bins": "many"}, "fill-1", "bins changed: 50 -> 'many'"),
    "a list for a number": ({"bins": [1, 2]}, "fill-1", "bins changed: 50 -> [1, 2]"),
    "a larger number": ({"factor": 10**6}, "select-2", "argument 2 changed: 1 -> 1000000"),
    "a negative number": ({"scale": -1.0}, "select-1", "scale changed: 1.0 -> -1.0"),
    "two edits at once": (
        {**text("CUT = 30", "CUT = 25"), "factor": 3},
        "select-1",
        "CUT in cuts.py changed: 30 -> 25; argument 2 changed: 1 -> 3",
    ),
    "two cuts at once": (
        {"source": BEFORE.replace("CUT = 30", "CUT = 25").replace("SHIFT = 0.5", "SHIFT = 1.5")},
        "select-2",
        "CUT in cuts.py changed: 30 -> 25; SHIFT in cuts.py changed: 0.5 -> 1.5",
    ),
    "a bin, where the cut changed as well": (
        {**text("CUT = 30", "CUT = 25"), "bins": 10},
        "fill-1",
        f"{FROM_SELECT}CUT in cuts.py changed: 30 -> 25; bins changed: 50 -> 10",
    ),
}


@pytest.mark.parametrize("edit", EDITS)
def test_the_edited_part_is_named_and_no_other(client: DiracClient, edit: str) -> None:
    """After edits and back, a step is compared with the nearest result of its place, and all that is told is true."""
    changes, key, told = EDITS[edit]
    for source in (BEFORE, BEFORE.replace("CUT = 30", "CUT = 99").replace("number * 10", "number * 12")):
        client.compute(graph(source)).result()
        client.flush()
    edited = graph(**{"source": BEFORE, **changes})
    assert client.explain(key, client.plan(edited)) == f"missed because {told}"


def test_what_ran_is_explained_afterwards(client: DiracClient) -> None:
    """By what was kept of it."""
    for source in (BEFORE, BEFORE.replace("CUT = 30", "CUT = 25")):
        client.compute(graph(source)).result()
        client.flush()
    assert client.explain("select-1") == "missed because CUT in cuts.py changed: 30 -> 25"


def test_all_of_a_plan_is_explained_once_a_reason(client: DiracClient) -> None:
    """The edited part is told with the steps that it is in, and those that follow name them; also by a glob."""
    client.compute(graph(BEFORE)).result()
    client.flush()
    edited = graph(**text("CUT = 30", "CUT = 25"))
    cut = "CUT in cuts.py changed: 30 -> 25"
    told = f"{cut}: select (2 steps) runs, and what follows: fill (2 steps), list-all"
    assert client.explain(edited) == told
    plan = client.plan(edited)
    assert client.explain(plan) == told
    assert client.explain("sel*", plan) == f"{cut}: select (2 steps) runs"
    assert client.explain("fill", plan) == f"{cut}: fill (2 steps) follows"
    for shown in (str(plan), plan._repr_html_()):
        assert "runs because" in shown
        assert html.unescape(shown).count(cut) == 1
        assert "follows select" in shown
    with pytest.raises(ValueError, match="what is 'merge'"):
        client.explain("merge", plan)
    client.compute(edited).result()
    assert "ran because" in str(client.report)
    assert cut in str(client.report)
    assert client.report.to_dict()["because"]["fill"] == "follows select"
    assert client.explain(edited) == "no step runs"


def test_a_table_names_what_changed_of_many_variations(client: DiracClient) -> None:
    """Only a few of many steps are compared; where these differ in their reasons, the others hide none of them."""
    cuts = module(BEFORE)

    def varied(size: int) -> Any:
        of_all = [(number, sign * size) for number in range(20) for sign in (1, -1)]
        return dask.delayed(list)([dask.delayed(cuts.select)([number], factor) for number, factor in of_all])

    client.compute(varied(2)).result()
    client.flush()
    told = str(client.plan(varied(3)))
    assert "argument 2 changed: " in told
    assert "more reasons" in told
    assert "compared" not in told


BAG = {
    "a helper": (text("value + SHIFT", "value - SHIFT"), 10, BODIES["shift"]),
    "a variable of it": (text("SHIFT = 0.5", "SHIFT = 0.25"), 10, "SHIFT in cuts.py changed: 0.5 -> 0.25"),
    "the data": ({"source": BEFORE}, 12, "an argument inside it is another"),
}


@pytest.mark.parametrize("edit", BAG)
def test_of_a_fused_task_the_function_that_was_handed_on_is_named(client: DiracClient, edit: str) -> None:
    """`map` of a bag hands a function to one of dask's: its code is told like any other, and not if it is the same."""
    edited, length, reason = BAG[edit]
    for source in (BEFORE.replace("SHIFT = 0.5", "SHIFT = 9"), BEFORE):  # the first is one version older
        client.gather(client.compute(bag.from_sequence(range(10), npartitions=1).map(module(source).shift)))
        client.flush()
    now = bag.from_sequence(range(length), npartitions=1).map(module(edited["source"]).shift)
    assert client.explain(now).startswith(f"{reason}: from_sequence-shift runs")


def test_a_future_is_explained(client: DiracClient) -> None:
    """As by its key."""
    cuts = module(BEFORE)
    client.submit(cuts.load, 1).result()
    future = client.submit(cuts.load, 2)
    future.result()
    assert client.explain(future) == client.explain(future.key) == "missed because argument 1 changed: 1 -> 2"


def test_a_first_run_has_nothing_before_it(client: DiracClient) -> None:
    """It says so."""
    assert client.explain("select-1", client.plan(graph(BEFORE))).startswith("no other result")
    with pytest.raises(ValueError, match="none of this client's reports"):
        client.explain("unknown")


def test_packages_are_named_by_their_versions() -> None:
    """An upgrade, a new library and one that is no longer used."""
    before = Made("fill", "01", (), {"package numpy 2.3": "a", "package hist 2.8": "b"})
    now = Made("fill", "02", (), {"package numpy 2.4": "c", "package scipy 1.1": "d"})
    assert sorted(code_changes(before, now)) == [
        "it no longer uses hist",
        "it now uses scipy 1.1",
        "numpy changed from 2.3 to 2.4",
    ]


def test_cachectl_explains_an_entry(
    make_client: Callable[..., DiracClient], cache_folder: Path, store_url: str
) -> None:
    """By the key that a report or a listing shows."""
    first = make_client()
    first.compute(graph(BEFORE)).result()
    first.close()
    client = make_client()
    client.compute(graph(BEFORE.replace("CUT = 30", "CUT = 20"))).result()
    client.flush()
    key = client.reports[-1].plan.steps["select-1"].step_key
    answer = CliRunner().invoke(cli, ["explain", str(key), "--store", store_url])
    assert answer.exit_code == 0, answer.output
    assert "CUT in cuts.py changed" in answer.output
