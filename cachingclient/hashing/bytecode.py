"""The canonical shape of compiled code: what it does, without where it was written.

Bytecode, not source, is what runs: a file may have been edited after it was imported. But the
compiler leaves traces of layout in it. The canonical shape drops them:

========================================  =============================================================
dropped or made equal                     the case that made it necessary
========================================  =============================================================
file names, line and column tables        moving a function, reformatting
docstrings                                a comment in a docstring
``NOP``, ``RESUME``, caches               kept only for tracing lines
order of the constant and name pools      an unused docstring shifts every index
``LOAD_METHOD`` or ``LOAD_ATTR``          a call broken over two lines, or compiled in an interactive cell
byte offsets of jumps                     all of the above change them
order inside frozen sets                  ``x in {"a", "b"}`` follows the hash seed
``__qualname__`` and such in class bodies a class moved into a function
========================================  =============================================================
"""

from __future__ import annotations

import dis
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import CodeType
from typing import Any

from cachingclient.hashing.digest import compact, frame
from cachingclient.hashing.scalars import PLAIN

LAYOUT_OPERATIONS = frozenset({"NOP", "RESUME", "CACHE", "EXTENDED_ARG", "PRECALL", "PUSH_NULL", "NOT_TAKEN"})
SAME_OPERATION = {"LOAD_METHOD": "LOAD_ATTR", "LOAD_CLASSDEREF": "LOAD_DEREF"}
CLASS_LAYOUT_NAMES = frozenset(
    {"__module__", "__qualname__", "__doc__", "__firstlineno__", "__static_attributes__", "__classdictcell__"}
)
BEHAVIOUR_FLAGS = 0x04 | 0x08 | 0x20 | 0x80 | 0x100 | 0x200
"""``co_flags`` that callers can see: ``*args``, ``**kwargs``, generator, coroutine, iterable coroutine, async generator."""

GLOBAL_LOADS = frozenset({"LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS"})
LOCAL_LOADS = frozenset({"LOAD_FAST", "LOAD_FAST_CHECK", "LOAD_FAST_BORROW", "LOAD_DEREF", "LOAD_CLOSURE", "LOAD_NAME"})
FREE_LOADS = frozenset({"LOAD_DEREF", "LOAD_CLASSDEREF", "LOAD_FROM_DICT_OR_DEREF", "LOAD_CLOSURE"})
STORES = frozenset({"STORE_FAST", "STORE_DEREF", "STORE_NAME"})
GLOBAL_WRITES = frozenset({"STORE_GLOBAL", "DELETE_GLOBAL"})
NO_ARGUMENTS = ("called without arguments",)


@dataclass(frozen=True, slots=True)
class Reference:
    """A name that code looks up outside itself, with the attributes it then takes.

    Attributes
    ----------
    kind
        ``"global"``, ``"free"`` (a closure variable) or ``"import"`` (an import statement in the code).
    name
        The variable, or the module imported.
    attributes
        The chain of attributes read from it, ``("random", "default_rng")`` of ``np.random.default_rng``.
    argument
        The first argument if the thing is called with a constant string, `NO_ARGUMENTS` for an empty call.
    level
        The number of leading dots of a relative import.
    line
        Where it was first seen, for messages only.
    """

    kind: str
    name: str
    attributes: tuple[str, ...] = ()
    argument: object = None
    level: int = 0
    line: int | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class CodeShape:
    """What `shape` read from a code object, nested code included."""

    body: bytes
    references: tuple[Reference, ...]
    literals: tuple[str, ...]
    global_writes: tuple[tuple[str, int | None], ...]


_SHAPES: dict[CodeType, CodeShape] = {}
_MOST_SHAPES = 20_000


def shape(code: CodeType) -> CodeShape:
    """Return the canonical shape of a code object; code never changes, so it is read once.

    Examples
    --------
    >>> one = compile("x = a.b(1)", "one.py", "exec")
    >>> two = compile("# a comment\\n\\nx = a.b(\\n    1,\\n)", "two.py", "exec")
    >>> shape(one) == shape(two)
    True
    >>> shape(one).references[0].attributes
    ('b',)
    """
    # Equality of code objects covers all that can make a shape differ, line numbers too.
    known = _SHAPES.get(code)
    if known is None:
        if len(_SHAPES) >= _MOST_SHAPES:
            _SHAPES.clear()
        known = _SHAPES[code] = _Reader(code).read()
    return known


class _Reader:
    """Reads one code object."""

    def __init__(self, code: CodeType) -> None:
        self.code = code
        self.instructions = list(_significant(code))
        self.references: dict[Reference, Reference] = {}
        self.literals: dict[str, None] = {}
        self.writes: dict[tuple[str, int | None], None] = {}
        self.assigned = _assigned_names(self.instructions) if _is_class_body(code) else frozenset()
        self.imported = _imported_names(self.instructions)

    def read(self) -> CodeShape:
        """Return the shape."""
        code = self.code
        position = {ins.offset: number for number, ins in enumerate(self.instructions)}
        offsets = [ins.offset for ins in self.instructions]
        tokens = [
            _signature(code),
            *(self._token(number, ins, offsets, position) for number, ins in enumerate(self.instructions)),
            *_exception_rows(code, offsets),
        ]
        body = compact(b"$code:", b"".join(len(token).to_bytes(2, "little") + token for token in tokens))
        return CodeShape(body, tuple(self.references), tuple(self.literals), tuple(self.writes))

    def _token(
        self, number: int, ins: dis.Instruction, offsets: list[int], position: dict[int, int]
    ) -> bytes:
        """Return the canonical bytes of one instruction, noting what it refers to."""
        name = SAME_OPERATION.get(ins.opname, ins.opname)
        opcode = ins.opcode
        self._note(number, ins)
        if opcode in dis.hasconst:
            return f"{name} ".encode() + self._constant(self.code.co_consts[ins.arg])
        if opcode in _JUMPS:
            return f"{name} {position.get(ins.argval, _at_or_after(offsets, ins.argval))}".encode()
        if opcode in _NAMED:
            return f"{name} {ins.argval}".encode()
        if opcode in dis.hascompare:
            return f"{name} {ins.argrepr}".encode()
        return f"{name} {ins.arg}".encode()

    def _constant(self, value: object) -> bytes:
        """Return the encoding of a constant; nested code is read in its place."""
        if isinstance(value, CodeType):
            return self._nested(value)
        if isinstance(value, tuple):
            return frame(b"$t:", map(self._constant, value))
        if isinstance(value, frozenset):
            return frame(b"$f:", sorted(map(self._constant, value)))
        if isinstance(value, slice):
            return frame(b"$::", map(self._constant, (value.start, value.stop, value.step)))
        if isinstance(value, str):
            self.literals[value] = None
            return compact(b"$s:", value.encode("utf-8", "surrogatepass"))
        return PLAIN[type(value)](value)

    def _nested(self, code: CodeType) -> bytes:
        """Take over what nested code refers to, except this code's own variables."""
        inner = shape(code)
        for reference in inner.references:
            if reference.kind != "free" or reference.name in self.code.co_freevars:
                self.references.setdefault(reference, reference)
        self.literals.update(dict.fromkeys(inner.literals))
        self.writes.update(dict.fromkeys(inner.global_writes))
        return frame(b"$n:", [code.co_name.encode(), inner.body])

    def _note(self, number: int, ins: dis.Instruction) -> None:
        """Record what an instruction looks up or rebinds outside this code."""
        name = ins.opname
        if name in GLOBAL_WRITES:
            self.writes[ins.argval, _line(ins)] = None
        elif name == "IMPORT_NAME":
            self._note_import(number, ins)
        elif name in GLOBAL_LOADS and ins.argval not in self.assigned and ins.argval not in self.imported:
            self._refer(Reference("global", ins.argval, *self._chain(number), line=_line(ins)))
        elif name in LOCAL_LOADS and ins.argval in self.imported:
            module, level = self.imported[ins.argval]
            attributes, argument = self._chain(number)
            self._refer(Reference("import", module, attributes, argument, level, _line(ins)))
        elif name in FREE_LOADS and ins.argval in self.code.co_freevars:
            self._refer(Reference("free", ins.argval, *self._chain(number), line=_line(ins)))
        elif isinstance(ins.argval, tuple) and name.startswith("LOAD_FAST"):
            for variable in ins.argval:
                if variable in self.imported:
                    module, level = self.imported[variable]
                    self._refer(Reference("import", module, (), None, level, _line(ins)))

    def _refer(self, reference: Reference) -> None:
        self.references.setdefault(reference, reference)

    def _note_import(self, number: int, ins: dis.Instruction) -> None:
        """Record ``import a.b`` and each name of ``from a import b, c``."""
        level, names = (self.instructions[number - k].argval for k in (2, 1))
        if not names:
            self._refer(Reference("import", ins.argval, (), "loaded", level, _line(ins)))
        for name in names or ():
            attributes = () if name == "*" else (name,)
            self._refer(Reference("import", ins.argval, attributes, None, level, _line(ins)))

    def _chain(self, number: int) -> tuple[tuple[str, ...], object]:
        """Return the attributes read from what an instruction loads, and the first constant argument."""
        attributes = []
        for ins in self.instructions[number + 1 :]:
            if ins.opname not in ("LOAD_ATTR", "LOAD_METHOD"):
                break
            attributes.append(ins.argval)
        following = self.instructions[number + 1 + len(attributes) :][:1]
        argument: object = None
        for ins in following:
            if ins.opname == "LOAD_CONST" and isinstance(ins.argval, str):
                argument = ins.argval
            elif ins.opname == "CALL" and ins.arg == 0:
                argument = NO_ARGUMENTS
        return tuple(attributes), argument


_NAMED = frozenset(dis.hasname) | frozenset(dis.haslocal) | frozenset(dis.hasfree)
_JUMPS = frozenset(dis.hasjrel) | frozenset(dis.hasjabs)


def _line(ins: dis.Instruction) -> int | None:
    return getattr(getattr(ins, "positions", None), "lineno", None)


def _signature(code: CodeType) -> bytes:
    """Return how a code object takes its arguments."""
    count = code.co_argcount + code.co_kwonlyargcount
    count += bool(code.co_flags & 0x04) + bool(code.co_flags & 0x08)
    names = ",".join(code.co_varnames[:count])
    flags = code.co_flags & BEHAVIOUR_FLAGS
    return f"{code.co_argcount},{code.co_posonlyargcount},{code.co_kwonlyargcount},{flags},{names}".encode()


def _is_class_body(code: CodeType) -> bool:
    """Tell a class body from a function: it has no fast locals."""
    return not code.co_flags & 0x02 and code.co_name != "<module>"


def _significant(code: CodeType) -> Iterator[dis.Instruction]:
    """Yield the instructions that say what the code does."""
    held: dis.Instruction | None = None
    in_class = _is_class_body(code)
    for ins in dis.get_instructions(code):
        if ins.opname in LAYOUT_OPERATIONS:
            continue
        if in_class and ins.opname == "STORE_NAME" and ins.argval in CLASS_LAYOUT_NAMES:
            held = None
            continue
        if held is not None:
            yield held
        held = ins
    if held is not None:
        yield held


def _assigned_names(instructions: list[dis.Instruction]) -> frozenset[str]:
    """Return the names a class body binds itself."""
    return frozenset(ins.argval for ins in instructions if ins.opname == "STORE_NAME")


def _imported_names(instructions: list[dis.Instruction]) -> dict[str, tuple[str, int]]:
    """Return the local variables that only ever hold an imported module, with the module's name and level."""
    imported: dict[str, tuple[str, int]] = {}
    stored: dict[str, int] = {}
    for number, ins in enumerate(instructions):
        if ins.opname not in STORES:
            continue
        stored[ins.argval] = stored.get(ins.argval, 0) + 1
        source = _module_stored(instructions, number)
        if source is not None:
            imported[ins.argval] = source
    return {name: source for name, source in imported.items() if stored[name] == 1}


def _module_stored(instructions: list[dis.Instruction], number: int) -> tuple[str, int] | None:
    """Return the module that a store instruction binds, if it ends ``import a`` or ``import a.b as c``."""
    back = number - 1
    aliased = False
    while back >= 0 and instructions[back].opname in ("IMPORT_FROM", "SWAP", "POP_TOP", "ROT_TWO"):
        aliased = aliased or instructions[back].opname == "IMPORT_FROM"
        back -= 1
    if back < 2 or instructions[back].opname != "IMPORT_NAME":
        return None
    level, names = instructions[back - 2].argval, instructions[back - 1].argval
    if names:
        return None
    module = instructions[back].argval
    return (module if aliased else module.partition(".")[0]), level


def _at_or_after(offsets: list[int], offset: Any) -> int:
    """Return the number of the first kept instruction at or after an offset."""
    return bisect_left(offsets, offset)


def _exception_rows(code: CodeType, offsets: list[int]) -> Iterator[bytes]:
    """Yield the exception table (PEP 657's neighbour, Objects/exception_handling_notes.txt) in instruction numbers."""
    rows = []
    data = iter(code.co_exceptiontable)
    for first in data:
        start = _varint(first, data) * 2
        length = _varint(next(data), data) * 2
        target = _varint(next(data), data) * 2
        depth = _varint(next(data), data)
        rows.append((_at_or_after(offsets, start), _at_or_after(offsets, start + length), _at_or_after(offsets, target), depth))
    # Dropped NOPs split what is one protected range into neighbours: join them again.
    joined: list[tuple[int, int, int, int]] = []
    for row in rows:
        if row[0] == row[1]:
            continue
        if joined and joined[-1][1] == row[0] and joined[-1][2:] == row[2:]:
            row = (joined.pop()[0], *row[1:])
        joined.append(row)
    for row in joined:
        yield f"TRY {row}".encode()


def _varint(first: int, data: Iterator[int]) -> int:
    """Read one number of the exception table: six bits a byte, the bit above them says that more follow."""
    value = first & 63
    while first & 64:
        first = next(data)
        value = (value << 6) | (first & 63)
    return value
