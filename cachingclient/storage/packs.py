"""Many small descriptions in one file, a pack, with a name for each: on a local disk a link costs far less than a file.

::

    cachingclient-entry 2 <xxh3-128 of the table> <number of members>\\n
    table: key (16 bytes), begin (4 bytes) and end (4 bytes) of each member, counted from the end of the table
    descriptions, as ``entry.py`` has them

Every member's name leads to the whole pack, so finding, listing, replacing and removing one of them goes by its name,
as for any file; the pack takes room until its last name is gone. A copy of a store that does not keep links has a
pack under each name, and each name still leads to its member. The number 2 is that of a format newer than a
description's, so that versions which know no packs take them for entries that they can't read.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable
from typing import NamedTuple

import xxhash

MAGIC = b"cachingclient-entry 2 "
MEMBER = struct.Struct("<16sII")
MOST_MEMBERS = 256
MOST_BYTES = 256 << 10
LARGEST = 16 << 10
"""Bytes of a description that goes into a pack; larger ones have files of their own."""
LONGEST_HEAD = len(MAGIC) + 32 + 5 + MOST_MEMBERS * MEMBER.size
"""Bytes of the longest first line with its table."""
_is_key = re.compile("[0-9a-f]{32}").fullmatch


class Table(NamedTuple):
    """The table of a pack as it lies in the file: a look-up may meet very many, each for one of its members."""

    rows: bytes = b""
    start: int = 0
    """Where the first member begins."""

    def place(self, key: str) -> tuple[int, int]:
        """Return where the member of a key begins and ends; twice 0 if there is none, or none that fits into a pack."""
        if not _is_key(key):
            return 0, 0
        wanted = bytes.fromhex(key)
        at = self.rows.find(wanted)
        while at % MEMBER.size and at >= 0:
            at = self.rows.find(wanted, at + 1)
        _, begin, end = MEMBER.unpack_from(self.rows, at) if at >= 0 else (b"", 0, 0)
        return (self.start + begin, self.start + end) if 0 < end - begin <= MOST_BYTES else (0, 0)


def write_pack(members: Iterable[tuple[str, bytes]]) -> bytes:
    """Return a pack of descriptions, each under one of its keys.

    Examples
    --------
    >>> data = write_pack([("0f" * 16, b"one"), ("0e" * 16, b"another")])
    >>> member("0e" * 16, data)
    b'another'
    """
    table, parts, end = bytearray(), [], 0
    for key, data in members:
        table += MEMBER.pack(bytes.fromhex(key), end, end + len(data))
        parts.append(data)
        end += len(data)
    head = b"%b%b %d\n" % (MAGIC, xxhash.xxh3_128_hexdigest(table).encode(), len(parts))
    return b"".join((head, table, *parts))


def is_pack(data: bytes) -> bool:
    """Whether this is the beginning of a pack."""
    return data.startswith(MAGIC)


def read_table(head: bytes) -> Table:
    """Return the table of a pack; an empty one where it is damaged.

    Parameters
    ----------
    head
        The first `LONGEST_HEAD` bytes, or more.

    Examples
    --------
    >>> data = write_pack([("0f" * 16, b"one")])
    >>> begin, end = read_table(data).place("0f" * 16)
    >>> data[begin:end], read_table(data[:40]).place("0f" * 16)
    (b'one', (0, 0))
    """
    line, _, rest = head[:LONGEST_HEAD].partition(b"\n")
    words = line[len(MAGIC) :].split(b" ")
    if not is_pack(head) or len(words) != 2 or not words[1].isdigit() or len(words[1]) > 3:
        return Table()
    table = rest[: int(words[1]) * MEMBER.size]
    if len(table) != int(words[1]) * MEMBER.size or xxhash.xxh3_128_hexdigest(table).encode() != words[0]:
        return Table()
    return Table(table, len(line) + 1 + len(table))


def member(key: str, data: bytes) -> bytes:
    """Return the description of a key out of a whole pack, empty where it is none of it; anything else is itself.

    Examples
    --------
    >>> member("0f" * 16, b"cachingclient-entry 1 ...")
    b'cachingclient-entry 1 ...'
    """
    if not is_pack(data):
        return data
    begin, end = read_table(data).place(key)
    return data[begin:end]
