"""What a task costs with each engine, and against what the libraries do by themselves.

    python benchmarks/engines.py --tasks 1000 --repeats 3

Small calls with every engine that can be had here, with TaskVine's own DaskVine beside engine ``taskvine``; then tasks
of 100 ms, beside a plain LocalCluster. Pools listen on every interface, so they run in a network namespace of their
own, which takes root and iproute2.
"""

from __future__ import annotations

import logging
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import click
import pytest
from distributed import Client, LocalCluster
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from cachingclient.vine import VineCluster
from cachingclient.vine.engines.pool.workers import LocalWorkers
from tests.vine.pools import ENGINES, place_for

SECONDS = 0.1
Rate = Callable[[Callable[[int], int], int], float]


def small(x: int) -> int:
    return x + 1


def long(x: int) -> int:
    time.sleep(SECONDS)
    return x + 1


@contextmanager
def through(client: Client, workers: int) -> Iterator[Rate]:
    """Tasks a second through a client."""

    def rate(function: Callable[[int], int], tasks: int) -> float:
        client.gather(client.map(function, range(4 * workers), pure=False))  # everything is up and has loaded
        start = time.perf_counter()
        assert client.gather(client.map(function, range(tasks), pure=False)) == [x + 1 for x in range(tasks)]
        return tasks / (time.perf_counter() - start)

    yield rate


@contextmanager
def engine(name: str, workers: int) -> Iterator[Rate]:
    """Tasks a second on a VineCluster."""
    with (
        VineCluster({"RAL": workers}, engine=name, silence_logs=logging.ERROR) as cluster,
        Client(cluster, set_as_default=False) as client,
        through(client, workers) as rate,
    ):
        yield rate


@contextmanager
def plain(workers: int) -> Iterator[Rate]:
    """Tasks a second on dask's own cluster."""
    with (
        LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster, set_as_default=False) as client,
        through(client, workers) as rate,
    ):
        yield rate


@contextmanager
def daskvine(workers: int) -> Iterator[Rate]:
    """Tasks a second with what TaskVine itself has for dask."""
    from ndcctools.taskvine import DaskVine

    with TemporaryDirectory() as folder, DaskVine(0, run_info_path=folder) as manager:
        command = ["vine_worker", "--cores=1", "--parent-death", "127.0.0.1", str(manager.port)]
        here = LocalWorkers(command, Path(folder) / "workers", {})
        here.resize(workers)

        def compute(function: Callable[[int], int], tasks: int) -> None:
            graph = {f"t{x}": (function, x) for x in range(tasks)}
            found = manager.get(graph, list(graph), task_mode="function-calls", progress_disable=True)
            assert list(found) == [x + 1 for x in range(tasks)]

        def rate(function: Callable[[int], int], tasks: int) -> float:
            compute(function, 4 * workers)
            start = time.perf_counter()
            compute(function, tasks)
            return tasks / (time.perf_counter() - start)

        try:
            yield rate
        finally:
            here.stop()


@click.command()
@click.option("--tasks", default=1000, show_default=True, help="Small calls in each run; of 100 ms a fifth.")
@click.option("--workers", default=2, show_default=True, help="Workers of one core.")
@click.option("--repeats", default=3, show_default=True)
@click.option("--engine", "only", type=click.Choice(ENGINES), multiple=True, help="These engines alone.")
def main(tasks: int, workers: int, repeats: int, only: tuple[str, ...]) -> None:
    """Print tasks a second."""
    longer = f"tasks of {SECONDS * 1000:.0f} ms a second"
    table = Table("what", "small calls a second", longer, title=f"{workers} workers")
    for name in only or ENGINES:
        with TemporaryDirectory() as folder:
            try:
                with place_for(name, Path(folder)):
                    _measure(table, f"engine {name}", engine(name, workers), tasks, repeats)
                    if name == "taskvine":
                        _measure(table, "DaskVine itself", daskvine(workers), tasks, repeats)
            except pytest.skip.Exception as reason:
                table.add_row(f"engine {name}", str(reason), "")
    _measure(table, "dask itself", plain(workers), tasks, repeats)
    Console().print(table)


def _measure(table: Table, what: str, opened: AbstractContextManager[Rate], tasks: int, repeats: int) -> None:
    with opened as rate:
        kinds = ((small, tasks), (long, tasks // 5))
        runs = [[rate(function, number) for _ in range(repeats)] for function, number in kinds]
    table.add_row(what, *(f"{statistics.median(rates):.1f} ({min(rates):.1f} to {max(rates):.1f})" for rates in runs))


if __name__ == "__main__":
    main()
