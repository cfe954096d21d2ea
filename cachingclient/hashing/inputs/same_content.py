"""Whether a file under one name holds what another held under its name: the same file, or a copy that nobody edited."""

from __future__ import annotations

import os
import stat
import time
from dataclasses import dataclass
from typing import Any

from cachingclient.hashing.inputs.fingerprint import SMALL_FILE, content_digest

RACY_NS = 2_000_000_000
"""A file that was changed so short a time ago may change again without its time showing it."""


@dataclass(frozen=True, slots=True)
class Held:
    """A local file, and what it held.

    Attributes
    ----------
    path
        Its absolute path.
    size, mtime_ns, inode
        How it looked.
    digest
        The digest of its content, where that was read: of small files, and of those that were written just now.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> file = pathlib.Path(tempfile.mkdtemp(), "a.txt")
    >>> _ = file.write_text("events")
    >>> Held.of(str(file)).size
    6
    """

    path: str
    size: int
    mtime_ns: int
    inode: int
    digest: str | None = None

    @classmethod
    def of(cls, path: str) -> Held | None:
        """Return what a file holds; None if there is none, or if its absolute path leads to another."""
        try:
            given, path = os.stat(path), os.path.abspath(path)
            seen = os.stat(path)
            if not stat.S_ISREG(seen.st_mode) or not os.path.samestat(seen, given):
                return None
            is_racy = time.time_ns() - seen.st_mtime_ns < RACY_NS
            digest = content_digest(path, seen) if is_racy or seen.st_size <= SMALL_FILE else None
        except (OSError, ValueError):
            return None
        return cls(path, seen.st_size, seen.st_mtime_ns, seen.st_ino, digest)

    def as_json(self) -> list[Any]:
        """Return what the description of an entry holds of it."""
        return [self.path, self.size, self.mtime_ns, self.inode, self.digest]

    @classmethod
    def of_json(cls, fields: Any) -> Held | None:
        """Return what a description states, None if it states nothing that can be understood."""
        kinds = ((str,), (int,), (int,), (int,), (str, type(None)))
        if not isinstance(fields, list) or len(fields) != len(kinds):
            return None
        if any(type(value) not in allowed for value, allowed in zip(fields, kinds, strict=True)):
            return None
        return cls(*fields)

    def holds_what(self, earlier: Held) -> bool:
        """Tell whether this file, as it is now, holds what another held.

        It does if it is that very file, or if the contents are equal: of a copy that is no small file both are read
        for it, once, and the other has to be there as it was.
        """
        if self.size != earlier.size:
            return False
        is_it = (self.mtime_ns, self.inode) == (earlier.mtime_ns, earlier.inode)
        if is_it and self.digest is None and earlier.digest is None:
            return True
        before = earlier.digest or earlier.read()
        return before is not None and before == (self.digest or self.read())

    def read(self) -> str | None:
        """Return the digest of the content, None if the file is not there as it was."""
        try:
            seen = os.stat(self.path)
            if not stat.S_ISREG(seen.st_mode) or not self._looks_like(seen):
                return None
            digest = content_digest(self.path, seen)
            return digest if self._looks_like(os.stat(self.path)) else None
        except (OSError, ValueError):
            return None

    def _looks_like(self, seen: os.stat_result) -> bool:
        return (seen.st_size, seen.st_mtime_ns, seen.st_ino) == (self.size, self.mtime_ns, self.inode)
