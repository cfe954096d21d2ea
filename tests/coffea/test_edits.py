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
        print(json.dumps(run(data, processor_instance=analysis.Analysis())))
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
    ("nothing", "analysis.py", "", "", 0),
    ("a comment and a moved line", "analysis.py", "CUT = 30\n", "# in GeV\n\nCUT = 30\n", 0),
    ("an unused constant", "analysis.py", '"unused"', '"other"', 0),
    ("an unused helper", "selection.py", "return 1", "return 2", 0),
    ("a module constant", "analysis.py", "CUT = 30", "CUT = 50", 4),
    ("a helper in another file", "selection.py", "pt > cut", "pt > cut + 20", 4),
    ("the processor", "analysis.py", '"count": int(', '"count": 2 * int(', 4),
)


def test_edits_run_what_they_reach(run_program: Callable[..., str], two_files: list[Path], tmp_path: Path) -> None:
    """Each edit is made, run in a process of its own, and taken back."""
    sources = {"main.py": MAIN, "analysis.py": ANALYSIS, "selection.py": SELECTION}
    log = tmp_path / "log"
    arguments = [str(log), *map(str, two_files)]

    def session() -> tuple[int, int]:
        log.write_text("")
        count: int = json.loads(run_program("main.py", *arguments).splitlines()[-1])["count"]
        return count, len(log.read_text().splitlines())

    for name, text in sources.items():
        (tmp_path / name).write_text(text)
    first, processed = session()
    assert processed == 4
    for edit, file, old, new, expected in EDITS:
        (tmp_path / file).write_text(sources[file].replace(old, new, 1))
        count, processed = session()
        (tmp_path / file).write_text(sources[file])
        assert processed == expected, edit
        assert (count == first) == (expected == 0), edit
