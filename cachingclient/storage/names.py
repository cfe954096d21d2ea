"""The names of things in a store: keys and digests, which become the names of files and objects.

They come from files that anyone may have written, so text becomes one of these types before it is used, and the types
can hold nothing but 32 hex digits: no path can be made of them.
"""

from __future__ import annotations

import re
from typing import Any, Self

is_name = re.compile("[0-9a-f]{32}").fullmatch


class _Hex(str):
    """Text of 32 hex digits."""

    __slots__ = ()
    what = "name"

    def __new__(cls, text: Any) -> Self:
        if type(text) is cls:
            return text
        if not isinstance(text, str) or not is_name(text):
            raise ValueError(f"{cls.what} {str(text)[:64]!r}: takes 32 hex digits")
        return super().__new__(cls, text)

    def __reduce__(self) -> tuple[type[str], tuple[str]]:
        return str, (str(self),)  # whoever gets it reads it as text again: no class is named in what is sent


class Key(_Hex):
    """The key of an entry.

    Raises
    ------
    ValueError
        The text is anything else.

    Examples
    --------
    >>> Key("0f" * 16)
    '0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f'
    >>> Key("../../home/thesis.tex")
    Traceback (most recent call last):
    ValueError: key '../../home/thesis.tex': takes 32 hex digits
    """

    __slots__ = ()
    what = "key"


class Digest(_Hex):
    """The xxh3-128 of a payload, by which its blob is named. Raises ValueError as `Key` does.

    Examples
    --------
    >>> Digest("AB" * 16)
    Traceback (most recent call last):
    ValueError: digest 'ABABABABABABABABABABABABABABABAB': takes 32 hex digits
    """

    __slots__ = ()
    what = "digest"
