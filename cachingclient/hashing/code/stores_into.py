"""Whether code may store into what it is given, as its bytecode tells: items, attributes, methods that change them."""

from __future__ import annotations

import dis
import functools
from collections.abc import Iterator, Mapping
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

from cachingclient.graph import GraphNode, Task, execute_subgraph
from cachingclient.hashing.code.names import told_by
from cachingclient.hashing.environment.environment import is_user_code

_STORES = frozenset({"STORE_SUBSCR", "DELETE_SUBSCR", "STORE_SLICE", "STORE_ATTR", "DELETE_ATTR"})
_METHODS = frozenset(
    [
        *("append", "extend", "insert", "pop", "popitem", "remove", "clear", "sort", "reverse", "update"),
        *("setdefault", "add", "discard", "fill", "put", "resize", "itemset", "setfield", "setflags", "byteswap"),
        *("partition", "shuffle", "copyto", "putmask", "place", "fill_diagonal", "write"),
    ]
)
_KEYWORDS = frozenset({"out", "inplace", "overwrite_a", "overwrite_b", "overwrite_x"})
_OPERATORS = ("setitem", "delitem", "setattr")


def may_store_into(function: Any, args: tuple[Any, ...] = ()) -> bool:
    """Tell whether a call may change its arguments in place; True where the code can't be read.

    Parameters
    ----------
    function
        The function, or dask's for a fused task.
    args
        The arguments; those of a fused task hold its functions.

    Examples
    --------
    >>> may_store_into(lambda values: sum(values)), may_store_into(lambda values: values.append(1))
    (False, True)
    >>> def clear(values):
    ...     values[:] = []
    >>> may_store_into(clear)
    True
    """
    if function is execute_subgraph:
        return any(_may(inner, set()) for inner in _functions_in(args[0]))
    return _may(function, set())


def _functions_in(nodes: Mapping[Any, GraphNode]) -> Iterator[Any]:
    """Yield the functions of a fused task, those of tasks inside arguments included."""
    waiting: list[Any] = list(nodes.values())
    while waiting:
        node = waiting.pop()
        if isinstance(node, Task):
            waiting += [*node.args, *node.kwargs.values()]
            if node.func is execute_subgraph:
                waiting += node.args[0].values()
            else:
                yield node.func


def _may(function: Any, seen: set[int]) -> bool:
    while True:
        if isinstance(function, functools.partial):
            function = function.func
        elif isinstance(function, MethodType):
            function = function.__func__
        elif not isinstance(function, (FunctionType, type)) and told_by(function, "__wrapped__") is not None:
            function = function.__wrapped__
        else:
            break
    if id(function) in seen:
        return False
    seen.add(id(function))
    if isinstance(function, type):
        return any(_may(part, seen) for part in vars(function).values() if isinstance(part, FunctionType))
    if not isinstance(function, FunctionType):
        called = vars(type(function)).get("__call__")
        if isinstance(called, FunctionType):
            return _may(called, seen)
        name = str(told_by(function, "__name__") or "setitem").strip("_")
        return name in _OPERATORS or (told_by(function, "__module__") == "_operator" and name.startswith("i"))
    return _stores(function.__code__) or any(_may(helper, seen) for helper in _helpers(function))


def _helpers(function: FunctionType) -> Iterator[Any]:
    """Yield the user's functions that a function refers to."""
    names = list(_names(function.__code__))
    found = [function.__globals__[name] for name in names if name in function.__globals__]
    found += [cell.cell_contents for cell in function.__closure__ or () if not _is_empty(cell)]
    modules = [value for value in found if isinstance(value, ModuleType) and is_user_code(value.__name__)]
    found += [vars(module)[name] for module in modules for name in names if name in vars(module)]
    for value in found:
        inner = value if (wrapped := told_by(value, "__wrapped__")) is None else wrapped
        if isinstance(inner, (FunctionType, type)) and is_user_code(inner.__module__ or ""):
            yield value


def _is_empty(cell: Any) -> bool:
    try:
        cell.cell_contents  # noqa: B018  # an empty one raises
    except ValueError:
        return True
    return False


@functools.lru_cache(maxsize=10_000)
def _stores(code: CodeType) -> bool:
    for step in dis.get_instructions(code):
        if step.opname in _STORES or (step.opname == "BINARY_OP" and step.argrepr.endswith("=")):
            return True
        if step.opname in ("LOAD_METHOD", "LOAD_ATTR") and step.argval in _METHODS:
            return True
    constants = [each for each in code.co_consts if isinstance(each, tuple)]
    if any(not _KEYWORDS.isdisjoint(name for name in each if isinstance(name, str)) for each in constants):
        return True
    return any(_stores(inner) for inner in code.co_consts if isinstance(inner, CodeType))


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from _names(inner)
