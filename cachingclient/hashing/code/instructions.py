"""Bytecode as a list of instructions that says the same for the same source, however it is laid out.

Bytecode, not source, is what runs: a file may have been edited after it was imported. But the compiler
leaves traces of layout in it, and each version of Python its own. They are dropped or made equal here:

========================================  =============================================================
dropped or made equal                     the case that made it necessary
========================================  =============================================================
line and column tables, ``NOP``           moving a function, reformatting
``RESUME``, ``PRECALL``, caches           kept for the interpreter's own use
order of the constant and name pools      an unused docstring shifts every index
``LOAD_METHOD`` or ``LOAD_ATTR``          a call broken over two lines, or compiled in an interactive cell
``RETURN_CONST``, ``LOAD_SMALL_INT``      from 3.12 and 3.14, where neighbours were joined
``LOAD_FAST_LOAD_FAST`` and the like      from 3.13, joined only if both stand on one line
``SWAP`` before stores                    ``a, b = c, d`` over several lines stores in another order
docstrings, ``__qualname__`` and such     set in class bodies; a class moved into a function
========================================  =============================================================

`control_flow` puts them into their order.
"""

from __future__ import annotations

import dis
import sys
from collections.abc import Iterator
from itertools import pairwise
from types import CodeType
from typing import Any

DROPPED = frozenset({"NOP", "RESUME", "CACHE", "EXTENDED_ARG", "PRECALL", "PUSH_NULL", "NOT_TAKEN", "TO_BOOL"})
SAME = {
    "LOAD_METHOD": "LOAD_ATTR",
    "LOAD_CLASSDEREF": "LOAD_DEREF",
    "LOAD_FAST_BORROW": "LOAD_FAST",
    "STORE_FAST_MAYBE_NULL": "STORE_FAST",
    "LOAD_SUPER_METHOD": "LOAD_SUPER_ATTR",
}
CLASS_LAYOUT_NAMES = frozenset(
    {"__module__", "__qualname__", "__doc__", "__firstlineno__", "__static_attributes__", "__classdictcell__"}
)
SWAPPED = frozenset({"STORE_FAST", "POP_TOP"})
LOADS = frozenset({"LOAD_FAST", "LOAD_FAST_CHECK", "LOAD_DEREF"})
REBINDINGS = frozenset({"STORE_FAST", "STORE_DEREF", "DELETE_FAST", "DELETE_DEREF", "LOAD_FAST_AND_CLEAR"})

_CONSTANT, _NAME, _LOCAL, _JUMP, _COMPARE, _OTHER = range(6)


class Instruction:
    """One instruction.

    Attributes
    ----------
    name
        The operation.
    value
        Its argument, resolved: the constant, the variable's or attribute's name, the operator.
    flags
        What else the argument says.
    offset
        Where it stood.
    target
        The offset that it may jump to, None for all others.
    """

    __slots__ = ("flags", "name", "offset", "target", "value")

    def __init__(self, name: str, value: Any, offset: int, target: int | None = None, flags: int = 0) -> None:
        self.name = name
        self.value = value
        self.offset = offset
        self.target = target
        self.flags = flags

    @property
    def is_load(self) -> bool:
        """Whether it loads a variable, and does nothing else with it."""
        return self.name in LOADS

    @property
    def is_rebinding(self) -> bool:
        """Whether a variable holds something else afterwards, or nothing."""
        return self.name in REBINDINGS

    @property
    def uses_variable(self) -> bool:
        """Whether it does anything with what a variable holds."""
        kind, _, scope = self.name.partition("_")
        return kind in ("LOAD", "STORE", "DELETE") and any(word in scope for word in ("FAST", "DEREF", "CLOSURE"))

    def __repr__(self) -> str:
        return f"{self.name} {self.value!r}" + (f" -> {self.target}" if self.target is not None else "")


def _kind_of(opcode: int) -> int:
    if opcode in dis.hasconst:
        return _CONSTANT
    if opcode in dis.hasname:
        return _NAME
    if opcode in dis.haslocal or opcode in dis.hasfree:
        return _LOCAL
    if opcode in dis.hasjrel or opcode in dis.hasjabs:
        return _JUMP
    return _COMPARE if opcode in dis.hascompare else _OTHER


_KINDS = [_kind_of(opcode) for opcode in range(256)]
_OPNAMES = [dis.opname[opcode] for opcode in range(256)]
_EXTENDED = dis.opmap["EXTENDED_ARG"]
_CACHE = dis.opmap.get("CACHE", 0)
_ATTRIBUTE_SHIFT = 0 if sys.version_info < (3, 12) else 1
"""From 3.12 the lowest bit of ``LOAD_ATTR`` says that the attribute is about to be called."""
_COMPARE_SHIFT = 0 if sys.version_info < (3, 12) else 4 if sys.version_info < (3, 13) else 5
"""What ``COMPARE_OP`` carries below the operator: from 3.12 a mask, from 3.13 also whether a bool is wanted."""


def decode(code: CodeType) -> list[Instruction]:
    """Return the instructions of a code object that say what it does.

    Examples
    --------
    >>> [instruction.name for instruction in decode(compile("x.f(\\n 1)", "", "eval"))]
    ['LOAD_NAME', 'LOAD_ATTR', 'LOAD_CONST', 'CALL', 'RETURN_VALUE']
    """
    found: list[Instruction] = []
    raw = code.co_code
    position, end = 0, len(raw)
    high = start = 0
    while position < end:
        opcode = raw[position]
        argument = raw[position + 1] | high
        position += 2
        if opcode == _EXTENDED:
            high = argument << 8
            continue
        while position < end and raw[position] == _CACHE:
            position += 2
        name = _OPNAMES[opcode]
        if name not in DROPPED:
            _append(found, code, name, _KINDS[opcode], argument, start, position)
        high, start = 0, position
    return _without_layout(found, code)


def line_at(code: CodeType, offset: int) -> int:
    """Return the line of the instruction at an offset, 0 if nobody knows it.

    Examples
    --------
    >>> line_at(compile("a\\nb", "", "exec"), 2)
    1
    """
    return next((line or 0 for start, end, line in code.co_lines() if start <= offset < end), 0)


def _append(
    found: list[Instruction], code: CodeType, name: str, kind: int, argument: int, start: int, after: int
) -> None:
    """Add what one instruction does, as one or two."""
    if kind == _CONSTANT:
        value = code.co_consts[argument]
        if name == "RETURN_CONST":
            found.append(Instruction("LOAD_CONST", value, start))
            name, value = "RETURN_VALUE", None
        found.append(Instruction(name, value, start))
    elif kind == _NAME:
        found.append(_named(code, name, argument, start))
    elif kind == _LOCAL:
        _append_local(found, code, name, argument, start)
    elif kind == _JUMP:
        distance = -2 * argument if "BACKWARD" in name else 2 * argument
        found.append(Instruction(name, None, start, after + distance))
    elif kind == _COMPARE:
        found.append(Instruction(name, dis.cmp_op[argument >> _COMPARE_SHIFT], start))
    elif name == "LOAD_SMALL_INT":
        found.append(Instruction("LOAD_CONST", argument, start))
    else:
        found.append(Instruction(name, argument, start))


def _named(code: CodeType, name: str, argument: int, start: int) -> Instruction:
    """Return an instruction whose argument is a name, with a few bits below it."""
    flags = 0
    if name == "LOAD_GLOBAL":
        argument >>= 1
    elif name == "LOAD_ATTR":
        argument >>= _ATTRIBUTE_SHIFT
    elif name.startswith("LOAD_SUPER"):
        flags = argument & 2
        argument >>= 2
    elif name == "IMPORT_NAME" and argument >= len(code.co_names):
        flags, argument = argument & 3, argument >> 2
    return Instruction(SAME.get(name, name), code.co_names[argument], start, None, flags)


def _append_local(found: list[Instruction], code: CodeType, name: str, argument: int, start: int) -> None:
    """Add an instruction on variables; those on two at once become two."""
    variable: Any = code._varname_from_oparg  # type: ignore[attr-defined]
    _, joint, second = name.partition("_FAST_")
    if (joint and second.endswith("_FAST")) or name.count("LOAD_FAST_BORROW") == 2:
        parts = name.replace("_BORROW", "").split("_")
        found.append(Instruction("_".join(parts[:2]), variable(argument >> 4), start))
        found.append(Instruction("_".join(parts[2:]), variable(argument & 15), start))
    else:
        found.append(Instruction(SAME.get(name, name), variable(argument), start))


def _without_layout(found: list[Instruction], code: CodeType) -> list[Instruction]:
    """Drop what class bodies and modules note of where they were written."""
    if code.co_flags & 0x02:
        return found
    kept: list[Instruction] = []
    for instruction in found:
        if instruction.name == "STORE_NAME" and instruction.value in CLASS_LAYOUT_NAMES and kept:
            before = kept[-1]
            if before.name in ("LOAD_CONST", "LOAD_FAST", "LOAD_DEREF") or before.value == "__name__":
                kept.pop()
                continue
        kept.append(instruction)
    return kept


def settle_stores(found: list[Instruction], targets: frozenset[int]) -> list[Instruction]:
    """Return the instructions with stores as they are compiled where they stand on one line.

    ``a, b = c, d`` is stored in either order, depending on the lines that the names stand on; and of
    ``_, _ = pair``, from 3.13, the first value may be stored or dropped.
    """
    settled: list[Instruction] = []
    position = 0
    while position < len(found):
        op = found[position]
        end = position + 1
        if op.name == "SWAP":
            while end < len(found) and found[end].name in SWAPPED | {"SWAP"} and found[end].offset not in targets:
                end += 1
            settled.extend(_settle(found[position:end]))
        else:
            settled.append(op)
        position = end
    for op, after in pairwise(settled):
        if op.name == after.name == "STORE_FAST" and op.value == after.value and after.offset not in targets:
            op.name, op.value = "POP_TOP", 0
    return settled


def _settle(run: list[Instruction]) -> Iterator[Instruction]:
    """Yield stores from the top of the stack down, and what the swaps leave behind."""
    stack = list(range(len(run) + max((op.value for op in run if op.name == "SWAP"), default=0) + 1, 0, -1))
    stores: list[tuple[int, Instruction]] = []
    for op in run:
        if op.name == "SWAP":
            stack[-1], stack[-op.value] = stack[-op.value], stack[-1]
        else:
            stores.append((stack.pop(), op))
    names = [op.value for _, op in stores if op.name != "POP_TOP"]
    if len(set(names)) == len(names):
        stores.sort(key=lambda pair: pair[0])
    # Stores of the topmost values, one after the other, are what is compiled where they stand on one line.
    in_order = [depth for depth, _ in stores] == list(range(1, len(stores) + 1))
    offset = run[0].offset
    for depth, op in stores:
        yield Instruction(op.name, op.value, offset, None, 0 if in_order else depth)
    ordered = sorted(stack, reverse=True)
    if stack != ordered:
        moved = tuple(now for now, before in zip(stack, ordered, strict=True) if now != before)
        yield Instruction("SWAP", moved, offset)
