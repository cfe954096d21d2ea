"""Encodings of the values that need no walk: numbers, text, bytes and the language's singletons."""

from __future__ import annotations

import struct
from collections.abc import Callable
from types import EllipsisType, NotImplementedType
from typing import Any

from cachingclient.hashing.digest import compact

LZ4_FRAME = b"\x04\x22\x4d\x18"
"""How data compressed by LZ4 begin."""

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
