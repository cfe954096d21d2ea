"""Distributed RDataFrames of ROOT: found again by another process, until what they compute is edited."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.coffea.conftest import write_events
from tests.older.root_files import EVENTS
from tests.older.test_coffea_0_7 import MAIN as PROCESSOR

RunIn = Callable[..., str]
ANALYSIS = """
import json, os, sys
import ROOT
from cachingclient import DiracClient

CUT = "pt > 40"
CODE = "double scaled(double x) { return 2 * x; }"
FILES = ["one.root", "two.root"]

def declare():
    ROOT.RDF.Distributed.DistributeCppCode(CODE)

def book(frame):
    passed = frame.Define("double_pt", "scaled(pt)").Filter(CUT, "cut")
    booked = [passed.Histo1D(("h", "pt", 20, 0.0, 400.0), "double_pt"), passed.Count(), passed.Mean("eta")]
    # another histogram
    return booked

def read(value):
    if hasattr(value, "GetNbinsX"):
        return [value.GetBinContent(i) for i in range(value.GetNbinsX() + 2)] + [value.GetMean(), value.GetEntries()]
    return [float(value)]

if __name__ == "__main__":
    files = [os.path.abspath(name) for name in FILES]
    declare()
    plain = [read(each.GetValue()) for each in book(ROOT.RDataFrame("Events", files))]
    with DiracClient(n_workers=1, threads_per_worker=1, dashboard_address=None) as client:
        with client.reporting() as report:
            frame = ROOT.RDataFrame("Events", files, executor=client, npartitions=2 * len(files))
            cached = [read(each.GetValue()) for each in book(frame)]
        rows = {row.name: row.ran for row in report.summary().rows}
        print()
        steps = [step for report in client.reports for step in report.plan.steps.values()]
        reasons = {step.reason for step in steps} | {each.note for each in report.records}
        print(json.dumps({
            "equals plain": cached == plain,
            "results": cached,
            "mappers": rows.get("dask_mapper", 0),
            "ran": report.summary().total.ran,
            "reasons": sorted(reasons - {""}),
        }))
"""

pytestmark = pytest.mark.matrix


@pytest.fixture
def analyse(run_in: RunIn, tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Run the analysis, with some texts edited, in a process of its own; gives what it says."""
    run_in("root", "-c", EVENTS, "one.root", "two.root", "three.root")

    def run(*edits: tuple[str, str]) -> dict[str, Any]:
        text = ANALYSIS
        for old, new in edits:
            assert old in text
            text = text.replace(old, new)
        (tmp_path / "main.py").write_text(text)
        told: dict[str, Any] = json.loads(run_in("root", "main.py").splitlines()[-1])
        assert told["equals plain"], told
        return told

    return run


def test_the_same_analysis_runs_nothing_and_an_edit_runs_its_mappers(analyse: Callable[..., dict[str, Any]]) -> None:
    """Results equal plain ROOT's each time; another filter and other C++ are edits.

    Each file has two ranges, and the steps that merge change one of their arguments: they are kept all the same.
    """
    first = analyse()
    assert (first["mappers"], first["reasons"]) == (4, [])
    again = analyse()
    assert again == first | {"mappers": 0, "ran": 0}
    for edit in (("pt > 40", "pt > 80"), ("return 2 * x", "return 3 * x")):
        edited = analyse(edit)
        assert edited["mappers"] == 4, edit
        assert edited["results"] != first["results"]
    assert analyse() == again


def test_each_kind_of_edit_of_the_page_runs_the_mappers(analyse: Callable[..., dict[str, Any]]) -> None:
    """A definition, a model, another histogram and another variation: each is another graph."""
    analyse()
    for edit in (
        ("scaled(pt)", "scaled(pt) + 1"),
        ("20, 0.0, 400.0", "10, 0.0, 400.0"),
        ("# another histogram", "booked.append(passed.Histo1D(('e', 'eta', 8, -2.0, 2.0), 'eta'))"),
        ("frame.Define(", "frame.Vary('pt', 'ROOT::RVecD{0.9 * pt, 1.1 * pt}', ['down', 'up']).Define("),
    ):
        assert analyse(edit)["mappers"] == 4, edit
        assert analyse(edit)["ran"] == 0, edit


def test_coffea_and_root_share_a_store(analyse: Callable[..., dict[str, Any]], run_in: RunIn, tmp_path: Path) -> None:
    """Each finds its own results there again."""
    write_events(tmp_path / "events.root", 1)
    (tmp_path / "processor.py").write_text(PROCESSOR)

    def process() -> dict[str, Any]:
        told: dict[str, Any] = json.loads(run_in("coffea-0.7", "processor.py", "30").splitlines()[-1])
        return told

    first = analyse(), process()
    assert (first[0]["mappers"], first[1]["ran"]) == (4, 2)
    assert (analyse(), process()) == (first[0] | {"mappers": 0, "ran": 0}, first[1] | {"ran": 0})


def test_a_file_added_runs_its_mapper_alone(analyse: Callable[..., dict[str, Any]]) -> None:
    """The ranges of the other files are found, and what was merged into them is not in what was kept."""
    analyse()
    added = analyse(('"two.root"]', '"two.root", "three.root"]'))
    assert added["mappers"] == 2
    assert analyse()["ran"] == 0


def test_code_that_reads_a_file_or_the_environment(analyse: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    """A file that C++ names counts by its content; variables, random numbers and files without a name are not kept."""
    factor = tmp_path / "factor.txt"
    factor.write_text("2")
    reads = "static double f = [] { double v; std::ifstream(NAME) >> v; return v; }(); return f * x;"

    def code(body: str) -> tuple[str, str]:
        text = "#include <fstream>\ndouble scaled(double x) { " + body + " }"
        return '"double scaled(double x) { return 2 * x; }"', repr(text)

    named = code(reads.replace("NAME", '"factor.txt"'))
    first = analyse(named)
    assert (first["mappers"], first["reasons"]) == (4, [])
    assert analyse(named)["ran"] == 0
    factor.write_text("3")
    edited = analyse(named)
    assert edited["mappers"] == 4
    assert edited["results"] != first["results"]
    for body, why in (
        (reads.replace("NAME", 'std::string("factor") + ".txt"'), "ifstream on files that no text of it names"),
        ('return getenv("HOME") ? 2 * x : x;', "getenv"),
        ("return gRandom ? 2 * x : x;", "gRandom"),
    ):
        for _ in range(2):
            told = analyse(code(body))
            assert told["mappers"] == 4
            assert any(why in reason for reason in told["reasons"])


def test_the_documented_example_runs(run_in: RunIn, tmp_path: Path) -> None:
    """The page's script prints the same twice, and runs nothing the second time."""
    page = (Path(__file__).parents[2] / "docs" / "root.md").read_text()
    (text,) = re.findall(r"^```python notest\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    (tmp_path / "main.py").write_text(text)
    first, again = (run_in("root", "main.py") for _ in range(2))
    assert re.search(r"\d of \d steps ran", first)
    assert re.search(r" 0 of \d steps ran", again.replace("\n", " "))
