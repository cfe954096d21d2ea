"""Edits of an analyst's own files between two sessions: what they reach runs, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

MAIN = """
import json, sys, warnings
from coffea import processor
from coffea.nanoevents import NanoAODSchema
from cachingclient import DiracClient

warnings.simplefilter("ignore", RuntimeWarning)
import analysis

if __name__ == "__main__":
    log, *files = sys.argv[1:]
    data = {"ttbar": {"files": {file: "Events" for file in files}, "metadata": {"log": log}}}
    with DiracClient(n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None) as client:
        executor = processor.DaskExecutor(client=client, status=False)
        run = processor.Runner(executor=executor, schema=NanoAODSchema, chunksize=30)
        with client.reporting() as report:
            result = run(data, processor_instance=analysis.Analysis())
        print(json.dumps(result | {"because": report.to_dict()["because"]}))
"""

ANALYSIS = """
import awkward as ak
from coffea import processor
from selection import good

CUT = 30
LABEL = "unused"


class Analysis(processor.ProcessorABC):
    def process(self, events):
        with open(events.metadata["log"], "a") as log:
            log.write("process\\n")
        return {"count": int(ak.sum(good(events.Jet.pt, CUT)))}

    def postprocess(self, accumulator):
        return accumulator
"""

SELECTION = """
def good(pt, cut):
    return pt > cut


def unused():
    return 1
"""

EDITS = (
    ("nothing", "analysis.py", "", "", ""),
    ("a comment and a moved line", "analysis.py", "CUT = 30\n", "# in GeV\n\nCUT = 30\n", ""),
    ("an unused constant", "analysis.py", '"unused"', '"other"', ""),
    ("an unused helper", "selection.py", "return 1", "return 2", ""),
    ("a module constant", "analysis.py", "CUT = 30", "CUT = 50", "CUT in analysis.py changed: 30 -> 50"),
    (
        "a helper in another file",
        "selection.py",
        "pt > cut",
        "pt > cut + 20",
        "the body of selection.good changed (selection.py:2)",
    ),
    (
        "the processor",
        "analysis.py",
        '"count": int(',
        '"count": 2 * int(',
        "the body of analysis.Analysis.process changed",
    ),
)


def test_edits_run_what_they_reach(run_program: Callable[..., str], two_files: list[Path], tmp_path: Path) -> None:
    """Each edit is made, run in a process of its own, and taken back; the report names it."""
    sources = {"main.py": MAIN, "analysis.py": ANALYSIS, "selection.py": SELECTION}
    log = tmp_path / "log"
    arguments = [str(log), *map(str, two_files)]

    def session() -> tuple[int, int, str]:
        log.write_text("")
        told = json.loads(run_program("main.py", *arguments).splitlines()[-1])
        return told["count"], len(log.read_text().splitlines()), "; ".join(told["because"].values())

    for name, text in sources.items():
        (tmp_path / name).write_text(text)
    first, processed, _ = session()
    assert processed == 4
    for edit, file, old, new, named in EDITS:
        (tmp_path / file).write_text(sources[file].replace(old, new, 1))
        count, processed, because = session()
        (tmp_path / file).write_text(sources[file])
        assert processed == (4 if named else 0), edit
        assert (count == first) == (not named), edit
        assert named in because, edit


REMEMBERED = """
import functools, json
from pathlib import Path


@functools.cache
def thresholds():
    return json.loads((Path(__file__).parent / "thresholds.json").read_text())


def good(pt, cut):
    return pt > thresholds()["pt"]
"""


def test_a_file_that_the_first_chunk_reads_counts_for_all(
    run_program: Callable[..., str], two_files: list[Path], tmp_path: Path
) -> None:
    """Chunks that take what an earlier one of their worker read, by `functools.cache`, run again after its edit."""
    log, thresholds = tmp_path / "log", tmp_path / "thresholds.json"
    for name, text in {"main.py": MAIN, "analysis.py": ANALYSIS, "selection.py": REMEMBERED}.items():
        (tmp_path / name).write_text(text)

    def session(threshold: int, cut: str) -> tuple[int, int]:
        thresholds.write_text(json.dumps({"pt": threshold}))
        (tmp_path / "analysis.py").write_text(ANALYSIS.replace("CUT = 30", cut))
        log.write_text("")
        told = json.loads(run_program("main.py", str(log), *map(str, two_files)).splitlines()[-1])
        return told["count"], len(log.read_text().splitlines())

    first, processed = session(30, "CUT = 30")
    assert processed == 4
    edited, processed = session(60, "CUT = 30")
    assert processed == 4
    assert edited == session(60, "CUT = 31")[0] < first  # where all chunks run for another reason
    assert session(30, "CUT = 30") == (first, 0)
