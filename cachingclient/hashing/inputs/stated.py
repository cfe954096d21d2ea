"""Looks at files as descriptions of entries state them, which anyone may have written."""

from __future__ import annotations

import os
from typing import Any

from cachingclient.hashing.inputs.fingerprint import Fingerprint
from cachingclient.hashing.inputs.listing import LINK, MATCHES, TIME


def as_fields(found: Fingerprint | None) -> list[Any] | None:
    """Return what a description holds of a look; None of one that found nothing."""
    return None if found is None else [found.kind, found.size, found.mtime_ns, found.checksum, found.uuid]


def as_fingerprint(path: str, fields: Any) -> Fingerprint | None:
    """Return the look that a description states.

    Raises
    ------
    TypeError, ValueError
        It states none, as do the others here.

    Examples
    --------
    >>> as_fingerprint("/data/a.root", ["file", 10, 1, None, None]).size
    10
    """
    if fields is None:
        return None
    kind, size, mtime_ns, checksum, uuid = fields
    if not isinstance(kind, str):
        raise TypeError("the kind of a file is a text")
    # Where several things are known of a folder, each has a name of its own.
    path = path.removesuffix({LINK: " (link)", TIME: " (time)", MATCHES: f" ({uuid})"}.get(kind, ""))
    return Fingerprint(path, kind, _number(size), _number(mtime_ns), as_text(checksum), uuid=as_text(uuid))


def as_path(text: Any) -> str:
    """Return the path of a file; other texts can't be asked of an operating system.

    Examples
    --------
    >>> as_path("/data/a.root")
    '/data/a.root'
    """
    if not isinstance(text, str) or "\0" in text:
        raise ValueError("a path is a text without a zero")
    os.fsencode(text)
    return text


def as_text(value: Any) -> str | None:
    """Return a text, or nothing.

    Examples
    --------
    >>> as_text(None) is None
    True
    """
    if value is not None and not isinstance(value, str):
        raise TypeError("a digest is a text")
    return value


def _number(value: Any) -> int | None:
    if value is not None and type(value) is not int:
        raise TypeError("a size and a time are numbers")
    return value
