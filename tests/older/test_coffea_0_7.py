"""coffea 0.7 on today's dask, as the Analysis Grand Challenge pins it: its runs are found again."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.coffea.conftest import write_events

MAIN = """
import json, sys
import awkward as ak
from coffea import processor
from coffea.nanoevents import NanoAODSchema
from cachingclient import DiracClient

CUT = float(sys.argv[1])

class Analysis(processor.ProcessorABC):
    def process(self, events):
        return {"count": int(ak.sum(events.Jet.pt > CUT)), "events": len(events)}

    def postprocess(self, accumulator):
        return accumulator

if __name__ == "__main__":
    with DiracClient(n_workers=1, threads_per_worker=1, dashboard_address=None) as client:
        executor = processor.DaskExecutor(client=client, status=False)
        run = processor.Runner(executor=executor, schema=NanoAODSchema, chunksize=30)
        with client.reporting() as report:
            out = run({"ttbar": ["events.root"]}, "Events", Analysis())
        rows = {row.name: row.ran for row in report.summary().rows}
        print(json.dumps({"count": int(out["count"]), "events": int(out["events"]), "ran": rows.get("Analysis", 0)}))
"""

pytestmark = pytest.mark.slow


def test_a_second_run_processes_nothing(run_in: Callable[..., str], tmp_path: Path) -> None:
    """The same processor finds its chunks in another process, one with another cut runs."""
    write_events(tmp_path / "events.root", 1)
    (tmp_path / "main.py").write_text(MAIN)
    first, again, other = (
        json.loads(run_in("coffea-0.7", "main.py", cut).splitlines()[-1]) for cut in ("30", "30", "50")
    )
    assert (first["events"], first["ran"]) == (60, 2)
    assert again == first | {"ran": 0}
    assert other["ran"] == 2
    assert 0 < other["count"] < first["count"]
