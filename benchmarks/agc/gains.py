"""What the cache wins and costs on the ttbar example, by front end and by what was edited.

    python benchmarks/agc/gains.py --repeats 3
    python benchmarks/agc/gains.py --scale 10 --repeats 1

Each run has a process and a cluster of its own. The runs of a repetition follow each other, the
plain client's first for each kind of work, so that a machine that slows down slows all of them.
dask-awkward runs on an older dask, in the environment that the tests make for it.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click
from edits import EDITS, edited
from phase import AGC, ROOT, Phase, run
from rich.console import Console

sys.path[:0] = [str(AGC), str(ROOT / "benchmarks"), str(ROOT)]

from generator.make_data import make_data, usual_folder  # noqa: E402 - neither this nor the tests are installed
from generator.train import train  # noqa: E402
from planning import measure  # noqa: E402
from tables import Budget, Repetition, budgets, budgets_table, edits_table  # noqa: E402

from tests.older.environments import NotInstalled, interpreter  # noqa: E402

EVERY = ("plotting range", "variation", "observable", "selection")
RUNS: dict[str, tuple[str, ...]] = {
    "delayed": ("plain", "cold", "nothing", *EVERY),
    "map": ("nothing", *EVERY),
    "dask-awkward": ("plain", "cold", "nothing", *EVERY),
    "coffea": ("plain", "cold", "nothing", "plotting range"),
    "coffea, steps": ("cold", "nothing", *EVERY),
    "coffea, model": ("plain", "cold", "nothing"),
}
"""What is run, in this order. One task a chunk runs in full whatever the edit, so one edit tells of all."""
STORE_OF = {"map": "delayed"}
"""Front ends that start from what another's cold run kept: their steps are the same."""


def interpreters(fronts: tuple[str, ...], console: Console) -> dict[str, str]:
    """The interpreter that each front end runs in; those that have none are left out."""
    found = dict.fromkeys(fronts, sys.executable)
    if "dask-awkward" in found:
        try:
            found["dask-awkward"] = str(interpreter("dask-awkward"))
        except NotInstalled as error:
            console.print(f"[yellow]dask-awkward is left out: {error}[/]")
            del found["dask-awkward"]
    return found


def repetition(order: Phase, fronts: dict[str, str], console: Console) -> Repetition:
    """Everything once, each front end in its interpreter."""
    found: Repetition = {}
    with TemporaryDirectory(prefix="agc-benchmark-") as temporary:
        folder = Path(temporary).resolve()
        codes = {edit.name: str(edited(edit, folder / edit.name.replace(" ", "-"))) for edit in EDITS}
        for front, edit in [(name, edit) for name in fronts for edit in RUNS[name]]:
            cold, used = (folder / f"{STORE_OF.get(front, front)}-cold", folder / "used")
            if edit not in ("plain", "cold"):
                # As it was after the cold run: what the edits before this one left is not there.
                shutil.rmtree(used, ignore_errors=True)
                shutil.copytree(cold, used, copy_function=os.link)
            cache = None if edit == "plain" else (cold if edit == "cold" else used).as_uri()
            code = codes.get(edit, order.code)
            phase = replace(order, name=f"{front}: {edit}", front=front, cache=cache, code=code, python=fronts[front])
            outcome = found[front, edit] = run(phase)
            rest = f"+ {outcome.flush_seconds:.2f} s to flush; CPU {outcome.cpu_seconds:.2f} s"
            console.print(f"  {phase.name:<30} {outcome.seconds:8.2f} s  {rest}")
    return found


def as_json(repetitions: list[Repetition], found: list[Budget]) -> str:
    runs: list[dict[str, Any]] = [
        {
            f"{front}: {edit}": {
                "seconds": outcome.seconds,
                "flush_seconds": outcome.flush_seconds,
                "cpu_seconds": outcome.cpu_seconds,
                "work_seconds": outcome.work_seconds,
                "counts": outcome.counts,
            }
            for (front, edit), outcome in each.items()
        }
        for each in repetitions
    ]
    rows = [{"what": b.what, "measured": b.measured, "wanted": b.wanted, "met": b.met} for b in found]
    return json.dumps({"runs": runs, "budgets": rows})


@click.command()
@click.option("--repeats", type=click.IntRange(min=1), default=3, show_default=True)
@click.option("--scale", type=click.FloatRange(min=0, min_open=True), default=1.0, help="1: 200,000 events.")
@click.option("--workers", type=click.IntRange(min=1), default=2, show_default=True)
@click.option("--front", "fronts", type=click.Choice(list(RUNS)), multiple=True, help="[default: all of them]")
@click.option("--policy", default="auto", show_default=True)
@click.option("--json", "json_only", is_flag=True, help="JSON on standard output, progress on standard error.")
def main(repeats: int, scale: float, workers: int, fronts: tuple[str, ...], policy: str, json_only: bool) -> None:
    """Run the ttbar example plain, cold, again and after edits, and print what has to be reached."""
    console = Console(stderr=json_only, width=None if sys.stdout.isatty() else 140)
    manifest = make_data(usual_folder(scale), scale, console)
    train()
    order = Phase("plain", str(AGC), str(manifest), policy=policy, workers=workers)
    chosen = interpreters(tuple(front for front in RUNS if not fronts or front in (*fronts, "delayed")), console)
    repetitions = []
    for number in range(repeats):
        console.print(f"repetition {number + 1} of {repeats}")
        repetitions.append(repetition(order, chosen, console))
    found = budgets(repetitions, measure(10_000, repeats))
    if json_only:
        click.echo(as_json(repetitions, found))
        return
    console.print(edits_table(repetitions))
    console.print(budgets_table(found))


if __name__ == "__main__":
    main()
