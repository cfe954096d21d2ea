"""Distributed RDataFrames of ROOT: every kind of operation, snapshots and headers."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.older.root_files import EVENTS

RunIn = Callable[..., str]

pytestmark = pytest.mark.slow


SNAPSHOT = """
import os, ROOT
from cachingclient import DiracClient

if __name__ == "__main__":
    files = [os.path.abspath("one.root")]
    with DiracClient(n_workers=1, threads_per_worker=1, dashboard_address=None) as client:
        frame = ROOT.RDataFrame("Events", files, executor=client, npartitions=2)
        selected = frame.Filter("pt > 200").Snapshot("Selected", os.path.abspath("selected.root"))
        count = selected.Count()
        ROOT.RDF.Distributed.DistributeCppCode("bool late(double pt) { return pt > 210; }")  # the graph is made already
        later = frame.Filter("late(pt)").Count()
        print(count.GetValue(), later.GetValue())
"""


@pytest.mark.matrix
def test_a_snapshot_that_was_removed_and_code_that_comes_late(run_in: RunIn, tmp_path: Path) -> None:
    """The files of a snapshot are written anew, and C++ may be distributed after a graph was begun."""
    run_in("root", "-c", EVENTS, "one.root")
    (tmp_path / "main.py").write_text(SNAPSHOT)
    first = run_in("root", "main.py").splitlines()[-1]
    written = sorted(tmp_path.glob("selected*.root"))
    assert written
    for each in written:
        each.unlink()
    assert run_in("root", "main.py").splitlines()[-1] == first
    assert sorted(tmp_path.glob("selected*.root")) == written


SESSION = """
import json, os, ROOT
from pathlib import Path
from cachingclient import DiracClient

def declare():
    ROOT.gInterpreter.Declare('#include "' + os.path.abspath("factor.h") + '"')

if __name__ == "__main__":
    header = Path("factor.h")
    header.write_text("#pragma once\\ninline double factor() { return 1; }")
    notes = []
    with DiracClient(n_workers=1, threads_per_worker=1, dashboard_address=None) as client:
        ROOT.RDF.Distributed.initialize(declare)
        for edited in (False, True):
            if edited:
                header.write_text("#pragma once\\ninline double factor() { return 10.0; }")
            with client.reporting() as report:
                frame = ROOT.RDataFrame("Events", [os.path.abspath("one.root")], executor=client, npartitions=2)
                frame.Define("q", "factor() * pt").Sum("q").GetValue()
            rows = report.summary().to_dict()["not_kept"]
            notes.append([row["reason"] for row in rows if row["name"] == "dask_mapper"])
    print("\\n" + json.dumps(notes))
"""


@pytest.mark.matrix
def test_a_worker_that_declared_a_header_keeps_nothing_once_it_was_edited(run_in: RunIn, tmp_path: Path) -> None:
    """Its interpreter goes on with the old text, so the result is not that of the new one."""
    run_in("root", "-c", EVENTS, "one.root")
    (tmp_path / "main.py").write_text(SESSION)
    before, after = json.loads(run_in("root", "main.py").splitlines()[-1])
    assert before == []
    assert any("factor.h changed" in reason and "restart the workers" in reason for reason in after)


KINDS = """
import json, os, sys
import ROOT
from cachingclient import DiracClient

ROOT.gInterpreter.Declare("double hidden(double x) { return x + 1; }")

def declare():
    ROOT.gInterpreter.Declare('#include "' + os.path.abspath("outer.h") + '"')

def vary(frame):
    varied = frame.Vary("pt", "ROOT::RVecD{pt * 0.5, pt * 2}", ["down", "up"]).Filter("pt > 30")
    found = ROOT.RDF.Distributed.VariationsFor(varied.Histo1D(("h", "h", 10, 0.0, 200.0), "pt"))
    return [found[name].Integral() for name in ("nominal", "pt:down", "pt:up")]

def graphs(frame):
    booked = [frame.Filter("pt > 50").Count(), frame.Filter("pt > 60").Sum("pt")]
    ROOT.RDF.Distributed.RunGraphs(booked)
    return [each.GetValue() for each in booked]

def local(frame):
    text = "auto twice = 2 * pt; double root = sqrt(twice); return root > 3 ? root : TMath::Abs(eta);"
    return frame.Define("q", text).Max("q").GetValue()

WORK = {
    "variations": vary,
    "several graphs": graphs,
    "local variables": local,
    "arrays": lambda frame: float(frame.Filter("pt > 100").AsNumpy(["pt"])["pt"].sum()),
    "a model": lambda f: f.Histo2D(ROOT.RDF.TH2DModel("a", "a", 3, 0.0, 99.0, 3, -1.0, 1.0), "pt", "eta").GetMean(),
    "a report": lambda frame: frame.Filter("pt > 20", "cut").Report().GetValue().At("cut").GetPass(),
    "vectors": lambda f: f.Define("q", "ROOT::Math::PtEtaPhiMVector(pt, eta, 0, 1).Pt()").Sum("q").GetValue(),
    "a header": lambda frame: frame.Define("q", "outer(pt)").Sum("q").GetValue(),
    "hidden code": lambda frame: frame.Define("q", "hidden(pt)").Sum("q").GetValue(),
    "random numbers": lambda frame: frame.Define("q", "gRandom->Uniform()").Filter("q >= 0").Count().GetValue(),
    "a snapshot": lambda frame: frame.Filter("pt > 100").Snapshot("T", os.path.abspath("snap.root")).Count().GetValue(),
}

if __name__ == "__main__":
    files, told = [os.path.abspath("one.root")], {}
    with DiracClient(n_workers=1, threads_per_worker=1, dashboard_address=None) as client:
        ROOT.RDF.Distributed.initialize(declare)
        for name, work in WORK.items():
            with client.reporting() as report:
                result = work(ROOT.RDataFrame("Events", files, executor=client, npartitions=2))
            rows = {row.name: row.ran for row in report.summary().rows}
            told[name] = [result, rows.get("dask_mapper", 0)]
    print()
    print(json.dumps(told))
"""
NOT_KEPT = {"hidden code", "random numbers", "a snapshot"}


@pytest.mark.matrix
def test_every_kind_of_operation_is_found_again_or_not_kept(run_in: RunIn, tmp_path: Path) -> None:
    """What has an identity runs once; code that can't be seen, random numbers and files on workers run each time.

    A header counts with the headers that it includes.
    """
    run_in("root", "-c", EVENTS, "one.root")
    (tmp_path / "outer.h").write_text(
        '#pragma once\n#include "inner.h"\ninline double outer(double x) { return inner(x); }'
    )
    inner = tmp_path / "inner.h"
    inner.write_text("#pragma once\ninline double inner(double x) { return x; }")
    (tmp_path / "main.py").write_text(KINDS)

    def run() -> dict[str, list[Any]]:
        told: dict[str, list[Any]] = json.loads(run_in("root", "main.py").splitlines()[-1])
        return told

    first, again = run(), run()
    assert {name: result for name, (result, _) in first.items()} == {
        name: result for name, (result, _) in again.items()
    }
    assert all(mappers >= 1 for _, mappers in first.values())
    assert {name for name, (_, mappers) in again.items() if mappers} == NOT_KEPT
    inner.write_text("#pragma once\ninline double inner(double x) { return 2 * x; }")
    edited = run()
    assert edited["a header"] == [2 * first["a header"][0], 2]
