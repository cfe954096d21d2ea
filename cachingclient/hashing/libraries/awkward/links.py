"""What no store keeps of awkward arrays: columns that were not read yet, and links to the events that they come from.

Links are attributes with an ``@`` before their name, which awkward calls transient and leaves out of pickles. coffea
links jets to their events and file by them, and the methods of jets may follow them.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import Any

MOST_UNREAD_COLUMNS = 32
"""A result with more lazy columns than anybody writes out by hand is a whole collection, most of it never needed."""


def loses_by_keeping(result: Any) -> bool:
    """Tell whether a result may look different when it is loaded: lazy columns, attributes and links do."""
    return any(_lazy_columns(array) or array.attrs or _may_follow_links(array) for array in _arrays(result))


def link(value: Any, arguments: Iterable[Any]) -> Any:
    """Give a loaded value the links of the arguments, which it would have had if the step had run; return the value.

    Examples
    --------
    >>> link({"cuts": [30, 50]}, [])
    {'cuts': [30, 50]}
    """
    arguments = list(arguments)
    for array in _arrays(value):
        if _may_follow_links(array):
            array.attrs = {**array.attrs, **_links_of_first(arguments)}
    return value


def objection(result: Any, arguments: Iterable[Any]) -> str:
    """Return why a result can't be kept so that it can be loaded as it is; empty if it can."""
    arrays, arguments = list(_arrays(result)), list(arguments)
    given = _links_of_first(arguments) if arrays else {}
    for array in arrays:
        if _may_follow_links(array) and any(given.get(name) is not value for name, value in _links(array).items()):
            return "returns events of a file that none of its arguments comes from"
    unread = sum(not column.is_materialized for array in arrays for column in _lazy_columns(array))
    if unread > MOST_UNREAD_COLUMNS:
        return (
            f"returns {unread} columns that are not read yet; "
            "return those that are needed, by ak.zip, or what ak.materialize makes of all"
        )
    return ""


def _arrays(value: Any) -> Iterator[Any]:
    """Yield the awkward arrays and records in a value; none where awkward is not even imported.

    Those of awkward 1 have no attributes, and no columns that a pickle leaves unread: they load as they were.
    """
    awkward = sys.modules.get("awkward")
    if awkward is None or not hasattr(awkward, "contents"):
        return
    if isinstance(value, (dict, list, tuple)):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _arrays(part)
    elif isinstance(value, (awkward.Array, awkward.Record)):
        yield value


def _layout(array: Any) -> Any:
    """Return the layout of an array, or that of the array that a record is in."""
    return array.layout if hasattr(array.layout, "form") else array.layout.array


def _lazy_columns(array: Any) -> list[Any]:
    """Return the lazy columns of an array, whether they were read or not."""
    from cachingclient.hashing.libraries.awkward.nodes import buffers_of  # it imports awkward

    return [buffer for buffer in buffers_of(_layout(array)) if hasattr(buffer, "is_materialized")]


def _may_follow_links(array: Any) -> bool:
    """Tell whether an array has records of a class of their own in it, such as jets, whose methods may follow links."""
    from cachingclient.hashing.libraries.awkward.nodes import layout_nodes

    return any(node.parameter("__record__") is not None for node in layout_nodes(_layout(array)))


def _links(array: Any) -> dict[str, Any]:
    return {name: value for name, value in array.attrs.items() if name.startswith("@")}


def _links_of_first(arguments: Iterable[Any]) -> dict[str, Any]:
    """Return the links of the first argument that is an array with links."""
    return next(filter(None, map(_links, _arrays(list(arguments)))), {})
