"""Tables of overloads that awkward's mixins fill from sets: their order is another one in each process."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from types import FunctionType
from typing import Any


def steady_pairs(mapping: dict[Any, Any]) -> Iterable[tuple[Any, Any]]:
    """Return the keys and values of a dict, in an order that the same program gives in each process.

    That is the dict's own order but for what a mixin registered for each class of a set, which comes last and sorted.

    Examples
    --------
    >>> list(steady_pairs({"b": 1, "a": 2}))
    [('b', 1), ('a', 2)]
    """
    if not any(type(key) is tuple and _is_overload(key, mapping[key]) for key in mapping):
        return mapping.items()
    in_order = [pair for pair in mapping.items() if not _is_overload(*pair)]
    of_sets = [pair for pair in mapping.items() if _is_overload(*pair)]
    return [*in_order, *sorted(of_sets, key=_names)]


def _is_overload(key: object, value: object) -> bool:
    """Whether this is an operation between two classes as `awkward.mixin_class` notes it, or one of them reversed."""
    if type(key) is not tuple or len(key) != 3:
        return False
    if type(value) is functools.partial and value.args:
        value = value.args[0]
    return type(value) is FunctionType and hasattr(value, "_awkward_mixin")


def _names(pair: tuple[Any, Any]) -> tuple[str, ...]:
    operation, *classes = pair[0]
    return (str(getattr(operation, "__name__", "")), *map(str, classes))
