"""A day of an analyst: edits of an analysis one after another, each followed by a run.

    python benchmarks/agc/day.py --edits 50 --scale 1
    python benchmarks/agc/day.py --front topeft --json day.json --picture day.png
    python benchmarks/agc/day.py --front topeft --json day.json --picture day.png --resume

Histograms are edited most often and what is read least often. The sequence is the same for the same seed, and may come
back to a value that it had before. The ttbar example is sent as a graph, by `client.map`, or as coffea's processor with
steps; `topeft` is a processor of TopEFT's shape. Each run has processes and a cluster of its own; the runs of a policy
share a store. What counts is the processor time of client, scheduler and workers, which other work on the machine
changes less than what somebody waits. The histograms of each run are compared with plain dask's, bit for bit: the exit
status is 1 when some differ.

With `--json` the figures are saved after each run, and the stores lie beside that file until the day is over:
`--resume` goes on where it was interrupted.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click
from day_edits import ANALYSES, TTBAR, DayEdit, day
from day_figures import PLAIN, Day, Figures, table
from day_picture import draw
from phase import AGC, ROOT, TOPEFT, Phase, run
from rich.console import Console

sys.path[:0] = [str(AGC), str(TOPEFT), str(ROOT / "benchmarks"), str(ROOT)]

from eft_data import make_eft_data  # noqa: E402 - the examples are not installed
from generator.make_data import make_data, usual_folder  # noqa: E402
from run import same  # noqa: E402 - it needs the example


def manifest(front: str, scale: float, console: Console) -> Path:
    """The samples that a front runs on, made where they are not there."""
    if front == "topeft":
        return make_eft_data(TOPEFT / "data" / f"scale-{scale:g}", scale)
    return make_data(usual_folder(scale), scale, console)


def ways_of(policies: tuple[str, ...], budgets: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    """What is other in the runs of each way than in plain's."""
    asked = {name: {"policy": name} for name in policies}
    return {PLAIN: {}} | asked | {f"auto, {budget}": {"policy": "auto", "budget": budget} for budget in budgets}


def begun(path: Path | None, resume: bool, fresh: Day) -> Day:
    """The day that is to go on, or the fresh one."""
    if path is None or not path.exists():
        return fresh
    if not resume:
        raise click.BadParameter(f"{path} has a day already; --resume goes on with it", param_hint="--json")
    found = Day.read(path)
    if differ := [name for name, value in fresh.order.items() if found.order.get(name) != value]:
        said = ", ".join(f"{name} is {found.order.get(name)!r} there" for name in differ)
        raise click.BadParameter(f"{path} has another day: {said}", param_hint="--resume")
    if found.done < len(found.kinds) and not stores_of(path).is_dir():
        raise click.BadParameter(f"{path} has a part of a day, and its stores are gone", param_hint="--resume")
    if found.running is not None:
        found.again.append(found.running)
    return found


def stores_of(path: Path) -> Path:
    return path.resolve().with_suffix(".stores")


@contextmanager
def stores(path: Path | None) -> Iterator[Path]:
    """The folder of stores and edited modules: beside the figures, until all is measured."""
    if path is None:
        with TemporaryDirectory(prefix="agc-day-") as temporary:
            yield Path(temporary).resolve()
        return
    folder = stores_of(path)
    folder.mkdir(exist_ok=True, parents=True)
    yield folder
    shutil.rmtree(folder)


def measure(
    found: Day, order: Phase, ways: dict[str, dict[str, Any]], folder: Path, path: Path | None
) -> Iterator[str]:
    """Run what was not run yet; yields a line for each edit."""
    analysis = ANALYSES.get(order.front, TTBAR)
    sequence = [DayEdit("cold", {}), *day(found.order["edits"], found.order["seed"], analysis)]

    def save(running: list[Any] | None) -> None:
        found.running = running
        if path is not None:
            found.save(path)

    for number, edit in enumerate(sequence[found.done :], found.done):
        code, right = str(edit.write(folder / f"{number}", analysis)), None
        for way, runs in found.runs.items():
            if len(runs) > number and way != PLAIN:
                continue
            # Plain runs again where its figures are there: the others are compared with its histograms.
            save([number, way] if way != PLAIN else None)
            cache = None if way == PLAIN else (folder / way).as_uri()
            outcome = run(replace(order, code=code, cache=cache, **ways[way]))
            right = outcome.histograms if right is None else right
            wrong = not same(right, outcome.histograms)
            if len(runs) == number:
                runs.append(Figures(outcome.work_seconds, outcome.seconds, outcome.ran, outcome.spent, wrong))
            save(None)
        told = ", ".join(f"{way} {runs[number].processor:.1f}" for way, runs in found.runs.items())
        yield f"{number}: {edit.kind}: {told} s of processor time"


@click.command()
@click.option("--edits", type=click.IntRange(min=1), default=50, show_default=True)
@click.option("--seed", type=int, default=1, show_default=True)
@click.option("--scale", type=click.FloatRange(min=0, min_open=True), default=1.0, help="1: 200,000 events.")
@click.option("--policy", "policies", type=click.Choice(["auto", "all"]), multiple=True, default=("auto", "all"))
@click.option("--budget", "budgets", multiple=True, help="Of auto beside its default, such as 3%; may be given again.")
@click.option(
    "--front",
    type=click.Choice(["delayed", "map", "coffea, steps", "topeft"]),
    default="delayed",
    show_default=True,
)
@click.option("--workers", type=click.IntRange(min=1), default=2, show_default=True)
@click.option("--json", "path", type=click.Path(dir_okay=False, path_type=Path), help="File for all figures.")
@click.option("--resume", is_flag=True, help="Go on with the day in the file of --json.")
@click.option("--picture", type=click.Path(dir_okay=False, path_type=Path), help="File for a picture of the day.")
def main(
    edits: int,
    seed: int,
    scale: float,
    policies: tuple[str, ...],
    budgets: tuple[str, ...],
    front: str,
    workers: int,
    path: Path | None,
    resume: bool,
    picture: Path | None,
) -> None:
    """Run a day of edits with dask's own client and with each policy, and print what the day takes."""
    if resume and path is None:
        raise click.UsageError("--resume goes on with the day in the file of --json")
    console = Console(width=None if sys.stdout.isatty() else 140)
    ways = ways_of(policies, budgets)
    asked = {"edits": edits, "seed": seed, "scale": scale, "front": front, "workers": workers, "ways": list(ways)}
    kinds = ["cold", *(edit.kind for edit in day(edits, seed, ANALYSES.get(front, TTBAR)))]
    found = begun(path, resume, Day(asked, kinds, {way: [] for way in ways}))
    order = Phase("day", "", str(manifest(front, scale, console)), front=front, workers=workers)
    with stores(path) as folder:
        for line in measure(found, order, ways, folder, path):
            console.print(line)
    console.print(table(found))
    console.print(f"load of the machine in the last minute: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    if picture is not None:
        draw(found, picture)
    sys.exit(any(found.differ.values()))


if __name__ == "__main__":
    main()
