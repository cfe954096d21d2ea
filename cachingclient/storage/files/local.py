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
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from posixpath import basename, dirname, split
from typing import TypeVar

from cachingclient.forks.patience import BYTE, NAME, got
from cachingclient.storage.files.atomic import (
    PRIVATE,
    SHARED,
    Place,
    exchange,
    link_each,
    make_file,
    make_root,
    mode_of,
    move,
    place,
    remove,
    write_frames,
)
from cachingclient.storage.files.bounded import Rest, bounded
from cachingclient.storage.files.descent import Descent, is_private, is_readable, may_be_there, open_file
from cachingclient.storage.files.folder import MOST_FETCHED, ChangedError, FileStat, Folder, Unread
from cachingclient.storage.files.layout import TEMPORARY
from cachingclient.storage.files.listing import Listing, files, listing, newest, shards, total, unchanged, walk
from cachingclient.storage.files.members import Members
from cachingclient.storage.files.mounts import is_local
from cachingclient.storage.files.ways import Ways
from cachingclient.storage.limits import limits
from cachingclient.storage.model import Frame, StoreError
from cachingclient.storage.packs import write_pack
from cachingclient.warn_once import warn_user

CHUNK = 4 << 20
MAP_FROM = 1 << 20  # smaller files are read: mapping costs more than copying them
TOUCH_EVERY = 3600.0
MOST_TOUCHED = 100_000  # names remembered, so that a worker that lives for weeks does not grow
T = TypeVar("T")
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

    packs = True
    checks_are_cheap = True
    latency = 0.0002
    bandwidth = 2e9

    def __init__(self, path: str, *, memory_map: bool | None = None, shared: bool = False) -> None:
        self.root = os.path.abspath(os.path.expanduser(path))
        self.url = Path(self.root).as_uri()
        self.rest: Rest = Rest(self.url)
        self._ways = Ways(self.root, lambda: self.guarded and self.private)
        self._touched: dict[str, float] = {}
        self._temporary = f"{socket.gethostname()}-{os.urandom(4).hex()}"
        if os.path.exists(self.root) and not os.path.isdir(self.root):
            raise ValueError(f"store {self.url!r} is a file; a store takes a folder")
        self._mode = mode_of(f"{self.root}/v1", SHARED if shared else PRIVATE)
        if shared and not self._mode & 0o020:
            advice = f"chmod -R g+rwXs {shlex.quote(self.root)}"
            warn_user(f"store {self.url} was made for its owner alone; to share it: {advice}")
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
            warn_user(f"nothing will be kept: store {self.url} can't be written ({reason})")
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

    def together(self, action: Callable[[], T]) -> T:
        return super().together(partial(self._ways.together, action))

    @bounded
    def fetch(self, names: Sequence[str]) -> dict[str, bytes]:
        found: dict[str, bytes] = {}
        members = Members()
        if not (names := may_be_there(self.root, names)):
            return found
        left = sys.maxsize if self.private else limits().nbytes
        with suppress(OSError), self._ways.take() as way:
            for folder, name in sorted(map(split, names)):
                got(NAME)
                try:
                    handle, status = open_file(name, way.to(folder), min(MOST_FETCHED, left))
                except FileNotFoundError:
                    continue
                except PermissionError as error:
                    found[f"{folder}/{name}"] = Unread.because(error)
                    continue
                except OSError:
                    found[f"{folder}/{name}"] = b""  # a link, a pipe, a block that can't be read: damaged
                    continue
                try:
                    data = members.read(handle, status, name)
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
        with self._ways.take() as way:
            handle, status = open_file(name, way.to(folder), sys.maxsize if nbytes is None else nbytes)
        size = status.st_size
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
            action = partial(self._make, frames, digest, partial(self._name, names, overwrite))
            return self._ways.again(action, self._mode)
        except OSError as error:
            raise StoreError(f"{self.url} can't be written: {error.strerror or error}") from error

    @bounded
    def put_together(self, files: Sequence[tuple[Sequence[str], bytes]]) -> dict[str, int]:
        members = {name: data for names, data in files for name in names}
        pack = memoryview(write_pack((basename(name), data) for name, data in members.items()))
        try:
            action = partial(self._make, (pack,), "", partial(self._link, sorted(members)))
            return self._ways.again(action, self._mode)
        except OSError as error:
            raise StoreError(f"{self.url} can't be written: {error.strerror or error}") from error

    def _make(self, frames: tuple[Frame, ...], digest: str, name: Callable[[Place, Descent], T]) -> T:
        """Write a file, and have it named before its temporary name goes."""
        with self._ways.take() as way:
            file = Place(way.to(TEMPORARY, make=self._mode), f"{self._temporary}-{os.getpid()}-{next(_numbers)}")
            try:
                handle = make_file(file, self._mode)
                try:
                    written = write_frames(handle, frames)
                finally:
                    os.close(handle)
                if digest and written != digest:
                    raise ChangedError
                return name(file, way)
            finally:
                with suppress(OSError):
                    os.unlink(file.name, dir_fd=file.folder)

    def _name(self, names: Sequence[str], overwrite: bool, file: Place, way: Descent) -> bool:
        if overwrite and len(names) == 1:
            move(file, self._place(way, names[0]))
            return True
        ours, *_ = [place(file, self._place(way, name), overwrite=overwrite) for name in names]
        return ours

    def _link(self, names: Sequence[str], file: Place, way: Descent) -> dict[str, int]:
        """Link a pack to those names that are free; none from where on the file system has no links."""
        inode = os.stat(file.name, dir_fd=file.folder).st_ino
        linked = list(link_each(file, (self._place(way, name) for name in names)))
        self.packs = len(linked) == len(names)
        return {name: inode for name, ours in zip(names, linked, strict=False) if ours}

    def _place(self, way: Descent, name: str) -> Place:
        folder, name = split(name)
        return Place(way.to(folder, make=self._mode), name)

    @bounded
    def stat(self, names: Sequence[str]) -> dict[str, FileStat]:
        found = {}
        with suppress(OSError), self._ways.take() as way:
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
        with self._ways.take() as way:
            return os.stat(name, dir_fd=way.to(folder), follow_symlinks=False).st_ino

    @bounded
    def rewrite(self, name: str, number: int, data: bytes) -> bool:
        """Give a name a file of its own with the time of the one with this number; False where another is. OSError."""
        place = partial(self._place, name=name)
        return self._make((memoryview(data),), "", lambda file, way: exchange(file, place(way), number))

    @bounded
    def remove(self, names: Sequence[str]) -> int:
        freed = 0
        with suppress(OSError), self._ways.take() as way:
            for folder, members in itertools.groupby(sorted(names), key=dirname):
                try:
                    handle = way.to(folder)
                except OSError:
                    continue
                with unchanged(handle):
                    freed += sum(remove(Place(handle, split(name)[1])) for name in members)
        return freed

    def walk(self, prefix: str) -> Iterator[FileStat]:
        with suppress(OSError), self._ways.take() as way:
            yield from walk(way, prefix)

    def files(self, prefix: str) -> Iterator[tuple[FileStat, int, int]]:
        """The files in the shards of a folder, each with its number and how many names it has."""
        with self._ways.take() as way:
            yield from files(way, prefix)

    def newest(self, prefix: str, limit: int) -> list[FileStat]:
        with self._ways.take() as way:
            return newest(way, prefix, limit)

    def total(self, prefix: str) -> tuple[int, int]:
        with self._ways.take() as way:
            return total(way, prefix)

    def listing(self, shard: str, times: bool) -> Listing:
        """The files of a shard that are named by keys, as columns."""
        with self._ways.take() as way:
            return listing(way, shard, times)

    def shards(self, prefix: str) -> list[str]:
        """The folders in a folder."""
        with self._ways.take() as way:
            return shards(way, prefix)

    @bounded
    def touch(self, names: Sequence[str]) -> bool:
        now = time.monotonic()
        if len(self._touched) > MOST_TOUCHED:
            self._touched.clear()
        due = [name for name in names if now - self._touched.get(name, -TOUCH_EVERY) >= TOUCH_EVERY]
        self._touched.update(dict.fromkeys(due, now))
        with suppress(OSError), self._ways.take() as way:
            for shard, members in itertools.groupby(sorted(due), key=dirname):
                for name in (*(split(member)[1] for member in members), "."):  # the shard last, for ``listing.newest``
                    with suppress(OSError):
                        os.utime(name, dir_fd=way.to(shard), follow_symlinks=False)
        return True

    @bounded
    def move(self, name: str, new: str) -> None:
        folder, name = split(name)

        def go() -> None:
            with self._ways.take() as way:
                move(Place(way.to(folder), name), self._place(way, new))

        self._ways.again(go, self._mode)
