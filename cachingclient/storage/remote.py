"""A folder behind any fsspec file system.

Notes
-----
fsspec has no "create if absent" that all file systems honour. Where the file system does not say that it has one,
the name is looked at before the write: two writers that race then both succeed, and the later one's file stays,
whole, under the name. As both computed the same step, either is right.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

import fsspec
import xxhash

from cachingclient.storage.base import Frame, StoreError, StoreUnavailable
from cachingclient.storage.folder import ChangedError, FileStat, Folder


class RemoteFolder(Folder):
    """Files below a URL that fsspec understands.

    Examples
    --------
    >>> folder = RemoteFolder("memory://doc-example")
    >>> folder.put(["v1/a"], [memoryview(b"hello")])
    True
    >>> bytes(folder.open("v1/a"))
    b'hello'
    """

    latency = 0.02
    bandwidth = 1e8

    def __init__(self, url: str, **options: Any) -> None:
        self.url = url.rstrip("/")
        self.fs, root = fsspec.core.url_to_fs(self.url, **options)
        self.root = root.rstrip("/")
        self._put_lock = threading.Lock()
        if self.fs.protocol == "memory" or "memory" in self.fs.protocol:
            self.latency, self.bandwidth = 0.0001, 5e9

    def fetch(self, names: Sequence[str]) -> dict[str, bytes]:
        paths = {self._path(name): name for name in names}
        if not paths:
            return {}
        try:
            got = self.fs.cat(list(paths), on_error="return")
        except Exception as error:
            raise self._unavailable(error) from error
        found = {}
        for path, data in got.items():
            if isinstance(data, bytes):
                found[paths[path]] = data
            elif not isinstance(data, FileNotFoundError):
                raise self._unavailable(data) from data
        return found

    def open(self, name: str) -> Frame:
        try:
            return memoryview(bytearray(self.fs.cat_file(self._path(name))))
        except FileNotFoundError:
            raise
        except Exception as error:
            raise self._unavailable(error) from error

    def put(self, names: Sequence[str], frames: Iterable[Frame], *, digest: str = "", overwrite: bool = False) -> bool:
        data = b"".join(frames)
        if digest and xxhash.xxh3_128_hexdigest(data) != digest:
            raise ChangedError
        try:
            ours = [self._create(self._path(name), data, overwrite) for name in names]
            return ours[0]
        except Exception as error:
            raise StoreError(f"{self.url} can't be written: {error}") from error

    def _create(self, path: str, data: bytes, overwrite: bool) -> bool:
        with self._put_lock:
            if not overwrite and self.fs.exists(path):
                return False
            self.fs.makedirs(path.rpartition("/")[0], exist_ok=True)
            self.fs.pipe_file(path, data)
            return True

    def stat(self, names: Sequence[str]) -> dict[str, FileStat]:
        found = {}
        for name in names:
            try:
                found[name] = _file_stat(name, self.fs.info(self._path(name)))
            except FileNotFoundError:
                continue
        return found

    def remove(self, names: Sequence[str]) -> int:
        freed = 0
        for name, status in self.stat(names).items():
            try:
                self.fs.rm_file(self._path(name))
            except FileNotFoundError:
                continue
            freed += status.nbytes
        return freed

    def walk(self, prefix: str) -> Iterator[FileStat]:
        try:
            listing = self.fs.ls(self._path(prefix), detail=True, refresh=True)
        except FileNotFoundError:
            return
        for item in listing:
            name = prefix + "/" + item["name"].rstrip("/").rpartition("/")[2]
            if item["type"] == "directory":
                yield from self.walk(name)
            else:
                yield _file_stat(name, item)

    def touch(self, names: Sequence[str]) -> None:
        """Most remote file systems can't set a time without writing the file again, so last use stays its creation."""

    def _path(self, name: str) -> str:
        return f"{self.root}/{name}"

    def _unavailable(self, error: BaseException) -> StoreUnavailable:
        return StoreUnavailable(f"{self.url} does not answer as it should: {type(error).__name__}: {error}")


def _file_stat(name: str, info: dict[str, Any]) -> FileStat:
    when = next((info[word] for word in ("LastModified", "mtime", "created") if info.get(word) is not None), None)
    if isinstance(when, datetime):
        when = when.timestamp()
    return FileStat(name, info["size"] or 0, when if when is not None else time.time())
