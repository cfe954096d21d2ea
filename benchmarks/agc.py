"""What the cache wins and costs on the ttbar example: plain, cold and warm, interleaved.

    python benchmarks/agc.py --repeats 3

Each run has a process, a cluster and, if it is cold, a store of its own. The runs of a
repetition follow each other, so that a machine that slows down slows all of them; medians
over the repetitions are compared.
"""

from __future__ import annotations

import json
import statistics
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click
from planning import measure
from rich.console import Console
from rich.table import Table

AGC = Path(__file__).resolve().parents[1] / "examples" / "agc"
sys.path.insert(0, str(AGC))

from edits import EDITS, edited  # noqa: E402 - the example is no package: its folder is put on the path first
from make_data import make_data, usual_folder  # noqa: E402
from phase import Outcome, Phase, run  # noqa: E402
from run import same  # noqa: E402

WARM_AT_LEAST = 10.0
COLD_AT_MOST = 1.10
PLANNING_AT_MOST = 50.0


@dataclass(frozen=True, slots=True)
class Budget:
    """One figure that has to be reached."""

    what: str
    measured: str
    wanted: str
    met: bool


def repetition(order: Phase, edits: bool, console: Console) -> dict[str, Outcome]:
    """Plain, cold and warm once, and both ways for each edit."""
    found: dict[str, Outcome] = {}

    def timed(name: str, phase: Phase) -> None:
        found[name] = run(replace(phase, name=name))
        outcome = found[name]
        rest = f"+ {outcome.flush_seconds:.2f} s to flush; CPU {outcome.cpu_seconds:.2f} s"
        console.print(f"  {name:<24} {outcome.seconds:7.2f} s  {rest}")

    with TemporaryDirectory(prefix="agc-benchmark-") as folder:
        cached = replace(order, cache=(Path(folder).resolve() / "cache").as_uri())
        timed("plain", order)
        timed("cold", cached)
        timed("warm", cached)
        for edit in EDITS if edits else ():
            code = str(edited(edit, Path(folder).resolve() / edit.name.replace(" ", "-")))
            timed(f"{edit.name}: plain", replace(order, code=code))
            timed(f"{edit.name}: cached", replace(cached, code=code))
    return found


def medians(repetitions: list[dict[str, Outcome]], field: str) -> dict[str, float]:
    return {name: statistics.median(getattr(found[name], field) for found in repetitions) for name in repetitions[0]}


def all_equal(repetitions: list[dict[str, Outcome]]) -> bool:
    """Whether every cached run gave the bits of the plain run of the same code."""
    return all(
        same(found[plain_of(name)].histograms, outcome.histograms)
        for found in repetitions
        for name, outcome in found.items()
    )


def plain_of(name: str) -> str:
    return f"{name.partition(':')[0]}: plain" if ":" in name else "plain"


def budgets(repetitions: list[dict[str, Outcome]], repeats: int) -> list[Budget]:
    seconds, flushing = medians(repetitions, "seconds"), medians(repetitions, "flush_seconds")
    warm = seconds["plain"] / seconds["warm"]
    cold = seconds["cold"] / seconds["plain"]
    flushed = (seconds["cold"] + flushing["cold"]) / seconds["plain"]
    cpu = medians(repetitions, "cpu_seconds")
    # A warm run is a start of everything and little else: it is left out of both.
    worked = (cpu["cold"] - cpu["warm"]) / (cpu["plain"] - cpu["warm"])
    costs = measure(10_000, repeats)
    equal = all_equal(repetitions)
    return [
        Budget("warm run, against plain", f"{warm:.1f}x faster", f"{WARM_AT_LEAST:g}x", warm >= WARM_AT_LEAST),
        Budget("cold run, against plain", f"{cold - 1:+.1%}", f"{COLD_AT_MOST - 1:+.0%}", cold <= COLD_AT_MOST),
        Budget(
            "cold run until all is kept", f"{flushed - 1:+.1%}", f"{COLD_AT_MOST - 1:+.0%}", flushed <= COLD_AT_MOST
        ),
        Budget("cold run, processor time", f"{worked - 1:+.1%}", f"{COLD_AT_MOST - 1:+.0%}", worked <= COLD_AT_MOST),
        Budget(
            f"planning of {costs.tasks:,} tasks",
            f"{costs.total:.1f} us a task (dask materialises in {costs.materialising:.1f}, "
            f"orders in {costs.ordering:.1f})",
            f"{PLANNING_AT_MOST:g} us",
            costs.total <= PLANNING_AT_MOST,
        ),
        Budget("histograms equal plain's", "bit for bit" if equal else "NO", "bit for bit", equal),
    ]


def times_table(repetitions: list[dict[str, Outcome]]) -> Table:
    shown = Table(title="seconds, medians", title_justify="left")
    shown.add_column("run")
    for title in ("wall", "whole process", "its CPU", "speed-up", "loaded", "ran", "kept"):
        shown.add_column(title, justify="right")
    seconds, whole, cpu = (medians(repetitions, field) for field in ("seconds", "process_seconds", "cpu_seconds"))
    for name, outcome in repetitions[-1].items():
        counts = [f"{outcome.counts.get(count, 0):,.0f}" for count in ("loaded", "ran", "kept")]
        speed_up = f"{seconds[plain_of(name)] / seconds[name]:.2f}x"
        shown.add_row(name, f"{seconds[name]:.2f}", f"{whole[name]:.2f}", f"{cpu[name]:.2f}", speed_up, *counts)
    return shown


def budgets_table(found: list[Budget]) -> Table:
    shown = Table(title="must reach", title_justify="left")
    for title in ("", "measured", "wanted", "met"):
        shown.add_column(title)
    for budget in found:
        shown.add_row(budget.what, budget.measured, budget.wanted, "yes" if budget.met else "[bold red]no[/]")
    return shown


def as_json(repetitions: list[dict[str, Outcome]], found: list[Budget]) -> str:
    runs: list[dict[str, Any]] = [
        {
            name: {"seconds": outcome.seconds, "flush_seconds": outcome.flush_seconds, "counts": outcome.counts}
            for name, outcome in repetition.items()
        }
        for repetition in repetitions
    ]
    rows = [{"what": b.what, "measured": b.measured, "wanted": b.wanted, "met": b.met} for b in found]
    return json.dumps({"runs": runs, "budgets": rows})


@click.command()
@click.option("--repeats", type=click.IntRange(min=1), default=3, show_default=True)
@click.option("--scale", type=click.FloatRange(min=0, min_open=True), default=1.0, help="1: 200,000 events.")
@click.option("--workers", type=click.IntRange(min=1), default=2, show_default=True)
@click.option("--front", type=click.Choice(["delayed", "map"]), default="delayed", show_default=True)
@click.option("--policy", default="auto", show_default=True)
@click.option("--edits", is_flag=True, help="Also run the example's edits.")
@click.option("--json", "json_only", is_flag=True, help="JSON on standard output, progress on standard error.")
def main(repeats: int, scale: float, workers: int, front: str, policy: str, edits: bool, json_only: bool) -> None:
    """Run the ttbar example plain, cold and warm, and print what has to be reached."""
    console = Console(stderr=json_only, width=None if sys.stdout.isatty() else 120)
    manifest = make_data(usual_folder(scale), scale, console)
    order = Phase("plain", str(AGC), str(manifest), policy=policy, workers=workers, front=front)
    repetitions = []
    for number in range(repeats):
        console.print(f"repetition {number + 1} of {repeats}")
        repetitions.append(repetition(order, edits, console))
    found = budgets(repetitions, repeats)
    if json_only:
        click.echo(as_json(repetitions, found))
        return
    console.print(times_table(repetitions))
    console.print(budgets_table(found))


if __name__ == "__main__":
    main()
