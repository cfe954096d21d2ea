"""What other caches do with the edits of an analysis, and what they cost: each in an environment of its own.

    python benchmarks/peers/measure.py
    python benchmarks/peers/measure.py --only joblib --repeats 7

The environments are made when they are not there. For each peer a cold run is compared with the same analysis by the
same versions without it, in turns; then the analysis is run again, unchanged and after each of four edits, each time in
a new process and with the folder of results as the first cold run left it. Of each run it is counted how many results
are stale (not what the code computes), how many failed, and how many calls of steps ran that need not have.
"""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click
import numpy as np
import uproot
from changes import CHANGES, NOTHING, Change
from packages import PEERS
from rich.console import Console
from rich.table import Table

HERE = Path(__file__).resolve().parent
ANSWER = "answer: "  # as in _one_run.py
sys.path[:0] = [str(HERE.parent)]

from _pairs import Spent, measure_pairs  # noqa: E402 - the benchmarks are no package
from picture import cost, draw  # noqa: E402

SETS = ("data", "ttbar", "wjets", "single_top", "zjets", "dibosons")


def write_data(folder: Path, events: int) -> None:
    """Write the data sets, as files of numpy's and as ROOT's."""
    folder.mkdir()
    for number, name in enumerate(SETS):
        random = np.random.default_rng(number)
        columns = {"pt": random.exponential(25, events), "eta": random.normal(0, 1.8, events)}
        np.savez(folder / f"{name}.npz", **columns)
        with uproot.recreate(folder / f"{name}.root") as file:
            file["Events"] = columns


class Runs:
    """The runs of a peer: a process that forks one for each, and writes no bytecode.

    With bytecode, a second edit within a second would not be seen.
    """

    def __init__(self, peer: str, folder: Path) -> None:
        self.folder, self.store, self.marks = folder, folder / "store", folder / "marks"
        variables = os.environ | {"PYTHONPATH": str(HERE), "PYTHONDONTWRITEBYTECODE": "1"}
        command = [PEERS[peer].python(), "-W", "ignore", str(HERE / "_one_run.py"), peer]
        self._said = (folder / "said").open("w+")
        self._process = subprocess.Popen(
            command, env=variables, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._said, text=True
        )

    def __enter__(self) -> Runs:
        return self

    def __exit__(self, *raised: object) -> None:
        self._process.communicate()
        self._said.close()

    def run(self, way: str, check: bool = True) -> dict[str, Any]:
        """Run the analysis as it stands, with the folder of results as it is."""
        self.marks.unlink(missing_ok=True)
        places = {name: str(self.folder / name) for name in ("code", "data", "store", "marks")}
        self._process.stdin.write(json.dumps({"peer": way, "check": check, **places}) + "\n")
        self._process.stdin.flush()
        for line in self._process.stdout:
            if line.startswith(ANSWER) and line.strip() != f"{ANSWER}null":
                return dict(json.loads(line.removeprefix(ANSWER)))
            if line.startswith(ANSWER):
                break
        self._said.seek(0)
        raise RuntimeError(f"a run of {way} ended: {self._said.read()[-2000:]}")


def judged(found: dict[str, Any], change: Change, cold: bool = False) -> dict[str, Any]:
    """What a run is worth: with the calls that ran and need not have."""
    needed = found["ran"] if cold else change.needed()
    missed = sum(max(0, ran - needed.get(step, 0)) for step, ran in found["ran"].items())
    kept = ("processor", "waited", "stale", "failed", "results", "error", "ran")
    return {"missed": missed, **{name: found[name] for name in kept}}


def cold_runs(name: str, runs: Runs, repeats: int, console: Console) -> dict[str, Any] | None:
    """The cold runs of a peer in pairs with the plain ones."""
    NOTHING.write(runs.folder / "code")

    def spent(way: str) -> Spent:
        shutil.rmtree(runs.store, ignore_errors=True)
        runs.store.mkdir()
        found = runs.run(way, check=False)
        return Spent(found["waited"], found["processor"])

    plain, own = (functools.partial(spent, way) for way in (PEERS[name].plain, name))
    say = functools.partial(console.print, f"{name}, cold,")
    try:
        return measure_pairs(plain, {name: own}, repeats, say=say).as_dict()
    except RuntimeError as error:
        console.print(f"{name}: what a cold run costs is not measured: {error}")
        return None


def changed_runs(name: str, runs: Runs, console: Console) -> dict[str, dict[str, Any]]:
    """A cold run of a peer, and the one after each change, with the folder of results as the cold run left it."""
    store, kept = runs.store, runs.folder / "kept"
    for old in (store, kept):
        shutil.rmtree(old, ignore_errors=True)
    NOTHING.write(runs.folder / "code")
    store.mkdir()
    found = {"cold": judged(runs.run(name), NOTHING, cold=True)}
    shutil.copytree(store, kept)
    for change in CHANGES:
        change.write(runs.folder / "code")
        shutil.rmtree(store)
        shutil.copytree(kept, store)
        found[change.name] = judged(runs.run(name), change)
        console.print(f"{name}, {change.name}: {counted(found[change.name])}")
    return found


def counted(one: dict[str, Any]) -> str:
    """What is wrong with a run, shortly."""
    wrong = [f"{one[what]} {what}" for what in ("stale", "missed", "failed") if one[what]]
    return ", ".join(wrong) or "right"


def cold_cost(one: dict[str, Any]) -> str:
    """The processor time of the cold runs beside the plain ones around them, and how many count."""
    return "not measured" if one["pairs"] is None else f"{cost(one):.2f} of {len(one['pairs']['plain'])}"


def table(found: dict[str, Any]) -> Table:
    """A row a peer."""
    caption = "stale, failed: results; missed: calls of steps that ran and need not have, of 25 (24 with coffea)"
    shown = Table(title="other caches after edits", caption=caption, title_justify="left", caption_justify="left")
    for column in ("", "cold, plain = 1", "cold", *(change.name for change in CHANGES)):
        shown.add_column(column)
    for one in found.values():
        runs = one["runs"]
        shown.add_row(one["title"], cold_cost(one), *(counted(runs[name]) for name in runs))
    return shown


@click.command(help=__doc__)
@click.option(
    "--repeats", type=click.IntRange(min=1), default=3, show_default=True, help="Cold repetitions that count."
)
@click.option(
    "--events", type=click.IntRange(min=1), default=50_000, show_default=True, help="Of each of six data sets."
)
@click.option("--only", type=click.Choice(list(PEERS)), multiple=True, help="These peers.")
@click.option("--json", "path", type=click.Path(dir_okay=False, path_type=Path), help="Add the figures to this file.")
@click.option("--picture", type=click.Path(dir_okay=False, path_type=Path), help="File for cost against saving.")
def main(repeats: int, events: int, only: tuple[str, ...], path: Path | None, picture: Path | None) -> None:
    console = Console(width=None if sys.stdout.isatty() else 180)
    found = json.loads(path.read_text()) if path is not None and path.exists() else {}
    with TemporaryDirectory(prefix="peers-") as temporary:
        folder = Path(temporary).resolve()
        write_data(folder / "data", events)
        for name in only or PEERS:
            with Runs(name, folder) as runs:
                found[name] = {"title": PEERS[name].title, "runs": changed_runs(name, runs, console)}
                found[name]["pairs"] = cold_runs(name, runs, repeats, console)
            if path is not None:
                path.write_text(json.dumps(found, indent=1))
    console.print(table(found))
    console.print(f"load of the machine in the last minute: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    if picture is not None:
        draw(found, picture)


if __name__ == "__main__":
    main()
