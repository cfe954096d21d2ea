"""Small descriptions that are written together: in packs, as `cachingclient.storage.packs` has them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import xxhash

from cachingclient.storage.entry import describe, pack
from cachingclient.storage.model import Entry, EntryInfo, under
from cachingclient.storage.packs import LARGEST, MOST_BYTES, MOST_MEMBERS


class Small(NamedTuple):
    """A description that is ready to be written under some keys."""

    keys: tuple[str, ...]
    info: EntryInfo
    data: bytes


def small_entry(entry: Entry) -> Small | None:
    """Describe an entry with its result; None if it is too large, or a later step changed it since it was encoded.

    Examples
    --------
    >>> from cachingclient.storage.codecs import encode
    >>> small_entry(Entry(("0f" * 16,), "result", "answer", 1.5, {}, encode(42))).info.name
    'answer'
    """
    if entry.encoded.nbytes > LARGEST:
        return None
    payload = b"".join(entry.encoded.frames)
    if xxhash.xxh3_128_hexdigest(payload) != entry.encoded.digest:
        return None
    return _small(entry.keys, describe(entry, payload))


def small_alias(info: EntryInfo, key: str) -> Small | None:
    """Describe an entry under one more key; None if that is too large."""
    return _small((key,), under(key, info))


def in_packs(found: Iterable[Small | None]) -> Iterator[list[Small]]:
    """Yield so many at once as go into one pack; what has a key that one before it has is left out.

    Examples
    --------
    >>> info = EntryInfo("0f" * 16, "result", "f", "numpy", "ab" * 16, 8, 0.0, 1.0, {}, b"12345678")
    >>> some = [small_alias(info, key) for key in ("0e" * 16, "0d" * 16, "0e" * 16)]
    >>> [[each.keys[0][:2] for each in batch] for batch in in_packs(some)]
    [['0e', '0d']]
    """
    batch: list[Small] = []
    names = nbytes = 0
    taken: set[str] = set()
    for small in found:
        if small is None or not taken.isdisjoint(small.keys):
            continue
        taken.update(small.keys)
        names += len(small.keys)
        nbytes += len(small.data)
        if batch and (names > MOST_MEMBERS or nbytes > MOST_BYTES):
            yield batch
            batch, names, nbytes = [], len(small.keys), len(small.data)
        batch.append(small)
    if batch:
        yield batch


def _small(keys: tuple[str, ...], info: EntryInfo) -> Small | None:
    data = pack(info)
    return Small(keys, info, data) if len(data) <= LARGEST else None
