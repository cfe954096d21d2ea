"""The arguments of a call that count: all, unless its function or its library says otherwise."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any

from cachingclient.graph import Alias, DataNode, Key, NestedContainer, TaskRef
from cachingclient.hashing.keys import Step
from cachingclient.hashing.registry import find_narrower

_GIVES_ITS_ARGUMENT = (lambda argument: argument).__code__.co_code


def relevant_arguments(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> tuple[tuple[Any, ...], Mapping[str, Any]]:
    """Return the arguments that count: all, unless the function says otherwise by ``__cache_arguments__``."""
    relevant = getattr(function, "__cache_arguments__", None)
    return (args, kwargs) if relevant is None else relevant(args, kwargs)


def narrowed(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any], done: Mapping[Key, Step]
) -> tuple[Any, ...]:
    """Return the positional arguments, of an object that a library packed only what the function uses of it.

    Parameters
    ----------
    function, args, kwargs
        The call. An object that was packed stands beside another in the only argument, as coffea has it.
    done
        The steps that the arguments refer to.

    Examples
    --------
    >>> narrowed(len, ([1, 2],), {}, {})
    ([1, 2],)
    """
    if len(args) != 1 or kwargs:
        return args
    pair = args[0]
    parts = pair.args if isinstance(pair, NestedContainer) else pair
    if type(parts) not in (tuple, list) or len(parts) != 2 or (narrower := find_narrower(function)) is None:
        return args
    packed = _packed(parts[1], done)
    beside = parts[0].value if type(parts[0]) is DataNode else parts[0]
    used = () if packed is None else narrower(function, beside, packed)
    return (parts[0], *used) if used else args


def _packed(argument: Any, done: Mapping[Key, Step]) -> bytes | None:
    """Return the bytes that an argument is, or that the step gives which it refers to."""
    if isinstance(argument, (TaskRef, Alias)):
        step = done.get(argument.key if isinstance(argument, TaskRef) else argument.target)
        return None if step is None else step.packed
    value = argument.value if type(argument) is DataNode else argument
    return value if type(value) is bytes else None


def passed_on(function: Any, args: tuple[Any, ...]) -> bytes | None:
    """Return the bytes that a call gives back as they are, None for any other call.

    Examples
    --------
    >>> import coffea.processor  # which packs
    >>> passed_on(lambda x: x, (b"packed",)), passed_on(lambda x: x + x, (b"packed",))
    (b'packed', None)
    """
    code = getattr(function, "__code__", None) if len(args) == 1 else None
    if code is None or code.co_argcount != 1 or code.co_code != _GIVES_ITS_ARGUMENT:
        return None
    return packed_among(args[0])


def packed_among(value: Any) -> bytes | None:
    """Return bytes that a library may have packed an object into; None for anything else."""
    value = value.value if type(value) is DataNode else value
    return value if type(value) is bytes and "coffea.processor.executor" in sys.modules else None
