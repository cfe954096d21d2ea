"""Behaviors of awkward arrays: a library's by where it stands, what users added to it pickled.

coffea gives every array more than a thousand overloads, always the same: pickled, they are larger than the array.
"""

from __future__ import annotations

import functools
import importlib
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from operator import attrgetter, is_
from types import FunctionType, ModuleType
from typing import Any

import numpy as np

from cachingclient.storage.codecs.registry import codec_named

HOLDERS = ("coffea", "vector")
"""Only in these are behaviors looked for: a store must not be able to name any module to be imported."""
_LIBRARIES = frozenset({*HOLDERS, "awkward", "numpy", "numbers", "functools"})
_MOST_PLACES = 64


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a behavior is found again: `name`, or empty; what is there; how much of it that is; what else is in it."""

    name: str = ""
    shared: Mapping[Any, Any] | None = None
    covered: int = 0
    added: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class _Found:
    """The places of a behavior, and what it and they were made of, which is held so that nothing takes its address."""

    places: tuple[_Place, ...]
    held: tuple[Any, ...]
    theirs: tuple[Any, ...]

    def holds(self) -> bool:
        """Whether the libraries' own are as they were: a user may add to them."""
        now = _parts(*(place.shared or {} for place in self.places))
        return len(now) == len(self.theirs) and all(map(is_, now, self.theirs))


_found: dict[tuple[int, ...], _Found] = {}


def encode_behavior(behavior: Mapping[Any, Any] | None, writer: Any) -> dict[str, Any] | None:
    """Describe the behavior of an array: by name, and by what was added to that; all of it where it has no name."""
    if behavior is None:
        return None
    place = _place_of(behavior)
    added = {key: behavior[key] for key in place.added}
    pickled = writer.encode_with(codec_named("pickle"), added) if added else None
    return {"name": place.name, "itself": behavior is place.shared, "added": pickled}


def decode_behavior(node: Mapping[str, Any] | None, reader: Any) -> Any:
    """Return the behavior that a node describes; one that was the library's own is that again."""
    if node is None:
        return None
    shared = _named(node["name"]) if node["name"] else {}
    added = reader.decode(node["added"]) if node["added"] else {}
    # A process that has not run what added to the library's own must not be changed by looking at a result.
    is_there = all(key in shared and not _is_of_library((key, shared[key])) for key in added)
    return shared if node["itself"] and is_there else {**shared, **added}


def _place_of(behavior: Mapping[Any, Any]) -> _Place:
    """Return where a behavior is found again: that very one before one that most of it is from."""
    nowhere = _Place(added=tuple(behavior))
    return max((nowhere, *_places_of(behavior)), key=lambda place: (behavior is place.shared, place.covered))


def _places_of(behavior: Mapping[Any, Any]) -> tuple[_Place, ...]:
    """Return where a behavior may be found again; those that are made of the same objects are looked at once.

    coffea makes one for each chunk, of more than a thousand objects that stay.
    """
    held = _parts(behavior)
    made_of = tuple(map(id, held))
    found = _found.get(made_of)
    if found is None or not found.holds():
        try:
            places = tuple(_look(behavior))
        except (ValueError, RecursionError):  # a closure that leads back to itself, or has an empty cell
            places = ()
        if len(_found) >= _MOST_PLACES:
            _found.clear()
        found = _found[made_of] = _Found(places, held, _parts(*(place.shared or {} for place in places)))
    return found.places


def _parts(*behaviors: Mapping[Any, Any]) -> tuple[Any, ...]:
    return tuple(chain.from_iterable((*each, *each.values()) for each in behaviors))


def _look(behavior: Mapping[Any, Any]) -> Iterator[_Place]:
    """Yield the places in libraries where some of a behavior is."""
    for module_name, module in sorted(sys.modules.copy().items()):
        if module_name.partition(".")[0] in HOLDERS and isinstance(module, ModuleType):
            for name, shared in vars(module).copy().items():
                if name.startswith("behavior") and type(shared) is dict and shared.keys() <= behavior.keys():
                    own = {key for key in shared if shared[key] is behavior[key] and _is_of_library((key, shared[key]))}
                    added = tuple(key for key in behavior if key not in own)
                    yield _Place(f"{module_name}:{name}", shared, len(own), added)


def _is_of_library(value: Any) -> bool:
    """Whether importing the library defines this: what a user registered there need not be there next time."""
    if value is None or isinstance(value, (str, int, float, np.ufunc)):
        return True
    if isinstance(value, tuple):
        return all(map(_is_of_library, value))
    if isinstance(value, functools.partial):
        return all(map(_is_of_library, (value.func, value.args, tuple(value.keywords.values()))))
    module, name = str(getattr(value, "__module__", "")), getattr(value, "__qualname__", None)
    if module.partition(".")[0] not in _LIBRARIES or name is None:
        return False
    if not isinstance(value, FunctionType):
        return _is_at(module, name, value)
    if value.__globals__["__name__"].partition(".")[0] not in _LIBRARIES:
        return False  # a user's wrapper says that it is from where the wrapped one is
    return _is_at(module, name, value) or _is_of_library(tuple(cell.cell_contents for cell in value.__closure__ or ()))


def _is_at(module: str, name: str, value: Any) -> bool:
    """Whether a module has this under its name."""
    try:
        return attrgetter(name)(sys.modules[module]) is value
    except (KeyError, AttributeError):
        return False


def _named(name: str) -> Any:
    """Return the behavior that stands there.

    Raises
    ------
    ValueError
        It is not in one of the libraries that have behaviors.
    """
    module, _, variable = name.partition(":")
    if module.partition(".")[0] not in HOLDERS or not variable.startswith("behavior"):
        raise ValueError(f"{name!r} is no behavior of {' or '.join(HOLDERS)}")
    found = getattr(importlib.import_module(module), variable)
    if type(found) is not dict:
        raise ValueError(f"{name!r} is no behavior")
    return found
