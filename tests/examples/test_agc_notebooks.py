"""The example's notebooks: they run from top to bottom, and their edits run what they can have changed."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("nbclient", reason="notebooks need nbclient: pip install 'cachingclient[notebook]'")
pytest.importorskip("cabinetry", reason="the fit needs cabinetry: pip install 'cachingclient[notebook]'")

import nbformat
from render import executed, page, written

SCALE = 0.1
PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(autouse=True)
def _small_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything is kept: at this scale little would be worth it."""
    monkeypatch.setenv("DASK_CACHINGCLIENT__POLICY", "all")


COUNTS = """
import json
rows = {name: report.summary().rows for name, report in reports.items()}
print(json.dumps({name: {row.name: [row.ran, row.cut_off] for row in found} for name, found in rows.items()}))
"""


def shown(cell: Any) -> str:
    """What a cell printed or showed as text."""
    return "".join(output.get("text") or output.get("data", {}).get("text/plain", "") for output in cell.outputs)


@pytest.mark.slow
def test_edits_of_the_analysis_run_what_they_reach(tmp_path: Path) -> None:
    """Each edited cell runs its step and those after it; the fit finds the cross-section; the page has all pictures."""
    notebook = written("ttbar")
    notebook.cells.append(nbformat.v4.new_code_cell(COUNTS))
    executed(notebook, SCALE)
    counts = json.loads(shown(notebook.cells.pop()))

    def ran(run: str) -> set[str]:
        return {step for step, (ran, _) in counts[run].items() if ran} - {"lambda", "get_metadata", "reduce"}

    assert ran("again") == set()
    assert ran("binning") == {"Ttbar"}
    assert ran("variation") == {"Ttbar", "observe", "scale", "assign"}
    assert counts["variation"]["observe"][0] < counts["variation"]["observe"][1]
    assert ran("observable") == {"Ttbar", "observe"}
    assert ran("selection") == {"Ttbar", "observe", "scale", "smear", "assign", "select"}
    [fitted] = [cell for cell in notebook.cells if "cross_section(result)" in cell.source]
    assert 0.7 < float(re.findall(r"[0-9.]+", shown(fitted))[0]) < 1.3
    pictures = re.findall(r"!\[\]\((.*)\)", page("ttbar", notebook, tmp_path).read_text())
    assert len(pictures) == 9
    assert all((tmp_path / name).read_bytes().startswith(PNG) for name in pictures)


@pytest.mark.matrix
def test_a_shared_cache_is_shared() -> None:
    """What Alice ran neither Bob nor Carol runs; of more data only its own is run."""
    outputs = [shown(cell) for cell in executed(written("shared"), SCALE).cells if cell.cell_type == "code"]
    told = [re.search(r"^([0-9]+) of ([0-9]+) steps", text, re.MULTILINE) for text in outputs]
    ran = [int(found[1]) / int(found[2]) for found in told if found]
    alice, planned, more, bob, carol = ran
    assert alice == 1
    assert planned == bob == carol == 0
    assert 0 < more < 1
