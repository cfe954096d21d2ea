"""The last release of dask that dask-awkward runs on: histograms filled lazily."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

HISTOGRAMS = """
import json, sys
import awkward as ak, hist, hist.dask, numpy as np, uproot
from cachingclient import DiracClient

CUT = float(sys.argv[1])

def chosen(events):
    return events.Jet_pt[events.Jet_pt > CUT]

if __name__ == "__main__":
    with DiracClient(n_workers=1, threads_per_worker=1, dashboard_address=None) as client:
        events = uproot.dask({"events.root": "Events"}, steps_per_file=3)
        filled = hist.dask.Hist(hist.axis.Regular(20, 0, 200, name="pt"))
        filled.fill(ak.flatten(chosen(events)))
        values = filled.compute().values().tolist()
        total = client.report.to_dict()["total"]
        print(json.dumps({"ran": total["ran"], "loaded": total["loaded"], "values": values}))
"""
EVENTS = """
import awkward as ak, numpy as np, uproot
rng = np.random.default_rng(1)
jets = ak.unflatten(ak.zip({"pt": rng.exponential(40, 300)}), np.full(100, 3))
with uproot.recreate("events.root") as file:
    file.mktree("Events", {"Jet": ak.type(jets).content}).extend({"Jet": jets})
"""

pytestmark = pytest.mark.slow


def test_histograms_filled_by_dask_awkward_are_found_by_another_process(
    run_in: Callable[..., str], tmp_path: Path
) -> None:
    """The keys of dask-awkward's tasks and what repacks their arguments are random, yet the work is known."""
    (tmp_path / "main.py").write_text(HISTOGRAMS)
    run_in("dask-awkward", "-c", EVENTS)
    first, again, other = (
        json.loads(run_in("dask-awkward", "main.py", cut).splitlines()[-1]) for cut in ("30", "30", "50")
    )
    assert first["ran"] == 4
    assert again == {"ran": 0, "loaded": 1, "values": first["values"]}
    assert other["ran"] == 4
    assert sum(other["values"]) < sum(first["values"])
