"""Behaviors of awkward arrays: a library's by name, a user's by its code."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import FunctionType
from typing import TYPE_CHECKING, Any

import numpy as np

from cachingclient.hashing.code.bytecode import shape
from cachingclient.hashing.code.names import find_named
from cachingclient.hashing.digest import compact, digest, frame
from cachingclient.hashing.environment.environment import is_user_code
from cachingclient.hashing.environment.user_overloads import awkward_overloads
from cachingclient.hashing.memo import has_the_same_items, items_of
from cachingclient.hashing.scalars import PLAIN, encode_str

if TYPE_CHECKING:
    from cachingclient.hashing.walk import Walk

_MOST_SPLITS = 64


def encode_behavior(array: Any, nodes: Iterable[Any], walk: Walk) -> bytes:
    """Return the encoding of the classes and overloads given with an array, and of the user's own global ones."""
    given = array.behavior
    parts = [] if given is None else [_overloads(given, walk)]
    overloads = awkward_overloads()
    if not overloads:
        return frame(b"(", parts)
    names = {node.parameter(name) for node in nodes for name in ("__record__", "__list__", "__array__")}
    own = {
        key: value
        for key, value in overloads
        if names.intersection(key if isinstance(key, tuple) else (key,)) - {None}
        and is_user_code(str(getattr(value, "__module__", None) or "builtins"))
    }
    if own:
        parts.append(_overloads(own, walk))
    return frame(b"(", parts)


def _overloads(behavior: Mapping[Any, Any], walk: Walk) -> bytes:
    """Return the encoding of a behavior: entries of libraries by name and version, those of users by their code."""
    found = split(behavior)
    for module in found.modules:
        walk.library(module, "")
    pairs = [frame(b"(", [walk.encode(key), walk.encode(value)]) for key, value in found.others]
    return frame(b"{", [found.library, *sorted(pairs)])


@dataclass(frozen=True, slots=True)
class Split:
    """A behavior in two parts.

    Attributes
    ----------
    library
        The digest of what libraries define: it changes with their versions and at no other time.
    modules
        Those libraries.
    others
        The other pairs, among them all that a user's code has a part in.
    held
        The keys and values, so that no other object takes their place in memory.
    """

    library: bytes
    modules: tuple[str, ...]
    others: tuple[tuple[Any, Any], ...]
    held: tuple[Any, ...]


_splits: dict[tuple[int, ...], Split] = {}
_last: dict[int, Split] = {}
"""What was found for the dictionary at some place in memory; it may be another one by now."""


def split(behavior: Mapping[Any, Any]) -> Split:
    """Return the parts of a behavior.

    coffea gives each array well over a thousand overloads, always the same ones: a behavior that is made of the same
    objects as one before, in the same dictionary or in another, is looked at once.

    Notes
    -----
    What a library's function has is read once: its code, defaults, closure. One that is changed in its place later,
    rather than replaced, is not seen, as everywhere in libraries.
    """
    last = _last.get(id(behavior))
    if last is not None and has_the_same_items(behavior, last.held):
        return last
    held = tuple(items_of(behavior))
    made_of = tuple(map(id, held))
    found = _splits.get(made_of)
    if found is None:
        modules: set[str] = set()
        lines, others = [], []
        for key, value in behavior.items():
            line = _of_library((key, value), modules)
            if line is None:
                others.append((key, value))
            else:
                lines.append(line)
        whole = digest(b"".join(bytes([len(line)]) + line for line in sorted(lines)))
        found = Split(whole, tuple(sorted(modules)), tuple(others), held)
        if len(_splits) >= _MOST_SPLITS:
            _splits.clear()
        _splits[made_of] = found
    if len(_last) >= _MOST_SPLITS:
        _last.clear()
    _last[id(behavior)] = found
    return found


def _of_library(value: Any, modules: set[str]) -> bytes | None:
    """Return the encoding of what a library defines and nobody changes, adding its module; None for anything else."""
    kind = type(value)
    if kind is tuple:
        return _all_of_library(b"(", value, modules)
    if kind is str:
        return encode_str(value)
    if kind in PLAIN and kind is not bytearray:
        return PLAIN[kind](value)
    if kind is functools.partial:
        return _all_of_library(b"$partial:", (value.func, value.args, *sorted(value.keywords.items())), modules)
    if isinstance(value, np.ufunc):
        ufunc: str = value.__name__
        return compact(b"U", ufunc.encode()) if getattr(np, ufunc, None) is value else None
    module, name = getattr(value, "__module__", None), getattr(value, "__qualname__", None)
    if not isinstance(module, str) or not isinstance(name, str) or is_user_code(module):
        return None
    if kind is FunctionType and is_user_code(value.__globals__.get("__name__") or ""):
        return None  # a user's wrapper says that it is from where the wrapped one is
    if find_named(module, name) is value:
        modules.add(module.partition(".")[0])
        return compact(b"L", f"{module}:{name}".encode())
    return _made_by_library(value, module, modules) if kind is FunctionType else None


def _made_by_library(function: FunctionType, module: str, modules: set[str]) -> bytes | None:
    """Return the encoding of a function that a library made at run time, unless something of the user's is in it."""
    modules.add(module.partition(".")[0])
    try:
        cells = tuple(cell.cell_contents for cell in function.__closure__ or ())
        attributes = tuple(sorted(function.__dict__.items()))
        keywords = tuple(sorted((function.__kwdefaults__ or {}).items()))
        attached = _of_library((function.__defaults__, keywords, attributes, cells), modules)
    except (ValueError, RecursionError):  # an empty cell, or one that leads back here
        return None
    if attached is None:
        return None
    where = f"{module}:{function.__qualname__}".encode()
    return frame(b"$made:", [compact(b"L", where), shape(function.__code__).body, attached])


def _all_of_library(tag: bytes, values: Iterable[Any], modules: set[str]) -> bytes | None:
    parts = [_of_library(value, modules) for value in values]
    return None if None in parts else frame(tag, (part for part in parts if part is not None))
