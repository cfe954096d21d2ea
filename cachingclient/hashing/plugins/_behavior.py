"""Behaviors of awkward arrays: a library's by name, a user's by its code."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import awkward as ak
import numpy as np

from cachingclient.hashing.digest import digest, frame
from cachingclient.hashing.environment import is_user_code

if TYPE_CHECKING:
    from cachingclient.hashing.walk import Walk

_MOST_SPLITS = 64


def encode_behavior(array: Any, nodes: Iterable[Any], walk: Walk) -> bytes:
    """Return the encoding of the classes and overloads given with an array, and of the user's own global ones."""
    given = array.behavior
    parts = [] if given is None else [_overloads(given, walk)]
    names = {node.parameter(name) for node in nodes for name in ("__record__", "__list__", "__array__")}
    own = {
        key: value
        for key, value in ak.behavior.items()
        if names.intersection(key if isinstance(key, tuple) else (key,)) - {None}
        and is_user_code(str(getattr(value, "__module__", None) or "builtins"))
    }
    if own:
        parts.append(_overloads(own, walk))
    return frame(b"(", parts)


def _overloads(behavior: Mapping[Any, Any], walk: Walk) -> bytes:
    """Return the encoding of a behavior: what a library defines by name, what users add by its code."""
    names, modules, others = _split(behavior)
    for module in modules:
        walk.library(module, "")
    pairs = [frame(b"(", [walk.encode(key), walk.encode(value)]) for key, value in others]
    return frame(b"{", [names, *sorted(pairs)])


_Split = tuple[bytes, list[str], list[tuple[Any, Any]]]
_splits: dict[int, tuple[list[tuple[Any, Any]], _Split]] = {}


def _split(behavior: Mapping[Any, Any]) -> _Split:
    """Return the digest of what a library's name stands for in a behavior, those libraries, and the other pairs.

    coffea gives each array well over a thousand overloads, always the same: they are looked at once.
    """
    items = list(behavior.items())
    known = _splits.get(id(behavior))
    if known is not None and known[0] == items:
        return known[1]
    lines, modules, others = [], set(), []
    for key, value in items:
        parts = [
            part if isinstance(part, str) else _library_name(part) for part in (key if type(key) is tuple else (key,))
        ]
        name = _library_name(value)
        if name is None or None in parts:
            others.append((key, value))
        else:
            lines.append(repr((parts, name)))
            modules.add(name.partition(".")[0])
    split = digest("\n".join(sorted(lines)).encode()), sorted(modules), others
    if len(_splits) >= _MOST_SPLITS:
        _splits.clear()
    _splits[id(behavior)] = items, split
    return split


def _library_name(value: Any) -> str | None:
    """Return the full name of a library's class or function; None for users' and for those made at run time."""
    if isinstance(value, np.ufunc):
        ufunc = value.__name__
        return f"numpy.{ufunc}" if getattr(np, ufunc, None) is value else None
    module, name = getattr(value, "__module__", None), getattr(value, "__qualname__", None)
    if not module or not name or getattr(value, "__closure__", None) or "<" in name or is_user_code(module):
        return None
    return f"{module}.{name}"
