"""Reading small files whole, and of packs only what is asked for."""

from __future__ import annotations

import os

from cachingclient.storage.packs import LONGEST_HEAD, Table, is_pack, read_table

FIRST_READ = 16 << 10  # most descriptions are smaller
assert FIRST_READ >= LONGEST_HEAD


class Members:
    """Reads files for one call of `LocalFolder.fetch`, in which many names may lead to the same pack."""

    def __init__(self) -> None:
        self._tables: dict[tuple[int, int, int], Table] = {}

    def read(self, handle: int, status: os.stat_result, name: str) -> bytes:
        """Return the content of a file, or what a pack has under this name. Raises OSError."""
        # The number of a file that was removed may be given to another, at a later time.
        which = status.st_ino, status.st_size, status.st_ctime_ns
        if which not in self._tables:
            head = os.read(handle, FIRST_READ)
            if not is_pack(head):
                return head if status.st_size <= len(head) else head + os.read(handle, status.st_size - len(head))
            self._tables[which] = read_table(head)
        begin, end = self._tables[which].get(name, (0, 0))
        return os.pread(handle, end - begin, begin) if 0 < begin < end <= status.st_size else b""
