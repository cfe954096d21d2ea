"""Which instructions may run after which, by the compiler's own layout."""

from __future__ import annotations

from bisect import bisect_left
from types import CodeType

from cachingclient.hashing.code.control_flow import ENDS, protected_ranges
from cachingclient.hashing.code.instructions import Instruction


def ways_on(code: CodeType, found: list[Instruction]) -> list[list[tuple[int, bool]]]:
    """Return for each instruction those that may run next, each with whether it does so where the first one raises.

    Examples
    --------
    >>> from cachingclient.hashing.code.instructions import decode
    >>> code = compile("a if b else c", "", "eval")
    >>> [[number for number, _ in following] for following in ways_on(code, decode(code))]
    [[1], [2, 4], [3], [], [5], []]
    """
    offsets = [each.offset for each in found]
    ways: list[list[tuple[int, bool]]] = []
    for number, each in enumerate(found):
        ends = each.name in ENDS or (each.name.startswith("JUMP_") and "IF" not in each.name)
        following = [] if ends or number + 1 == len(found) else [(number + 1, False)]
        if each.target is not None:
            following.append((_at(each.target, offsets), False))
        ways.append(following)
    for start, end, handler, _ in protected_ranges(code):
        for number in range(bisect_left(offsets, start), bisect_left(offsets, end)):
            ways[number].append((_at(handler, offsets), True))
    return ways


def leaders_of(code: CodeType, found: list[Instruction]) -> frozenset[int]:
    """Return the numbers of the instructions that others jump to, handlers of exceptions included."""
    offsets = [each.offset for each in found]
    targets = [each.target for each in found if each.target is not None]
    handlers = [handler for _, _, handler, _ in protected_ranges(code)]
    return frozenset(_at(offset, offsets) for offset in (*targets, *handlers))


def _at(offset: int, offsets: list[int]) -> int:
    return min(bisect_left(offsets, offset), len(offsets) - 1)
