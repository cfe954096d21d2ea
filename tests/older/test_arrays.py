"""The ttbar example as arrays of dask-awkward: the histograms of the delayed graph, and found again."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.older.conftest import environment

ROOT = Path(__file__).resolve().parents[2]
AGC = ROOT / "examples" / "agc"
sys.path[:0] = [str(AGC), str(ROOT / "benchmarks" / "agc")]

import dask  # noqa: E402 - the example is no package: its folder is put on the path first
from assembly import build  # noqa: E402
from edits import EDITS, edited  # noqa: E402
from generator.make_data import make_data  # noqa: E402
from phase import Phase, run  # noqa: E402
from run import same  # noqa: E402
from samples import read_samples  # noqa: E402

pytestmark = pytest.mark.matrix


def test_arrays_of_dask_awkward_are_found_until_an_edit(tmp_path: Path, store_url: str) -> None:
    """Cold and warm give the graph's bits, and warm runs nothing; an edit runs its step and what follows."""
    manifest = make_data(tmp_path / "samples", scale=0.01)
    python = str(environment("dask-awkward"))
    order = Phase("", str(AGC), str(manifest), store_url, "all", workers=1, front="dask-awkward", python=python)
    wanted = dask.compute(build(read_samples(manifest)), scheduler="sync")[0]
    cold, warm = run(order), run(order)
    assert same(cold.histograms, wanted)
    assert same(warm.histograms, wanted)
    assert warm.counts["ran"] == 0
    binning, cut = (next(edit for edit in EDITS if edit.name == name) for name in ("plotting range", "selection"))
    ran = {}
    for edit in (binning, cut):
        again = run(replace(order, code=str(edited(edit, tmp_path / edit.name))))
        ran[edit.name] = again.counts["ran"]
        assert not same(again.histograms, wanted)
    assert 0 < ran["plotting range"] < ran["selection"] <= cold.counts["ran"]
