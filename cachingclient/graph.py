"""Dask's graphs in and out: the one room that knows dask's private API and its versions.

`lower` does on the client what the scheduler would do with an expression, once; `raise_` makes an expression of the
rewritten graph that the scheduler takes as it is. Everything between works on the plain `Lowered` graph.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dask._expr import Expr, FinalizeCompute, HLGExpr
from dask._task_spec import Alias, DataNode, GraphNode, NestedContainer, Task, TaskRef, convert_legacy_graph
from dask._task_spec import Dict as DictNode
from dask._task_spec import Set as SetNode
from dask._task_spec import _execute_subgraph as execute_subgraph
from dask.base import collections_to_expr, flatten
from dask.highlevelgraph import HighLevelGraph, MaterializedLayer
from dask.typing import Key
from distributed.client import _MapExpr
from distributed.utils import iscoroutinefunction

__all__ = [
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
    "execute_subgraph",
    "lower",
    "lower_collections",
    "moves_data",
    "runs_as_it_is",
    "raise_",
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


def lower(expr: Expr) -> Lowered:
    """Materialise an expression.

    Examples
    --------
    >>> from operator import add
    >>> from dask._expr import LLGExpr
    >>> lowered = lower(LLGExpr({"a": 1, "b": (add, "a", 1)}))
    >>> sorted(lowered.nodes["b"].dependencies)
    ['a']
    """
    nodes = convert_legacy_graph(expr.__dask_graph__())
    if isinstance(expr, _MapExpr):
        nodes = _with_own_names(nodes)
    return Lowered(nodes, {kind: dict(values) for kind, values in expr.__dask_annotations__().items()})


def lower_collections(collections: Sequence[Any], optimize_graph: bool = True) -> tuple[Lowered, list[Key]]:
    """Return the graph that computing some collections takes, and the keys of their results.

    Examples
    --------
    >>> from dask import delayed
    >>> lowered, keys = lower_collections([delayed(abs)(-1)])
    >>> keys[0] in lowered.nodes
    True
    """
    expr = FinalizeCompute(collections_to_expr(collections, optimize_graph)).optimize()
    return lower(expr), list(flatten(expr.__dask_keys__()))


def _with_own_names(nodes: Mapping[Key, GraphNode]) -> dict[Key, GraphNode]:
    """Rename the large keywords of a map: dask keys them by the bare name of the argument, the same in every map."""
    names: dict[Key, Any] = {
        key: f"{key}-{uuid.uuid4().hex}" for key, node in nodes.items() if isinstance(node, DataNode)
    }
    return {names.get(key, key): node.substitute(names, key=names.get(key, key)) for key, node in nodes.items()}


def raise_(nodes: dict[Key, GraphNode], annotations: Mapping[str, Mapping[Key, Any]]) -> Expr:
    """Return an expression that materialises to exactly these nodes and annotations.

    Annotated keys stand in a layer of their own, since an expression over a plain graph has no annotations.
    """
    annotated = {key for values in annotations.values() for key in values if key in nodes}
    layers = {"plain": MaterializedLayer({key: node for key, node in nodes.items() if key not in annotated})}
    if annotated:
        lookups = {kind: _lookup(values) for kind, values in annotations.items()}
        layers["annotated"] = MaterializedLayer({key: nodes[key] for key in annotated}, annotations=lookups)
    return HLGExpr(HighLevelGraph(layers, {name: set() for name in layers}))


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
