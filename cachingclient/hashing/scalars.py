"""Encodings of the values that need no walk: numbers, text, bytes and the language's singletons."""

from __future__ import annotations

import struct
from collections.abc import Callable
from types import EllipsisType, NotImplementedType
from typing import Any

from cachingclient.hashing.digest import compact

LZ4_FRAME = b"\x04\x22\x4d\x18"
"""How data compressed by LZ4 begin."""

CONSTANT_TYPES = (bool, int, float, complex, str, bytes, type(None))

MOST_LETTERS = 400
"""Longer values are not written out in explanations."""

_double = struct.Struct("<d").pack
_two_doubles = struct.Struct("<dd").pack


def encode_int(number: int) -> bytes:
    """Return the encoding of an integer of any size.

    Examples
    --------
    >>> encode_int(-1)
    b'i\\xff'
    """
    return compact(b"i", number.to_bytes((number.bit_length() + 8) >> 3, "little", signed=True))


def encode_float(number: float) -> bytes:
    """Return the encoding of a float by its bits: 0.0 is not -0.0, and a NaN keeps its payload.

    Examples
    --------
    >>> encode_float(0.0) == encode_float(-0.0)
    False
    """
    return b"d" + _double(number)


def encode_str(text: str) -> bytes:
    """Return the encoding of a text, whatever it names.

    Examples
    --------
    >>> encode_str("Jet")
    b'sJet'
    """
    # surrogatepass: file names that are not UTF-8 arrive as lone surrogates.
    return compact(b"s", text.encode("utf-8", "surrogatepass"))


def encode_plain_str(text: str) -> bytes | None:
    """Return the encoding of a text that can't name a file, or None when it might.

    Examples
    --------
    >>> encode_plain_str("Events")
    b'sEvents'
    >>> encode_plain_str("data/events.root") is None
    True
    """
    if "/" in text or "." in text:
        return None
    return compact(b"s", text.encode("utf-8", "surrogatepass"))


def encode_plain_bytes(data: bytes) -> bytes | None:
    """Return the encoding of bytes, or None if they may be an object that was compressed on its way.

    Examples
    --------
    >>> encode_plain_bytes(b"ab")
    b'bab'
    """
    return None if data.startswith(LZ4_FRAME) else compact(b"b", data)


PLAIN: dict[type, Callable[[Any], bytes | None]] = {
    type(None): lambda _: b"N",
    bool: lambda flag: b"t" if flag else b"f",
    int: encode_int,
    float: encode_float,
    complex: lambda number: b"c" + _two_doubles(number.real, number.imag),
    str: encode_plain_str,
    bytes: encode_plain_bytes,
    bytearray: lambda data: compact(b"B", data),
    EllipsisType: lambda _: b"e",
    NotImplementedType: lambda _: b"n",
}
"""Encoders by exact type; None from one of them means: not plain after all."""


def literal(value: object, *, by_key: bool = False) -> str:
    """Return how Python writes a small value made of numbers, texts and containers; empty for any other.

    Sets are written in an order that does not depend on hashes, and so is a dict whose order does not count, `by_key`.

    Examples
    --------
    >>> literal({"pt": 30, "regions": ["SR", "CR"]}), literal([object()])
    ("{'pt': 30, 'regions': ['SR', 'CR']}", '')
    """
    if by_key and isinstance(value, dict) and len(value) <= MOST_LETTERS:
        value = dict(sorted(value.items(), key=lambda pair: repr(pair[0])))
    try:
        text = _written(value, 4)
    except ValueError:
        return ""
    return text if len(text) <= MOST_LETTERS else ""


def _written(value: Any, levels: int) -> str:
    kind = type(value)
    if kind in (int, float, bool, type(None)) or (kind is str and len(value) <= MOST_LETTERS):
        return repr(value)
    if kind not in (list, tuple, dict, set, frozenset) or not levels or len(value) > MOST_LETTERS // 3:
        raise ValueError
    if kind is dict:
        pairs = (f"{_written(key, levels - 1)}: {_written(item, levels - 1)}" for key, item in value.items())
        return f"{{{', '.join(pairs)}}}"
    items = [_written(item, levels - 1) for item in value]
    if kind is list:
        return f"[{', '.join(items)}]"
    if kind is tuple:
        return f"({', '.join(items)}{',' if len(items) == 1 else ''})"
    return f"{{{', '.join(sorted(items))}}}" if items else "set()"
