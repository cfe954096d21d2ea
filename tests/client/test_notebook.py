"""The same analysis in a notebook, in the notebook again, and as a script: one set of step keys."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

nbclient = pytest.importorskip("nbclient", reason="notebooks need nbclient: pip install 'cachingclient[test]'")
nbformat = pytest.importorskip("nbformat", reason="notebooks need nbformat: pip install 'cachingclient[test]'")

DEFINITIONS = [
    """
import json
from dataclasses import dataclass
import dask
from dask import delayed
from cachingclient import DiracClient
""",
    """
CUT = 30.0

@dataclass
class Region:
    name: str
    jets: int
""",
    """
def load(chunk):
    return [10.0 * i for i in range(chunk, chunk + 8)]

def select(pts):
    return [pt for pt in pts if pt > CUT]

def observe(pts, region):
    return sum(pts[: region.jets])

def merge(values):
    return {"total": sum(values)}
""",
]
WORK = """
client = DiracClient(n_workers=1, threads_per_worker=1, dashboard_address=None, cache=CACHE, policy="all")
regions = [Region("4j1b", 4), Region("4j2b", 5)]
chunks = [delayed(select)(delayed(load)(i)) for i in range(3)]
total = delayed(merge)([delayed(observe)(chunk, region) for chunk in chunks for region in regions])
result = total.compute()
mapped = client.gather(client.map(observe, [[1.0, 2.0]], region=regions[0]))
client.flush()
counts = [report.to_dict()["total"] for report in client.reports]
client.close()
done = {action: sum(count[action] for count in counts) for action in ("ran", "loaded")}
print(json.dumps({"result": result["total"]} | done))
"""


def run_notebook(folder: Path, cache: str) -> dict[str, Any]:
    """Execute the analysis as a notebook, a cell a definition, in a kernel of its own."""
    cells = [*DEFINITIONS, f"CACHE = {cache!r}", WORK]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    nbclient.NotebookClient(
        notebook, timeout=120, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
    ).execute()
    printed = "".join(output.text for output in notebook.cells[-1].outputs if output.get("name") == "stdout")
    return dict(json.loads(printed.strip().splitlines()[-1]))


def run_script(folder: Path, cache: str) -> dict[str, Any]:
    """Run the analysis as a script."""
    body = "\n".join(f"    {line}" for line in [f"CACHE = {cache!r}", *WORK.splitlines()])
    script = folder / "analysis.py"
    script.write_text("\n".join(DEFINITIONS) + '\nif __name__ == "__main__":\n' + body + "\n")
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=True, cwd=folder)
    return dict(json.loads(done.stdout.strip().splitlines()[-1]))


@pytest.mark.slow
def test_a_notebook_its_rerun_and_a_script_share_all_steps(tmp_path: Path) -> None:
    """What a notebook computed is loaded by the notebook run again and by the same code as a script."""
    cache = (tmp_path / "cache").as_uri()
    first = run_notebook(tmp_path, cache)
    again = run_notebook(tmp_path, cache)
    script = run_script(tmp_path, cache)
    assert first["ran"] > 0
    assert first["loaded"] == 0
    assert again == {"result": first["result"], "ran": 0, "loaded": 2}
    assert script == again
