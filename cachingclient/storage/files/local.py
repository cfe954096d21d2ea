"""A folder on a local or mounted file system, through the operating system's own calls.

Notes
-----
Files are written under a temporary name and linked into place, so a name never shows a partial file and the first
writer wins (``atomic.py`` says where that is not so). Nothing is flushed to disk: after a power cut the newest files
may be empty or torn, which their digests show. On network file systems content is read instead of mapped: there, a
file that another host removes takes its mapped pages away, and touching them would kill the process.
"""

from __future__ import annotations

import itertools
import mmap
import os
import shlex
import socket
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from posixpath import dirname, split
from typing import TypeVar

import xxhash

from cachingclient.forks.patience import BYTE, NAME, got
from cachingclient.storage.files.atomic import PRIVATE, SHARED, Place, make_file, make_root, mode_of, move, place
from cachingclient.storage.files.bounded import Rest, bounded
from cachingclient.storage.files.descent import Descent, is_private, is_readable, may_be_there, open_file
from cachingclient.storage.files.folder import MOST_FETCHED, ChangedError, FileStat, Folder
from cachingclient.storage.files.layout import TEMPORARY
from cachingclient.storage.files.listing import Listing, listing, newest, shards, total, unchanged
from cachingclient.storage.files.mounts import is_local
from cachingclient.storage.limits import limits
from cachingclient.storage.model import Frame, StoreError

CHUNK = 4 << 20
MAP_FROM = 1 << 20  # smaller files are read: mapping costs more than copying them
FIRST_READ = 16 << 10  # most descriptions are smaller
TOUCH_EVERY = 3600.0
MOST_TOUCHED = 100_000  # names remembered, so that a worker that lives for weeks does not grow
T = TypeVar("T")
DEEPEST = 4  # folders in folders that are looked through; ours have one level
_numbers = itertools.count()


class LocalFolder(Folder):
    """Files below a folder that is made, with its parents, for its owner alone, or with ``shared`` for its group.

    A folder that exists stays as open as it is: new files get the permissions of the others in it. It is private if
    it is ours and nobody else may write to it, and while it is guarded it must stay so.

    Examples
    --------
    >>> import tempfile
    >>> folder = LocalFolder(tempfile.mkdtemp())
    >>> folder.put(["v1/a"], [memoryview(b"hello")])
    True
    >>> bytes(folder.open("v1/a")), folder.private
    (b'hello', True)
    """

    checks_are_cheap = True
    latency = 0.0002
    bandwidth = 2e9

    def __init__(self, path: str, *, memory_map: bool | None = None, shared: bool = False) -> None:
        self.root = os.path.abspath(os.path.expanduser(path))
        self.url = Path(self.root).as_uri()
        self.rest: Rest = Rest(self.url)
        self._touched: dict[str, float] = {}
        self._temporary = f"{socket.gethostname()}-{os.urandom(4).hex()}"
        if os.path.exists(self.root) and not os.path.isdir(self.root):
            raise ValueError(f"store {self.url!r} is a file; a store takes a folder")
        self._mode = mode_of(f"{self.root}/v1", SHARED if shared else PRIVATE)
        if shared and not self._mode & 0o020:
            advice = f"chmod -R g+rwXs {shlex.quote(self.root)}"
            warnings.warn(f"store {self.url} was made for its owner alone; to share it: {advice}", stacklevel=5)
        try:
            make_root(self.root, self._mode)
        except NotADirectoryError as error:
            raise ValueError(f"store {self.url!r} lies below a file; a store takes a folder") from error
        except OSError as error:
            self.read_only, reason = True, error.strerror or str(error)
        else:
            reason = self._look_in()
            self.read_only = bool(reason)
        if self.read_only and not is_readable(self.root):
            raise StoreError(f"{self.url} can't be read ({reason})")
        if self.read_only:
            warnings.warn(f"nothing will be kept: store {self.url} can't be written ({reason})", stacklevel=5)
        self.memory_map = is_local(self.root) if memory_map is None else memory_map

    def _look_in(self) -> str:
        """Find out whether the folder is private, and make what it takes to write; the reason if that can't be done."""
        try:
            with Descent(self.root) as way:
                may = os.access(".", os.W_OK | os.X_OK, dir_fd=way.to(TEMPORARY, make=self._mode))
                self.private = is_private(os.stat(self.root)) and is_private(os.fstat(way.to("v1")))
        except NotADirectoryError:
            return f"{TEMPORARY} is a link or no folder"
        except OSError as error:
            return error.strerror or str(error)
        return "" if may else "no write permission"

    def _way(self) -> Descent:
        return Descent(self.root, private=self.guarded and self.private)

    @bounded
    def fetch(self, names: Sequence[str]) -> dict[str, bytes]:
        found: dict[str, bytes] = {}
        if not (names := may_be_there(self.root, names)):
            return found
        left = sys.maxsize if self.private else limits().nbytes
        with suppress(OSError), self._way() as way:
            for folder, name in sorted(map(split, names)):
                got(NAME)
                try:
                    handle, size = open_file(name, way.to(folder), min(MOST_FETCHED, left))
                except FileNotFoundError:
                    continue
                except OSError:
                    found[f"{folder}/{name}"] = b""  # a link, a pipe, a block that can't be read: damaged
                    continue
                try:
                    data = os.read(handle, max(size, FIRST_READ))
                except OSError:
                    data = b""  # an unreadable disk block: damaged, as the digest will say
                finally:
                    os.close(handle)
                found[f"{folder}/{name}"] = data
                left -= len(data)
        return {name: found[name] for name in names if name in found}

    @bounded
    def open(self, name: str, nbytes: int | None = None) -> Frame:
        folder, name = split(name)
        with self._way() as way:
            handle, size = open_file(name, way.to(folder), sys.maxsize if nbytes is None else nbytes)
        try:
            if self.memory_map and size >= MAP_FROM:
                return memoryview(mmap.mmap(handle, size, access=mmap.ACCESS_COPY))
            memory = memoryview(bytearray(size))
            done = 0
            while done < size and (count := os.readv(handle, [memory[done : done + CHUNK]])):
                got(BYTE * count)
                done += count
            return memory[:done]
        finally:
            os.close(handle)

    @bounded
    def put(self, names: Sequence[str], frames: Iterable[Frame], *, digest: str = "", overwrite: bool = False) -> bool:
        frames = tuple(frames)
        try:
            return self._again(lambda: self._put(names, frames, digest, overwrite))
        except OSError as error:
            raise StoreError(f"{self.url} can't be written: {error.strerror or error}") from error

    def _put(self, names: Sequence[str], frames: tuple[Frame, ...], digest: str, overwrite: bool) -> bool:
        with self._way() as here, self._way() as there:
            file = Place(here.to(TEMPORARY, make=self._mode), f"{self._temporary}-{os.getpid()}-{next(_numbers)}")
            try:
                handle = make_file(file, self._mode)
                try:
                    written = _write(handle, frames)
                finally:
                    os.close(handle)
                if digest and written != digest:
                    raise ChangedError
                if overwrite and len(names) == 1:
                    move(file, self._place(there, names[0]))
                    return True
                ours, *_ = [place(file, self._place(there, name), overwrite=overwrite) for name in names]
                return ours
            finally:
                with suppress(OSError):
                    os.unlink(file.name, dir_fd=file.folder)

    def _again(self, action: Callable[[], T]) -> T:
        """Run an action that makes a file, once more if a folder was removed under it."""
        try:
            return action()
        except FileNotFoundError:
            make_root(self.root, self._mode)
            return action()

    def _place(self, way: Descent, name: str) -> Place:
        folder, name = split(name)
        return Place(way.to(folder, make=self._mode), name)

    @bounded
    def stat(self, names: Sequence[str]) -> dict[str, FileStat]:
        found = {}
        with suppress(OSError), self._way() as way:
            for folder, name in map(split, names):
                got(NAME)
                try:
                    status = os.stat(name, dir_fd=way.to(folder), follow_symlinks=False)
                except OSError:
                    continue
                found[f"{folder}/{name}"] = FileStat(f"{folder}/{name}", status.st_size, status.st_mtime)
        return found

    @bounded
    def inode(self, name: str) -> int:
        """The number of a file, which tells it from another that had its name. Raises OSError."""
        folder, name = split(name)
        with self._way() as way:
            return os.stat(name, dir_fd=way.to(folder), follow_symlinks=False).st_ino

    @bounded
    def remove(self, names: Sequence[str]) -> int:
        freed = 0
        with suppress(OSError), self._way() as way:
            for folder, members in itertools.groupby(sorted(names), key=dirname):
                try:
                    handle = way.to(folder)
                except OSError:
                    continue
                with unchanged(handle):
                    freed += sum(_remove(handle, split(name)[1]) for name in members)
        return freed

    def walk(self, prefix: str) -> Iterator[FileStat]:
        with suppress(OSError), self._way() as way:
            yield from _walk(way, prefix)

    def newest(self, prefix: str, limit: int) -> list[FileStat]:
        with self._way() as way:
            return newest(way, prefix, limit)

    def total(self, prefix: str) -> tuple[int, int]:
        with self._way() as way:
            return total(way, prefix)

    def listing(self, shard: str, times: bool) -> Listing:
        """The files of a shard that are named by keys, as columns."""
        with self._way() as way:
            return listing(way, shard, times)

    def shards(self, prefix: str) -> list[str]:
        """The folders in a folder."""
        with self._way() as way:
            return shards(way, prefix)

    @bounded
    def touch(self, names: Sequence[str]) -> bool:
        now = time.monotonic()
        if len(self._touched) > MOST_TOUCHED:
            self._touched.clear()
        due = [name for name in names if now - self._touched.get(name, -TOUCH_EVERY) >= TOUCH_EVERY]
        self._touched.update(dict.fromkeys(due, now))
        with suppress(OSError), self._way() as way:
            for shard, members in itertools.groupby(sorted(due), key=dirname):
                for name in (*(split(member)[1] for member in members), "."):  # the shard last, for ``listing.newest``
                    with suppress(OSError):
                        os.utime(name, dir_fd=way.to(shard), follow_symlinks=False)
        return True

    @bounded
    def move(self, name: str, new: str) -> None:
        folder, name = split(name)

        def go() -> None:
            with self._way() as here, self._way() as there:
                move(Place(here.to(folder), name), self._place(there, new))

        self._again(go)


def _write(handle: int, frames: Iterable[Frame]) -> str:
    """Write the frames piece by piece, digesting each piece just after it was written."""
    state = xxhash.xxh3_128()
    for frame in frames:
        start = 0
        while start < frame.nbytes:
            count = os.write(handle, frame[start : start + CHUNK])
            got(BYTE * count)
            state.update(frame[start : start + count])
            start += count
    return state.hexdigest()


def _remove(folder: int, name: str) -> int:
    """Remove a file, or a link and not where it leads; the bytes that this freed."""
    try:
        status = os.stat(name, dir_fd=folder, follow_symlinks=False)
        os.unlink(name, dir_fd=folder)
    except OSError:
        return 0
    return status.st_size if status.st_nlink == 1 else 0


def _walk(way: Descent, folder: str, deeper: int = DEEPEST) -> Iterator[FileStat]:
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
            yield from _walk(way, name, deeper - 1)
