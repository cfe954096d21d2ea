"""Reading small files whole, and of packs only what is asked for."""

from __future__ import annotations

import os

from cachingclient.storage.packs import LONGEST_HEAD, Table, is_pack, read_table

FIRST_READ = 16 << 10  # most descriptions are smaller
assert FIRST_READ >= LONGEST_HEAD
MOST_TABLES = 4096  # held at once, in six kilobytes each


class Members:
    """Reads files for one call of `LocalFolder.fetch`, in which many names may lead to the same pack."""

    def __init__(self) -> None:
        self._tables: dict[tuple[int, int, int], Table] = {}

    def read(self, handle: int, status: os.stat_result, name: str) -> bytes:
        """Return the content of a file, or what a pack has under this name. Raises OSError."""
        # The number of a file that was removed may be given to another, at a later time.
        which = status.st_ino, status.st_size, status.st_ctime_ns
        table = self._tables.get(which)
        if table is None:
            head = os.read(handle, FIRST_READ)
            if not is_pack(head):
                return head if status.st_size <= len(head) else head + os.read(handle, status.st_size - len(head))
            table = read_table(head)
            if status.st_nlink > 1 and len(self._tables) < MOST_TABLES:  # a copy without links has a pack for each name
                self._tables[which] = table
        begin, end = table.place(name)
        return os.pread(handle, end - begin, begin) if 0 < begin < end <= status.st_size else b""
