"""Splitting packs that lost most of their names, so that the room which the lost ones took is free."""

from __future__ import annotations

from collections import defaultdict
from contextlib import suppress

from cachingclient.storage.files.layout import STEPS
from cachingclient.storage.files.local import LocalFolder
from cachingclient.storage.model import StoreError
from cachingclient.storage.packs import LARGEST, LONGEST_HEAD, read_table

LEFT = 0.5
"""A pack with a smaller part of its members is split."""


def split_sparse(folder: LocalFolder) -> int:
    """Give the members of packs that lost most of their names files of their own; how many packs were split.

    Examples
    --------
    >>> import tempfile
    >>> split_sparse(LocalFolder(tempfile.mkdtemp()))
    0
    """
    names = defaultdict(list)
    for status, number, links in folder.files(STEPS):
        if links > 1 or status.nbytes > LARGEST:
            names[number].append(status)
    count = 0
    for number, statuses in names.items():
        with suppress(OSError, StoreError):  # removed meanwhile, or a disk that is full: it stays as it is
            table = read_table(bytes(folder.open(statuses[0].name)[:LONGEST_HEAD]))
            if len(statuses) < LEFT * len(table):
                for status in statuses:
                    _split(folder, status.name, number, status.modified)
                count += 1
    return count


def _split(folder: LocalFolder, name: str, number: int, modified: float) -> None:
    data = folder.fetch([name]).get(name)
    if data and folder.inode(name) == number:  # else it was written anew
        folder.put([name], [memoryview(data)], overwrite=True)
        folder.set_time(name, modified)
