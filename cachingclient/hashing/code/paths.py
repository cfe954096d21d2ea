"""Constant paths into containers: of ``CONFIG["global"]["BINS"]`` the number counts, and nothing else of ``CONFIG``.

A load that is followed at once by constant subscripts, attributes and calls of ``get`` leaves only their end on the
stack. So code uses of the container what these take, as long as each is what the interpreter does itself: a look-up in
a dict, a list or a tuple, or an object's own attribute. Where that can't be said, the whole counts.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from types import MappingProxyType, ModuleType, SimpleNamespace
from typing import Any, NamedTuple

from cachingclient.hashing.code.instructions import Instruction
from cachingclient.hashing.environment.environment import is_user_code
from cachingclient.hashing.identity import Place
from cachingclient.hashing.registry import find_hasher
from cachingclient.hashing.scalars import PLAIN
from cachingclient.hashing.walk import Walk

ABSENT = object()
"""What is found where nothing is: the code raises, or does without."""
_SUBSCRIPT = ("BINARY_OP", 26) if sys.version_info >= (3, 14) else ("BINARY_SUBSCR", None)
_NAMESPACES = (SimpleNamespace, argparse.Namespace)
MOST_KEYS = 100_000


class Taken(NamedTuple):
    """One thing that is taken: an attribute by ``"."``, an item by ``"["``, or an item if it is there by ``"get"``.

    At the end of a path `LOOKED_UP` stands for an item by a key that can't be known, and for a question for one.
    """

    how: str
    key: Any

    def __str__(self) -> str:
        if self.how == LOOKED_UP.how:
            return ""
        return f".{self.key}" if self.how == "." else f"[{self.key!r}]"


LOOKED_UP = Taken("look-up", None)
Path = tuple[Taken, ...]
Uses = Mapping[Path, Place]
"""What code takes of something, each with where it first does."""
WHOLE: Uses = MappingProxyType({(): ("", 0, "")})
"""All of it, at a place that nobody knows."""
KnownKeys = Callable[[int], tuple[Any, int] | None]
"""Returns the key that an instruction begins to load, and the number of the next one after that; None for another."""


def nothing_known(number: int) -> None:
    """Know of no key but the constants of the code."""


def path_after(instructions: list[Instruction], number: int, known: KnownKeys = nothing_known) -> Path:
    """Return what is taken, one from the other, of what an instruction loads.

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
    >>> code = compile("config['global'].get('bins', 25) + 1", "", "eval")
    >>> "".join(map(str, path_after(decode(code), 0)))
    "['global']['bins']"
    """
    return tuple(taken for taken, _ in steps_after(instructions, number + 1, known))


def steps_after(
    instructions: list[Instruction], number: int, known: KnownKeys = nothing_known, most: int = sys.maxsize
) -> Iterator[tuple[Taken, int]]:
    """Yield what is taken from there on, each with the number of the instruction after it."""
    while number < len(instructions) and most:
        found = instructions[number]
        taken: Taken | None = None
        if found.name == "LOAD_ATTR":
            taken, number = Taken(".", found.value), number + 1
            key = _key_at(instructions, number, known) if found.value == "get" else None
            if key is not None and (length := _length_of_call(instructions[key[1] : key[1] + 2])):
                taken, number = Taken("get", key[0]), key[1] + length
        elif (key := _key_at(instructions, number, known)) is not None and is_subscript(instructions[key[1] :][:1]):
            taken, number = Taken("[", key[0]), key[1] + 1
        if taken is None:
            return
        yield taken, number
        most -= 1


def _key_at(instructions: list[Instruction], number: int, known: KnownKeys) -> tuple[Any, int] | None:
    """Return the key that is loaded from there on, and the number of the instruction after that; None for another."""
    if number >= len(instructions):
        return None
    found = instructions[number]
    if found.name == "LOAD_CONST":
        return (found.value, number + 1) if is_key(found.value) else None
    return known(number)


def is_key(value: object) -> bool:
    """Tell whether a value is a key by which parts of containers are told apart.

    Examples
    --------
    >>> is_key("ttbar"), is_key(True)
    (True, False)
    """
    return type(value) in (str, int)


def is_subscript(following: list[Instruction]) -> bool:
    """Tell whether the first of some instructions takes an item.

    Examples
    --------
    >>> is_subscript([])
    False
    """
    return bool(following) and following[0].name == _SUBSCRIPT[0] and _SUBSCRIPT[1] in (None, following[0].value)


def _length_of_call(following: list[Instruction]) -> int:
    """Return how many instructions end a call of ``get`` after its key, 0 if another value is computed first."""
    names = [(each.name, each.value) for each in following]
    if names[:1] == [("CALL", 1)]:
        return 1
    return 2 if len(names) == 2 and names[0][0] == "LOAD_CONST" and names[1] == ("CALL", 2) else 0


def parts_taken(value: object, paths: Collection[Path], walk: Walk) -> list[tuple[str, object]] | None:
    """Return what code takes of a value, with how it does; None if the whole counts.

    Parameters
    ----------
    value
        What the code loads.
    paths
        What it then takes of it, at each place where it loads it.
    walk
        The identification under way, for which is noted what is looked up.

    Examples
    --------
    >>> bins = Taken("[", "bins"),
    >>> parts_taken({"bins": 25, "title": "pt"}, [bins], Walk())
    [("['bins']", 25)]
    >>> parts_taken({"bins": 25, "title": "pt"}, [bins, ()], Walk()) is None
    True
    """
    found: dict[str, object] = {}
    for path in paths:
        words, part = _follow(value, path, walk)
        if not words:
            return None
        found[words] = part
    return sorted(found.items(), key=lambda pair: pair[0]) if found else None


def _follow(value: Any, path: Path, walk: Walk) -> tuple[str, object]:
    """Return how far a path leads by what the interpreter does itself, and what is there."""
    words = ""
    for how, key in path:
        kind = type(value)
        if how == LOOKED_UP.how:
            break
        if how != "." and kind is dict:
            if len(value) > MOST_KEYS or not all(type(each) in PLAIN for each in list(value)):
                break  # a key of the user's may call itself equal to anything
            walk.saw_items(value)
            value = value.get(key, ABSENT)
        elif how == "[" and kind in (list, tuple):
            if type(key) is not int:
                break
            walk.saw_items(value)
            value = value[key] if -len(value) <= key < len(value) else ABSENT
        elif how == "." and _has_of_its_own(value, key):
            walk.unsure()
            value = vars(value)[key]
        else:
            break
        words += str(Taken(how, key))
        if value is ABSENT:
            break
    return words, value


def words_of(path: Path) -> str:
    """Return how Python writes what is taken."""
    return "".join(map(str, path))


def taken_as_a_whole(value: object, words: str, uses: Uses) -> Place | None:
    """Return where code first uses all of a container, whose parts could count alone; None if it does not.

    Parameters
    ----------
    value
        The container, or anything else.
    words
        What it is of that which the code loads.
    uses
        What the code takes of that.

    Examples
    --------
    >>> taken_as_a_whole({"bins": 25}, "", {(): ("cuts.py", 3, "fill")})
    ('cuts.py', 3, 'fill')
    >>> taken_as_a_whole(25, "['bins']", {(Taken("[", "bins"),): ("cuts.py", 3, "fill")}) is None
    True
    """
    if not has_parts(value):
        return None
    return next((place for path, place in uses.items() if words_of(path) == words and place[0]), None)


def has_parts(value: object) -> bool:
    """Tell whether parts of a value may count alone by constant keys: a dict, a plain object.

    Examples
    --------
    >>> has_parts({"bins": 25}), has_parts([25])
    (True, False)
    """
    return type(value) is dict or _is_plain_object(value)


def _is_plain_object(value: object) -> bool:
    """Tell an object of the user's of which an attribute is taken as the interpreter does it."""
    kind = type(value)
    if isinstance(value, (type, ModuleType)):
        return False
    if kind not in _NAMESPACES:
        is_users = isinstance(kind.__module__, str) and is_user_code(kind.__module__)
        if not is_users or kind.__getattribute__ is not object.__getattribute__:
            return False
    if hasattr(kind, "__cache_token__") or find_hasher(kind) is not None:
        return False
    return bool(kind.__dictoffset__) and type(vars(value)) is dict


def _has_of_its_own(value: object, name: str) -> bool:
    """Tell whether an attribute is what stands in the own dictionary of a plain object of the user's."""
    kind = type(value)
    if not _is_plain_object(value):
        return False
    if type(name) is not str or name.startswith("__") or name not in vars(value):
        return False
    shared = next((vars(cls)[name] for cls in kind.__mro__ if name in vars(cls)), None)
    return not hasattr(type(shared), "__set__") and not hasattr(type(shared), "__delete__")
