"""Whether a library keeps a class of the user's that its metaclass or base was given: for who asks by a tag."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from types import MappingProxyType, MethodType, ModuleType
from typing import Any

from cachingclient.hashing.code.names import told_by
from cachingclient.hashing.environment.environment import is_user_code

MOST_LOOKED_AT = 200_000
_OVERLOADS = "awkward"
"""Its overloads count by themselves, where code uses arrays of their name: see `user_overloads`."""


def library_holds(made: type) -> bool:
    """Tell whether a library that saw a class being made, or gives its base, has it in a table of its own.

    Examples
    --------
    >>> library_holds(int)
    False
    """
    return any(_holds(library, made) for library in _makers(made))


def _makers(made: type) -> set[str]:
    """Return the libraries, not Python's own, that run something when a class is made."""
    kinds = [*inspect.getmro(type(made)), *(kind for kind in made.__mro__[1:] if "__init_subclass__" in vars(kind))]
    names = {str(kind.__module__).partition(".")[0] for kind in kinds}
    return {name for name in names - sys.stdlib_module_names - {_OVERLOADS} if not is_user_code(name)}


def _holds(library: str, made: type) -> bool:
    modules = [each for name, each in list(sys.modules.items()) if name.partition(".")[0] == library]
    waiting: list[tuple[Any, int]] = [(vars(each), 4) for each in modules if isinstance(each, ModuleType)]
    seen: set[int] = set()
    while waiting and len(seen) < MOST_LOOKED_AT:
        value, depth = waiting.pop()
        if value is made or (isinstance(value, MethodType) and value.__self__ is made):
            return True
        if depth and id(value) not in seen:
            seen.add(id(value))
            waiting += ((each, depth - 1) for each in _inside(value, library))
    return False


def _inside(value: Any, library: str) -> Iterator[Any]:
    """Yield what a table, or a class or object of the library, holds."""
    if isinstance(value, dict):
        yield from list(value.keys())
        yield from list(value.values())
    elif isinstance(value, (list, tuple, set, frozenset)):
        yield from list(value)
    elif not isinstance(value, ModuleType):
        kind = value if isinstance(value, type) else type(value)
        told = str(told_by(kind, "__module__")).partition(".")[0]
        own = told_by(value, "__dict__") if told == library else None
        yield from list(own.values()) if isinstance(own, (dict, MappingProxyType)) else ()
