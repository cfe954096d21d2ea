"""Calls among the arguments of a task, as dask's older graphs have them: parts of the step, not of its arguments.

Dask makes such calls before it calls the task's function. So nothing that stands around that function would see what
they read and draw, or which code they run: a task that has some is written as dask's own fused tasks are.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Iterable, Mapping
from types import FunctionType
from typing import Any

from dask._task_spec import Dict as DictNode
from dask._task_spec import GraphNode, List, NestedContainer, Task, TaskRef, Tuple
from dask._task_spec import Set as SetNode
from dask._task_spec import _execute_subgraph as execute_subgraph
from dask.typing import Key

_MAY_HAVE_CALLS = {Task, List, Tuple, SetNode, DictNode}


def with_calls_apart(node: GraphNode) -> GraphNode:
    """Return a node without calls among its arguments: a fused task, if it had some.

    Examples
    --------
    >>> node = with_calls_apart(Task("a", abs, Task(None, min, TaskRef("b"), -1)))
    >>> node.func is execute_subgraph, sorted(node.dependencies), node({"b": -3})
    (True, ['b'], 3)
    """
    if type(node) is not Task and not isinstance(node, NestedContainer):
        return node
    if node.func is execute_subgraph:
        inner, out, *rest = node.args
        if not any(map(_has_calls, inner.values())):
            return node
        return Task(node.key, execute_subgraph, _apart(inner), out, *rest, _data_producer=node.data_producer)
    if not _has_calls(node) or runs_as_it_is(node.func):
        return node
    names = sorted(node.dependencies, key=str)
    references = [TaskRef(name) for name in names]
    inner = _apart({node.key: node})
    return Task(node.key, execute_subgraph, inner, node.key, names, *references, _data_producer=node.data_producer)


def runs_as_it_is(function: Callable[..., Any]) -> bool:
    """Tell whether the scheduler or the worker must see a task's own function: coroutines, and parts of dask itself.

    Examples
    --------
    >>> runs_as_it_is(abs)
    False
    """
    if (getattr(function, "__module__", None) or "").startswith("distributed."):
        return True
    return is_coroutine_function(function) or bool(getattr(function, "__tornado_coroutine__", False))


def is_coroutine_function(function: Callable[..., Any]) -> bool:
    """Tell whether calls of a function are coroutines, as `inspect` does; of most functions one look tells it.

    Examples
    --------
    >>> async def read(): ...
    >>> is_coroutine_function(read), is_coroutine_function(abs)
    (True, False)
    """
    if type(function) is FunctionType and not function.__dict__:  # which has nothing that marks it as one
        return bool(function.__code__.co_flags & inspect.CO_COROUTINE)
    return inspect.iscoroutinefunction(function)


def _has_calls(node: GraphNode) -> bool:
    """Tell whether a node has a call among its arguments. Few have: the types of all arguments are asked at once."""
    if not isinstance(node, Task):
        return False
    arguments = (*node.args, *node.kwargs.values()) if node.kwargs else node.args
    if _MAY_HAVE_CALLS.isdisjoint(map(type, arguments)):
        return False
    return any(type(each) is Task or (isinstance(each, NestedContainer) and _has_calls(each)) for each in arguments)


def _apart(nodes: Mapping[Key, GraphNode]) -> dict[Key, GraphNode]:
    """Return the nodes inside a fused task, each call a node of its own."""
    found: dict[Key, GraphNode] = {}
    for key, node in nodes.items():
        found[key] = _without_calls(key, node, found)
    return found


def _without_calls(key: Key, node: GraphNode, found: dict[Key, GraphNode]) -> GraphNode:
    """Return a node that refers to the calls among its arguments, which are added to those found."""
    if not isinstance(node, Task) or not _has_calls(node):
        return node if node.key == key else _under_key(node, key)

    def outside(argument: Any) -> Any:
        if type(argument) is Task:
            name = f"{len(found)} of {key}"
            found[name] = argument  # its place is taken before the calls inside it get theirs
            found[name] = _without_calls(name, argument, found)
            return Task(None, tuple, TaskRef(name)).args[0]  # up to 2025.3 dask makes an alias of it
        if isinstance(argument, NestedContainer) and _has_calls(argument):
            return _with_arguments(argument, map(outside, argument.args), argument.kwargs)
        return argument

    kwargs = {name: outside(value) for name, value in node.kwargs.items()}
    return _under_key(_with_arguments(node, map(outside, node.args), kwargs), key)


def _with_arguments(node: Task, args: Iterable[Any], kwargs: Mapping[str, Any]) -> Task:
    """Return a copy of a task or container with other arguments: dask's containers take theirs in ways of their own."""
    new: Task = copy.copy(node)
    new.args, new.kwargs = tuple(args), dict(kwargs)
    new._dependencies = frozenset(
        key
        for each in (*new.args, *new.kwargs.values())
        for key in ((each.key,) if isinstance(each, TaskRef) else getattr(each, "dependencies", ()))
        if isinstance(each, (TaskRef, GraphNode))
    )
    new._token = new._repr = None
    return new


def _under_key(node: GraphNode, key: Key) -> GraphNode:
    new: GraphNode = copy.copy(node)
    new.key = key
    return new
