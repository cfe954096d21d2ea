"""What calls of the client cost beside dask's own: handing work over, and its way to the end, cold and warm.

    python benchmarks/calls.py

A plain client, a `DiracClient` with an empty store and one whose store has all results take turns on one cluster; but
for the last, each call has arguments of its own. Handed over is what the calling thread waits for, with its own
processor time; then the futures are released. To the end is what a user waits for with the results, with the processor
time of the client's process, the scheduler in it included, and of the workers. What dask does with a graph at the
scheduler, materialising it, the client does itself here: its hand-over has that in it, and the scheduler's part is
smaller by it.
"""

from __future__ import annotations

import itertools
import json
import operator
import os
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import click
import dask
import psutil
from _pairs import Pairs, Spent, measure_pairs
from distributed import Client, LocalCluster
from planning import tree
from rich.console import Console
from rich.table import Table

from cachingclient import CacheWarning, DiracClient

KEPT = 0
"""The argument of the calls whose results are kept; others have one that no call had before."""
FORGOTTEN_AFTER = 120.0
"""Seconds to wait at most until the scheduler has forgotten what was released."""
_fresh = itertools.count(1)
Send = Callable[[], list[Any]]
Call = Callable[[int, int, Client], Send]
"""Takes a size, an argument and a client, and returns what is measured."""


def nothing(number: int, salt: int) -> int:
    return number


def ten_milliseconds(number: int, salt: int) -> int:
    time.sleep(0.01)
    return number


def submits(count: int, salt: int, client: Client) -> Send:
    """Call submit so many times."""
    return lambda: [client.submit(nothing, number, salt) for number in range(count)]


def maps(function: Callable[[int, int], int], count: int, salt: int, client: Client) -> Send:
    """Map a function over so many numbers."""
    return lambda: client.map(function, range(count), [salt] * count)


def graphs(tasks: int, salt: int, client: Client) -> Send:
    """Send a delayed tree of so many tasks, which was built before."""
    salted = dask.delayed(operator.add)(tree(tasks), salt)
    return lambda: [client.compute(salted)]


def processor() -> float:
    """The processor seconds of this process and its workers so far."""
    own = psutil.Process()
    spent = 0.0
    for process in (own, *own.children(recursive=True)):
        times = process.cpu_times()
        spent += times.user + times.system
    return spent


def handed_over(call: Callable[[Client], Send], client: Client) -> Spent:
    """What the calling thread waits and works until the call returns; then nobody wants the results."""
    send = call(client)
    start, worked = time.perf_counter(), time.thread_time()
    futures = send()
    spent = Spent(time.perf_counter() - start, time.thread_time() - worked)
    del futures
    end = time.monotonic() + FORGOTTEN_AFTER
    while client.run_on_scheduler(_tasks) and time.monotonic() < end:
        time.sleep(0.05)
    return spent


def _tasks(dask_scheduler: Any) -> int:
    return len(dask_scheduler.tasks)


def to_the_end(call: Callable[[Client], Send], client: Client) -> Spent:
    """What passes until the results are there, in all processes."""
    send = call(client)
    start, worked = time.perf_counter(), processor()
    client.gather(send())
    return Spent(time.perf_counter() - start, processor() - worked)


@dataclass(frozen=True)
class Case:
    """What is measured: how, of which call, how many, and how many times plain's wait was asked for."""

    title: str
    spend: Callable[[Callable[[Client], Send], Client], Spent]
    call: Call
    count: int
    at_most: float

    def measure(self, cluster: LocalCluster, repeats: int, seconds: float) -> Pairs:
        """Interleave the three clients, after a small call of each that does not count."""
        end = time.monotonic() + seconds
        with clients(cluster) as (plain, cold, warm):
            for client in (plain, cold):
                self.spend(partial(self.call, self.count // 50 + 1, next(_fresh)), client)
            warm.gather(self.call(self.count, KEPT, warm)())
            warm.flush()
            return measure_pairs(
                lambda: self.spend(partial(self.call, self.count, next(_fresh)), plain),
                {
                    "cold": lambda: self.spend(partial(self.call, self.count, next(_fresh)), cold),
                    "warm": lambda: self.spend(partial(self.call, self.count, KEPT), warm),
                },
                repeats,
                say=lambda line: None,
                seconds=end - time.monotonic(),
            )


@contextmanager
def clients(cluster: LocalCluster) -> Iterator[tuple[Client, Client, Client]]:
    """A plain client, one with an empty store, and one that keeps whatever it computes."""
    with (
        tempfile.TemporaryDirectory() as empty,
        tempfile.TemporaryDirectory() as full,
        Client(cluster, set_as_default=False) as plain,
        DiracClient(cluster, cache=f"file://{empty}", set_as_default=False) as cold,
        DiracClient(cluster, cache=f"file://{full}", policy="all", set_as_default=False) as warm,
    ):
        yield plain, cold, warm


def cases(scale: float) -> list[Case]:
    """All that is measured, with a part of the sizes."""
    some, many, most = (max(2, int(count * scale)) for count in (1_000, 5_000, 10_000))
    empty, slow = partial(maps, nothing), partial(maps, ten_milliseconds)
    return [
        Case(f"{some:,} submits, handed over", handed_over, submits, some, 1.5),
        Case(f"a map of {many:,}, handed over", handed_over, empty, many, 1.5),
        Case(f"a graph of {most:,} tasks, handed over", handed_over, graphs, most, 1.5),
        Case(f"{some:,} submits of empty tasks, to their end", to_the_end, submits, some, 1.1),
        Case(f"a map of {many:,} empty tasks, to its end", to_the_end, empty, many, 1.1),
        Case(f"a map of {some:,} tasks of 10 ms, to its end", to_the_end, slow, some, 1.02),
    ]


def table_of(found: dict[Case, Pairs]) -> Table:
    """A row for each case and store: medians of the repetitions, and the quarters around them."""
    caption = "medians, and the quarters around them; cold: an empty store; warm: all results are kept"
    shown = Table(caption=caption, caption_justify="left")
    for column in ("", "store", "waited, plain = 1", "at most", "processor time, plain = 1", "plain waits", "counted"):
        shown.add_column(column)
    for case, pairs in found.items():
        for store in pairs.others:
            waited = pairs.ratio(store, "seconds")
            wanted = f"{case.at_most:.2f}{'' if waited.median <= case.at_most else ' not reached'}"
            counted = f"{len(pairs.plain)}, {pairs.dropped} dropped"
            processor_time, plain = str(pairs.ratio(store)), f"{pairs.plain_time('seconds')} s"
            shown.add_row(case.title, store, str(waited), wanted, processor_time, plain, counted)
        shown.add_section()
    return shown


@click.command()
@click.option("--repeats", type=click.IntRange(min=1), default=7, show_default=True, help="Repetitions that count.")
@click.option("--minutes", type=click.FloatRange(min=0), default=5.0, show_default=True, help="Begin no more after.")
@click.option("--scale", type=click.FloatRange(min=0, min_open=True), default=1.0, help="A part of the sizes.")
@click.option("--only", multiple=True, help="Measure those whose title has these words.")
@click.option("--json", "as_json", is_flag=True, help="All figures as JSON.")
def main(repeats: int, minutes: float, scale: float, only: tuple[str, ...], as_json: bool) -> None:
    """Print what calls cost beside a plain client's, and what is not reached."""
    warnings.simplefilter("ignore", CacheWarning)
    end = time.monotonic() + 60 * minutes
    found: dict[Case, Pairs] = {}
    wanted = [case for case in cases(scale) if not only or any(words in case.title for words in only)]
    with LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=":0") as cluster:
        for number, case in enumerate(wanted):
            left = max(0.0, end - time.monotonic())
            try:
                found[case] = case.measure(cluster, repeats, left / (len(wanted) - number))
            except RuntimeError as error:
                print(f"{case.title}: not measured, {error}", file=sys.stderr)
    if as_json:
        print(json.dumps({case.title: pairs.as_dict() for case, pairs in found.items()}))
        return
    Console(width=None if sys.stdout.isatty() else 200).print(table_of(found))
    print(f"load of the machine in the last minute: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")


if __name__ == "__main__":
    main()
