"""Walks that take notes, so that the next look at the same code need not be a walk.

A step is called many times in a task, and nearly always nothing that its code refers to has changed since. What a
walk looked up is noted: variables, attributes, items of containers, texts that may name files. As long as each of
them is the very object that it was, another walk would find the same.

Notes
-----
What is not known to be covered by the notes makes the walk *unsure*: it is then made again each time. So a value of
any type that is not named here costs time, never a wrong identity.
"""

from __future__ import annotations

import sys
import types
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import _lru_cache_wrapper
from itertools import chain
from operator import is_
from pathlib import PosixPath, PurePath, PurePosixPath, PureWindowsPath, WindowsPath
from threading import Lock
from typing import Any

from cachingclient.forks.children import free_in_children
from cachingclient.hashing.environment.environment import Environment
from cachingclient.hashing.environment.user_overloads import REGISTRIES
from cachingclient.hashing.errors import Unidentifiable
from cachingclient.hashing.identity import Identity
from cachingclient.hashing.inputs.fingerprint import Fingerprint
from cachingclient.hashing.inputs.inputs import Inputs
from cachingclient.hashing.registry import on_registration
from cachingclient.hashing.scalars import PLAIN
from cachingclient.hashing.walk import Describe, Walk

MOST_REMEMBERED = 500
MOST_PARAMETERS = 32
"""A longer sequence is data, of which no part is code."""
ABSENT = object()
_FUNCTION = ("__code__", "__defaults__", "__kwdefaults__", "__name__", "__qualname__", "__module__")
_PATHS = frozenset({PurePosixPath, PureWindowsPath, PosixPath, WindowsPath})
_CONSTANT = frozenset({type(None), bool, int, float, complex, bytes, type(...), type(NotImplemented)})
_FIXED = frozenset(
    {
        tuple,
        range,
        slice,
        staticmethod,
        classmethod,
        property,
        types.ModuleType,  # what code takes of it is noted one by one
        types.MethodType,
        types.CodeType,
        types.BuiltinFunctionType,
        types.MethodDescriptorType,
        types.WrapperDescriptorType,
        types.MemberDescriptorType,
        types.GetSetDescriptorType,
    }
)
"""Types whose objects never change, though what they hold may."""


class Notes:
    """The look-ups of one walk, with the objects that they found."""

    __slots__ = ("added", "attributes", "containers", "paths", "texts", "variables")

    def __init__(self) -> None:
        self.variables: dict[tuple[int, str], tuple[Mapping[str, object], str, object]] = {}
        self.attributes: dict[tuple[int, str], tuple[object, str, object]] = {}
        self.containers: dict[int, tuple[Any, tuple[object, ...]]] = {}
        self.texts: dict[str, Fingerprint | None] = {}
        self.paths: dict[PurePath, Fingerprint | None] = {}
        self.added: dict[str, object] = {}

    def still_hold(self, inputs: Inputs) -> bool:
        """Tell whether every look-up would find the same object as before."""
        try:
            # Loops: a step's call takes no longer than this.
            for namespace, name, found in self.variables.values():
                if namespace.get(name, ABSENT) is not found:
                    return False
            for owner, name, found in self.attributes.values():
                if getattr(owner, name, ABSENT) is not found:
                    return False
            for container, held in self.containers.values():
                if not has_the_same_items(container, held):
                    return False
            return (
                all(inputs.of(text) == found for text, found in self.texts.items())
                and all(inputs.of_path(path) == found for path, found in self.paths.items())
                and all(REGISTRIES[name]() is found for name, found in self.added.items())
            )
        except (RuntimeError, ValueError, Unidentifiable):
            # A container that another thread changes, a cell that was emptied, a server that is silent.
            return False


class NotingWalk(Walk):
    """A walk that notes what it looks up.

    Parameters
    ----------
    root
        The object that is identified.
    inputs, environment
        How files and libraries count.
    """

    def __init__(self, root: object, inputs: Inputs, environment: Environment) -> None:
        super().__init__(inputs, environment)
        self.notes = Notes()
        self.sure = True
        self._root = root

    def encode(self, obj: object) -> bytes:
        """Encode as any walk does, noting what of the object may change."""
        if type(obj) not in _CONSTANT:
            self._note(obj)
        return super().encode(obj)

    def _note(self, obj: Any) -> None:
        kind = type(obj)
        if kind is str:
            if PLAIN[str](obj) is None:
                self.notes.texts[obj] = self.inputs.of(obj)
        elif kind in _PATHS:
            self.notes.paths[obj] = self.inputs.of_path(obj)
        elif kind is types.FunctionType:
            self._note_function(obj)
        elif kind in (list, dict):
            self.saw_items(obj)
        elif kind in (set, frozenset):
            # What is not plain in it is put into an order by walks that take no notes.
            self.sure = self.sure and all(type(item) in PLAIN for item in obj)
            self.saw_items(obj)
        elif kind is types.CellType:
            self.saw_attributes(obj, "cell_contents")
        elif kind is _lru_cache_wrapper:
            self.saw_attributes(obj, "__wrapped__")
        elif obj is self._root and _has_known_token(obj):
            return  # its token is what it is remembered by
        elif (reads := vars(kind).get("__cache_token_reads__")) is not None:
            self.saw_attributes(obj, *reads)
        elif isinstance(obj, type):
            self.sure = self.sure and callable(vars(obj).get("__cache_token__", repr))
        elif kind not in _FIXED and not _is_numpys(obj):
            self.sure = False

    def _note_function(self, function: types.FunctionType) -> None:
        self.saw_attributes(function, *_FUNCTION)
        self.saw_items(function.__dict__)
        self.saw_variable(function.__globals__, "__name__")
        for cell in function.__closure__ or ():
            self.saw_attributes(cell, "cell_contents")

    def refer(self, obj: object, label: str, describe: Callable[[Any, Walk], bytes], known_as: object = None) -> bytes:
        """Refer to code as any walk does; what is neither a function nor a class of the user's takes no notes."""
        is_noted = getattr(describe, "__name__", "") in ("describe_function", "describe_class")
        self.sure = self.sure and is_noted and known_as is None
        return super().refer(obj, label, describe, known_as)

    def demand(self, names: Iterable[str], describe: Describe) -> None:
        """Demand attributes, for which no notes are taken."""
        self.sure = self.sure and not names
        super().demand(names, describe)

    def also(self, encoded: bytes) -> None:
        """Add a part found in a way that takes no notes."""
        self.sure = False
        super().also(encoded)

    def finish(self, root: bytes) -> Identity:
        """Close the identity, and note what users added to libraries."""
        identity = super().finish(root)
        self.notes.added = {name: REGISTRIES[name]() for name in self._distributions & REGISTRIES.keys()}
        return identity

    def saw_variable(self, namespace: Mapping[str, object], name: str) -> None:
        """Note the object that a name refers to."""
        self.notes.variables.setdefault((id(namespace), name), (namespace, name, namespace.get(name, ABSENT)))

    def saw_attributes(self, owner: object, *names: str) -> None:
        """Note the objects that attributes refer to."""
        for name in names:
            try:
                found = getattr(owner, name, ABSENT)
            except ValueError:  # an empty cell
                self.sure = False
            else:
                self.notes.attributes.setdefault((id(owner), name), (owner, name, found))

    def saw_items(self, container: Any) -> None:
        """Note the items of a container."""
        self.notes.containers.setdefault(id(container), (container, tuple(items_of(container))))

    def unsure(self) -> None:
        """Mark the walk as unsure: it looked up something that is not noted, so it is made again each time."""
        self.sure = False


def parts_of(value: Any) -> object:
    """Return by what something with code in it is remembered: a step's token, a sequence itself; None for the rest."""
    if _has_known_token(value):
        return value.__cache_token__()
    if type(value) is types.FunctionType:
        # One that came by value is another object for each task: to remember it would cost more than to look at it.
        return (value,) if value.__globals__ is getattr(sys.modules.get(value.__module__), "__dict__", None) else None
    return value if _holds_functions(value) else None


def _holds_functions(value: Any, levels: int = 3) -> bool:
    """Tell a short sequence with code in it, such as functions with their parameters."""
    if not levels or type(value) not in (tuple, list) or len(value) > MOST_PARAMETERS:
        return False
    return any(type(part) is types.FunctionType or _holds_functions(part, levels - 1) for part in value)


def _has_known_token(obj: object) -> bool:
    """Tell whether the token of an object is made as its own class says; a subclass may have another."""
    return "__cache_token_reads__" in vars(type(obj))


def _is_numpys(obj: Any) -> bool:
    """Tell a function that numpy has under its own name, which are of types of numpy's own."""
    return type(obj).__module__ == "numpy" and getattr(sys.modules["numpy"], getattr(obj, "__name__", ""), None) is obj


def items_of(container: Any) -> Iterator[object]:
    """Yield what is in a container, of a mapping the names first."""
    return chain(container, container.values()) if hasattr(container, "values") else iter(container)


def has_the_same_items(container: Any, held: tuple[object, ...]) -> bool:
    """Tell whether a container has in it what it had, none of it replaced."""
    # Equal objects are not enough: 1 equals True, and a user's object may call itself equal to anything.
    count = 2 * len(container) if hasattr(container, "values") else len(container)
    return count == len(held) and all(map(is_, items_of(container), held))


_remembered: OrderedDict[tuple[object, ...], tuple[object, Notes, Identity]] = OrderedDict()
_lock = free_in_children(Lock())
on_registration(_remembered.clear)


def identify_again(obj: object, parts: object, inputs: Inputs, environment: Environment) -> Identity:
    """Return the identity of something made of parts; as it was found before if another walk would find the same.

    Parameters
    ----------
    obj
        What is to be identified.
    parts
        Nested tuples and lists of all that it is made of. Two things of one type with the same parts have the same
        identity.
    inputs, environment
        How files and libraries count.

    Examples
    --------
    >>> cuts = [30]
    >>> first = identify_again(cuts, (cuts,), Inputs(), Environment())
    >>> first.digest == identify_again(cuts, (cuts,), Inputs(), Environment()).digest
    True
    >>> cuts[0] = 40
    >>> first.digest == identify_again(cuts, (cuts,), Inputs(), Environment()).digest
    False
    """
    key = type(obj), inputs.mode, environment, *_leaves(parts)
    with _lock:
        known = _remembered.get(key)
        if known is not None:
            _remembered.move_to_end(key)
    if known is not None and known[1].still_hold(inputs):
        return known[2]
    walk = NotingWalk(obj, inputs, environment)
    try:
        identity = walk.finish(walk.encode(obj))
    except RecursionError:
        raise Unidentifiable(f"a {type(obj).__name__} nested too deeply to be followed") from None
    with _lock:
        _remembered.pop(key, None)
        # What changed while it was looked at was not noted as it was looked at.
        if walk.sure and walk.notes.still_hold(inputs):
            # The parts live on, so that no other object takes their place in memory.
            _remembered[key] = parts, walk.notes, identity
        while len(_remembered) > MOST_REMEMBERED:
            _remembered.popitem(last=False)
    return identity


def _leaves(parts: object) -> Iterator[object]:
    """Yield what tells nested sequences apart: constants by value, anything else by being itself."""
    kind = type(parts)
    if isinstance(parts, (tuple, list)) and kind in (tuple, list):
        yield from (kind, len(parts))
        for part in parts:
            yield from _leaves(part)
    elif kind is str:
        yield parts
    elif kind in _CONSTANT and (encoded := PLAIN[kind](parts)) is not None:
        yield encoded
    else:
        yield id(parts)
