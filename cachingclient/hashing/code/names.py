"""Names: what objects tell of themselves, and what is made at run time, without the addresses of one process."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from types import FunctionType
from typing import Any

_NUMBER = re.compile(r"0[xX][0-9a-fA-F]+|[1-9][0-9]*")
_FIRST_ADDRESS, _LAST_ADDRESS = 1 << 32, 1 << 48
"""Where objects lie in memory on 64-bit machines: numbers in names are seldom as large."""


def told_by(obj: Any, attribute: str) -> Any:
    """Return an attribute that an object may have, None if it has none or whatever else asking for it raises.

    A configuration that gives its entries as attributes often raises ``KeyError`` for those that it lacks.

    Examples
    --------
    >>> class Entries(dict):
    ...     __getattr__ = dict.__getitem__
    >>> told_by(Entries(pt=30), "pt"), told_by(Entries(pt=30), "__qualname__")
    (30, None)
    """
    try:
        return getattr(obj, attribute, None)
    except Exception:
        return None


def defaults(function: FunctionType) -> Iterator[tuple[str, object]]:
    """Yield the names of a function's arguments that have a default, with these."""
    code, given = function.__code__, function.__defaults__ or ()
    yield from zip(code.co_varnames[code.co_argcount - len(given) : code.co_argcount], given, strict=True)
    yield from (function.__kwdefaults__ or {}).items()


def find_named(module: str, qualname: str) -> object:
    """Return the object under a dotted name in a module, or None.

    Examples
    --------
    >>> find_named("json", "JSONDecoder.decode").__qualname__, find_named("json", "decoder_of_nobody")
    ('JSONDecoder.decode', None)
    """
    found: object = sys.modules.get(module)
    for part in qualname.split("."):
        found = told_by(found, part)
    return found


def gives_name_alone(obj: Any) -> bool:
    """Tell whether an object gives a pickle what leads to it, such as its name, and nothing of what it holds.

    Examples
    --------
    >>> import logging
    >>> gives_name_alone(logging.getLogger("cuts")), gives_name_alone(logging.Formatter())
    (True, False)
    """
    try:
        reduced = obj.__reduce_ex__(4)
        return isinstance(reduced, str) or not any(reduced[2:])
    except Exception:  # of a library's or a user's class, or of what it holds: an array is neither true nor false
        return False


def without_addresses(name: str) -> str:
    """Return a name without the numbers in it that may be addresses.

    Libraries name classes by ``id(self)`` to have one for each object.

    Examples
    --------
    >>> without_addresses("SparseTuple140421837221968.__new__"), without_addresses("Run2016H_106")
    ('SparseTuple.__new__', 'Run2016H_106')
    """
    return _NUMBER.sub(lambda found: "" if _FIRST_ADDRESS <= int(found[0], 0) < _LAST_ADDRESS else found[0], name)
