"""What the user says that a step writes: the paths in those of its arguments that ``outputs`` names."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from cachingclient.worker.options import options_of, unmarked


def stated_outputs(function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> list[str]:
    """Return the absolute paths of what a call writes, as its user said.

    Examples
    --------
    >>> stated_outputs(print, ("/tmp/plot.pdf",), {})
    []
    """
    names = options_of(function).outputs
    if not names:
        return []
    bound = inspect.signature(unmarked(function)).bind(*args, **kwargs)
    bound.apply_defaults()
    return [path for name in names for path in _paths(bound.arguments[name])]


def _paths(value: Any) -> Iterator[str]:
    """Yield the path, or those of a list, as absolute ones."""
    if isinstance(value, (str, bytes, os.PathLike)):
        yield os.path.abspath(os.fsdecode(value))
    elif isinstance(value, (list, tuple, set, frozenset)):
        for each in value:
            yield from _paths(each)
    elif value is not None:
        raise TypeError(f"outputs names an argument that holds {value!r}; it takes paths or lists of paths")
