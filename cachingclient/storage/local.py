"""A folder on a local or mounted file system, through the operating system's own calls.

Notes
-----
Files are written under a temporary name and linked into place, so a name never shows a partial file and the first
writer wins (``placing.py`` says where that is not so). Nothing is flushed to disk: after a power cut the newest files
may be empty or torn, which their digests show. On network file systems content is read instead of mapped: there, a
file that another host removes takes its mapped pages away, and touching them would kill the process.
"""

from __future__ import annotations

import itertools
import mmap
import os
import shlex
import socket
import time
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import xxhash

from cachingclient.storage.base import Frame, StoreError
from cachingclient.storage.folder import ChangedError, FileStat, Folder
from cachingclient.storage.listing import newest, total, unchanged
from cachingclient.storage.placing import PRIVATE, SHARED, make_file, make_folder, mode_of, move, place

CHUNK = 4 << 20
MAP_FROM = 1 << 20  # smaller files are read: mapping costs more than copying them
FIRST_READ = 16 << 10  # most descriptions are smaller
TOUCH_EVERY = 3600.0
MOST_TOUCHED = 100_000  # names remembered, so that a worker that lives for weeks does not grow
LOCAL_FILE_SYSTEMS = {"ext2", "ext3", "ext4", "xfs", "btrfs", "zfs", "tmpfs", "overlay", "f2fs", "apfs", "hfs"}
_numbers = itertools.count()


class LocalFolder(Folder):
    """Files below a folder that is made, with its parents, for its owner alone, or with ``shared`` for its group.

    One that is there stays as open as it is: what is added to it is for those whom the rest is for.

    Examples
    --------
    >>> import tempfile
    >>> folder = LocalFolder(tempfile.mkdtemp())
    >>> folder.put(["v1/a"], [memoryview(b"hello")])
    True
    >>> bytes(folder.open("v1/a"))
    b'hello'
    """

    checks_are_cheap = True
    latency = 0.0002
    bandwidth = 2e9

    def __init__(self, path: str, *, memory_map: bool | None = None, shared: bool = False) -> None:
        self.root = os.path.abspath(os.path.expanduser(path))
        self.url = Path(self.root).as_uri()
        self._touched: dict[str, float] = {}
        self._temporary = f"v1/tmp/{socket.gethostname()}-{os.urandom(4).hex()}"
        if os.path.exists(self.root) and not os.path.isdir(self.root):
            raise ValueError(f"store {self.url!r} is a file; a store takes a folder")
        self._mode = mode_of(f"{self.root}/v1", SHARED if shared else PRIVATE)
        if shared and not self._mode & 0o020:
            advice = f"chmod -R g+rwXs {shlex.quote(self.root)}"
            warnings.warn(f"store {self.url} was made for its owner alone; to share it: {advice}", stacklevel=5)
        try:
            make_folder(f"{self.root}/v1/tmp", self._mode)
            self.read_only = not os.access(f"{self.root}/v1/tmp", os.W_OK | os.X_OK)
        except NotADirectoryError as error:
            raise ValueError(f"store {self.url!r} lies below a file; a store takes a folder") from error
        except OSError as error:
            self.read_only = True
            reason = error.strerror or str(error)
        else:
            reason = "no write permission"
        if self.read_only:
            warnings.warn(f"nothing will be kept: store {self.url} can't be written ({reason})", stacklevel=5)
        self.memory_map = _is_local(self.root) if memory_map is None else memory_map

    def fetch(self, names: Sequence[str]) -> dict[str, bytes]:
        found = {}
        prefix = self.root + "/"
        flags = os.O_RDONLY | os.O_CLOEXEC
        for name in names:
            try:
                handle = os.open(prefix + name, flags)
            except OSError:
                continue
            try:
                data = os.read(handle, FIRST_READ)
                if len(data) == FIRST_READ:
                    data += _rest(handle)
            except OSError:
                data = b""  # an unreadable disk block: damaged, as the digest will say
            finally:
                os.close(handle)
            found[name] = data
        return found

    def open(self, name: str, nbytes: int | None = None) -> Frame:
        handle = os.open(f"{self.root}/{name}", os.O_RDONLY | os.O_CLOEXEC)
        try:
            size = os.fstat(handle).st_size
            if self.memory_map and size >= MAP_FROM:
                return memoryview(mmap.mmap(handle, size, access=mmap.ACCESS_COPY))
            memory = memoryview(bytearray(size))
            got = 0
            while got < size and (count := os.readv(handle, [memory[got:]])):
                got += count
            return memory[:got]
        finally:
            os.close(handle)

    def put(self, names: Sequence[str], frames: Iterable[Frame], *, digest: str = "", overwrite: bool = False) -> bool:
        temporary = f"{self.root}/{self._temporary}-{os.getpid()}-{next(_numbers)}"
        try:
            handle = make_file(temporary, self._mode)
            try:
                written = _write(handle, frames)
            finally:
                os.close(handle)
            if digest and written != digest:
                raise ChangedError
            targets = [f"{self.root}/{name}" for name in names]
            if overwrite and len(targets) == 1:
                move(temporary, targets[0], mode=self._mode)
                return True
            ours = [place(temporary, target, overwrite=overwrite, mode=self._mode) for target in targets]
            return ours[0]
        except OSError as error:
            raise StoreError(f"{self.url} can't be written: {error.strerror or error}") from error
        finally:
            _unlink(temporary)

    def stat(self, names: Sequence[str]) -> dict[str, FileStat]:
        found = {}
        for name in names:
            try:
                status = os.stat(f"{self.root}/{name}")
            except OSError:
                continue
            found[name] = FileStat(name, status.st_size, status.st_mtime)
        return found

    def remove(self, names: Sequence[str]) -> int:
        freed = 0
        for folder, members in itertools.groupby(sorted(names), key=os.path.dirname):
            with unchanged(f"{self.root}/{folder}"):
                freed += sum(_remove(f"{self.root}/{name}") for name in members)
        return freed

    def walk(self, prefix: str) -> Iterator[FileStat]:
        try:
            entries = os.scandir(f"{self.root}/{prefix}")
        except OSError:
            return
        with entries:
            for entry in entries:
                name = f"{prefix}/{entry.name}"
                try:
                    if entry.is_dir(follow_symlinks=False):
                        yield from self.walk(name)
                        continue
                    status = entry.stat()
                except OSError:
                    continue
                yield FileStat(name, status.st_size, status.st_mtime)

    def newest(self, prefix: str, limit: int) -> list[FileStat]:
        return newest(self.root, prefix, limit)

    def total(self, prefix: str) -> tuple[int, int]:
        return total(self.root, prefix)

    def touch(self, names: Sequence[str]) -> bool:
        now = time.monotonic()
        if len(self._touched) > MOST_TOUCHED:
            self._touched.clear()
        due = [name for name in names if now - self._touched.get(name, -TOUCH_EVERY) >= TOUCH_EVERY]
        self._touched.update(dict.fromkeys(due, now))
        for shard, members in itertools.groupby(sorted(due), key=os.path.dirname):
            for name in (*members, shard):  # the shard last: ``listing.newest`` counts on it
                with suppress(OSError):
                    os.utime(f"{self.root}/{name}")
        return True

    def move(self, name: str, new: str) -> None:
        move(f"{self.root}/{name}", f"{self.root}/{new}", mode=self._mode)


def _write(handle: int, frames: Iterable[Frame]) -> str:
    """Write the frames and digest, piece by piece, what was just written."""
    state = xxhash.xxh3_128()
    for frame in frames:
        start = 0
        while start < frame.nbytes:
            count = os.write(handle, frame[start : start + CHUNK])
            state.update(frame[start : start + count])
            start += count
    return state.hexdigest()


def _remove(path: str) -> int:
    """Remove a file; the bytes that this freed."""
    try:
        status = os.stat(path)
        os.unlink(path)
    except OSError:
        return 0
    return status.st_size if status.st_nlink == 1 else 0


def _rest(handle: int) -> bytes:
    parts = []
    while part := os.read(handle, 1 << 20):
        parts.append(part)
    return b"".join(parts)


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except OSError:
        return


def _is_local(path: str) -> bool:
    """Whether the path is on a file system of this host; unknown ones count as remote."""
    try:
        mounts = [line.split() for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    except OSError:
        return True  # not Linux
    real = os.path.realpath(path)
    above = [m for m in mounts if real == m[4] or real.startswith(m[4].rstrip("/") + "/")]
    if not above:
        return False
    mount = max(above, key=lambda m: len(m[4]))
    return mount[mount.index("-") + 1] in LOCAL_FILE_SYSTEMS
