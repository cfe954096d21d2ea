"""Dask's graphs in and out: the one room that knows dask's private API and its versions.

`lower` does on the client what the scheduler would do with a graph, once; `raise_` makes of the rewritten graph what
the scheduler takes as it is. Everything between works on the plain `Lowered` graph. Dask sends expressions since
2025.4; up to 2025.3, the last release that dask-awkward runs on, it sends high-level graphs, already optimised.
"""

from __future__ import annotations

import copy
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import dask
import distributed.client
from dask._task_spec import Alias, DataNode, GraphNode, NestedContainer, Task, TaskRef, convert_legacy_graph
from dask._task_spec import Dict as DictNode
from dask._task_spec import Set as SetNode
from dask._task_spec import _execute_subgraph as execute_subgraph
from dask.base import flatten
from dask.highlevelgraph import HighLevelGraph, MaterializedLayer
from dask.typing import Key
from dask.utils import ensure_dict
from distributed.utils import iscoroutinefunction

EXPRESSIONS = hasattr(distributed.client, "_MapExpr")
_MapCall: Any = distributed.client._MapExpr if EXPRESSIONS else distributed.client._MapLayer  # type: ignore[attr-defined]
ALL_WORKERS: dict[str, Any] = {"n_workers": -1} if EXPRESSIONS else {}
"""What to ask a scheduler for all of its workers with: newer releases tell of some unless asked."""

__all__ = [
    "ALL_WORKERS",
    "Alias",
    "DataNode",
    "DictNode",
    "GraphNode",
    "Key",
    "Lowered",
    "NestedContainer",
    "SetNode",
    "Task",
    "TaskRef",
    "annotated_as",
    "as_dask_sends",
    "execute_subgraph",
    "is_impure_map",
    "is_of_single_calls",
    "lower",
    "lower_collections",
    "moves_data",
    "runs_as_it_is",
    "raise_",
    "under_other_keys",
    "with_function",
]


@dataclass(frozen=True, slots=True)
class Lowered:
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


def lower(graph: Any) -> Lowered:
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
    if isinstance(graph, _MapCall):
        nodes = _with_own_names(nodes)
    return Lowered(nodes, annotations)


def _annotations_of_layers(graph: Any) -> dict[str, dict[Key, Any]]:
    """Return what a high-level graph's layers, and who sends it, say of its keys."""
    found: dict[str, dict[Key, Any]] = {}
    layers = [graph] if not isinstance(graph, HighLevelGraph) else graph.layers.values()
    for layer in layers:
        for kind, value in {**dask.get_annotations(), **(getattr(layer, "annotations", None) or {})}.items():
            found.setdefault(kind, {}).update((key, value(key) if callable(value) else value) for key in layer)
    return found


def lower_collections(collections: Sequence[Any], optimize_graph: bool = True) -> tuple[Lowered, list[Key]]:
    """Return the graph that computing some collections takes, and the keys of their results.

    Examples
    --------
    >>> from dask import delayed
    >>> lowered, keys = lower_collections([delayed(abs)(-1)])
    >>> keys[0] in lowered.nodes
    True
    """
    if EXPRESSIONS:
        from dask._expr import FinalizeCompute
        from dask.base import collections_to_expr

        expr = FinalizeCompute(collections_to_expr(collections, optimize_graph)).optimize()
        return lower(expr), list(flatten(expr.__dask_keys__()))
    from dask.base import collections_to_dsk  # type: ignore[attr-defined]

    keys = list(flatten([collection.__dask_keys__() for collection in collections]))
    return lower(collections_to_dsk(collections, optimize_graph)), keys


def as_dask_sends(graph: Any) -> Any:
    """Return a plain graph in the form that this release of dask sends."""
    if not EXPRESSIONS or not isinstance(graph, dict):
        return graph
    from dask._expr import LLGExpr

    return LLGExpr(graph)


def is_of_single_calls(graph: Any) -> bool:
    """Tell whether a graph comes from `submit` or `map`: of its results often only the last are used.

    Examples
    --------
    >>> is_of_single_calls(as_dask_sends({"a": 1}))
    True
    """
    return isinstance(graph, (dict, _MapCall)) or type(graph).__name__ == "LLGExpr"


def is_impure_map(graph: Any) -> bool:
    """Tell whether a graph comes from `map` with ``pure=False``."""
    return isinstance(graph, _MapCall) and not graph.pure


def _with_own_names(nodes: Mapping[Key, GraphNode]) -> dict[Key, GraphNode]:
    """Rename the large keywords of a map: dask keys them by the bare name of the argument, the same in every map."""
    names: dict[Key, Any] = {
        key: f"{key}-{uuid.uuid4().hex}" for key, node in nodes.items() if isinstance(node, DataNode)
    }
    return {names.get(key, key): node.substitute(names, key=names.get(key, key)) for key, node in nodes.items()}


def raise_(nodes: dict[Key, GraphNode], annotations: Mapping[str, Mapping[Key, Any]]) -> Any:
    """Return what the scheduler takes for exactly these nodes and annotations.

    Keys with the same kinds of annotations stand in a layer of their own: a plain graph has no annotations.
    """
    kinds: dict[Key, list[str]] = {}
    for kind, values in annotations.items():
        for key in values:
            kinds.setdefault(key, []).append(kind)
    grouped: dict[tuple[str, ...], dict[Key, GraphNode]] = {(): {}}
    for key, node in nodes.items():
        grouped.setdefault(tuple(kinds.get(key, ())), {})[key] = node
    layers = {
        "-".join(("layer", *own)): MaterializedLayer(
            group, annotations={kind: _lookup(annotations[kind]) for kind in own}
        )
        for own, group in grouped.items()
    }
    graph = HighLevelGraph(layers, {name: set() for name in layers})
    if not EXPRESSIONS:
        return graph
    from dask._expr import HLGExpr

    return HLGExpr(graph)


def under_other_keys(
    graph: Lowered, names: Mapping[Key, Key]
) -> tuple[dict[Key, GraphNode], dict[str, dict[Key, Any]]]:
    """Return the nodes and annotations of a graph with copies of some nodes under other keys.

    Examples
    --------
    >>> nodes, _ = under_other_keys(Lowered({"a": Task("a", abs, -1)}, {}), {"a": "b"})
    >>> sorted(nodes)
    ['a', 'b']
    """
    nodes = dict(graph.nodes)
    for key, name in names.items():
        nodes[name] = graph.nodes[key].copy()
        nodes[name].key = name
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


def _lookup(values: Mapping[Key, Any]) -> Callable[[Key], Any]:
    """Return what dask takes for an annotation that differs by key: a function of the key."""
    return dict(values).get


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


def runs_as_it_is(function: Callable[..., Any]) -> bool:
    """Tell whether the scheduler or the worker must see a task's own function: coroutines, and parts of dask itself.

    Examples
    --------
    >>> runs_as_it_is(abs)
    False
    """
    return iscoroutinefunction(function) or (getattr(function, "__module__", None) or "").startswith("distributed.")


def moves_data(node: GraphNode) -> bool:
    """Tell whether a node moves data between workers outside the graph, as the barrier of a P2P shuffle does.

    Examples
    --------
    >>> moves_data(Task("a", abs, -1))
    False
    """
    return isinstance(node, Task) and type(node) is not Task and not isinstance(node, NestedContainer)
