"""How often files of events are opened, cold and warm: by audit hooks in all processes, and by strace.

    python benchmarks/opens.py

For the ways of dask-awkward it makes an environment of its own, by uv, as the tests of older releases do.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import awkward as ak
import click
import numpy as np
import uproot
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.older.environments import NotInstalled, interpreter  # noqa: E402

PROGRAM = Path(__file__).with_name("_opens_analysis.py")
HERE = ("coffea's Runner", "run_steps")
ELSEWHERE = ("uproot.dask", "uproot.dask, open_files=False")
SETTLED = 2.5
"""Seconds after which a file is so old that a second change would show in its times."""


def write_files(folder: Path, count: int, entries: int = 3000) -> list[Path]:
    """Write files of events."""
    files = [folder / f"events{number}.root" for number in range(count)]
    for number, path in enumerate(files):
        random = np.random.default_rng(number)
        jets = ak.unflatten(ak.zip({"pt": random.exponential(40, 3 * entries)}), np.full(entries, 3))
        with uproot.recreate(path) as file:
            file.mktree("Events", {"Jet": ak.type(jets).content}).extend({"Jet": jets})
    return files


def run(python: str | Path, way: str, folder: Path, files: list[Path]) -> dict[str, Any]:
    """Run an analysis in a new session; return what was opened, and the result."""
    log, traced = folder / "log", folder / "strace"
    log.unlink(missing_ok=True)
    strace = ["strace", "-f", "-qq", "--seccomp-bpf", "-e", "trace=open,openat,openat2", "-o", str(traced)]
    if shutil.which("strace") is None:
        strace = []
    command = [*strace, str(python), "-W", "ignore", str(PROGRAM), way, str(folder / "store"), str(log)]
    done = subprocess.run(
        [*command, *map(str, files)],
        env=os.environ | {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(done.stdout[-2000:] + done.stderr[-4000:])
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    lines = traced.read_text(errors="replace").splitlines() if strace else []
    opened = [line for line in lines if '.root"' in line and "= -1" not in line and "unfinished" not in line]
    resumed = [line for line in lines if '.root"' in line and "unfinished" in line]
    return {**found, "strace": len(opened) + len(resumed) if strace else None}


@click.command()
@click.option("--files", "count", default=10, help="Files of events.")
@click.option("--only", default="", help="The ways whose names begin so.")
@click.option("--python", "elsewhere", help="An interpreter that has dask-awkward; else one is made.")
def main(count: int, only: str, elsewhere: str | None) -> None:
    """Print how often files are opened."""
    table = Table("", "", "by the client", "by workers", "strace", "tasks that ran", "result")
    with tempfile.TemporaryDirectory() as place:
        files = write_files(Path(place), count)
        newest = max(file.stat().st_mtime for file in files)
        time.sleep(max(0.0, newest + SETTLED - time.time()))
        for way in (*HERE, *ELSEWHERE):
            if not way.startswith(only):
                continue
            try:
                python = sys.executable if way in HERE else elsewhere or interpreter("dask-awkward")
            except NotInstalled as error:
                table.add_row(way, str(error))
                continue
            folder = Path(place, str(abs(hash(way))))
            folder.mkdir()
            for session in ("cold", "warm"):
                found = run(python, way, folder, files)
                names = ("client", "workers", "strace", "ran", "result")
                table.add_row(way if session == "cold" else "", session, *(str(found[name]) for name in names))
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
