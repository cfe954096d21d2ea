"""What calls of the client cost beside dask's own: handing work over, and its way to the end, cold and warm.

    python benchmarks/calls.py

A plain client, a `DiracClient` with an empty store and one whose store has all results take turns on one cluster; but
for the last, each call has arguments of its own. Handed over is what the calling thread waits for, with its own
processor time, while the scheduler puts it aside; then the futures are released. To the end is what a user waits for
with the results, with the processor time of the client's process, the scheduler in it included, and of the workers.
What dask does with a graph at the scheduler, materialising it, the client does itself here: its hand-over has that in
it, and the scheduler's part is smaller by it.

A run makes its call as often as plain has to for half a second of processor time, since what takes less differs by more
than a tenth from run to run.
"""

from __future__ import annotations

import functools
import itertools
import json
import math
import operator
import os
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
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
LEAST = 0.5
"""Seconds of processor time that a run of plain's takes at least."""
ROOM = 1.2
"""How much more is planned than that: calls take less once all is warm."""
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


_tree = functools.cache(tree)


def graphs(tasks: int, salt: int, client: Client) -> Send:
    """Send a delayed tree of so many tasks, which was built once; its last task is another one each time."""
    salted = dask.delayed(operator.add)(_tree(tasks), salt)
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
    return spent


@contextmanager
def graphs_put_aside(cluster: LocalCluster) -> Iterator[None]:
    """Have the scheduler, which is in the client's process here, do nothing with what it is sent."""
    handlers = cluster.scheduler.stream_handlers
    handle = handlers["update-graph"]
    handlers["update-graph"] = lambda **message: None
    try:
        yield
    finally:
        handlers["update-graph"] = handle


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
        """Interleave the three clients, after a call of each that does not count."""
        end = time.monotonic() + seconds
        with clients(cluster) as (plain, cold, warm):
            warm.gather(self.call(self.count, KEPT, warm)())
            warm.flush()
            with graphs_put_aside(cluster) if self.spend is handed_over else nullcontext():
                for client in (cold, plain):
                    self.run(client, self.count // 50 + 1)
                calls = math.ceil(LEAST * ROOM / self.run(plain, self.count).processor)
                return measure_pairs(
                    lambda: self.run(plain, self.count, calls),
                    {
                        "cold": lambda: self.run(cold, self.count, calls),
                        "warm": lambda: self.run(warm, self.count, calls, KEPT),
                    },
                    repeats,
                    say=lambda line: None,
                    seconds=end - time.monotonic(),
                )

    def run(self, client: Client, count: int, calls: int = 1, salt: int | None = None) -> Spent:
        """What a call takes so many times, with arguments that no call had before unless they are told."""
        salts = [next(_fresh) if salt is None else salt for _ in range(calls)]
        spent = [self.spend(partial(self.call, count, each), client) for each in salts]
        return Spent(sum(each.seconds for each in spent), sum(each.processor for each in spent))


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
    few, some, many = (max(2, int(count * scale)) for count in (200, 500, 1_000))
    empty, slow = partial(maps, nothing), partial(maps, ten_milliseconds)
    return [
        Case(f"{few:,} submits, handed over", handed_over, submits, few, 1.5),
        Case(f"a map of {many:,}, handed over", handed_over, empty, many, 1.5),
        Case(f"a graph of {many:,} tasks, handed over", handed_over, graphs, many, 1.5),
        Case(f"{few:,} submits of empty tasks, to their end", to_the_end, submits, few, 1.1),
        Case(f"a map of {some:,} empty tasks, to its end", to_the_end, empty, some, 1.1),
        Case(f"a map of {few:,} tasks of 10 ms, to its end", to_the_end, slow, few, 1.02),
    ]


def table_of(found: dict[Case, Pairs]) -> Table:
    """A row for each case and store: medians of the repetitions, and the quarters around them."""
    caption = "medians, and the quarters around them; cold: an empty store; warm: all results are kept"
    shown = Table(caption=caption, caption_justify="left")
    for column in (
        "",
        "store",
        "waited, plain = 1",
        "at most",
        "processor time, plain = 1",
        "plain waits, works",
        "counted",
    ):
        shown.add_column(column)
    for case, pairs in found.items():
        for store in pairs.others:
            waited = pairs.ratio(store, "seconds")
            wanted = f"{case.at_most:.2f}{'' if waited.median <= case.at_most else ' not reached'}"
            counted = f"{len(pairs.plain)}, {pairs.dropped} dropped"
            plain = f"{pairs.plain_time('seconds').median:.2f} s, {pairs.plain_time().median:.2f} s"
            shown.add_row(case.title, store, str(waited), wanted, str(pairs.ratio(store)), plain, counted)
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
