"""Which kept results are read by the steps that take them, instead of by tasks of their own."""

from __future__ import annotations

from operator import add
from typing import Any

import pytest

from cachingclient.client.inline_loads import find_inline_loads
from cachingclient.graph import Alias, GraphNode, Key, Task, TaskGraph, TaskRef
from cachingclient.hashing.step_keys import Merkle
from cachingclient.plan.plan import Plan
from cachingclient.plan.planner import make_plan
from cachingclient.plan.steps import Constraints
from cachingclient.storage import EntryInfo, open_store

COUNT = 6


def planned(nodes: dict[Key, GraphNode], found: dict[str, int], wanted: str = "top", **annotations: Any) -> Any:
    """Which steps read what, if the steps found have results of so many bytes."""
    keys = {step.key.hex(): key for key, step in Merkle({}).steps(nodes, [wanted]).items() if step.key}

    def find(asked: Any) -> dict[str, EntryInfo]:
        return {
            key: EntryInfo(key, "result", keys[key], "numpy", "", found[keys[key]], 0.0, 1.0, {})
            for key in asked
            if keys.get(key) in found
        }

    lowered = TaskGraph(nodes, annotations)
    plan: Plan = make_plan(lowered, [wanted], Merkle({}), find, Constraints())
    inside = find_inline_loads(plan, lowered, open_store("memory://inside"))
    return {key: sorted(reads) for key, reads in inside.items()}


def graph(top: str = "top", takers: int = 1) -> dict[Key, GraphNode]:
    """Two inputs, both taken by a number of steps that meet in one."""
    nodes: list[GraphNode] = [Task("a", add, 1, 2), Task("b", add, 3, 4)]
    names = [top] if takers == 1 else [f"taker-{number}" for number in range(takers)]
    nodes += [Task(name, add, TaskRef("a"), TaskRef("b"), number) for number, name in enumerate(names)]
    if takers > 1:
        nodes.append(Task(top, sum, *map(TaskRef, names)))
    return {node.key: node for node in nodes}


def test_one_taker_reads_its_inputs() -> None:
    """What is found and one step takes is read there, however large: it has to be there anyway."""
    assert planned(graph(), {"a": 10, "b": 10**10}) == {"top": ["a", "b"]}
    assert planned(graph(), {"b": 10}) == {"top": ["b"]}


def test_few_takers_of_little_read_it_each() -> None:
    """A small result is read again by each of a few steps; a large one is read once, by a task of its own."""
    assert planned(graph(takers=2), {"a": 10, "b": 10**9}) == {"taker-0": ["a"], "taker-1": ["a"]}
    assert planned(graph(takers=500), {"a": 10**6, "b": 10**6}) == {}


def test_what_is_asked_for_is_a_task() -> None:
    """A result that is found and wanted is nobody's input."""
    assert planned(graph(), {"a": 10, "top": 10}) == {}


@pytest.mark.parametrize(
    ("annotations", "reads"),
    [
        ({"workers": {"a": ["one"]}}, ["b"]),
        ({"resources": {"a": {"GPU": 1}, "top": {"GPU": 2}}}, ["b"]),
        ({"resources": {"a": {"GPU": 1}, "top": {"GPU": 1}}}, ["a", "b"]),
        ({"workers": {"top": ["one"]}}, ["a", "b"]),
        ({"retries": {"a": 3}, "priority": {"b": 1}}, ["a", "b"]),
    ],
)
def test_what_only_some_workers_may_read(annotations: dict[str, Any], reads: list[str]) -> None:
    """A load that is bound to workers goes into a step only if that is bound to the same."""
    assert planned(graph(), {"a": 10, "b": 10}, **annotations) == {"top": reads}


def test_takers_that_are_no_steps() -> None:
    """What dask itself takes has to be a task."""
    nodes: dict[Key, GraphNode] = graph() | {"alias": Alias("alias", "a"), "last": Task("last", abs, TaskRef("alias"))}
    nodes["end"] = Task("end", max, TaskRef("last"), TaskRef("top"))
    assert planned(nodes, {"a": 10, "b": 10}, "end") == {"top": ["b"]}
