"""The names that a code object looks up outside itself, and what else was read from its bytecode."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import CodeType

from cachingclient.hashing.code.paths import Path, Uses

LOOKS_AROUND = frozenset({"locals", "vars", "globals", "eval", "exec", "dir", "inspect", "sys", "gc", "traceback"})
"""Names by which code may look at variables that it does not name."""
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
    """What `bytecode.shape` read from a code object, nested code included.

    Attributes
    ----------
    body
        The canonical form.
    references
        What it looks up, in an order that does not depend on layout: imports first, they may load what others name.
    literals
        Texts in it that may name files.
    words
        Words of texts that a library may look up among the caller's variables.
    layout
        Which attributes it reads that are otherwise left out of an identity, such as ``__doc__``.
    global_writes
        Global variables that it rebinds, with their lines.
    paths
        What it takes of what it looks up, for each reference at all of its places, with the first line of each.
    """

    body: bytes
    references: tuple[Reference, ...]
    literals: tuple[str, ...]
    words: tuple[str, ...]
    layout: tuple[str, ...]
    global_writes: tuple[tuple[str, int | None], ...]
    paths: Mapping[Reference, Mapping[Path, int | None]] = field(compare=False)

    def uses_of(self, reference: Reference, code: CodeType) -> Uses:
        """Return what code of this shape takes of what a reference leads to; nothing if that can't be told."""
        told = not self.words and LOOKS_AROUND.isdisjoint(each.name for each in self.references)
        paths = self.paths.get(reference, {}) if told else {}
        return {path: (code.co_filename, line or 0, code.co_name) for path, line in paths.items()}
