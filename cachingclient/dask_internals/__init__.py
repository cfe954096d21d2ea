"""What the package takes from the insides of dask and distributed: one list, and a check that it is all there.

The list is ``internals.csv`` beside this file; dask's public interface is not in it. It is the first thing to look at
for another release of dask: `missing_internals` says in milliseconds what is gone or takes other arguments, and
``tests/test_dask_internals.py`` fails for what is used and not listed. The names are text and are resolved when the
check runs, so this module imports neither dask nor distributed.
"""

from __future__ import annotations

import csv
import importlib
import inspect
from pathlib import Path
from typing import Any, NamedTuple


class Internal(NamedTuple):
    """One name of dask's insides.

    Attributes
    ----------
    name
        The module and what is in it, as ``"distributed.client:Client._graph_to_futures"``. Where releases differ, the
        names of both, separated by ``|``.
    used_by
        The modules of this package that use or override it, separated by blanks.
    why
        What for.
    takes
        Names of the arguments that are given to it or taken instead of it.
    """

    name: str
    used_by: str
    why: str
    takes: tuple[str, ...] = ()


def _read() -> tuple[Internal, ...]:
    with Path(__file__).with_name("internals.csv").open(newline="") as file:
        rows = csv.DictReader(file)
        return tuple(
            Internal(row["name"], row["used by"], row["what for"], tuple(row["takes"].split())) for row in rows
        )


INTERNALS = _read()


def missing_internals(*rooms: str) -> list[str]:
    """Say what the installed dask and distributed lack of what the package leans on, a line each.

    Parameters
    ----------
    rooms
        Rooms and modules of the root whose needs count, such as ``"client", "graph"``; all of them if none is named.

    Examples
    --------
    >>> missing_internals()
    []
    """
    return [text for each in INTERNALS if _is_of(each, rooms) and (text := _missing(each))]


def _is_of(internal: Internal, rooms: tuple[str, ...]) -> bool:
    return not rooms or any(module.partition(".")[0] in rooms for module in internal.used_by.split())


def _missing(internal: Internal) -> str | None:
    for name in internal.name.split("|"):
        found = _find(name)
        if found is not _ABSENT:
            unknown = _not_taken(found, internal.takes)
            return (
                f"{name} does not take {', '.join(unknown)} ({internal.used_by}: {internal.why})" if unknown else None
            )
    return f"{internal.name} is not there ({internal.used_by}: {internal.why})"


_ABSENT = object()
_UNKNOWN = object()
"""What an attribute of instances is: there is none to look at."""


def _find(name: str) -> Any:
    module, _, path = name.partition(":")
    try:
        found: Any = importlib.import_module(module)
    except ImportError:
        return _ABSENT
    for part in path.split("."):
        owner, found = found, getattr(found, part, _ABSENT)
        if found is _ABSENT:
            return _UNKNOWN if isinstance(owner, type) and _instances_have(owner, part) else _ABSENT
    return found


def _instances_have(owner: type, name: str) -> bool:
    """Tell whether a class declares an attribute of its instances, or sets one of that name as it makes them."""
    for kind in owner.__mro__:
        names = vars(kind)
        if name in names.get("__annotations__", ()) or name in names.get("__slots__", ()):
            return True
        code = getattr(inspect.unwrap(names.get("__init__", object)), "__code__", None)
        if code is not None and name in code.co_names:
            return True
    return False


def _not_taken(function: Any, arguments: tuple[str, ...]) -> list[str]:
    if not arguments or function is _UNKNOWN:
        return []
    parameters = inspect.signature(function).parameters
    return [name for name in arguments if name not in parameters]
