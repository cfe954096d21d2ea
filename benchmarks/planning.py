"""What planning costs a task, in processor time and memory, beside what dask does with the same graph.

    python benchmarks/planning.py --tasks 10000 --tasks 100000 --tasks 1000000

Each measurement is made in a new process, on a tree that is built there: what dask does (it materialises the
graph and orders it, at the scheduler), the parts of our planning, and all that `CachingClient` does with a graph until
dask's client sends it, which is left out. Nothing is kept; look-ups of the parts are counted, not timed. Times are
processor times of the thread; memory is the peak of what is resident beyond the user's own graph, which Linux counts.
Medians are printed. Dask's parts are measured as dask runs them, ours with the collector as `CachingClient` sets it.
"""

from __future__ import annotations

import gc
import json
import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor
from typing import Any
from unittest.mock import patch

import click
from dask._task_spec import List, convert_legacy_graph
from dask.base import collections_to_expr, flatten
from dask.delayed import Delayed
from dask.order import order
from distributed import Client, LocalCluster
from rich.console import Console
from rich.table import Table

from cachingclient import CachingClient
from cachingclient.client.collecting import collecting_rarely
from cachingclient.client.rewrite import rewrite
from cachingclient.graph import Task, TaskRef, lower
from cachingclient.hashing.environment.environment import Environment
from cachingclient.hashing.inputs.inputs import Inputs
from cachingclient.hashing.step_keys import Merkle
from cachingclient.plan.planner import make_plan
from cachingclient.plan.policy import find_policy
from cachingclient.plan.steps import Constraints
from cachingclient.storage import EntryInfo, open_store
from cachingclient.worker.context import Context
from cachingclient.worker.memory_peak import peak_since, reset_peak

STEPS_PER_CHUNK = 3
FAN_IN = 10


def load(number: int) -> int:
    return number


def select(number: int, cut: float) -> float:
    return number * cut


def fill(number: float, name: str) -> float:
    return number + len(name)


def merge(parts: list[float]) -> float:
    return sum(parts)


def tree(tasks: int) -> Delayed:
    """A tree of about so many tasks in one layer, as bags have them: three steps a chunk, merged ten at a time."""
    nodes: dict[str, Task] = {}

    def add(step: Callable[..., Any], *args: Any) -> TaskRef:
        key = f"{step.__name__}-{len(nodes):032x}"
        nodes[key] = Task(key, step, *args)
        return TaskRef(key)

    chunks = max(int(tasks / (STEPS_PER_CHUNK + 1 / (FAN_IN - 1))), 1)
    level = [add(fill, add(select, add(load, number), 30.0), "jets") for number in range(chunks)]
    while len(level) > 1:
        level = [add(merge, List(*level[start : start + FAN_IN])) for start in range(0, len(level), FAN_IN)]
    return Delayed(level[0].key, nodes)


class Lookups:
    """A store's look-up that finds nothing, or what it is told, and counts its calls."""

    def __init__(self, known: Mapping[str, EntryInfo] | None = None) -> None:
        self.known = known or {}
        self.calls = 0

    def __call__(self, keys: Iterable[str]) -> dict[str, EntryInfo]:
        self.calls += 1
        return {key: self.known[key] for key in keys if key in self.known}


Costs = dict[str, float]
"""Microseconds, or bytes, a task, by what they are for."""


def timed(call: Callable[[], Any]) -> tuple[float, Any]:
    gc.collect()
    start = time.thread_time()
    result = call()
    return time.thread_time() - start, result


def a_graph(tasks: int) -> tuple[Any, list[Any]]:
    expression = collections_to_expr([tree(tasks)]).optimize()
    wanted = list(flatten(expression.__dask_keys__()))
    gc.collect()
    return expression, wanted


def measure_dask(tasks: int) -> Costs:
    """What dask does with the graph before it runs."""
    expression, _ = a_graph(tasks)
    before = reset_peak()
    materialising, nodes = timed(lambda: convert_legacy_graph(expression.__dask_graph__()))
    ordering, _ = timed(lambda: order(nodes))
    costs = per_task(tasks, {"dask: materialise": materialising, "dask: order": ordering})
    return costs | {"dask: memory": (peak_since(before) or 0) / tasks}


def measure_parts(tasks: int) -> Costs:
    """The parts of planning."""
    expression, wanted = a_graph(tasks)
    context = Context("benchmark", open_store("memory://planning"), find_policy("auto"), Environment(), "stat")
    cold = Lookups()
    with collecting_rarely():
        materialising, lowered = timed(lambda: lower(expression))
        identifying, identities = timed(lambda: a_merkle().steps(lowered.nodes, wanted))
        planning, plan = timed(lambda: make_plan(lowered, wanted, a_merkle(), cold, Constraints()))
        rewriting, _ = timed(lambda: rewrite(plan, lowered, context, {}))
        top = identities[wanted[0]].key
        assert top is not None
        entry = EntryInfo(top.hex(), "result", "merge", "pickle", top.hex(), 1, 0.0, 1.0, {}, b"x")
        kept = Lookups({entry.key: entry})
        warm, _ = timed(lambda: make_plan(lowered, wanted, a_merkle(), kept, Constraints()))
    costs = {
        "materialise": materialising,
        "identify": identifying,
        "look up and decide": planning - identifying,
        "rewrite": rewriting,
        "identify and plan, all kept": warm,
    }
    return per_task(tasks, costs) | {"look-ups": cold.calls}


def measure_client(tasks: int) -> Costs:
    """All that the client does with a graph until dask's client would send it."""
    with (
        tempfile.TemporaryDirectory() as store,
        LocalCluster(n_workers=0, processes=False, dashboard_address=":0") as cluster,
        CachingClient(cluster, cache=store) as client,
        patch.object(Client, "_graph_to_futures", lambda *_, **__: {}),
    ):
        client._graph_to_futures(*a_graph(1))  # what is done once a client
        expression, wanted = a_graph(tasks)
        before = reset_peak()
        seconds, _ = timed(lambda: client._graph_to_futures(expression, wanted))
        return per_task(tasks, {"whole": seconds}) | {"memory": (peak_since(before) or 0) / tasks}


def a_merkle() -> Merkle:
    return Merkle({}, Inputs(), Environment())


def per_task(tasks: int, seconds: Mapping[str, float]) -> Costs:
    return {name: each / tasks * 1e6 for name, each in seconds.items()}


def measure(tasks: int, repeats: int) -> Costs:
    """The medians of some repetitions, each in processes of its own, one at a time."""
    found: dict[str, list[float]] = {}
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context, max_tasks_per_child=1) as pool:
        for _ in range(repeats):
            for measurement in (measure_dask, measure_parts, measure_client):
                for name, cost in pool.submit(measurement, tasks).result().items():
                    found.setdefault(name, []).append(cost)
    return {name: statistics.median(costs) for name, costs in found.items()}


ROWS = {
    "dask: materialise": "dask: materialise",
    "dask: order": "dask: order",
    "materialise": "materialise, at the client",
    "identify": "step keys",
    "look up and decide": "look up and decide, without the store",
    "rewrite": "wrap the tasks",
    "whole": "these and all else until dask's client sends it",
    "identify and plan, all kept": "step keys, look up and decide, all kept",
    "look-ups": "look-ups, nothing kept",
    "dask: memory": "dask: peak of memory beyond the graph, bytes",
    "memory": "peak of memory beyond the graph, bytes",
}


@click.command()
@click.option("--tasks", type=click.IntRange(min=1), multiple=True, default=(10_000, 100_000), show_default=True)
@click.option("--repeats", type=click.IntRange(min=1), default=3, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="JSON, in microseconds and bytes a task.")
def main(tasks: tuple[int, ...], repeats: int, as_json: bool) -> None:
    """Print what planning costs a task, beside what dask does with the same graph."""
    results = [{"tasks": count, **measure(count, repeats)} for count in tasks]
    if as_json:
        click.echo(json.dumps(results))
        return
    shown = Table(title="A task, in CPU microseconds", title_justify="left")
    shown.add_column("")
    for costs in results:
        shown.add_column(f"{costs['tasks']:,} tasks", justify="right")
    for name, title in ROWS.items():
        digits = 0 if name.endswith(("memory", "look-ups")) else 1
        shown.add_row(title, *(f"{costs[name]:,.{digits}f}" for costs in results))
    Console().print(shown)


if __name__ == "__main__":
    main()
