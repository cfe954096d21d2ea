"""What it costs to observe the steps of the ttbar example, in one process without workers or a store.

    python benchmarks/agc/observed.py --repeat 9

The graph runs plain and with each task observed, in turns. Processor time.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import dask
from dask._task_spec import convert_legacy_graph
from rich.console import Console

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "examples" / "agc"), str(ROOT / "benchmarks" / "agc")]

from assembly import build  # noqa: E402 - the example is no package that is installed
from generator.make_data import make_data, usual_folder  # noqa: E402
from samples import read_samples  # noqa: E402

from cachingclient.graph import Task, with_function  # noqa: E402
from cachingclient.worker.observe import observing  # noqa: E402


def watched(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that is observed while it runs."""

    def run(*args: Any, **kwargs: Any) -> Any:
        with observing():
            return function(*args, **kwargs)

    return run


def seconds(samples: Any, chunk: int, *, observe: bool) -> float:
    """Run the graph once."""
    collection = build(samples, chunk)
    nodes = convert_legacy_graph(dict(collection.__dask_graph__()))
    if observe:
        nodes = {
            key: with_function(node, watched(node.func)) if type(node) is Task else node for key, node in nodes.items()
        }
    start = time.process_time()
    dask.get(nodes, collection.__dask_keys__())
    return time.process_time() - start


@click.command()
@click.option("--repeat", type=click.IntRange(min=1), default=9, show_default=True)
@click.option("--scale", type=click.FloatRange(min=0, min_open=True), default=0.2, help="1: 200,000 events.")
@click.option("--chunk", type=click.IntRange(min=1), default=4000, show_default=True, help="Events of a chunk.")
def main(repeat: int, scale: float, chunk: int) -> None:
    """Print each pair, and the median of their ratios."""
    console = Console()
    samples = read_samples(make_data(usual_folder(scale), scale, console))
    for observe in (False, True):  # imports and compiled code
        seconds(samples, chunk, observe=observe)
    ratios = []
    for number in range(repeat):
        plain, observed = (seconds(samples, chunk, observe=observe) for observe in (False, True))
        ratios.append(observed / plain)
        console.print(f"{number + 1}: plain {plain:.2f} s, observed {observed:.2f} s, {ratios[-1]:.3f}")
    console.print(f"median {statistics.median(ratios):.3f}, from {min(ratios):.3f} to {max(ratios):.3f}")


if __name__ == "__main__":
    main()
