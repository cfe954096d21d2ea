"""Why a step is not found is said in terms of what its author changed."""

from __future__ import annotations

import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dask
import pytest
from click.testing import CliRunner

from cachingclient import DiracClient
from cachingclient.cli.commands import cli
from cachingclient.explain import Made, differences

BEFORE = """
CUT = 30
def passes(pt): return pt > CUT
def select(values, factor): return [v for v in values if passes(v * factor)]
"""


def module(source: str) -> Any:
    """A user's module with this text."""
    made = types.ModuleType("cuts")
    exec(compile(source, "cuts.py", "exec"), made.__dict__)
    return made


def graph(source: str, factor: int = 1) -> Any:
    """Two steps of that module."""
    cuts = module(source)
    first = dask.delayed(cuts.select)([10, 40, 50], factor, dask_key_name="select-first")
    return dask.delayed(cuts.select)(first, 1, dask_key_name="select-second")


EDITS = {
    "the body of cuts.passes changed": (BEFORE.replace("pt > CUT", "pt >= CUT"), 1, "select-first"),
    "the variable cuts.passes:CUT changed": (BEFORE.replace("CUT = 30", "CUT = 20"), 1, "select-first"),
    "argument 2 is another": (BEFORE, 2, "select-first"),
    "argument 1 comes from a step that changed": (BEFORE, 2, "select-second"),
}


@pytest.mark.parametrize("what", EDITS)
def test_what_changed_is_named(client: DiracClient, what: str) -> None:
    """Before it runs by its plan, afterwards by what was kept, unless that turned out to be there by content."""
    source, factor, key = EDITS[what]
    client.compute(graph(BEFORE)).result()
    client.flush()
    edited = graph(source, factor)
    assert what in client.explain(key, client.plan(edited))
    client.compute(edited).result()
    if key == "select-first":
        assert what in client.explain(key)


def test_a_first_run_has_nothing_before_it(client: DiracClient) -> None:
    """It says so."""
    assert client.explain("select-first", client.plan(graph(BEFORE))).startswith("no other result")
    with pytest.raises(ValueError, match="none of this client's reports"):
        client.explain("unknown")


def test_packages_are_named_by_their_versions() -> None:
    """An upgrade, a new library and one that is no longer used."""
    before = Made("fill", "01", (), {"package numpy 2.3": "a", "package hist 2.8": "b"})
    now = Made("fill", "02", (), {"package numpy 2.4": "c", "package scipy 1.1": "d"})
    assert sorted(differences(before, now)) == [
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
    key = client.reports[-1].plan.steps["select-first"].step_key
    answer = CliRunner().invoke(cli, ["explain", str(key), "--store", store_url])
    assert answer.exit_code == 0, answer.output
    assert "the variable cuts.passes:CUT changed" in answer.output
