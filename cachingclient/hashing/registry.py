"""How values of each library are told apart: the registry, and one module a library.

A plugin module is imported when the first value of its library is met, so that none of the libraries
is imported for those who don't use it.
"""

from __future__ import annotations

import contextlib
import importlib
import sys
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

from cachingclient.forks.children import free_in_children

if TYPE_CHECKING:
    from cachingclient.hashing.walk import Walk

Hasher = Callable[[Any, "Walk"], bytes]
Narrower = Callable[[Any, Any, bytes], tuple[object, ...]]
"""Returns what a function uses, for what is beside them, of an object in bytes; nothing if that may be all of it."""
_H = TypeVar("_H", bound=Callable[..., bytes])

LIBRARIES: dict[str, str] = {
    "ROOT": "root",
    "awkward": "awkward.installed",
    "boost_histogram": "histograms",
    "builtins": "stdlib",
    "coffea": "coffea",
    "cppyy": "root",
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
    "torch": "torch",
    "uproot": "uproot",
    "xgboost": "xgboost",
}
"""Top-level library -> the module of `hashing.libraries` that knows its types."""

PACKERS: dict[str, str] = {"coffea.processor.executor": "coffea"}
"""Module that packs objects into bytes -> the module of `hashing.libraries` that unpacks them."""

NARROWERS: dict[str, str] = {"coffea.processor.executor": "coffea_processors"}
"""Module whose functions use little of what they are given -> the module of `hashing.libraries` that knows what."""

_loaded: set[str] = set()
_loading = free_in_children(threading.RLock())
_made: dict[tuple[str, str], Hasher] = {}
_unpackers: dict[str, tuple[bytes, Callable[[bytes], object]]] = {}
_narrowers: dict[str, Narrower] = {}
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
    if not isinstance(kind, type) and not (isinstance(kind, str) and "." in kind):
        raise TypeError(f"kind must be a type or its full name as 'module.Type', got {kind!r}")

    def register(hasher: _H) -> _H:
        if not callable(hasher):
            raise TypeError(f"register_hasher marks a function (obj, walk) -> bytes, got {hasher!r}")
        (_families if subclasses else _exact)[kind] = hasher
        for forget in _listeners:
            forget()
        return hasher

    return register


def register_function_hasher(module: str, name: str) -> Callable[[_H], _H]:
    """Register what identifies the functions that a library makes at run time under one name.

    Parameters
    ----------
    module, name
        The module in whose namespace they run, and their qualified name.
    """

    def register(hasher: _H) -> _H:
        _made[module, name] = hasher
        return hasher

    return register


def find_function_hasher(module: str, name: str) -> Hasher | None:
    """Return the hasher of functions that a library made at run time, None if they are described by their code."""
    _load(LIBRARIES.get(module.partition(".")[0]))
    return _made.get((module, name))


def register_unpacker(module: str, start: bytes) -> Callable[[Callable[[bytes], object]], Callable[[bytes], object]]:
    """Register what takes objects out of the bytes that a module packs them into, and returns None for other bytes.

    Parameters
    ----------
    module
        The module.
    start
        What such bytes start with.
    """

    def register(unpacker: Callable[[bytes], object]) -> Callable[[bytes], object]:
        _unpackers[module] = start, unpacker
        return unpacker

    return register


def unpack(data: bytes) -> object | None:
    """Return the object that a library packed into bytes, None if they are no such thing.

    Examples
    --------
    >>> unpack(b"pt > 30") is None
    True
    """
    for start, unpacker in _unpackers_here():
        if data.startswith(start) and (found := unpacker(data)) is not None:
            return found
    return None


def is_packed(data: bytes) -> bool:
    """Tell whether bytes look as if a library had packed an object into them.

    Examples
    --------
    >>> is_packed(b"pt > 30")
    False
    """
    return any(data.startswith(start) for start, _ in _unpackers_here())


def _unpackers_here() -> Iterator[tuple[bytes, Callable[[bytes], object]]]:
    """Yield the unpackers of the modules that this process has imported."""
    for module, plugin in PACKERS.items():
        if module in sys.modules:
            _load(plugin)
            if module in _unpackers:
                yield _unpackers[module]


def register_narrower(module: str) -> Callable[[Narrower], Narrower]:
    """Register what says what functions of a module use, for what is beside it, of an object in bytes."""

    def register(narrower: Narrower) -> Narrower:
        _narrowers[module] = narrower
        return narrower

    return register


def find_narrower(function: Any) -> Narrower | None:
    """Return what says what a function uses of an object in bytes, None if nobody says.

    Examples
    --------
    >>> find_narrower(len) is None
    True
    """
    module = str(getattr(getattr(function, "func", function), "__module__", None))
    _load(NARROWERS.get(module))
    return _narrowers.get(module)


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
        _load(LIBRARIES.get(str(base.__module__).partition(".")[0]))


def _load(plugin: str | None) -> None:
    if plugin is None or plugin in _loaded:
        return
    # Another thread must not take a plugin for loaded that has registered half of its types.
    with _loading:
        # Values of a release that the plugin is not for are taken as any other objects.
        with contextlib.suppress(ImportError):
            importlib.import_module(f"cachingclient.hashing.libraries.{plugin}")
        _loaded.add(plugin)
