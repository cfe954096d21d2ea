"""Code that users register with a library, such as awkward overloads; the code that uses it does not name it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from operator import is_
from types import CodeType, FunctionType
from typing import Any

from cachingclient.hashing.environment.environment import is_user_code

Pairs = list[tuple[Any, Any]]


_seen: tuple[list[Any], tuple[Any, ...], Pairs] = ([], (), [])


def awkward_overloads() -> Pairs:
    """Return the overloads that users gave to all awkward arrays of a name.

    `vector` registers hundreds of its own: they are gone through again when one of them is another object than before.
    """
    global _seen
    behavior = getattr(sys.modules.get("awkward"), "behavior", {})
    names, held, found = _seen
    # Equal names name the same; what is equal to a function need not be the function.
    if len(behavior) == len(held) and all(map(is_, behavior.values(), held)) and [*behavior] == names:
        return found
    found = [pair for pair in behavior.items() if is_user_code(str(getattr(pair[1], "__module__", "")))]
    _seen = [*behavior], (*behavior.values(),), found
    return found


_seen_templates: tuple[tuple[int, int], Pairs] = ((0, 0), [])


def numba_overloads() -> Pairs:
    """Return the functions by which users teach Numba to compile others: ``@overload``, ``@intrinsic`` and their like.

    Numba only ever adds to its registry, so that it is gone through again when it has grown.
    """
    global _seen_templates
    registry = getattr(sys.modules.get("numba.core.typing.templates"), "builtin_registry", None)
    functions, attributes = getattr(registry, "functions", []), getattr(registry, "attributes", [])
    if (size := (len(functions), len(attributes))) != _seen_templates[0]:
        found: Pairs = []
        for template in (*functions, *attributes):
            for name in ("_overload_func", "_definition_func"):
                taught = vars(template).get(name)
                taught = getattr(taught, "__func__", taught)
                module = getattr(taught, "__module__", None)
                if module is not None and is_user_code(module):
                    found.append((f"{taught.__module__}.{taught.__qualname__}", taught))
        _seen_templates = size, found
    return _seen_templates[1]


_seen_accessors: tuple[Pairs, Pairs] = ([], [])


def pandas_accessors() -> Pairs:
    """Return the classes that users gave to tables, series and indices, as by ``@register_dataframe_accessor``."""
    global _seen_accessors
    held: Pairs = []
    for kind in ("DataFrame", "Series", "Index"):
        cls = getattr(sys.modules.get("pandas"), kind, None)
        for name in sorted(getattr(cls, "_accessors", ())):
            held.append((f"{kind}.{name}", getattr(vars(cls).get(name), "_accessor", None)))
    if held != _seen_accessors[0]:
        users = [pair for pair in held if is_user_code(str(getattr(pair[1], "__module__", None) or "pandas"))]
        _seen_accessors = held, users
    return _seen_accessors[1]


REGISTRIES: dict[str, Callable[[], Pairs]] = {
    "awkward": awkward_overloads,
    "numba": numba_overloads,
    "pandas": pandas_accessors,
}
"""For each distribution the function that returns the names and the code that users registered with it."""


def added_by_users(distributions: Iterable[str], code: Iterable[object] = ()) -> Pairs:
    """Return what users added to some libraries, in an order that doesn't depend on when.

    Parameters
    ----------
    distributions
        The libraries.
    code
        What may use it. An accessor of pandas has to be asked for by its name.

    Examples
    --------
    >>> added_by_users(["numpy"])
    []
    """
    found: Pairs = []
    for library in sorted(distributions):
        pairs = REGISTRIES[library]() if library in REGISTRIES else []
        if library == "pandas" and pairs:
            codes = [each.__code__ for each in code if isinstance(each, FunctionType)]
            pairs = [pair for pair in pairs if any(_names(each, pair[0].partition(".")[2]) for each in codes)]
        found += pairs
    return sorted(found, key=repr)


def _names(code: CodeType, attribute: str) -> bool:
    """Whether code, or code inside it, uses an attribute of a name."""
    inner = (const for const in code.co_consts if isinstance(const, CodeType))
    return attribute in code.co_names or any(_names(each, attribute) for each in inner)
