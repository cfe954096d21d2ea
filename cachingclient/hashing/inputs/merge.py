"""Looks at files, variables and the working folder that several steps depend on, put in one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from cachingclient.hashing.inputs.fingerprint import Fingerprint, is_unchanged
from cachingclient.hashing.inputs.listing import THERE

NO_FILES: Mapping[str, Fingerprint | None] = {}
APPENDED = "appended"
"""The kind of a file that was only appended to."""


def appended(path: str, size: int) -> Fingerprint:
    """Return the fingerprint of a file that was only appended to: it may grow further.

    Examples
    --------
    >>> appended("/home/alice/run.log", 10).kind
    'appended'
    """
    return Fingerprint(path, APPENDED, size)


def merged(tables: Iterable[Mapping[str, Any]], written: Mapping[str, Any] = NO_FILES) -> dict[str, Any]:
    """Return tables in one, without the files that were written on the way.

    Raises
    ------
    ValueError
        If two tables disagree on a name.

    Examples
    --------
    >>> merged([{"ERA": "0f"}, {"LUMI": "ab"}])
    {'ERA': '0f', 'LUMI': 'ab'}
    """
    found: dict[str, Any] = {}
    for table in tables:
        for name, seen in table.items():
            before = written.get(name, found.get(name, seen))
            if not _agree(before, seen):
                raise ValueError(f"{name} changed between the steps")
            if name not in written:
                found[name] = _firmer(before, seen)
    return found


def _agree(one: object, other: object) -> bool:
    """Whether two looks are of one state.

    Of a file changed just now the content is known, later the time: both are of one state if both still hold.
    """
    if not (isinstance(one, Fingerprint) and isinstance(other, Fingerprint)):
        return one == other
    if one.kind == other.kind == THERE:
        return one.uuid == other.uuid or None in (one.uuid, other.uuid)
    if APPENDED in (one.kind, other.kind) or THERE in (one.kind, other.kind):
        return True
    return one == other or are_of_one_state(one, other)


def are_of_one_state(one: Fingerprint, other: Fingerprint) -> bool:
    """Tell whether two looks at a file or folder are of the same content, by looking once more if need be.

    Examples
    --------
    >>> one, other = Fingerprint("/a", "file", 10, 1), Fingerprint("/a", "file", 10, 2)
    >>> are_of_one_state(one, other)
    False
    """
    pairs = (one.mtime_ns, other.mtime_ns), (one.checksum, other.checksum)
    known = [pair for pair in pairs if None not in pair]
    if one.kind != other.kind or one.size != other.size or any(pair[0] != pair[1] for pair in known):
        return False
    return bool(known) or one.kind != "file" or all(is_unchanged(each, 1) for each in (one, other))


def _firmer(one: Any, other: Any) -> Any:
    """Return the look that is quicker to repeat, or that saw more of a growing file."""
    if not (isinstance(one, Fingerprint) and isinstance(other, Fingerprint)):
        return one
    if one.kind == other.kind == APPENDED:
        return one if (one.size or 0) >= (other.size or 0) else other
    if APPENDED in (one.kind, other.kind):
        return one if one.kind == APPENDED else other
    if THERE in (one.kind, other.kind):
        return one if one.kind != THERE else other
    return one if one.checksum is None else other


def one_folder(folders: Iterable[str | None]) -> str | None:
    """Return the one working folder that matters, None if none does.

    Raises
    ------
    ValueError
        If there are several.

    Examples
    --------
    >>> one_folder([None, "/home/alice"])
    '/home/alice'
    """
    found = {folder for folder in folders if folder is not None}
    if len(found) > 1:
        raise ValueError("the steps ran in several working folders")
    return next(iter(found), None)
