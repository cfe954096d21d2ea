"""How values of each library are told apart: the registry, and one module a library.

A plugin module is imported when the first value of its library is met, so that none of the libraries
is imported for those who don't use it.
"""

from __future__ import annotations

import contextlib
import importlib
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from cachingclient.hashing.walk import Walk

Hasher = Callable[[Any, "Walk"], bytes]
_H = TypeVar("_H", bound=Callable[..., bytes])

LIBRARIES: dict[str, str] = {
    "awkward": "awkward",
    "boost_histogram": "histograms",
    "builtins": "stdlib",
    "coffea": "coffea",
    "dask": "dask",
    "distributed": "dask",
    "fsspec": "fsspec",
    "hist": "histograms",
    "numba": "numba",
    "numpy": "numpy",
    "pandas": "pandas",
    "pyarrow": "pyarrow",
    "pydantic": "pydantic",
    "scipy": "scipy",
    "cytoolz": "toolz",
    "toolz": "toolz",
    "uproot": "uproot",
    "xgboost": "xgboost",
}
"""Top-level library -> the module of this package that knows its types."""

_loaded: set[str] = set()
_loading = threading.RLock()
_exact: dict[type | str, Hasher] = {}
_families: dict[type | str, Hasher] = {}
_listeners: list[Callable[[], None]] = []


def register_hasher(kind: type | str, *, subclasses: bool = False) -> Callable[[_H], _H]:
    """Register what identifies the values of a type.

    Parameters
    ----------
    kind
        The type, or its full name, ``"module.Type"``, for a library that should not be imported for this alone.
        A metaclass describes classes.
    subclasses
        Whether it also holds for subclasses that have no hasher of their own.

    Returns
    -------
    decorator
        Takes a function ``(obj, walk) -> bytes``. Equal bytes mean: exchangeable in any program.
        It gets the identity of the parts by ``walk.encode(part)``. The type itself is added by the caller.

    Examples
    --------
    >>> class Cut:
    ...     def __init__(self, threshold):
    ...         self.threshold = threshold
    ...         self.seen = 0
    >>> @register_hasher(Cut)
    ... def encode_cut(cut, walk):
    ...     return walk.encode(cut.threshold)
    """
    if not isinstance(kind, (type, str)):
        raise TypeError(f"kind must be a type or its full name as 'module.Type', got {kind!r}")

    def register(hasher: _H) -> _H:
        (_families if subclasses else _exact)[kind] = hasher
        for forget in _listeners:
            forget()
        return hasher

    return register


def on_registration(forget: Callable[[], None]) -> None:
    """Have a function called whenever a hasher is added."""
    _listeners.append(forget)


def find_hasher(cls: type) -> Hasher | None:
    """Return the hasher for values of exactly this class, loading the plugins of its libraries."""
    _load_for(cls)
    if (hasher := _look_up(_exact, cls)) is not None:
        return hasher
    for base in cls.__mro__:
        if (hasher := _look_up(_families, base)) is not None:
            return hasher
    return None


def _look_up(table: dict[type | str, Hasher], cls: type) -> Hasher | None:
    return table.get(cls) or table.get(f"{cls.__module__}.{cls.__qualname__}")


def _load_for(cls: type) -> None:
    metaclass: type = type(cls)
    for base in (*cls.__mro__, *metaclass.__mro__):
        plugin = LIBRARIES.get(str(base.__module__).partition(".")[0])
        if plugin is not None and plugin not in _loaded:
            # Another thread must not take a plugin for loaded that has registered half of its types.
            with _loading:
                # Values of a release that the plugin is not for, such as awkward 1, are taken as any other objects.
                with contextlib.suppress(ImportError):
                    importlib.import_module(f"{__name__}.{plugin}")
                _loaded.add(plugin)
