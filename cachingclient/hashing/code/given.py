"""Which variables of code hold what its caller gave it, at each of its places: arguments, and entries of metadata.

After ``dataset = events.metadata["dataset"]`` the variable holds a constant of the call, until it is bound to something
else. Facts of this kind are followed through the code, branches, loops and handlers of exceptions included; where two
ways meet, those stay that hold on both. An entry of an argument's metadata counts as the caller's only while nobody
else can have changed it: the argument was neither passed on nor given another name before.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Iterator
from types import CodeType
from typing import NamedTuple

from cachingclient.hashing.code.instructions import Instruction, decode
from cachingclient.hashing.code.paths import Path, Taken, steps_after
from cachingclient.hashing.code.ways import leaders_of, ways_on

METADATA = Taken(".", "metadata")
_LISTS_NAMES = "fields"
"""An attribute of events that only names their columns."""


class Given(NamedTuple):
    """What the caller of a function gave it: an argument by its position, or what is taken of one."""

    position: int
    path: Path = ()


class Fact(NamedTuple):
    """That a variable holds what was given; with no variable, that nobody else can have changed an argument."""

    variable: str | None
    given: Given


Facts = frozenset[Fact]
NOTHING: Facts = frozenset()


class Known:
    """What is known of the variables of a piece of code, before each of its instructions.

    Parameters
    ----------
    code
        The code.
    entry
        What holds when it is called.

    Examples
    --------
    >>> def weight(events):
    ...     dataset = events.metadata["dataset"]
    ...     return XSEC[dataset]
    >>> entry = frozenset({Fact("events", Given(0)), Fact(None, Given(0))})
    >>> known = Known(weight.__code__, entry)
    >>> given, _ = next(found for found in map(known.at, range(6, 10)) if found)
    >>> given.position, [str(taken) for taken in given.path]
    (0, ['.metadata', "['dataset']"])
    """

    def __init__(self, code: CodeType, entry: Facts) -> None:
        self.code = code
        self.instructions = decode(code)
        self.rebound_inside = {name for inner in _inner(code) for name in _rebound(inner) if name in inner.co_freevars}
        self._entry = frozenset(fact for fact in entry if fact.variable not in self.rebound_inside)
        self._before: list[Facts | None] = [None] * len(self.instructions)
        self._sources: dict[int, tuple[int, Path]] = {}
        if self._entry and self.instructions:
            self._find_sources()
            self._follow()

    def at(self, number: int) -> tuple[Given, int] | None:
        """Return what an instruction begins to load of the caller's, and the number of the next one after that."""
        before = self._before[number]
        if not before:
            return None
        found = self.instructions[number]
        given = _held(before, found) if found.is_load else None
        if given is None:
            return None
        if given.path or (entry := self._entry_after(number)) is None:
            return given, number + 1
        path, end = entry
        return (Given(given.position, path), end) if Fact(None, given) in before else None

    def is_untouched(self, number: int, given: Given) -> bool:
        """Tell whether nobody else can have changed an argument before an instruction."""
        return Fact(None, given) in (self._before[number] or ())

    def inside(self, nested: CodeType) -> Facts:
        """Return what holds of variables of this code that nested code names: of those that are bound to one thing.

        An argument of the same name is another variable. A class body looks into its namespace first.
        """
        free = nested.co_freevars if nested.co_flags & inspect.CO_OPTIMIZED else ()
        return frozenset(fact for fact in self._bound_once if fact.variable in free)

    @functools.cached_property
    def _bound_once(self) -> Facts:
        """What holds of variables that nested code may name, whenever it runs."""
        held: dict[str, set[Given | None]] = {}
        for fact in self._entry:
            if fact.variable is not None:
                held.setdefault(fact.variable, set()).add(fact.given)
        given = {*self.code.co_varnames[: _arguments(self.code)], *self.code.co_freevars}
        for name in given - held.keys():
            held[name] = {None}
        for number, found in enumerate(self.instructions):
            if found.is_rebinding:
                after = self._after(number, self._before[number] or NOTHING)
                held.setdefault(found.value, set()).add(_held(after, found))
        shared = {*self.code.co_cellvars, *self.code.co_freevars}
        alone = {name: next(iter(values)) for name, values in held.items() if len(values) == 1 and name in shared}
        return frozenset(Fact(name, value) for name, value in alone.items() if value is not None)

    def _entry_after(self, number: int) -> tuple[Path, int] | None:
        """Return which entry of its metadata is taken of what an instruction loads, and the number of what is next."""
        steps = list(steps_after(self.instructions, number + 1, most=2))
        if len(steps) < 2 or steps[0][0] != METADATA or steps[1][0].how == ".":
            return None
        return (steps[0][0], steps[1][0]), steps[1][1]

    def _find_sources(self) -> None:
        """Note for each binding of a variable by which load alone it gets its value."""
        leaders = leaders_of(self.code, self.instructions)
        for number, found in enumerate(self.instructions):
            if not found.is_load:
                continue
            entry = self._entry_after(number)
            for path, end in ((), number + 1), *([entry] if entry is not None else []):
                binds = end < len(self.instructions) and self.instructions[end].name in ("STORE_FAST", "STORE_DEREF")
                if binds and leaders.isdisjoint(range(number + 1, end + 1)):
                    self._sources[end] = number, path

    def _follow(self) -> None:
        """Follow the facts along all ways through the code until no more of them falls away."""
        before, waiting = self._before, [0]
        before[0] = self._entry
        ways = ways_on(self.code, self.instructions)
        while waiting:
            number = waiting.pop()
            now = before[number] or NOTHING
            after = self._after(number, now)
            for following, raises in ways[number]:
                facts = now & after if raises else after
                known = before[following]
                kept = facts if known is None else known & facts
                if kept != known:
                    before[following] = kept
                    waiting.append(following)

    def _after(self, number: int, facts: Facts) -> Facts:
        """Return what is known after an instruction."""
        found = self.instructions[number]
        if found.is_rebinding:
            bound = self._bound(number, facts)
            facts = frozenset(fact for fact in facts if fact.variable != found.value)
            return facts if bound is None else facts | {Fact(found.value, bound)}
        given = _held(facts, found) if found.uses_variable and not self._is_harmless(number) else None
        return facts if given is None or given.path else facts - {Fact(None, given)}

    def _bound(self, number: int, facts: Facts) -> Given | None:
        """Return what a binding gives its variable, None if that is not the caller's."""
        name = self.instructions[number].value
        if number not in self._sources or name in self.rebound_inside:
            return None
        source, path = self._sources[number]
        given = _held(facts, self.instructions[source])
        if given is None or not path:
            return given
        return Given(given.position, path) if not given.path and Fact(None, given) in facts else None

    def _is_harmless(self, number: int) -> bool:
        """Tell whether what is done with what an instruction loads leaves it as it is, and to nobody else."""
        following = self.instructions[number + 1 : number + 2]
        lists_names = bool(following) and (following[0].name, following[0].value) == ("LOAD_ATTR", _LISTS_NAMES)
        return self.instructions[number].is_load and (lists_names or self._entry_after(number) is not None)


def _held(facts: Facts, found: Instruction) -> Given | None:
    return next((fact.given for fact in facts if fact.variable is not None and fact.variable == found.value), None)


def _arguments(code: CodeType) -> int:
    """Return how many of a code's variables are arguments."""
    return code.co_argcount + code.co_kwonlyargcount + bool(code.co_flags & 0x04) + bool(code.co_flags & 0x08)


def _inner(code: CodeType) -> Iterator[CodeType]:
    """Yield all code inside a piece of code."""
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield constant
            yield from _inner(constant)


def _rebound(code: CodeType) -> Iterator[str]:
    return (found.value for found in decode(code) if found.is_rebinding)
