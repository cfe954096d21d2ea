"""Indices of packs that others wrote: whole by their digest, and of records that are none."""

from __future__ import annotations

import struct

import pytest
import xxhash

from cachingclient.storage.entry import DamagedEntryError
from cachingclient.storage.rucio.pack_format import FORMAT, MAGIC, RECORD, read_index

RECORDS = {
    "more than there are": (b"5", b""),
    "very many": (b"9" * 30, b""),
    "of 5,000 digits": (b"9" * 5000, b""),
    "negative": (b"-1", b""),
    "half a record": (b"1", bytes(7)),
    "of an unknown flag": (b"1", RECORD.pack(bytes(16), 77, 0)),
    "of a description that is cut": (b"1", RECORD.pack(bytes(16), 0, 1 << 30)),
    "of no number": (b"x", b""),
}


@pytest.mark.parametrize("what", RECORDS)
def test_records_that_are_none(what: str) -> None:
    """Nothing but our own error comes of them."""
    number, body = RECORDS[what]
    digest = xxhash.xxh3_128_hexdigest(body + number).encode()
    with pytest.raises(DamagedEntryError):
        list(read_index(b"%b%d %b %b\n%b" % (MAGIC, FORMAT, digest, number, body)))


@pytest.mark.parametrize("data", [b"", MAGIC, MAGIC + b"9" * 5000 + b" x 1\n", struct.pack("<Q", 0)])
def test_what_is_no_index(data: bytes) -> None:
    """Also of a format that has five thousand digits."""
    with pytest.raises(DamagedEntryError):
        list(read_index(data))
