"""Variables of modules of which a call tells the part: of ``XSEC[dataset]`` one entry, where the key was given."""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from types import FunctionType, ModuleType
from typing import Any

from cachingclient.hashing.code.bytecode import shape, shape_of_call
from cachingclient.hashing.code.functions import describe_function
from cachingclient.hashing.code.given import Facts, Given
from cachingclient.hashing.code.paths import ABSENT, LOOKED_UP, Path, Uses
from cachingclient.hashing.code.references import Reference
from cachingclient.hashing.environment.environment import is_user_code
from cachingclient.hashing.identity import Place
from cachingclient.hashing.registry import register_hasher
from cachingclient.hashing.walk import Walk


@dataclass(frozen=True, eq=False)
class ByKey:
    """A function with variables of which each of its calls tells the part.

    Attributes
    ----------
    function
        The function.
    always
        What counts of these variables in each call.
    given
        What the calls take of them by what they are given.
    """

    function: FunctionType
    always: Mapping[Reference, Uses]
    given: Mapping[Reference, Uses]

    def variables(self) -> Iterator[tuple[str, object, Uses]]:
        """Yield the name of each variable, what it holds now, and what is taken of that."""
        for reference, uses in self.given.items():
            taken, value = _variable(self.function, reference)
            name = ".".join((reference.name, *reference.attributes[:taken]))
            where = "" if taken else f"{self.function.__module__}.{self.function.__qualname__}:"
            yield f"{where}{name}", value, {path[taken:]: place for path, place in uses.items()}


@register_hasher(ByKey)
def encode_by_key(found: ByKey, walk: Walk) -> bytes:
    """Return a reference to the function as these calls have it; what else refers to it has all of the variables."""
    label = f"function {found.function.__module__}.{found.function.__qualname__}"
    describe = functools.partial(describe_function, by_call=found.always)
    return walk.refer(found.function, label, describe, known_as=found)


def by_key(function: object, entries: Collection[Facts]) -> ByKey | None:
    """Return a function with those of its variables of which its calls tell the part; None if there are none.

    Parameters
    ----------
    function
        The function.
    entries
        What holds of its arguments, for each of the ways in which it is called.

    Examples
    --------
    >>> by_key(len, []) is None
    True
    """
    if type(function) is not FunctionType or not is_user_code(function.__globals__.get("__name__") or ""):
        return None
    always: dict[Reference, Uses] = {}
    by_call: dict[Reference, Uses] = {}
    for reference in shape(function.__code__).references:
        if reference.kind != "global":
            continue
        uses: dict[Path, Place] = {}
        for entry in entries:
            uses |= shape_of_call(function.__code__, entry).uses_of(reference, function.__code__)
        given = {path: place for path, place in uses.items() if any(isinstance(taken.key, Given) for taken in path)}
        taken, value = _variable(function, reference)
        if (
            given
            and type(value) in (dict, list, tuple)
            and all(len(path) > taken and path[taken] != LOOKED_UP for path in uses)
        ):
            always[reference] = {path: place for path, place in uses.items() if path not in given}
            by_call[reference] = given
    return ByKey(function, always, by_call) if by_call else None


def _variable(function: FunctionType, reference: Reference) -> tuple[int, Any]:
    """Return how many attributes lead through modules of the user's to a variable, and what that holds."""
    found, taken = function.__globals__.get(reference.name, ABSENT), 0
    for attribute in reference.attributes:
        if not isinstance(found, ModuleType):
            break
        found, taken = vars(found).get(attribute, ABSENT) if is_user_code(found.__name__) else ABSENT, taken + 1
    return taken, found
