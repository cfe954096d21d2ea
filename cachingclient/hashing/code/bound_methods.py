"""The attributes that a method reads from ``self``: they alone count in a step, not the whole object."""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import CodeType, FunctionType, MemberDescriptorType
from typing import Any

from cachingclient.hashing.code.instructions import decode

_LOADS = frozenset({"LOAD_FAST", "LOAD_FAST_CHECK", "LOAD_FAST_AND_CLEAR", "LOAD_DEREF", "LOAD_FROM_DICT_OR_DEREF"})
_REBINDS = frozenset({"STORE_FAST", "STORE_DEREF", "DELETE_FAST", "DELETE_DEREF"})
_NOTHING = object()


class _CanNotFollow(Exception):
    """The object is used as a whole, or in a way that can't be seen in the code."""


def what_it_reads(instance: object, function: Callable[..., Any]) -> object:
    """Return what a method depends on of the object it is called on; the object itself if that can't be seen.

    Other methods and properties that it uses are followed. An object that is passed on, written to, or asked for an
    attribute by a computed name counts as a whole.

    Parameters
    ----------
    instance
        The object.
    function
        The method, as the function that gets the object as its first argument.

    Examples
    --------
    >>> class Selection:
    ...     def __init__(self, cut, label):
    ...         self.cut, self.label = cut, label
    ...     def passes(self, pt):
    ...         return pt > self.cut
    >>> what_it_reads(Selection(30, "jets"), Selection.passes)
    (('cut', 30),)
    """
    found: dict[str, object] = {}
    try:
        _follow(instance, function, found)
    except _CanNotFollow:
        return instance
    return tuple(sorted(found.items(), key=lambda pair: pair[0]))


def _follow(instance: object, function: Callable[..., Any], found: dict[str, object]) -> None:
    """Add what a function that gets the object as its first argument reads from it."""
    if not isinstance(function, FunctionType):
        raise _CanNotFollow
    names = names_read(function.__code__)
    if names is None:
        raise _CanNotFollow
    for name in names:
        if name not in found:
            _resolve(instance, name, found)


def _resolve(instance: object, name: str, found: dict[str, object]) -> None:
    """Add what an attribute stands for, found as the interpreter does: descriptor, own attribute, class attribute."""
    kind = type(instance)
    if name.startswith("__") or kind.__getattribute__ is not object.__getattribute__:
        raise _CanNotFollow
    shared = next((vars(cls)[name] for cls in kind.__mro__ if name in vars(cls)), _NOTHING)
    own = getattr(instance, "__dict__", {})
    if isinstance(shared, property):
        found[name] = "property", shared.fget
        _follow(instance, shared.fget or _missing, found)
    elif isinstance(shared, MemberDescriptorType):
        found[name] = getattr(instance, name, "not set")
    elif hasattr(type(shared), "__set__"):
        raise _CanNotFollow
    elif name in own:
        found[name] = own[name]
    elif shared is _NOTHING:
        if hasattr(kind, "__getattr__"):
            raise _CanNotFollow
        found[name] = "not set"
    elif isinstance(shared, functools.cached_property):
        found[name] = "cached property", shared.func
        _follow(instance, shared.func, found)
    elif isinstance(shared, FunctionType) or hasattr(type(shared), "__cache_function__"):
        found[name] = shared
        step: Any = shared
        _follow(instance, getattr(step, "__cache_function__", step), found)
    elif isinstance(shared, staticmethod):
        found[name] = shared.__func__
    elif hasattr(type(shared), "__get__"):
        raise _CanNotFollow
    else:
        found[name] = shared


def _missing() -> None:
    """Stand for a property that can't be read."""


@functools.lru_cache(maxsize=10_000)
def names_read(code: CodeType) -> frozenset[str] | None:
    """Return the attributes that code reads from its first argument; None if it does anything else with it.

    Examples
    --------
    >>> sorted(names_read((lambda self, x: self.a + self.b(x)).__code__))
    ['a', 'b']
    >>> names_read((lambda self: print(self)).__code__) is None
    True
    """
    if not code.co_argcount:
        return None
    return _names_read_from(code.co_varnames[0], code)


def _names_read_from(variable: str, code: CodeType) -> frozenset[str] | None:
    """Return the attributes that code, nested code included, reads from a variable."""
    if "__class__" in code.co_freevars:
        return None  # super() reads the variable without naming it
    names: set[str] = set()
    instructions = decode(code)
    for found, following in zip(instructions, [*instructions[1:], None], strict=True):
        if found.value != variable:
            continue
        if found.name in _REBINDS:
            return None
        makes_closure = found.name == "LOAD_FAST" and variable in code.co_cellvars
        if found.name in _LOADS and not makes_closure:
            if following is None or following.name != "LOAD_ATTR":
                return None
            names.add(following.value)
    for constant in code.co_consts:
        if isinstance(constant, CodeType) and variable in constant.co_freevars:
            inner = _names_read_from(variable, constant)
            if inner is None:
                return None
            names |= inner
    return frozenset(names)
