"""Runs a corpus: every program in one process, its edit in another with another hash seed.

``python -m tests.corpus`` prints the summary line.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from distributed import LocalCluster

from cachingclient import DiracClient
from tests.corpus.case import Case, write
from tests.corpus.process import run
from tests.corpus.programs import CASES

ROOT = Path(__file__).parents[2]


def outcomes(cases: Sequence[Case], folder: Path) -> dict[str, tuple[dict[str, Any], dict[str, Any]]]:
    """Return what happened before and after each edit."""
    before = _process(cases, folder, "before", 1)
    after = _process(cases, folder, "after", 4242)
    return {case.name: (before[case.name], after[case.name]) for case in cases}


def _process(cases: Sequence[Case], folder: Path, stage: str, seed: int) -> dict[str, Any]:
    for number, case in enumerate(cases):
        write(case.files_before() if stage == "before" else case.files_after(), _home(folder, number))
    indices = {found.name: number for number, found in enumerate(CASES)}
    chosen = [indices[case.name] for case in cases]
    environment = {**os.environ, "PYTHONHASHSEED": str(seed), "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "tests.corpus.run", stage, str(folder), json.dumps(chosen)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"the {stage} process failed:\n{done.stdout[-2000:]}\n{done.stderr[-6000:]}")
    return json.loads((folder / f"{stage}.json").read_text())


def _home(folder: Path, number: int) -> Path:
    return folder / "programs" / f"case{number}"


def faults(case: Case, before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """Return what is wrong: a stale result first of all."""
    found = []
    for stage, seen in (("before", before), ("after", after)):
        if "error" in seen:
            return [f"{stage}: {seen['error']}"]
        if seen["result"] != seen["plain"]:
            found.append(f"STALE {stage}: {seen['result']} instead of {seen['plain']}")
    ran = set(after["ran"]) | set(after["sent"])
    if ran != case.runs:
        found.append(
            f"ran {sorted(ran)} instead of {sorted(case.runs)}; {after['reasons']} {after['notes']} {before['notes']}"
        )
    for name, text in case.reason.items():
        said = [after["reasons"].get(name, ""), *after["notes"]]
        if not any(text in each for each in said):
            found.append(f"{name} is not kept because {said}, not {text!r}")
    if bool(before["warnings"]) != bool(case.warns) or not all(case.warns in text for text in before["warnings"]):
        found.append(f"warns {before['warnings']}, not {case.warns!r}")
    if not case.reason and (unkept := before["notes"] + after["notes"]):
        found.append(f"{unkept}")
    return found


def summary(cases: Sequence[Case], results: dict[str, tuple[dict[str, Any], dict[str, Any]]]) -> tuple[str, list[str]]:
    """Return the summary line, and a line for each fault."""
    wrong = [(case, fault) for case in cases for fault in faults(case, *results[case.name])]
    stale = len({case.name for case, fault in wrong if fault.startswith("STALE")})
    other = len({case.name for case, _ in wrong}) - stale
    steps = sum(len(case.runs) for case in cases)
    line = (
        f"corpus: {len(cases)} programs, each edited and run again in another process: {stale} stale results, "
        f"{other} other faults; {steps} steps had to run again and {sum(not case.runs for case in cases)} programs none"
    )
    return line, [f"{case.name}: {fault}" for case, fault in wrong]


def main(stage: str, folder: str, chosen: list[int]) -> None:
    """Run one stage of the chosen cases and write down what happened."""
    results: dict[str, Any] = {}
    with (
        LocalCluster(n_workers=1, threads_per_worker=1, processes=True, dashboard_address=None) as cluster,
        DiracClient(cluster, cache=f"file://{tempfile.mkdtemp()}", policy="all") as client,
    ):
        for number, index in enumerate(chosen):
            case = CASES[index]
            store = (Path(folder) / "stores" / str(number)).as_uri()
            try:
                style = case.styles[stage == "after"]
                results[case.name] = run(case, _home(Path(folder), number), store, client, style)
            except Exception as error:
                results[case.name] = {"error": f"{type(error).__name__}: {error}"}
    (Path(folder) / f"{stage}.json").write_text(json.dumps(results))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], json.loads(sys.argv[3]))
