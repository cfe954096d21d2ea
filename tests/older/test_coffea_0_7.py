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

pytestmark = pytest.mark.matrix


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


STEPS = """
import json, sys
import awkward as ak
from coffea import processor
from coffea.nanoevents import NanoAODSchema
from cachingclient import DiracClient, step
import cuts

@step
def select(events):
    return ak.zip({"pt": events.Jet.pt[events.Jet.pt > cuts.LEAST]})

@step
def scale(jets):
    with open("scale.json") as file:
        return ak.sum(jets.pt * json.load(file), axis=1)

class Analysis(processor.ProcessorABC):
    def process(self, events):
        scaled = scale(select(events))
        return {"sum": float(ak.sum(scaled)) + int(sys.argv[1])}

    def postprocess(self, accumulator):
        return accumulator

if __name__ == "__main__":
    with DiracClient(n_workers=1, threads_per_worker=1, dashboard_address=None) as client:
        run = processor.Runner(processor.DaskExecutor(client=client, status=False), schema=NanoAODSchema, chunksize=30)
        with client.reporting() as report:
            out = run({"ttbar": ["events.root"]}, "Events", Analysis())
        rows = {row.name: row.ran for row in report.summary().rows}
        print(json.dumps({"sum": out["sum"], **{name: rows.get(name, 0) for name in ("Analysis", "select", "scale")}}))
"""


def test_steps_are_found_that_are_given_events(run_in: Callable[..., str], tmp_path: Path) -> None:
    """Awkward 1 reads events when needed, and a step that reads some is kept; so is one that is given its result."""
    write_events(tmp_path / "events.root", 1)
    (tmp_path / "main.py").write_text(STEPS)
    (tmp_path / "cuts.py").write_text("LEAST = 30")
    (tmp_path / "scale.json").write_text("2.0")

    def run(constant: int) -> dict[str, float]:
        counts: dict[str, float] = json.loads(run_in("coffea-0.7", "main.py", str(constant)).splitlines()[-1])
        return counts

    first = run(0)
    assert (first["Analysis"], first["select"], first["scale"]) == (2, 2, 2)
    other = run(1)
    assert other == {"sum": first["sum"] + 2, "Analysis": 2, "select": 0, "scale": 0}
    (tmp_path / "scale.json").write_text("3.0")
    scaled = run(1)
    assert scaled["sum"] == pytest.approx(1.5 * first["sum"] + 2)
    assert (scaled["select"], scaled["scale"]) == (0, 2)
    (tmp_path / "cuts.py").write_text("LEAST = 50")
    cut = run(1)
    assert cut["sum"] < scaled["sum"]
    assert (cut["select"], cut["scale"]) == (2, 2)


WIDE = """
import numpy as np
import awkward as ak
from cachingclient.hashing.errors import Unidentifiable
from cachingclient.hashing.identify import identify

def lazily(columns, read):
    def make(name):
        read.append(name)
        return ak.Array([1.0, 2.0])
    return ak.zip({f"x{i}": ak.virtual(make, args=(i,), length=2) for i in range(columns)}, depth_limit=1)

for columns in (3, 40):
    read = []
    array = lazily(columns, read)
    try:
        same = identify(array).digest == identify(lazily(columns, [])).digest
    except Unidentifiable as error:
        same = str(error.reason)
    print(len(read), same)
"""


def test_wide_events_are_not_read_for_a_look(run_in: Callable[..., str]) -> None:
    """A few columns are known by content; where there are many, a step is not kept and says what to give it."""
    few, many = run_in("coffea-0.7", "-c", WIDE).splitlines()
    assert few == "3 True"
    assert many.startswith("0 ")
    assert many.endswith(
        "an array of awkward 1 with 40 columns that are read when needed; give those needed, by ak.zip"
    )
