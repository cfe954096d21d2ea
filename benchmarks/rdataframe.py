"""What the cache wins on distributed RDataFrames of ROOT: a ttbar-like analysis, run again and edited.

::

    python benchmarks/rdataframe.py
    python benchmarks/rdataframe.py --events 20000

Each run has a process and a cluster of its own, in an environment with ROOT that is made once. The histograms, with all
their variations, are compared with those of the same analysis in plain ROOT, bin by bin.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # the tests' environments are used

from tests.older.environments import NotInstalled, interpreter  # noqa: E402

EDITS = ("filter edited", "histogram added", "variation added")


def call(python: Path, **order: Any) -> str:
    """Run the analysis with an order; gives the last line that it prints."""
    command = [str(python), "-W", "ignore", str(ROOT / "benchmarks" / "_rdataframe_analysis.py"), json.dumps(order)]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return (done.stdout.splitlines() or [""])[-1]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=60_000, help="of each of the six files")
    options = parser.parse_args()
    try:
        python = interpreter("root")
    except NotInstalled as error:
        print(error)
        return 0
    equal = True
    with TemporaryDirectory(prefix="rdataframe-") as temporary:
        folder = Path(temporary)
        call(python, kind="make", folder=temporary, events=options.events)

        def run(kind: str, cache: Path | None = None, edit: str = "") -> dict[str, Any]:
            url = None if cache is None else cache.as_uri()
            found: dict[str, Any] = json.loads(call(python, kind=kind, folder=temporary, cache=url, edit=edit))
            return found

        print("| run | tasks run | s | with dask alone, s | times | processor s | with dask alone | times | equal |")
        print("| --- " * 9 + "|")
        for name in ("cold", "nothing changed", *EDITS):
            edit = name if name in EDITS else ""
            plain, alone = run("plain", edit=edit), run("dask", edit=edit)
            used = folder / "used"
            if name != "cold":  # as it was after the cold run: what the edits before left is not there
                shutil.rmtree(used, ignore_errors=True)
                shutil.copytree(folder / "cold", used)
            cached = run("cached", folder / "cold" if name == "cold" else used, edit)
            same = cached["histograms"] == plain["histograms"] == alone["histograms"]
            equal = equal and same
            figures = [(f"{each['seconds']:.2f}", f"{each['cpu']:.1f}") for each in (cached, alone)]
            (wall, cpu), (wall_alone, cpu_alone) = figures
            wins = [f"{alone[kind] / cached[kind]:.1f}" for kind in ("seconds", "cpu")]
            row = name, str(cached["ran"]), wall, wall_alone, wins[0], cpu, cpu_alone, wins[1], "yes" if same else "NO"
            print(f"| {' | '.join(row)} |", flush=True)
    return 0 if equal else 1


if __name__ == "__main__":
    sys.exit(main())
