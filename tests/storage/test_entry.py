"""Descriptions and indices guard every one of their bits."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cachingclient.storage.entry import FORMAT, MAGIC, DamagedEntryError, _digest, describe, pack, unpack
from cachingclient.storage.rucio.pack_format import Flag, Record, read_index, write_index
from tests.support.entries import entry, new_key


def flips(data: bytes) -> Iterator[bytes]:
    """The data with each bit flipped in turn."""
    for bit in range(len(data) * 8):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << (bit % 8)
        yield bytes(flipped)


@pytest.fixture
def description() -> tuple[str, bytes]:
    kept = entry([1, 2, "abc"], user="ada")
    return kept.keys[0], pack(describe(kept, b"".join(kept.encoded.frames)))


def test_every_flipped_bit_of_a_description_is_seen(description: tuple[str, bytes]) -> None:
    """It is damaged, or taken for a newer format's: never believed."""
    key, data = description
    assert unpack(key, data) is not None
    for flipped in flips(data):
        try:
            assert unpack(key, flipped) is None
        except DamagedEntryError:
            continue


@pytest.mark.parametrize("body", [b"{}", b"[]", b'{"keys": 1, "kind": "result"}'], ids=str)
def test_a_whole_file_that_is_no_description_of_ours(body: bytes) -> None:
    """Its digest is right and its fields are not: it is damaged, and fails no look-up."""
    data = b"%b%d %b %d\n%b" % (MAGIC, FORMAT, _digest(len(body), body), len(body), body)
    with pytest.raises(DamagedEntryError):
        unpack(new_key(), data)


def test_every_cut_of_a_description_is_seen(description: tuple[str, bytes]) -> None:
    """However much is missing."""
    key, data = description
    for length in range(len(data)):
        with pytest.raises(DamagedEntryError):
            unpack(key, data[:length])


def test_every_flipped_bit_of_an_index_is_seen(description: tuple[str, bytes]) -> None:
    """Nothing is read from it."""
    key, data = description
    index = write_index([Record(key, Flag.FIRST, data), Record(new_key(), Flag.REMOVE, b"")])
    assert next(read_index(index)).key == key
    for flipped in flips(index):
        try:
            assert list(read_index(flipped)) == []
        except DamagedEntryError:
            continue
