"""Dask's graphs in and out: the one room that knows dask's private API and its versions.

`lower` does on the client what the scheduler would do with a graph, once; `to_dask` makes of the rewritten graph what
the scheduler takes as it is. Everything between works on the plain `TaskGraph`. Dask sends expressions since
2025.4; up to 2025.3, the last release that dask-awkward runs on, it sends high-level graphs, already optimised.
"""

from __future__ import annotations

import copy
import inspect
import itertools
import os
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import dask
from dask import _expr
from dask._task_spec import Alias, DataNode, GraphNode, NestedContainer, Task, TaskRef, convert_legacy_graph
from dask._task_spec import Dict as DictNode
from dask._task_spec import Set as SetNode
from dask.base import flatten
from dask.highlevelgraph import HighLevelGraph, MaterializedLayer
from dask.typing import Key
from dask.utils import ensure_dict

from cachingclient.graph.nested_calls import (
    execute_subgraph,
    is_coroutine_function,
    runs_as_it_is,
    with_calls_apart,
)

EXPRESSIONS = hasattr(_expr, "HLGExpr")
_NAMED = EXPRESSIONS and "_determ_token" in inspect.signature(_expr.Expr.__new__).parameters
"""Whether an expression can be given a name: else dask makes one of all that is in it, which takes its time."""
_PROCESS, _numbers = uuid.uuid4().hex, itertools.count()
"""What names of expressions are made of: an identifier for each would be asked of the operating system."""
ALL_WORKERS: dict[str, Any] = {"n_workers": -1} if EXPRESSIONS else {}
"""What to ask a scheduler for all of its workers with: newer releases tell of some unless asked."""

__all__ = [
    "ALL_WORKERS",
    "Alias",
    "DataNode",
    "DictNode",
    "EXPRESSIONS",
    "GraphNode",
    "Key",
    "NestedContainer",
    "SetNode",
    "Task",
    "TaskGraph",
    "TaskRef",
    "annotated_as",
    "as_dask_sends",
    "execute_subgraph",
    "is_coroutine_function",
    "is_held",
    "is_impure_map",
    "is_of_single_calls",
    "lower",
    "lower_collections",
    "moves_data",
    "runs_as_it_is",
    "taking",
    "tells_nothing",
    "to_dask",
    "under_key",
    "under_other_keys",
    "with_function",
]


@dataclass(frozen=True, slots=True)
class TaskGraph:
    """A graph as the scheduler would see it.

    Attributes
    ----------
    nodes
        Every node by its key.
    annotations
        For each kind of annotation (``"priority"``, ``"resources"``, ``"cache"``, ...) its value by key.
    """

    nodes: Mapping[Key, GraphNode]
    annotations: Mapping[str, Mapping[Key, Any]]


def lower(graph: Any) -> TaskGraph:
    """Materialise what dask's client is about to send: an expression, or a high-level graph.

    Examples
    --------
    >>> from operator import add
    >>> lowered = lower(as_dask_sends({"a": 1, "b": (add, "a", 1)}))
    >>> sorted(lowered.nodes["b"].dependencies)
    ['a']
    """
    if hasattr(graph, "__dask_annotations__"):
        nodes = convert_legacy_graph(graph.__dask_graph__())
        annotations = {kind: dict(values) for kind, values in graph.__dask_annotations__().items()}
    else:
        graph = copy.copy(graph)  # dask insists that a map is still to be materialised when it was sent
        nodes, annotations = convert_legacy_graph(ensure_dict(graph)), _annotations_of_layers(graph)
    # dd.from_delayed puts an alias under a key that is not its own.
    nodes = {key: with_calls_apart(node if node.key == key else under_key(node, key)) for key, node in nodes.items()}
    if _is_map(graph):
        nodes = _with_own_names(nodes)
    return TaskGraph(nodes, annotations)


def _annotations_of_layers(graph: Any) -> dict[str, dict[Key, Any]]:
    """Return what a high-level graph's layers, and who sends it, say of its keys."""
    found: dict[str, dict[Key, Any]] = {}
    layers = [graph] if not isinstance(graph, HighLevelGraph) else graph.layers.values()
    for layer in layers:
        for kind, value in {**dask.get_annotations(), **(getattr(layer, "annotations", None) or {})}.items():
            found.setdefault(kind, {}).update((key, value(key) if callable(value) else value) for key in layer)
    return found


def lower_collections(collections: Sequence[Any], optimize_graph: bool = True) -> tuple[TaskGraph, list[Key]]:
    """Return the graph that computing some collections takes, and the keys of their results.

    Examples
    --------
    >>> from dask import delayed
    >>> lowered, keys = lower_collections([delayed(abs)(-1)])
    >>> keys[0] in lowered.nodes
    True
    """
    if EXPRESSIONS:
        from dask.base import collections_to_expr

        expr = _expr.FinalizeCompute(collections_to_expr(collections, optimize_graph)).optimize()
        return lower(expr), list(flatten(expr.__dask_keys__()))
    from dask.base import collections_to_dsk  # type: ignore[attr-defined]

    keys = list(flatten([collection.__dask_keys__() for collection in collections]))
    return lower(collections_to_dsk(collections, optimize_graph)), keys


def as_dask_sends(graph: Any) -> Any:
    """Return a plain graph in the form that this release of dask sends."""
    if not EXPRESSIONS or not isinstance(graph, dict):
        return graph
    return _expr.LLGExpr(graph)


def is_of_single_calls(graph: Any) -> bool:
    """Tell whether a graph comes from `submit` or `map`: of its results often only the last are used.

    Examples
    --------
    >>> is_of_single_calls(as_dask_sends({"a": 1}))
    True
    """
    return isinstance(graph, dict) or _is_map(graph) or type(graph).__name__ == "LLGExpr"


def is_impure_map(graph: Any) -> bool:
    """Tell whether a graph comes from `map` with ``pure=False``."""
    return _is_map(graph) and not graph.pure


def _is_map(graph: Any) -> bool:
    """Tell whether a graph is what `map` sends, by name: what has no client does not import its classes."""
    return type(graph).__module__ == "distributed.client" and type(graph).__name__ in ("_MapExpr", "_MapLayer")


def _with_own_names(nodes: Mapping[Key, GraphNode]) -> dict[Key, GraphNode]:
    """Rename the large keywords of a map: dask keys them by the bare name of the argument, the same in every map."""
    names: dict[Key, Any] = {
        key: f"{key}-{uuid.uuid4().hex}" for key, node in nodes.items() if isinstance(node, DataNode)
    }
    if not names:
        return dict(nodes)
    renamed = {name: under_key(nodes[key], name) for key, name in names.items()}
    return renamed | {key: taking(node, names) for key, node in nodes.items() if key not in names}


def to_dask(nodes: Mapping[Key, GraphNode], annotations: Mapping[str, Mapping[Key, Any]]) -> Any:
    """Return what the scheduler takes for exactly these nodes and annotations.

    Keys with the same kinds of annotations stand in a layer of their own: a plain graph has no annotations.
    """
    if _NAMED and not annotations:
        return _expr.LLGExpr(nodes, _determ_token=f"{_PROCESS}-{os.getpid()}-{next(_numbers)}")
    kinds: dict[Key, list[str]] = {}
    for kind, values in annotations.items():
        for key in values:
            kinds.setdefault(key, []).append(kind)
    grouped: dict[tuple[str, ...], dict[Key, GraphNode]] = {(): {}}
    for key, node in nodes.items():
        grouped.setdefault(tuple(kinds.get(key, ())), {})[key] = node
    layers = {
        "-".join(("layer", *own)): MaterializedLayer(
            group,
            annotations={kind: dict(annotations[kind]).get for kind in own},  # dask asks a function of the key
        )
        for own, group in grouped.items()
    }
    graph = HighLevelGraph(layers, {name: set() for name in layers})
    if not EXPRESSIONS:
        return graph
    return _expr.HLGExpr(graph)


def under_key(node: GraphNode, key: Key) -> GraphNode:
    """Return a copy of a node under another key: whatever it is, all else stays.

    Examples
    --------
    >>> under_key(Alias("a", "b"), "c")
    Alias('c'->'b')
    """
    new: GraphNode = copy.copy(node)
    new.key = key
    if isinstance(new, Task):
        new._token = new._repr = None
    return new


def taking(node: GraphNode, names: Mapping[Key, Key]) -> GraphNode:
    """Return a node that takes its inputs under other keys. Its own key stays: dask's containers lose theirs.

    Examples
    --------
    >>> from dask._task_spec import List
    >>> pair = under_key(List(TaskRef("a"), TaskRef("b")), "pair")
    >>> changed = taking(pair, {"a": "c"})
    >>> changed.key, sorted(changed.dependencies)
    ('pair', ['b', 'c'])
    """
    used: dict[Key, Key | GraphNode] = {key: names[key] for key in node.dependencies if names.get(key, key) != key}
    if not used:
        return node
    new = node.substitute(used)
    if new.key != node.key:
        new.key = node.key  # it was made just now
    return new


def under_other_keys(
    graph: TaskGraph, names: Mapping[Key, Key]
) -> tuple[dict[Key, GraphNode], dict[str, dict[Key, Any]]]:
    """Return the nodes and annotations of a graph with copies of some nodes under other keys.

    Examples
    --------
    >>> nodes, _ = under_other_keys(TaskGraph({"a": Task("a", abs, -1)}, {}), {"a": "b"})
    >>> sorted(nodes)
    ['a', 'b']
    """
    nodes = {**graph.nodes, **{name: under_key(graph.nodes[key], name) for key, name in names.items()}}
    return nodes, annotated_as(graph.annotations, names)


def annotated_as(annotations: Mapping[str, Mapping[Key, Any]], names: Mapping[Key, Key]) -> dict[str, dict[Key, Any]]:
    """Return annotations that say of other keys, too, what they say of some.

    Examples
    --------
    >>> annotated_as({"priority": {"a": 1}}, {"a": "b"})
    {'priority': {'a': 1, 'b': 1}}
    """
    return {
        kind: {**values, **{names[key]: value for key, value in values.items() if key in names}}
        for kind, values in annotations.items()
    }


def with_function(task: Task, function: Callable[..., Any]) -> Task:
    """Return a task with the same key and inputs that runs another function.

    The inputs are the same, so their dependencies need not be found again: that takes a third of planning's time.
    """
    new: Task = Task.__new__(Task)
    new.key = task.key
    new.func = function
    new.args = task.args
    new.kwargs = task.kwargs
    new._dependencies = task._dependencies
    new._data_producer = task._data_producer
    new._token = new._is_coro = new._repr = None
    return new


def is_held(node: GraphNode | None) -> bool:
    """Tell whether a task gives no result but where its result is kept: its function says so by ``holds_unread``.

    Examples
    --------
    >>> is_held(Task("a", abs, -1))
    False
    """
    return getattr(getattr(node, "func", None), "holds_unread", False) is True


def tells_nothing(node: GraphNode) -> bool:
    """Tell whether what is sent for a node runs without telling of it, as parts of dask do."""
    return type(node) is not Task or runs_as_it_is(node.func)


def moves_data(node: GraphNode) -> bool:
    """Tell whether a node moves data between workers outside the graph, as the barrier of a P2P shuffle does.

    Examples
    --------
    >>> moves_data(Task("a", abs, -1))
    False
    """
    return type(node) is not Task and isinstance(node, Task) and not isinstance(node, NestedContainer)
