"""coffea's look at the files before a run, told by its function."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator
from typing import Any

from cachingclient.graph import GraphNode

COFFEA_METADATA = "get_metadata"
"""What coffea calls it."""


def remote_files(nodes: Iterable[Any]) -> Iterator[str]:
    """Yield the URLs that coffea's items among the arguments of tasks name, to be asked for all at once.

    Examples
    --------
    >>> list(remote_files([]))
    []
    """
    for node in nodes:
        for each in items_of(node):
            name = getattr(each, "filename", None)
            if isinstance(name, str) and "://" in name:
                yield name


def items_of(node: Any) -> Iterator[Any]:
    """Yield coffea's own items among the arguments of a task: a file to look at, or a range of one to process.

    Examples
    --------
    >>> list(items_of(None))
    []
    """
    for argument in getattr(node, "args", ()):
        for each in (argument, *(getattr(argument, "args", ()) if isinstance(argument, GraphNode) else ())):
            if type(each).__module__.startswith("coffea.processor"):
                yield each


def reads_metadata(function: Any) -> bool:
    """Tell whether a function is coffea's look at a file before a run: how many entries it has, and its identifier.

    Examples
    --------
    >>> reads_metadata(len)
    False
    """
    while isinstance(function, functools.partial):
        inner = [part for part in (function.func, *function.args) if callable(part)]
        if any(_is_fetcher(part) for part in inner):
            return True
        function = next((part for part in inner if isinstance(part, functools.partial)), None)
    return _is_fetcher(function)


def _is_fetcher(function: Any) -> bool:
    module = str(getattr(function, "__module__", ""))
    return module.startswith("coffea.processor") and "metadata_fetcher" in getattr(function, "__qualname__", "")
