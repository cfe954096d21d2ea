"""How a file looks, and what a step did to it."""

from __future__ import annotations

import os
import stat
from typing import NamedTuple


class Stamp(NamedTuple):
    """What says quickly whether a file is still the same: its size, the time of its last change, its inode."""

    size: int
    mtime_ns: int
    inode: int


class Written(NamedTuple):
    """What a step did to a file or folder.

    Attributes
    ----------
    how
        ``"created"``, ``"changed"``, ``"appended"``, ``"removed"``, or ``"folder"`` for a folder that was made.
    before
        How it looked before the step wrote to it; None if it was not there.
    after
        How it looked when the step was done; None if it is gone, and for a folder.
    """

    how: str
    before: Stamp | None
    after: Stamp | None = None


def stamp(path: str) -> Stamp | None:
    """Return how a file looks, None if it is not there.

    Examples
    --------
    >>> stamp("/no/such/file") is None
    True
    """
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return None
    return Stamp(found.st_size, found.st_mtime_ns, found.st_ino)


def after(path: str, written: Written, was_read: bool) -> Written | None:
    """Return what became of a path in the end, None if nothing did.

    What was made anew is an output even if it looks as before, as a copy with the times of what was copied does.
    """
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        if written.before is None and not os.path.islink(path):
            return None
        return written._replace(how="removed", after=None)
    if stat.S_ISDIR(found.st_mode):
        is_made = written.how == "folder" or os.path.islink(path)  # a link to a folder is there as the folder is
        return written._replace(how="folder", after=None) if is_made else None
    if not stat.S_ISREG(found.st_mode):
        return None
    now = Stamp(found.st_size, found.st_mtime_ns, found.st_ino)
    how = written.how if written.how != "removed" else "changed"
    is_same = now == written.before and (was_read or how == "appended")
    return None if is_same else written._replace(how=how, after=now)
