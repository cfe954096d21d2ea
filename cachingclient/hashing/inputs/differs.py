"""In what a file differs from what it was, in words."""

from __future__ import annotations

import os

from cachingclient import units
from cachingclient.hashing.inputs.fingerprint import Fingerprint

UNREADABLE = "it may not be read"


def in_what(path: str, seen: Fingerprint | None) -> str:
    """Return in what a file differs from what it was, as far as its size and its time tell; empty if they don't.

    Parameters
    ----------
    path
        The file.
    seen
        What it looked like; None if it was not there.

    Examples
    --------
    >>> in_what("/no/such/file", Fingerprint("/no/such/file", "file", 10))
    'it is gone'
    """
    try:
        now = os.stat(path)
    except PermissionError:
        return UNREADABLE
    except OSError:
        return "it is gone"
    if seen is None:
        return "it was not there"
    if seen.kind != "file" or seen.size is None:
        return ""
    if now.st_size != seen.size:
        before, after = units.size(seen.size), units.size(now.st_size)
        return f"{before} -> {after}" if before != after else f"{seen.size:,} -> {now.st_size:,} bytes"
    if seen.checksum is not None and not os.access(path, os.R_OK, effective_ids=True):
        return UNREADABLE
    if seen.checksum is not None:
        return "other content of the same size"
    return "another time, the same size: with the setting inputs: content only its content would count"


def likeness(one: Fingerprint, other: Fingerprint) -> str:
    """Return what two files have in common, such as a file and its copy; empty if their sizes differ.

    Examples
    --------
    >>> likeness(Fingerprint("/a", "file", 10, checksum="xxh3:0f"), Fingerprint("/b", "file", 10, checksum="xxh3:0f"))
    'a file with the same content'
    """
    if one.size is None or one.size != other.size or "file" not in (one.kind, other.kind):
        return ""
    if (one.checksum and one.checksum == other.checksum) or (one.uuid and one.uuid == other.uuid):
        return "a file with the same content"
    return "a file of the same size and time" if one.mtime_ns == other.mtime_ns else "a file of the same size"
