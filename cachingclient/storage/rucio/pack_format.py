"""Many entries in two files, for storage that is slow per file.

A pack holds payloads, each on a 64-byte boundary, and is named by its content. An index holds the descriptions of
its entries; each says where its payload lies, as ``details["place"] = [pack, offset]``. Later indices win over
earlier ones only where a record says so::

    cachingclient-index 1 <xxh3-128 of the rest and the number> <number of records>\\n
    records: key (16 bytes), flag (1 byte), length of the description (4 bytes)
    descriptions
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum

import xxhash

from cachingclient.storage.codecs.framing import ALIGNMENT
from cachingclient.storage.entry import DamagedEntryError

MAGIC = b"cachingclient-index "
FORMAT = 1
RECORD = struct.Struct("<16sBI")


class Flag(IntEnum):
    """The effect of a record on earlier records of its key."""

    FIRST = 0  # files the entry, unless one is there
    REPLACE = 1
    REMOVE = 2


@dataclass(frozen=True, slots=True)
class Record:
    """One key of an index, with its description as bytes."""

    key: str
    flag: Flag
    description: bytes


def write_index(records: Iterable[Record]) -> bytes:
    """Return an index as bytes.

    Examples
    --------
    >>> data = write_index([Record("0f" * 16, Flag.FIRST, b"description")])
    >>> [record.key for record in read_index(data)]
    ['0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f']
    """
    records = list(records)
    table = b"".join(RECORD.pack(bytes.fromhex(r.key), r.flag, len(r.description)) for r in records)
    body = table + b"".join(r.description for r in records)
    number = b"%d" % len(records)
    digest = xxhash.xxh3_128_hexdigest(body + number).encode()
    return b"%b%d %b %b\n%b" % (MAGIC, FORMAT, digest, number, body)


def read_index(data: bytes) -> Iterator[Record]:
    """Read an index; nothing if it is of a newer format.

    Raises
    ------
    DamagedEntryError
        The bytes are not those that were written.
    """
    line, _, body = data.partition(b"\n")
    words = line[len(MAGIC) :].split(b" ")
    if not line.startswith(MAGIC) or not words[0].isdigit() or len(words[0]) > 9:
        raise DamagedEntryError("it is not an index")
    if int(words[0]) > FORMAT:
        return
    if int(words[0]) != FORMAT or len(words) != 3 or xxhash.xxh3_128_hexdigest(body + words[2]).encode() != words[1]:
        raise DamagedEntryError("its bytes are not those that were written")
    try:
        yield from _records(body, int(words[2]))
    except (ValueError, struct.error) as error:  # whole, but not by us
        raise DamagedEntryError(f"its records are none: {error}") from None


def _records(body: bytes, number: int) -> Iterator[Record]:
    start = number * RECORD.size
    if not 0 <= start <= len(body):
        raise ValueError("it has fewer records than it says")
    for key, flag, length in RECORD.iter_unpack(body[:start]):
        if start + length > len(body):
            raise ValueError("a description is cut short")
        yield Record(key.hex(), Flag(flag), body[start : start + length])
        start += length


def padding(position: int) -> bytes:
    """The zero bytes from a position to the next boundary."""
    return bytes(-position % ALIGNMENT)
