"""The canonical form of a code object: what runs after what, however the compiler laid it out.

The instructions are a graph: each is followed by another, by one of two, or by the handler of an exception.
Where a block stands, whether a short one that ends the function was copied to each place that leads there,
whether a jump to a jump was shortened: all this may depend on line numbers, and none of it on what the code
does. So the graph is walked in the order of execution and written from the leaves up, and equal parts of it are
written once. The head of a loop is referred to by a number.
"""

from __future__ import annotations

import sys
from bisect import bisect_left
from collections.abc import Callable, Iterator
from types import CodeType

from cachingclient.hashing.code.instructions import Instruction, settle_stores

ENDS = frozenset({"RETURN_VALUE", "RAISE_VARARGS", "RERAISE"})
TESTS = {
    "POP_JUMP_IF_TRUE": ("TEST", True), "POP_JUMP_IF_FALSE": ("TEST", False),
    "JUMP_IF_TRUE_OR_POP": ("TEST", True), "JUMP_IF_FALSE_OR_POP": ("TEST", False),
    "POP_JUMP_IF_NONE": ("TEST_NONE", True), "POP_JUMP_IF_NOT_NONE": ("TEST_NONE", False),
}  # fmt: skip
"""Conditional jumps: what they test, and the outcome on which they jump."""

QUIET = frozenset(
    {"STORE_FAST", "POP_TOP", "LOAD_CONST", "COPY", "SWAP"} | ({"LOAD_FAST"} if sys.version_info >= (3, 12) else set())
)
"""What can't raise, so that it makes no difference which handler it stands under."""


def canonical_flow(code: CodeType, found: list[Instruction], label: Callable[[Instruction], bytes]) -> bytes:
    """Return the canonical bytes of what a code object does.

    Parameters
    ----------
    code
        The code object.
    found
        Its instructions, as `decode` gives them.
    label
        Encodes one instruction without where it leads.

    Examples
    --------
    >>> from cachingclient.hashing.code.instructions import decode
    >>> one, two = (compile(text, "", "exec") for text in ("a, b = c, d", "(a,\\n b) = (\\n c,\\n d)"))
    >>> flows = [canonical_flow(code, decode(code), lambda found: repr(found.value).encode()) for code in (one, two)]
    >>> flows[0] == flows[1]
    True
    """
    targets = frozenset(instruction.target for instruction in found if instruction.target is not None)
    return _Writer(code, settle_stores(found, targets), label).write()


class _Writer:
    """Writes one flow. An edge is twice the number of the next instruction, plus one if a tested value stays."""

    def __init__(self, code: CodeType, found: list[Instruction], label: Callable[[Instruction], bytes]) -> None:
        self.found = found
        self.label = label
        self.offsets = [instruction.offset for instruction in found]
        self.tests = [_TESTS_BY_NAME.get(instruction.name) for instruction in found]
        self.start = list(range(len(found)))
        self._skip_jumps()
        self.kinds: list[bytes] = [b""] * len(found)
        self.edges: list[tuple[int, ...]] = [self._successors(number, op) for number, op in enumerate(found)]
        self._protect(code)

    def write(self) -> bytes:
        """Return a row for each instruction that can be reached, each after those that follow it.

        Equal instructions that lead to the same have one row.
        """
        found, edges, kinds, label = self.found, self.edges, self.kinds, self.label
        rows: dict[bytes, int] = {}
        names: dict[int, int] = {}
        heads: dict[int, int] = {}
        opened: set[int] = set()
        stack = [self.start[0]]
        while stack:
            number = stack[-1]
            if number in names:
                stack.pop()
                continue
            following = edges[number]
            if number not in opened:
                opened.add(number)
                waiting = []
                for edge in following:
                    after = edge >> 1
                    if after not in names:
                        if after in opened:
                            heads.setdefault(after, len(heads))
                        else:
                            waiting.append(after)
                if waiting:
                    waiting.reverse()
                    stack += waiting
                    continue
            parts = [
                f"{names[edge >> 1]}{'+' if edge & 1 else ''}" if edge >> 1 in names else f"^{heads[edge >> 1]}"
                for edge in following
            ]
            head = f"@{heads[number]}" if number in heads else ""
            row = b"%b|%b%b|%b" % (label(found[number]), kinds[number], head.encode(), ",".join(parts).encode())
            names[number] = rows.setdefault(row, len(rows))
            stack.pop()
        return b"\n".join(rows)

    def _at(self, offset: int) -> int:
        """Return the number of the first instruction at or after an offset, jumps followed."""
        return self.start[self._exactly_at(offset)]

    def _exactly_at(self, offset: int) -> int:
        return min(bisect_left(self.offsets, offset), len(self.offsets) - 1)

    def _skip_jumps(self) -> None:
        """Have `start` lead over plain jumps; one that leads to itself stays."""
        found, start = self.found, self.start
        jumps = [number for number, op in enumerate(found) if op.name.startswith("JUMP") and self.tests[number] is None]
        for number in jumps:
            target = found[number].target
            if target is not None:
                start[number] = self._exactly_at(target)
        for number in jumps:
            seen = {number}
            after = start[number]
            while start[after] != after and after not in seen:
                seen.add(after)
                after = start[after]
            start[number] = after

    def _successors(self, number: int, op: Instruction) -> tuple[int, ...]:
        test = self.tests[number]
        if test is not None:
            return tuple(self._threaded(number, outcome) for outcome in (True, False))
        if op.name in ENDS or number + 1 == len(self.found):
            return ()
        if op.target is None:
            return (self.start[number + 1] * 2,)
        return self.start[number + 1] * 2, self._at(op.target) * 2

    def _threaded(self, number: int, outcome: bool) -> int:
        """Follow a value whose truth is known through the tests that it meets, as long as it stays."""
        kind = self.tests[number]
        for _ in self.found:
            test = self.tests[number]
            if test is None or kind is None or test[0] != kind[0]:
                break
            jumps = outcome is test[1]
            target = self.found[number].target
            assert target is not None
            stays = jumps and self.found[number].name.endswith("OR_POP")
            number = self._at(target) if jumps else self.start[number + 1]
            if not stays:
                return number * 2
        return number * 2 + 1

    def _protect(self, code: CodeType) -> None:
        """Add the exception handlers: each instruction's own comes first."""
        for start, end, target, depth in protected_ranges(code):
            handler = self._at(target) * 2
            kind = b"!%d" % depth
            number = bisect_left(self.offsets, start)
            while number < len(self.found) and self.offsets[number] < end:
                if self.found[number].name not in QUIET:
                    self.kinds[number] = kind
                    self.edges[number] = (handler, *self.edges[number])
                number += 1


_TESTS_BY_NAME = {
    name.replace("JUMP_IF", f"JUMP_{direction}IF"): test
    for name, test in TESTS.items()
    for direction in ("", "FORWARD_", "BACKWARD_")
}


def operation(name: str) -> str:
    """Return the name of an operation, the same for a test whichever of its outcomes jumps.

    Examples
    --------
    >>> operation("POP_JUMP_IF_FALSE"), operation("CALL")
    ('TEST', 'CALL')
    """
    test = _TESTS_BY_NAME.get(name)
    return name if test is None else test[0]


def protected_ranges(code: CodeType) -> Iterator[tuple[int, int, int, int]]:
    """Yield the exception table in order: from, to, handler, and the stack's depth with one bit more."""
    data = iter(code.co_exceptiontable)
    for first in data:
        start = _varint(first, data) * 2
        length = _varint(next(data), data) * 2
        target = _varint(next(data), data) * 2
        depth = _varint(next(data), data)
        yield start, start + length, target, depth


def _varint(first: int, data: Iterator[int]) -> int:
    """Read one number of the exception table: six bits a byte, the bit above them says that more follow."""
    value = first & 63
    while first & 64:
        first = next(data)
        value = (value << 6) | (first & 63)
    return value
