"""What identifying and planning cost a task, beside dask's own materialising of the same graph.

    python benchmarks/planning.py --tasks 10000 --tasks 100000

Everything is measured in one process, in its CPU time, on delayed trees built anew for each
repetition, with the store left out: its look-ups are counted, not timed. Medians are printed.
What dask does with a graph before it runs is to materialise and to order it; with this client
the materialising moves from the scheduler to the client.
"""

from __future__ import annotations

import gc
import json
import statistics
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import click
import dask
from dask.base import collections_to_expr, flatten
from dask.order import order
from rich.console import Console
from rich.table import Table

from cachingclient.client.rewrite import rewrite
from cachingclient.graph import lower
from cachingclient.hashing.environment.environment import Environment
from cachingclient.hashing.inputs.inputs import Inputs
from cachingclient.hashing.step_keys import Merkle
from cachingclient.plan.planner import make_plan
from cachingclient.plan.policy import find_policy
from cachingclient.plan.steps import Constraints
from cachingclient.storage import EntryInfo, open_store
from cachingclient.worker.context import Context

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


def tree(tasks: int) -> Any:
    """A delayed tree of about so many tasks: three steps a chunk, merged ten at a time."""
    chunks = max(int(tasks / (STEPS_PER_CHUNK + 1 / (FAN_IN - 1))), 1)
    calls = [dask.delayed(step) for step in (load, select, fill, merge)]
    level = [calls[2](calls[1](calls[0](number), 30.0), "jets") for number in range(chunks)]
    while len(level) > 1:
        level = [calls[3](level[start : start + FAN_IN]) for start in range(0, len(level), FAN_IN)]
    return level[0]


class Lookups:
    """A store's look-up that finds nothing, or what it is told, and counts its calls."""

    def __init__(self, known: Mapping[str, EntryInfo] | None = None) -> None:
        self.known = known or {}
        self.calls = 0

    def __call__(self, keys: Iterable[str]) -> dict[str, EntryInfo]:
        self.calls += 1
        return {key: self.known[key] for key in keys if key in self.known}


@dataclass(frozen=True, slots=True)
class Costs:
    """Microseconds a task; `planning` holds the hashing, `warm` is planning when all was kept."""

    tasks: int
    materialising: float
    ordering: float
    hashing: float
    planning: float
    rewriting: float
    warm: float
    lookups: int

    @property
    def total(self) -> float:
        """What a run pays before anything is sent, beyond the materialising that dask does anyway."""
        return self.planning + self.rewriting


def timed(call: Callable[[], Any]) -> tuple[float, Any]:
    gc.collect()
    start = time.process_time()
    result = call()
    return time.process_time() - start, result


def a_merkle() -> Merkle:
    return Merkle({}, Inputs(), Environment())


def measure_once(tasks: int) -> Costs:
    expression = collections_to_expr([tree(tasks)]).optimize()
    wanted = list(flatten(expression.__dask_keys__()))
    context = Context("benchmark", open_store("memory://planning"), find_policy("auto"), Environment(), "stat")
    materialising, lowered = timed(lambda: lower(expression))
    ordering, _ = timed(lambda: order(lowered.nodes))
    hashing, identities = timed(lambda: a_merkle().steps(lowered.nodes, wanted))
    cold = Lookups()
    planning, plan = timed(lambda: make_plan(lowered, wanted, a_merkle(), cold, Constraints()))
    rewriting, _ = timed(lambda: rewrite(plan, lowered, context, {}))
    top = identities[wanted[0]].key
    assert top is not None
    entry = EntryInfo(top.hex(), "result", "merge", "pickle", top.hex(), 1, 0.0, 1.0, {}, b"x")
    kept = Lookups({entry.key: entry})
    warm, _ = timed(lambda: make_plan(lowered, wanted, a_merkle(), kept, Constraints()))
    count = len(lowered.nodes)
    spent = [seconds / count * 1e6 for seconds in (materialising, ordering, hashing, planning, rewriting, warm)]
    return Costs(count, *spent, cold.calls)


def measure(tasks: int, repeats: int) -> Costs:
    """The medians of some repetitions."""
    found = [measure_once(tasks) for _ in range(repeats)]
    fields = ("materialising", "ordering", "hashing", "planning", "rewriting", "warm")
    medians = [statistics.median(getattr(costs, name) for costs in found) for name in fields]
    return Costs(found[0].tasks, *medians, found[0].lookups)


@click.command()
@click.option("--tasks", type=click.IntRange(min=1), multiple=True, default=(10_000, 100_000), show_default=True)
@click.option("--repeats", type=click.IntRange(min=1), default=3, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="JSON, in microseconds a task.")
def main(tasks: tuple[int, ...], repeats: int, as_json: bool) -> None:
    """Print what planning costs a task, beside dask's own materialising."""
    results = [measure(count, repeats) for count in tasks]
    if as_json:
        rows = [{name: getattr(costs, name) for name in Costs.__dataclass_fields__} for costs in results]
        click.echo(json.dumps(rows))
        return
    shown = Table(title="CPU microseconds a task", title_justify="left")
    shown.add_column("")
    for costs in results:
        shown.add_column(f"{costs.tasks:,} tasks", justify="right")
    rows = {
        "dask: materialise": "materialising",
        "dask: order": "ordering",
        "identify": "hashing",
        "identify and plan, nothing kept": "planning",
        "rewrite": "rewriting",
        "identify, plan and rewrite": "total",
        "identify and plan, all kept": "warm",
    }
    for title, name in rows.items():
        shown.add_row(title, *(f"{getattr(costs, name):.1f}" for costs in results))
    shown.add_row("look-ups, nothing kept", *(str(costs.lookups) for costs in results))
    Console().print(shown)


if __name__ == "__main__":
    main()
