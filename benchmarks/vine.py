"""What a cluster over two sites costs on the ttbar example, and what crosses between them.

    python benchmarks/vine.py --repeats 3

The sites are network namespaces of this machine, each 10 ms from the head: the two are 20 ms apart. That needs root,
iproute2 and nftables. In each repetition the same analysis runs on a plain LocalCluster of as many workers, on the
sites' workers with dask's own scheduler, and on a VineCluster; then 10,000 small tasks on the last. Bytes are those
that the workers wrote to each other, by their own logs.
"""

from __future__ import annotations

import contextlib
import logging
import statistics
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click
import psutil
from distributed import Client, LocalCluster, Scheduler, SpecCluster
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parents[1]
AGC = ROOT / "examples" / "agc"
sys.path[:0] = [str(AGC), str(ROOT / "benchmarks" / "agc"), str(ROOT)]

from assembly import build  # noqa: E402 - neither the example nor the tests are packages that are installed
from generator.make_data import make_data, usual_folder  # noqa: E402
from run import same  # noqa: E402
from samples import read_samples  # noqa: E402

from cachingclient.vine import VineCluster  # noqa: E402
from tests.services.sites import Sites  # noqa: E402

SITES = ("RAL", "Bristol")
DELAY = 10.0
SLOWER_AT_MOST = 1.05
CROSSING_AT_MOST = 0.25


@dataclass(frozen=True, slots=True)
class Run:
    """One run of the analysis."""

    seconds: float
    within: int
    across: int
    histograms: Any


def environment() -> list[str]:
    """What the workers' programs need: where the analysis is, and that their logs forget nothing."""
    return [
        "env",
        f"PYTHONPATH={AGC}:{ROOT}",
        "DASK_DISTRIBUTED__ADMIN__LOW_LEVEL_LOG_LENGTH=1000000",
        "DASK_DISTRIBUTED__LOGGING__DISTRIBUTED=error",
    ]


@contextlib.contextmanager
def vine(far: Sites, workers: int) -> Iterator[VineCluster]:
    """A cluster over the two sites."""
    described = {
        site: {"workers": workers, "how": "command", "options": {"commands": [far[site].command(environment())]}}
        for site in SITES
    }
    with VineCluster(described, host=far["head"].address, silence_logs=logging.ERROR) as cluster:
        yield cluster


@contextlib.contextmanager
def plain(far: Sites, workers: int) -> Iterator[SpecCluster]:
    """The same workers, started in the same way, with dask's own scheduler."""
    with vine(far, 0) as pattern:
        options = {"host": pattern.host, "security": pattern.security, "protocol": "tls://", "dashboard": False}
        specs = {
            f"{name}-{number}": pattern.engine.spec(site)
            for name, site in pattern.sites.items()
            for number in range(workers)
        }
        with SpecCluster(specs, {"cls": Scheduler, "options": options}, security=pattern.security) as cluster:
            yield cluster


@contextlib.contextmanager
def local(far: Sites, workers: int) -> Iterator[LocalCluster]:
    """A plain cluster of as many workers, with nothing far."""
    with LocalCluster(n_workers=workers * len(SITES), threads_per_worker=1, dashboard_address=":0") as cluster:
        yield cluster


KINDS = {"LocalCluster": local, "dask's scheduler at the sites": plain, "VineCluster at the sites": vine}


def analyse(cluster: Any, samples: Any, chunk: int, workers: int) -> Run:
    """Run the analysis once; it was imported by the workers before."""
    with Client(cluster, set_as_default=False) as client:
        client.wait_for_workers(workers * len(SITES))
        client.run(__import__, "assembly")
        start = time.perf_counter()
        histograms = client.compute(build(samples, chunk)).result()
        seconds = time.perf_counter() - start
        return Run(seconds, *moved(client), histograms)


def moved(client: Client) -> tuple[int, int]:
    """The bytes that workers sent to others, within their site and across."""
    sent = client.run(lambda dask_worker: [(e["who"], e["compressed"]) for e in dask_worker.transfer_outgoing_log])
    workers = client.scheduler_info(n_workers=-1)["workers"]
    site = {address: str(info["name"]).rpartition("-")[0] for address, info in workers.items()}
    found = {True: 0, False: 0}
    for here, log in sent.items():
        for there, nbytes in log:
            if there in site:
                found[site[here] == site[there]] += nbytes
    return found[True], found[False]


def many(far: Sites, workers: int, tasks: int) -> str:
    """Run many tasks in ten parts on one cluster; say how quick it was, and what was left of them."""
    own = psutil.Process()
    with vine(far, workers) as cluster, Client(cluster, set_as_default=False) as client:
        client.wait_for_workers(workers * len(SITES))
        seen = []
        start = time.perf_counter()
        for part in range(10):
            assert sum(client.gather(client.map(int, range(part, tasks // 10 + part), pure=False))) > 0
            seen.append((len(own.children(recursive=True)), own.memory_info().rss / 1e6))
        rate = tasks / (time.perf_counter() - start)
        held = len(cluster.scheduler.tasks)
    (processes, memory), (processes_after, memory_after) = seen[1], seen[-1]
    return (
        f"{rate:,.0f} tasks a second; {held} tasks held at the end; processes {processes} -> {processes_after}, "
        f"memory here {memory:.0f} -> {memory_after:.0f} MB between {tasks // 5:,} and {tasks:,} tasks"
    )


def show(runs: dict[str, list[Run]], console: Console) -> None:
    table = Table(title="the ttbar example, medians", title_justify="left")
    for title in ("", "seconds", "within sites", "across"):
        table.add_column(title, justify="left" if not title else "right")
    for kind, found in runs.items():
        bytes_moved = [
            f"{statistics.median(getattr(run, way) for run in found) / 1e6:.2f} MB" for way in ("within", "across")
        ]
        if kind == "LocalCluster":
            bytes_moved = ["", ""]
        table.add_row(kind, f"{statistics.median(run.seconds for run in found):.2f}", *bytes_moved)
    console.print(table)
    first, second, third = runs.values()
    slower = statistics.median(v.seconds / p.seconds for v, p in zip(third, first, strict=True))
    crossing = sum(run.across for run in third) / max(sum(run.across for run in second), 1)
    equal = all(same(run.histograms, first[0].histograms) for found in runs.values() for run in found)
    console.print(f"VineCluster against LocalCluster: {slower - 1:+.1%} (at most {SLOWER_AT_MOST - 1:+.0%})")
    console.print(f"bytes across, against dask's scheduler: {crossing:.3f} (at most {CROSSING_AT_MOST})")
    console.print(f"histograms: {'equal' if equal else '[bold red]NOT EQUAL[/]'}")


@click.command()
@click.option("--repeats", type=click.IntRange(min=1), default=3, show_default=True)
@click.option("--scale", type=click.FloatRange(min=0, min_open=True), default=1.0, help="1: 200,000 events.")
@click.option("--chunk", type=click.IntRange(min=1), default=4000, show_default=True, help="Events of a chunk.")
@click.option("--workers", type=click.IntRange(min=1), default=1, show_default=True, help="Of each site.")
@click.option(
    "--tasks", type=click.IntRange(min=100), default=10_000, show_default=True, help="Of the many small ones."
)
def main(repeats: int, scale: float, chunk: int, workers: int, tasks: int) -> None:
    """Compare a cluster over two sites with a local one, and with dask's own scheduler at the same sites."""
    console = Console(width=None if sys.stdout.isatty() else 120)
    samples = read_samples(make_data(usual_folder(scale), scale, console))
    runs: dict[str, list[Run]] = {kind: [] for kind in KINDS}
    with (
        TemporaryDirectory(prefix="vine-benchmark-") as folder,
        Sites(Path(folder), dict.fromkeys(SITES, DELAY)) as far,
    ):
        for number in range(repeats):
            for kind, opened in KINDS.items():
                with far["head"].entered(), opened(far, workers) as cluster:
                    runs[kind].append(analyse(cluster, samples, chunk, workers))
                console.print(f"{number + 1}: {kind:<30} {runs[kind][-1].seconds:7.2f} s")
        show(runs, console)
        with far["head"].entered():
            console.print(many(far, workers, tasks))


if __name__ == "__main__":
    main()
