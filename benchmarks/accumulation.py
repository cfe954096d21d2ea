"""Many small tasks and a tree of merges over them, as TopEFT makes its histograms: each engine, and plain dask.

    python benchmarks/accumulation.py --tasks 17500 --pictures docs/pictures

Each chunk fills a histogram with coefficients of an effective field theory; ten of these are merged by a task, ten
merges by another, down to one. Told of each: seconds, and processor seconds of all its processes, which a busy machine
changes less; bytes of results that passed the process of client, scheduler and manager; the memory that the largest
merge took, its parts with what was allocated for them; and the tail, the share of the time in which the last twentieth
of the tasks ended. Pools run in a network namespace of their own, which takes root and iproute2.
"""

from __future__ import annotations

import logging
import os
import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click
import dask
import numpy as np
import pytest
from distributed import Client, LocalCluster
from distributed.diagnostics.plugin import SchedulerPlugin
from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from cachingclient import units
from cachingclient.vine import VineCluster
from tests.vine.pools import place_for

FAN_IN = 10
SHAPE = (20, 40, 28)
"""Categories, bins, and coefficients of a quadratic in six of them: 180 kB; TopEFT's are a hundred times as large."""
SMALL = 1000
"""Bytes: a result of that many is a number, not a histogram."""


def note(notes: str, start: float, memory: int) -> None:
    """Write down when a task started and ended, and the memory that it took; short lines are appended whole."""
    line = f"{start} {time.time()} {memory}\n".encode()
    descriptor = os.open(notes, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(descriptor, line)
    os.close(descriptor)


def fill(chunk: int, events: int, notes: str) -> np.ndarray:
    """Fill the histogram of a chunk."""
    start = time.time()
    random = np.random.default_rng(chunk)
    bins = random.integers(0, SHAPE[0] * SHAPE[1], events)
    coefficients = random.random((events, SHAPE[2]))
    filled = np.zeros((SHAPE[0] * SHAPE[1], SHAPE[2]))
    np.add.at(filled, bins, coefficients)
    note(notes, start, 0)
    return filled.reshape(SHAPE)


def in_memory(what: str) -> int:
    """Bytes of this process: `VmRSS` now, or `VmHWM` at most."""
    line = next(each for each in Path("/proc/self/status").read_text().splitlines() if each.startswith(what))
    return int(line.split()[1]) * 1024


def merge(parts: list[np.ndarray], notes: str) -> np.ndarray:
    """Add histograms up."""
    start = time.time()
    Path("/proc/self/clear_refs").write_text("5")  # Linux counts the most memory from here on
    before = in_memory("VmRSS")
    total = parts[0].copy()
    for part in parts[1:]:
        total += part
    note(notes, start, sum(part.nbytes for part in parts) + in_memory("VmHWM") - before)
    return total


def graph(tasks: int, events: int, notes: str) -> tuple[Any, int]:
    """The tree over as many chunks as give about so many tasks; and how many tasks it has."""
    chunks = tasks * (FAN_IN - 1) // FAN_IN
    level = [dask.delayed(fill, pure=False)(chunk, events, notes) for chunk in range(chunks)]
    count = chunks
    while len(level) > 1:
        level = [dask.delayed(merge, pure=False)(level[n : n + FAN_IN], notes) for n in range(0, len(level), FAN_IN)]
        count += len(level)
    return level[0], count


class Ready(SchedulerPlugin):
    """When each task had all that it needs."""

    def __init__(self) -> None:
        self.times: dict[Any, float] = {}

    def transition(self, key: Any, start: str, finish: str, *args: Any, **kwargs: Any) -> None:
        """Note that a task can run."""
        if finish in ("queued", "no-worker", "processing"):
            self.times.setdefault(key, time.time())


@dataclass(frozen=True, slots=True)
class Run:
    """One run: when tasks were ready, started and ended, in seconds since it began, beside what was measured."""

    seconds: float
    through_head: int
    merge: int
    sum: float
    ready: list[float]
    started: list[float]
    ended: list[float]

    @property
    def tail(self) -> float:
        """The share of the time after 95 % of the tasks."""
        return 1 - self.ended[int(len(self.ended) * 0.95)] / self.ended[-1]


def measure(cluster: Any, make: Any, notes: Path, passed: Any) -> Run:
    """Run the tree on a cluster once; `passed` gives the bytes that passed the head so far."""
    with Client(cluster, set_as_default=False) as client:
        client.gather(client.map(partial(fill, events=1000, notes=str(notes)), range(20), pure=False))
        before = passed(client)
        notes.unlink()
        ready = Ready()
        cluster.scheduler.add_plugin(ready)
        total, _ = make(str(notes))
        start, clock = time.time(), time.perf_counter()
        found = client.compute(total).result()
        seconds = time.perf_counter() - clock
        rows = [line.split() for line in notes.read_text().splitlines()]
        return Run(
            seconds,
            passed(client) - before - found.nbytes,
            max(int(memory) for _, _, memory in rows),
            float(found.sum()),
            sorted(when - start for when in ready.times.values()),
            sorted(float(began) - start for began, _, _ in rows),
            sorted(float(ended) - start for _, ended, _ in rows),
        )


def to_the_head(client: Client) -> int:
    """Bytes of results that workers sent to others than workers."""
    sent = client.run(lambda dask_worker: [(e["who"], e["total"]) for e in dask_worker.transfer_outgoing_log])
    return sum(nbytes for log in sent.values() for who, nbytes in log if who not in sent and nbytes > SMALL)


def through_the_manager(cluster: VineCluster, client: Client) -> int:
    """Bytes that a manager sent and received."""
    counts = cluster.engine.describe()
    return int(counts["bytes_sent"] + counts["bytes_received"])


@contextmanager
def opened(kind: str, workers: int) -> Iterator[tuple[Any, Any]]:
    """A cluster, and what tells the bytes that pass its head."""
    if kind == "plain dask":
        with LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=None) as cluster:
            yield cluster, to_the_head
    else:
        with VineCluster({"RAL": workers}, engine=kind, silence_logs=logging.ERROR) as cluster:
            yield cluster, to_the_head if kind == "dask" else partial(through_the_manager, cluster)


def processor_seconds() -> float:
    """Those of this process and of all its children that have ended."""
    spent = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in spent)


def draw(runs: dict[str, Run], path: Path) -> None:
    """Draw tasks that run and tasks that wait for a worker over time, a column for each run."""
    figure = Figure(figsize=(4 * len(runs), 5), layout="constrained")
    panels = figure.subplots(3, len(runs), sharex=True, sharey="row", squeeze=False)
    longest = max(run.ended[-1] for run in runs.values())
    times = np.linspace(0, longest, 1000)
    for (kind, run), (running, waiting, done) in zip(runs.items(), panels.T, strict=True):
        ready, started, ended = (np.searchsorted(each, times) for each in (run.ready, run.started, run.ended))
        busy = np.diff(np.interp(times, run.ended, np.arange(len(run.ended))), prepend=0) / (times[1] - times[0])
        running.fill_between(times, started - ended, step="post", color="#3d8fd1", linewidth=0)
        waiting.fill_between(times, ready - started, step="post", color="#7a7a7a", linewidth=0)
        done.plot(times, np.convolve(busy, np.ones(20) / 20, "same"), color="#1aa37a", linewidth=1)
        running.set_title(kind)
        for axes in (running, waiting, done):
            axes.axvline(run.ended[int(len(run.ended) * 0.95)], color="black", linewidth=0.7, linestyle=":")
            axes.axvline(run.ended[-1], color="black", linewidth=0.7)
            axes.grid(alpha=0.25)
            axes.set_ylim(bottom=0)
        done.set_xlabel("seconds")
    for axes, title in zip(panels[:, 0], ("executing", "waiting for a worker", "done a second"), strict=True):
        axes.set_ylabel(title)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=100)


@click.command()
@click.option("--tasks", type=click.IntRange(min=100), default=17_500, show_default=True)
@click.option("--events", default=20_000, show_default=True, help="Of a chunk: 11 ms for twenty thousand.")
@click.option("--workers", default=2, show_default=True, help="Workers of one core.")
@click.option("--kind", "kinds", multiple=True, default=("plain dask", "dask", "workqueue", "taskvine"))
@click.option("--pictures", type=click.Path(file_okay=False, path_type=Path), help="Where to draw the runs.")
def main(tasks: int, events: int, workers: int, kinds: tuple[str, ...], pictures: Path | None) -> None:
    """Print a row for each engine."""
    dask.config.set({"distributed.admin.low-level-log-length": 1_000_000})
    title = f"{graph(tasks, events, '')[1]:,} tasks, {workers} workers"
    columns = ("engine", "seconds", "processor s", "through the head", "largest merge", "tail", "sum")
    table = Table(*columns, title=title)
    runs: dict[str, Run] = {}
    for kind in kinds:
        spent = processor_seconds()
        with TemporaryDirectory() as folder:
            place = place_for("dask" if kind == "plain dask" else kind, Path(folder))
            try:
                with place, opened(kind, workers) as (cluster, passed):
                    run = measure(cluster, partial(graph, tasks, events), Path(folder, "notes"), passed)
            except pytest.skip.Exception as reason:
                table.add_row(kind, str(reason))
                continue
        runs[kind] = run
        sizes = units.size(run.through_head), units.size(run.merge)
        processor = f"{processor_seconds() - spent:.0f}"
        table.add_row(kind, f"{run.seconds:.1f}", processor, *sizes, f"{run.tail:.1%}", f"{run.sum:.6e}")
    Console(width=None if sys.stdout.isatty() else 120).print(table)
    if pictures and runs:
        draw(runs, pictures / "accumulation.png")


if __name__ == "__main__":
    main()
