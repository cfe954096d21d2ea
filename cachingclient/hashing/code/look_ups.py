"""Dicts that code only looks things up in: ``XSEC[dataset]``, ``XSEC.get(dataset)``, ``dataset in XSEC``.

What these give does not depend on the order of the dict. So one that a module fills from a set, which has another order
in each process, is the same to such code in all of them; to code that goes through it, it is not.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

from cachingclient.hashing.code.instructions import Instruction
from cachingclient.hashing.code.paths import (
    LOOKED_UP,
    MOST_KEYS,
    KnownKeys,
    Path,
    Taken,
    Uses,
    is_subscript,
    steps_after,
)
from cachingclient.hashing.digest import frame
from cachingclient.hashing.errors import Unidentifiable
from cachingclient.hashing.scalars import PLAIN
from cachingclient.hashing.walk import WITHOUT_ORDER, Walk

_TAKES = MappingProxyType(
    {
        **dict.fromkeys(("LOAD_FAST", "LOAD_FAST_CHECK", "LOAD_DEREF", "LOAD_GLOBAL", "LOAD_NAME", "LOAD_CONST"), 0),
        **dict.fromkeys(("LOAD_ATTR", "UNARY_NEGATIVE", "FORMAT_SIMPLE", "CONVERT_VALUE"), 1),
        **dict.fromkeys(("BINARY_SUBSCR", "BINARY_OP", "COMPARE_OP", "CONTAINS_OP", "FORMAT_WITH_SPEC"), 2),
    }
)
"""How many values instructions take off the stack that put one on it."""
_TAKES_ITS_NUMBER = ("BUILD_TUPLE", "BUILD_STRING")


def path_to_look_up(instructions: list[Instruction], number: int, known: KnownKeys) -> Path:
    """Return what is taken of what an instruction loads, and whether the end of that is only looked up in.

    Parameters
    ----------
    instructions
        The code.
    number
        Which of them loads it.
    known
        Tells of keys that are no constants of the code, but of its call.

    Examples
    --------
    >>> from cachingclient.hashing.code.instructions import decode
    >>> def path(text):
    ...     return path_to_look_up(decode(compile(text, "", "eval")), 0, lambda number: None)
    >>> path("XSEC[events.name]") == path("XSEC.get(events.name, 1.0)") == (LOOKED_UP,)
    True
    >>> path("XSEC.values()"), path("XSEC | OTHERS")
    ((Taken(how='.', key='values'),), ())
    """
    steps = list(steps_after(instructions, number + 1, known))
    path = tuple(taken for taken, _ in steps)
    end = steps[-1][1] if steps else number + 1
    if path and path[-1] == Taken(".", "get"):
        user, above = _user_of(instructions, end)
        asks = user is not None and user.name == "CALL" and above in (1, 2) and user.value == above
        return (*path[:-1], LOOKED_UP) if asks else path
    user, above = _user_of(instructions, end)
    looks = user is not None and ((is_subscript([user]) and above == 1) or (user.name == "CONTAINS_OP" and above == 0))
    return (*path, LOOKED_UP) if looks else path


def _user_of(instructions: list[Instruction], number: int) -> tuple[Instruction | None, int]:
    """Return what takes the topmost value off the stack, and how many values lie above it then; None if unknown."""
    above = 0
    for found in instructions[number:]:
        takes = _TAKES.get(found.name)
        if found.name in _TAKES_ITS_NUMBER:
            takes = int(found.value)
        elif found.name == "CALL":
            takes = int(found.value) + 1
        elif found.name == "FORMAT_VALUE":
            takes = 2 if found.value & 4 else 1
        if takes is None:
            return None, 0
        if takes > above:
            return found, above
        above += 1 - takes
    return None, 0


def is_only_looked_up_in(value: object, uses: Uses) -> bool:
    """Tell whether code that uses a value so can't see its order.

    Parameters
    ----------
    value
        What the code loads.
    uses
        What the code takes of it, at each place where it loads it.

    Examples
    --------
    >>> place = "cuts.py", 3, "fill"
    >>> is_only_looked_up_in({"ttbar": 831.8}, {(LOOKED_UP,): place})
    True
    >>> is_only_looked_up_in({"ttbar": 831.8}, {(LOOKED_UP,): place, (): place})
    False
    """
    if type(value) is not dict or not uses or len(value) > MOST_KEYS:
        return False
    return all(path and path[0].how in (LOOKED_UP.how, "[", "get") for path in uses) and all(
        type(key) in PLAIN
        for key in list(value)  # one of the user's may call itself equal to anything
    )


def encode_looked_up(mapping: Any, walk: Walk) -> bytes:
    """Return the encoding of a dict that does not depend on its order.

    Code among the values is numbered as it is met: so they are encoded in the order of their keys.
    """
    walk.saw_items(mapping)
    pairs = [(walk.encode(key), key, value) for key, value in list(mapping.items())]
    parts: list[bytes] = []
    for encoded, key, value in sorted(pairs, key=lambda pair: pair[0]):
        try:
            parts += encoded, walk.encode(value)
        except Unidentifiable as error:
            raise Unidentifiable(f"{error.reason} under key {key!r:.60}", refused=error.refused) from error.__cause__
    return frame(WITHOUT_ORDER, parts)
