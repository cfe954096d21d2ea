"""Splitting packs that lost most of their names, so that the room which the lost ones took is free."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from contextlib import suppress

from cachingclient.storage.files.layout import STEPS
from cachingclient.storage.files.local import LocalFolder
from cachingclient.storage.model import StoreError
from cachingclient.storage.packs import LARGEST

LEFT = 0.5
"""A pack is split if its members take less than this part of its room in files of their own."""
BLOCK = 4096  # bytes in which disks give room


def split_sparse(folder: LocalFolder) -> int:
    """Give the members of packs that lost most of their names files of their own; how many packs were split.

    Examples
    --------
    >>> import tempfile
    >>> split_sparse(LocalFolder(tempfile.mkdtemp()))
    0
    """
    counts: Counter[int] = Counter()
    sizes: dict[int, int] = {}
    for status, number, links in folder.files(STEPS):
        if links > 1 or status.nbytes > LARGEST:
            counts[number] += 1
            sizes[number] = status.nbytes
    most = {number: LEFT * nbytes for number, nbytes in sizes.items() if counts[number] * BLOCK < LEFT * nbytes}
    names = defaultdict(list)
    for status, number, _ in folder.files(STEPS) if most else ():
        if number in most:
            names[number].append(status.name)
    return sum(_split(folder, number, names[number], most[number]) for number in names)


def _split(folder: LocalFolder, number: int, names: Sequence[str], most: float) -> bool:
    """Split a pack, if its members take less room than that; whether it was."""
    done = False
    with suppress(OSError, StoreError):  # removed meanwhile, or a disk that is full: it stays as it is
        if sum(-(-len(_member(folder, name)) // BLOCK) * BLOCK for name in names) < most:
            for name in names:
                if data := _member(folder, name):
                    done |= folder.rewrite(name, number, data)
    return done


def _member(folder: LocalFolder, name: str) -> bytes:
    return folder.fetch([name]).get(name, b"")
