"""The source of functions, kept with what their code is made of, and the lines that changed."""

from __future__ import annotations

import difflib
import inspect
import linecache
import re
import textwrap
from collections.abc import Iterator, Mapping
from types import CodeType

from cachingclient.hashing.code.bytecode import shape
from cachingclient.hashing.digest import digest
from cachingclient.hashing.identity import Identity
from cachingclient.plan.hidden import holds_secret, says_secret

MOST_FUNCTIONS = 20
"""Of how many functions of one note the source is kept."""
MOST_LETTERS = 4000
"""Of a longer function none is."""
MOST_LINES = 8
"""How many lines that changed are told of one function."""


def sources_of(identity: Identity) -> dict[str, str]:
    """Return the source of the functions behind an identity, by their names; only what really is that of the code.

    Parameters
    ----------
    identity
        What was found of some code; it says where its functions stand, and has the digest of each body.
    """
    found: dict[str, str] = {}
    functions = [(label, place) for label, place in identity.places.items() if label.startswith("function ")]
    for label, place in functions[:MOST_FUNCTIONS]:
        name = label.partition(" ")[2]
        body = identity.ingredients.get(f"body {name}")
        text = source_at(place, body) if body is not None else ""
        if text and not holds_secret(text) and not any(map(says_secret, re.findall(r"\w+", text))):
            found[name] = text
    return found


def source_at(place: tuple[str, int, str], body: str) -> str:
    """Return the source of the function at a place if it has this body; empty if the file was edited since, or is none.

    Parameters
    ----------
    place
        The file, the line and the name of the function.
    body
        The digest of its code.
    """
    file, line, name = place
    lines = linecache.getlines(file)[line - 1 :]
    try:
        text = textwrap.dedent("".join(inspect.getblock(lines)))
        whole = compile(text, file, "exec", dont_inherit=True)
        codes = (each for each in _codes(whole) if each.co_name == name)
        same = any(digest(shape(code).body).hex() == body for code in codes)
    except Exception:  # what looks like source may be anything, and a fault here costs the source alone
        return ""
    return text if same and len(text) <= MOST_LETTERS else ""


def _codes(code: CodeType) -> Iterator[CodeType]:
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield constant
            yield from _codes(constant)


def changed_lines(before: Mapping[str, str], now: Mapping[str, str]) -> tuple[str, ...]:
    """Return the lines that changed of functions whose source is known from both sides.

    Examples
    --------
    >>> changed_lines({"cut": "def cut(pt):\\n    return pt > 30\\n"}, {"cut": "def cut(pt):\\n    return pt > 35\\n"})
    ('-     return pt > 30', '+     return pt > 35')
    """
    told: list[str] = []
    for name in before.keys() & now.keys():
        old, new = before[name].splitlines(), now[name].splitlines()
        lines = [line for line in difflib.ndiff(old, new) if line[0] in "+-"] if old != new else []
        told += [*lines[:MOST_LINES], *([f"  and {len(lines) - MOST_LINES} lines more"] if lines[MOST_LINES:] else [])]
    return tuple(line.rstrip() for line in told)
