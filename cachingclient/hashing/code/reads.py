"""What code takes of the attributes of its first argument, and what it hands to that one's methods."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from types import CodeType
from typing import Any

from cachingclient.hashing.code.bytecode import shape
from cachingclient.hashing.code.given import NOTHING, Fact, Facts, Given, Known
from cachingclient.hashing.code.instructions import line_at
from cachingclient.hashing.code.paths import Path, path_after
from cachingclient.hashing.code.references import LOOKS_AROUND

Passed = tuple[tuple[Given, bool] | None, ...]
"""What a method is called with: what the caller was given, and whether nobody else can have changed it; or None."""
Attributes = Mapping[str, Mapping[tuple[Path, Passed], int]]
"""What code takes of each attribute and what it is called with, with the first line of each."""
_LOADS = frozenset({"LOAD_FAST", "LOAD_FAST_CHECK", "LOAD_FAST_AND_CLEAR", "LOAD_DEREF", "LOAD_FROM_DICT_OR_DEREF"})
_REBINDS = frozenset({"STORE_FAST", "STORE_DEREF", "DELETE_FAST", "DELETE_DEREF"})
_LATER = 0x20 | 0x80 | 0x100 | 0x200
"""``co_flags`` of code that runs after its call: generators and coroutines."""


def entry_of(method: Callable[..., Any], passed: Passed) -> Facts:
    """Return what holds of a method's arguments when it is called with these after its object.

    Examples
    --------
    >>> def weight(self, dataset): ...
    >>> entry_of(weight, ((Given(1), False),))
    frozenset({Fact(variable='dataset', given=Given(position=1, path=()))})
    """
    code = getattr(method, "__code__", None)
    if code is None:
        return NOTHING
    facts = set()
    for name, found in zip(code.co_varnames[1 : code.co_argcount], passed, strict=False):
        if found is not None:
            given, untouched = found
            facts.add(Fact(name, given))
            if untouched and not code.co_flags & _LATER:
                facts.add(Fact(None, given))
    return frozenset(facts)


@functools.lru_cache(maxsize=10_000)
def reads_of_code(code: CodeType, entry: Facts = NOTHING) -> Attributes | None:
    """Return the attributes that code reads from its first argument, and how it uses each at all of its places.

    Parameters
    ----------
    code
        The code.
    entry
        What holds of its arguments when it is called.

    Returns
    -------
    dict or None
        For each attribute what is taken of it, and what it is called with, with the first line of that. None if the
        code does anything else with its first argument, or may look at it without naming it.

    Examples
    --------
    >>> sorted(reads_of_code((lambda self, x: self.a + self.b(x)).__code__))
    ['a', 'b']
    >>> [[str(taken) for taken in path] for path, _ in reads_of_code((lambda self: self.a["x"]).__code__)["a"]]
    [["['x']"]]
    >>> reads_of_code((lambda self: print(self)).__code__) is None
    True
    """
    if not code.co_argcount:
        return None
    seen = shape(code)
    if seen.words or not LOOKS_AROUND.isdisjoint(each.name for each in seen.references):
        return None
    uses: dict[str, dict[tuple[Path, Passed], int]] = {}
    return uses if _add_uses(code.co_varnames[0], code, entry, uses) else None


def _add_uses(variable: str, code: CodeType, entry: Facts, uses: dict[str, dict[tuple[Path, Passed], int]]) -> bool:
    """Add how code, nested code included, uses the attributes of a variable; False if it does anything else with it."""
    if "__class__" in code.co_freevars:
        return False  # super() reads the variable without naming it
    known = Known(code, entry)
    instructions = known.instructions
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
            use = path_after(instructions, number + 1, known.at), tuple(_passed(known, number + 2))
            uses.setdefault(following[0].value, {}).setdefault(use, line_at(code, found.offset))
    return all(
        _add_uses(variable, constant, known.inside(constant) if entry else NOTHING, uses)
        for constant in code.co_consts
        if isinstance(constant, CodeType) and variable in constant.co_freevars
    )


def _passed(known: Known, number: int) -> Iterator[tuple[Given, bool] | None]:
    """Yield what a method is called with, if that is loaded from there on, one argument by one; nothing if not."""
    passed: list[tuple[Given, bool] | None] = []
    instructions, start = known.instructions, number
    while number < len(instructions):
        found = instructions[number]
        if (given := known.at(number)) is not None:
            passed.append((given[0], known.is_untouched(start, given[0])))
            number = given[1]
        elif found.is_load or found.name in ("LOAD_CONST", "LOAD_GLOBAL"):
            passed.append(None)
            number += 1
        else:
            if (found.name, found.value) == ("CALL", len(passed)):
                yield from passed
            return
