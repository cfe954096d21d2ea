"""What changed from one small value to another, as Python writes them."""

from __future__ import annotations

import ast
import os
import struct
from collections.abc import Iterator, Mapping
from typing import Any

_MOST_LETTERS = 60
"""Longer values are not written out."""
_MOST_PARTS = 3
"""Of more parts that changed these are told."""
_UNREADABLE = object()


def change(old: str, new: str) -> str:
    """Return what changed from one value to another; of large ones the parts that differ.

    Examples
    --------
    >>> change("50", "25"), change("[50, 1]", "[25, 1]")
    ('50 -> 25', '[50, 1] -> [25, 1]')
    >>> before = {"electrons": {"pt": 30, "eta": 2.4}, "muons": {"pt": 25, "eta": 2.4}, "jets": {"pt": 30}}
    >>> after = {"electrons": {"pt": 35, "eta": 2.4}, "muons": {"pt": 25, "eta": 2.4}, "jets": {"pt": 30}}
    >>> change(repr(before), repr(after))
    "['electrons']['pt'] 30 -> 35"
    """
    if len(old) + len(new) <= _MOST_LETTERS:
        return f"{old} -> {new}"
    parts = list(_parts("", _value(old), _value(new)))
    if not parts or _UNREADABLE in parts[0][1:]:
        return ""
    told = [f"{path} {' -> '.join(_both(one, other))}".strip() for path, one, other in parts[:_MOST_PARTS]]
    more = f" and {len(parts) - len(told)} more" if len(parts) > len(told) else ""
    return ", ".join(told) + more


def written(encoded: str) -> str:
    """Return the value of an encoding of a number, a flag or a short text as Python writes it, else an empty text.

    Examples
    --------
    >>> written("6932"), written("4e")
    ('50', 'None')
    """
    data = bytes.fromhex(encoded)
    tag, body = data[:1], data[1:]
    if tag == b"i" and body:
        return repr(int.from_bytes(body, "little", signed=True))
    if tag == b"d" and len(body) == 8:
        return repr(struct.unpack("<d", body)[0])
    if tag == b"s" and len(body) <= _MOST_LETTERS:
        return repr(body.decode("utf-8", "replace"))
    return {b"N": "None", b"t": "True", b"f": "False"}.get(data, "")


class _Absent:
    """Stands for a part that is not there."""

    def __repr__(self) -> str:
        return "nothing"


_ABSENT = _Absent()


def _value(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return _UNREADABLE


def _parts(path: str, old: Any, new: Any) -> Iterator[tuple[str, Any, Any]]:
    """Yield the parts that differ, each with the way to it."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in {**old, **new}:
            yield from _parts(f"{path}[{key!r}]", old.get(key, _ABSENT), new.get(key, _ABSENT))
    elif isinstance(old, (list, tuple)) and type(old) is type(new) and len(old) == len(new):
        for number, (one, other) in enumerate(zip(old, new, strict=True)):
            yield from _parts(f"{path}[{number}]", one, other)
    elif isinstance(old, (set, frozenset)) and isinstance(new, (set, frozenset)):
        yield from ((path, each, _ABSENT) for each in sorted(old - new, key=repr))
        yield from ((path, _ABSENT, each) for each in sorted(new - old, key=repr))
    elif repr(old) != repr(new):
        yield path, old, new


def _both(old: Any, new: Any) -> tuple[str, str]:
    """Return two values as they are written; of long names of files without the folders that they share."""
    if isinstance(old, str) and isinstance(new, str) and len(old) + len(new) > _MOST_LETTERS:
        shared = os.path.commonprefix((old, new)).rpartition("/")[0]  # noqa: RUF071  cut at a slash
        if shared:
            old, new = (f".../{text[len(shared) + 1 :]}" for text in (old, new))
    return _short(old), _short(new)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _MOST_LETTERS else f"{text[: _MOST_LETTERS - 3]}..."
