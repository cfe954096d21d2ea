"""What other caches do with the edits of an analysis, and what they cost: each in an environment of its own.

    python benchmarks/peers/measure.py
    python benchmarks/peers/measure.py --only joblib --repeats 7

The environments are made when they are not there. For each peer cold runs are compared with the same analysis by the
same versions without it, in turns; then the analysis is run again, unchanged and after each of four edits, each time in
a new process and with the folder of results as the last cold run left it. Of each run it is counted how many results
are stale (not what the code computes), how many failed (are not there), and how many calls of steps ran that need not
have.
"""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click
import numpy as np
import uproot
from changes import CHANGES, NOTHING, Change
from packages import PEERS
from rich.console import Console

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent)]

from _pairs import Spent, measure_pairs  # noqa: E402 - the benchmarks are no package
from page import counted, plain_times, table  # noqa: E402
from picture import draw  # noqa: E402

COLD_SECONDS = 60.0
"""After this time no further cold run of a peer begins, once a repetition counts."""
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
        self.peer, self.folder, self.store = PEERS[peer], folder, folder / "store"
        self._told = folder / "told.json"
        variables = os.environ | {"PYTHONPATH": str(HERE), "PYTHONDONTWRITEBYTECODE": "1"}
        command = [self.peer.python(), "-W", "ignore", str(HERE / "_one_run.py"), peer]
        self._said = (folder / "said").open("w+")
        self._process = subprocess.Popen(
            command, env=variables, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._said, text=True
        )

    def __enter__(self) -> Runs:
        return self

    def __exit__(self, *raised: object) -> None:
        self._process.communicate()
        self._said.close()

    def run(self, way: str, change: Change = NOTHING) -> dict[str, Any]:
        """Run the analysis with a change, with the folder of results as it is."""
        self._order([self._written(way, change, self.folder / "code", self._told)])
        return dict(json.loads(self._told.read_text()))

    def right(self, change: Change) -> dict[str, np.ndarray]:
        """What the code gives with a change; computed once for each environment, for all changes at a time."""
        places = {each.name: self.folder / self.peer.environment / each.name for each in CHANGES}
        if not places[change.name].exists():
            self._order([self._written("right", one, places[one.name], places[one.name] / "told") for one in CHANGES])
        found = read(places[change.name] / "told.npz")
        return {name: one for name, one in found.items() if self.peer.merges or not name.endswith(" of all")}

    def judged(self, found: dict[str, Any], change: Change, cold: bool = False) -> dict[str, Any]:
        """What the last run is worth: its results beside the right ones, and the calls that ran and need not have."""
        right, own = self.right(change), read(self._told.with_suffix(".npz"))
        stale = sum(name in own and not np.array_equal(own[name], one) for name, one in right.items())
        failed = sum(name not in own for name in right)
        return found | {
            "missed": 0 if cold else missed(found["ran"], change),
            "stale": stale,
            "failed": failed,
            "results": len(right),
        }

    def _written(self, way: str, change: Change, code: Path, told: Path) -> dict[str, str]:
        """The order to run the code with a change, which is written."""
        change.write(code)
        places = {"code": code, "told": told, "data": self.folder / "data", "store": self.store}
        return {"way": way} | {name: str(place) for name, place in places.items()}

    def _order(self, orders: list[dict[str, str]]) -> None:
        self._process.stdin.write(json.dumps(orders) + "\n")
        self._process.stdin.flush()
        if self._process.stdout.readline().strip() != "done":
            self._said.seek(0)
            raise RuntimeError(f"a run of {orders[0]['way']} ended: {self._said.read()[-2000:]}")


def read(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a file."""
    with np.load(path) as file:
        return {name: file[name] for name in file.files}


def missed(ran: Mapping[str, int], change: Change) -> int:
    """How many calls of steps ran that need not have."""
    needed = change.needed()
    return sum(max(0, count - needed.get(step, 0)) for step, count in ran.items())


def cold_runs(name: str, runs: Runs, repeats: int, console: Console) -> dict[str, Any]:
    """The cold runs of a peer in pairs with the plain ones, and what the last is worth; its results stay."""
    last: dict[str, Any] = {}

    def spent(way: str) -> Spent:
        shutil.rmtree(runs.store, ignore_errors=True)
        runs.store.mkdir()
        last.update(runs.run(way))
        return Spent(last["waited"], last["processor"])

    def own() -> Spent:
        took = spent(name)
        last["judged"] = runs.judged(last, NOTHING, cold=True)
        shutil.rmtree(runs.folder / "kept", ignore_errors=True)
        shutil.move(runs.store, runs.folder / "kept")
        return took

    say = functools.partial(console.print, f"{name}, cold,")
    plain = functools.partial(spent, PEERS[name].plain)
    try:
        pairs = measure_pairs(plain, {name: own}, repeats, say=say, seconds=COLD_SECONDS).as_dict()
    except RuntimeError as error:
        console.print(f"{name}: what a cold run costs is not measured: {error}")
        pairs = None
    return {"pairs": pairs, "runs": {"cold": last["judged"]}}


def changed_runs(name: str, runs: Runs, console: Console) -> dict[str, dict[str, Any]]:
    """The run of a peer after each change, with the folder of results as a cold run left it."""
    found = {}
    for change in CHANGES:
        shutil.rmtree(runs.store, ignore_errors=True)
        shutil.copytree(runs.folder / "kept", runs.store)
        found[change.name] = runs.judged(runs.run(name, change), change)
        console.print(f"{name}, {change.name}: {counted(found[change.name])}")
    return found


@click.command(help=__doc__)
@click.option(
    "--repeats", type=click.IntRange(min=1), default=3, show_default=True, help="Cold repetitions that count."
)
@click.option(
    "--events", type=click.IntRange(min=1), default=200_000, show_default=True, help="Of each of six data sets."
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
                found[name] = {"title": PEERS[name].title, **cold_runs(name, runs, repeats, console)}
                found[name]["runs"] |= changed_runs(name, runs, console)
            if path is not None:
                path.write_text(json.dumps(found, indent=1))
    click.echo(f"\n{table(found)}\n\n{plain_times(found)}")
    click.echo(f"load of the machine in the last minute: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    if picture is not None:
        draw(found, picture)


if __name__ == "__main__":
    main()
