"""Looking through the folders of a local store without an object a file: there may be millions.

Nothing in a shard was used after the shard's own folder was changed: whoever adds a file changes the folder, and
``LocalFolder.touch`` sees to it. Whoever removes files leaves the folder's time as it was (``unchanged``), else every
shard would have to be looked through after a pruning.
"""

from __future__ import annotations

import heapq
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from cachingclient.storage.files.descent import Descent
from cachingclient.storage.files.folder import FileStat
from cachingclient.storage.names import is_name

DEEPEST = 4  # folders in folders that are looked through; ours have one level


class Listing(NamedTuple):
    """The files in a folder that are named by keys, as columns."""

    keys: npt.NDArray[Any]  # V16
    inodes: npt.NDArray[Any]
    used: npt.NDArray[Any]  # unix times; zeros where they were not asked for


def listing(way: Descent, folder: str, times: bool) -> Listing:
    """List a folder; a file's time costs five times as much as its name."""
    names: list[str] = []
    inodes: list[int] = []
    used: list[float] = []
    with way.listed(folder) as entries:
        for entry in entries:
            if is_name(entry.name):
                try:
                    if times:
                        used.append(entry.stat(follow_symlinks=False).st_mtime)
                except OSError:
                    continue  # removed while we looked
                names.append(entry.name)
                inodes.append(entry.inode())
    keys = np.frombuffer(bytes.fromhex("".join(names)), "V16")
    return Listing(keys, np.array(inodes, "u8"), np.array(used) if times else np.zeros(len(names)))


def newest(way: Descent, prefix: str, limit: int) -> list[FileStat]:
    """The files in the shards of a folder with the latest times, the latest first."""
    latest: list[tuple[float, int, str]] = []
    for changed, shard in sorted(_changes(way, prefix), reverse=True):
        if len(latest) == limit and latest[0][0] >= changed:
            break  # nothing in this or the next ones is later
        for name, status in _statuses(way, shard):
            if len(latest) < limit or status.st_mtime > latest[0][0]:
                heapq.heappush(latest, (status.st_mtime, status.st_size, f"{shard}/{name}"))
                if len(latest) > limit:
                    heapq.heappop(latest)
    return [FileStat(name, nbytes, modified) for modified, nbytes, name in sorted(latest, reverse=True)]


def files(way: Descent, prefix: str) -> Iterator[tuple[FileStat, int, int]]:
    """The files in the shards of a folder, each with its number and how many names it has."""
    for folder in shards(way, prefix):
        for name, status in _statuses(way, folder):
            if stat.S_ISREG(status.st_mode):
                yield FileStat(f"{folder}/{name}", status.st_size, status.st_mtime), status.st_ino, status.st_nlink


def total(way: Descent, prefix: str) -> tuple[int, int]:
    """How many files there are in a folder and its shards, and their bytes."""
    count = nbytes = 0
    seen = set()  # a file with several names takes its room once
    for folder in [*shards(way, prefix), prefix]:
        for _, status in _statuses(way, folder):
            if not stat.S_ISDIR(status.st_mode):
                count += 1
                if status.st_nlink == 1 or status.st_ino not in seen:
                    nbytes += status.st_size
                    seen.add(status.st_ino)
    return count, nbytes


def shards(way: Descent, prefix: str) -> list[str]:
    """The folders in a folder."""
    with way.listed(prefix) as entries:
        return sorted(f"{prefix}/{entry.name}" for entry in entries if entry.is_dir(follow_symlinks=False))


@contextmanager
def unchanged(folder: int) -> Iterator[None]:
    """Have a folder, by its handle, keep its time while files are removed from it.

    A file that another process adds in these microseconds is at worst listed too late.
    """
    status = os.fstat(folder)
    yield
    with suppress(OSError):  # a colleague's folder
        os.utime(".", ns=(status.st_atime_ns, status.st_mtime_ns), dir_fd=folder)


def _changes(way: Descent, prefix: str) -> Iterator[tuple[float, str]]:
    for shard in shards(way, prefix):
        try:
            yield os.fstat(way.to(shard)).st_mtime, shard
        except OSError:
            continue


def _statuses(way: Descent, folder: str) -> Iterator[tuple[str, os.stat_result]]:
    with way.listed(folder) as entries:
        for entry in entries:
            try:
                status = entry.stat(follow_symlinks=False)
            except OSError:
                continue  # removed while we looked
            yield entry.name, status


def walk(way: Descent, folder: str, deeper: int = DEEPEST) -> Iterator[FileStat]:
    """The files in a folder and in those below it."""
    folders = []
    with way.listed(folder) as entries:
        for entry in entries:
            name = f"{folder}/{entry.name}"
            try:
                if entry.is_dir(follow_symlinks=False):
                    folders.append(name)
                    continue
                status = entry.stat(follow_symlinks=False)
            except OSError:
                continue
            yield FileStat(name, status.st_size, status.st_mtime)
    if deeper:
        for name in folders:
            yield from walk(way, name, deeper - 1)
