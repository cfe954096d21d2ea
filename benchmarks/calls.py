"""What calls of the client cost beside dask's own: handing work over, and its way to the end.

    python benchmarks/calls.py --repeats 7

A plain client and a `DiracClient` with an empty store take turns on one cluster, each time with arguments of their own,
so that nothing is a hit. Handed over is what the calling thread waits for, with its own processor time; to the end is
what a user waits for with the results, with the processor time of the client's process, the scheduler in it included,
and of the workers. What dask does with a graph at the scheduler, materialising it, the client does itself here: its
hand-over has that in it, and the scheduler's part is smaller by it.
"""

from __future__ import annotations

import functools
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
from typing import Any

import click
import dask
import psutil
from _pairs import Pairs, Spent, measure_pairs
from distributed import Client, LocalCluster
from planning import tree
from rich.console import Console

from cachingclient import CacheWarning, DiracClient

_fresh = itertools.count(1)
"""Arguments that no call had before."""
Call = Callable[[Client], Any]


def nothing(number: int, salt: int) -> int:
    return number


def ten_milliseconds(number: int, salt: int) -> int:
    time.sleep(0.01)
    return number


def submits(count: int, client: Client) -> list[Any]:
    """Call submit so many times."""
    salt = next(_fresh)
    return [client.submit(nothing, number, salt) for number in range(count)]


def maps(function: Callable[[int, int], int], count: int, client: Client) -> list[Any]:
    """Map a function over so many numbers."""
    return client.map(function, range(count), [next(_fresh)] * count)


def graphs(tasks: int, client: Client) -> list[Any]:
    """Send a delayed tree of so many tasks."""
    salted = dask.delayed(operator.add)(tree(tasks), next(_fresh))
    return [client.compute(salted)]


@contextmanager
def clients(cluster: LocalCluster) -> Iterator[dict[str, Client]]:
    """A plain client and one with an empty store."""
    with (
        tempfile.TemporaryDirectory() as store,
        Client(cluster, set_as_default=False) as plain,
        DiracClient(cluster, cache=f"file://{store}", set_as_default=False) as ours,
    ):
        yield {"plain": plain, "DiracClient": ours}


def processor() -> float:
    """The processor seconds of this process and its workers so far."""
    own = psutil.Process()
    spent = 0.0
    for process in (own, *own.children(recursive=True)):
        times = process.cpu_times()
        spent += times.user + times.system
    return spent


def handed_over(call: Call, client: Client) -> Spent:
    """What the calling thread waits and works until the call returns."""
    start, worked = time.perf_counter(), time.thread_time()
    futures = call(client)
    spent = Spent(time.perf_counter() - start, time.thread_time() - worked)
    client.gather(futures)
    return spent


def to_the_end(call: Call, client: Client) -> Spent:
    """What passes until the results are there, in all processes."""
    start, worked = time.perf_counter(), processor()
    client.gather(call(client))
    return Spent(time.perf_counter() - start, processor() - worked)


def measure(cluster: LocalCluster, spend: Callable[[Call, Client], Spent], call: Call, repeats: int) -> Pairs:
    """Interleave the two clients, after one call of each that does not count."""
    with clients(cluster) as both:
        for client in both.values():
            spend(call, client)
        plain, ours = (functools.partial(spend, call, client) for client in both.values())
        return measure_pairs(plain, {"DiracClient": ours}, repeats, 5 * repeats, say=lambda line: None)


@click.command()
@click.option("--repeats", type=click.IntRange(min=1), default=7, show_default=True, help="Repetitions that count.")
@click.option("--scale", type=click.FloatRange(min=0, min_open=True), default=1.0, help="A part of the sizes.")
@click.option("--only", multiple=True, help="Measure those whose title has these words.")
@click.option("--json", "as_json", is_flag=True, help="All figures as JSON.")
def main(repeats: int, scale: float, only: tuple[str, ...], as_json: bool) -> None:
    """Print what calls cost beside a plain client's, and what is not reached."""
    warnings.simplefilter("ignore", CacheWarning)
    many, some = int(5000 * scale), int(1000 * scale)
    cases: dict[str, tuple[Callable[[Call, Client], Spent], Call, float]] = {
        f"{some:,} submits, handed over": (handed_over, functools.partial(submits, some), 1.5),
        f"a map of {many:,}, handed over": (handed_over, functools.partial(maps, nothing, many), 1.5),
        f"a graph of {2 * many:,} tasks, handed over": (handed_over, functools.partial(graphs, 2 * many), 1.5),
        f"{some:,} submits of empty tasks, to their end": (to_the_end, functools.partial(submits, some), 1.1),
        f"a map of {many:,} empty tasks, to its end": (to_the_end, functools.partial(maps, nothing, many), 1.1),
        f"a map of {some:,} tasks of 10 ms, to its end": (
            to_the_end, functools.partial(maps, ten_milliseconds, some), 1.02,
        ),
    }  # fmt: skip
    found: dict[str, Pairs] = {}
    with LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=":0") as cluster:
        for title, (spend, call, wanted) in cases.items():
            if only and not any(words in title for words in only):
                continue
            try:
                found[title] = pairs = measure(cluster, spend, call, repeats)
            except RuntimeError as error:
                print(f"{title}: not measured, {error}", file=sys.stderr)
                continue
            if as_json:
                continue
            Console().print(pairs.table(title, {"DiracClient": wanted}))
            if (waited := pairs.ratio("DiracClient", "seconds").median) > wanted:
                print(f"not reached: {waited:.2f} times plain's wait, and {wanted} was asked for\n")
    if as_json:
        print(json.dumps({title: pairs.as_dict() for title, pairs in found.items()}))
    else:
        print(f"load of the machine in the last minute: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")


if __name__ == "__main__":
    main()
