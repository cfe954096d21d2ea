"""What a method reads from ``self``: the attributes, and of containers the parts, that alone count in a step."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from types import CodeType, FunctionType, MemberDescriptorType
from typing import Any

from cachingclient.hashing.code.bytecode import shape
from cachingclient.hashing.code.instructions import decode
from cachingclient.hashing.code.paths import ABSENT, Path, parts_taken, path_after
from cachingclient.hashing.code.references import LOOKS_AROUND
from cachingclient.hashing.inputs.inputs import Inputs
from cachingclient.hashing.walk import Walk

_LOADS = frozenset({"LOAD_FAST", "LOAD_FAST_CHECK", "LOAD_FAST_AND_CLEAR", "LOAD_DEREF", "LOAD_FROM_DICT_OR_DEREF"})
_REBINDS = frozenset({"STORE_FAST", "STORE_DEREF", "DELETE_FAST", "DELETE_DEREF"})
_NOTHING = object()


class _CanNotFollow(Exception):
    """The object is used as a whole, or in a way that can't be seen in the code."""


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
    reads = _Reads(instance)
    try:
        reads.follow(function)
    except _CanNotFollow:
        return instance
    return tuple(sorted(reads.told(), key=lambda pair: pair[0]))


class _Reads:
    """What some methods read from an object."""

    def __init__(self, instance: object) -> None:
        self.instance = instance
        self.paths: dict[str, set[Path]] = {}
        self.found: dict[str, object] = {}
        self.values: dict[str, object] = {}
        """Those attributes of which a part may count alone."""

    def told(self) -> list[tuple[str, object]]:
        """Return what was read, each by its name."""
        told = list(self.found.items())
        walk = Walk(Inputs("name"))
        for name, value in self.values.items():
            parts = parts_taken(value, self.paths[name], walk)
            for words, part in parts if parts is not None else [("", value)]:
                told.append((f"{name}{words} (not there)", None) if part is ABSENT else (f"{name}{words}", part))
        return told

    def follow(self, function: Callable[..., Any]) -> None:
        """Add what a function that gets the object as its first argument reads from it."""
        if not isinstance(function, FunctionType):
            raise _CanNotFollow
        read = paths_read(function.__code__)
        if read is None:
            raise _CanNotFollow
        for name, paths in read.items():
            known = name in self.paths
            self.paths.setdefault(name, set()).update(paths)
            if not known:
                self._resolve(name)

    def _resolve(self, name: str) -> None:
        """Add what an attribute stands for, found as the interpreter does: descriptor, own attribute, class's."""
        instance, kind = self.instance, type(self.instance)
        if name.startswith("__") or kind.__getattribute__ is not object.__getattribute__:
            raise _CanNotFollow
        shared = next((vars(cls)[name] for cls in kind.__mro__ if name in vars(cls)), _NOTHING)
        own = getattr(instance, "__dict__", {})
        if isinstance(shared, property):
            self.found[name] = "property", shared.fget
            self.follow(shared.fget or _missing)
        elif isinstance(shared, MemberDescriptorType):
            self.values[name] = getattr(instance, name, ABSENT)
        elif hasattr(type(shared), "__set__"):
            raise _CanNotFollow
        elif name in own:
            self.values[name] = own[name]
        elif shared is _NOTHING:
            if hasattr(kind, "__getattr__"):
                raise _CanNotFollow
            self.values[name] = ABSENT
        elif isinstance(shared, functools.cached_property):
            self.found[name] = "cached property", shared.func
            self.follow(shared.func)
        elif isinstance(shared, FunctionType) or hasattr(type(shared), "__cache_function__"):
            self.found[name] = shared
            step: Any = shared
            self.follow(getattr(step, "__cache_function__", step))
        elif isinstance(shared, staticmethod):
            self.found[name] = shared.__func__
        elif hasattr(type(shared), "__get__"):
            raise _CanNotFollow
        else:
            self.values[name] = shared


def _missing() -> None:
    """Stand for a property that can't be read."""


@functools.lru_cache(maxsize=10_000)
def paths_read(code: CodeType) -> Mapping[str, frozenset[Path]] | None:
    """Return the attributes that code reads from its first argument, and what it takes of each at all of its places.

    Returns
    -------
    dict or None
        None if the code does anything else with its first argument, or may look at it without naming it.

    Examples
    --------
    >>> sorted(paths_read((lambda self, x: self.a + self.b(x)).__code__))
    ['a', 'b']
    >>> [[str(taken) for taken in path] for path in paths_read((lambda self: self.a["x"]).__code__)["a"]]
    [["['x']"]]
    >>> paths_read((lambda self: print(self)).__code__) is None
    True
    """
    if not code.co_argcount:
        return None
    seen = shape(code)
    if seen.words or not LOOKS_AROUND.isdisjoint(each.name for each in seen.references):
        return None
    paths: dict[str, set[Path]] = {}
    if not _add_paths(code.co_varnames[0], code, paths):
        return None
    return {name: frozenset(taken) for name, taken in paths.items()}


def _add_paths(variable: str, code: CodeType, paths: dict[str, set[Path]]) -> bool:
    """Add what code, nested code included, takes of the attributes of a variable; False if it does anything else."""
    if "__class__" in code.co_freevars:
        return False  # super() reads the variable without naming it
    instructions = decode(code)
    for number, found in enumerate(instructions):
        if found.name == "LOAD_ATTR" and found.value == "__self__":
            return False  # a method of it leads back to it
        if found.value != variable:
            continue
        if found.name in _REBINDS:
            return False
        makes_closure = found.name == "LOAD_FAST" and variable in code.co_cellvars
        if found.name in _LOADS and not makes_closure:
            following = instructions[number + 1 : number + 2]
            if not following or following[0].name != "LOAD_ATTR":
                return False
            paths.setdefault(following[0].value, set()).add(path_after(instructions, number + 1))
    return all(
        _add_paths(variable, constant, paths)
        for constant in code.co_consts
        if isinstance(constant, CodeType) and variable in constant.co_freevars
    )
