"""A folder on an XRootD server, through XRootD's own Python client (fsspec-xrootd can't write files whole).

Notes
-----
Everything is written under a temporary name and renamed: a server makes those who open a file that is being written
wait, longer than a look-up may take if its writer has died. So a name that is taken is looked for, not asked for: two
processes that race for one may both be told that they won, and the later one's file stays, whole. Should the writer
die, the server drops what was not closed.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import XRootD.client as client
import xxhash
from XRootD.client.flags import DirListFlags, MkDirFlags, OpenFlags, StatInfoFlags

from cachingclient.forks.children import free_in_children
from cachingclient.storage.files.folder import ChangedError, FileStat, Folder
from cachingclient.storage.model import Frame, StoreError, StoreUnavailable

NOT_FOUND, EXISTS = 3011, 3018
SOCKET_FAILURES = range(100, 300)  # the client's own codes: it did not get through
CONCURRENT = 16
CHUNK = 8 << 20
PATIENCE = 20  # seconds for a request


# The client's own patience is ten minutes, and half an hour passes before it tries a server again that was away.
for _setting, _value in (("ConnectionWindow", 5), ("ConnectionRetry", 1), ("StreamErrorWindow", 1)):
    if f"XRD_{_setting.upper()}" not in os.environ:
        client.EnvPutInt(_setting, _value)


class XRootDFolder(Folder):
    """Files below ``root://host//path``."""

    latency = 0.01
    bandwidth = 2e8
    rest_after_failure = 30.0

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        parts = urlsplit(url)
        self._server = f"root://{parts.netloc}"
        self._root = "/" + parts.path.strip("/")
        self._files = client.FileSystem(self._server)
        self._pool = ThreadPoolExecutor(CONCURRENT, "cachingclient-xrootd")
        self._put_lock = free_in_children(threading.Lock())
        self._away_until = 0.0
        self._away = ""
        self._ask(self._files.stat, self._root, PATIENCE, allowed=(NOT_FOUND,))

    def fetch(self, names: Sequence[str]) -> dict[str, bytes]:
        contents = self._pool.map(self._fetch_one, names)
        return {name: data for name, data in zip(names, contents, strict=True) if data}

    def _fetch_one(self, name: str) -> bytes | None:
        file = client.File()
        if self._ask(file.open, self._url(name), OpenFlags.READ, 0, PATIENCE, allowed=(NOT_FOUND,)) is None:
            return None
        try:
            return bytes(self._ask(file.read, 0, 0, PATIENCE))
        finally:
            file.close()

    def open(self, name: str, nbytes: int | None = None) -> Frame:
        file = client.File()
        if self._ask(file.open, self._url(name), OpenFlags.READ, 0, PATIENCE, allowed=(NOT_FOUND,)) is None:
            raise FileNotFoundError(name)
        try:
            size = self._ask(file.stat, False, PATIENCE).size
            if nbytes is not None and size != nbytes:
                raise OSError(f"it has {size:,} bytes instead of {nbytes:,}")
            memory = memoryview(bytearray(size))

            def read(start: int) -> int:
                data = self._ask(file.read, start, CHUNK, PATIENCE)
                memory[start : start + len(data)] = data
                return len(data)

            return memory[: sum(self._pool.map(read, range(0, size, CHUNK)))]
        finally:
            file.close()

    def put(self, names: Sequence[str], frames: Iterable[Frame], *, digest: str = "", overwrite: bool = False) -> bool:
        if overwrite or digest:
            for name in names:
                self._replace(name, frames, digest)
            return True
        data = memoryview(b"".join(frames))
        with self._put_lock:
            ours = [self._create(name, data) for name in names]
        return ours[0]

    def _create(self, name: str, data: Frame) -> bool:
        if self.stat([name]):
            return False
        self._replace(name, [data], "")
        return True

    def _replace(self, name: str, frames: Iterable[Frame], digest: str) -> None:
        temporary = f"v1/tmp/{os.urandom(8).hex()}"
        written = self._write(temporary, frames)
        if digest and written != digest:
            self.remove([temporary])
            raise ChangedError
        self.move(temporary, name)

    def _write(self, name: str, frames: Iterable[Frame]) -> str:
        """Write a new file and return the digest of the bytes that were written."""
        file = client.File()
        flags = OpenFlags.NEW | OpenFlags.POSC | OpenFlags.MAKEPATH
        self._ask(file.open, self._url(name), flags, 0, PATIENCE)
        state = xxhash.xxh3_128()
        position = 0
        try:
            for frame in frames:
                for start in range(0, frame.nbytes, CHUNK):
                    data = bytes(frame[start : start + CHUNK])
                    self._ask(file.write, data, position, len(data), PATIENCE)
                    state.update(data)
                    position += len(data)
        finally:
            self._ask(file.close, PATIENCE)
        return state.hexdigest()

    def stat(self, names: Sequence[str]) -> dict[str, FileStat]:
        def one(name: str) -> FileStat | None:
            info = self._ask(self._files.stat, self._path(name), PATIENCE, allowed=(NOT_FOUND,))
            return info and FileStat(name, info.size, float(info.modtime))

        # At the interpreter's exit the pool takes no more work, and the last uses are written then.
        statuses = self._pool.map(one, names) if len(names) > 1 else map(one, names)
        return {status.name: status for status in statuses if status}

    def remove(self, names: Sequence[str]) -> int:
        freed = 0
        for name, status in self.stat(names).items():
            if self._ask(self._files.rm, self._path(name), PATIENCE, allowed=(NOT_FOUND,)) is not None:
                freed += status.nbytes
        return freed

    def walk(self, prefix: str) -> Iterator[FileStat]:
        listing = self._ask(self._files.dirlist, self._path(prefix), DirListFlags.STAT, PATIENCE, allowed=(NOT_FOUND,))
        for item in listing or ():
            name = f"{prefix}/{item.name}"
            if item.statinfo.flags & StatInfoFlags.IS_DIR:
                yield from self.walk(name)
            else:
                yield FileStat(name, item.statinfo.size, float(item.statinfo.modtime))

    def move(self, name: str, new: str) -> None:
        source, target = self._path(name), self._path(new)
        if self._ask(self._files.mv, source, target, PATIENCE, allowed=(NOT_FOUND,)) is None:
            self._ask(self._files.mkdir, target.rpartition("/")[0], MkDirFlags.MAKEPATH, 0, PATIENCE, allowed=(EXISTS,))
            if self._ask(self._files.mv, source, target, PATIENCE, allowed=(NOT_FOUND,)) is None:
                raise FileNotFoundError(name)

    def _ask(self, request: Callable[..., Any], *arguments: Any, allowed: Sequence[int] = ()) -> Any:
        """Make a request; its answer, True if it has none, or None if it failed in an allowed way."""
        if time.monotonic() < self._away_until:
            raise StoreUnavailable(self._away)  # in the same words, so that it is told once
        status, answer = request(*arguments)
        if status.ok:
            return True if answer is None else answer
        if status.errno in allowed:
            return None
        message = status.message.strip().removeprefix("[ERROR] ")
        if status.code in SOCKET_FAILURES:
            self._away = f"{self.url} does not answer: {message}"
            self._away_until = time.monotonic() + self.rest_after_failure
            raise StoreUnavailable(self._away)
        raise StoreError(f"{self.url}: {message}")

    def _path(self, name: str) -> str:
        return f"{self._root.rstrip('/')}/{name}"

    def _url(self, name: str) -> str:
        return f"{self._server}/{self._path(name)}"
