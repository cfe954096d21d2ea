"""What a cold run of the ttbar example costs beside plain dask, in processor time.

    python benchmarks/agc/cold.py --front delayed --policy auto

Client, scheduler and workers count from the moment that the analysis is sent until the store is complete, but not their
start. Each run has processes, a cluster and an empty store of its own.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import click
from phase import AGC, PLAIN_OF, ROOT, Phase, run
from rich.console import Console

sys.path[:0] = [str(AGC), str(ROOT / "benchmarks"), str(ROOT)]

from _pairs import Spent, measure_pairs  # noqa: E402 - neither this nor the example is installed
from generator.make_data import make_data, usual_folder  # noqa: E402

AT_MOST = {"auto": 1.03, "read": 1.02}


def timed(order: Phase, *, cached: bool) -> Callable[[], Spent]:
    """What runs a phase, on an empty store if it is given one."""

    def go() -> Spent:
        with TemporaryDirectory(prefix="agc-cold-") as folder:
            outcome = run(replace(order, cache=Path(folder).resolve().as_uri() if cached else None))
        return Spent(outcome.seconds, outcome.work_seconds)

    return go


@click.command()
@click.option("--front", type=click.Choice(["delayed", "map", "coffea", "coffea, steps"]), default="delayed")
@click.option("--policy", "policies", multiple=True, default=("auto", "all", "read"), help='"read" keeps nothing.')
@click.option("--scale", type=click.FloatRange(min=0, min_open=True), default=1.0, help="1: 200,000 events.")
@click.option("--repeats", type=click.IntRange(min=1), default=7, show_default=True, help="That have to count.")
@click.option("--workers", type=click.IntRange(min=1), default=2, show_default=True)
@click.option("--json", "path", type=click.Path(dir_okay=False, path_type=Path), help="File for all figures.")
def main(front: str, policies: tuple[str, ...], scale: float, repeats: int, workers: int, path: Path | None) -> None:
    """Run the ttbar example plain and cold in turns, and print what the cold runs cost."""
    console = Console(width=None if sys.stdout.isatty() else 120)
    order = Phase("cold", str(AGC), str(make_data(usual_folder(scale), scale, console)), front=front, workers=workers)
    others = {
        policy: timed(replace(order, mode="read") if policy == "read" else replace(order, policy=policy), cached=True)
        for policy in policies
    }
    plain = timed(replace(order, front=PLAIN_OF.get(front, front)), cached=False)
    pairs = measure_pairs(plain, others, repeats, say=console.print)
    steps = {"auto": 1.06} if front == "coffea, steps" else {}
    console.print(pairs.table(f"{front}, {200_000 * scale:,.0f} events, cold", AT_MOST | steps))
    if path is not None:
        path.write_text(json.dumps(pairs.as_dict()))


if __name__ == "__main__":
    main()
