"""Whatever rewrites a node keeps its key, its inputs and its result: random graphs of every kind of node."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping
from operator import add
from typing import Any

from dask._task_spec import Alias, DataNode, Dict, GraphNode, List, Set, Task, TaskRef, Tuple
from hypothesis import given
from hypothesis import strategies as st

from cachingclient.graph import Key, as_dask_sends, lower, taking, under_key, under_other_keys

KEYS: list[Key] = ["a", "b", ("a", 0), ("a", 1), 7, 0, "", ("x", ("y", 2)), b"raw", 1.5]


def together(*args: Any, **kwargs: Any) -> tuple[Any, ...]:
    return (*map(frozen, args), *((name, frozen(value)) for name, value in sorted(kwargs.items())))


def frozen(value: Any) -> Any:
    """A value that can stand in a set, and be compared."""
    if isinstance(value, dict):
        return tuple((frozen(key), frozen(each)) for key, each in value.items())
    if isinstance(value, (list, tuple)):
        return (type(value).__name__, *map(frozen, value))
    if isinstance(value, (set, frozenset)):
        return frozenset(map(frozen, value))
    return value


KINDS: dict[str, Callable[[Key, list[Any]], Any]] = {
    "task": lambda key, inputs: Task(key, together, *inputs, last=inputs[0]),
    "alias": lambda key, inputs: Alias(key, inputs[0]) if isinstance(inputs[0], TaskRef) else DataNode(key, 5),
    "alias of another name": lambda key, inputs: (
        Alias(inputs[0].key) if isinstance(inputs[0], TaskRef) else DataNode("of another name", 5)
    ),
    "data": lambda key, inputs: DataNode(key, 3),
    "value": lambda key, inputs: 4,
    "list": lambda key, inputs: List(*inputs),
    "tuple": lambda key, inputs: Tuple(*inputs),
    "dict": lambda key, inputs: Dict({"first": inputs[0], "all": List(*inputs)}),
    "set": lambda key, inputs: Set(Task(None, together, *inputs), 1),
    "nested": lambda key, inputs: Task(
        key, together, List(Dict({"x": inputs[0]}), Tuple(*inputs)), {"y": 2}, k=Task(None, together, *inputs)
    ),
    "legacy": lambda key, inputs: (add, (together, *map(plain, inputs)), ()),
    "legacy list": lambda key, inputs: [plain(inputs[0]), [plain(each) for each in inputs]],
    "legacy dict": lambda key, inputs: (together, {"z": plain(inputs[0])}),
}


def plain(argument: Any) -> Any:
    return argument.key if isinstance(argument, TaskRef) else argument


@st.composite
def graphs(draw: st.DrawFn) -> dict[Key, Any]:
    """A graph whose nodes take results of those before them."""
    keys = draw(st.permutations(KEYS))[: draw(st.integers(2, 8))]
    graph: dict[Key, Any] = {}
    for number, key in enumerate(keys):
        count = draw(st.integers(1, 3))
        inputs: list[Any] = [
            TaskRef(draw(st.sampled_from(keys[:number]))) if number and draw(st.booleans()) else f"value {each}"
            for each in range(count)
        ]
        graph[key] = KINDS[draw(st.sampled_from(sorted(KINDS)))](key, inputs)
    return graph


def results(nodes: Mapping[Key, GraphNode]) -> dict[Key, Any]:
    """What the nodes give, each computed from those before it."""
    found: dict[Key, Any] = {}
    for key, node in nodes.items():
        found[key] = node({each: found[each] for each in node.dependencies})
    return {key: frozen(value) for key, value in found.items()}


@given(graphs())
def test_every_node_is_under_its_own_key(graph: dict[Key, Any]) -> None:
    """A lowered graph has each node under its own key, also where dask has it under another."""
    nodes = lower(as_dask_sends(graph)).nodes
    assert nodes.keys() == graph.keys()
    assert all(node.key == key and type(node.key) is type(key) for key, node in nodes.items())
    assert results(pickle.loads(pickle.dumps(nodes))) == results(nodes)


@given(graphs(), st.data())
def test_inputs_under_other_keys(graph: dict[Key, Any], data: st.DataObject) -> None:
    """A node that takes its inputs under other keys has the key, the kind and the result that it had."""
    nodes = lower(as_dask_sends(graph)).nodes
    renamed = data.draw(st.sets(st.sampled_from(list(nodes))))
    names: dict[Key, Key] = {key: ("new", str(key)) for key in renamed}
    changed = {key: taking(node, names) for key, node in nodes.items()}
    for key, node in nodes.items():
        assert changed[key].key == key
        assert type(changed[key]) is type(node)
        assert changed[key].dependencies == {names.get(each, each) for each in node.dependencies}
    moved = {names.get(key, key): under_key(node, names.get(key, key)) for key, node in changed.items()}
    assert {key: node.key for key, node in moved.items()} == {key: key for key in moved}
    assert results(moved) == {names.get(key, key): value for key, value in results(nodes).items()}


@given(graphs(), st.data())
def test_copies_under_other_keys(graph: dict[Key, Any], data: st.DataObject) -> None:
    """Copies under other keys leave the nodes as they were."""
    lowered = lower(as_dask_sends(graph))
    before = results(lowered.nodes)
    copied = data.draw(st.sampled_from(list(lowered.nodes)))
    nodes, _ = under_other_keys(lowered, {copied: "copy"})
    assert nodes["copy"].key == "copy"
    assert nodes[copied].key == copied
    assert results(nodes) == {**before, "copy": before[copied]}
