"""Removing blobs that no description refers to, while others write; a store may have millions.

Whoever removes a blob takes it out of sight first and then looks again for descriptions that name it; a writer looks
for its blob once more after it has filed the description. So of a writer and a remover that meet, one sees the other.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt

from cachingclient.storage.columns import Outline, hexes, texts
from cachingclient.storage.files.folder import Folder
from cachingclient.storage.files.layout import TEMPORARY, blob_digest, blob_name
from cachingclient.storage.model import EntryInfo, StoreError

BATCH = 1000
SEVERAL = 10_000

Digests = npt.NDArray[Any]  # digests as S16


def distinct(digests: bytes | bytearray) -> Digests:
    """Each of these digests once, in order."""
    return np.unique(np.frombuffer(digests, "S16"))


def free_of(digests: Digests, used: Iterable[Digests]) -> npt.NDArray[np.bool_]:
    """Which of these distinct digests are in none of the others."""
    free = np.ones(len(digests), bool)
    for batch in used if len(digests) else ():
        places = np.searchsorted(digests, batch)
        places[places == len(digests)] = 0
        free[places[digests[places] == batch]] = False
    return free


def named_by_outlines(outlines: Iterable[Outline]) -> Iterator[Digests]:
    """The digests of the blobs that entries refer to."""
    for rows, _ in outlines:
        yield texts(rows["digest"][~rows["inline"]])


def named_by(infos: Iterable[EntryInfo]) -> Iterator[Digests]:
    """The digests of the blobs that descriptions refer to."""
    digests = (info.digest for info in infos if info.payload is None)
    while batch := "".join(islice(digests, SEVERAL)):
        yield np.frombuffer(bytes.fromhex(batch), "S16")


def remove_blobs(folder: Folder, digests: Digests, infos: Iterable[EntryInfo]) -> int:
    """Remove blobs, but for those that descriptions refer to, which are looked at meanwhile; the bytes freed."""
    mark = os.urandom(4).hex()
    hidden = distinct(b"".join(_hide(folder, names, mark) for names in _batches(digests)))
    free = free_of(hidden, named_by(infos) if len(hidden) else ())
    for digest in hexes(hidden[~free]):  # a writer counted on it meanwhile
        with suppress(OSError, StoreError):  # gone for good: its entry is run again
            folder.move(_hidden(digest, mark), blob_name(digest))
    return sum(folder.remove([_hidden(digest, mark) for digest in batch]) for batch in _batches(hidden[free]))


def _hide(folder: Folder, digests: list[str], mark: str) -> bytes:
    """Take blobs out of sight; those that were there."""
    moved = folder.move_all({blob_name(digest): _hidden(digest, mark) for digest in digests})
    return bytes.fromhex("".join(map(blob_digest, moved)))


def _hidden(digest: str, mark: str) -> str:
    return f"{TEMPORARY}/removed-{digest}-{mark}"


def _batches(digests: Digests) -> Iterator[list[str]]:
    for start in range(0, len(digests), BATCH):
        yield hexes(digests[start : start + BATCH])
