"""Digests and the framing that keeps neighbouring parts apart.

Every digest here is xxh3-128: memory speed on big buffers, 128 bits against chance collisions.
It is not a cryptographic hash; stores shared with people one does not trust sign their entries.
"""

from __future__ import annotations

from collections.abc import Iterable

import xxhash

CANONICAL_VERSION = 1
"""The version of the canonical form. It is part of every key: raise it when any encoding changes."""

INLINE_BYTES = 64
"""Encodings up to this long stand for themselves; longer ones are replaced by their digest."""

_LENGTHS = [bytes([length]) for length in range(256)]


def digest(data: bytes | bytearray | memoryview) -> bytes:
    """Return the 16-byte xxh3-128 digest of a buffer.

    Examples
    --------
    >>> digest(b"ttbar").hex()
    '7efefcbd0f6281cee344dd27f9d8db67'
    """
    return xxhash.xxh3_128_digest(data)


def compact(tag: bytes, body: bytes) -> bytes:
    """Return ``tag + body``, with a long body replaced by its digest.

    Examples
    --------
    >>> compact(b"s", b"pt")
    b'spt'
    >>> len(compact(b"s", b"x" * 1000))
    18
    """
    if len(body) < INLINE_BYTES:
        return tag + body
    return b"#" + tag + xxhash.xxh3_128_digest(body)


def frame(tag: bytes, parts: Iterable[bytes]) -> bytes:
    """Join encodings so that no two different sequences give the same bytes.

    Parameters
    ----------
    tag
        What kind of thing the parts make up.
    parts
        Encodings, each at most 255 bytes long.

    Examples
    --------
    >>> frame(b"l", [b"a", b"bc"]) == frame(b"l", [b"ab", b"c"])
    False
    """
    pieces: list[bytes] = []
    for part in parts:
        pieces += _LENGTHS[len(part)], part
    return compact(tag, b"".join(pieces))
