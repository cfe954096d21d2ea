"""What is in a list or a dict, whatever its order: to tell that a value differs from another one by the order alone.

What a module makes of a set has another order in each process. That is another value, and the reason why something is
not kept should say so. It is told beside the digest of an ingredient and is no part of any identity.
"""

from __future__ import annotations

from collections.abc import Callable

from cachingclient.hashing.digest import digest

MARK = "~"
"""What stands between the digest of an ingredient and that of its contents."""
_MOST_ITEMS = 10_000
_MOST_LEVELS = 4


class _TooLarge(Exception):
    pass


def without_order(value: object, encode: Callable[[object], bytes]) -> str:
    """Return a mark and a digest of what is in a list, tuple or dict; empty for other values and for large ones.

    Parameters
    ----------
    value
        The value.
    encode
        Gives the encoding of what is in it.

    Examples
    --------
    >>> one, other = [["a", "b"], {"c": 1, "d": 2}], [{"d": 2, "c": 1}, ["b", "a"]]
    >>> encode = lambda item: repr(item).encode()
    >>> without_order(one, encode) == without_order(other, encode) != without_order([["a"]], encode)
    True
    >>> without_order("ab", encode)
    ''
    """
    if type(value) not in (list, tuple, dict):
        return ""
    left = [_MOST_ITEMS]
    try:
        return f"{MARK}{_contents(value, encode, _MOST_LEVELS, left)[:8].hex()}"
    except _TooLarge:
        return ""


def _contents(value: object, encode: Callable[[object], bytes], levels: int, left: list[int]) -> bytes:
    if not isinstance(value, (list, tuple, dict)) or type(value) not in (list, tuple, dict) or not levels:
        return encode(value)
    left[0] -= len(value)
    if left[0] < 0:
        raise _TooLarge
    if isinstance(value, dict):
        parts = [digest(encode(key) + _contents(item, encode, levels - 1, left)) for key, item in value.items()]
    else:
        parts = [digest(_contents(item, encode, levels - 1, left)) for item in value]
    return digest(type(value).__name__.encode() + b"".join(sorted(parts)))


def split(digests: str) -> tuple[str, str]:
    """Return the digest of an ingredient, and that of its contents without their order, empty if that is not told.

    Examples
    --------
    >>> split("0f0f~ab"), split("0f0f")
    (('0f0f', 'ab'), ('0f0f', ''))
    """
    whole, _, contents = digests.partition(MARK)
    return whole, contents
