"""Graphs in and out of dask's expressions: nothing is lost on the way, and nothing is done twice."""

from __future__ import annotations

from collections.abc import Callable
from operator import add
from typing import Any

import dask
import dask.array as da
import dask.bag as db
import numpy as np
import pytest
from dask._expr import FinalizeCompute, LLGExpr
from dask._task_spec import Task, TaskRef
from dask.base import collections_to_expr

from cachingclient.graph import (
    EXPRESSIONS,
    Alias,
    DataNode,
    TaskGraph,
    execute_subgraph,
    lower,
    moves_data,
    runs_as_it_is,
    to_dask,
    with_function,
)


def increment(x: Any) -> Any:
    return x + 1


async def later(x: int) -> int:
    return x


def lowered(*collections: Any) -> TaskGraph:
    return lower(FinalizeCompute(collections_to_expr(collections, True)).optimize())


COLLECTIONS: list[Callable[[], Any]] = [
    lambda: dask.delayed(increment)(dask.delayed(increment)(1)),
    lambda: (da.ones((4, 4), chunks=2) + 1).sum(),
    lambda: db.from_sequence(range(5), npartitions=2).map(increment).sum(),
]


@pytest.mark.parametrize("make", COLLECTIONS, ids=["delayed", "array", "bag"])
def test_there_and_back(make: Callable[[], Any]) -> None:
    """A graph that is lowered, raised and lowered again has the same nodes and the same inputs."""
    first = lowered(make())
    second = lower(to_dask(dict(first.nodes), first.annotations))
    assert second.nodes.keys() == first.nodes.keys()
    for key, node in first.nodes.items():
        assert second.nodes[key].dependencies == node.dependencies
        assert type(second.nodes[key]) is type(node)


def test_legacy_tuples() -> None:
    """Graphs of tuples become tasks, data and aliases."""
    nodes = lower(LLGExpr({"a": 1, "b": (add, "a", 1), "c": "b", "d": (sum, ["a", ("pair", 0)]), ("pair", 0): 2})).nodes
    assert isinstance(nodes["a"], DataNode)
    assert isinstance(nodes["c"], Alias)
    assert nodes["b"].dependencies == {"a"}
    assert nodes["d"].dependencies == {"a", ("pair", 0)}


def test_annotations_by_key() -> None:
    """Each key keeps its own annotations, and keys without any have none."""
    with dask.annotate(priority=3, retries=2):
        first = dask.delayed(increment)(1)
    second = dask.delayed(increment)(first)
    found = lowered(second).annotations
    assert found["priority"] == {first.key: 3}
    assert found["retries"] == {first.key: 2}
    nodes = lowered(second).nodes
    raised = to_dask(dict(nodes), found)
    assert {kind: dict(values) for kind, values in raised.__dask_annotations__().items()} == found


def test_annotations_that_differ_by_key() -> None:
    """Of two annotated regions each keeps its value on the way back."""
    with dask.annotate(priority=1):
        one = dask.delayed(increment)(1)
    with dask.annotate(priority=2, retries=5):
        two = dask.delayed(increment)(2)
    found = lowered(dask.delayed(add)(one, two))
    again = lower(to_dask(dict(found.nodes), found.annotations)).annotations
    assert {key: value for key, value in again["priority"].items() if value is not None} == {one.key: 1, two.key: 2}
    assert {key: value for key, value in again["retries"].items() if value is not None} == {two.key: 5}


def test_annotations_of_nodes_that_are_gone() -> None:
    """Annotations of nodes that are no longer sent are left out."""
    task = Task("kept", increment, 1)
    raised = to_dask({"kept": task}, {"priority": {"kept": 1, "gone": 2}})
    assert lower(raised).nodes.keys() == {"kept"}
    assert {kind: dict(values) for kind, values in raised.__dask_annotations__().items()} == {"priority": {"kept": 1}}


def test_with_function_changes_nothing_else() -> None:
    """A task with another function has the same key, inputs and arguments, and runs."""
    task = Task("t", add, TaskRef("a"), 2)
    changed = with_function(task, lambda first, second: first * second)
    assert (changed.key, changed.dependencies) == ("t", frozenset({"a"}))
    assert changed({"a": 5}) == 10
    assert task({"a": 5}) == 7
    assert "t" in repr(changed)


def test_array_graphs_are_fused() -> None:
    """Elementwise operations on an array arrive as fused tasks, which are looked into."""
    nodes = lowered((da.ones(8, chunks=4) + 1) * 2 - 3).nodes
    assert any(isinstance(node, Task) and node.func is execute_subgraph for node in nodes.values())
    assert np.array_equal(((da.ones(8, chunks=4) + 1) * 2 - 3).compute(scheduler="sync"), np.ones(8))


def test_what_the_scheduler_must_see_itself() -> None:
    """Coroutine functions and parts of distributed are not wrapped; a user's functions are."""
    from distributed import wait

    assert runs_as_it_is(later)
    assert runs_as_it_is(wait)
    assert not runs_as_it_is(increment)


class Unnamed:
    """A value that takes for ever to be named by dask."""

    def __dask_tokenize__(self) -> Any:
        raise AssertionError("it was looked into")


@pytest.mark.skipif(not EXPRESSIONS, reason="this dask has no expressions")
def test_what_is_sent_is_not_looked_into_for_a_name() -> None:
    """Dask names an expression by all that is in it, unless it is given a name: that takes longer than sending it."""
    sent = to_dask({"a": Task("a", increment, Unnamed())}, {})
    assert sent._name
    assert lower(sent).nodes.keys() == {"a"}


def test_ordinary_nodes_move_no_data() -> None:
    """Tasks, data and aliases are not taken for the barrier of a shuffle."""
    assert not any(map(moves_data, [Task("t", increment, 1), DataNode("d", 1), Alias("a", "b")]))
