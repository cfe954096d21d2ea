"""Whether a file under one name holds what another held under its name: the same file, or a copy that nobody edited.

Local files are read to compare them. Of a remote file that counts which its server says of the content: its checksum
is compared with what another server says, or with the same checksum of a local file.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from cachingclient.hashing.inputs.checksums import COMPUTED, KINDS, OWN, PARTS, Sums
from cachingclient.hashing.inputs.fingerprint import SMALL_FILE, Fingerprint, content_digest
from cachingclient.hashing.inputs.signed import unsigned
from cachingclient.units import without_password

RACY_NS = 2_000_000_000
"""A file that was changed so short a time ago may change again without its time showing it."""


@dataclass(frozen=True, slots=True)
class Held:
    """A file, and what it held.

    Attributes
    ----------
    path
        Its absolute path, or its URL without what signs it.
    size, mtime_ns, inode
        How it looked; of a remote file only the size counts.
    digest
        The digest of its content, where that was read: of small files, and of those that were written just now.
    sums
        Of a remote file the checksums that its server tells; None of a local one.

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
    sums: Sums | None = None

    @classmethod
    def of_remote(cls, seen: Fingerprint) -> Held | None:
        """Return what a remote file holds; None if its server does not tell.

        Examples
        --------
        >>> Held.of_remote(Fingerprint("root://host//a.root", "known", 10, sums=(("adler32", "0135712c"),))).size
        10
        >>> Held.of_remote(Fingerprint("root://host//a.root", "known", 10)) is None
        True
        """
        if seen.is_local or seen.size is None or not seen.sums:
            return None
        return cls(without_password(unsigned(seen.url)), seen.size, 0, 0, sums=seen.sums)

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
        sums = None if self.sums is None else dict(self.sums)
        return [self.path, self.size, self.mtime_ns, self.inode, self.digest, sums]

    @classmethod
    def of_json(cls, fields: Any) -> Held | None:
        """Return what a description states, None if it states nothing that can be understood."""
        kinds = ((str,), (int,), (int,), (int,), (str, type(None)), (dict, type(None)))
        if not isinstance(fields, list) or len(fields) not in (len(kinds) - 1, len(kinds)):
            return None
        if any(type(value) not in allowed for value, allowed in zip(fields, kinds, strict=False)):
            return None
        sums = fields[5] if len(fields) == len(kinds) else None
        if sums is not None and not all(type(each) is str for each in (*sums, *sums.values())):
            return None
        path, size, mtime_ns, inode, digest = fields[:5]
        return cls(path, size, mtime_ns, inode, digest, None if sums is None else tuple(sums.items()))

    def holds_what(self, earlier: Held) -> bool:
        """Tell whether this file, as it is now, holds what another held.

        It does if it is that very file, or if the contents are equal: of a copy that is no small file both are read
        for it, once, and the other has to be there as it was. A remote file holds the same if all checksums of a kind
        that both servers tell are equal, or the strongest that can be computed of a local one.
        """
        if self.size != earlier.size:
            return False
        if self.sums is not None or earlier.sums is not None:
            mine, others = self._kinds(), earlier._kinds()
            both = [kind for kind in (*KINDS, PARTS) if kind in mine and kind in others]
            if self.sums is None or earlier.sums is None:
                both = both[:1]
            return bool(both) and all((sum := self._sum(kind)) and sum == earlier._sum(kind) for kind in both)
        is_it = (self.mtime_ns, self.inode) == (earlier.mtime_ns, earlier.inode)
        if is_it and self.digest is None and earlier.digest is None:
            return True
        before = earlier.digest or earlier.read()
        return before is not None and before == (self.digest or self.read())

    def _kinds(self) -> Collection[str]:
        return COMPUTED if self.sums is None else dict(self.sums)

    def _sum(self, kind: str) -> str | None:
        """Return the checksum of a kind; of a local file it is computed."""
        if self.sums is not None:
            return dict(self.sums).get(kind)
        found = self.read(kind)
        return found and found.partition(":")[2]

    def read(self, kind: str = OWN) -> str | None:
        """Return the digest of the content, None if the file is not there as it was."""
        try:
            seen = os.stat(self.path)
            if not stat.S_ISREG(seen.st_mode) or not self._looks_like(seen):
                return None
            digest = content_digest(self.path, seen, kind)
            return digest if self._looks_like(os.stat(self.path)) else None
        except (OSError, ValueError):
            return None

    def _looks_like(self, seen: os.stat_result) -> bool:
        return (seen.st_size, seen.st_mtime_ns, seen.st_ino) == (self.size, self.mtime_ns, self.inode)
