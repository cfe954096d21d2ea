"""What the functions of tasks say of themselves that this package put around or in the place of the user's."""

from __future__ import annotations

from typing import Any

from dask._task_spec import GraphNode, Task

from cachingclient.graph.nodes import with_function


def needs_package(node: GraphNode | None) -> bool:
    """Tell whether only a worker with this package can run a node.

    Examples
    --------
    >>> needs_package(Task("a", abs, -1)), needs_package(Task("a", needs_package, None))
    (False, True)
    """
    return _is_ours(getattr(node, "func", None))


def _is_ours(function: Any) -> bool:
    module = getattr(type(function), "__module__", None), getattr(function, "__module__", None)
    return any((name or "").partition(".")[0] == "cachingclient" for name in module)


def plain(node: GraphNode | None) -> Task | None:
    """Return a task with the function of the user's that is in its own; None if there is none, as in a load.

    A function that is in another says so by ``function``.

    Examples
    --------
    >>> from cachingclient import step
    >>> plain(Task("a", step(abs), -1))()
    1
    >>> plain(Task("a", needs_package, None)) is None
    True
    """
    function: Any = getattr(node, "func", None)
    while function is not None and _is_ours(function):
        function = getattr(function, "function", None)
    if not isinstance(node, Task) or function is None or function is node.func:
        return None
    return with_function(node, function)


def entries_in(node: GraphNode | None) -> tuple[str, ...]:
    """Return the step keys of the entries that a task reads: its function says so by ``entries``.

    Examples
    --------
    >>> entries_in(Task("a", abs, -1))
    ()
    """
    return tuple(getattr(getattr(node, "func", None), "entries", ()))
