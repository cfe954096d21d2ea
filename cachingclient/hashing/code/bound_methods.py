"""What a method reads from ``self``: the attributes, and of containers the parts, that alone count in a step."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import FunctionType, MemberDescriptorType
from typing import Any

from cachingclient.hashing.code.by_key import ByKey, by_key
from cachingclient.hashing.code.given import NOTHING, Facts, Given
from cachingclient.hashing.code.paths import ABSENT, Path, Uses, is_key, parts_taken, words_of
from cachingclient.hashing.code.reads import entry_of, reads_of_code
from cachingclient.hashing.identity import Place
from cachingclient.hashing.inputs.inputs import Inputs
from cachingclient.hashing.walk import Walk

ValueOf = Callable[[Given], object]
"""Returns what a call is given, `ABSENT` where nobody knows."""
_NOTHING = object()


class _CanNotFollow(Exception):
    """The object is used as a whole, or in a way that can't be seen in the code."""


def _nobody_knows(given: Given) -> object:
    return ABSENT


@dataclass(frozen=True, eq=False)
class Reads:
    """What a method depends on of the object that it is called on.

    Attributes
    ----------
    always
        The name of each attribute, or of a part of one, and what is there.
    by_call
        The name of each attribute of which the call tells the parts, what is there, and what is taken of it.
    places
        Where each part is first taken that always counts, by its name.
    method
        The method, as these calls have it.
    by_key
        The functions with variables of modules of which the call tells the parts.
    """

    always: tuple[tuple[str, object], ...]
    by_call: tuple[tuple[str, object, Uses], ...]
    places: Mapping[str, Place]
    method: object
    by_key: tuple[ByKey, ...] = ()

    @functools.cached_property
    def given(self) -> tuple[Given, ...]:
        """What of the call tells the parts."""
        every = [paths for _, _, paths in self.by_call] + [paths for one in self.by_key for paths in one.given.values()]
        keys = (taken.key for paths in every for path in paths for taken in path)
        return tuple(sorted({key for key in keys if isinstance(key, Given)}, key=str))

    def of_call(self, value_of: ValueOf) -> tuple[tuple[str, object], ...]:
        """Return what is read in one call, of a container all where its key is not known."""
        return _all_parts(self.by_call, value_of)

    def variables_of_call(self, value_of: ValueOf) -> tuple[tuple[str, object], ...]:
        """Return what is read of variables in one call, as they are now."""
        return _all_parts((each for one in self.by_key for each in one.variables()), value_of)

    def places_of_call(self, value_of: ValueOf) -> dict[str, Place]:
        """Return where each part is first taken that is read in one call, by its name."""
        return {label: place for name, _, uses in self.by_call for label, place in _places(name, uses, value_of)}


def _all_parts(every: Iterable[tuple[str, object, Uses]], value_of: ValueOf) -> tuple[tuple[str, object], ...]:
    parts = (part for name, value, paths in every for part in _parts(name, value, paths, value_of))
    return tuple(sorted(parts, key=lambda pair: pair[0]))


def _places(name: str, uses: Uses, value_of: ValueOf) -> Iterator[tuple[str, Place]]:
    """Yield what is taken of an attribute, by its name, with where; of what is taken again the first place last."""
    for path, place in reversed(list(uses.items())):
        yield f"{name}{words_of(_with_values(path, value_of))}", place


def _parts(name: str, value: object, paths: Collection[Path], value_of: ValueOf) -> Iterator[tuple[str, object]]:
    """Yield what is taken of an attribute, each part by its name."""
    parts = parts_taken(value, {_with_values(path, value_of) for path in paths}, Walk(Inputs("name")))
    for words, part in parts if parts is not None else [("", value)]:
        yield (f"{name}{words} (not there)", None) if part is ABSENT else (f"{name}{words}", part)


def _with_values(path: Path, value_of: ValueOf) -> Path:
    """Return a path with keys in place of what was given, as far as they are known."""
    known: list[Any] = []
    for taken in path:
        key = value_of(taken.key) if isinstance(taken.key, Given) else taken.key
        if isinstance(taken.key, Given) and not is_key(key):
            break
        known.append(taken._replace(key=key))
    return tuple(known)


def what_it_reads(instance: object, function: Callable[..., Any]) -> object:
    """Return what a method depends on of the object it is called on; the object itself if that can't be seen.

    Other methods and properties that it uses are followed. An object that is passed on, written to, or asked for an
    attribute by a computed name counts as a whole. So does an attribute; of a dict, list or plain object that all of
    these methods take parts of by constant keys, the parts count alone.

    Parameters
    ----------
    instance
        The object.
    function
        The method, as the function that gets the object as its first argument.

    Examples
    --------
    >>> class Selection:
    ...     def __init__(self, cut, config):
    ...         self.cut, self.config = cut, config
    ...     def passes(self, pt):
    ...         return pt > self.cut + self.config["jets"]["shift"]
    >>> what_it_reads(Selection(30, {"jets": {"shift": 2, "bins": 25}}), Selection.passes)
    (("config['jets']['shift']", 2), ('cut', 30))
    """
    reads = reads_of(instance, function)
    if reads is None:
        return instance
    return tuple(sorted((*reads.always, *reads.of_call(_nobody_knows)), key=lambda pair: pair[0]))


def reads_of(instance: object, function: Callable[..., Any], entry: Facts = NOTHING) -> Reads | None:
    """Return what a method reads of the object it is called on, None if that can't be seen.

    Parameters
    ----------
    instance, function
        The object and the method, as for `what_it_reads`.
    entry
        What holds of the method's arguments when it is called.
    """
    reads = _Reads(instance)
    try:
        reads.follow(function, entry)
    except _CanNotFollow:
        return None
    return reads.told(function)


class _Reads:
    """What some methods read from an object."""

    def __init__(self, instance: object) -> None:
        self.instance = instance
        self.uses: dict[str, dict[Path, Place]] = {}
        self.found: dict[str, object] = {}
        self.values: dict[str, object] = {}
        """Those attributes of which a part may count alone."""
        self.methods: dict[str, Callable[..., Any]] = {}
        """Those attributes that are methods: code that gets the object, and what it is called with."""
        self.entries: dict[Callable[..., Any], set[Facts]] = {}
        """What was followed, and what holds of its arguments where it is called."""

    def told(self, method: Callable[..., Any]) -> Reads:
        """Return what was read, by a method and those that it calls."""
        found = self.found.items()
        own = {called: by_key(called, entries) for called, entries in self.entries.items()}
        always = [(name, (isinstance(value, FunctionType) and own.get(value)) or value) for name, value in found]
        by_call: list[tuple[str, object, Uses]] = []
        places: dict[str, Place] = {}
        for name, value in self.values.items():
            uses = self.uses[name]
            if all(uses) and any(isinstance(taken.key, Given) for path in uses for taken in path):
                by_call.append((name, value, uses))
            else:
                always += _parts(name, value, uses, _nobody_knows)
                places.update(_places(name, uses, _nobody_knows))
        always.sort(key=lambda pair: pair[0])
        by_call.sort(key=lambda each: each[0])
        return Reads(tuple(always), tuple(by_call), places, own[method] or method, tuple(filter(None, own.values())))

    def follow(self, function: Callable[..., Any], entry: Facts = NOTHING) -> None:
        """Add what a function that gets the object as its first argument reads from it."""
        if not isinstance(function, FunctionType):
            raise _CanNotFollow
        if entry in (entries := self.entries.setdefault(function, set())):
            return
        entries.add(entry)
        read = reads_of_code(function.__code__, entry)
        if read is None:
            raise _CanNotFollow
        for name, uses in read.items():
            if name not in self.uses:
                self.uses[name] = {}
                self._resolve(name)
            for (path, _), line in uses.items():
                self.uses[name].setdefault(path, (function.__code__.co_filename, line, function.__code__.co_name))
            if (method := self.methods.get(name)) is not None:
                for _, passed in uses:
                    self.follow(method, entry_of(method, passed))

    def _resolve(self, name: str) -> None:
        """Add what an attribute stands for, found as the interpreter does: descriptor, own attribute, class's."""
        instance, kind = self.instance, type(self.instance)
        if name.startswith("__") or kind.__getattribute__ is not object.__getattribute__:
            raise _CanNotFollow
        shared = next((vars(cls)[name] for cls in kind.__mro__ if name in vars(cls)), _NOTHING)
        own = getattr(instance, "__dict__", {})
        if type(shared) is property:
            self._get(name, "property", shared.fget or _missing)
        elif isinstance(shared, MemberDescriptorType):
            self._get_nothing_else()
            self.values[name] = getattr(instance, name, ABSENT)
        elif hasattr(type(shared), "__set__") or hasattr(type(shared), "__delete__"):
            raise _CanNotFollow
        elif name in own:
            self.values[name] = own[name]
        elif shared is _NOTHING:
            self._get_nothing_else()
            self.values[name] = ABSENT
        elif type(shared) is functools.cached_property:
            self._get(name, "cached property", shared.func)
        elif isinstance(shared, FunctionType) or hasattr(type(shared), "__cache_function__"):
            self.found[name] = shared
            step: Any = shared
            self.methods[name] = getattr(step, "__cache_function__", step)
        elif type(shared) is staticmethod:
            self.found[name] = shared.__func__
        elif hasattr(type(shared), "__get__"):
            raise _CanNotFollow
        else:
            self.values[name] = shared

    def _get(self, name: str, how: str, getter: Callable[..., Any]) -> None:
        """Add a property: its code gets the object alone, whatever is done with what it returns."""
        self._get_nothing_else()
        self.found[name] = how, getter
        self.follow(getter)

    def _get_nothing_else(self) -> None:
        """Give up where other code is asked for an attribute that is not found, or whose property says so."""
        if hasattr(type(self.instance), "__getattr__"):
            raise _CanNotFollow


def _missing() -> None:
    """Stand for a property that can't be read."""
