"""The behaviour of a code object and the names that it looks up outside itself, read from its bytecode once.

The canonical form is that of `instructions` and `control_flow`. The references are names that code resolves when it
runs: globals, closure variables, imports inside it, each with the attributes that it then takes.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping
from itertools import pairwise
from types import CodeType

from cachingclient.hashing.code.control_flow import canonical_flow, operation
from cachingclient.hashing.code.given import Facts, Known
from cachingclient.hashing.code.instructions import Instruction, decode
from cachingclient.hashing.code.look_ups import path_to_look_up
from cachingclient.hashing.code.paths import Path, nothing_known
from cachingclient.hashing.code.references import NO_ARGUMENTS, CodeShape, Reference
from cachingclient.hashing.digest import compact, frame
from cachingclient.hashing.scalars import PLAIN

BEHAVIOUR_FLAGS = 0x04 | 0x08 | 0x20 | 0x80 | 0x100 | 0x200
"""``co_flags`` that callers see: ``*args``, ``**kwargs``, generator, coroutine, iterable coroutine, async generator."""

GLOBAL_LOADS = frozenset({"LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS"})
LOCAL_LOADS = frozenset({"LOAD_FAST", "LOAD_FAST_CHECK", "LOAD_DEREF", "LOAD_NAME", "LOAD_FROM_DICT_OR_DEREF"})
FREE_LOADS = frozenset({"LOAD_DEREF", "LOAD_FROM_DICT_OR_DEREF"})
"""What reads a closure variable. Passing one on to nested code is no use of it: the nested code's uses are."""
STORES = frozenset({"STORE_FAST", "STORE_DEREF", "STORE_NAME"})
GLOBAL_WRITES = frozenset({"STORE_GLOBAL", "DELETE_GLOBAL"})
FRAME_READERS = frozenset({"query", "eval", "sql", "execute"})
"""Methods of libraries (pandas, duckdb) that look up the words of a text among the caller's variables."""
FRAME_READING_FUNCTIONS = FRAME_READERS | {"evaluate"}
"""Functions of libraries' modules that do (numexpr, too). A method ``evaluate`` is a correction's."""
LAYOUT_READERS = frozenset({"__doc__", "__qualname__", "__module__", "__annotations__", "__subclasses__", "__dict__"})
"""Attributes that count in the identity of code only if some code reads them."""
_WORD = re.compile(r"[A-Za-z_]\w*")


_SHAPES: dict[int, tuple[CodeType, CodeShape]] = {}
_BY_EQUALITY: dict[CodeType, CodeShape] = {}
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
    found = _SHAPES.get(id(code))
    if found is not None:
        return found[1]
    if len(_SHAPES) >= _MOST_SHAPES:
        _SHAPES.clear()
        _BY_EQUALITY.clear()
    # A function that was pickled once a task comes as a new but equal code object each time.
    known = _BY_EQUALITY.get(code)
    if known is None:
        known = _BY_EQUALITY[code] = _Reader(code).read()
    _SHAPES[id(code)] = (code, known)
    return known


@functools.lru_cache(maxsize=1000)
def shape_of_call(code: CodeType, entry: Facts) -> CodeShape:
    """Return the shape of a code object where some of what its caller gives it is known: keys among what it takes.

    Examples
    --------
    >>> from cachingclient.hashing.code.given import Fact, Given
    >>> def weight(dataset): return XSEC[dataset]
    >>> entry = frozenset({Fact("dataset", Given(0))})
    >>> [path[0].key for path in next(iter(shape_of_call(weight.__code__, entry).paths.values()))]
    [Given(position=0, path=())]
    """
    return _Reader(code, Known(code, entry)).read() if entry else shape(code)


class _Reader:
    """Reads one code object."""

    def __init__(self, code: CodeType, known: Known | None = None) -> None:
        self.code = code
        self.known = known
        self.instructions = decode(code)
        self.references: dict[Reference, dict[Path, int | None]] = {}
        self.literals: set[str] = set()
        self.texts: set[str] = set()
        self.words: set[str] = set()
        self.layout: set[str] = set()
        self.writes: dict[tuple[str, int | None], None] = {}
        self.nested: dict[int, bytes] = {}
        self.assigned = _assigned_names(self.instructions) if _is_class_body(code) else frozenset()
        self.imported = dict(_imported_names(self.instructions))
        self.lines: list[tuple[int, int, int | None]] | None = None
        # attrs writes the hash of the class's name into it, which differs from process to process.
        self.is_salted = code.co_name == "__hash__" and code.co_filename.startswith("<attrs generated ")

    def read(self) -> CodeShape:
        """Return the shape."""
        for number, found in enumerate(self.instructions):
            self._note(number, found)
        flow = canonical_flow(self.code, self.instructions, self._label)
        if self._reads_frames():
            self.words.update(word for text in self.texts for word in _WORD.findall(text))
        return CodeShape(
            compact(b"$code:", _signature(self.code) + b"\n" + flow),
            tuple(sorted(self.references, key=_order)),
            tuple(sorted(self.literals)),
            tuple(sorted(self.words)),
            tuple(sorted(self.layout)),
            tuple(self.writes),
            self.references,
        )

    def _reads_frames(self) -> bool:
        """Tell whether it hands texts to what may look up their words among its variables."""
        for found, after in pairwise(self.instructions):
            if found.name == "LOAD_ATTR" and found.value in FRAME_READERS and (after.name, after.value) != ("CALL", 0):
                return True  # model.eval() of torch gives no text
        named = ((reference.name, *reference.attributes) for reference in self.references)
        return any(not FRAME_READING_FUNCTIONS.isdisjoint(names) for names in named)

    def _label(self, found: Instruction) -> bytes:
        """Return the bytes of one instruction."""
        name, value = found.name, found.value
        if name in ("LOAD_CONST", "KW_NAMES", "INSTRUMENTED_LOAD_CONST"):
            return name.encode() + b" " + self._constant(value)
        if value is None:
            return f"{operation(name)} {found.flags}".encode()
        return f"{name} {value} {found.flags}".encode("utf-8", "surrogatepass")

    def _constant(self, value: object) -> bytes:
        """Return the encoding of a constant; nested code is described in its place."""
        if isinstance(value, CodeType):
            return self._nested(value)
        if isinstance(value, tuple):
            return frame(b"$t:", map(self._constant, value))
        if isinstance(value, frozenset):
            return frame(b"$f:", sorted(map(self._constant, value)))
        if isinstance(value, slice):
            return frame(b"$::", map(self._constant, (value.start, value.stop, value.step)))
        if isinstance(value, str):
            return compact(b"$s:", value.encode("utf-8", "surrogatepass"))
        if self.is_salted and type(value) is int:
            return b"$salt"
        return PLAIN[type(value)](value) or b""

    def _nested(self, code: CodeType) -> bytes:
        found = self.nested.get(id(code))
        if found is None:
            found = self.nested[id(code)] = frame(b"$n:", [compact(b"", code.co_name.encode()), shape(code).body])
        return found

    def _take_over(self, code: CodeType) -> None:
        """Take over the references of nested code, except those to this code's own variables."""
        inner = shape(code) if self.known is None else shape_of_call(code, self.known.inside(code))
        for reference in inner.references:
            if reference.kind != "free" or reference.name in self.code.co_freevars:
                self._refer(reference, inner.paths[reference])
            for module, level in self.imported.get(reference.name, ()) if reference.kind == "free" else ():
                self._refer(
                    Reference("import", module, reference.attributes, reference.argument, level, reference.line),
                    inner.paths[reference],
                )
        self.literals.update(inner.literals)
        self.words.update(inner.words)
        self.layout.update(inner.layout)
        self.writes.update(dict.fromkeys(inner.global_writes))

    def _note(self, number: int, found: Instruction) -> None:
        """Record what an instruction looks up or rebinds outside this code."""
        name = found.name
        if name in ("LOAD_CONST", "KW_NAMES"):
            self._note_constant(found.value)
        elif name in GLOBAL_WRITES:
            self.writes[found.value, self._line(found)] = None
        elif name == "IMPORT_NAME":
            self._note_import(number, found)
        elif name == "LOAD_ATTR" and found.value in LAYOUT_READERS:
            self.layout.add(found.value)
        elif name in GLOBAL_LOADS and found.value not in self.assigned and found.value not in self.imported:
            taken = {self._path(number): self._line(found)}
            self._refer(Reference("global", found.value, *self._chain(number), line=self._line(found)), taken)
        elif name in LOCAL_LOADS and found.value in self.imported and not self._is_passed_on(found):
            taken = {self._path(number): self._line(found)}
            for module, level in self.imported[found.value]:
                self._refer(Reference("import", module, *self._chain(number), level, self._line(found)), taken)
        elif name in FREE_LOADS and found.value in self.code.co_freevars:
            taken = {self._path(number): self._line(found)}
            self._refer(Reference("free", found.value, *self._chain(number), line=self._line(found)), taken)

    def _path(self, number: int) -> Path:
        """Return what is taken of what an instruction loads."""
        return path_to_look_up(self.instructions, number, nothing_known if self.known is None else self.known.at)

    def _is_passed_on(self, found: Instruction) -> bool:
        """Tell whether a load makes up a closure for nested code: from 3.13 it looks like one of a plain variable."""
        return found.name == "LOAD_FAST" and found.value in self.code.co_cellvars

    def _note_constant(self, value: object) -> None:
        """Record texts, those in tuples too, and what nested code looks up."""
        if isinstance(value, CodeType):
            self._take_over(value)
        elif isinstance(value, str):
            self.texts.add(value)
            if PLAIN[str](value) is None:
                self.literals.add(value)
        elif isinstance(value, (tuple, frozenset)):
            for part in value:
                self._note_constant(part)

    def _refer(self, reference: Reference, taken: Mapping[Path, int | None] | None = None) -> None:
        """Note a reference, and what is taken of what it leads to: all of it, if nothing else is said."""
        known = self.references.setdefault(reference, {})
        for path, line in (taken or {(): reference.line}).items():
            known.setdefault(path, line)

    def _note_import(self, number: int, found: Instruction) -> None:
        """Record ``import a.b`` and each name of ``from a import b, c``."""
        level, names = (self.instructions[number - back].value for back in (2, 1))
        if not names:
            self._refer(Reference("import", found.value, (), "loaded", level, self._line(found)))
        for name in names or ():
            attributes = () if name == "*" else (name,)
            self._refer(Reference("import", found.value, attributes, None, level, self._line(found)))

    def _chain(self, number: int) -> tuple[tuple[str, ...], object]:
        """Return the attributes read from what an instruction loads, and the first constant argument."""
        attributes = []
        for found in self.instructions[number + 1 :]:
            if found.name != "LOAD_ATTR":
                break
            attributes.append(found.value)
        following = self.instructions[number + 1 + len(attributes) :][:1]
        argument: object = None
        for found in following:
            if found.name == "LOAD_CONST" and isinstance(found.value, str):
                argument = found.value
            elif found.name == "CALL" and found.value == 0:
                argument = NO_ARGUMENTS
        return tuple(attributes), argument

    def _line(self, found: Instruction) -> int | None:
        if self.lines is None:
            self.lines = list(self.code.co_lines())
        for start, end, line in self.lines:
            if start <= found.offset < end:
                return line
        return None


def _order(reference: Reference) -> tuple[object, ...]:
    return (reference.kind != "import", reference.kind, reference.level, reference.name, reference.attributes,
            str(reference.argument))  # fmt: skip


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


def _assigned_names(instructions: list[Instruction]) -> frozenset[str]:
    """Return the names a class body binds itself."""
    return frozenset(found.value for found in instructions if found.name == "STORE_NAME")


def _imported_names(instructions: list[Instruction]) -> Iterator[tuple[str, list[tuple[str, int]]]]:
    """Yield the local variables that may hold an imported module, with the modules' names and levels."""
    imported: dict[str, list[tuple[str, int]]] = {}
    for number, found in enumerate(instructions):
        if found.name in STORES and (source := _module_stored(instructions, number)) is not None:
            imported.setdefault(found.value, []).append(source)
    yield from imported.items()


def _module_stored(instructions: list[Instruction], number: int) -> tuple[str, int] | None:
    """Return the module that a store instruction binds, if it ends ``import a`` or ``import a.b as c``."""
    back = number - 1
    aliased = False
    while back >= 0 and instructions[back].name in ("IMPORT_FROM", "SWAP", "POP_TOP"):
        aliased = aliased or instructions[back].name == "IMPORT_FROM"
        back -= 1
    if back < 2 or instructions[back].name != "IMPORT_NAME":
        return None
    level, names = instructions[back - 2].value, instructions[back - 1].value
    if names:
        return None
    module = instructions[back].value
    return (module if aliased else module.partition(".")[0]), level
