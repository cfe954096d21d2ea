"""Whether what a step saw of a file or folder would be the same now."""

from __future__ import annotations

import os
import stat

from cachingclient.hashing.inputs.fingerprint import Fingerprint, is_unchanged
from cachingclient.hashing.inputs.listing import (
    LINK,
    LISTING,
    MATCHES,
    STAMPS,
    THERE,
    TIME,
    list_folder,
    stamp_folder,
    target_of,
    time_of,
    what_is_there,
)
from cachingclient.hashing.inputs.merge import APPENDED


def is_as_it_was(path: str, seen: Fingerprint | None, most_files: int) -> bool:
    """Tell whether a look at a path would see what an earlier one did.

    Parameters
    ----------
    path
        The file or folder.
    seen
        What was seen of it; None if it was not there.
    most_files
        How many files of a folder are looked at.

    Examples
    --------
    >>> is_as_it_was("/no/such/file", None, 1), is_as_it_was("/no/such/file", Fingerprint("", "file", 1), 1)
    (True, False)
    """
    if seen is None:
        return not os.path.lexists(path)
    if seen.kind == APPENDED:
        try:
            return os.stat(path).st_size >= (seen.size or 0)
        except OSError:
            return False
    if seen.kind == THERE:
        return what_is_there(path) == seen.uuid if seen.uuid else os.path.lexists(path)
    if seen.kind == LINK:
        return target_of(path) == seen.checksum
    if seen.kind == TIME:
        now = time_of(path)
        return now is not None and now[1] == seen.uuid and seen.mtime_ns in (None, now[0])
    if _is_endless(path):
        return False
    if seen.kind == LISTING:
        return list_folder(path) == seen.checksum
    if seen.kind == MATCHES:
        return list_folder(path, seen.uuid or "") == seen.checksum
    if seen.kind == STAMPS:
        return stamp_folder(path) == seen.checksum
    if seen.kind == "folder" and seen.checksum is None:  # one that was made, whatever is in it
        return os.path.isdir(path)
    return is_unchanged(seen, most_files)


def _is_endless(path: str) -> bool:
    """Whether looking into what lies there may never end: a pipe or a device, which a description may name."""
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))
